/*
 * Set-up makes everything once, finds it again, and leaves nothing behind.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tpm-fixture.h"

#include <string.h>
#include "tpm/templates.h"

static VsmTpmKeys *setup(Host *host, const char *id, const VsmSecret *secret)
{
    g_autoptr(GError) error = NULL;
    VsmTpmKeys *keys = NULL;

    vsm_tpm_keys_setup(host->tpm, secret, id, NULL, &keys, &error);
    g_assert_no_error(error);
    return keys;
}

static guint count_handles(Host *host, guint32 first)
{
    g_autofree TPMS_CAPABILITY_DATA *data = NULL;
    TPMI_YES_NO more;

    g_assert_cmphex(Esys_GetCapability(host->tpm->esys, ESYS_TR_NONE,
                                       ESYS_TR_NONE, ESYS_TR_NONE,
                                       TPM2_CAP_HANDLES, first, 64, &more,
                                       &data),
                    ==, 0);
    return data->data.handles.count;
}

/* SRK, AK, RK; one index more or less; no object, no session. */
static void assert_handles(Host *host, guint keys, guint indices)
{
    g_assert_cmpuint(count_handles(host, FIRST_PERSISTENT), ==, keys);
    g_assert_cmpuint(count_handles(host, VSM_TPM_INDEX_FIRST), ==, indices);
    g_assert_cmpuint(count_handles(host, FIRST_TRANSIENT), ==, 0);
    g_assert_cmpuint(count_handles(host, TPM2_LOADED_SESSION_FIRST), ==, 0);
}

static void assert_same(const VsmTpmKeys *a, const VsmTpmKeys *b)
{
    g_assert_cmphex(a->srk, ==, b->srk);
    g_assert_cmphex(a->ak, ==, b->ak);
    g_assert_cmphex(a->rk, ==, b->rk);
    g_assert_cmphex(a->commit_index, ==, b->commit_index);
    g_assert_true(g_bytes_equal(a->ak_name, b->ak_name));
    g_assert_true(g_bytes_equal(a->rk_name, b->rk_name));
    g_assert_true(g_bytes_equal(a->srk_name, b->srk_name));
    g_assert_true(g_bytes_equal(a->commit_index_name, b->commit_index_name));
}

static void test_set_up_twice_finds_the_same(void)
{
    g_autoptr(Host) host = host_new(NULL);
    g_autoptr(VsmTpmKeys) again = setup(host, host_id, host->secret);
    VsmDigest zero = {{0}};
    VsmDigest body = digest_of("body");
    VsmDigest value;

    assert_same(host->keys, again);
    assert_handles(host, 3, 1);
    g_assert_cmphex(again->srk, ==, 0x81000001);
    g_assert_cmphex(again->ak & 0xffff0000, ==, 0x81010000);

    /* The index's Name changes at the first write: it is still ours. */
    g_assert_true(vsm_tpm_nv_extend(host->tpm, &zero, &body, &value, NULL));
    vsm_tpm_keys_free(g_steal_pointer(&again));
    again = setup(host, host_id, host->secret);
    assert_same(host->keys, again);
    assert_handles(host, 3, 1);
}

static void test_stores_with_one_secret_share_keys_not_the_index(void)
{
    g_autoptr(Host) host = host_new(NULL);
    g_autoptr(VsmTpmKeys) other = setup(host, "another store", host->secret);

    g_assert_cmphex(other->ak, ==, host->keys->ak);
    g_assert_cmphex(other->rk, ==, host->keys->rk);
    g_assert_cmphex(other->commit_index, !=, host->keys->commit_index);
    assert_handles(host, 3, 2);
}

static void test_another_secret_makes_keys_of_its_own(void)
{
    g_autoptr(Host) host = host_new(NULL);
    g_autoptr(VsmSecret) secret = vsm_secret_new_random(32, NULL);
    g_autoptr(VsmTpmKeys) other = setup(host, host_id, secret);

    g_assert_cmphex(other->ak, !=, host->keys->ak);
    g_assert_cmphex(other->rk, !=, host->keys->rk);
    g_assert_cmphex(other->commit_index, !=, host->keys->commit_index);
    assert_handles(host, 5, 2);
}

static void test_keys_of_another_secret_cannot_be_used(void)
{
    g_autoptr(Host) host = host_new(NULL);
    g_autoptr(VsmSecret) secret = vsm_secret_new_random(32, NULL);
    g_auto(VsmTpmEvidence) quote = {0};
    VsmDigest extra = digest_of("nonce");
    g_autoptr(GError) error = NULL;

    g_assert_true(
        vsm_tpm_keys_use(host->tpm, secret, host_id, host->keys, &error));
    g_assert_false(vsm_tpm_quote(host->tpm, VSM_TPM_BANK_SHA384, 1, &extra,
                                 &quote, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_TPM);
}

typedef struct {
    guint n; /* from this command on nothing works; from 1 */
    guint seen;
} Crash;

static guint32 crash(Tap *tap, guint32 code, gpointer opaque)
{
    Crash *c = opaque;

    (void)tap;
    (void)code;
    return ++c->seen >= c->n ? TPM2_RC_FAILURE : 0;
}

/* Broken off at every command, a second run finds all and adds nothing. */
static void test_interrupted_set_up_is_finished_by_the_next(void)
{
    guint broken = 0;

    for (guint n = 1;; n++) {
        g_autoptr(Host) host = g_new0(Host, 1);
        g_autoptr(VsmTpmKeys) keys = NULL;
        g_autoptr(GError) error = NULL;
        VsmTpmTransport transport;
        Crash c = {0};
        bool ok;

        host->swtpm = swtpm_new();
        host->tap = tap_new();
        host->secret = vsm_secret_new_random(32, NULL);
        transport = tap_transport(host->tap);
        host->tpm = vsm_tpm_open_over(host->swtpm->tcti, &transport, 0, &error);
        g_assert_no_error(error);
        c.n = n;
        host->tap->hook = crash;
        host->tap->opaque = &c;
        ok = vsm_tpm_keys_setup(host->tpm, host->secret, host_id, NULL, &keys,
                                &error);
        host->tap->hook = NULL;
        if (c.seen < n) {
            g_assert_true(ok);
            g_assert_cmpuint(broken, >, 15);
            return; /* @n is past the last command */
        }
        if (!ok) { /* a refused FlushContext is no failure */
            broken++;
            g_assert_error(error, VSM_ERROR, VSM_ERROR_TPM);
            g_assert_null(keys);
            g_assert_null(vsm_tpm_keys(host->tpm));
            keys = setup(host, host_id, host->secret);
        } else {
            VsmTpmPcrs pcrs;

            g_assert_true(vsm_tpm_read_boot(host->tpm, 1, true, &pcrs, NULL));
        }
        assert_handles(host, 3, 1);
    }
}

static void test_lost_answers_in_set_up_leave_nothing_behind(void)
{
    static const guint32 codes[] = {
        TPM2_CC_CreatePrimary, TPM2_CC_EvictControl,   TPM2_CC_Create,
        TPM2_CC_Load,          TPM2_CC_NV_DefineSpace, TPM2_CC_Certify};

    for (guint i = 0; i < G_N_ELEMENTS(codes); i++) {
        g_autoptr(Host) host = g_new0(Host, 1);
        g_autoptr(VsmTpmKeys) keys = NULL;
        g_autoptr(GError) error = NULL;
        VsmTpmTransport transport;

        host->swtpm = swtpm_new();
        host->tap = tap_new();
        host->secret = vsm_secret_new_random(32, NULL);
        transport = tap_transport(host->tap);
        host->tpm = vsm_tpm_open_over(host->swtpm->tcti, &transport, 0, &error);
        g_assert_no_error(error);
        host->tap->lose_code = codes[i];
        g_assert_false(vsm_tpm_keys_setup(host->tpm, host->secret, host_id,
                                          NULL, &keys, &error));
        g_assert_error(error, VSM_ERROR, VSM_ERROR_TPM_ABSENT);
        keys = setup(host, host_id, host->secret);
        assert_handles(host, 3, 1);
    }
}

static void test_what_is_not_ours_is_left_alone(void)
{
    g_autoptr(Host) host = g_new0(Host, 1);
    g_autoptr(GError) error = NULL;
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;
    static const char list[] =
        "tpm2_readpublic -c 0x81018000; tpm2_readpublic -c 0x81000001; "
        "tpm2_nvreadpublic 0x1830000";

    host->swtpm = swtpm_new();
    host->tap = tap_new();
    host->secret = vsm_secret_new_random(32, NULL);
    /* An SRK from elsewhere, a look-alike of our RK, of our index. */
    g_free(swtpm_tool(
        host->swtpm,
        "tpm2_createprimary -C o -G ecc -c p.ctx; "
        "tpm2_evictcontrol -C o -c p.ctx 0x81000001; tpm2_flushcontext -t; "
        "tpm2_create -C 0x81000001 -G ecc384:ecdsa-sha384 -g sha384 -u k.pub "
        "-r k.priv -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|"
        "noda|sign' -p theirs; "
        "tpm2_load -C 0x81000001 -u k.pub -r k.priv -c k.ctx; "
        "tpm2_evictcontrol -C o -c k.ctx 0x81018000; tpm2_flushcontext -t; "
        "tpm2_nvdefine -C o -s 48 -g sha384 -p theirs -a "
        "'authread|authwrite|no_da|nt=extend' 0x1830000"));
    before = swtpm_tool(host->swtpm, list);
    host->tpm = vsm_tpm_open(host->swtpm->tcti, 0, &error);
    g_assert_no_error(error);
    host->keys = setup(host, host_id, host->secret);
    g_assert_cmphex(host->keys->ak, ==, 0x81018001);
    g_assert_cmphex(host->keys->rk, ==, 0x81018002);
    g_assert_cmphex(host->keys->commit_index, ==, 0x1830001);
    assert_handles(host, 4, 2);
    host_close(host);
    after = swtpm_tool(host->swtpm, list);
    g_assert_cmpstr(before, ==, after);
}

static void test_rsa_srk_of_the_system_is_used(void)
{
    g_autoptr(Host) host = g_new0(Host, 1);
    g_autoptr(GError) error = NULL;
    g_auto(VsmTpmObject) ssk = {0};

    host->swtpm = swtpm_new();
    host->tap = tap_new();
    host->secret = vsm_secret_new_random(32, NULL);
    g_free(swtpm_tool(
        host->swtpm,
        "tpm2_createprimary -C o -G rsa -c p.ctx; "
        "tpm2_evictcontrol -C o -c p.ctx 0x81000001; tpm2_flushcontext -t"));
    host->tpm = vsm_tpm_open(host->swtpm->tcti, 0, &error);
    g_assert_no_error(error);
    host->keys = setup(host, host_id, host->secret);
    g_assert_true(vsm_tpm_ssk_create(host->tpm, &ssk, &error));
    g_assert_no_error(error);
}

static void
assert_setup_refused(const char *line, VsmError code, const char *text)
{
    g_autoptr(Swtpm) swtpm = swtpm_new();
    g_autoptr(VsmTpm) tpm = NULL;
    g_autoptr(VsmSecret) secret = vsm_secret_new_random(32, NULL);
    g_autoptr(GError) error = NULL;
    VsmTpmKeys *keys = NULL;

    g_free(swtpm_tool(swtpm, line));
    tpm = vsm_tpm_open(swtpm->tcti, 0, &error);
    g_assert_no_error(error);
    g_assert_false(
        vsm_tpm_keys_setup(tpm, secret, host_id, NULL, &keys, &error));
    g_assert_error(error, VSM_ERROR, (int)code);
    if (!strstr(error->message, text)) {
        g_error("'%s' does not say '%s'", error->message, text);
    }
}

static void test_owner_password_is_named(void)
{
    assert_setup_refused("tpm2_changeauth -c owner secret",
                         VSM_ERROR_UNSUPPORTED, "owner hierarchy");
}

static void test_foreign_key_at_the_srk_handle_is_named(void)
{
    assert_setup_refused(
        "tpm2_createprimary -C o -G ecc:ecdsa -a 'fixedtpm|fixedparent|"
        "sensitivedataorigin|userwithauth|sign' -c p.ctx; "
        "tpm2_evictcontrol -C o -c p.ctx 0x81000001; tpm2_flushcontext -t",
        VSM_ERROR_UNSUPPORTED, "0x81000001");
}

static guint32 no_p384(Tap *tap, guint32 code, gpointer opaque)
{
    (void)opaque;
    /* TPM_ECC_NIST_P384 and SHA-384 in a Create's template, in clear. */
    if (code == TPM2_CC_Create &&
        tap_saw(tap, (const guint8 *)"\0\4\0\x10", 4)) {
        tap_reset(tap);
        return TPM2_RC_CURVE | TPM2_RC_P | TPM2_RC_2;
    }
    tap_reset(tap);
    return 0;
}

static void test_p256_is_used_where_p384_is_not(void)
{
    g_autoptr(Host) host = g_new0(Host, 1);
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmTpmKey) rk = NULL;
    g_autoptr(VsmTpmKey) ak = NULL;
    g_autoptr(GBytes) digest = NULL;
    g_autoptr(GBytes) raw = NULL;
    VsmDigest text = digest_of("text");
    VsmTpmTransport transport;

    host->swtpm = swtpm_new();
    host->tap = tap_new();
    host->secret = vsm_secret_new_random(32, NULL);
    transport = tap_transport(host->tap);
    host->tpm = vsm_tpm_open_over(host->swtpm->tcti, &transport, 0, &error);
    g_assert_no_error(error);
    host->tap->hook = no_p384;
    host->keys = setup(host, host_id, host->secret);
    g_assert_true(vsm_tpm_key_decode(host->keys->rk_public, &rk, NULL));
    g_assert_true(vsm_tpm_key_decode(host->keys->ak_public, &ak, NULL));
    g_assert_cmpuint(rk->bytes, ==, 32);
    g_assert_cmpuint(ak->bytes, ==, 32);
    g_assert_cmpint(ak->kind, ==, VSM_TPM_KEY_AK);
    digest = g_bytes_new(text.b, 32);
    raw = vsm_tpm_sign(digest, host->tpm, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(g_bytes_get_size(raw), ==, 64);
}

static void test_use_refuses_what_is_not_pinned(void)
{
    g_autoptr(Host) host = host_new(NULL);
    g_autoptr(GError) error = NULL;
    guint32 ak = host->keys->ak;

    host->keys->ak = host->keys->rk;
    g_assert_false(
        vsm_tpm_keys_use(host->tpm, host->secret, host_id, host->keys, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_TAMPERED);
    g_clear_error(&error);
    host->keys->ak = 0x81018777;
    g_assert_false(
        vsm_tpm_keys_use(host->tpm, host->secret, host_id, host->keys, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_NOT_FOUND);
    g_clear_error(&error);
    host->keys->ak = ak;
    g_assert_true(
        vsm_tpm_keys_use(host->tpm, host->secret, host_id, host->keys, &error));
    g_assert_no_error(error);
}

static void test_cleared_tpm_is_not_found(void)
{
    g_autoptr(Host) host = host_new(NULL);
    g_autoptr(GError) error = NULL;

    host_close(host);
    g_free(swtpm_tool(host->swtpm, "tpm2_clear -c p"));
    host->tpm = vsm_tpm_open(host->swtpm->tcti, 0, &error);
    g_assert_no_error(error);
    g_assert_false(
        vsm_tpm_keys_use(host->tpm, host->secret, host_id, host->keys, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_NOT_FOUND);
    g_assert_nonnull(strstr(error->message, "cleared"));
}

static void test_destroy_frees_all_but_the_srk(void)
{
    g_autoptr(Host) host = host_new(NULL);
    g_autoptr(GError) error = NULL;

    g_assert_true(vsm_tpm_keys_destroy(host->tpm, &error));
    g_assert_no_error(error);
    assert_handles(host, 1, 0);
    g_assert_null(vsm_tpm_keys(host->tpm));
}

static void test_unmeasured_boot_is_refused_unless_allowed(void)
{
    g_autoptr(Swtpm) swtpm = swtpm_new();
    g_autoptr(VsmTpm) tpm = vsm_tpm_open(swtpm->tcti, 0, NULL);
    g_autoptr(GError) error = NULL;
    VsmTpmPcrs pcrs;

    g_assert_false(vsm_tpm_read_boot(tpm, 0xff, false, &pcrs, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BOOT);
    g_clear_error(&error);
    g_assert_true(vsm_tpm_read_boot(tpm, 0xff, true, &pcrs, &error));
    g_assert_no_error(error);
    /* PCR 17 is all ones where nothing was launched: no sign of a boot. */
    g_assert_false(vsm_tpm_read_boot(tpm, 0x200ff, false, &pcrs, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BOOT);
    g_clear_error(&error);
    /* PCR 23 is anyone's. */
    g_assert_false(vsm_tpm_read_boot(tpm, 0x8000ff, true, &pcrs, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
    g_clear_error(&error);
    g_assert_false(vsm_tpm_read_boot(tpm, 0, true, &pcrs, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
    g_clear_error(&error);
    /* More than one answer's worth. */
    g_assert_true(vsm_tpm_read_boot(tpm, 0x7fff, true, &pcrs, &error));
    g_assert_no_error(error);
}

static void test_sha256_bank_is_used_where_there_is_no_sha384(void)
{
    g_autoptr(Swtpm) swtpm = swtpm_new();
    g_autoptr(VsmTpm) tpm = NULL;
    g_autoptr(GError) error = NULL;
    VsmTpmPcrs pcrs;

    g_free(swtpm_tool(swtpm, "tpm2_pcrallocate sha256:all+sha384:none"));
    swtpm_kill(swtpm);
    swtpm_start(swtpm);
    tpm = vsm_tpm_open(swtpm->tcti, 0, NULL);
    g_assert_true(vsm_tpm_read_boot(tpm, 0xff, true, &pcrs, &error));
    g_assert_no_error(error);
    g_assert_cmpstr(vsm_tpm_bank_name(pcrs.bank), ==, "sha256");
}

static void test_boot_check_names_the_pcrs(void)
{
    g_autoptr(Host) host = host_new(NULL);
    VsmTpmPcrs sealed = host_binding(host).boot;
    VsmTpmPcrs now;
    g_autoptr(GError) error = NULL;

    g_assert_true(vsm_tpm_boot_check(host->tpm, &sealed, &sealed, &error));
    tap_extend_pcr(host->tap, 4);
    tap_extend_pcr(host->tap, 7);
    now = host_binding(host).boot;
    g_assert_true(vsm_tpm_boot_check(host->tpm, &now, NULL, &error));
    g_assert_false(vsm_tpm_boot_check(host->tpm, &now, &sealed, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BOOT);
    g_assert_nonnull(strstr(error->message, "PCR 4 (sha384): was "));
    g_assert_nonnull(strstr(error->message, "PCR 7 (sha384): was "));
    g_assert_null(strstr(error->message, "PCR 5"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, name) g_test_add_func("/tpm/setup/" path, test_##name)
    ADD("twice", set_up_twice_finds_the_same);
    ADD("stores", stores_with_one_secret_share_keys_not_the_index);
    ADD("another-secret", another_secret_makes_keys_of_its_own);
    ADD("wrong-secret", keys_of_another_secret_cannot_be_used);
    ADD("interrupted", interrupted_set_up_is_finished_by_the_next);
    ADD("lost-answers", lost_answers_in_set_up_leave_nothing_behind);
    ADD("not-ours", what_is_not_ours_is_left_alone);
    ADD("rsa-srk", rsa_srk_of_the_system_is_used);
    ADD("owner-password", owner_password_is_named);
    ADD("foreign-srk", foreign_key_at_the_srk_handle_is_named);
    ADD("p256", p256_is_used_where_p384_is_not);
    ADD("pinned", use_refuses_what_is_not_pinned);
    ADD("cleared", cleared_tpm_is_not_found);
    ADD("destroy", destroy_frees_all_but_the_srk);
    ADD("unmeasured-boot", unmeasured_boot_is_refused_unless_allowed);
    ADD("sha256-bank", sha256_bank_is_used_where_there_is_no_sha384);
    ADD("boot-check", boot_check_names_the_pcrs);
    return g_test_run();
}
