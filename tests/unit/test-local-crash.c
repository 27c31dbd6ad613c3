/*
 * kill -9 at every step whose order matters, in a set-up, a save that
 * overwrites, and a removal: afterwards each snapshot is sealed and listed, or
 * absent, or the old one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "host-fixture.h"
#include "kill-steps.h"

#include <string.h>

#define STEPS_MAX 400

/* Opening it may be the end as well. */
static bool open_to_die(Store *store)
{
    kill_steps_count();
    store->vm->pool = vsm_pool_new(1, VSM_HASH_BACKEND_OPENSSL, NULL);
    return store_open(store, NULL);
}

/* Every record that is listed checks out against its own contents. */
static const VsmRecord *only_listed(GPtrArray *records)
{
    const VsmRecord *found = NULL;

    for (guint i = 0; i < records->len; i++) {
        const VsmRecord *record = records->pdata[i];

        if (record->listed) {
            g_assert_null(found);
            g_assert_null(record->damaged);
            found = record;
        } else {
            g_assert_true(record->has_mark);
        }
    }
    return found;
}

static void forget_debris(Store *store, GPtrArray *records)
{
    for (guint i = 0; i < records->len; i++) {
        const VsmRecord *record = records->pdata[i];
        g_autoptr(GError) error = NULL;

        if (!record->listed) {
            vsm_attester_forget(store->attester, record->id, NULL, &error);
            g_assert_no_error(error);
        }
    }
}

static bool overwrite(Store *store, G_GNUC_UNUSED gconstpointer data)
{
    return open_to_die(store) &&
           fake_save(store->vm, store->attester, "one", true, NULL, NULL);
}

static bool save_killed_at(Store *store, guint n)
{
    g_autoptr(GPtrArray) records = NULL;
    g_autofree char *old = store_save(store, "one", true);
    const VsmRecord *listed;
    guint8 *byte = &store->vm->ram[0][100];
    bool killed, extended;

    (*byte)++; /* what the killed save would seal */
    killed = kill_steps_at(store, overwrite, NULL, n, "extend", &extended);
    store_reopen(store);
    g_assert_true(vsm_attester_list(store->attester, &records, NULL, NULL));
    listed = only_listed(records);
    g_assert_nonnull(listed);
    g_assert_true(!strcmp(listed->id, old) == !extended);
    if (!extended) {
        (*byte)--;
    }
    g_assert_cmpuint(store_check(store, VSM_PURPOSE_FULL, "one"), ==,
                     VSM_RESULT_MATCH);
    forget_debris(store, records);
    store_shell(store, "test $(ls $S/vm/*/ | wc -l) = 1");
    return killed;
}

static void test_killed_overwrite_leaves_old_or_new(void)
{
    g_autoptr(Store) store = store_new();
    guint n = 0;

    while (save_killed_at(store, n)) {
        g_assert_cmpuint(++n, <, STEPS_MAX);
    }
    g_test_message("%u steps", n);
    g_assert_cmpuint(n, >, 20);
}

static bool remove_one(Store *store, gconstpointer id)
{
    return open_to_die(store) &&
           vsm_attester_remove(store->attester, id, NULL, NULL);
}

static bool removal_killed_at(Store *store, guint n)
{
    g_autoptr(GPtrArray) records = NULL;
    g_autofree char *id = store_save(store, "one", true);
    const VsmRecord *listed;
    bool killed, extended;

    killed = kill_steps_at(store, remove_one, id, n, "extend", &extended);
    store_reopen(store);
    g_assert_true(vsm_attester_list(store->attester, &records, NULL, NULL));
    listed = only_listed(records);
    g_assert_true(!listed == extended);
    if (listed) {
        g_assert_cmpuint(store_check(store, VSM_PURPOSE_FULL, id), ==,
                         VSM_RESULT_MATCH);
    }
    forget_debris(store, records);
    return killed;
}

static void test_killed_removal_leaves_it_or_not(void)
{
    g_autoptr(Store) store = store_new();
    guint n = 0;

    while (removal_killed_at(store, n)) {
        g_assert_cmpuint(++n, <, STEPS_MAX);
    }
    g_test_message("%u steps", n);
    g_assert_cmpuint(n, >, 5);
}

static bool open_alone(Store *store, G_GNUC_UNUSED gconstpointer data)
{
    return open_to_die(store);
}

/* Each time a new store with a secret of its own. */
static bool set_up_killed_at(Store *store, guint n)
{
    g_autofree char *line = g_strdup_printf("mv $S/../secret $S/../secret.%u; "
                                            "mv $S $S.%u",
                                            n, n);
    bool killed, extended;

    store_close(store);
    store_shell(store, line);
    killed = kill_steps_at(store, open_alone, NULL, n, "extend", &extended);
    store_reopen(store);
    g_free(store_save(store, "one", false));
    store_reopen(store);
    g_assert_cmpuint(store_check(store, VSM_PURPOSE_FULL, "one"), ==,
                     VSM_RESULT_MATCH);
    return killed;
}

static void test_killed_set_up_is_completed_by_the_next(void)
{
    g_autoptr(Store) store = store_new();
    guint n = 0;

    while (set_up_killed_at(store, n)) {
        g_assert_cmpuint(++n, <, STEPS_MAX);
    }
    g_test_message("%u steps", n);
    g_assert_cmpuint(n, >, 5);
}

/* kill -9 loses no page cache; a power loss does: what is written must be
 * synced before the commit, and so must the folders of what is renamed. */
static GHashTable *dirty; /* paths with bytes or names that are not durable */
static guint extends;

static void power(const char *what, const char *path)
{
    g_autofree char *parent = g_path_get_dirname(path);

    if (!strcmp(what, "write")) {
        g_hash_table_add(dirty, g_strdup(path));
        g_hash_table_add(dirty, g_strdup(parent));
    } else if (!strcmp(what, "make") || !strcmp(what, "rename")) {
        g_hash_table_add(dirty, g_strdup(parent));
    } else if (!strcmp(what, "sync")) {
        g_hash_table_remove(dirty, path);
    } else if (!strcmp(what, "extend")) {
        GHashTableIter iter;
        gpointer left;

        g_hash_table_iter_init(&iter, dirty);
        while (g_hash_table_iter_next(&iter, &left, NULL)) {
            g_error("not durable before the commit: %s", (char *)left);
        }
        extends++;
    }
}

static void test_all_is_durable_before_the_commit(void)
{
    g_autoptr(Store) store = store_new();

    dirty = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    vsm_files_step = power;
    g_free(store_save(store, "one", false));
    g_free(store_save(store, "one", true));
    vsm_files_step = NULL;
    g_assert_cmpuint(extends, ==, 2);
    g_hash_table_unref(dirty);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, func) g_test_add_func("/local-crash/" path, func)
    ADD("killed-overwrite-leaves-old-or-new",
        test_killed_overwrite_leaves_old_or_new);
    ADD("killed-removal-leaves-it-or-not",
        test_killed_removal_leaves_it_or_not);
    ADD("killed-set-up-is-completed-by-the-next",
        test_killed_set_up_is_completed_by_the_next);
    ADD("all-is-durable-before-the-commit",
        test_all_is_durable_before_the_commit);
    return g_test_run();
}
