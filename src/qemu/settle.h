/*
 * Sweeping what an interrupted save or delete left behind
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_SETTLE_H
#define VSM_SETTLE_H

#include "object.h"

/**
 * vsm_list:
 *
 * Asks the attester for the VM's records and keeps them in m->records.
 */
bool vsm_list(VsmManager *m, Error **errp);

/**
 * vsm_settle:
 *
 * Lists; then, for each record that the catalogue does not list, deletes the
 * entries with its mark on all disks, and lastly the record.  A record stays
 * while one of its disks is missing or read-only.  From the main thread, not
 * from a coroutine.
 */
bool vsm_settle(VsmManager *m, Error **errp);

#endif /* VSM_SETTLE_H */
