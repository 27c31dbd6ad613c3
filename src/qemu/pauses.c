/*
 * How much of its time a guest may lose to measurements
 *
 * Whoever may ask for attestations could otherwise hold the guest still for
 * good.  A bucket fills with the share of wall time and pauses drain it; it
 * holds the share of five minutes, so that a few pauses may follow each other.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/timer.h"
#include "pauses.h"

#define WINDOW_MS (5 * 60 * 1000)

/* Both in hundredths of a millisecond: percent times milliseconds.  */
static void fill(VsmManager *m)
{
    int64_t now = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
    int64_t most = (int64_t)m->pause_percent * WINDOW_MS;

    if (!m->pauses.since_ms) {
        m->pauses.left = most;
    } else {
        m->pauses.left =
            MIN(most, m->pauses.left + (now - m->pauses.since_ms) *
                                           (int64_t)m->pause_percent);
    }
    m->pauses.since_ms = now;
}

bool vsm_pauses_allow(VsmManager *m, Error **errp)
{
    int64_t wait_s;

    if (!m->pause_percent || m->pause_percent >= 100) {
        return true; /* no limit */
    }
    fill(m);
    if (m->pauses.left > 0) {
        return true;
    }
    wait_s = -m->pauses.left / m->pause_percent / 1000 + 1;
    vsm_fail(m, VSM_ERROR_BUSY, errp,
             "Measurements have paused this guest for %" PRIu32
             " %% of the last minutes, which is all that 'pause-percent' "
             "allows; try again in %" PRId64 " s",
             m->pause_percent, wait_s);
    return false;
}

void vsm_pauses_add(VsmManager *m, unsigned ms)
{
    if (m->pause_percent && m->pause_percent < 100) {
        fill(m);
        m->pauses.left -= (int64_t)ms * 100;
    }
}
