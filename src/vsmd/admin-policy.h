/*
 * Rows of the admin socket's table that are the operator's matter.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "vsmd/admin.h"

/* As VsmAdminRow's run; types as vsm/admin.h says. */
bool vsm_admin_policy_show(VsmServer *server,
                           GVariant *request,
                           GVariant **ret,
                           GError **error);
bool vsm_admin_policy_approve(VsmServer *server,
                              GVariant *request,
                              GVariant **ret,
                              GError **error);
bool vsm_admin_policy_revoke(VsmServer *server,
                             GVariant *request,
                             GVariant **ret,
                             GError **error);
bool vsm_admin_policy_finish(VsmServer *server,
                             GVariant *request,
                             GVariant **ret,
                             GError **error);
bool vsm_admin_reseal(VsmServer *server,
                      GVariant *request,
                      GVariant **ret,
                      GError **error);
bool vsm_admin_reseal_finish(VsmServer *server,
                             GVariant *request,
                             GVariant **ret,
                             GError **error);
bool vsm_admin_operator_abort(VsmServer *server,
                              GVariant *request,
                              GVariant **ret,
                              GError **error);
