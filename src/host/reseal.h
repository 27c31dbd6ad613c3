/*
 * Records that the operator bound to another hypervisor or configuration.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "host/internal.h"

/* What a reseal writes beside the files that it will replace. */
#define VSM_FILE_METADATA_NEXT "metadata.next"
#define VSM_FILE_SIGNATURE_NEXT "signature.next"

/**
 * vsm_reseal_check:
 *
 * Whether the operator signed for this snapshot's hypervisor and configuration;
 * true for one that was never resealed.  TAMPERED otherwise.
 */
bool vsm_reseal_check(VsmHost *host,
                      const VsmMetadata *metadata,
                      GError **error);

/*
 * After the catalogue is known: a record whose successor the catalogue names
 * gets it, any other successor is dropped.
 */
bool vsm_reseal_recover(VsmHost *host, GError **error);

/* Successors take their place, or go. */
bool vsm_reseal_take(const VsmDir *dir, GError **error);
bool vsm_reseal_drop(const VsmDir *dir, GError **error);
