/*
 * The request file of vsmctl: its known answer, written and read.
 *
 * QEMU is a stub with fixed answers here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp-stub.h"
#include "vsmctl-run.h"

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#define UUID "00112233-4455-6677-8899-aabbccddeeff"
#define NONCE "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

static char *fixture(const char *name)
{
    return g_test_build_filename(G_TEST_DIST, "..", "fixtures", name, NULL);
}

/* But for the nonce, which is a new one each time. */
static void test_request_is_written_as_it_always_was(void)
{
    g_autofree char *path = fixture("request-v1.json");
    g_autofree char *recipient = fixture("recipient-v1.jwk");
    g_autofree char *text = NULL, *made = NULL;
    g_auto(Run) run = vsmctl("request", "--vm", UUID, "--snapshot", "tag:clean",
                             "--scope=runtime", "--profile=strict",
                             "--recipient", recipient, NULL);
    json_auto_t *object = json_loads(run.out, 0, NULL);
    const char *nonce = json_string_value(json_object_get(object, "nonce"));
    g_auto(GStrv) parts = NULL;

    g_assert_cmpint(run.code, ==, 0);
    g_assert_nonnull(nonce);
    g_assert_cmpuint(strlen(nonce), ==, strlen(NONCE));
    g_assert_cmpstr(nonce, !=, NONCE);
    parts = g_strsplit(run.out, nonce, -1);
    made = g_strjoinv(NONCE, parts);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(made, ==, text);
}

static void
has_member(const json_t *arguments, const char *name, const char *is)
{
    g_assert_cmpstr(json_string_value(json_object_get(arguments, name)), ==,
                    is);
}

/* What QEMU is asked with it. */
static void test_request_is_read_as_it_always_was(void)
{
    static const StubAnswer answers[] = {
        {"query-vsm", "{\"return\": {\"uuid\": \"" UUID "\"}}", NULL, 0},
        {"vsm-attest", STUB_DONE, NULL, 0},
        {"query-jobs", STUB_JOB_ENDED, NULL, 0},
        {"job-dismiss", STUB_DONE, NULL, 0},
        {"query-vsm-report",
         "{\"return\": {\"operation\": \"attest\", \"scope\": \"runtime\", "
         "\"report\": \"aa.bb.cc.dd.ee\"}}",
         NULL, 0},
        {0},
    };
    g_autofree char *path = fixture("request-v1.json");
    g_autofree char *jwk = fixture("recipient-v1.jwk"), *jwk_text = NULL;
    g_autofree char *socket = in_scratch("request.sock");
    g_autoptr(Stub) stub = stub_new(socket, answers);
    g_auto(Run) run =
        vsmctl("attest", "--request", path, "--qmp", socket, NULL);
    json_auto_t *recipient = NULL, *expected = NULL;
    bool seen = false;

    g_assert_cmpstr(run.err, ==, "");
    g_assert_cmpint(run.code, ==, 5);
    g_assert_true(g_file_get_contents(jwk, &jwk_text, NULL, NULL));
    expected = json_loads(jwk_text, 0, NULL);
    for (guint i = 0; i < stub_received(stub)->len; i++) {
        json_auto_t *line = json_loads(stub_received(stub)->pdata[i], 0, NULL);
        const json_t *arguments = json_object_get(line, "arguments");
        const char *command =
            json_string_value(json_object_get(line, "execute"));

        if (g_strcmp0(command, "vsm-attest") != 0) {
            continue;
        }
        seen = true;
        has_member(arguments, "snapshot", "tag:clean");
        has_member(arguments, "nonce", NONCE);
        has_member(arguments, "scope", "runtime");
        has_member(arguments, "profile", "strict");
        recipient = json_loads(
            json_string_value(json_object_get(arguments, "recipient")), 0,
            NULL);
        g_assert_true(json_equal(recipient, expected));
    }
    g_assert_true(seen);
}

/* An unknown version or member is of a later vsmctl. */
static void test_other_requests_are_refused(void)
{
    g_autofree char *path = fixture("request-v1.json");
    g_autofree char *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    for (guint i = 0; i < 2; i++) {
        json_auto_t *object = json_loads(text, 0, NULL);
        g_autofree char *changed = NULL;
        char *dumped;

        json_object_set_new(object, i ? "later" : "version", json_integer(2));
        dumped = json_dumps(object, 0);
        changed = write_file("changed.json", dumped);
        free(dumped);
        {
            g_auto(Run) run = vsmctl("attest", "--request", changed,
                                     "--qmp=/nonexistent", NULL);

            g_assert_cmpint(run.code, ==, 2);
            says(run.err, "changed.json");
        }
    }
}

int main(int argc, char **argv)
{
    int rc;

    g_test_init(&argc, &argv, NULL);
    scratch_begin();
    g_test_add_func("/vsmctl-request/is-written-as-it-always-was",
                    test_request_is_written_as_it_always_was);
    g_test_add_func("/vsmctl-request/is-read-as-it-always-was",
                    test_request_is_read_as_it_always_was);
    g_test_add_func("/vsmctl-request/others-are-refused",
                    test_other_requests_are_refused);
    rc = g_test_run();
    scratch_end();
    return rc;
}
