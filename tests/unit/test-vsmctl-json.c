/*
 * vsmctl --json: each act on a host or a trust file is told as one object.
 *
 * On an swtpm; the operator's key is a file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host-fixture.h"
#include "report-fixture.h"
#include "vsmctl-run.h"

#include <jansson.h>
#include <string.h>

/* Nothing, or what was about to be signed, for whoever signs. */
static void assert_nothing_but_what_is_signed(const char *err)
{
    json_auto_t *shown = NULL;

    if (*err) {
        shown = json_loads(err, 0, NULL);
        g_assert_true(json_is_array(shown));
        g_assert_cmpuint(json_array_size(shown), >, 0);
    }
}

/* The one JSON value that a successful run printed. */
static json_t *json_of(Run run)
{
    json_t *value;

    assert_nothing_but_what_is_signed(run.err);
    g_assert_cmpint(run.code, ==, 0);
    value = json_loads(run.out, 0, NULL);
    if (!value) {
        g_error("not one JSON value: '%s'", run.out);
    }
    run_clear(&run);
    return value;
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static bool done(const json_t *object)
{
    return json_is_true(json_object_get(object, "done"));
}

typedef struct {
    Store *store; /* closed: vsmctl opens it */
    char *tcti, *dir, *secret, *key; /* options */
    char *id; /* of the snapshot "one" */
} OnHost;

static void on_host_clear(OnHost *on)
{
    store_free(on->store);
    g_free(on->tcti);
    g_free(on->dir);
    g_free(on->secret);
    g_free(on->key);
    g_free(on->id);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(OnHost, on_host_clear)

static OnHost on_host_new(void)
{
    Store *store = store_new_operator("prime256v1");
    OnHost on = {.store = store};

    store_approve(store, 0);
    on.id = store_save(store, "one", false);
    on.tcti = g_strconcat("--tcti=", store->swtpm->tcti, NULL);
    on.dir = g_strconcat("--state-dir=", store->state, NULL);
    on.secret = g_strconcat("--secret=", store->secret, NULL);
    on.key = g_strconcat("--key=", store->dir, "/operator.key", NULL);
    return on;
}

/* The VM, as 'vsmctl status --json' has it, with one more line. */
static json_t *identity_of(Store *store)
{
    g_autoptr(VsmStatus) status = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *hypervisor = NULL;
    VsmVm vm = {.uuid = (char *)FAKE_UUID, .config = (char *)FAKE_CONFIG};

    vsm_attester_status(store->attester, &vm, &status, NULL, &error);
    g_assert_no_error(error);
    hypervisor = vsm_digest_hex(&status->hypervisor);
    return json_pack("{s:s, s:s, s:s}", "uuid", FAKE_UUID, "config-text",
                     FAKE_CONFIG "smp 2\n", "hypervisor", hypervisor);
}

static void test_policy(void)
{
    g_auto(OnHost) on = on_host_new();
    json_auto_t *approved = NULL, *revoked = NULL;

    store_close(on.store);
    approved = json_of(vsmctl("policy", "approve", "--json", on.tcti, on.dir,
                              on.secret, on.key, NULL));
    g_assert_true(done(approved));
    revoked = json_of(vsmctl("policy", "revoke", "all", "--json", on.tcti,
                             on.dir, on.secret, on.key, NULL));
    g_assert_true(done(revoked));
}

/* Where the operator's key is: what is signed for, and where it went. */
static void test_sign(void)
{
    g_auto(OnHost) on = on_host_new();
    g_autofree char *request = in_scratch("request");
    g_autofree char *signature = in_scratch("signature");
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(GError) error = NULL;
    json_auto_t *object = NULL;
    const json_t *first;

    vsm_host_approve_begin(on.store->host, NULL, 0, &bytes, &error);
    g_assert_no_error(error);
    g_file_set_contents(request, g_bytes_get_data(bytes, NULL),
                        g_bytes_get_size(bytes), &error);
    g_assert_no_error(error);
    object = json_of(
        vsmctl("policy", "sign", request, signature, "--json", on.key, NULL));
    g_assert_cmpstr(text_of(object, "signature"), ==, signature);
    first = json_array_get(json_object_get(object, "request"), 0);
    g_assert_cmpstr(text_of(first, "what"), ==, "operation");
    g_assert_cmpstr(text_of(first, "value"), ==, "approve");
    g_assert_true(g_file_test(signature, G_FILE_TEST_EXISTS));
}

static void test_reseal(void)
{
    g_auto(OnHost) on = on_host_new();
    json_auto_t *made = identity_of(on.store);
    char *text = json_dumps(made, 0);
    g_autofree char *path = write_file("identity.json", text);
    g_autofree char *identity = g_strconcat("--identity=", path, NULL);
    json_auto_t *object = NULL;

    free(text);
    store_close(on.store);
    object = json_of(vsmctl("reseal", "--json", identity, on.tcti, on.dir,
                            on.secret, on.key, NULL));
    g_assert_true(done(object));
    g_assert_cmpint(json_integer_value(json_object_get(object, "resealed")), ==,
                    1);
}

static void test_adopt(void)
{
    g_auto(OnHost) on = on_host_new();
    json_auto_t *object = NULL;
    const json_t *list, *one;

    store_close(on.store);
    store_shell(on.store, "cp -a $S $S.kept");
    store_reopen(on.store);
    g_free(store_save(on.store, "two", false));
    store_close(on.store);
    store_shell(on.store, "mv $S $S.later; mv $S.kept $S");

    object = json_of(
        vsmctl("adopt", "--json", on.tcti, on.dir, on.secret, on.key, NULL));
    g_assert_true(done(object));
    g_assert_cmpstr(text_of(object, "adopted"), ==, on.store->state);
    list = json_object_get(object, "snapshots");
    g_assert_cmpuint(json_array_size(list), ==, 1);
    one = json_array_get(list, 0);
    g_assert_cmpstr(text_of(one, "id"), ==, on.id);
    g_assert_cmpstr(text_of(one, "tag"), ==, "one");
    g_assert_cmpstr(text_of(one, "vm"), ==, FAKE_UUID);
    g_assert_true(json_is_false(json_object_get(one, "damaged")));
}

static void test_setup_and_destroy(void)
{
    g_auto(OnHost) on = on_host_new();
    g_autofree char *destroy = NULL;
    json_auto_t *made = NULL, *object = NULL;

    store_close(on.store);
    made = json_of(vsmctl("setup", "--json", on.tcti, on.dir, on.secret, NULL));
    destroy = g_strconcat("--destroy=", text_of(made, "host_id"), NULL);
    object = json_of(
        vsmctl("setup", "--json", on.tcti, on.dir, on.secret, destroy, NULL));
    g_assert_cmpstr(text_of(object, "destroyed"), ==, on.store->state);
}

static void test_trust_update(void)
{
    g_autoptr(Fixture) fixture = fixture_new(48);
    g_autofree char *trust = fixture_trust_json(fixture);
    g_autofree char *path = write_file("trust.json", trust);
    g_autofree char *pcrs = NULL;
    json_auto_t *file = json_loads(trust, 0, NULL);
    const json_t *host = json_array_get(json_object_get(file, "hosts"), 0);
    char *state = json_dumps(
        json_array_get(json_object_get(host, "approved_pcrs"), 0), 0);
    json_auto_t *object = NULL;

    pcrs = write_file("pcrs.json", state);
    free(state);
    object =
        json_of(vsmctl("trust", "update", "--json", "--trust", path, "--host",
                       fixture->claims.host_id, "--pcrs", pcrs, NULL));
    g_assert_cmpstr(text_of(object, "updated"), ==, path);
    g_assert_cmpstr(text_of(object, "host"), ==, fixture->claims.host_id);
}

int main(int argc, char **argv)
{
    int rc;

    g_test_init(&argc, &argv, NULL);
    scratch_begin();
    g_test_add_func("/vsmctl-json/policy", test_policy);
    g_test_add_func("/vsmctl-json/sign", test_sign);
    g_test_add_func("/vsmctl-json/reseal", test_reseal);
    g_test_add_func("/vsmctl-json/adopt", test_adopt);
    g_test_add_func("/vsmctl-json/setup-and-destroy", test_setup_and_destroy);
    g_test_add_func("/vsmctl-json/trust-update", test_trust_update);
    rc = g_test_run();
    scratch_end();
    return rc;
}
