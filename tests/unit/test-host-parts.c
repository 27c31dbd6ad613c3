/*
 * The host's parts that need neither TPM nor VM: lines of the configuration,
 * the budget of writes and its shares.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <vsm/error.h>

#include "host/budget.h"
#include "host/config.h"
#include "host/shares.h"

static void test_config_diff_shows_the_lines(void)
{
    g_autofree char *same = vsm_config_diff("a\nb", "a\nb");
    g_autofree char *changed = vsm_config_diff("a\nb\nc", "a\nx\nc");
    g_autofree char *added = vsm_config_diff("a", "a\na");
    g_autofree char *order = vsm_config_diff("a\nb", "b\na");

    g_assert_null(same);
    g_assert_cmpstr(changed, ==, "sealed with \"b\", now \"x\"");
    g_assert_cmpstr(added, ==, "now \"a\"");
    g_assert_cmpstr(order, ==, "the same lines in another order");
}

static void test_config_diff_is_short(void)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autofree char *diff = NULL;

    for (guint i = 0; i < 1000; i++) {
        g_string_append_printf(text, "%sline %u", i ? "\n" : "", i);
    }
    diff = vsm_config_diff("", text->str);
    g_assert_nonnull(strstr(diff, "and 992 more lines"));
    g_assert_cmpuint(strlen(diff), <, 400);
}

static void test_budget_lets_a_burst_through_and_then_one_each(void)
{
    VsmBudget budget;
    g_autoptr(GError) error = NULL;

    vsm_budget_init(&budget, 2, 10000, 0);
    g_assert_true(vsm_budget_take(&budget, 0, NULL));
    g_assert_true(vsm_budget_take(&budget, 0, NULL));
    g_assert_false(vsm_budget_take(&budget, 4000000, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BUSY);
    g_assert_nonnull(strstr(error->message, "in 7 s"));
    g_assert_true(vsm_budget_take(&budget, 10000000, NULL));
    g_assert_false(vsm_budget_take(&budget, 10000001, NULL));
    vsm_budget_give_back(&budget);
    g_assert_true(vsm_budget_take(&budget, 10000002, NULL));
}

static void test_budget_goes_on_after_a_restart(void)
{
    VsmBudget budget;

    vsm_budget_init(&budget, 3, 1000, 0);
    vsm_budget_resume(&budget, 500000, 500000);
    g_assert_cmpuint(vsm_budget_left(&budget, 0), ==, 1);
    g_assert_true(vsm_budget_take(&budget, 0, NULL));
    g_assert_false(vsm_budget_take(&budget, 999999, NULL));
    g_assert_cmpuint(vsm_budget_left(&budget, 2000000), ==, 2);
}

static void test_budget_gains_nothing_from_a_wrong_clock(void)
{
    VsmBudget budget;

    vsm_budget_init(&budget, 3, 1000, 0);
    vsm_budget_resume(&budget, 1000000, -5000000);
    g_assert_cmpuint(vsm_budget_left(&budget, 0), ==, 1);
    vsm_budget_resume(&budget, G_MAXINT64, G_MAXINT64);
    g_assert_cmpuint(vsm_budget_left(&budget, 0), ==, 3);
    vsm_budget_resume(&budget, G_MININT64, G_MININT64);
    g_assert_cmpuint(vsm_budget_left(&budget, 0), ==, 0);
}

static void test_budget_saves_no_more_than_its_burst(void)
{
    VsmBudget budget;

    vsm_budget_init(&budget, 2, 1000, 0);
    vsm_budget_give_back(&budget);
    for (guint i = 0; i < 2; i++) {
        g_assert_true(
            vsm_budget_take(&budget, G_GINT64_CONSTANT(1) << 50, NULL));
    }
    g_assert_false(vsm_budget_take(&budget, G_GINT64_CONSTANT(1) << 50, NULL));
}

static guint
take_all(VsmShares *shares, VsmBudget *budget, const char *vm, gint64 now_us)
{
    guint taken = 0;

    while (taken < 1000 && vsm_shares_take(shares, budget, vm, now_us, NULL)) {
        taken++;
    }
    return taken;
}

static void test_flood_of_one_vm_leaves_the_others_a_write_each(void)
{
    g_autoptr(VsmShares) shares = vsm_shares_new();
    VsmBudget budget;

    vsm_budget_init(&budget, 20, 10000, 1);
    vsm_shares_join(shares, "a");
    g_assert_cmpuint(take_all(shares, &budget, "a", 1), ==, 20); /* alone */
    vsm_budget_init(&budget, 20, 10000, 1);
    vsm_shares_join(shares, "b");
    vsm_shares_join(shares, "c");
    g_assert_cmpuint(take_all(shares, &budget, "a", 1), ==, 18);
    g_assert_true(vsm_shares_take(shares, &budget, "b", 1, NULL));
    g_assert_cmpuint(take_all(shares, &budget, "a", 1), ==, 0);
    g_assert_true(vsm_shares_take(shares, &budget, "c", 1, NULL));
    g_assert_cmpuint(vsm_budget_left(&budget, 1), ==, 0);
}

static void test_many_idle_vms_keep_half_of_the_burst(void)
{
    g_autoptr(VsmShares) shares = vsm_shares_new();
    VsmBudget budget;

    vsm_budget_init(&budget, 20, 10000, 1);
    vsm_shares_join(shares, "a");
    for (guint i = 0; i < 100; i++) {
        g_autofree char *vm = g_strdup_printf("%u", i);

        vsm_shares_join(shares, vm);
    }
    g_assert_cmpuint(take_all(shares, &budget, "a", 1), ==, 10);
    /* and what comes in is the flooder's, as nobody else asks */
    g_assert_cmpuint(take_all(shares, &budget, "a", 30000001), ==, 3);
    g_assert_true(vsm_shares_take(shares, &budget, "7", 30000002, NULL));
}

static void test_refused_vm_comes_before_who_asks_later(void)
{
    g_autoptr(VsmShares) shares = vsm_shares_new();
    g_autoptr(GError) error = NULL;
    VsmBudget budget;
    gint64 now = 1;

    vsm_budget_init(&budget, 2, 10000, 1);
    vsm_shares_join(shares, "a");
    g_assert_cmpuint(take_all(shares, &budget, "a", now), ==, 2);
    vsm_shares_join(shares, "b"); /* started after the flood */
    g_assert_false(vsm_shares_take(shares, &budget, "b", now, &error));
    g_assert_error(error, VSM_ERROR, VSM_ERROR_BUSY);
    for (guint i = 0; i < 6; i++) {
        now += 10000000;
        /* the flooder is faster, and still waits for its turn */
        g_assert_cmpuint(take_all(shares, &budget, "a", now), ==, i % 2);
        g_assert_cmpuint(take_all(shares, &budget, "b", now), ==, i % 2 == 0);
    }
    /* who does not come back loses it */
    now += 200000000;
    g_assert_cmpuint(take_all(shares, &budget, "b", now), >, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, func) g_test_add_func("/host-parts/" path, func)
    ADD("config-diff-shows-the-lines", test_config_diff_shows_the_lines);
    ADD("config-diff-is-short", test_config_diff_is_short);
    ADD("budget-lets-a-burst-through-and-then-one-each",
        test_budget_lets_a_burst_through_and_then_one_each);
    ADD("budget-goes-on-after-a-restart", test_budget_goes_on_after_a_restart);
    ADD("budget-gains-nothing-from-a-wrong-clock",
        test_budget_gains_nothing_from_a_wrong_clock);
    ADD("budget-saves-no-more-than-its-burst",
        test_budget_saves_no_more_than_its_burst);
    ADD("flood-of-one-vm-leaves-the-others-a-write-each",
        test_flood_of_one_vm_leaves_the_others_a_write_each);
    ADD("many-idle-vms-keep-half-of-the-burst",
        test_many_idle_vms_keep_half_of_the_burst);
    ADD("refused-vm-comes-before-who-asks-later",
        test_refused_vm_comes_before_who_asks_later);
    return g_test_run();
}
