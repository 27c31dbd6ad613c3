/*
 * The TPM thread: a TCTI transport that never blocks its caller for longer
 * than the deadline.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tpm/link.h"

#include <string.h>
#include <tss2/tss2_tctildr.h>
#include <tss2/tss2_tpm2_types.h>
#include "crypto/secret.h"
#include "tpm/context.h"
#include "tpm/pin.h"

/* The largest command or response: TPM2_MAX_COMMAND_SIZE is 4096. */
#define BUFFER_BYTES 4096
#define HEADER_BYTES 10 /* tag, size, response code */

/* Threads that wait for a TPM which may never answer; each holds one fd. */
#define LOST_THREADS_MAX 4

/* First and longest pause before a command is sent again; milliseconds. */
#define RESEND_FIRST_MS 20
#define RESEND_LONGEST_MS 640

/* Between two looks at a request's GCancellable; milliseconds. */
#define CANCEL_TICK_MS 50

#define LINK_MAGIC 0x56534d2d4c494e4bull /* "VSM-LINK" */

typedef enum {
    LINK_OPENING,
    LINK_IDLE,
    LINK_COMMAND, /* a command is with the thread */
    LINK_ANSWERED, /* its response, or the reason for none, is in the buffer */
    LINK_CLOSING,
} LinkState;

struct VsmTpmLink {
    TSS2_TCTI_CONTEXT_COMMON_V1 tcti; /* first: ESYS sees only this */

    gint refs; /* the caller and the thread */
    GThread *thread;
    GMutex mutex;
    GCond cond;
    LinkState state; /* under @mutex, as all below */
    TSS2_RC rc; /* of the open, or of the last command */
    guint8 buffer[BUFFER_BYTES]; /* owned by the thread in LINK_COMMAND */
    gsize used;
    bool lost; /* the thread was left behind */

    /* The caller's alone. */
    guint8 command[BUFFER_BYTES];
    gsize command_bytes;
    gint64 deadline_us;
    guint command_ms;
    VsmTpmLinkEnd end;
    guint64 commands;

    /* The thread's alone. */
    char *text;
    VsmTpmTransport transport;
};

static gint lost_threads;

static void link_unref(VsmTpmLink *link)
{
    if (g_atomic_int_dec_and_test(&link->refs)) {
        g_mutex_clear(&link->mutex);
        g_cond_clear(&link->cond);
        g_free(link->text);
        vsm_wipe(link, sizeof(*link));
        g_free(link);
    }
}

static TSS2_RC
loader_open(const char *text, TSS2_TCTI_CONTEXT **ret, gpointer opaque)
{
    TSS2_RC rc = Tss2_TctiLdr_Initialize(text, ret);

    (void)opaque;
    if (rc == TSS2_RC_SUCCESS) {
        vsm_tpm_pin_transports();
    }
    return rc;
}

static void loader_close(TSS2_TCTI_CONTEXT *tcti, gpointer opaque)
{
    (void)opaque;
    Tss2_TctiLdr_Finalize(&tcti);
}

static const VsmTpmTransport loader = {loader_open, loader_close, NULL};

/* One command; called without the mutex, the buffer is the thread's. */
static TSS2_RC exchange(TSS2_TCTI_CONTEXT *real, VsmTpmLink *link)
{
    TSS2_RC rc = Tss2_Tcti_Transmit(real, link->used, link->buffer);

    if (rc == TSS2_RC_SUCCESS) {
        do {
            link->used = sizeof(link->buffer);
            rc = Tss2_Tcti_Receive(real, &link->used, link->buffer,
                                   TSS2_TCTI_TIMEOUT_BLOCK);
        } while (rc == TSS2_TCTI_RC_TRY_AGAIN);
    }
    return rc;
}

static gpointer link_thread(gpointer opaque)
{
    VsmTpmLink *link = opaque;
    TSS2_TCTI_CONTEXT *real = NULL;
    const VsmTpmTransport *transport = &link->transport;
    TSS2_RC rc = transport->open(link->text, &real, transport->opaque);

    g_mutex_lock(&link->mutex);
    link->rc = rc;
    if (link->state == LINK_OPENING) {
        link->state = LINK_IDLE;
    }
    g_cond_broadcast(&link->cond);
    while (rc == TSS2_RC_SUCCESS && link->state != LINK_CLOSING) {
        if (link->state == LINK_COMMAND) {
            TSS2_RC command_rc;

            g_mutex_unlock(&link->mutex);
            command_rc = exchange(real, link);
            g_mutex_lock(&link->mutex);
            link->rc = command_rc;
            if (link->state == LINK_COMMAND) {
                link->state = LINK_ANSWERED;
            }
            g_cond_broadcast(&link->cond);
        } else {
            g_cond_wait(&link->cond, &link->mutex);
        }
    }
    if (link->lost) {
        g_atomic_int_dec_and_test(&lost_threads);
    }
    g_mutex_unlock(&link->mutex);
    if (real) {
        transport->close(real, transport->opaque);
    }
    link_unref(link);
    return NULL;
}

/* Whether the wait has to end, and why. */
static bool is_over(VsmTpmLink *link)
{
    if (vsm_tpm_request_over(&link->end)) {
        return true;
    }
    if (g_get_monotonic_time() < link->deadline_us) {
        return false;
    }
    link->end = VSM_TPM_LINK_TIMED_OUT;
    return true;
}

/* When to look again; a GCancellable does not signal our condition. */
static gint64 next_look(VsmTpmLink *link, const VsmTpmRequest *request)
{
    gint64 until = link->deadline_us, request_until = vsm_tpm_deadline();

    if (request_until) {
        until = MIN(until, request_until);
    }
    if (request && request->cancel) {
        until = MIN(until, g_get_monotonic_time() +
                               CANCEL_TICK_MS * G_TIME_SPAN_MILLISECOND);
    }
    return until;
}

/* Called with the mutex held; false when the wait was given up. */
static bool wait_while(VsmTpmLink *link, LinkState state)
{
    const VsmTpmRequest *request = vsm_tpm_request();

    while (link->state == state) {
        if (!g_cond_wait_until(&link->cond, &link->mutex,
                               next_look(link, request)) &&
            link->state == state && is_over(link)) {
            return false;
        }
    }
    return true;
}

static void set_deadline(VsmTpmLink *link)
{
    link->deadline_us =
        g_get_monotonic_time() + link->command_ms * G_TIME_SPAN_MILLISECOND;
}

/* false when an answer is outstanding: this one would be mixed up with it. */
static bool hand_over(VsmTpmLink *link)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&link->mutex);

    if (link->state != LINK_IDLE && link->state != LINK_ANSWERED) {
        return false;
    }
    memcpy(link->buffer, link->command, link->command_bytes);
    link->used = link->command_bytes;
    link->state = LINK_COMMAND;
    link->commands++;
    g_cond_broadcast(&link->cond);
    return true;
}

/* --- What ESYS calls -------------------------------------------------- */

static TSS2_RC
link_transmit(TSS2_TCTI_CONTEXT *tcti, size_t size, const uint8_t *command)
{
    VsmTpmLink *link = (VsmTpmLink *)tcti;

    if (size > sizeof(link->command)) {
        return TSS2_TCTI_RC_BAD_VALUE;
    }
    memcpy(link->command, command, size);
    link->command_bytes = size;
    set_deadline(link);
    return hand_over(link) ? TSS2_RC_SUCCESS : TSS2_TCTI_RC_IO_ERROR;
}

/*
 * Answers that say "not now": nothing was executed, no session moved, so the
 * same bytes may be sent again.  ESYS itself resends RETRY, YIELDED and TESTING
 * only, five times and at once.
 */
static bool is_not_now(const guint8 *response, gsize size)
{
    guint32 rc;

    if (size < HEADER_BYTES) {
        return false;
    }
    memcpy(&rc, response + 6, sizeof(rc));
    switch (GUINT32_FROM_BE(rc)) {
    case TPM2_RC_NV_RATE:
    case TPM2_RC_OBJECT_MEMORY:
    case TPM2_RC_SESSION_MEMORY:
    case TPM2_RC_MEMORY:
    case TPM2_RC_CANCELED:
    case TPM2_RC_RETRY:
    case TPM2_RC_YIELDED:
    case TPM2_RC_TESTING:
        return true;
    default:
        return false;
    }
}

static bool pause_before_resend(VsmTpmLink *link, guint *pause_ms)
{
    gint64 until = g_get_monotonic_time() + *pause_ms * G_TIME_SPAN_MILLISECOND;

    if (until >= link->deadline_us) {
        return false;
    }
    g_usleep(*pause_ms * 1000);
    *pause_ms = MIN(*pause_ms * 2, RESEND_LONGEST_MS);
    return true;
}

/* Waits for the answer that counts, which stays in the buffer. */
static bool await_answer(VsmTpmLink *link)
{
    guint pause_ms = RESEND_FIRST_MS;
    bool again;

    do {
        g_mutex_lock(&link->mutex);
        if (!wait_while(link, LINK_COMMAND)) {
            g_mutex_unlock(&link->mutex);
            return false;
        }
        again = link->state == LINK_ANSWERED && link->rc == TSS2_RC_SUCCESS &&
                is_not_now(link->buffer, link->used);
        g_mutex_unlock(&link->mutex);
    } while (again && pause_before_resend(link, &pause_ms) && hand_over(link));
    return true;
}

static TSS2_RC link_receive(TSS2_TCTI_CONTEXT *tcti,
                            size_t *size,
                            uint8_t *response,
                            int32_t timeout)
{
    VsmTpmLink *link = (VsmTpmLink *)tcti;
    g_autoptr(GMutexLocker) locker = NULL;

    (void)timeout; /* ESYS waits for ever; our deadline counts */
    if (!await_answer(link)) {
        return TSS2_TCTI_RC_IO_ERROR; /* TRY_AGAIN would make ESYS loop */
    }
    locker = g_mutex_locker_new(&link->mutex);
    if (link->state != LINK_ANSWERED) {
        return TSS2_TCTI_RC_BAD_SEQUENCE;
    }
    if (link->rc == TSS2_RC_SUCCESS) {
        if (!response) {
            *size = link->used; /* ESYS asks for the size first */
            return TSS2_RC_SUCCESS;
        }
        if (link->used > *size) {
            return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
        }
        memcpy(response, link->buffer, link->used);
        *size = link->used;
    }
    link->state = LINK_IDLE;
    return link->rc;
}

static void link_finalize(TSS2_TCTI_CONTEXT *tcti)
{
    (void)tcti; /* vsm_tpm_link_close() does it */
}

static TSS2_RC link_cancel(TSS2_TCTI_CONTEXT *tcti)
{
    (void)tcti;
    return TSS2_TCTI_RC_NOT_IMPLEMENTED;
}

static TSS2_RC
link_poll(TSS2_TCTI_CONTEXT *tcti, TSS2_TCTI_POLL_HANDLE *handles, size_t *n)
{
    (void)tcti;
    (void)handles;
    (void)n;
    return TSS2_TCTI_RC_NOT_IMPLEMENTED;
}

static TSS2_RC link_locality(TSS2_TCTI_CONTEXT *tcti, uint8_t locality)
{
    (void)tcti;
    (void)locality;
    return TSS2_TCTI_RC_NOT_IMPLEMENTED;
}

/* --- Open and close --------------------------------------------------- */

static VsmTpmLink *
link_new(const char *text, const VsmTpmTransport *transport, guint command_ms)
{
    VsmTpmLink *link = g_new0(VsmTpmLink, 1);

    link->tcti.magic = LINK_MAGIC;
    link->tcti.version = 1;
    link->tcti.transmit = link_transmit;
    link->tcti.receive = link_receive;
    link->tcti.finalize = link_finalize;
    link->tcti.cancel = link_cancel;
    link->tcti.getPollHandles = link_poll;
    link->tcti.setLocality = link_locality;
    g_mutex_init(&link->mutex);
    g_cond_init(&link->cond);
    link->refs = 2;
    link->text = g_strdup(text);
    link->transport = transport ? *transport : loader;
    link->command_ms = command_ms;
    set_deadline(link);
    return link;
}

TSS2_RC vsm_tpm_link_open(const char *tcti,
                          const VsmTpmTransport *transport,
                          guint command_ms,
                          VsmTpmLink **ret)
{
    VsmTpmLink *link;
    bool opened;
    TSS2_RC rc;

    if (g_atomic_int_get(&lost_threads) >= LOST_THREADS_MAX) {
        return TSS2_TCTI_RC_TRY_AGAIN; /* it has not come back */
    }
    link = link_new(tcti, transport, command_ms);
    link->thread = g_thread_try_new("vsm-tpm", link_thread, link, NULL);
    if (!link->thread) {
        link_unref(link);
        link_unref(link); /* the thread's */
        return TSS2_TCTI_RC_MEMORY;
    }
    g_mutex_lock(&link->mutex);
    opened = wait_while(link, LINK_OPENING);
    rc = opened ? link->rc : TSS2_TCTI_RC_TRY_AGAIN;
    g_mutex_unlock(&link->mutex);
    if (rc != TSS2_RC_SUCCESS) {
        vsm_tpm_link_close(link);
        return rc;
    }
    *ret = link;
    return rc;
}

void vsm_tpm_link_close(VsmTpmLink *link)
{
    GThread *thread = link->thread;
    bool busy;

    g_mutex_lock(&link->mutex);
    busy = link->state == LINK_OPENING || link->state == LINK_COMMAND;
    link->state = LINK_CLOSING;
    link->lost = busy;
    if (busy) {
        g_atomic_int_inc(&lost_threads);
    }
    g_cond_broadcast(&link->cond);
    g_mutex_unlock(&link->mutex);

    if (busy) {
        g_thread_unref(thread);
    } else {
        g_thread_join(thread);
    }
    link_unref(link);
}

TSS2_TCTI_CONTEXT *vsm_tpm_link_tcti(VsmTpmLink *link)
{
    return (TSS2_TCTI_CONTEXT *)&link->tcti;
}

VsmTpmLinkEnd vsm_tpm_link_end(VsmTpmLink *link)
{
    return link->end;
}

guint64 vsm_tpm_link_commands(VsmTpmLink *link)
{
    return link->commands;
}
