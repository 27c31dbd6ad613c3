/*
 * The hash back ends of this build.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "crypto/hash.h"

extern const VsmHashOps vsm_hash_openssl;
#ifdef VSM_HAVE_IPSEC_MB
extern const VsmHashOps vsm_hash_ipsec_mb;
#endif
