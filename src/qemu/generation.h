/*
 * The VM generation ID: how a guest learns that it was rolled back
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_GENERATION_H
#define VSM_GENERATION_H

#include "object.h"

/* Before a load: the next value that the guest sees is a fresh one.  */
void vsm_generation_renew(void);

/**
 * vsm_generation_explains:
 *
 * After a load: whether the new generation ID is all that makes the VM differ
 * from the snapshot: its page of RAM, whose other bytes pass 2 checked, and
 * the interrupt that announces it.
 */
bool vsm_generation_explains(const VsmVerdict *verdict);

#endif /* VSM_GENERATION_H */
