/*
 * Fuzz target: TPM structures from a report, a record or a TPM that lies.
 *
 * The first byte chooses the parser; the rest is the structure.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <vsm/error.h>

#include "tpm/structures.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

/* What was decoded must be usable without further checks. */
static void fuzz_key(GBytes *bytes)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmTpmKey) key = NULL;
    g_autoptr(GBytes) name = NULL;

    if (vsm_tpm_key_decode(bytes, &key, &error)) {
        g_assert_true(key->bytes == 32 || key->bytes == 48);
        g_assert_true(vsm_tpm_public_name(bytes, &name, &error));
        g_assert_true(g_bytes_equal(name, key->name));
    } else {
        g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
        g_assert_null(key);
    }
}

static void fuzz_name(GBytes *bytes)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) name = NULL;

    g_assert_true(vsm_tpm_public_name(bytes, &name, &error) == !error);
    g_assert_true(!name == !!error);
}

static void fuzz_signature(GBytes *bytes, guint coordinate)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) raw = NULL;

    if (vsm_tpm_signature_raw(bytes, coordinate, &raw, &error)) {
        g_autoptr(GBytes) der = vsm_tpm_signature_der(raw);

        g_assert_cmpuint(g_bytes_get_size(raw), ==, 2 * coordinate);
        g_assert_cmpuint(g_bytes_get_size(der), <=, 2 + 2 * (3 + coordinate));
    } else {
        g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
    }
}

static void fuzz_attest(GBytes *bytes)
{
    const VsmDigest extra = {{0}};
    const VsmTpmPcrs pcrs = {.bank = VSM_TPM_BANK_SHA384, .mask = 0x8000ff};

    for (guint kind = VSM_TPM_ATTEST_QUOTE; kind <= VSM_TPM_ATTEST_CERTIFY;
         kind++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(VsmTpmAttest) attest = NULL;

        if (vsm_tpm_attest_decode(bytes, kind, &attest, &error)) {
            g_assert_cmpuint(attest->kind, ==, kind);
            g_assert_nonnull(attest->extra_data);
            g_assert_cmphex(attest->pcrs >> VSM_TPM_PCRS, ==, 0);
        } else {
            g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
        }
    }
    /* Zero bytes as extraData, values that were never quoted: never true. */
    g_assert_false(
        vsm_tpm_quote_check(bytes, VSM_TPM_BANK_SHA384, &extra, &pcrs, NULL));
}

static void fuzz_pcrs(GBytes *bytes)
{
    g_autoptr(GError) error = NULL;
    VsmTpmPcrs pcrs;

    if (vsm_tpm_pcrs_unpack(VSM_TPM_BANK_SHA384, 0x8000ff, bytes, &pcrs,
                            &error)) {
        g_autoptr(GBytes) packed = vsm_tpm_pcrs_pack(&pcrs);

        g_assert_true(g_bytes_equal(packed, bytes));
    } else {
        g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
    }
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    g_autoptr(GBytes) bytes = NULL;

    if (size == 0) {
        return 0;
    }
    bytes = g_bytes_new(data + 1, size - 1);
    switch (data[0] % 6) {
    case 0:
        fuzz_key(bytes);
        break;
    case 1:
        fuzz_name(bytes);
        break;
    case 2:
        fuzz_signature(bytes, 32);
        break;
    case 3:
        fuzz_signature(bytes, 48);
        break;
    case 4:
        fuzz_attest(bytes);
        break;
    default:
        fuzz_pcrs(bytes);
        break;
    }
    return 0;
}
