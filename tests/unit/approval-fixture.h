/*
 * Test help: boot states that an operator approves.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "host-fixture.h"

/* A store whose boot is approved, with the snapshot "one". */
Store *approved_store(const char *curve);

/* A request for the boot as it is, @keep states beside it; must succeed. */
GBytes *approval_begin(Store *store, guint keep);

/* The request that waits is not finished by @signature. */
void approval_refused(Store *store, GBytes *signature, int code);

/* How many states are approved; @ret_current (NULL allowed): the boot's too. */
guint approved_states(Store *store, bool *ret_current);

/* The boot is approved, and "one" matches. */
void store_assert_usable(Store *store);

/* Refused by software, which says @word, and by the TPM itself. */
void store_assert_unusable(Store *store, const char *word);

/* The host before its update: a software TPM's PCRs come back by a restart. */
void store_reboot(Store *store, guint extends_of_pcr_4);
