/*
 * Public EC keys: from coordinates or PEM, always checked to be on the curve.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "crypto/keys.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <string.h>
#include <vsm/error.h>

#include "crypto/keys-internal.h"
#include "crypto/openssl-error.h"

/* Bytes of a PEM text; a P-384 public key needs some 220. */
#define PEM_BYTES_MAX 4096

static const struct {
    const char *name, *group;
    gsize bytes;
    VsmHashAlg hash;
} curves[] = {
    [VSM_CURVE_P256] = {"P-256", "prime256v1", 32, VSM_HASH_SHA256},
    [VSM_CURVE_P384] = {"P-384", "secp384r1", 48, VSM_HASH_SHA384},
};

gsize vsm_curve_bytes(VsmCurve curve)
{
    return curves[curve].bytes;
}

VsmHashAlg vsm_curve_hash(VsmCurve curve)
{
    return curves[curve].hash;
}

const char *vsm_curve_name(VsmCurve curve)
{
    return curves[curve].name;
}

bool vsm_curve_from_name(const char *name, VsmCurve *ret)
{
    for (guint i = VSM_CURVE_P256; i <= VSM_CURVE_P384; i++) {
        if (strcmp(curves[i].name, name) == 0) {
            *ret = i;
            return true;
        }
    }
    return false;
}

static EVP_PKEY *import_point(VsmCurve curve, guint8 *point, gsize bytes)
{
    g_autoptr(EVP_PKEY_CTX) context =
        EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
                                         (char *)curves[curve].group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point,
                                          bytes),
        OSSL_PARAM_construct_end(),
    };

    if (!context || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        return NULL;
    }
    return pkey;
}

/* On the curve, not at infinity, coordinates below the prime. */
static bool check_point(EVP_PKEY *pkey)
{
    g_autoptr(EVP_PKEY_CTX) context =
        EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);

    return context && EVP_PKEY_public_check(context) == 1;
}

VsmKey *vsm_key_new(VsmCurve curve,
                    const guint8 *x,
                    gsize x_bytes,
                    const guint8 *y,
                    gsize y_bytes,
                    GError **error)
{
    g_autoptr(VsmKey) key = g_new0(VsmKey, 1);
    gsize n = vsm_curve_bytes(curve);
    guint8 point[1 + 2 * VSM_CURVE_BYTES_MAX] = {POINT_CONVERSION_UNCOMPRESSED};

    if (x_bytes == 0 || y_bytes == 0 || x_bytes > n || y_bytes > n) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "public key: a coordinate has not the length of curve %s",
                    vsm_curve_name(curve));
        return NULL;
    }
    memcpy(key->x + n - x_bytes, x, x_bytes);
    memcpy(key->y + n - y_bytes, y, y_bytes);
    memcpy(point + 1, key->x, n);
    memcpy(point + 1 + n, key->y, n);
    key->curve = curve;
    key->pkey = import_point(curve, point, 1 + 2 * n);
    if (!key->pkey || !check_point(key->pkey)) {
        vsm_openssl_error(error, VSM_ERROR_FORMAT, "check of a public key");
        return NULL;
    }
    return g_steal_pointer(&key);
}

static bool coordinate(EVP_PKEY *pkey, const char *name, guint8 *out, gsize n)
{
    BIGNUM *value = NULL;
    bool ok = EVP_PKEY_get_bn_param(pkey, name, &value) == 1 &&
              BN_bn2binpad(value, out, (int)n) == (int)n;

    BN_free(value);
    return ok;
}

/* An encrypted PEM must not ask on the terminal. */
static int no_password(char *buffer, int size, int writing, void *opaque)
{
    (void)buffer, (void)size, (void)writing, (void)opaque;
    return -1;
}

static bool find_curve(EVP_PKEY *pkey, VsmCurve *ret)
{
    char group[64];

    if (EVP_PKEY_get_base_id(pkey) != EVP_PKEY_EC ||
        EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) != 1) {
        return false;
    }
    for (guint i = VSM_CURVE_P256; i <= VSM_CURVE_P384; i++) {
        if (strcmp(curves[i].group, group) == 0) {
            *ret = i;
            return true;
        }
    }
    return false;
}

VsmKey *vsm_key_new_pem(const char *pem, gsize bytes, GError **error)
{
    g_autoptr(BIO) bio = NULL;
    g_autoptr(EVP_PKEY) pkey = NULL;
    guint8 x[VSM_CURVE_BYTES_MAX], y[VSM_CURVE_BYTES_MAX];
    VsmCurve curve;
    gsize n;

    if (bytes > PEM_BYTES_MAX) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "public key: %" G_GSIZE_FORMAT " bytes of PEM, at most %d",
                    bytes, PEM_BYTES_MAX);
        return NULL;
    }
    bio = BIO_new_mem_buf(pem, (int)bytes);
    pkey = bio ? PEM_read_bio_PUBKEY(bio, NULL, no_password, NULL) : NULL;
    if (!pkey) {
        vsm_openssl_error(error, VSM_ERROR_FORMAT, "reading a public key");
        return NULL;
    }
    if (!find_curve(pkey, &curve)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_UNSUPPORTED,
                    "public key: neither P-256 nor P-384: make one with "
                    "'openssl genpkey -algorithm EC -pkeyopt "
                    "ec_paramgen_curve:P-384'");
        return NULL;
    }
    n = vsm_curve_bytes(curve);
    if (!coordinate(pkey, OSSL_PKEY_PARAM_EC_PUB_X, x, n) ||
        !coordinate(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, y, n)) {
        vsm_openssl_error(error, VSM_ERROR_FORMAT, "reading a public key");
        return NULL;
    }
    return vsm_key_new(curve, x, n, y, n, error);
}

char *vsm_key_pem(const VsmKey *key, GError **error)
{
    g_autoptr(BIO) bio = BIO_new(BIO_s_mem());
    char *data;
    long n;

    if (!bio || PEM_write_bio_PUBKEY(bio, key->pkey) != 1) {
        vsm_openssl_error(error, VSM_ERROR_CRYPTO, "writing a public key");
        return NULL;
    }
    n = BIO_get_mem_data(bio, &data);
    return g_strndup(data, n);
}

VsmCurve vsm_key_curve(const VsmKey *key)
{
    return key->curve;
}

const guint8 *vsm_key_x(const VsmKey *key)
{
    return key->x;
}

const guint8 *vsm_key_y(const VsmKey *key)
{
    return key->y;
}

bool vsm_key_equal(const VsmKey *a, const VsmKey *b)
{
    return a->curve == b->curve && memcmp(a->x, b->x, sizeof(a->x)) == 0 &&
           memcmp(a->y, b->y, sizeof(a->y)) == 0;
}

void vsm_key_free(VsmKey *key)
{
    if (!key) {
        return;
    }
    EVP_PKEY_free(key->pkey);
    g_free(key);
}
