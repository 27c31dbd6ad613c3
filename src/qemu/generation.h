/*
 * The VM generation ID: how a guest learns that it was rolled back
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_GENERATION_H
#define VSM_GENERATION_H

/*
 * Before a load: the value that the guest finds when it runs on is a fresh
 * one.
 */
void vsm_generation_renew(void);

#endif /* VSM_GENERATION_H */
