/*
 * The verdict on what was measured of a saved state: only what is equal
 * matches.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fake-vm.h"

#include <vsm/error.h>

#include "core/metadata.h"
#include "core/stream.h"
#include "crypto/hash.h"
#include "host/verdict.h"

/* A save of the fake VM, kept as documents. */
typedef struct {
    FakeVm *vm;
    GBytes *manifest, *document;
    VsmSealedState sealed;
} Sealed;

static void sealed_set_up(Sealed *f, G_GNUC_UNUSED gconstpointer data)
{
    static const guint8 page[VSM_PAGE_BYTES] = {1};
    g_autoptr(GBytes) bytes = g_bytes_new_static(page, sizeof(page));
    g_autoptr(VsmStream) stream = NULL;
    VsmRamBlock block = {.idstr = "ram", .bytes = sizeof(page)};

    f->vm = fake_vm_new();
    stream = vsm_stream_new_save(f->vm->pool, NULL, NULL);
    g_assert_true(vsm_stream_set_ram(stream, &block, 1, NULL));
    vsm_stream_page(stream, 0, 0, 0);
    g_assert_true(vsm_stream_feed(stream, bytes, NULL));
    g_assert_true(vsm_stream_finish(stream, NULL));
    g_assert_true(
        vsm_stream_documents(stream, &f->manifest, &f->document, NULL));
    f->sealed.purpose = VSM_PURPOSE_FULL;
    f->sealed.manifest = f->manifest;
    f->sealed.document = f->document;
    f->sealed.unsealed = true;
    g_assert_true(vsm_sha384_bytes(f->manifest, &f->sealed.state, NULL));
    g_assert_true(vsm_sha384_bytes(f->document, &f->sealed.stream, NULL));
    g_assert_true(vsm_seal_digest(&f->sealed.state, &f->sealed.stream,
                                  &f->sealed.scope, &f->sealed.seal, NULL));
}

static void sealed_tear_down(Sealed *f, G_GNUC_UNUSED gconstpointer data)
{
    g_bytes_unref(f->manifest);
    g_bytes_unref(f->document);
    fake_vm_free(f->vm);
}

static guint result_of(Sealed *f, GBytes *document, const VsmMeasured *measured)
{
    g_autoptr(VsmVerdict) verdict = NULL;
    g_autoptr(GError) error = NULL;

    vsm_verdict_build(&f->sealed, document, measured, &verdict, &error);
    g_assert_no_error(error);
    g_assert_true((verdict->result == VSM_RESULT_MISMATCH) ==
                  (verdict->findings->len > 0));
    return verdict->result;
}

static void test_equal_documents_match(Sealed *f,
                                       G_GNUC_UNUSED gconstpointer data)
{
    VsmMeasured measured = {.bytes_hashed = 4096};

    g_assert_cmpuint(result_of(f, f->manifest, &measured), ==,
                     VSM_RESULT_MATCH);
    f->sealed.purpose = VSM_PURPOSE_STORED;
    g_assert_cmpuint(result_of(f, f->document, &measured), ==,
                     VSM_RESULT_MATCH);
}

/* The documents agree, but not with what the TPM released. */
static void
test_another_unsealed_digest_is_a_mismatch(Sealed *f,
                                           G_GNUC_UNUSED gconstpointer data)
{
    VsmMeasured measured = {.bytes_hashed = 4096};

    f->sealed.seal.b[47] ^= 1;
    g_assert_cmpuint(result_of(f, f->manifest, &measured), ==,
                     VSM_RESULT_MISMATCH);
}

/* A measurer that says "changed" beside an equal root is not believed. */
static void
test_changed_range_is_never_a_match(Sealed *f, G_GNUC_UNUSED gconstpointer data)
{
    VsmFinding finding = {.kind = "ram", .where = (char *)"ram", .bytes = 4096};
    g_autoptr(GPtrArray) changed = g_ptr_array_new();
    VsmMeasured measured = {.changed = changed};
    VsmMeasured counted = {.changed_left_out = 1};

    g_ptr_array_add(changed, &finding);
    g_assert_cmpuint(result_of(f, f->manifest, &measured), ==,
                     VSM_RESULT_MISMATCH);
    g_assert_cmpuint(result_of(f, f->manifest, &counted), ==,
                     VSM_RESULT_MISMATCH);
}

static void test_accepted_form_that_was_not_needed_is_no_excuse(
    Sealed *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GPtrArray) accepted = g_ptr_array_new();
    VsmMeasured measured = {.accepted = accepted};

    g_ptr_array_add(accepted, (gpointer) "fake-device/0");
    g_assert_cmpuint(result_of(f, f->manifest, &measured), ==,
                     VSM_RESULT_MATCH);
    f->sealed.seal.b[0] ^= 1;
    g_assert_cmpuint(result_of(f, f->manifest, &measured), ==,
                     VSM_RESULT_MISMATCH);
}

static void
test_unknown_kind_of_range_is_invalid(Sealed *f,
                                      G_GNUC_UNUSED gconstpointer data)
{
    VsmFinding finding = {
        .kind = "\033[31mram", .where = (char *)"ram", .bytes = 4096};
    g_autoptr(GPtrArray) changed = g_ptr_array_new();
    VsmMeasured measured = {.changed = changed};
    g_autoptr(VsmVerdict) verdict = NULL;
    g_autoptr(GError) error = NULL;

    g_ptr_array_add(changed, &finding);
    g_assert_false(vsm_verdict_build(&f->sealed, f->manifest, &measured,
                                     &verdict, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
}

static void test_garbage_document_is_an_error(Sealed *f,
                                              G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GBytes) garbage = g_bytes_new_static("garbage", 7);
    VsmMeasured measured = {.bytes_hashed = 1};
    g_autoptr(VsmVerdict) verdict = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_false(
        vsm_verdict_build(&f->sealed, garbage, &measured, &verdict, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
}

static void test_unavailable_needs_no_document(Sealed *f,
                                               G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GBytes) none = g_bytes_new_static("", 0);
    VsmMeasured measured = {.unavailable = "guest not ready"};

    g_assert_cmpuint(result_of(f, none, &measured), ==, VSM_RESULT_UNAVAILABLE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, func)                                                        \
    g_test_add("/host-parts/" path, Sealed, NULL, sealed_set_up, func,         \
               sealed_tear_down)
    ADD("equal-documents-match", test_equal_documents_match);
    ADD("another-unsealed-digest-is-a-mismatch",
        test_another_unsealed_digest_is_a_mismatch);
    ADD("changed-range-is-never-a-match", test_changed_range_is_never_a_match);
    ADD("accepted-form-that-was-not-needed-is-no-excuse",
        test_accepted_form_that_was_not_needed_is_no_excuse);
    ADD("unknown-kind-of-range-is-invalid",
        test_unknown_kind_of_range_is_invalid);
    ADD("garbage-document-is-an-error", test_garbage_document_is_an_error);
    ADD("unavailable-needs-no-document", test_unavailable_needs_no_document);
    return g_test_run();
}
