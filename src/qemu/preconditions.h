/*
 * What must hold of QEMU before a VM state is written or read
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_PRECONDITIONS_H
#define VSM_PRECONDITIONS_H

#include "object.h"

/*
 * No migration, no capability that makes another stream, no device whose state
 * is not in sections that can be compared.
 */
bool vsm_may_save(VsmManager *m, Error **errp);

/* No migration, no capability with which QEMU takes no such stream.  */
bool vsm_may_load(VsmManager *m, Error **errp);

#endif /* VSM_PRECONDITIONS_H */
