/*
 * Test help: an swtpm of one's own, and a transport that looks and interferes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tpm-fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <glib/gstdio.h>
#include <tss2/tss2_tctildr.h>

#define START_MS 10000

const char host_id[] = "0123456789abcdef0123456789abcdef";

/* --- swtpm ------------------------------------------------------------ */

/* The TPM must not outlive a test that aborts. */
static void die_with_parent(gpointer opaque)
{
    (void)opaque;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* It exists before it listens. */
static void wait_for_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpuint(
        g_strlcpy(address.sun_path, path, sizeof(address.sun_path)), <,
        sizeof(address.sun_path));
    for (guint ms = 0;
         connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0;
         ms += 5) {
        g_assert_cmpuint(ms, <, START_MS);
        g_usleep(5000);
    }
    close(fd);
}

void swtpm_start(Swtpm *swtpm)
{
    g_autofree char *state = g_strdup_printf("dir=%s", swtpm->dir);
    g_autofree char *server =
        g_strdup_printf("type=unixio,path=%s", swtpm->socket);
    g_autofree char *control =
        g_strdup_printf("type=unixio,path=%s.ctrl", swtpm->socket);
    g_autofree char *control_socket = g_strdup_printf("%s.ctrl", swtpm->socket);
    const char *argv[] = {"swtpm", "socket",   "--tpm2",       "--tpmstate",
                          state,   "--server", server,         "--ctrl",
                          control, "--flags",  swtpm->startup, NULL};
    g_autoptr(GError) error = NULL;

    g_unlink(swtpm->socket);
    g_unlink(control_socket);
    g_spawn_async(swtpm->dir, (char **)argv, NULL,
                  G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD |
                      G_SPAWN_STDERR_TO_DEV_NULL,
                  die_with_parent, NULL, &swtpm->pid, &error);
    g_assert_no_error(error);
    wait_for_socket(swtpm->socket);
    wait_for_socket(control_socket);
}

static void swtpm_signal(Swtpm *swtpm, int number)
{
    g_assert_cmpint(kill(swtpm->pid, number), ==, 0);
}

void swtpm_kill(Swtpm *swtpm)
{
    swtpm_signal(swtpm, SIGKILL);
    g_assert_cmpint(waitpid(swtpm->pid, NULL, 0), ==, swtpm->pid);
    g_spawn_close_pid(swtpm->pid);
    swtpm->pid = 0;
}

void swtpm_stop(Swtpm *swtpm)
{
    swtpm_signal(swtpm, SIGSTOP);
}

void swtpm_continue(Swtpm *swtpm)
{
    swtpm_signal(swtpm, SIGCONT);
}

Swtpm *swtpm_new(void)
{
    Swtpm *swtpm = g_new0(Swtpm, 1);
    g_autoptr(GError) error = NULL;

    swtpm->dir = g_dir_make_tmp("vsm-tpm-XXXXXX", &error);
    g_assert_no_error(error);
    swtpm->startup = "not-need-init,startup-clear";
    swtpm->socket = g_build_filename(swtpm->dir, "sock", NULL);
    swtpm->tcti = g_strdup_printf("swtpm:path=%s", swtpm->socket);
    swtpm_start(swtpm);
    return swtpm;
}

void swtpm_free(Swtpm *swtpm)
{
    g_autoptr(GDir) dir = NULL;
    const char *name;

    if (!swtpm) {
        return;
    }
    if (swtpm->pid) {
        swtpm_kill(swtpm);
    }
    dir = g_dir_open(swtpm->dir, 0, NULL);
    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(swtpm->dir, name, NULL);

        g_unlink(path);
    }
    g_rmdir(swtpm->dir);
    g_free(swtpm->dir);
    g_free(swtpm->socket);
    g_free(swtpm->tcti);
    g_free(swtpm);
}

static int run(Swtpm *swtpm, const char *line, char **ret_out, char **ret_err)
{
    const char *argv[] = {"/bin/sh", "-ec", line, NULL};
    g_auto(GStrv) env = g_get_environ();
    g_autoptr(GError) error = NULL;
    int status = -1;

    env = g_environ_setenv(env, "TPM2TOOLS_TCTI", swtpm->tcti, TRUE);
    env = g_environ_setenv(env, "TSS2_LOG", "all+error", TRUE);
    g_spawn_sync(swtpm->dir, (char **)argv, env, G_SPAWN_DEFAULT, NULL, NULL,
                 ret_out, ret_err, &status, &error);
    g_assert_no_error(error);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

char *swtpm_tool(Swtpm *swtpm, const char *line)
{
    g_autofree char *err = NULL;
    char *out = NULL;
    int code = run(swtpm, line, &out, &err);

    if (code != 0) {
        g_error("%s: exit %d\n%s%s", line, code, out, err);
    }
    return out;
}

int swtpm_try(Swtpm *swtpm, const char *line)
{
    g_autofree char *out = NULL;
    g_autofree char *err = NULL;

    return run(swtpm, line, &out, &err);
}

void swtpm_put(Swtpm *swtpm, const char *name, GBytes *bytes)
{
    g_autofree char *path = g_build_filename(swtpm->dir, name, NULL);
    g_autoptr(GError) error = NULL;
    gsize size;
    const char *data = g_bytes_get_data(bytes, &size);

    g_file_set_contents(path, data, size, &error);
    g_assert_no_error(error);
}

GBytes *swtpm_get(Swtpm *swtpm, const char *name)
{
    g_autofree char *path = g_build_filename(swtpm->dir, name, NULL);
    g_autoptr(GError) error = NULL;
    char *data = NULL;
    gsize size;

    g_file_get_contents(path, &data, &size, &error);
    g_assert_no_error(error);
    return g_bytes_new_take(data, size);
}

/* --- A transport that looks and interferes ---------------------------- */

#define TAP_MAGIC 0x56534d2d5441502eull

typedef struct {
    TSS2_TCTI_CONTEXT_COMMON_V1 v1;
    Tap *tap;
    TSS2_TCTI_CONTEXT *real;
    guint32 answer; /* response code in the TPM's stead; 0: none */
    bool lose; /* the answer that comes */
} TapTcti;

static guint32 command_code(const guint8 *command)
{
    guint32 code;

    memcpy(&code, command + 6, sizeof(code));
    return GUINT32_FROM_BE(code);
}

static TSS2_RC
tap_transmit(TSS2_TCTI_CONTEXT *tcti, size_t size, const uint8_t *command)
{
    TapTcti *self = (TapTcti *)tcti;
    Tap *tap = self->tap;
    guint32 code = command_code(command);

    g_mutex_lock(&tap->lock);
    g_byte_array_append(tap->wire, command, size);
    g_array_append_val(tap->codes, code);
    g_mutex_unlock(&tap->lock);
    if (tap->delay_ms) {
        g_usleep(tap->delay_ms * 1000);
    }
    self->answer = tap->hook ? tap->hook(tap, code, tap->opaque) : 0;
    self->lose = tap->lose_code && tap->lose_code == code;
    if (self->lose) {
        tap->lose_code = 0;
    }
    return self->answer ? TSS2_RC_SUCCESS
                        : Tss2_Tcti_Transmit(self->real, size, command);
}

static TSS2_RC tap_receive(TSS2_TCTI_CONTEXT *tcti,
                           size_t *size,
                           uint8_t *response,
                           int32_t timeout)
{
    TapTcti *self = (TapTcti *)tcti;
    Tap *tap = self->tap;
    TSS2_RC rc;

    if (self->answer) {
        guint32 code = GUINT32_TO_BE(self->answer);
        guint8 header[10] = {0x80, 0x01, 0, 0, 0, 10};

        memcpy(header + 6, &code, sizeof(code));
        memcpy(response, header, sizeof(header));
        *size = sizeof(header);
        return TSS2_RC_SUCCESS;
    }
    rc = Tss2_Tcti_Receive(self->real, size, response, timeout);
    if (rc == TSS2_RC_SUCCESS) {
        g_mutex_lock(&tap->lock);
        g_byte_array_append(tap->wire, response, *size);
        g_mutex_unlock(&tap->lock);
    }
    return self->lose ? TSS2_TCTI_RC_IO_ERROR : rc;
}

static TSS2_RC
tap_open(const char *text, TSS2_TCTI_CONTEXT **ret, gpointer opaque)
{
    Tap *tap = opaque;
    TapTcti *self;
    TSS2_TCTI_CONTEXT *real = NULL;
    TSS2_RC rc = Tss2_TctiLdr_Initialize(text, &real);

    if (rc != TSS2_RC_SUCCESS) {
        return rc;
    }
    self = g_new0(TapTcti, 1);
    self->real = real;
    tap->real = real;
    g_atomic_int_inc(&tap->open);
    self->v1.magic = TAP_MAGIC;
    self->v1.version = 1;
    self->v1.transmit = tap_transmit;
    self->v1.receive = tap_receive;
    self->tap = tap;
    *ret = (TSS2_TCTI_CONTEXT *)self;
    return rc;
}

static void tap_close(TSS2_TCTI_CONTEXT *tcti, gpointer opaque)
{
    Tap *tap = opaque;
    TapTcti *self = (TapTcti *)tcti;

    Tss2_TctiLdr_Finalize(&self->real);
    g_free(self);
    g_atomic_int_add(&tap->open, -1);
}

Tap *tap_new(void)
{
    Tap *tap = g_new0(Tap, 1);

    g_mutex_init(&tap->lock);
    tap->wire = g_byte_array_new();
    tap->codes = g_array_new(FALSE, FALSE, sizeof(guint32));
    return tap;
}

void tap_free(Tap *tap)
{
    /* A connection that was given up ends with its last command. */
    while (g_atomic_int_get(&tap->open)) {
        g_usleep(1000);
    }
    g_mutex_clear(&tap->lock);
    g_byte_array_unref(tap->wire);
    g_array_unref(tap->codes);
    g_free(tap);
}

VsmTpmTransport tap_transport(Tap *tap)
{
    return (VsmTpmTransport){tap_open, tap_close, tap};
}

void tap_reset(Tap *tap)
{
    g_byte_array_set_size(tap->wire, 0);
    g_array_set_size(tap->codes, 0);
}

guint tap_count(Tap *tap, guint32 code)
{
    guint count = 0;

    for (guint i = 0; i < tap->codes->len; i++) {
        count += g_array_index(tap->codes, guint32, i) == code;
    }
    return count;
}

char *tap_text(Tap *tap)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < tap->codes->len; i++) {
        g_string_append_printf(text, " %x",
                               g_array_index(tap->codes, guint32, i));
    }
    return g_strdup(text->str);
}

void tap_send(Tap *tap, const guint8 *command, gsize size)
{
    guint8 response[4096];
    size_t got = sizeof(response);
    guint32 rc;

    g_assert_cmphex(Tss2_Tcti_Transmit(tap->real, size, command), ==, 0);
    g_assert_cmphex(Tss2_Tcti_Receive(tap->real, &got, response, -1), ==, 0);
    g_assert_cmpuint(got, >=, 10);
    memcpy(&rc, response + 6, sizeof(rc));
    g_assert_cmphex(GUINT32_FROM_BE(rc), ==, 0);
}

void tap_extend_pcr(Tap *tap, guint8 pcr)
{
    guint8 command[33 + 48] = {
        0x80, 0x02, 0,    0,    0, sizeof(command),
        0,    0,    0x01, 0x82, /* extend */
        0,    0,    0,    pcr,  0, 0,
        0,    9,    0x40, 0,    0, 9,
        0,    0,    0,    0,    0, /* password, empty */
        0,    0,    0,    1,    0, 0x0c, /* one digest, SHA-384 */
    };

    memset(command + 33, 0xee, 48);
    tap_send(tap, command, sizeof(command));
}

guint32 meddle(Tap *tap, guint32 code, gpointer meddler)
{
    Meddler *m = meddler;

    if (code == m->before && m->times) {
        m->times--;
        tap_extend_pcr(tap, m->pcr);
    }
    return 0;
}

bool tap_saw(Tap *tap, const guint8 *bytes, gsize size)
{
    return memmem(tap->wire->data, tap->wire->len, bytes, size) != NULL;
}

/* --- What most tests begin with --------------------------------------- */

VsmDigest digest_of(const char *text)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA384);
    VsmDigest digest;
    gsize size = sizeof(digest.b);

    g_checksum_update(sum, (const guint8 *)text, strlen(text));
    g_checksum_get_digest(sum, digest.b, &size);
    return digest;
}

static void connect_host(Host *host)
{
    VsmTpmTransport transport = tap_transport(host->tap);
    g_autoptr(GError) error = NULL;

    host->tpm = vsm_tpm_open_over(host->swtpm->tcti, &transport, 0, &error);
    g_assert_no_error(error);
}

Host *host_new(GBytes *operator_public)
{
    Host *host = g_new0(Host, 1);
    g_autoptr(GError) error = NULL;

    host->swtpm = swtpm_new();
    host->tap = tap_new();
    host->secret = vsm_secret_new_random(VSM_TPM_SECRET_BYTES, &error);
    g_assert_no_error(error);
    connect_host(host);
    g_assert_true(vsm_tpm_keys_setup(host->tpm, host->secret, host_id,
                                     operator_public, &host->keys, &error));
    g_assert_no_error(error);
    for (guint8 pcr = 0; pcr < 8; pcr++) {
        tap_extend_pcr(host->tap, pcr);
    }
    tap_reset(host->tap);
    return host;
}

void host_close(Host *host)
{
    g_clear_pointer(&host->tpm, vsm_tpm_free);
}

void host_open(Host *host)
{
    g_autoptr(GError) error = NULL;

    connect_host(host);
    g_assert_true(
        vsm_tpm_keys_use(host->tpm, host->secret, host_id, host->keys, &error));
    g_assert_no_error(error);
    tap_reset(host->tap);
}

void host_free(Host *host)
{
    if (!host) {
        return;
    }
    host_close(host);
    vsm_tpm_keys_free(host->keys);
    vsm_secret_free(host->secret);
    swtpm_free(host->swtpm);
    tap_free(host->tap);
    g_free(host);
}

VsmTpmBinding host_binding(Host *host)
{
    VsmTpmBinding binding = {.hypervisor = digest_of("qemu"),
                             .config = digest_of("config")};
    g_autoptr(GError) error = NULL;

    g_assert_true(
        vsm_tpm_read_boot(host->tpm, 0xff, false, &binding.boot, &error));
    g_assert_no_error(error);
    return binding;
}
