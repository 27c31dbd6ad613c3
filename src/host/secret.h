/*
 * The host secret: a file outside the store that only the attester can read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <vsm/host.h>
#include "crypto/secret.h"
#include "store/files.h"

#define VSM_HOST_SECRET_PATH "/etc/vsm/secret"

/**
 * vsm_host_secret_load:
 * @path: NULL: VSM_HOST_SECRET_PATH
 * @kind: the daemon's secret begins with a mark that no other has, so that
 *        neither adopts the other's
 * @store: must not hold it, nor any directory above it: a copy of the store
 *         would else carry the secret along
 * @make: make one when absent (first set-up)
 *
 * Errors: INVALID (inside @store), NOT_FOUND (absent and not made), STORE
 * (readable by others, wrong length, or unreadable), DENIED (of the other
 * kind).
 */
VsmSecret *vsm_host_secret_load(const char *path,
                                VsmHostKind kind,
                                const VsmDir *store,
                                bool make,
                                GError **error);
