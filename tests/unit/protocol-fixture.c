/*
 * Test help: one example of each message of the protocol, with no member of
 * any struct left out.
 *
 * The initializers name no members: one that is new is missing here, which
 * the compiler says (-Wmissing-field-initializers).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "protocol-fixture.h"

#include <string.h>
#include "base/codec.h"
#include "base/limits.h"

#define UUID "00112233-4455-6677-8899-aabbccddeeff"
#define ID "0123456789abcdef0123456789abcdef"
/* Versions 14 and 19 differ in the braces of a macro. */
/* clang-format off */
#define VM                                                                     \
    {                                                                          \
        UUID, "web", "QEMU 10.0.13", "machine pc-i440fx-10.0\nsmp 2\n", true   \
    }
/* 48 bytes that are not each other's. */
#define DIGEST(first)                                                          \
    {                                                                          \
        {                                                                      \
            first, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17,  \
                18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32,    \
                33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, first  \
        }                                                                      \
    }
/* clang-format on */
#define NAME_BYTES 50 /* of a TPM Name with SHA-384 */

static VsmVm vm = VM;
static VsmSealRequest seal_request = {VM, "before upgrade", true, 1234567890};
static VsmProtocolPut put = {VSM_PART_LEAVES, 4096, NULL};
static VsmDisk disk = {(char *)"/machine/peripheral/disk0", 1 << 30, true};
static VsmProtocolSealFinish seal_finish = {
    {VSM_CONTAINER_INTERNAL, (char *)"before upgrade", 1700000000, 123456789,
     987654321, G_MAXUINT64, 55555, NULL},
    (char *)"the guest was not ready",
};
static VsmProtocolNothing nothing;
static VsmProtocolHello hello = {(char *)"0.1.0"};
static VsmCheckRequest check_request = {
    VM,   VSM_PURPOSE_RUNTIME, "tag:before upgrade",
    NULL, "{\"kty\":\"EC\"}",  "strict"};
static VsmProtocolGet get = {VSM_PART_MAP, 24000, 1048560};
static VsmFinding finding = {
    "device", (char *)"0000:00:03.0/e1000/0", 17, 4096, 0xfee00000, 3, NULL,
    NULL};
static VsmMeasured measured = {
    NULL, NULL, 7, 11, 13, 17, "the guest has no kernel"};
static VsmProtocolId id = {(char *)ID};
static VsmProtocolList list = {2};
static VsmRecord record = {
    (char *)ID,
    (char *)"before upgrade",
    (char *)UUID,
    (char *)"web",
    1700000001,
    DIGEST(0xa0),
    DIGEST(0xa1),
    DIGEST(0xa2),
    (char *)"the guest was not ready",
    DIGEST(0xa3),
    DIGEST(0xa4),
    (char *)"machine pc-i440fx-10.0\nsmp 2\n",
    NULL,
    NULL,
    (char *)"sha384",
    0xff,
    DIGEST(0xa5),
    {VSM_CONTAINER_INTERNAL, (char *)"before upgrade", 1700000000, 123456789,
     987654321, G_MAXUINT64, 55555, NULL},
    true,
    true,
    (char *)"not what the catalogue says was sealed",
};
static VsmProtocolRecords records = {3, NULL};
static VsmProtocolBytes bytes;
static VsmVerdict verdict = {
    VSM_RESULT_MISMATCH,
    (char *)"why not",
    NULL,
    19,
    NULL,
    NULL,
    NULL,
    NULL,
    DIGEST(0xb0),
    true,
    (char *)"eyJhbGciOiJFUzM4NCJ9.e30.AAAA",
    {{0}}, /* not of the protocol */
};
static VsmStatus status = {
    (char *)"daemon",
    (char *)"vsmd",
    (char *)"IBM SW TPM, firmware 8217.4131",
    (char *)"sha384",
    (char *)"frozen",
    (char *)"{\"kty\":\"EC\",\"crv\":\"P-384\"}",
    (char *)"{\"kty\":\"EC\",\"crv\":\"P-256\"}",
    (char *)"the TPM did not answer",
    0x8ff,
    true,
    true,
    true,
    DIGEST(0xc0),
    DIGEST(0xc1),
    DIGEST(0xc2),
};
static VsmProtocolError error = {VSM_ERROR_BUSY, (char *)"try again later"};

static GPtrArray *one(gpointer element)
{
    GPtrArray *array = g_ptr_array_new();

    g_ptr_array_add(array, element);
    return array;
}

static void fill_pointers(void)
{
    static guint8 name[NAME_BYTES] = {0, 12, 1, 2, 3};
    GBytes *some = g_bytes_new_static("\x01\x02\x03\x04\x00\x05", 6);

    put.bytes = bytes.bytes = some;
    seal_finish.container.disks = record.container.disks = one(&disk);
    check_request.nonce = g_bytes_new_static("0123456789abcdef", 16);
    finding.sealed = g_bytes_new_static("\x0f\x1f\x44", 3);
    finding.measured = g_bytes_new_static("\xe9\x00\x00", 3);
    measured.accepted = one((gpointer) "0000:00:03.0/e1000e/0");
    measured.changed = verdict.findings = one(&finding);
    verdict.host_clock = one((gpointer) "timer/0 cpu_clock_offset");
    verdict.accepted = measured.accepted;
    verdict.tolerated = one((gpointer) "module autoload");
    verdict.unattested = one((gpointer) "tpm-emulator/0");
    record.ssk_name = g_bytes_new_static(name, sizeof(name));
    record.sealed_name = record.ssk_name;
    records.records = one(&record);
    g_ptr_array_add(records.records, &record);
}

#define VM_TYPE "(smsmsmsb)"
#define CONTAINER_TYPE "(ymsuutttma(stb))"
#define FINDING_TYPE "(smstttumaymay)"
#define RECORD_TYPE "(smssmsxayayaymsayaymsmaymaymsuay" CONTAINER_TYPE "bbms)"

const ProtocolExample *protocol_examples(void)
{
    static const ProtocolExample examples[] = {
        {"hello", VSM_PROTOCOL_HELLO | VSM_PROTOCOL_ANSWER, "(s)", &hello},
        {"status", VSM_PROTOCOL_STATUS, VM_TYPE, &vm},
        {"list", VSM_PROTOCOL_LIST, "(u)", &list},
        {"seal-begin", VSM_PROTOCOL_SEAL_BEGIN, "(" VM_TYPE "sbt)",
         &seal_request},
        {"put", VSM_PROTOCOL_PUT, "(ytay)", &put},
        {"seal-finish", VSM_PROTOCOL_SEAL_FINISH, "(" CONTAINER_TYPE "ms)",
         &seal_finish},
        {"commit", VSM_PROTOCOL_COMMIT, "()", &nothing},
        {"check-begin", VSM_PROTOCOL_CHECK_BEGIN, "(" VM_TYPE "usmaymsms)",
         &check_request},
        {"get", VSM_PROTOCOL_GET, "(ytu)", &get},
        {"check-finish", VSM_PROTOCOL_CHECK_FINISH,
         "(masma" FINDING_TYPE "tttums)", &measured},
        {"abort", VSM_PROTOCOL_ABORT, "()", &nothing},
        {"remove", VSM_PROTOCOL_REMOVE, "(s)", &id},
        {"forget", VSM_PROTOCOL_FORGET, "(s)", &id},
        {"status-answer", VSM_PROTOCOL_STATUS | VSM_PROTOCOL_ANSWER,
         "(sssssssmsubbbayayay)", &status},
        {"list-answer", VSM_PROTOCOL_LIST | VSM_PROTOCOL_ANSWER,
         "(ua" RECORD_TYPE ")", &records},
        {"seal-begin-answer", VSM_PROTOCOL_SEAL_BEGIN | VSM_PROTOCOL_ANSWER,
         "(s)", &id},
        {"put-answer", VSM_PROTOCOL_PUT | VSM_PROTOCOL_ANSWER, "()", &nothing},
        {"seal-finish-answer", VSM_PROTOCOL_SEAL_FINISH | VSM_PROTOCOL_ANSWER,
         "()", &nothing},
        {"commit-answer", VSM_PROTOCOL_COMMIT | VSM_PROTOCOL_ANSWER,
         RECORD_TYPE, &record},
        {"check-begin-answer", VSM_PROTOCOL_CHECK_BEGIN | VSM_PROTOCOL_ANSWER,
         RECORD_TYPE, &record},
        {"get-answer", VSM_PROTOCOL_GET | VSM_PROTOCOL_ANSWER, "(ay)", &bytes},
        {"check-finish-answer", VSM_PROTOCOL_CHECK_FINISH | VSM_PROTOCOL_ANSWER,
         "(ymsa" FINDING_TYPE "tasasmasmasaybms)", &verdict},
        {"abort-answer", VSM_PROTOCOL_ABORT | VSM_PROTOCOL_ANSWER, "()",
         &nothing},
        {"remove-answer", VSM_PROTOCOL_REMOVE | VSM_PROTOCOL_ANSWER, "()",
         &nothing},
        {"forget-answer", VSM_PROTOCOL_FORGET | VSM_PROTOCOL_ANSWER, "()",
         &nothing},
        {"error", VSM_PROTOCOL_ERROR, "(us)", &error},
        {NULL, 0, NULL, NULL},
    };

    if (!put.bytes) {
        fill_pointers();
    }
    return examples;
}

GBytes *protocol_example_bytes(const ProtocolExample *example)
{
    guint8 header[VSM_PROTOCOL_HEADER_BYTES];
    g_autoptr(GError) why = NULL;
    g_autoptr(GBytes) body =
        vsm_protocol_encode(example->op, example->value, &why);
    g_autoptr(GByteArray) all = g_byte_array_new();
    gsize n;
    gconstpointer data;

    g_assert_no_error(why);
    data = g_bytes_get_data(body, &n);
    vsm_protocol_write_header(
        &(VsmProtocolHeader){example->op, VSM_PROTOCOL_VERSION, n}, header);
    g_byte_array_append(all, header, sizeof(header));
    g_byte_array_append(all, data, n);
    return g_byte_array_free_to_bytes(g_steal_pointer(&all));
}

GBytes *protocol_fixture(const char *file)
{
    g_autofree char *name = g_strconcat(file, ".bin", NULL);
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "..", "fixtures",
                                                  "protocol", name, NULL);
    g_autoptr(GError) why = NULL;
    char *data;
    gsize n;

    g_file_get_contents(path, &data, &n, &why);
    g_assert_no_error(why);
    return g_bytes_new_take(data, n);
}
