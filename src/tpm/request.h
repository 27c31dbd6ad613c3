/*
 * What bounds the TPM commands of a thread beside their own deadline.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>

/**
 * VsmTpmRequest:
 * @deadline_us: monotonic time after which no command is waited for; 0: none
 * @ms: the same as a length, for the error's text
 * @cancel: ends the wait for an answer; borrowed, NULL allowed
 *
 * A command that is given up is one whose answer is lost: the connection is
 * closed and made anew.  So a request that must know what became of its
 * command, a commit, runs without.
 */
typedef struct {
    gint64 deadline_us;
    guint ms;
    GCancellable *cancel;
} VsmTpmRequest;

/* Of this thread, until it sets another or NULL; borrowed. */
void vsm_tpm_request_set(const VsmTpmRequest *request);
const VsmTpmRequest *vsm_tpm_request(void); /* NULL: none */

/*
 * What the caller of all this leaves the thread, time in queues included:
 * bounds every command until set again, a commit's too; monotonic time, 0:
 * none.
 */
void vsm_tpm_set_deadline(gint64 deadline_us);

/* The nearer of the two; 0: none. */
gint64 vsm_tpm_deadline(void);

/* Why an answer is no longer waited for. */
typedef enum {
    VSM_TPM_LINK_WAITED, /* it is, or the transport failed */
    VSM_TPM_LINK_TIMED_OUT, /* the command's deadline */
    VSM_TPM_LINK_OVERDUE, /* the request's */
    VSM_TPM_LINK_CANCELLED, /* by the request's GCancellable */
} VsmTpmLinkEnd;

/* Whether this thread's request is over; @ret is untouched if not. */
bool vsm_tpm_request_over(VsmTpmLinkEnd *ret);
