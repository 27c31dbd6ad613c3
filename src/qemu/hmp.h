/*
 * HMP commands of the snapshot manager
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_HMP_H
#define VSM_HMP_H

/* Gives the entries of hmp-commands.h and hmp-commands-info.h their code.  */
void vsm_hmp_register(void);

#endif /* VSM_HMP_H */
