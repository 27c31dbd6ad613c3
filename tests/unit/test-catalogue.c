/*
 * The catalogue's codec, and its rule against crashes and an attacker with
 * every file that the store ever held.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "store/catalogue.h"
#include "crypto/hash.h"
#include "host/hostfile.h"
#include "known-answer.h"
#include <stdio.h>
#include <string.h>

#define UUID "00112233-4455-6677-8899-aabbccddeeff"
#define BEFORE "00012233-4455-6677-8899-aabbccddeeff"
#define AFTER "0a112233-4455-6677-8899-aabbccddeeff"

static VsmEntry entry(const char *uuid, guint id, guint8 metadata)
{
    VsmEntry e = {.uuid = ""};

    g_strlcpy(e.uuid, uuid, sizeof(e.uuid));
    snprintf(e.id, sizeof(e.id), "%032x", id);
    snprintf(e.tag, sizeof(e.tag), "tag %u", id);
    memset(e.metadata.b, metadata, sizeof(e.metadata.b));
    return e;
}

static VsmCatalogue *sample(void)
{
    VsmDigest previous;
    VsmCatalogue *catalogue;
    VsmDigest value;

    memset(previous.b, 7, sizeof(previous.b));
    memset(value.b, 9, sizeof(value.b));
    catalogue = vsm_catalogue_new(&previous);
    for (guint i = 5; i > 0; i--) {
        VsmEntry e = entry(UUID, i, i);

        vsm_catalogue_put(catalogue, &e);
    }
    vsm_catalogue_settle(catalogue, &value);
    return catalogue;
}

static void test_codec_gives_back_what_it_took(void)
{
    g_autoptr(VsmCatalogue) catalogue = sample();
    VsmEntry fresh = entry(UUID, 6, 66);
    g_autoptr(GBytes) body = NULL;
    g_autoptr(GBytes) again = NULL;
    g_autoptr(VsmCatalogue) decoded = NULL;
    g_autoptr(GError) error = NULL;
    VsmDigest sealed;

    vsm_catalogue_put(catalogue, &fresh);
    body = vsm_catalogue_encode(catalogue, &error);
    g_assert_no_error(error);
    decoded = vsm_catalogue_decode(body, "body", &error);
    g_assert_no_error(error);
    again = vsm_catalogue_encode(decoded, &error);
    g_assert_true(g_bytes_equal(body, again));
    g_assert_cmpuint(decoded->entries->len, ==, 6);
    vsm_catalogue_sealed(decoded, &sealed);
    g_assert_true(vsm_digest_equal(&sealed, &fresh.metadata));
}

static void test_entries_are_found_and_dropped(void)
{
    g_autoptr(VsmCatalogue) catalogue = sample();
    VsmEntry three = entry(UUID, 3, 0);

    g_assert_nonnull(vsm_catalogue_find(catalogue, UUID, three.id));
    g_assert_true(vsm_catalogue_drop(catalogue, UUID, three.id));
    g_assert_null(vsm_catalogue_find(catalogue, UUID, three.id));
    g_assert_false(vsm_catalogue_drop(catalogue, UUID, three.id));
    g_assert_cmpuint(catalogue->entries->len, ==, 4);
}

static void test_entries_of_one_vm_are_told_apart(void)
{
    static const char *const others[] = {BEFORE, AFTER};
    g_autoptr(VsmCatalogue) catalogue = sample();
    g_autoptr(VsmCatalogue) own = NULL;
    g_autoptr(VsmCatalogue) none = NULL;

    for (guint i = 0; i < G_N_ELEMENTS(others); i++) {
        VsmEntry e = entry(others[i], i + 3, i);

        vsm_catalogue_put(catalogue, &e);
    }
    own = vsm_catalogue_of(catalogue, UUID);
    g_assert_cmpuint(own->entries->len, ==, 5);
    for (guint i = 0; i < own->entries->len; i++) {
        g_assert_cmpstr(g_array_index(own->entries, VsmEntry, i).uuid, ==,
                        UUID);
    }
    none = vsm_catalogue_of(catalogue, "11112233-4455-6677-8899-aabbccddeeff");
    g_assert_cmpuint(none->entries->len, ==, 0);
}

static void assert_fixture(const char *name, GBytes *made)
{
    g_autoptr(GBytes) file = known_answer(name);

    g_assert_true(g_bytes_equal(made, file));
}

static void test_catalogue_has_its_known_answer(void)
{
    g_autoptr(VsmCatalogue) catalogue = sample();
    g_autoptr(GBytes) body = vsm_catalogue_encode(catalogue, NULL);
    g_autoptr(GBytes) attest = g_bytes_new_static("attest", 6);
    g_autoptr(GBytes) signature = g_bytes_new_static("signature", 9);
    VsmSigned file = {body, attest, signature};
    g_autoptr(GBytes) bytes = vsm_signed_encode(&file, NULL);

    assert_fixture("catalogue-v1.bin", bytes);
}

/* Under the secret of 32 bytes 0x01; each Name and area is its own key. */
static void test_host_file_has_its_known_answer(void)
{
    g_autoptr(GBytes) blob = g_bytes_new_static("blob", 4);
    VsmTpmKeys keys = {
        .srk = 0x81000001,
        .ak = 0x81010011,
        .rk = 0x81010012,
        .commit_index = 0x01800001,
        .srk_name = blob,
        .ak_name = blob,
        .rk_name = blob,
        .commit_index_name = blob,
        .ak_public = blob,
        .rk_public = blob,
        .rk_attest = blob,
        .rk_signature = blob,
    };
    VsmHostFile file = {.id = (char *)"000102030405060708090a0b0c0d0e0f",
                        .keys = &keys};
    guint8 one[32];
    g_autoptr(VsmSecret) secret = NULL;
    g_autoptr(GBytes) bytes = NULL;
    g_auto(VsmHostFile) decoded = {NULL};

    memset(one, 1, sizeof(one));
    secret = vsm_secret_new_copy(one, sizeof(one), NULL);
    bytes = vsm_host_file_encode(&file, secret, NULL);
    assert_fixture("host-v1.bin", bytes);
    g_assert_true(vsm_host_file_decode(bytes, secret, &decoded, NULL));
    g_assert_cmpstr(decoded.id, ==, file.id);
    g_assert_cmpuint(decoded.keys->commit_index, ==, keys.commit_index);
    g_assert_true(g_bytes_equal(decoded.keys->rk_signature, blob));
    g_assert_null(decoded.keys->operator_public);
}

/* Builds a body as the codec would, but with any entries in any order. */
static GBytes *body_of(const VsmEntry *entries, guint n)
{
    VsmDigest previous = {{0}};
    g_autoptr(VsmCatalogue) catalogue = vsm_catalogue_new(&previous);

    g_array_append_vals(catalogue->entries, entries, n);
    return vsm_catalogue_encode(catalogue, NULL);
}

static void assert_refused(GBytes *body)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(vsm_catalogue_decode(body, "body", &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_FORMAT);
}

static void test_decode_refuses_disorder_and_doubles(void)
{
    VsmEntry pair[] = {entry(UUID, 2, 1), entry(UUID, 1, 1)};
    VsmEntry twice[] = {entry(UUID, 2, 1), entry(UUID, 2, 1)};
    g_autoptr(GBytes) disorder = NULL;
    g_autoptr(GBytes) doubled = NULL;

    pair[0].commit.b[0] = pair[1].commit.b[0] = 1;
    twice[0].commit.b[0] = twice[1].commit.b[0] = 1;
    disorder = body_of(pair, 2);
    doubled = body_of(twice, 2);
    assert_refused(disorder);
    assert_refused(doubled);
}

/* A reseal commits several entries as one. */
static void test_entries_of_one_commit_settle_together(void)
{
    VsmEntry pair[] = {entry(UUID, 1, 1), entry(UUID, 2, 2)};
    g_autoptr(GBytes) body = body_of(pair, 2);
    g_autoptr(VsmCatalogue) decoded = vsm_catalogue_decode(body, "body", NULL);
    VsmDigest sealed, value;

    g_assert_nonnull(decoded);
    vsm_catalogue_sealed(decoded, &sealed);
    g_assert_true(vsm_digest_equal(&sealed, &pair[1].metadata));
    memset(&value, 9, sizeof(value));
    vsm_catalogue_settle(decoded, &value);
    for (guint i = 0; i < 2; i++) {
        g_assert_true(vsm_digest_equal(
            &g_array_index(decoded->entries, VsmEntry, i).commit, &value));
    }
}

static void test_decode_refuses_a_tag_that_is_none(void)
{
    VsmEntry bad = entry(UUID, 1, 1);
    g_autoptr(GBytes) empty = NULL;
    g_autoptr(GBytes) control = NULL;

    g_strlcpy(bad.tag, "", sizeof(bad.tag));
    empty = body_of(&bad, 1);
    assert_refused(empty);
    g_strlcpy(bad.tag, "a\nb", sizeof(bad.tag));
    control = body_of(&bad, 1);
    assert_refused(control);
}

static void test_decode_refuses_names_that_are_paths(void)
{
    VsmEntry bad = entry(UUID, 1, 1);
    g_autoptr(GBytes) by_id = NULL;
    g_autoptr(GBytes) by_uuid = NULL;

    memcpy(bad.id, "../../../../etc/cron.d/000000000", 32);
    by_id = body_of(&bad, 1);
    assert_refused(by_id);
    bad = entry("../112233-4455-6677-8899-aabbccddeeff", 1, 1);
    by_uuid = body_of(&bad, 1);
    assert_refused(by_uuid);
}

/* Every byte counts: no flip gives a catalogue with the same NV value. */
static void test_value_covers_every_byte(void)
{
    g_autoptr(VsmCatalogue) catalogue = sample();
    g_autoptr(GBytes) body = vsm_catalogue_encode(catalogue, NULL);
    gsize size;
    const guint8 *data = g_bytes_get_data(body, &size);
    VsmDigest value;

    g_assert_true(
        vsm_catalogue_value(&catalogue->previous, body, &value, NULL));
    for (gsize i = 0; i < size; i++) {
        g_autofree guint8 *copy = g_memdup2(data, size);
        g_autoptr(GBytes) flipped = NULL;
        g_autoptr(VsmCatalogue) decoded = NULL;
        VsmDigest other;

        copy[i] ^= 1;
        flipped = g_bytes_new(copy, size);
        decoded = vsm_catalogue_decode(flipped, "body", NULL);
        if (decoded) {
            g_assert_true(
                vsm_catalogue_value(&decoded->previous, flipped, &other, NULL));
            g_assert_false(vsm_digest_equal(&value, &other));
        }
    }
}

/*
 * The model.  A store holds two files, each absent or one of the catalogues
 * ever prepared; the TPM holds the value.  The host commits, crashes anywhere
 * and starts; the attacker, while the host is down, puts any catalogue that
 * ever was (prepared or committed) into either file.  All states to a depth.
 *
 * Promise: what a start accepts is the last committed content, nothing else;
 * and without an attacker a start always accepts.
 */
#define PREPARED_MAX 6
#define CONTENTS 2 /* different contents of each commit */

typedef struct {
    VsmDigest previous, value; /* value: of the index once it is committed */
    guint content;
} Prepared;

typedef struct {
    Prepared bag[PREPARED_MAX];
    guint n_bag;
    int current, next; /* index into the bag; -1: absent */
    VsmDigest nv;
    int committed; /* index of the last committed */
    bool honest; /* no attacker so far */
    bool renamed; /* not used as state: next is current */
} World;

static guint64 states, accepts, refusals;

static VsmDigest mix(const VsmDigest *previous, guint content)
{
    g_autoptr(GBytes) body =
        g_bytes_new_static(content ? "other" : "content", content ? 5 : 7);
    VsmDigest value;

    g_assert_true(vsm_catalogue_value(previous, body, &value, NULL));
    return value;
}

static void explore(const World *world, guint depth);

/* A start of the host: the rule decides; then everything may go on. */
static void start(const World *before, guint depth)
{
    World world = *before;
    const VsmDigest *value =
        world.current < 0 ? NULL : &world.bag[world.current].value;
    const VsmDigest *next =
        world.next < 0 ? NULL : &world.bag[world.next].value;
    int accepted = -1;

    switch (vsm_catalogue_rule(&world.nv, value, next)) {
    case VSM_CATALOGUE_KEEP:
        accepted = world.current;
        break;
    case VSM_CATALOGUE_TAKE_NEXT:
        accepted = world.next;
        break;
    case VSM_CATALOGUE_REPLAYED:
        break;
    }
    if (accepted < 0) {
        g_assert_false(world.honest);
        refusals++;
        return;
    }
    accepts++;
    g_assert_cmpuint(world.bag[accepted].content, ==,
                     world.bag[world.committed].content);
    g_assert_true(vsm_digest_equal(&world.bag[accepted].value,
                                   &world.bag[world.committed].value));
    world.current = accepted;
    world.next = -1;
    explore(&world, depth);
}

/* The host is down: the attacker may swap files, then it starts. */
static void down(const World *world, guint depth)
{
    start(world, depth);
    for (int a = -1; a < (int)world->n_bag; a++) {
        for (int b = -1; b < (int)world->n_bag; b++) {
            World changed = *world;

            if (a == world->current && b == world->next) {
                continue;
            }
            changed.current = a;
            changed.next = b;
            changed.honest = false;
            start(&changed, depth);
        }
    }
}

/* One commit of @content, with a crash after each durable step. */
static void commit(const World *before, guint content, guint depth)
{
    World world = *before;
    Prepared *made = &world.bag[world.n_bag];

    made->previous = world.nv;
    made->content = content;
    made->value = mix(&world.nv, content);
    world.next = world.n_bag++;
    down(&world, depth); /* catalogue.next is durable, nothing else */

    world.nv = made->value;
    world.committed = world.next;
    down(&world, depth); /* the index is extended, the rename is not durable */

    world.current = world.next;
    world.next = -1;
    down(&world, depth); /* done, then down */
    explore(&world, depth); /* done, and up */
}

/* The host is up and idle. */
static void explore(const World *world, guint depth)
{
    states++;
    if (depth == 0 || world->n_bag == PREPARED_MAX) {
        return;
    }
    for (guint content = 0; content < CONTENTS; content++) {
        commit(world, content, depth - 1);
    }
}

static void test_rule_holds_against_crashes_and_old_copies(void)
{
    World world = {.next = -1, .honest = true};
    VsmDigest zero = {{0}};

    world.bag[0].value = mix(&zero, 0);
    world.n_bag = 1;
    world.nv = world.bag[0].value;
    explore(&world, g_test_slow() ? 4 : 3);
    g_test_message("%" G_GUINT64_FORMAT " states, %" G_GUINT64_FORMAT
                   " accepted, %" G_GUINT64_FORMAT " refused",
                   states, accepts, refusals);
    g_assert_cmpuint(accepts, >, 1000);
    g_assert_cmpuint(refusals, >, 1000);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/catalogue/codec-gives-back-what-it-took",
                    test_codec_gives_back_what_it_took);
    g_test_add_func("/catalogue/catalogue-has-its-known-answer",
                    test_catalogue_has_its_known_answer);
    g_test_add_func("/catalogue/host-file-has-its-known-answer",
                    test_host_file_has_its_known_answer);
    g_test_add_func("/catalogue/entries-are-found-and-dropped",
                    test_entries_are_found_and_dropped);
    g_test_add_func("/catalogue/entries-of-one-vm-are-told-apart",
                    test_entries_of_one_vm_are_told_apart);
    g_test_add_func("/catalogue/decode-refuses-disorder-and-doubles",
                    test_decode_refuses_disorder_and_doubles);
    g_test_add_func("/catalogue/entries-of-one-commit-settle-together",
                    test_entries_of_one_commit_settle_together);
    g_test_add_func("/catalogue/decode-refuses-a-tag-that-is-none",
                    test_decode_refuses_a_tag_that_is_none);
    g_test_add_func("/catalogue/decode-refuses-names-that-are-paths",
                    test_decode_refuses_names_that_are_paths);
    g_test_add_func("/catalogue/value-covers-every-byte",
                    test_value_covers_every_byte);
    g_test_add_func("/catalogue/rule-holds-against-crashes-and-old-copies",
                    test_rule_holds_against_crashes_and_old_copies);
    return g_test_run();
}
