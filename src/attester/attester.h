/*
 * The calls of VsmAttester that VsmSealing and VsmCheck make.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <vsm/attester.h>

/* As in VsmAttesterInterface, after a check of all arguments. */
bool vsm_attester_seal_begin(VsmAttester *self,
                             const VsmSealRequest *request,
                             char **ret_id,
                             GCancellable *cancel,
                             GError **error);
bool vsm_attester_put(VsmAttester *self,
                      VsmPart part,
                      guint64 offset,
                      GBytes *bytes,
                      GCancellable *cancel,
                      GError **error);
bool vsm_attester_seal_finish(VsmAttester *self,
                              const VsmContainer *container,
                              const char *scope_reason,
                              GCancellable *cancel,
                              GError **error);
bool vsm_attester_commit(VsmAttester *self,
                         VsmRecord **ret,
                         GCancellable *cancel,
                         GError **error);
bool vsm_attester_check_begin(VsmAttester *self,
                              const VsmCheckRequest *request,
                              VsmRecord **ret,
                              GCancellable *cancel,
                              GError **error);
bool vsm_attester_get(VsmAttester *self,
                      VsmPart part,
                      guint64 offset,
                      gsize bytes,
                      GBytes **ret,
                      GCancellable *cancel,
                      GError **error);
bool vsm_attester_check_finish(VsmAttester *self,
                               const VsmMeasured *measured,
                               VsmVerdict **ret,
                               GCancellable *cancel,
                               GError **error);
void vsm_attester_abort(VsmAttester *self);
