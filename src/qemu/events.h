/*
 * What the manager tells the world
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_EVENTS_H
#define VSM_EVENTS_H

#include "object.h"

void vsm_event_sealed(const VsmRecord *record);

/* Of the operation under way, which is no job of ours; bytes.  */
void vsm_event_progress(uint64_t done, uint64_t total);

/* VSM_ATTESTED or VSM_ROLLED_BACK, by the answer's operation.  */
void vsm_event_answer(VsmAnswer *answer);

/* @asked and @job_id may be NULL; @code: VsmError.  */
void vsm_event_refused(VsmOperation operation,
                       const char *asked,
                       const char *job_id,
                       int code,
                       const char *message,
                       bool vm_changed);

#endif /* VSM_EVENTS_H */
