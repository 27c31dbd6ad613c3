/*
 * GMAC with intel-ipsec-mb: several times as fast where the CPU has VPCLMULQDQ.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <intel-ipsec-mb.h>
#include <vsm/error.h>

#include "crypto/gmac-backends.h"
#include "crypto/hash.h"
#include "crypto/secret.h"

/* Both want alignment 64, and neither may be swapped. */
typedef struct {
    struct gcm_key_data key;
    struct gcm_context_data context;
} State;

typedef struct {
    IMB_MGR *manager;
    VsmSecret *state;
} IpsecGmac;

static State *state_of(IpsecGmac *self)
{
    return (State *)vsm_secret_data(self->state);
}

static void ipsec_destroy(void *opaque)
{
    IpsecGmac *self = opaque;

    if (self->manager) {
        free_mb_mgr(self->manager);
    }
    vsm_secret_free(self->state);
    g_free(self);
}

static bool failed(IpsecGmac *self, GError **error)
{
    int code = imb_get_errno(self->manager);

    if (code != 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_CRYPTO,
                    "intel-ipsec-mb failed in GMAC: %s",
                    imb_get_strerror(code));
    }
    return code != 0;
}

static bool
ipsec_begin(void *opaque, const guint8 nonce[GMAC_NONCE_BYTES], GError **error)
{
    IpsecGmac *self = opaque;
    State *state = state_of(self);

    IMB_AES256_GMAC_INIT(self->manager, &state->key, &state->context, nonce,
                         GMAC_NONCE_BYTES);
    return !failed(self, error);
}

static bool
ipsec_update(void *opaque, const void *data, gsize bytes, GError **error)
{
    IpsecGmac *self = opaque;
    State *state = state_of(self);

    if (bytes) { /* it refuses an empty update */
        IMB_AES256_GMAC_UPDATE(self->manager, &state->key, &state->context,
                               data, bytes);
    }
    return !failed(self, error);
}

static bool ipsec_end(void *opaque, VsmGmacTag *ret, GError **error)
{
    IpsecGmac *self = opaque;
    State *state = state_of(self);
    VsmGmacTag tag;

    IMB_AES256_GMAC_FINALIZE(self->manager, &state->key, &state->context, tag.b,
                             VSM_GMAC_TAG_BYTES);
    vsm_wipe(&state->context, sizeof(state->context));
    if (failed(self, error)) {
        return false;
    }
    *ret = tag;
    return true;
}

/* A tag that is the same for all data would check nothing: compare first. */
static bool self_test(IpsecGmac *self, const guint8 key[VSM_GMAC_KEY_BYTES])
{
    /* No message has it: those begin with 4 zero bytes. */
    static const guint8 nonce[GMAC_NONCE_BYTES] = {0xff};
    void *other = vsm_gmac_openssl.create(key, NULL);
    guint8 data[1000]; /* not zeros: those leave a GHASH as it is */
    VsmGmacTag a, b;
    bool ok;

    if (!other) {
        return false;
    }
    for (guint i = 0; i < sizeof(data); i++) {
        data[i] = 1 + i * 7;
    }
    /* The second piece begins within a block. */
    ok = ipsec_begin(self, nonce, NULL) &&
         ipsec_update(self, data, 900, NULL) &&
         ipsec_update(self, data + 900, 100, NULL) &&
         ipsec_end(self, &a, NULL) &&
         vsm_gmac_openssl.begin(other, nonce, NULL) &&
         vsm_gmac_openssl.update(other, data, sizeof(data), NULL) &&
         vsm_gmac_openssl.end(other, &b, NULL) &&
         vsm_equal(a.b, b.b, sizeof(a.b));
    vsm_gmac_openssl.destroy(other);
    vsm_wipe(&a, sizeof(a));
    vsm_wipe(&b, sizeof(b));
    return ok;
}

static void *ipsec_create(const guint8 key[VSM_GMAC_KEY_BYTES], GError **error)
{
    IpsecGmac *self = g_new0(IpsecGmac, 1);

    self->state = vsm_secret_new(sizeof(State), error);
    if (!self->state) {
        ipsec_destroy(self);
        return NULL;
    }
    self->manager = alloc_mb_mgr(0);
    if (self->manager) {
        init_mb_mgr_auto(self->manager, NULL);
        IMB_AES256_GCM_PRE(self->manager, key, &state_of(self)->key);
    }
    if (!self->manager || imb_get_errno(self->manager) != 0 ||
        !self_test(self, key)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_CRYPTO,
                    "intel-ipsec-mb cannot be set up for GMAC");
        ipsec_destroy(self);
        return NULL;
    }
    return self;
}

const VsmGmacOps vsm_gmac_ipsec_mb = {
    .create = ipsec_create,
    .begin = ipsec_begin,
    .update = ipsec_update,
    .end = ipsec_end,
    .destroy = ipsec_destroy,
};
