/*
 * What a mismatch of the runtime scope does to the VM: on-mismatch
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_REACTION_H
#define VSM_REACTION_H

#include "object.h"

/* Whether a VM with this verdict does not run on.  */
bool vsm_reaction_stops(VsmManager *m, const VsmVerdict *verdict);

/**
 * vsm_reaction_note:
 * @id: of the snapshot that the VM differs from
 * @ran: whether the VM was running before
 *
 * Remembers what is to be done once the operation under way has ended.
 */
void vsm_reaction_note(VsmManager *m,
                       const char *id,
                       const VsmVerdict *verdict,
                       bool ran);

/*
 * Does it: after vsm_op_end().  Not if somebody let the VM run meanwhile, and
 * not before the watch has reported what it stopped the VM for.
 */
void vsm_reaction_act(VsmManager *m);

/* The VM went back: one of the rollbacks of this hour is used up.  */
void vsm_reaction_rolled_back(VsmManager *m);

/* There is nothing to be done any more.  */
void vsm_reaction_drop(VsmManager *m);

#endif /* VSM_REACTION_H */
