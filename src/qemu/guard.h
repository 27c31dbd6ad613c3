/*
 * The guard that QEMU's snapshot code asks
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_GUARD_H
#define VSM_GUARD_H

/* From here on snapshots of this QEMU are sealed and checked.  */
void vsm_guard_register(void);
void vsm_guard_unregister(void);

#endif /* VSM_GUARD_H */
