/*
 * AES-256-GMAC under a key that lives in this object only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "crypto/gmac.h"

#include "crypto/gmac-backends.h"
#include "crypto/hash.h"
#include "crypto/secret.h"

struct _VsmGmac {
    const VsmGmacOps *ops;
    void *self;
};

static VsmGmac *create(const VsmGmacOps *ops,
                       const guint8 key[VSM_GMAC_KEY_BYTES],
                       GError **error)
{
    void *self = ops->create(key, error);
    VsmGmac *gmac;

    if (!self) {
        return NULL;
    }
    gmac = g_new0(VsmGmac, 1);
    gmac->ops = ops;
    gmac->self = self;
    return gmac;
}

VsmGmac *vsm_gmac_new_with_key(VsmHashBackend backend,
                               const guint8 key[VSM_GMAC_KEY_BYTES],
                               GError **error)
{
#ifdef VSM_HAVE_IPSEC_MB
    if (backend != VSM_HASH_BACKEND_OPENSSL &&
        vsm_hash_backend_available(VSM_HASH_BACKEND_IPSEC_MB)) {
        VsmGmac *gmac = create(&vsm_gmac_ipsec_mb, key, NULL);

        if (gmac) {
            return gmac;
        }
    }
#endif
    (void)backend;
    return create(&vsm_gmac_openssl, key, error);
}

VsmGmac *vsm_gmac_new(GError **error)
{
    g_autoptr(VsmSecret) key = vsm_secret_new_random(VSM_GMAC_KEY_BYTES, error);

    return key ? vsm_gmac_new_with_key(VSM_HASH_BACKEND_AUTO,
                                       vsm_secret_peek(key), error)
               : NULL;
}

bool vsm_gmac_begin(VsmGmac *gmac, guint64 index, GError **error)
{
    guint8 nonce[GMAC_NONCE_BYTES] = {0};

    for (guint i = 0; i < 8; i++) {
        nonce[GMAC_NONCE_BYTES - 1 - i] = index >> (8 * i);
    }
    return gmac->ops->begin(gmac->self, nonce, error);
}

bool vsm_gmac_update(VsmGmac *gmac,
                     const void *data,
                     gsize bytes,
                     GError **error)
{
    return gmac->ops->update(gmac->self, data, bytes, error);
}

bool vsm_gmac_end(VsmGmac *gmac, VsmGmacTag *ret, GError **error)
{
    return gmac->ops->end(gmac->self, ret, error);
}

bool vsm_gmac_tag(VsmGmac *gmac,
                  guint64 index,
                  const void *data,
                  gsize bytes,
                  VsmGmacTag *ret,
                  GError **error)
{
    return vsm_gmac_begin(gmac, index, error) &&
           vsm_gmac_update(gmac, data, bytes, error) &&
           vsm_gmac_end(gmac, ret, error);
}

void vsm_gmac_free(VsmGmac *gmac)
{
    if (!gmac) {
        return;
    }
    gmac->ops->destroy(gmac->self);
    g_free(gmac);
}
