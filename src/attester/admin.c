/*
 * One question to the admin socket of vsmd.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vsm/admin.h>
#include "attester/channel.h"
#include "base/codec.h"
#include "base/limits.h"

#define CALL_US (90 * G_USEC_PER_SEC)
#define WHAT "message of the admin socket"

static int connect_to(const char *path, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd, number;

    if (g_strlcpy(address.sun_path, path, sizeof(address.sun_path)) >=
        sizeof(address.sun_path)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "%s: longer than a socket's path can be", path);
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd >= 0 &&
        connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
        return fd;
    }
    number = errno;
    if (fd >= 0) {
        close(fd);
    }
    g_set_error(error, VSM_ERROR,
                number == EACCES ? VSM_ERROR_DENIED : VSM_ERROR_CONNECTION,
                "cannot connect to vsmd at %s: %s; %s", path,
                g_strerror(number),
                number == EACCES ? "only root may administer it"
                                 : "start vsmd, or give its admin socket");
    return -1;
}

static bool exchange(int fd,
                     VsmAdminOp op,
                     GBytes *asked,
                     VsmProtocolHeader *ret_header,
                     GBytes **ret_body,
                     GError **error)
{
    VsmChannel channel = {
        .fd = fd,
        .deadline_us = g_get_monotonic_time() + CALL_US,
    };
    g_autoptr(GError) why = NULL;

    /* Who is turned away is told why, perhaps before the request was sent. */
    if (!vsm_channel_send(&channel, op, asked, &why) &&
        why->code != VSM_ERROR_CONNECTION) {
        g_propagate_error(error, g_steal_pointer(&why));
        return false;
    }
    return vsm_channel_receive(&channel, ret_header, ret_body, error);
}

bool vsm_admin_call(const char *path,
                    VsmAdminOp op,
                    GVariant *request,
                    const char *answer_type,
                    GVariant **ret,
                    GError **error)
{
    g_autoptr(GBytes) asked =
        vsm_codec_encode(request, VSM_MESSAGE_BYTES_MAX, WHAT, error);
    g_autoptr(GBytes) body = NULL;
    g_autoptr(GVariant) answer = NULL;
    VsmProtocolHeader header;
    int fd;
    bool ok;

    fd = asked ? connect_to(path ? path : VSM_ADMIN_SOCKET, error) : -1;
    if (fd < 0) {
        return false;
    }
    ok = exchange(fd, op, asked, &header, &body, error);
    close(fd);
    if (!ok) {
        return false;
    }
    if (header.op == VSM_PROTOCOL_ERROR) {
        vsm_protocol_take_error(body, error);
        return false;
    }
    if (header.op != (op | VSM_PROTOCOL_ANSWER) ||
        header.version != VSM_PROTOCOL_VERSION) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_PROTOCOL,
                    "message %u in version %u came as the answer to message "
                    "%u; use vsmctl and vsmd of the same VSM",
                    header.op, header.version, op);
        return false;
    }
    answer = vsm_codec_decode(body, answer_type, NULL, 0, VSM_MESSAGE_BYTES_MAX,
                              WHAT, error);
    if (answer && ret) {
        *ret = g_steal_pointer(&answer);
        return true;
    }
    return answer != NULL;
}
