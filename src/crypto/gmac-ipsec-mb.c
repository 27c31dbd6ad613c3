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

typedef struct {
    IMB_MGR *manager;
    VsmSecret *key; /* holds a struct gcm_key_data, which wants alignment 64 */
} IpsecGmac;

static void ipsec_destroy(void *opaque)
{
    IpsecGmac *self = opaque;

    if (self->manager) {
        free_mb_mgr(self->manager);
    }
    vsm_secret_free(self->key);
    g_free(self);
}

static bool ipsec_tag(void *opaque,
                      const guint8 nonce[GMAC_NONCE_BYTES],
                      const VsmGmacPiece *pieces,
                      guint n,
                      VsmGmacTag *ret,
                      GError **error)
{
    IpsecGmac *self = opaque;
    const struct gcm_key_data *key = (const void *)vsm_secret_peek(self->key);
    struct gcm_context_data context __attribute__((aligned(64)));
    VsmGmacTag tag;

    IMB_AES256_GMAC_INIT(self->manager, key, &context, nonce, GMAC_NONCE_BYTES);
    for (guint i = 0; i < n; i++) {
        if (pieces[i].bytes) {
            IMB_AES256_GMAC_UPDATE(self->manager, key, &context, pieces[i].data,
                                   pieces[i].bytes);
        }
    }
    IMB_AES256_GMAC_FINALIZE(self->manager, key, &context, tag.b,
                             VSM_GMAC_TAG_BYTES);
    vsm_wipe(&context, sizeof(context));
    if (imb_get_errno(self->manager) != 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_CRYPTO,
                    "intel-ipsec-mb failed in GMAC: %s",
                    imb_get_strerror(imb_get_errno(self->manager)));
        return false;
    }
    *ret = tag;
    return true;
}

/* A tag that is the same for all data would check nothing: compare first. */
static bool self_test(IpsecGmac *self, const guint8 key[VSM_GMAC_KEY_BYTES])
{
    static const guint8 nonce[GMAC_NONCE_BYTES], data[1000];
    /* The second piece begins within a block. */
    const VsmGmacPiece pieces[] = {{data, 900}, {data + 900, 100}};
    const VsmGmacPiece whole = {data, sizeof(data)};
    void *other = vsm_gmac_openssl.create(key, NULL);
    VsmGmacTag a, b;
    bool ok;

    if (!other) {
        return false;
    }
    ok = ipsec_tag(self, nonce, pieces, 2, &a, NULL) &&
         vsm_gmac_openssl.tag(other, nonce, &whole, 1, &b, NULL) &&
         vsm_equal(a.b, b.b, sizeof(a.b));
    vsm_gmac_openssl.destroy(other);
    return ok;
}

static void *ipsec_create(const guint8 key[VSM_GMAC_KEY_BYTES], GError **error)
{
    IpsecGmac *self = g_new0(IpsecGmac, 1);

    self->key = vsm_secret_new(sizeof(struct gcm_key_data), error);
    if (!self->key) {
        ipsec_destroy(self);
        return NULL;
    }
    self->manager = alloc_mb_mgr(0);
    if (self->manager) {
        init_mb_mgr_auto(self->manager, NULL);
        IMB_AES256_GCM_PRE(self->manager, key,
                           (struct gcm_key_data *)vsm_secret_data(self->key));
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
    .tag = ipsec_tag,
    .destroy = ipsec_destroy,
};
