/*
 * What the attester says of itself
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_GLUE_STATUS_H
#define VSM_GLUE_STATUS_H

#include "object.h"

/**
 * vsm_refresh_status:
 *
 * Asks anew and keeps the answer in m->status and m->config.  While an
 * operation is under way, what was known before it must do.
 */
bool vsm_refresh_status(VsmManager *m, Error **errp);

#endif /* VSM_GLUE_STATUS_H */
