/*
 * Tests of the daemon's parts: whose turn it is, and who has to wait.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <vsm/error.h>

#include "vsmd/turns.h"

typedef struct {
    VsmTurns *turns;
    const char *vm;
    GMutex mutex;
    GString *order;
} Race;

typedef struct {
    Race *race;
    const char *vm;
} Runner;

static gpointer run(gpointer data)
{
    Runner *runner = data;
    Race *race = runner->race;

    g_assert_true(
        vsm_turns_take(race->turns, runner->vm, G_MAXINT64, NULL, NULL));
    g_mutex_lock(&race->mutex);
    g_string_append(race->order, runner->vm);
    g_mutex_unlock(&race->mutex);
    vsm_turns_give(race->turns);
    return NULL;
}

static GThread *start(Runner *runner, guint n_before)
{
    GThread *thread = g_thread_new("runner", run, runner);

    while (vsm_turns_waiting(runner->race->turns) == n_before) {
        g_usleep(1000);
    }
    return thread;
}

static void test_turn_goes_to_who_had_it_the_longest_ago(void)
{
    g_autoptr(VsmTurns) turns = vsm_turns_new();
    Race race = {.turns = turns, .order = g_string_new(NULL)};
    Runner a = {&race, "a"}, b = {&race, "b"}, c = {&race, "c"};
    GThread *threads[3];

    g_mutex_init(&race.mutex);
    run(&b);
    run(&c);
    run(&a);
    g_string_truncate(race.order, 0);
    g_assert_true(vsm_turns_take(turns, "d", G_MAXINT64, NULL, NULL));
    threads[0] = start(&a, 0); /* asks first, had it last */
    threads[1] = start(&c, 1);
    threads[2] = start(&b, 2);
    vsm_turns_give(turns);
    for (guint i = 0; i < 3; i++) {
        g_thread_join(threads[i]);
    }
    g_assert_cmpstr(race.order->str, ==, "bca");
    g_string_free(race.order, TRUE);
    g_mutex_clear(&race.mutex);
}

static void test_turn_that_does_not_come_is_busy_with_the_time(void)
{
    g_autoptr(VsmTurns) turns = vsm_turns_new();
    g_autoptr(GCancellable) cancel = g_cancellable_new();
    g_autoptr(GError) error = NULL;

    g_assert_true(vsm_turns_take(turns, "a", G_MAXINT64, NULL, NULL));
    g_assert_false(vsm_turns_take(turns, "b", g_get_monotonic_time() + 20000,
                                  NULL, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BUSY);
    g_assert_nonnull(strstr(error->message, "try again in"));
    g_clear_error(&error);
    g_cancellable_cancel(cancel);
    g_assert_false(vsm_turns_take(turns, "b", G_MAXINT64, cancel, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_CANCELLED);
    vsm_turns_give(turns);
    g_assert_true(vsm_turns_take(turns, "b", 0, NULL, NULL));
    vsm_turns_give(turns);
}

static void test_rate_paces_short_waits_and_refuses_long_ones(void)
{
    VsmRate rate = {0};
    g_autoptr(GError) error = NULL;
    gint64 wait = -1;

    g_assert_true(vsm_rate_take(&rate, 800, 1000, 5000, "saves", &wait, NULL));
    g_assert_cmpint(wait, ==, 0);
    g_assert_true(vsm_rate_take(&rate, 800, 1000, 5000, "saves", &wait, NULL));
    g_assert_cmpint(wait, ==, 800000);
    g_assert_false(
        vsm_rate_take(&rate, 800, 1000, 5000, "saves", &wait, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BUSY);
    g_assert_nonnull(strstr(error->message, "try again in 2 s"));
    g_assert_true(
        vsm_rate_take(&rate, 800, 1000, 1605000, "saves", &wait, NULL));
    g_assert_cmpint(wait, ==, 0);
}

static void test_who_owes_too_much_waits_until_time_paid_it(void)
{
    VsmRate rate = {0};
    g_autoptr(GError) error = NULL;

    g_assert_true(vsm_rate_owes_little(&rate, 2000, 5000, "files", NULL));
    vsm_rate_charge(&rate, 2000000, 5000);
    g_assert_true(vsm_rate_owes_little(&rate, 2000, 5000, "files", NULL));
    vsm_rate_charge(&rate, 3500000, 5000);
    g_assert_false(vsm_rate_owes_little(&rate, 2000, 5000, "files", &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BUSY);
    g_assert_nonnull(strstr(error->message, "try again in 4 s"));
    g_assert_true(vsm_rate_owes_little(&rate, 2000, 3505000, "files", NULL));
    /* a rest saves nothing up */
    vsm_rate_charge(&rate, 2000001, 100000000);
    g_assert_false(vsm_rate_owes_little(&rate, 2000, 100000000, "files", NULL));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, func) g_test_add_func("/vsmd/" path, func)
    ADD("turn-goes-to-who-had-it-the-longest-ago",
        test_turn_goes_to_who_had_it_the_longest_ago);
    ADD("turn-that-does-not-come-is-busy-with-the-time",
        test_turn_that_does_not_come_is_busy_with_the_time);
    ADD("rate-paces-short-waits-and-refuses-long-ones",
        test_rate_paces_short_waits_and_refuses_long_ones);
    ADD("who-owes-too-much-waits-until-time-paid-it",
        test_who_owes_too_much_waits_until_time_paid_it);
    return g_test_run();
}
