/*
 * Fuzz target: messages of the admin socket, as both sides read them.
 *
 * The first byte chooses the message, requests from 0 on, then answers;
 * header and body follow.  A request that can be read is carried out where no
 * TPM is needed for that.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "../unit/admin-fixture.h"
#include "attester/protocol.h"
#include "base/codec.h"
#include "base/limits.h"
#include "vsmd/admin.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

static bool needs_no_host(guint16 op)
{
    return op == VSM_ADMIN_VM_REGISTER || op == VSM_ADMIN_VM_UNREGISTER ||
           op == VSM_ADMIN_VM_LIST;
}

static void carry_out(guint16 op, GVariant *request)
{
    const VsmAdminRow *row = vsm_admin_row(op);
    g_autoptr(VsmOptions) options = vsm_options_new();
    g_autoptr(VsmRegistry) registry = vsm_registry_open(NULL, NULL);
    VsmServer *server = vsm_server_new(options, NULL, registry);
    g_autoptr(GError) error = NULL;
    GVariant *answer = NULL;

    if (row->run(server, request, &answer, &error)) {
        g_variant_take_ref(answer);
        g_variant_unref(answer);
    }
    g_assert_true(!answer == !!error);
    vsm_server_free(server);
}

/* What was read is what would be written: no second form of one content. */
int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    g_autoptr(GBytes) body = NULL, again = NULL;
    g_autoptr(GVariant) value = NULL;
    g_autoptr(GError) error = NULL;
    const AdminExample *example;
    guint n = 0;

    if (size < 1 + VSM_PROTOCOL_HEADER_BYTES) {
        return 0;
    }
    while (admin_examples[n].file) {
        n++;
    }
    example = &admin_examples[data[0] % n];
    body = g_bytes_new(data + 1 + VSM_PROTOCOL_HEADER_BYTES,
                       size - 1 - VSM_PROTOCOL_HEADER_BYTES);
    value = vsm_codec_decode(body, example->type, NULL, 0,
                             VSM_MESSAGE_BYTES_MAX, "message", &error);
    g_assert_true(!value == !!error);
    if (!value) {
        return 0;
    }
    again = vsm_codec_encode(value, VSM_MESSAGE_BYTES_MAX, "message", &error);
    g_assert_no_error(error);
    g_assert_true(g_bytes_equal(body, again));
    if (needs_no_host(example->op)) {
        carry_out(example->op, value);
    }
    return 0;
}
