/*
 * A TPM that hangs, dies or is busy costs a deadline, never the caller.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tpm-fixture.h"

#include <dlfcn.h>
#include <string.h>
#include <glib/gstdio.h>

#define SHORT_MS 300

static void assert_error(VsmTpm *tpm, VsmError code, const char *text)
{
    g_autoptr(GError) error = NULL;
    VsmTpmPcrs pcrs;

    g_assert_false(vsm_tpm_read_boot(tpm, 0xff, true, &pcrs, &error));
    g_assert_error(error, VSM_ERROR, (int)code);
    if (!strstr(error->message, text)) {
        g_error("'%s' does not say '%s'", error->message, text);
    }
}

static void assert_works(VsmTpm *tpm)
{
    g_autoptr(GError) error = NULL;
    VsmTpmPcrs pcrs;

    vsm_tpm_read_boot(tpm, 0xff, true, &pcrs, &error);
    g_assert_no_error(error);
}

static VsmTpm *open_short(Swtpm *swtpm)
{
    g_autoptr(GError) error = NULL;
    VsmTpm *tpm = vsm_tpm_open(swtpm->tcti, SHORT_MS, &error);

    g_assert_no_error(error);
    return tpm;
}

static void test_description_names_maker_and_firmware(void)
{
    g_autoptr(Swtpm) swtpm = swtpm_new();
    g_autoptr(VsmTpm) tpm = open_short(swtpm);
    g_autofree char *text = NULL;

    g_assert_true(vsm_tpm_describe(tpm, &text, NULL));
    g_assert_true(g_str_has_prefix(text, "IBM SW"));
    g_assert_nonnull(strstr(text, "firmware "));
}

static void test_absent_tpm_is_named(void)
{
    static const char *texts[] = {"swtpm:path=/nonexistent/sock",
                                  "device:/nonexistent/tpm", "no-such-tcti",
                                  ""};

    for (guint i = 0; i < G_N_ELEMENTS(texts) - 1; i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(vsm_tpm_open(texts[i], SHORT_MS, &error));
        g_assert_error(error, VSM_ERROR, VSM_ERROR_TPM_ABSENT);
        g_assert_nonnull(strstr(error->message, texts[i]));
        g_assert_nonnull(strstr(error->message, "tcti="));
    }
}

static void test_stopped_tpm_times_out_then_works_again(void)
{
    g_autoptr(Swtpm) swtpm = swtpm_new();
    g_autoptr(VsmTpm) tpm = open_short(swtpm);
    gint64 start;

    swtpm_stop(swtpm);
    start = g_get_monotonic_time();
    assert_error(tpm, VSM_ERROR_TIMEOUT, "did not answer within 300 ms");
    g_assert_cmpint(g_get_monotonic_time() - start, <, 2 * G_TIME_SPAN_SECOND);
    assert_error(tpm, VSM_ERROR_TIMEOUT, "did not answer"); /* at the connect */
    swtpm_continue(swtpm);
    assert_works(tpm);
}

static void test_free_does_not_wait_for_a_stopped_tpm(void)
{
    g_autoptr(Swtpm) swtpm = swtpm_new();
    VsmTpm *tpm = open_short(swtpm);
    gint64 start;

    swtpm_stop(swtpm);
    assert_error(tpm, VSM_ERROR_TIMEOUT, "");
    start = g_get_monotonic_time();
    vsm_tpm_free(tpm);
    g_assert_cmpint(g_get_monotonic_time() - start, <, G_TIME_SPAN_SECOND);
    swtpm_continue(swtpm);
}

/* Threads that wait for a dead TPM do not pile up. */
static void test_hanging_threads_are_few_and_come_back(void)
{
    g_autoptr(Swtpm) swtpm = swtpm_new();
    g_autoptr(VsmTpm) tpm = open_short(swtpm);
    gint64 start;

    swtpm_stop(swtpm);
    for (guint i = 0; i < 6; i++) {
        assert_error(tpm, VSM_ERROR_TIMEOUT, "");
    }
    start = g_get_monotonic_time();
    assert_error(tpm, VSM_ERROR_TIMEOUT, ""); /* at once */
    g_assert_cmpint(g_get_monotonic_time() - start, <,
                    SHORT_MS * G_TIME_SPAN_MILLISECOND / 2);
    swtpm_continue(swtpm);
    for (guint i = 0; i < 100; i++) {
        VsmTpmPcrs pcrs;

        if (vsm_tpm_read_boot(tpm, 0xff, true, &pcrs, NULL)) {
            break;
        }
        g_usleep(50000);
    }
    assert_works(tpm);
}

/* Stands before GLib's own for this program. */
static bool no_threads;

GThread *
g_thread_try_new(const char *name, GThreadFunc run, gpointer data, GError **why)
{
    static GThread *(*real)(const char *, GThreadFunc, gpointer, GError **);

    if (no_threads) {
        g_set_error(why, G_THREAD_ERROR, G_THREAD_ERROR_AGAIN, "no more");
        return NULL;
    }
    if (!real) {
        *(void **)&real = dlsym(RTLD_NEXT, "g_thread_try_new");
    }
    return real(name, run, data, why);
}

static void test_no_thread_is_busy_and_then_works_again(void)
{
    g_autoptr(Swtpm) swtpm = swtpm_new();
    g_autoptr(VsmTpm) tpm = NULL;
    g_autoptr(GError) error = NULL;

    no_threads = true;
    g_assert_null(vsm_tpm_open(swtpm->tcti, SHORT_MS, &error));
    no_threads = false;
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BUSY);
    g_assert_nonnull(strstr(error->message, "no thread can be started"));
    tpm = open_short(swtpm);
    swtpm_kill(swtpm);
    assert_error(tpm, VSM_ERROR_TPM_ABSENT, swtpm->tcti);
    swtpm_start(swtpm);
    no_threads = true;
    assert_error(tpm, VSM_ERROR_BUSY, "no thread can be started");
    no_threads = false;
    assert_works(tpm);
}

static void test_killed_tpm_is_absent_then_works_again(void)
{
    g_autoptr(Swtpm) swtpm = swtpm_new();
    g_autoptr(VsmTpm) tpm = open_short(swtpm);

    swtpm_kill(swtpm);
    assert_error(tpm, VSM_ERROR_TPM_ABSENT, swtpm->tcti);
    assert_error(tpm, VSM_ERROR_TPM_ABSENT, "start it");
    swtpm_start(swtpm);
    assert_works(tpm);
}

static void test_keys_work_again_after_a_reconnect(void)
{
    g_autoptr(Host) host = host_new(NULL);
    VsmDigest extra = digest_of("nonce");
    g_auto(VsmTpmEvidence) quote = {0};
    g_autoptr(GError) error = NULL;

    swtpm_kill(host->swtpm);
    g_assert_false(vsm_tpm_quote(host->tpm, VSM_TPM_BANK_SHA384, 1, &extra,
                                 &quote, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_TPM_ABSENT);
    g_clear_error(&error);
    swtpm_start(host->swtpm);
    g_assert_true(vsm_tpm_quote(host->tpm, VSM_TPM_BANK_SHA384, 1, &extra,
                                &quote, &error));
    g_assert_no_error(error);
}

/* Another TPM under the same socket is not taken for the first one. */
static void test_another_tpm_is_not_taken_for_ours(void)
{
    g_autoptr(Host) host = host_new(NULL);
    g_autofree char *state =
        g_build_filename(host->swtpm->dir, "tpm2-00.permall", NULL);
    VsmDigest extra = digest_of("nonce");
    g_auto(VsmTpmEvidence) quote = {0};
    g_autoptr(GError) error = NULL;

    swtpm_kill(host->swtpm);
    g_assert_cmpint(g_unlink(state), ==, 0);
    swtpm_start(host->swtpm);
    g_assert_false(
        vsm_tpm_quote(host->tpm, VSM_TPM_BANK_SHA384, 1, &extra, &quote, NULL));
    host_close(host);
    host->tpm = vsm_tpm_open(host->swtpm->tcti, 0, &error);
    g_assert_no_error(error);
    g_assert_false(
        vsm_tpm_keys_use(host->tpm, host->secret, host_id, host->keys, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_NOT_FOUND);
    g_assert_nonnull(strstr(error->message, "another TPM"));
}

static guint32 answer(Tap *tap, guint32 code, gpointer opaque)
{
    guint32 *rc = opaque;
    guint32 now = code == TPM2_CC_PCR_Read ? *rc : 0;

    (void)tap;
    if (now && now != TPM2_RC_FAILURE) {
        *rc = 0; /* once */
    }
    return now;
}

static void test_answers_that_say_not_now_are_asked_again(void)
{
    static const guint32 codes[] = {
        TPM2_RC_RETRY,         TPM2_RC_YIELDED, TPM2_RC_TESTING,
        TPM2_RC_CANCELED,      TPM2_RC_NV_RATE, TPM2_RC_OBJECT_MEMORY,
        TPM2_RC_SESSION_MEMORY};
    g_autoptr(Host) host = host_new(NULL);
    guint32 rc;

    host->tap->hook = answer;
    host->tap->opaque = &rc;
    for (guint i = 0; i < G_N_ELEMENTS(codes); i++) {
        rc = codes[i];
        tap_reset(host->tap);
        assert_works(host->tpm);
        g_assert_cmpuint(tap_count(host->tap, TPM2_CC_PCR_Read), ==, 2);
    }
    rc = TPM2_RC_FAILURE;
    assert_error(host->tpm, VSM_ERROR_TPM, "0x101");
    host->tap->hook = NULL;
    assert_works(host->tpm);
}

/* What a wait of seconds does not mend is told at once, and as what it is. */
static void test_answers_that_say_later_are_busy(void)
{
    static const guint32 codes[] = {TPM2_RC_LOCKOUT, TPM2_RC_OBJECT_HANDLES,
                                    TPM2_RC_SESSION_HANDLES};
    g_autoptr(Host) host = host_new(NULL);
    guint32 rc;

    host->tap->hook = answer;
    host->tap->opaque = &rc;
    for (guint i = 0; i < G_N_ELEMENTS(codes); i++) {
        rc = codes[i];
        tap_reset(host->tap);
        assert_error(host->tpm, VSM_ERROR_BUSY, "try again later");
        g_assert_cmpuint(tap_count(host->tap, TPM2_CC_PCR_Read), ==, 1);
        assert_works(host->tpm);
    }
}

static void test_slow_tpm_is_waited_for(void)
{
    g_autoptr(Host) host = host_new(NULL);

    host->tap->delay_ms = 200;
    assert_works(host->tpm);
}

/* Objects of a client that died fill an swtpm's three slots. */
static void test_leftovers_of_a_dead_client_are_flushed(void)
{
    g_autoptr(Swtpm) swtpm = swtpm_new();
    g_autoptr(VsmTpm) tpm = NULL;
    g_autoptr(VsmSecret) secret = vsm_secret_new_random(32, NULL);
    g_autoptr(VsmTpmKeys) keys = NULL;
    g_autoptr(GError) error = NULL;

    g_free(swtpm_tool(swtpm, "for i in 1 2 3; do tpm2_createprimary -C n -c "
                             "$i.ctx; done 2>/dev/null >/dev/null || true; "
                             "tpm2_getcap handles-transient"));
    tpm = open_short(swtpm);
    vsm_tpm_free(g_steal_pointer(&tpm));
    tpm = vsm_tpm_open(swtpm->tcti, 0, &error);
    g_assert_no_error(error);
    g_assert_true(
        vsm_tpm_keys_setup(tpm, secret, host_id, NULL, &keys, &error));
    g_assert_no_error(error);
}

static void test_leftover_sessions_are_flushed_after_a_lost_answer(void)
{
    g_autoptr(Host) host = host_new(NULL);
    VsmDigest extra = digest_of("nonce");

    for (guint i = 0; i < 5; i++) {
        g_auto(VsmTpmEvidence) quote = {0};
        g_autoptr(GError) error = NULL;

        host->tap->lose_code = TPM2_CC_Quote;
        g_assert_false(vsm_tpm_quote(host->tpm, VSM_TPM_BANK_SHA384, 1, &extra,
                                     &quote, &error));
        g_assert_error(error, VSM_ERROR, VSM_ERROR_TPM_ABSENT);
        g_assert_true(vsm_tpm_quote(host->tpm, VSM_TPM_BANK_SHA384, 1, &extra,
                                    &quote, NULL));
    }
}

/* A TPM that nobody started, as after `swtpm socket` without startup-clear. */
static void test_tpm_that_nobody_started_is_started(void)
{
    g_autoptr(Swtpm) swtpm = swtpm_new();
    g_autoptr(VsmTpm) tpm = NULL;

    swtpm_kill(swtpm);
    swtpm->startup = "not-need-init";
    swtpm_start(swtpm);
    tpm = open_short(swtpm);
    assert_works(tpm);
}

static gpointer read_many(gpointer opaque)
{
    for (guint i = 0; i < 50; i++) {
        assert_works(opaque);
    }
    return NULL;
}

static void test_threads_share_a_connection(void)
{
    g_autoptr(Swtpm) swtpm = swtpm_new();
    g_autoptr(VsmTpm) tpm = vsm_tpm_open(swtpm->tcti, 0, NULL);
    GThread *threads[4];

    for (guint i = 0; i < G_N_ELEMENTS(threads); i++) {
        threads[i] = g_thread_new("reader", read_many, tpm);
    }
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++) {
        g_thread_join(threads[i]);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, name) g_test_add_func("/tpm/connection/" path, test_##name)
    ADD("description", description_names_maker_and_firmware);
    ADD("absent", absent_tpm_is_named);
    ADD("stopped", stopped_tpm_times_out_then_works_again);
    ADD("free", free_does_not_wait_for_a_stopped_tpm);
    ADD("hanging-threads", hanging_threads_are_few_and_come_back);
    ADD("no-thread", no_thread_is_busy_and_then_works_again);
    ADD("killed", killed_tpm_is_absent_then_works_again);
    ADD("keys-again", keys_work_again_after_a_reconnect);
    ADD("another-tpm", another_tpm_is_not_taken_for_ours);
    ADD("not-now", answers_that_say_not_now_are_asked_again);
    ADD("later", answers_that_say_later_are_busy);
    ADD("slow", slow_tpm_is_waited_for);
    ADD("leftovers", leftovers_of_a_dead_client_are_flushed);
    ADD("leftover-sessions", leftover_sessions_are_flushed_after_a_lost_answer);
    ADD("startup", tpm_that_nobody_started_is_started);
    ADD("threads", threads_share_a_connection);
    return g_test_run();
}
