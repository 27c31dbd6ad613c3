/*
 * Jump-label sites: how a site looks, and which state that is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "runtime/scope.h"

#define VSM_SITE_BYTES_MAX 5

static inline guint vsm_witness_bytes(const VsmWitness *witness)
{
    return witness->flags & VSM_WITNESS_LONG ? 5 : 2;
}

/* Form of a site whose bytes are @code: NOP, JUMP, IN_FLIGHT or OTHER. */
VsmSiteState vsm_witness_form(const VsmWitness *witness, const guint8 *code);

/* Index of the first witness whose bytes end above @va. */
guint vsm_witness_first(const VsmScope *scope, guint64 va);
