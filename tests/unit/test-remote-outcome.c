/*
 * Commits and removals whose answer from the daemon was lost: what became of
 * them is found out, or said to be in doubt.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <vsm/remote.h>

#include "attester/protocol.h"
#include "host-fixture.h"

#define SHORT_MS 300 /* a deadline that a test can wait for */

static void test_commit_whose_answer_was_lost_is_a_commit(void)
{
    static const DaemonFault faults[] = {DAEMON_CUTS_AFTER, DAEMON_CUTS_ANSWER,
                                         DAEMON_ANSWERS_GARBAGE};

    for (guint i = 0; i < G_N_ELEMENTS(faults); i++) {
        g_autoptr(Store) store = store_new();
        g_autofree char *id = NULL;

        daemon_fault(store->daemon, VSM_PROTOCOL_COMMIT, faults[i]);
        id = store_save(store, "one", false);
        g_assert_cmpuint(strlen(id), ==, 32);
        g_assert_cmpuint(store_count(store, true), ==, 1);
    }
}

static void test_commit_that_was_never_begun_is_refused(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(GError) error = NULL;

    daemon_fault(store->daemon, VSM_PROTOCOL_COMMIT, DAEMON_CUTS_BEFORE);
    g_assert_false(
        fake_save(store->vm, store->attester, "one", false, NULL, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_CONNECTION);
    g_assert_cmpuint(store_count(store, true), ==, 0);
}

/* A save that needs nothing but its commit. */
static VsmSealing *sealed(Store *store)
{
    g_autoptr(GError) error = NULL;
    VsmContainer container;
    VsmSealing *sealing =
        fake_save_begin(store->vm, store->attester, "one", false, &error);

    g_assert_no_error(error);
    g_assert_true(fake_save_stream(store->vm, sealing, &error));
    container = fake_container(store->vm, "one", 1);
    g_assert_true(vsm_sealing_finish(sealing, &container, &error));
    vsm_container_clear(&container);
    return sealing;
}

static gpointer release_late(gpointer daemon)
{
    g_usleep(3 * SHORT_MS * 1000);
    daemon_release(daemon);
    return NULL;
}

/* It comes late, but before the list is answered. */
static void test_commit_that_outlives_its_deadline_is_a_commit(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(VsmSealing) sealing = sealed(store);
    g_autoptr(VsmRecord) record = NULL;
    g_autoptr(GError) error = NULL;
    GThread *thread;

    daemon_fault(store->daemon, VSM_PROTOCOL_COMMIT, DAEMON_HANGS);
    vsm_remote_attester_set_deadline(store->attester, SHORT_MS);
    thread = g_thread_new("release", release_late, store->daemon);
    vsm_sealing_commit(sealing, &record, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(record->id, ==, vsm_sealing_id(sealing));
    g_thread_join(thread);
}

static void test_commit_without_a_daemon_to_ask_is_in_doubt(void)
{
    g_autoptr(Store) store = store_new();
    g_autoptr(VsmSealing) sealing = sealed(store);
    g_autoptr(VsmRecord) record = NULL;
    g_autoptr(GError) error = NULL;
    gint64 begin;

    daemon_fault(store->daemon, VSM_PROTOCOL_COMMIT, DAEMON_HANGS);
    vsm_remote_attester_set_deadline(store->attester, SHORT_MS);
    begin = g_get_monotonic_time();
    g_assert_false(vsm_sealing_commit(sealing, &record, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_IN_DOUBT);
    g_assert_cmpint(g_get_monotonic_time() - begin, >=, 10 * G_USEC_PER_SEC);
    g_assert_cmpint(g_get_monotonic_time() - begin, <, 15 * G_USEC_PER_SEC);
    g_assert_null(record);
    daemon_release(store->daemon);
    vsm_remote_attester_set_deadline(store->attester, 0);
    g_assert_cmpuint(store_count(store, true), ==, 1);
}

static void test_removal_whose_answer_was_lost_is_a_removal(void)
{
    g_autoptr(Store) store = store_new();
    g_autofree char *id = store_save(store, "one", false);
    g_autoptr(GError) error = NULL;

    daemon_fault(store->daemon, VSM_PROTOCOL_REMOVE, DAEMON_CUTS_BEFORE);
    g_assert_false(vsm_attester_remove(store->attester, id, NULL, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_CONNECTION);
    g_assert_cmpuint(store_count(store, true), ==, 1);
    g_clear_error(&error);
    daemon_fault(store->daemon, VSM_PROTOCOL_REMOVE, DAEMON_CUTS_AFTER);
    vsm_attester_remove(store->attester, id, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(store_count(store, true), ==, 0);
    g_assert_cmpuint(store_count(store, false), ==, 1);
}

#define ADD(name, function) g_test_add_func("/remote/" name, function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_setenv("VSM_TEST_REMOTE", "1", true);
    ADD("commit-whose-answer-was-lost-is-a-commit",
        test_commit_whose_answer_was_lost_is_a_commit);
    ADD("commit-that-was-never-begun-is-refused",
        test_commit_that_was_never_begun_is_refused);
    ADD("commit-that-outlives-its-deadline-is-a-commit",
        test_commit_that_outlives_its_deadline_is_a_commit);
    ADD("commit-without-a-daemon-to-ask-is-in-doubt",
        test_commit_without_a_daemon_to_ask_is_in_doubt);
    ADD("removal-whose-answer-was-lost-is-a-removal",
        test_removal_whose_answer_was_lost_is_a_removal);
    return g_test_run();
}
