/*
 * The commit index: exact, monotone, and known also after a lost answer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tpm-fixture.h"

#include <string.h>

static VsmDigest read_index(Host *host)
{
    g_autoptr(GError) error = NULL;
    VsmDigest value;
    bool written;

    g_assert_true(vsm_tpm_nv_read(host->tpm, &value, &written, &error));
    g_assert_no_error(error);
    g_assert_true(written);
    return value;
}

static void assert_index(Host *host, const VsmDigest *expected)
{
    VsmDigest now = read_index(host);

    g_assert_cmpmem(now.b, sizeof(now.b), expected->b, sizeof(expected->b));
}

/* As set-up does it: the first, empty catalogue. */
static VsmDigest first_commit(Host *host)
{
    VsmDigest zero = {{0}};
    VsmDigest body = digest_of("empty catalogue");
    VsmDigest value;
    g_autoptr(GError) error = NULL;

    g_assert_true(vsm_tpm_nv_extend(host->tpm, &zero, &body, &value, &error));
    g_assert_no_error(error);
    return value;
}

static void test_index_holds_the_chain_of_bodies(void)
{
    g_autoptr(Host) host = host_new(NULL);
    VsmDigest value, before, body, expected;
    bool written = true;

    g_assert_true(vsm_tpm_nv_read(host->tpm, &value, &written, NULL));
    g_assert_false(written);
    value = first_commit(host);
    assert_index(host, &value);
    for (guint i = 0; i < 5; i++) {
        g_autofree char *text = g_strdup_printf("catalogue %u", i);
        guint8 both[96];
        gsize size = 48;
        g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA384);

        before = value;
        body = digest_of(text);
        g_assert_true(
            vsm_tpm_nv_extend(host->tpm, &before, &body, &value, NULL));
        memcpy(both, before.b, 48);
        memcpy(both + 48, body.b, 48);
        g_checksum_update(sum, both, sizeof(both));
        g_checksum_get_digest(sum, expected.b, &size);
        g_assert_true(vsm_digest_equal(&value, &expected));
        assert_index(host, &expected);
    }
}

static void test_index_survives_kill_and_restart(void)
{
    g_autoptr(Host) host = host_new(NULL);
    VsmDigest value = first_commit(host);

    swtpm_kill(host->swtpm);
    host_close(host);
    swtpm_start(host->swtpm);
    host_open(host);
    assert_index(host, &value);
}

static void test_lost_answer_of_a_done_extend_is_a_success(void)
{
    g_autoptr(Host) host = host_new(NULL);
    VsmDigest before = first_commit(host);
    VsmDigest body = digest_of("catalogue");
    VsmDigest after;
    g_autoptr(GError) error = NULL;

    tap_reset(host->tap);
    host->tap->lose_code = TPM2_CC_NV_Extend;
    g_assert_true(vsm_tpm_nv_extend(host->tpm, &before, &body, &after, &error));
    g_assert_no_error(error);
    assert_index(host, &after);
    g_assert_cmpuint(tap_count(host->tap, TPM2_CC_NV_Extend), ==, 1);
}

static guint32 refuse(Tap *tap, guint32 code, gpointer opaque)
{
    (void)tap;
    return code == TPM2_CC_NV_Extend ? GPOINTER_TO_UINT(opaque) : 0;
}

static void test_refused_extend_is_a_definite_failure(void)
{
    g_autoptr(Host) host = host_new(NULL);
    VsmDigest before = first_commit(host);
    VsmDigest body = digest_of("catalogue");
    VsmDigest after = {{7}};
    VsmDigest untouched = after;
    g_autoptr(GError) error = NULL;

    host->tap->hook = refuse;
    host->tap->opaque = GUINT_TO_POINTER(TPM2_RC_FAILURE);
    g_assert_false(
        vsm_tpm_nv_extend(host->tpm, &before, &body, &after, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_TPM);
    g_assert_true(vsm_digest_equal(&after, &untouched));
    assert_index(host, &before);
}

/* The answer is lost, and so is the TPM. */
static guint32 kill_tpm(Tap *tap, guint32 code, gpointer opaque)
{
    Host *host = opaque;

    (void)tap;
    if (code == TPM2_CC_NV_Extend) {
        swtpm_kill(host->swtpm);
    }
    return 0;
}

static void test_unreadable_outcome_is_in_doubt(void)
{
    g_autoptr(Host) host = host_new(NULL);
    VsmDigest before = first_commit(host);
    VsmDigest body = digest_of("catalogue");
    VsmDigest after;
    g_autoptr(GError) error = NULL;

    host->tap->hook = kill_tpm;
    host->tap->opaque = host;
    g_assert_false(
        vsm_tpm_nv_extend(host->tpm, &before, &body, &after, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_IN_DOUBT);
    host->tap->hook = NULL;
    swtpm_start(host->swtpm);
    assert_index(host, &before); /* over a new connection, without help */
}

static void test_foreign_value_is_told_apart(void)
{
    g_autoptr(Host) host = host_new(NULL);
    VsmDigest body = digest_of("catalogue");
    VsmDigest wrong = digest_of("never held");
    VsmDigest after;
    g_autoptr(GError) error = NULL;

    first_commit(host);
    host->tap->lose_code = TPM2_CC_NV_Extend;
    g_assert_false(vsm_tpm_nv_extend(host->tpm, &wrong, &body, &after, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_REPLAYED);
}

static void test_nv_write_rate_is_waited_for(void)
{
    g_autoptr(Host) host = host_new(NULL);
    VsmDigest before = first_commit(host);
    VsmDigest body = digest_of("catalogue");
    VsmDigest after;
    g_autoptr(GError) error = NULL;
    VsmTpmTransport transport = tap_transport(host->tap);

    /* A TPM that never allows the write: BUSY, within the deadline. */
    host_close(host);
    host->tpm = vsm_tpm_open_over(host->swtpm->tcti, &transport, 500, &error);
    g_assert_no_error(error);
    g_assert_true(
        vsm_tpm_keys_use(host->tpm, host->secret, host_id, host->keys, &error));
    tap_reset(host->tap);
    host->tap->hook = refuse;
    host->tap->opaque = GUINT_TO_POINTER(TPM2_RC_NV_RATE);
    g_assert_false(
        vsm_tpm_nv_extend(host->tpm, &before, &body, &after, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BUSY);
    g_assert_cmpuint(tap_count(host->tap, TPM2_CC_NV_Extend), >, 2);
    host->tap->hook = NULL;
    assert_index(host, &before);
}

static void test_certify_names_index_and_whole_value(void)
{
    g_autoptr(Host) host = host_new(NULL);
    g_autoptr(GBytes) other = g_bytes_new_static("other", 5);
    VsmDigest value = first_commit(host);
    VsmDigest extra = digest_of("seal");
    VsmDigest wrong = digest_of("another seal");
    g_auto(VsmTpmEvidence) evidence = {0};
    g_autoptr(GError) error = NULL;
    VsmDigest got;
    GBytes *name = host->keys->commit_index_name;

    g_assert_true(vsm_tpm_nv_certify(host->tpm, &extra, &evidence, &error));
    g_assert_no_error(error);
    g_assert_true(
        vsm_tpm_nv_check(evidence.attest, name, &extra, &got, &error));
    g_assert_no_error(error);
    g_assert_true(vsm_digest_equal(&got, &value));
    g_assert_false(
        vsm_tpm_nv_check(evidence.attest, name, &wrong, &got, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_TAMPERED);
    g_clear_error(&error);
    g_assert_false(
        vsm_tpm_nv_check(evidence.attest, other, &extra, &got, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_TAMPERED);
}

/* The owner can destroy the index, but not make one that goes back. */
static void test_owner_cannot_forge_the_index(void)
{
    g_autoptr(Host) host = host_new(NULL);
    VsmDigest value = first_commit(host);
    g_autoptr(GError) error = NULL;
    g_autofree char *line = g_strdup_printf(
        "tpm2_nvundefine -C o 0x%x; tpm2_nvdefine -C o -s 48 -g sha384 -a "
        "'authread|authwrite|no_da|nt=extend' 0x%x; "
        "head -c 48 /dev/zero | tpm2_nvextend -C 0x%x -i - 0x%x",
        host->keys->commit_index, host->keys->commit_index,
        host->keys->commit_index, host->keys->commit_index);

    host_close(host);
    g_free(swtpm_tool(host->swtpm, line));
    host_open(host); /* the Name is the same */
    g_assert_false(vsm_tpm_nv_read(host->tpm, &value, NULL, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_TPM);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, name) g_test_add_func("/tpm/commit/" path, test_##name)
    ADD("chain", index_holds_the_chain_of_bodies);
    ADD("survives-kill", index_survives_kill_and_restart);
    ADD("lost-answer", lost_answer_of_a_done_extend_is_a_success);
    ADD("refused", refused_extend_is_a_definite_failure);
    ADD("in-doubt", unreadable_outcome_is_in_doubt);
    ADD("foreign-value", foreign_value_is_told_apart);
    ADD("write-rate", nv_write_rate_is_waited_for);
    ADD("certify", certify_names_index_and_whole_value);
    ADD("owner", owner_cannot_forge_the_index);
    return g_test_run();
}
