/*
 * Test help: one example of each message of the admin socket.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "admin-fixture.h"

#include <vsm/admin.h>

#include "attester/protocol.h"
#include "base/codec.h"
#include "base/limits.h"

#define UUID "'00112233-4455-6677-8899-aabbccddeeff'"
#define ANSWER(op) ((op) | VSM_PROTOCOL_ANSWER)
#define SIGNATURE "[byte 0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x02]"
#define REQUEST "[byte 0x56, 0x53, 0x4d, 0x00]"
#define VALUES "[byte 0xa0, 0xa1, 0xa2]"
#define EIGHT "0, 1, 2, 3, 4, 5, 6, 7"
#define DIGEST                                                                 \
    "[byte " EIGHT ", " EIGHT ", " EIGHT ", " EIGHT ", " EIGHT ", " EIGHT "]"
#define VM                                                                     \
    "{'uuid': <" UUID ">, 'domain': <'vm1'>, 'connected': <true>, "            \
    "'hypervisor': <'/usr/bin/qemu-system-x86_64'>, 'requests': <uint64 7>, "  \
    "'refused': <uint64 1>, 'waited-us': <int64 1500>, 'longest-wait-us': "    \
    "<int64 900>, 'last-error': <'no such snapshot'>}"
#define DAEMON                                                                 \
    "{'version': <'0.1.0'>, 'attester': <'daemon'>, 'host-id': "               \
    "<'0123456789abcdef0123456789abcdef'>, 'started': <int64 1795528800>, "    \
    "'nv-left': <uint32 19>, 'boot-approved': <true>, 'tpm-commands': "        \
    "<uint64 123>}"

const AdminExample admin_examples[] = {
    {"admin-status", VSM_ADMIN_STATUS, "()", "()"},
    {"admin-status-answer", ANSWER(VSM_ADMIN_STATUS), "(a{sv}aa{sv})",
     "(" DAEMON ", [" VM "])"},
    {"admin-vm-register", VSM_ADMIN_VM_REGISTER, "(sus)",
     "(" UUID ", 4711, '')"},
    {"admin-vm-register-answer", ANSWER(VSM_ADMIN_VM_REGISTER), "()", "()"},
    {"admin-vm-unregister", VSM_ADMIN_VM_UNREGISTER, "(s)", "(" UUID ",)"},
    {"admin-vm-unregister-answer", ANSWER(VSM_ADMIN_VM_UNREGISTER), "()", "()"},
    {"admin-vm-list", VSM_ADMIN_VM_LIST, "()", "()"},
    {"admin-vm-list-answer", ANSWER(VSM_ADMIN_VM_LIST), "(aa{sv})",
     "([" VM "],)"},
    {"admin-keys", VSM_ADMIN_KEYS, "()", "()"},
    {"admin-keys-answer", ANSWER(VSM_ADMIN_KEYS), "(s)",
     "('{\"version\":1,\"hosts\":[]}',)"},
    {"admin-metrics", VSM_ADMIN_METRICS, "()", "()"},
    {"admin-metrics-answer", ANSWER(VSM_ADMIN_METRICS), "(s)",
     "('vsm_connections 1\\n',)"},
    {"admin-enroll-request", VSM_ADMIN_ENROLL_REQUEST, "(s)", "('p-384',)"},
    {"admin-enroll-request-answer", ANSWER(VSM_ADMIN_ENROLL_REQUEST), "(s)",
     "('{\"type\":\"vsm-enroll-request\"}',)"},
    {"admin-enroll-respond", VSM_ADMIN_ENROLL_RESPOND, "(s)",
     "('{\"type\":\"vsm-enroll-challenge\"}',)"},
    {"admin-enroll-respond-answer", ANSWER(VSM_ADMIN_ENROLL_RESPOND), "(s)",
     "('{\"type\":\"vsm-enroll-response\"}',)"},
    {"admin-evidence", VSM_ADMIN_EVIDENCE, "(ss)", "(" UUID ", 'tag:good')"},
    {"admin-evidence-answer", ANSWER(VSM_ADMIN_EVIDENCE), "(s)",
     "('{\"type\":\"vsm-snapshot-evidence\"}',)"},
    {"admin-policy-show", VSM_ADMIN_POLICY_SHOW, "()", "()"},
    {"admin-policy-show-answer", ANSWER(VSM_ADMIN_POLICY_SHOW),
     "(sba(xsuay)(suay))",
     "('operator', true, [(1795528800, 'sha384', 255, " VALUES ")], "
     "('sha384', 255, " VALUES "))"},
    {"admin-policy-approve", VSM_ADMIN_POLICY_APPROVE, "(a(suay)u)",
     "([('sha384', 255, " VALUES ")], 1)"},
    {"admin-policy-approve-answer", ANSWER(VSM_ADMIN_POLICY_APPROVE), "(ay)",
     "(" REQUEST ",)"},
    {"admin-policy-revoke", VSM_ADMIN_POLICY_REVOKE, "(u)", "(2,)"},
    {"admin-policy-revoke-answer", ANSWER(VSM_ADMIN_POLICY_REVOKE), "(ay)",
     "(" REQUEST ",)"},
    {"admin-policy-finish", VSM_ADMIN_POLICY_FINISH, "(ay)",
     "(" SIGNATURE ",)"},
    {"admin-policy-finish-answer", ANSWER(VSM_ADMIN_POLICY_FINISH), "()", "()"},
    {"admin-reseal", VSM_ADMIN_RESEAL, "(sasays)",
     "(" UUID ", ['tag:good'], " DIGEST ", 'smp 2\\n')"},
    {"admin-reseal-answer", ANSWER(VSM_ADMIN_RESEAL), "(ay)", "(" REQUEST ",)"},
    {"admin-reseal-finish", VSM_ADMIN_RESEAL_FINISH, "(ay)",
     "(" SIGNATURE ",)"},
    {"admin-reseal-finish-answer", ANSWER(VSM_ADMIN_RESEAL_FINISH), "(u)",
     "(3,)"},
    {"admin-operator-abort", VSM_ADMIN_OPERATOR_ABORT, "()", "()"},
    {"admin-operator-abort-answer", ANSWER(VSM_ADMIN_OPERATOR_ABORT), "()",
     "()"},
    {NULL, 0, NULL, NULL},
};

GBytes *admin_example_bytes(const AdminExample *example)
{
    guint8 header[VSM_PROTOCOL_HEADER_BYTES];
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) value = g_variant_parse(
        G_VARIANT_TYPE(example->type), example->value, NULL, NULL, &error);
    g_autoptr(GByteArray) all = g_byte_array_new();
    g_autoptr(GBytes) body = NULL;
    gsize n;
    gconstpointer data;

    g_assert_no_error(error);
    body =
        vsm_codec_encode(value, VSM_MESSAGE_BYTES_MAX, example->file, &error);
    g_assert_no_error(error);
    data = g_bytes_get_data(body, &n);
    vsm_protocol_write_header(
        &(VsmProtocolHeader){example->op, VSM_PROTOCOL_VERSION, n}, header);
    g_byte_array_append(all, header, sizeof(header));
    g_byte_array_append(all, data, n);
    return g_byte_array_free_to_bytes(g_steal_pointer(&all));
}
