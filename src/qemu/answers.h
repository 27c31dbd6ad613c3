/*
 * Answers of attestation jobs, as QMP shows them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_ANSWERS_H
#define VSM_ANSWERS_H

#include "object.h"

/* Digests and TPM Names as hex; (transfer full).  */
char *vsm_hex(const void *data, size_t bytes);
char *vsm_hex_bytes(GBytes *bytes);

/* The first difference in words, for an error's text; (transfer full).  */
char *vsm_first_finding(const VsmVerdict *verdict);

/**
 * vsm_answer_new:
 * @scope: of what was measured
 * @secret: a recipient was given: nobody else gets the verdict
 *
 * An answer for the operation under way.  Returns: (transfer full)
 */
VsmAnswer *vsm_answer_new(VsmManager *m,
                          const VsmRecord *record,
                          VsmScope scope,
                          const VsmVerdict *verdict,
                          bool secret,
                          unsigned pause_ms,
                          uint64_t bytes_hashed);

/* Keeps @answer, (transfer full), and drops the oldest beyond the limit.  */
void vsm_answers_keep(VsmManager *m, VsmAnswer *answer);

/* The kept answer of a job, or NULL; borrowed.  */
const VsmAnswer *vsm_answers_find(VsmManager *m, const char *job_id);

void vsm_answers_clear(VsmManager *m);

#endif /* VSM_ANSWERS_H */
