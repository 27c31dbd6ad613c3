/*
 * Background jobs of vsm-attest, vsm-verify and vsm-rollback
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/main-loop.h"
#include "qemu/timer.h"
#include "answers.h"
#include "attest.h"
#include "events.h"
#include "jobs.h"
#include "reaction.h"
#include "rollback.h"
#include "trace.h"

#define PROGRESS_MS 100
#define NONCE_BYTES_MIN 8 /* fewer can be guessed or repeated */
#define NONCE_BYTES_MAX 64 /* what a quote's extraData is made of */
#define NONCE_TEXT_MAX 86 /* base64url of NONCE_BYTES_MAX */

/* base64url without padding (RFC 4648, section 5), strictly.  */
static GBytes *decode_nonce(const char *text, Error **errp)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "abcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t length = strlen(text);
    uint8_t bytes[NONCE_BYTES_MAX];
    uint32_t bits = 0;
    size_t n_bits = 0, n = 0;

    if (length > NONCE_TEXT_MAX || length % 4 == 1 ||
        strspn(text, alphabet) != length) {
        error_setg(errp,
                   "'nonce' must be %d to %d bytes in base64url without "
                   "padding",
                   NONCE_BYTES_MIN, NONCE_BYTES_MAX);
        return NULL;
    }
    for (size_t i = 0; i < length; i++) {
        bits = bits << 6 | (strchr(alphabet, text[i]) - alphabet);
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            bytes[n++] = bits >> n_bits;
            bits &= (1u << n_bits) - 1;
        }
    }
    if (n < NONCE_BYTES_MIN || bits) {
        error_setg(errp,
                   "'nonce' must be %d to %d bytes in base64url without "
                   "padding, but is %zu bytes",
                   NONCE_BYTES_MIN, NONCE_BYTES_MAX, n);
        return NULL;
    }
    return g_bytes_new(bytes, n);
}

static void job_tick(void *opaque)
{
    VsmJob *job = opaque;
    uint64_t hashed = vsm_pool_hashed_bytes(job->m->pool);
    uint64_t done = MIN(hashed - job->hashed, job->left);

    job_progress_update(&job->common, done);
    job->hashed = hashed;
    job->left -= done;
    timer_mod(&job->timer,
              qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + PROGRESS_MS);
}

VsmChallenge vsm_job_challenge(const VsmJob *job)
{
    bool runtime = job->operation == VSM_OPERATION_ATTEST &&
                   job->scope == VSM_SCOPE_RUNTIME;

    return (VsmChallenge){job->nonce, job->recipient,
                          runtime ? VsmRuntimeProfile_str(job->profile) : NULL};
}

void vsm_job_expect(VsmJob *job, uint64_t bytes)
{
    job->hashed = vsm_pool_hashed_bytes(job->m->pool);
    job->left = bytes;
    job_progress_set_remaining(&job->common, bytes);
}

static VsmAnswer *coroutine_fn job_body(VsmJob *job, Error **errp)
{
    switch (job->operation) {
    case VSM_OPERATION_ATTEST:
        return vsm_attest_body(job, errp);
    case VSM_OPERATION_VERIFY:
        return vsm_verify_body(job, errp);
    case VSM_OPERATION_ROLLBACK:
        return vsm_rollback_body(job, errp);
    default:
        g_assert_not_reached();
    }
}

static int coroutine_fn job_run(Job *common, Error **errp)
{
    VsmJob *job = container_of(common, VsmJob, common);
    VsmManager *m = job->m;
    VsmAnswer *answer;
    Error *err = NULL;

    job->hashed = job->hashed_base = vsm_pool_hashed_bytes(m->pool);
    job_progress_set_remaining(common, 1);
    job_tick(job);
    answer = job_body(job, &err);
    timer_del(&job->timer);
    if (answer) {
        job_progress_set_remaining(common, 0);
        vsm_answers_keep(m, answer);
        vsm_event_answer(answer);
    } else {
        vsm_op_refused(m, job->changed, err);
        error_propagate(errp, err);
    }
    job->ended = true;
    vsm_op_end(m);
    vsm_reaction_act(m);
    return answer ? 0 : -1;
}

/* Also called at quit: the workers end, and the job with them.  */
static bool job_cancelled(Job *common, bool force)
{
    VsmJob *job = container_of(common, VsmJob, common);

    if (job->committed || job->ended) {
        return false; /* the result stands */
    }
    if (job->m->op.cancel) {
        g_cancellable_cancel(job->m->op.cancel);
    }
    return true;
}

static void job_free(Job *common)
{
    VsmJob *job = container_of(common, VsmJob, common);

    timer_deinit(&job->timer);
    g_free(job->snapshot);
    g_free(job->recipient);
    g_clear_pointer(&job->nonce, g_bytes_unref);
    object_unref(OBJECT(job->m));
}

#define JOB_DRIVER(type)                                                       \
    {                                                                          \
        .instance_size = sizeof(VsmJob), .job_type = type, .run = job_run,     \
        .cancel = job_cancelled, .free = job_free                              \
    }

static const JobDriver job_drivers[] = {
    [VSM_OPERATION_ATTEST] = JOB_DRIVER(JOB_TYPE_VSM_ATTEST),
    [VSM_OPERATION_VERIFY] = JOB_DRIVER(JOB_TYPE_VSM_VERIFY),
    [VSM_OPERATION_ROLLBACK] = JOB_DRIVER(JOB_TYPE_VSM_ROLLBACK),
};

void vsm_job_start(const VsmJobRequest *request, Error **errp)
{
    VsmManager *m = vsm_manager_or_error(errp);
    VsmState state = request->operation == VSM_OPERATION_ROLLBACK
                         ? VSM_STATE_LOAD
                         : VSM_STATE_ATTEST;
    g_autoptr(GBytes) nonce = NULL;
    VsmJob *job;

    if (!m) {
        return;
    }
    nonce = request->nonce ? decode_nonce(request->nonce, errp) : NULL;
    if ((request->nonce && !nonce) ||
        !vsm_op_begin(m, state, request->operation, request->snapshot,
                      request->job_id, errp)) {
        return;
    }
    job = job_create(request->job_id, &job_drivers[request->operation], NULL,
                     qemu_get_aio_context(),
                     request->dismiss ? JOB_DEFAULT : JOB_MANUAL_DISMISS, NULL,
                     NULL, errp);
    if (!job) {
        vsm_op_end(m);
        return;
    }
    job->m = VSM_MANAGER(object_ref(OBJECT(m)));
    job->operation = request->operation;
    job->snapshot = g_strdup(request->snapshot);
    job->nonce = g_steal_pointer(&nonce);
    job->recipient = g_strdup(request->recipient);
    job->scope = request->scope;
    job->profile = request->profile;
    job->resume = request->resume;
    job->runtime = request->runtime;
    timer_init_ms(&job->timer, QEMU_CLOCK_REALTIME, job_tick, job);
    trace_vsm_job_start(request->job_id, request->snapshot);
    job_start(&job->common);
}
