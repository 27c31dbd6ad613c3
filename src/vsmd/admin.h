/*
 * The admin socket's operations: one row each.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <vsm/admin.h>
#include "vsmd/server.h"

/**
 * VsmAdminRow:
 * @request: GVariant type of the request
 * @run: @request is of that type, its contents unchecked; *@ret is floating or
 *       transfer full
 * @turn: asks the TPM, and so waits for a turn
 */
typedef struct {
    guint16 op;
    const char *name, *request;
    bool turn;
    bool (*run)(VsmServer *server,
                GVariant *request,
                GVariant **ret,
                GError **error);
} VsmAdminRow;

/* NULL: no such operation. */
const VsmAdminRow *vsm_admin_row(guint16 op);
