/*
 * Whose turn it is: one request at a time uses the TPM, VMs in turn; and how
 * often one VM may ask.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>

typedef struct VsmTurns VsmTurns;

VsmTurns *vsm_turns_new(void);
void vsm_turns_free(VsmTurns *turns); /* nobody waits or holds one */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmTurns, vsm_turns_free)

/**
 * vsm_turns_take:
 * @vm: of a VM that asks once at a time; "": an administrator
 * @deadline_us: monotonic time
 *
 * Waits until no one else has the turn.  Of those who wait it goes to the VM
 * that had it the longest ago.  Errors: BUSY with the time to wait, CANCELLED.
 */
bool vsm_turns_take(VsmTurns *turns,
                    const char *vm,
                    gint64 deadline_us,
                    GCancellable *cancel,
                    GError **error);
void vsm_turns_give(VsmTurns *turns);

guint vsm_turns_waiting(VsmTurns *turns);

/* When the next of a series may come; zero at first. */
typedef struct {
    gint64 next_us;
} VsmRate;

/**
 * vsm_rate_take:
 * @interval_ms: between two; 0: no limit
 * @pace_ms: a shorter wait is returned in @ret_wait_us, for the caller to
 *           sleep; a longer one is BUSY, and nothing is taken
 * @what: for the message, such as "saves"
 */
bool vsm_rate_take(VsmRate *rate,
                   guint interval_ms,
                   guint pace_ms,
                   gint64 now_us,
                   const char *what,
                   gint64 *ret_wait_us,
                   GError **error);

/**
 * vsm_rate_owes_little:
 * @burst_ms: what may be owed
 *
 * For work whose size shows when it is done: vsm_rate_charge() puts it on the
 * account, and time takes it off again.  BUSY with the time to wait.
 */
bool vsm_rate_owes_little(const VsmRate *rate,
                          guint burst_ms,
                          gint64 now_us,
                          const char *what,
                          GError **error);
void vsm_rate_charge(VsmRate *rate, gint64 cost_us, gint64 now_us);
