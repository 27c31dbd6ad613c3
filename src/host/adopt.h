/*
 * A store that its TPM does not bear out, and the operator's word on it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "host/internal.h"

/**
 * vsm_host_adoptable:
 * @ret_body: (out): SHA-384 of its body
 *
 * The catalogue file, if this host's AK signed it.  Its entries have their
 * commit values.  Errors: TAMPERED, INVALID (it is the current one).
 */
bool vsm_host_adoptable(VsmHost *host,
                        VsmCatalogue **ret,
                        VsmDigest *ret_body,
                        GError **error);
