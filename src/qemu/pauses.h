/*
 * How much of its time a guest may lose to measurements
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_PAUSES_H
#define VSM_PAUSES_H

#include "object.h"

/* Share of wall time unless the property pause-percent says otherwise.  */
#define VSM_PAUSE_PERCENT 5

/**
 * vsm_pauses_allow:
 *
 * Whether a measurement may pause the running guest now; BUSY with the time
 * to wait otherwise.  A pause's length is not known before it is over, so the
 * last one may go beyond the share, which those after it pay for.
 */
bool vsm_pauses_allow(VsmManager *m, Error **errp);

/* A measurement paused the guest for so long.  */
void vsm_pauses_add(VsmManager *m, unsigned ms);

#endif /* VSM_PAUSES_H */
