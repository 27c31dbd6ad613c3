/*
 * Credentials against tpm2-tools, in both directions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "enroll-fixture.h"

#include <string.h>
#include <vsm/error.h>
#include "crypto/credential.h"
#include "tpm/enroll.h"

static const char secret_text[VSM_CREDENTIAL_BYTES + 1] =
    "0123456789abcdefghijklmnopqrstuv";

/* How tpm2-tools satisfy each key's policy. */
static const struct {
    const char *name, *handle, *hash, *branch;
    VsmTpmEkKind kind;
} kinds[] = {
    {"rsa-2048", "0x81010001", "sha256", "true", VSM_TPM_EK_RSA2048},
    {"p-384", "0x81010016", "sha384",
     "tpm2_policyor -S s.ctx -l sha384:a.policy,c.policy", VSM_TPM_EK_P384},
};

static GBytes *ek_public(Swtpm *swtpm, const char *handle)
{
    g_autofree char *line =
        g_strdup_printf("tpm2_readpublic -Q -c %s -f tss -o ek.tss", handle);
    g_autoptr(GBytes) sized = NULL;

    g_free(swtpm_tool(swtpm, line));
    sized = swtpm_get(swtpm, "ek.tss"); /* TPM2B_PUBLIC */
    return g_bytes_new_from_bytes(sized, 2, g_bytes_get_size(sized) - 2);
}

static VsmEkKey key_of(const VsmTpmEk *ek)
{
    return (VsmEkKey){
        .hash =
            ek->hash == VSM_TPM_BANK_SHA384 ? VSM_HASH_SHA384 : VSM_HASH_SHA256,
        .aes_bytes = ek->aes_bits / 8,
        .modulus = ek->modulus,
        .exponent = ek->exponent,
        .curve = ek->curve_bytes == 48 ? VSM_CURVE_P384 : VSM_CURVE_P256,
        .x = ek->x,
        .y = ek->y,
    };
}

/* A credential file of tpm2-tools: magic, version, both structures. */
static GBytes *tool_file(GBytes *blob, GBytes *secret)
{
    static const guint8 head[] = {0xba, 0xdc, 0xc0, 0xde, 0, 0, 0, 1};
    GByteArray *file = g_byte_array_new();

    g_byte_array_append(file, head, sizeof(head));
    g_byte_array_append(file, g_bytes_get_data(blob, NULL),
                        g_bytes_get_size(blob));
    g_byte_array_append(file, g_bytes_get_data(secret, NULL),
                        g_bytes_get_size(secret));
    return g_byte_array_free_to_bytes(file);
}

/* The branches of the P-384 key's policy, as files. */
static void put_branches(Swtpm *swtpm)
{
    g_free(swtpm_tool(
        swtpm,
        "printf 8bbf2266537c171cb56e403c4dc1d4b64f432611dc386e6f532050c3278c93"
        "0e143e8bb1133824ccb431053871c6db53 | xxd -r -p > a.policy; "
        "printf d6032ce61f2fb3c240eb3cf6a33237ef2b6a16f4293c22b455e261cffd217a"
        "d5b4947c2d73e63005eed2dc2b3593d165 | xxd -r -p > c.policy"));
}

static void make_ak(Swtpm *swtpm)
{
    g_free(swtpm_tool(
        swtpm,
        "tpm2_createprimary -Q -C o -c primary.ctx; tpm2_flushcontext -t; "
        "tpm2_create -Q -C primary.ctx -u ak.pub -r ak.priv -G ecc:ecdsa:null "
        "-a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|"
        "sign'; tpm2_flushcontext -t; "
        "tpm2_load -Q -C primary.ctx -u ak.pub -r ak.priv -c ak.ctx "
        "-n ak.name; tpm2_flushcontext -t"));
}

static void test_tpm2_activatecredential_opens_ours(gconstpointer data)
{
    guint i = GPOINTER_TO_UINT(data);
    g_autoptr(Swtpm) swtpm = swtpm_new_from_maker(0);
    g_autoptr(GBytes) public = ek_public(swtpm, kinds[i].handle);
    g_autoptr(VsmTpmEk) ek = NULL;
    g_autoptr(VsmSecret) secret =
        vsm_secret_new_copy(secret_text, VSM_CREDENTIAL_BYTES, NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *line = NULL;
    VsmEkKey key;

    make_ak(swtpm);
    put_branches(swtpm);
    vsm_tpm_ek_decode(public, &ek, &error);
    g_assert_no_error(error);
    key = key_of(ek);
    line = g_strdup_printf(
        "tpm2_startauthsession --policy-session -g %s -S s.ctx; "
        "tpm2_policysecret -Q -S s.ctx -c e; %s; "
        "tpm2_activatecredential -Q -c ak.ctx -C %s -i ours.cred -o opened "
        "-P session:s.ctx; tpm2_flushcontext s.ctx; tpm2_flushcontext -t",
        kinds[i].hash, kinds[i].branch, kinds[i].handle);
    /* Often: lengths that depend on chance would show. */
    for (guint run = 0; run < 10; run++) {
        g_autoptr(GBytes) name = swtpm_get(swtpm, "ak.name");
        g_autoptr(GBytes) blob = NULL, encrypted = NULL;
        g_autoptr(GBytes) file = NULL, opened = NULL;

        vsm_make_credential(&key, name, secret, &blob, &encrypted, &error);
        g_assert_no_error(error);
        file = tool_file(blob, encrypted);
        swtpm_put(swtpm, "ours.cred", file);
        g_free(swtpm_tool(swtpm, line));
        opened = swtpm_get(swtpm, "opened");
        g_assert_cmpmem(g_bytes_get_data(opened, NULL),
                        g_bytes_get_size(opened), secret_text,
                        VSM_CREDENTIAL_BYTES);
    }
}

static void test_we_open_tpm2_makecredentials(gconstpointer data)
{
    guint i = GPOINTER_TO_UINT(data);
    g_autoptr(Store) store = store_new_on(swtpm_new_from_maker(0));
    Swtpm *swtpm = store->swtpm;
    g_autoptr(GBytes) plain = g_bytes_new_static(secret_text, 32);
    g_autoptr(GBytes) name =
        g_bytes_ref(vsm_tpm_keys(store->host->tpm)->ak_name);
    g_autoptr(GBytes) file = NULL, blob = NULL, encrypted = NULL;
    g_autoptr(VsmSecret) opened = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *line = NULL;
    const guint8 *bytes;
    gsize size, first;

    swtpm_put(swtpm, "plain", plain);
    swtpm_put(swtpm, "name", name);
    store_close(store);
    line = g_strdup_printf("tpm2_readpublic -Q -c %s -f pem -o ek.pem; "
                           "tpm2_readpublic -Q -c %s -f tss -o ek.tss; "
                           "tpm2_makecredential -Q -e ek.tss -s plain "
                           "-n $(xxd -p -c 200 name) -o theirs.cred",
                           kinds[i].handle, kinds[i].handle);
    g_free(swtpm_tool(swtpm, line));
    file = swtpm_get(swtpm, "theirs.cred");
    bytes = g_bytes_get_data(file, &size);
    first = 8 + 2 + (bytes[8] << 8 | bytes[9]);
    blob = g_bytes_new_from_bytes(file, 8, first - 8);
    encrypted = g_bytes_new_from_bytes(file, first, size - first);
    store_reopen(store);
    vsm_tpm_activate(store->host->tpm, kinds[i].kind, blob, encrypted, &opened,
                     &error);
    g_assert_no_error(error);
    g_assert_cmpmem(vsm_secret_peek(opened), vsm_secret_bytes(opened),
                    secret_text, VSM_CREDENTIAL_BYTES);
    /* The credential never crossed the bus in clear. */
    g_assert_false(tap_saw(store->tap, (const guint8 *)secret_text, 32));
}

static GBytes *flipped(GBytes *bytes, gsize offset)
{
    gsize size;
    const guint8 *data = g_bytes_get_data(bytes, &size);
    guint8 *copy = g_memdup2(data, size);

    g_assert_cmpuint(offset, <, size);
    copy[offset] ^= 1;
    return g_bytes_new_take(copy, size);
}

static void
activate_refused(Store *store, guint i, GBytes *blob, GBytes *secret, int code)
{
    g_autoptr(VsmSecret) opened = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_false(vsm_tpm_activate(store->host->tpm, kinds[i].kind, blob,
                                    secret, &opened, &error));
    g_assert_error(error, VSM_ERROR, code);
    g_assert_null(opened);
}

static void test_altered_credential_is_refused(gconstpointer data)
{
    guint i = GPOINTER_TO_UINT(data);
    g_autoptr(Store) store = store_new_on(swtpm_new_from_maker(0));
    g_autoptr(GBytes) public = NULL, blob = NULL, secret = NULL;
    g_autoptr(VsmTpmEk) ek = NULL;
    g_autoptr(VsmSecret) plain =
        vsm_secret_new_copy(secret_text, VSM_CREDENTIAL_BYTES, NULL);
    g_autoptr(GError) error = NULL;
    gsize blob_size;
    VsmEkKey key;

    vsm_tpm_ek_public(store->host->tpm, kinds[i].kind, &public, &error);
    g_assert_no_error(error);
    vsm_tpm_ek_decode(public, &ek, &error);
    g_assert_no_error(error);
    key = key_of(ek);
    vsm_make_credential(&key, vsm_tpm_keys(store->host->tpm)->ak_name, plain,
                        &blob, &secret, &error);
    g_assert_no_error(error);
    blob_size = g_bytes_get_size(blob);
    for (gsize offset = 0; offset < blob_size; offset += 7) {
        g_autoptr(GBytes) altered = flipped(blob, offset);
        /* The first two bytes are its size; the next two the HMAC's. */
        int code = offset < 2 ? VSM_ERROR_FORMAT : VSM_ERROR_TAMPERED;

        activate_refused(store, i, altered, secret, code);
    }
    {
        g_autoptr(GBytes) altered = flipped(secret, 20);
        g_autoptr(GBytes) cut = g_bytes_new_from_bytes(secret, 0, 10);
        g_autoptr(GBytes) name =
            flipped(vsm_tpm_keys(store->host->tpm)->rk_name, 10);
        g_autoptr(GBytes) other_blob = NULL, other_secret = NULL;

        activate_refused(store, i, blob, altered, VSM_ERROR_TAMPERED);
        activate_refused(store, i, blob, cut, VSM_ERROR_FORMAT);
        /* Made for another key than the AK. */
        vsm_make_credential(&key, name, plain, &other_blob, &other_secret,
                            &error);
        g_assert_no_error(error);
        activate_refused(store, i, other_blob, other_secret,
                         VSM_ERROR_TAMPERED);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        const gconstpointer which = GUINT_TO_POINTER(i);
        g_autofree char *a = g_strdup_printf(
            "/enroll-credential/tpm2-activatecredential-opens-ours/%s",
            kinds[i].name);
        g_autofree char *b = g_strdup_printf(
            "/enroll-credential/we-open-tpm2-makecredentials/%s",
            kinds[i].name);
        g_autofree char *c = g_strdup_printf(
            "/enroll-credential/altered-credential-is-refused/%s",
            kinds[i].name);

        g_test_add_data_func(a, which, test_tpm2_activatecredential_opens_ours);
        g_test_add_data_func(b, which, test_we_open_tpm2_makecredentials);
        g_test_add_data_func(c, which, test_altered_credential_is_refused);
    }
    return g_test_run();
}
