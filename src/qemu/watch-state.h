/*
 * The watch: what its files share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_WATCH_STATE_H
#define VSM_WATCH_STATE_H

#include "qemu/timer.h"
#include "hold.h"
#include "look.h"
#include "object.h"

#define VSM_WATCH_PROFILE VSM_RUNTIME_PROFILE_STANDARD
#define VSM_WATCH_BUSY_MS 1000 /* another operation is under way */

struct VsmWatch {
    VsmManager *m;
    QEMUTimer timer;
    uint32_t seconds;
    char *snapshot;

    GBytes *scope; /* proved; NULL: not yet */
    char *id; /* of its record, also of the last one that was proved */
    bool proved; /* @scope is known, or that there is none */

    /*
     * The last result that was reported, and its findings.  NULL: none yet, or
     * one could not be, so the next one is told whatever it is.
     */
    char *last;
    bool has_outcome;
    VsmOutcome outcome; /* of the last look, reported or not */
    char *told; /* the failure that was told; NULL: none since it worked */
    unsigned patching; /* looks at a patch in flight, in a row */
    unsigned n_reports;
    bool working; /* a coroutine is at the attester */

    struct {
        int64_t looked_ms; /* at the VM, or it was stopped anyway */
        int64_t counted_ms; /* the last one */
        bool waiting; /* for the look that is due, which counted already */
        bool told; /* that there is none for long */
        unsigned n;
        char *reason; /* of the last one; NULL: none yet */
        int64_t time; /* of the last one, in seconds since 1970 */
    } skips;

    /* Of the look that is being reported, or still has to be.  */
    VsmHold hold;
    VsmLook look;
    char *text; /* as @last */
    bool kept; /* the VM stays stopped for it, its report is tried again */
};

/* Main thread.  The next look is in @ms, or in about an interval.  */
void vsm_watch_arm(VsmWatch *watch);
void vsm_watch_arm_ms(VsmWatch *watch, unsigned ms);

/**
 * vsm_watch_work:
 *
 * Runs @entry with @watch as a coroutine; it calls vsm_watch_worked() last,
 * after vsm_op_end().  The manager lives as long.
 */
void vsm_watch_work(VsmWatch *watch, CoroutineEntry *entry);
void coroutine_fn vsm_watch_worked(VsmWatch *watch);

/* Whether the VM does not run on after the look at hand.  */
bool vsm_watch_stops(const VsmWatch *watch);

/*
 * Has the look at hand signed and told; vsm_op_begin() was called.  Lets go of
 * the VM when that is done, and does what a mismatch does.
 */
void vsm_watch_report(VsmWatch *watch);

/* The VM was looked at, or is stopped, so that nothing can change.  */
void vsm_watch_looked(VsmWatch *watch);

/**
 * vsm_watch_skipped:
 * @why: no look was made
 *
 * Returns: true once there was none for so long that it has to be told
 */
bool vsm_watch_skipped(VsmWatch *watch, const char *why);

/* Tells so, without the attester.  */
void vsm_watch_tell_skipped(VsmWatch *watch);

/**
 * vsm_watch_failed:
 * @err: (transfer full)
 *
 * The operation under way failed.  Told once, not at every look: the failure
 * has to change.
 */
void vsm_watch_failed(VsmWatch *watch, Error *err);

#endif /* VSM_WATCH_STATE_H */
