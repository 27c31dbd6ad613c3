/*
 * Test help: something sealed to a host's state, and that it comes back.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "tpm-fixture.h"

/**
 * Snapshot: what was sealed; a test changes what it is about
 * @digest: is what the TPM keeps
 * @extra: the extra data of a quote
 */
typedef struct {
    VsmTpmBinding binding;
    VsmDigest digest, extra;
    VsmTpmObject ssk, sealed;
} Snapshot;

/* To the host as it is now; the tap forgets the commands of it. */
Snapshot *seal(Host *host);
void snapshot_free(Snapshot *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Snapshot, snapshot_free)

/* Under @s's binding; what comes back must be what was sealed. */
bool unseal(Host *host, Snapshot *s, GError **error);
void assert_unseals(Host *host, Snapshot *s);
/* Though another one extends a PCR, which must cost a second run. */
void assert_unseals_beside(Host *host, Snapshot *s, Meddler *meddler);
/* Refused with @code; the message says @text. */
void assert_not_unsealed(Host *host,
                         Snapshot *s,
                         VsmError code,
                         const char *text);

/* Nothing stays behind: swtpm has three slots of each kind. */
void assert_no_leftovers(Host *host);
