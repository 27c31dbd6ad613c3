/*
 * Hash back end intel-ipsec-mb: 8 messages side by side with AVX-512, 4 with
 * AVX2.
 *
 * The library is meant for packets: a message that is longer than a few pages
 * goes to OpenSSL, which is as fast on a single message.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <intel-ipsec-mb.h>
#include <vsm/error.h>

#include "crypto/hash-backends.h"

/* Bytes; its lengths were 16 bits wide in older versions. */
#define MESSAGE_BYTES_MAX 16384

typedef struct {
    IMB_MGR *manager; /* not thread-safe: one for each hasher */
    void *openssl;
} IpsecHasher;

static IMB_MGR *new_manager(void)
{
    IMB_MGR *manager = alloc_mb_mgr(0);
    IMB_ARCH arch = IMB_ARCH_NONE;

    if (!manager) {
        return NULL;
    }
    init_mb_mgr_auto(manager, &arch);
    /* With SSE alone it is no faster than OpenSSL with AVX2. */
    if (imb_get_errno(manager) != 0 || arch < IMB_ARCH_AVX2) {
        free_mb_mgr(manager);
        return NULL;
    }
    return manager;
}

static bool ipsec_available(void)
{
    static gsize once;
    static bool works;

    if (g_once_init_enter(&once)) {
        IMB_MGR *manager = new_manager();

        works = manager != NULL;
        if (manager) {
            free_mb_mgr(manager);
        }
        g_once_init_leave(&once, 1);
    }
    return works;
}

static void ipsec_destroy(void *opaque)
{
    IpsecHasher *self = opaque;

    if (self->manager) {
        free_mb_mgr(self->manager);
    }
    if (self->openssl) {
        vsm_hash_openssl.destroy(self->openssl);
    }
    g_free(self);
}

static void *ipsec_create(GError **error)
{
    IpsecHasher *self = g_new0(IpsecHasher, 1);

    self->openssl = vsm_hash_openssl.create(error);
    if (!self->openssl) {
        ipsec_destroy(self);
        return NULL;
    }
    self->manager = new_manager();
    if (!self->manager) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_CRYPTO,
                    "intel-ipsec-mb cannot be set up: use the back end "
                    "openssl");
        ipsec_destroy(self);
        return NULL;
    }
    return self;
}

static bool job_failed(const IMB_JOB *done, GError **error)
{
    if (done->status == IMB_STATUS_COMPLETED) {
        return false;
    }
    g_set_error(error, VSM_ERROR, VSM_ERROR_CRYPTO,
                "intel-ipsec-mb failed with status %d: use the back end "
                "openssl",
                done->status);
    return true;
}

/* Ends all jobs in the manager, so that no pointer of ours stays in it. */
static bool drain(IMB_MGR *manager, bool ok, GError **error)
{
    IMB_JOB *done;

    while ((done = IMB_FLUSH_JOB(manager)) != NULL) {
        if (ok && job_failed(done, error)) {
            ok = false;
        }
    }
    return ok;
}

static IMB_JOB *submit(IMB_MGR *manager, const VsmHashJob *message)
{
    IMB_JOB *job = IMB_GET_NEXT_JOB(manager);

    job->cipher_mode = IMB_CIPHER_NULL;
    job->cipher_direction = IMB_DIR_ENCRYPT;
    job->chain_order = IMB_ORDER_HASH_CIPHER;
    job->hash_alg = IMB_AUTH_SHA_384;
    job->src = message->data;
    job->hash_start_src_offset_in_bytes = 0;
    job->msg_len_to_hash_in_bytes = message->bytes;
    job->auth_tag_output = message->out->b;
    job->auth_tag_output_len_in_bytes = VSM_DIGEST_BYTES;
    return IMB_SUBMIT_JOB_NOCHECK(manager);
}

static bool
ipsec_run(void *opaque, const VsmHashJob *jobs, guint n, GError **error)
{
    IpsecHasher *self = opaque;
    bool ok = true;

    for (guint i = 0; i < n && ok; i++) {
        IMB_JOB *done;

        if (jobs[i].bytes == 0 || jobs[i].bytes > MESSAGE_BYTES_MAX) {
            ok = vsm_hash_openssl.run(self->openssl, &jobs[i], 1, error);
            continue;
        }
        done = submit(self->manager, &jobs[i]);
        while (done && ok) {
            ok = !job_failed(done, error);
            done = IMB_GET_COMPLETED_JOB(self->manager);
        }
    }
    return drain(self->manager, ok, error);
}

const VsmHashOps vsm_hash_ipsec_mb = {
    .name = "ipsec-mb",
    .available = ipsec_available,
    .create = ipsec_create,
    .run = ipsec_run,
    .destroy = ipsec_destroy,
};
