/*
 * The steps of a check that load, attest, verify and rollback share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "call.h"
#include "check.h"
#include "trace.h"

typedef struct CheckCall {
    VsmManager *m;
    VsmCheckRequest request;
    GCancellable *cancel;
    VsmCheck *check;
    VsmRam *ram;
    VsmVerdict *verdict;
} CheckCall;

static bool begin_worker(void *opaque, GError **error)
{
    CheckCall *call = opaque;

    call->check = vsm_check_begin(call->m->attester, call->m->pool,
                                  &call->request, call->cancel, error);
    return call->check != NULL;
}

VsmCheck *vsm_glue_check_begin(VsmManager *m,
                               VsmPurpose purpose,
                               const char *snapshot,
                               VsmChallenge challenge,
                               Error **errp)
{
    CheckCall call = {.m = m, .cancel = m->op.cancel};
    g_autofree char *config = vsm_describe_vm(m, &call.request.vm);

    call.request.purpose = purpose;
    call.request.snapshot = snapshot;
    call.request.nonce = challenge.nonce;
    call.request.recipient = challenge.recipient;
    call.request.profile = challenge.profile;
    if (!vsm_call(m, begin_worker, &call, errp)) {
        return NULL;
    }
    trace_vsm_check_begin(snapshot, vsm_check_record(call.check)->id, purpose);
    if (m->accepted_id &&
        !strcmp(m->accepted_id, vsm_check_record(call.check)->id)) {
        vsm_check_use_accepted(call.check, m->accepted);
    }
    return call.check;
}

static bool ram_worker(void *opaque, GError **error)
{
    CheckCall *call = opaque;
    guint n;
    const VsmRamBlock *blocks = vsm_ram_blocks(call->ram, &n);

    return vsm_check_ram(call->check, blocks, n, call->cancel, error);
}

bool vsm_glue_check_ram(VsmManager *m,
                        VsmCheck *check,
                        VsmRam *ram,
                        Error **errp)
{
    CheckCall call = {.check = check, .ram = ram, .cancel = m->op.cancel};

    return vsm_work(m, ram_worker, &call, errp);
}

static bool finish_worker(void *opaque, GError **error)
{
    CheckCall *call = opaque;

    return vsm_check_finish(call->check, &call->verdict, error);
}

VsmVerdict *vsm_glue_check_finish(VsmManager *m, VsmCheck *check, Error **errp)
{
    CheckCall call = {.check = check};

    if (!vsm_call(m, finish_worker, &call, errp)) {
        return NULL;
    }
    trace_vsm_check_finish(vsm_check_record(check)->id, call.verdict->result,
                           call.verdict->findings->len);
    return call.verdict;
}

static bool free_worker(void *opaque, GError **error)
{
    vsm_check_free(opaque);
    return true;
}

void vsm_glue_check_free(VsmManager *m, VsmCheck *check)
{
    if (check) {
        vsm_call(m, free_worker, check, NULL);
    }
}
