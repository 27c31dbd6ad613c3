/*
 * The steps of a check that load, attest, verify and rollback share
 *
 * All of them wait as vsm_call() does.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_GLUE_CHECK_H
#define VSM_GLUE_CHECK_H

#include "object.h"
#include "ram.h"

/* What a verifier sent along; all may be NULL.  */
typedef struct VsmChallenge {
    GBytes *nonce;
    const char *recipient;
    const char *profile; /* of the runtime scope */
} VsmChallenge;

/**
 * vsm_glue_check_begin:
 * @snapshot: "tag:", "id:" or bare name
 *
 * Policy, then the sealed documents; the VM is not touched.  Forms that were
 * accepted at the last load of this snapshot are taken over.
 *
 * Returns: (transfer full): free with vsm_glue_check_free()
 */
VsmCheck *vsm_glue_check_begin(VsmManager *m,
                               VsmPurpose purpose,
                               const char *snapshot,
                               VsmChallenge challenge,
                               Error **errp);

/* Hashes the stopped VM's RAM; cancelled by the operation's cancellable.  */
bool vsm_glue_check_ram(VsmManager *m,
                        VsmCheck *check,
                        VsmRam *ram,
                        Error **errp);

/* Returns: (transfer full): the attester's judgement */
VsmVerdict *vsm_glue_check_finish(VsmManager *m, VsmCheck *check, Error **errp);

void vsm_glue_check_free(VsmManager *m, VsmCheck *check);

#endif /* VSM_GLUE_CHECK_H */
