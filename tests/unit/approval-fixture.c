/*
 * Test help: boot states that an operator approves.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "approval-fixture.h"

#include <string.h>

GBytes *approval_begin(Store *store, guint keep)
{
    g_autoptr(GError) error = NULL;
    GBytes *request = NULL;

    vsm_host_approve_begin(store->host, NULL, keep, &request, &error);
    g_assert_no_error(error);
    return request;
}

void approval_refused(Store *store, GBytes *signature, int code)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(vsm_host_approve_finish(store->host, signature, &error));
    g_assert_error(error, VSM_ERROR, code);
    g_test_message("%s", error->message);
}

guint approved_states(Store *store, bool *ret_current)
{
    g_autoptr(GVariant) state = NULL;
    g_autoptr(GVariant) list = NULL;
    g_autoptr(GError) error = NULL;
    gboolean current;

    vsm_host_boot_state(store->host, &state, &error);
    g_assert_no_error(error);
    g_variant_get_child(state, 1, "b", &current);
    list = g_variant_get_child_value(state, 2);
    if (ret_current) {
        *ret_current = current;
    }
    return g_variant_n_children(list);
}

void store_assert_usable(Store *store)
{
    bool current;

    approved_states(store, &current);
    g_assert_true(current);
    store_assert_match(store, "one");
}

void store_assert_unusable(Store *store, const char *word)
{
    g_autofree char *text =
        store_refused(store, VSM_PURPOSE_FULL, "one", VSM_ERROR_BOOT);

    g_assert_nonnull(strstr(text, word));
    g_assert_nonnull(strstr(text, "vsmctl policy approve --current"));
    vsm_local_trust_tpm_alone = true;
    g_free(store_refused(store, VSM_PURPOSE_FULL, "one", VSM_ERROR_BOOT));
    vsm_local_trust_tpm_alone = false;
}

Store *approved_store(const char *curve)
{
    Store *store = store_new_operator(curve);

    store_approve(store, 0);
    g_free(store_save(store, "one", false));
    return store;
}

void store_reboot(Store *store, guint extends_of_pcr_4)
{
    store_close(store);
    swtpm_kill(store->swtpm);
    swtpm_start(store->swtpm);
    store_reopen(store);
    for (guint8 pcr = 0; pcr < 8; pcr++) {
        tap_extend_pcr(store->tap, pcr);
    }
    for (guint i = 0; i < extends_of_pcr_4; i++) {
        tap_extend_pcr(store->tap, 4);
    }
}
