/*
 * Fuzz target: every file of the store that the host parses, and
 * /proc/PID/maps.
 *
 * The first byte chooses the parser.  The host file is parsed behind its HMAC,
 * so that mutants reach the parser.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "base/text.h"
#include "host/evidence.h"
#include "host/hostfile.h"
#include "host/mappings.h"
#include "host/pending.h"
#include "store/catalogue.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

/* What was read is what would be written: no second form of one content. */
static void fuzz_catalogue(GBytes *bytes)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmCatalogue) catalogue =
        vsm_catalogue_decode(bytes, "fuzz", &error);
    g_autoptr(GBytes) again = NULL;

    g_assert_true(!catalogue == !!error);
    if (!catalogue) {
        return;
    }
    again = vsm_catalogue_encode(catalogue, NULL);
    g_assert_true(g_bytes_equal(bytes, again));
    for (guint i = 0; i < catalogue->entries->len; i++) {
        const VsmEntry *entry = &g_array_index(catalogue->entries, VsmEntry, i);

        g_assert_true(vsm_text_is_uuid(entry->uuid));
        g_assert_true(vsm_text_is_id(entry->id));
        g_assert_true(vsm_catalogue_find(catalogue, entry->uuid, entry->id) ==
                      entry);
    }
}

static void fuzz_signed(GBytes *bytes)
{
    g_autoptr(GError) error = NULL;
    g_auto(VsmSigned) file = {NULL};
    g_autoptr(GBytes) again = NULL;
    bool ok = vsm_signed_decode(bytes, "fuzz", &file, &error);

    g_assert_true(ok == !error);
    if (ok) {
        again = vsm_signed_encode(&file, NULL);
        g_assert_true(g_bytes_equal(bytes, again));
        fuzz_catalogue(file.body);
    } else {
        g_assert_null(file.body);
    }
}

static void fuzz_host_file(GBytes *file_bytes)
{
    g_autoptr(GVariant) outer =
        g_variant_new_from_bytes(G_VARIANT_TYPE("(ayay)"), file_bytes, false);
    g_autoptr(GVariant) body = g_variant_get_child_value(outer, 0);
    g_autoptr(GBytes) bytes = g_variant_get_data_as_bytes(body);
    g_autoptr(GError) error = NULL;
    g_auto(VsmHostFile) file = {NULL};
    bool ok = vsm_host_file_parse(bytes, &file, &error);

    g_assert_true(ok == !error);
    if (ok) {
        g_assert_true(vsm_text_is_id(file.id));
        g_assert_true(!file.keys || file.keys->ak_public);
    } else {
        g_assert_null(file.id);
    }
}

static void fuzz_evidence(GBytes *bytes)
{
    g_autoptr(GError) error = NULL;
    g_auto(VsmTpmEvidence) evidence = {NULL};
    VsmDigest body;

    g_assert_true(vsm_evidence_decode(bytes, &body, &evidence, &error) ==
                  !error);
}

static void fuzz_mappings(GBytes *bytes)
{
    gsize size;
    const char *data = g_bytes_get_data(bytes, &size);
    g_autofree char *text = g_strndup(data ? data : "", size);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) mappings = vsm_mappings_parse(text, &error);

    g_assert_true(!mappings == !!error);
}

/* What is shown and signed is what was read. */
static void fuzz_operator(GBytes *bytes)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VsmOperatorRequest) request =
        vsm_operator_request_decode(bytes, &error);
    g_autoptr(GBytes) again = NULL;
    g_autoptr(GBytes) message = NULL;
    g_autofree char *text = NULL;

    g_assert_true(!request == !!error);
    g_assert_true(vsm_operator_describe(bytes, &text, NULL) == !!request);
    g_assert_true(vsm_operator_to_sign(bytes, &message, NULL) == !!request);
    if (request) {
        again = vsm_operator_request_encode(request, NULL);
        g_assert_true(g_bytes_equal(bytes, again));
        for (const char *p = text; *p; p++) {
            g_assert_true(g_ascii_isprint(*p) || *p == 0x09 || *p == 0x0a);
        }
    }
}

static void fuzz_approved(GBytes *bytes)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) states = vsm_approved_decode(bytes, &error);

    g_assert_true(!states == !!error);
    g_assert_true(!states || states->len <= VSM_TPM_STATES_MAX);
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    static void (*const targets[])(GBytes *) = {
        fuzz_catalogue, fuzz_signed,   fuzz_host_file, fuzz_evidence,
        fuzz_mappings,  fuzz_operator, fuzz_approved,
    };
    g_autoptr(GBytes) bytes = NULL;

    if (size == 0) {
        return 0;
    }
    bytes = g_bytes_new(data + 1, size - 1);
    targets[data[0] % G_N_ELEMENTS(targets)](bytes);
    return 0;
}
