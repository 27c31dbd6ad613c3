/*
 * The admin socket: known answers, what the daemon really answers, and what it
 * refuses.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "admin-fixture.h"
#include "enroll-fixture.h"
#include "protocol-fixture.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vsm/operator.h>

#include "attester/channel.h"
#include "base/codec.h"
#include "base/limits.h"
#include "vsmd/admin.h"

static const AdminExample *example_of(guint16 op)
{
    for (const AdminExample *e = admin_examples; e->file; e++) {
        if (e->op == op) {
            return e;
        }
    }
    g_error("there is no example of message %u", op);
}

/* --- Known answers ---------------------------------------------------- */

static void test_messages_are_as_they_always_were(void)
{
    for (const AdminExample *e = admin_examples; e->file; e++) {
        g_autoptr(GBytes) bytes = admin_example_bytes(e);
        g_autoptr(GBytes) known = protocol_fixture(e->file);
        g_autoptr(GBytes) body = NULL;
        g_autoptr(GVariant) value = NULL, meant = NULL;
        g_autoptr(GError) error = NULL;
        VsmProtocolHeader header;
        gsize size;
        const guint8 *data = g_bytes_get_data(known, &size);

        g_assert_cmpmem(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes),
                        data, size);
        g_assert_true(vsm_protocol_read_header(data, &header, &error));
        g_assert_cmpuint(header.op, ==, e->op);
        g_assert_cmpuint(header.version, ==, 1);
        body = g_bytes_new_from_bytes(known, VSM_PROTOCOL_HEADER_BYTES,
                                      header.bytes);
        value = vsm_codec_decode(body, e->type, NULL, 0, VSM_MESSAGE_BYTES_MAX,
                                 e->file, &error);
        g_assert_no_error(error);
        meant = g_variant_parse(G_VARIANT_TYPE(e->type), e->value, NULL, NULL,
                                NULL);
        g_assert_true(g_variant_equal(value, meant));
    }
}

/* A message that is new has its example, of the type that the daemon takes. */
static void test_every_message_has_an_example(void)
{
    guint n = 0;

    for (guint op = 0; op <= G_MAXUINT16; op++) {
        const VsmAdminRow *row = vsm_admin_row(op);

        if (row) {
            g_assert_cmpstr(example_of(op)->type, ==, row->request);
            example_of(op | VSM_PROTOCOL_ANSWER);
            n++;
        }
    }
    g_assert_cmpuint(n, ==, 16);
}

/* --- A daemon --------------------------------------------------------- */

typedef struct {
    VsmOptions *options;
    VsmRegistry *registry;
    VsmServer *server;
} Served;

static Served serve(VsmHost *host)
{
    Served served = {.options = vsm_options_new()};

    served.registry = vsm_registry_open(NULL, NULL);
    served.server = vsm_server_new(served.options, host, served.registry);
    return served;
}

static void served_clear(Served *served)
{
    g_assert_true(vsm_server_stop(served->server, 10000));
    vsm_server_free(served->server);
    vsm_registry_free(served->registry);
    vsm_options_free(served->options);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Served, served_clear)

/* The answer, which must be of the type of its example; @request: floating. */
static GVariant *ask(Served *served, guint16 op, GVariant *request)
{
    g_autoptr(GVariant) asked = g_variant_ref_sink(request);
    const VsmAdminRow *row = vsm_admin_row(op);
    g_autoptr(GError) error = NULL;
    GVariant *answer = NULL;

    g_assert_cmpstr(g_variant_get_type_string(asked), ==, row->request);
    row->run(served->server, asked, &answer, &error);
    g_assert_no_error(error);
    g_variant_take_ref(answer);
    g_assert_cmpstr(g_variant_get_type_string(answer), ==,
                    example_of(op | VSM_PROTOCOL_ANSWER)->type);
    return answer;
}

static void done(Served *served, guint16 op, GVariant *request)
{
    g_variant_unref(ask(served, op, request));
}

/* A question for the operator, signed. */
static GVariant *signed_answer(Store *store, GVariant *answer)
{
    g_autoptr(GVariant) ay = g_variant_get_child_value(answer, 0);
    g_autoptr(GBytes) request = g_variant_get_data_as_bytes(ay);
    g_autoptr(GBytes) signature = store_sign(store, request, "operator");

    g_variant_unref(answer);
    return g_variant_new(
        "(@ay)",
        g_variant_new_from_bytes(G_VARIANT_TYPE_BYTESTRING, signature, TRUE));
}

static GVariant *reseal_request(void)
{
    static const guint8 digest[48] = {1};
    const char *const none[] = {NULL};

    return g_variant_new("(s^as@ays)", FAKE_UUID, none,
                         g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, digest,
                                                   sizeof(digest), 1),
                         FAKE_CONFIG);
}

static void test_answers_are_of_their_types(void)
{
    g_autoptr(Store) store = store_new_operator("prime256v1");
    g_auto(Served) served = serve(store->host);
    GVariant *asked;

    asked = ask(&served, VSM_ADMIN_POLICY_APPROVE,
                g_variant_new_parsed("(@a(suay) [], @u 0)"));
    done(&served, VSM_ADMIN_POLICY_FINISH, signed_answer(store, asked));
    g_free(store_save(store, "one", false));
    done(&served, VSM_ADMIN_VM_REGISTER,
         g_variant_new("(sus)", FAKE_UUID, (guint32)getpid(), ""));
    done(&served, VSM_ADMIN_STATUS, g_variant_new("()"));
    done(&served, VSM_ADMIN_VM_LIST, g_variant_new("()"));
    done(&served, VSM_ADMIN_VM_UNREGISTER, g_variant_new("(s)", FAKE_UUID));
    done(&served, VSM_ADMIN_KEYS, g_variant_new("()"));
    done(&served, VSM_ADMIN_METRICS, g_variant_new("()"));
    done(&served, VSM_ADMIN_EVIDENCE,
         g_variant_new("(ss)", FAKE_UUID, "tag:one"));
    done(&served, VSM_ADMIN_POLICY_SHOW, g_variant_new("()"));
    asked = ask(&served, VSM_ADMIN_RESEAL, reseal_request());
    done(&served, VSM_ADMIN_RESEAL_FINISH, signed_answer(store, asked));
    done(&served, VSM_ADMIN_POLICY_REVOKE, g_variant_new("(u)", 1));
    done(&served, VSM_ADMIN_OPERATOR_ABORT, g_variant_new("()"));
}

static void test_answers_of_an_enrolment_are_of_their_types(void)
{
    g_autoptr(Enrolment) enrolment = enrolment_new("p-384");
    g_auto(Served) served = serve(enrolment->store->host);
    g_autoptr(GError) error = NULL;
    GVariant *answer;

    answer =
        ask(&served, VSM_ADMIN_ENROLL_REQUEST, g_variant_new("(s)", "p-384"));
    g_variant_get(answer, "(s)", &enrolment->request);
    g_variant_unref(answer);
    enrolment->allow_in_process = true;
    g_assert_true(enrolment_challenge(enrolment, &error));
    done(&served, VSM_ADMIN_ENROLL_RESPOND,
         g_variant_new("(s)", enrolment->challenge));
}

/* --- Members ---------------------------------------------------------- */

static char *page(void)
{
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "..", "..",
                                                  "docs", "protocol.md", NULL);
    char *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

static void assert_described(const char *text, GVariant *dict)
{
    GVariantIter iter;
    const char *name;
    GVariant *value;

    g_variant_iter_init(&iter, dict);
    while (g_variant_iter_loop(&iter, "{&sv}", &name, &value)) {
        g_autofree char *word =
            g_strdup_printf("`%s` %s", name, g_variant_get_type_string(value));

        if (!strstr(text, word)) {
            g_error("docs/protocol.md lacks %s", word);
        }
    }
}

/* Each member of a status, with its type. */
static void test_members_are_described(void)
{
    g_autoptr(Store) store = store_new();
    g_auto(Served) served = serve(store->host);
    g_autofree char *text = page();
    g_autoptr(GVariant) answer = NULL, daemon = NULL, vms = NULL;

    g_free(store_save(store, "one", false));
    done(&served, VSM_ADMIN_VM_REGISTER,
         g_variant_new("(sus)", FAKE_UUID, (guint32)getpid(), ""));
    answer = ask(&served, VSM_ADMIN_STATUS, g_variant_new("()"));
    daemon = g_variant_get_child_value(answer, 0);
    vms = g_variant_get_child_value(answer, 1);
    assert_described(text, daemon);
    g_assert_cmpuint(g_variant_n_children(vms), ==, 1);
    for (gsize i = 0; i < g_variant_n_children(vms); i++) {
        g_autoptr(GVariant) vm = g_variant_get_child_value(vms, i);

        assert_described(text, vm);
    }
}

/* --- What is refused -------------------------------------------------- */

/* A connection of an administrator. */
static VsmChannel administrator(Served *served)
{
    g_autoptr(GError) error = NULL;
    int ends[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends),
                    ==, 0);
    g_mutex_lock(&served->server->mutex);
    g_assert_true(vsm_admin_start(served->server, ends[1], &error));
    served->server->admins++;
    g_mutex_unlock(&served->server->mutex);
    return (VsmChannel){.fd = ends[0],
                        .deadline_us =
                            g_get_monotonic_time() + 20 * G_USEC_PER_SEC};
}

static void refused(VsmChannel *channel, guint16 op, GBytes *body, int code)
{
    g_autoptr(GBytes) answer = NULL;
    g_autoptr(GError) error = NULL, told = NULL;
    VsmProtocolHeader header;

    vsm_channel_send(channel, op, body, &error);
    g_assert_no_error(error);
    vsm_channel_receive(channel, &header, &answer, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(header.op, ==, VSM_PROTOCOL_ERROR);
    vsm_protocol_take_error(answer, &told);
    g_assert_error(told, VSM_ERROR, code);
}

static void test_bodies_of_other_types_are_refused(void)
{
    Served served = serve(NULL);
    VsmChannel channel = administrator(&served);
    g_autoptr(GBytes) garbage = g_bytes_new_static("\xff\xff\xff\xff\xff", 5);
    g_autoptr(GBytes) answer = NULL;
    g_autoptr(GBytes) request =
        admin_example_bytes(example_of(VSM_ADMIN_VM_LIST));
    g_autoptr(GBytes) body = g_bytes_new_from_bytes(
        request, VSM_PROTOCOL_HEADER_BYTES,
        g_bytes_get_size(request) - VSM_PROTOCOL_HEADER_BYTES);
    g_autoptr(GError) error = NULL;
    VsmProtocolHeader header;

    for (guint16 op = VSM_ADMIN_STATUS; op <= VSM_ADMIN_OPERATOR_ABORT; op++) {
        const VsmAdminRow *row = vsm_admin_row(op);

        /* Any bytes are a signature, until the host looks at them. */
        if (row && strcmp(row->request, "(ay)") != 0) {
            refused(&channel, op, garbage, VSM_ERROR_FORMAT);
        }
    }
    /* The connection is of use all the same. */
    vsm_channel_send(&channel, VSM_ADMIN_VM_LIST, body, &error);
    g_assert_no_error(error);
    vsm_channel_receive(&channel, &header, &answer, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(header.op, ==, VSM_ADMIN_VM_LIST | VSM_PROTOCOL_ANSWER);
    close(channel.fd);
    served_clear(&served);
}

static void test_unknown_message_ends_the_connection(void)
{
    static const guint16 ops[] = {0, VSM_PROTOCOL_STATUS, 63, 70, 87, 0x8040};
    Served served = serve(NULL);
    g_autoptr(GBytes) body = g_bytes_new_static("", 0);

    for (guint i = 0; i < G_N_ELEMENTS(ops); i++) {
        VsmChannel channel = administrator(&served);
        g_autoptr(GBytes) answer = NULL;
        g_autoptr(GError) error = NULL;
        VsmProtocolHeader header;

        refused(&channel, ops[i], body, VSM_ERROR_PROTOCOL);
        g_assert_false(vsm_channel_receive(&channel, &header, &answer, &error));
        g_assert_error(error, VSM_ERROR, VSM_ERROR_CONNECTION);
        close(channel.fd);
    }
    served_clear(&served);
}

static void test_values_out_of_range_are_refused(void)
{
    static const struct {
        guint16 op;
        const char *value;
        int code;
    } cases[] = {
        {VSM_ADMIN_VM_REGISTER, "('no-uuid', @u 1, '')", VSM_ERROR_INVALID},
        {VSM_ADMIN_VM_REGISTER, "('" FAKE_UUID "', @u 0, '')",
         VSM_ERROR_INVALID},
        {VSM_ADMIN_VM_REGISTER, "('" FAKE_UUID "', @u 1, 'vm1')",
         VSM_ERROR_INVALID},
        {VSM_ADMIN_VM_REGISTER, "('" FAKE_UUID "', @u 4294967295, '')",
         VSM_ERROR_INVALID},
        {VSM_ADMIN_VM_REGISTER, "('" FAKE_UUID "', @u 0, '../vm1')",
         VSM_ERROR_INVALID},
        {VSM_ADMIN_VM_UNREGISTER, "('" FAKE_UUID "',)", VSM_ERROR_NOT_FOUND},
        {VSM_ADMIN_RESEAL, "('" FAKE_UUID "', @as [], @ay [1], 'x')",
         VSM_ERROR_INVALID},
    };
    Served served = serve(NULL);

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        const VsmAdminRow *row = vsm_admin_row(cases[i].op);
        g_autoptr(GError) error = NULL;
        g_autoptr(GVariant) request = g_variant_parse(
            G_VARIANT_TYPE(row->request), cases[i].value, NULL, NULL, &error);
        GVariant *answer = NULL;

        g_assert_no_error(error);
        g_assert_false(row->run(served.server, request, &answer, &error));
        g_assert_error(error, VSM_ERROR, cases[i].code);
    }
    served_clear(&served);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, func) g_test_add_func("/admin/" path, func)
    ADD("messages-are-as-they-always-were",
        test_messages_are_as_they_always_were);
    ADD("every-message-has-an-example", test_every_message_has_an_example);
    ADD("answers-are-of-their-types", test_answers_are_of_their_types);
    ADD("answers-of-an-enrolment-are-of-their-types",
        test_answers_of_an_enrolment_are_of_their_types);
    ADD("members-are-described", test_members_are_described);
    ADD("bodies-of-other-types-are-refused",
        test_bodies_of_other_types_are_refused);
    ADD("unknown-message-ends-the-connection",
        test_unknown_message_ends_the_connection);
    ADD("values-out-of-range-are-refused",
        test_values_out_of_range_are_refused);
    return g_test_run();
}
