/*
 * Public areas of every object that VSM makes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tpm/templates.h"

#include <string.h>
#include <tss2/tss2_mu.h>
#include <vsm/error.h>

#define FIXED (TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT)
/* A key that the TPM made, used with its auth value, without lockout. */
#define OWN_KEY                                                                \
    (FIXED | TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |      \
     TPMA_OBJECT_NODA)
#define PARENT (TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT)

/*
 * What TCG's P-256 SRK has.  A fixedParent storage key under it must have the
 * same cipher and nameAlg (else TPM_RC_SYMMETRIC, TPM_RC_HASH).
 */
static const TPMT_SYM_DEF_OBJECT parent_cipher = {
    .algorithm = TPM2_ALG_AES,
    .keyBits.aes = 128,
    .mode.aes = TPM2_ALG_CFB,
};

TPM2B_PUBLIC vsm_tpm_template_srk(void)
{
    return (TPM2B_PUBLIC){
        .publicArea = {
            .type = TPM2_ALG_ECC,
            .nameAlg = TPM2_ALG_SHA256,
            .objectAttributes = OWN_KEY | PARENT, /* 0x00030472 */
            .parameters.eccDetail =
                {
                    .symmetric = parent_cipher,
                    .scheme.scheme = TPM2_ALG_NULL,
                    .curveID = TPM2_ECC_NIST_P256,
                    .kdf.scheme = TPM2_ALG_NULL,
                },
            /* 32 zero bytes each: an empty point gives another key. */
            .unique.ecc = {.x.size = 32, .y.size = 32},
        }};
}

bool vsm_tpm_template_is_srk(const TPMT_PUBLIC *public_area)
{
    const TPMA_OBJECT needed = FIXED | PARENT | TPMA_OBJECT_USERWITHAUTH;
    const TPMT_SYM_DEF_OBJECT *cipher =
        public_area->type == TPM2_ALG_ECC
            ? &public_area->parameters.eccDetail.symmetric
            : &public_area->parameters.rsaDetail.symmetric;

    return (public_area->type == TPM2_ALG_ECC ||
            public_area->type == TPM2_ALG_RSA) &&
           public_area->nameAlg == TPM2_ALG_SHA256 &&
           (public_area->objectAttributes & needed) == needed &&
           cipher->algorithm == parent_cipher.algorithm &&
           cipher->keyBits.aes == parent_cipher.keyBits.aes &&
           cipher->mode.aes == parent_cipher.mode.aes;
}

TPM2B_PUBLIC vsm_tpm_template_key(VsmTpmKeyKind kind, guint bytes)
{
    TPM2_ALG_ID hash = bytes == 48 ? TPM2_ALG_SHA384 : TPM2_ALG_SHA256;
    TPMA_OBJECT restricted =
        kind == VSM_TPM_KEY_AK ? TPMA_OBJECT_RESTRICTED : 0;

    return (TPM2B_PUBLIC){
        .publicArea = {
            .type = TPM2_ALG_ECC,
            .nameAlg = hash,
            .objectAttributes = OWN_KEY | TPMA_OBJECT_SIGN_ENCRYPT | restricted,
            .parameters.eccDetail =
                {
                    .symmetric.algorithm = TPM2_ALG_NULL,
                    .scheme.scheme = TPM2_ALG_ECDSA,
                    .scheme.details.ecdsa.hashAlg = hash,
                    .curveID =
                        bytes == 48 ? TPM2_ECC_NIST_P384 : TPM2_ECC_NIST_P256,
                    .kdf.scheme = TPM2_ALG_NULL,
                },
        }};
}

TPM2B_PUBLIC vsm_tpm_template_ssk(bool ecc)
{
    TPM2B_PUBLIC public = vsm_tpm_template_srk();

    if (ecc) {
        public.publicArea.unique.ecc.x.size = 0;
        public.publicArea.unique.ecc.y.size = 0;
    } else {
        /* A symmetric parent costs the TPM no key generation. */
        public.publicArea.type = TPM2_ALG_SYMCIPHER;
        public.publicArea.parameters =
            (TPMU_PUBLIC_PARMS){.symDetail.sym = parent_cipher};
        public.publicArea.unique = (TPMU_PUBLIC_ID){.sym.size = 0};
    }
    return public;
}

bool vsm_tpm_template_sealed(const VsmTpmPolicy *policy,
                             TPM2B_PUBLIC *ret,
                             GError **error)
{
    static const VsmTpmPolicy none;
    TPMT_PUBLIC *public = &ret->publicArea;

    if (memcmp(policy, &none, sizeof(none)) == 0) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "refused to seal under an all-zero policy: any fresh "
                    "policy session satisfies it");
        return false;
    }
    *ret = (TPM2B_PUBLIC){0};
    public->type = TPM2_ALG_KEYEDHASH;
    public->nameAlg = TPM2_ALG_SHA256;
    /* No userWithAuth: the policy is the only way. */
    public->objectAttributes =
        FIXED | TPMA_OBJECT_ADMINWITHPOLICY | TPMA_OBJECT_NODA;
    public->authPolicy.size = sizeof(policy->b);
    memcpy(public->authPolicy.buffer, policy->b, sizeof(policy->b));
    public->parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL;
    return true;
}

TPM2B_NV_PUBLIC vsm_tpm_template_commit(guint32 handle)
{
    return (TPM2B_NV_PUBLIC){
        .nvPublic = {
            .nvIndex = handle,
            .nameAlg = TPM2_ALG_SHA384, /* the hash that extends */
            .attributes = TPMA_NV_AUTHWRITE | TPMA_NV_AUTHREAD | TPMA_NV_NO_DA |
                          TPM2_NT_EXTEND << TPMA_NV_TPM2_NT_SHIFT,
            .dataSize = VSM_DIGEST_BYTES,
        }};
}

TPM2B_NV_PUBLIC vsm_tpm_template_boot(guint32 handle,
                                      GBytes *operator_name,
                                      GBytes *approval_ref)
{
    TPM2B_NV_PUBLIC public = {
        .nvPublic = {
            .nvIndex = handle,
            .nameAlg = TPM2_ALG_SHA256,
            /*
             * Written by policy alone.  With AUTHWRITE the owner could undefine
             * it, define it again under the same Name and write what he likes.
             */
            .attributes =
                TPMA_NV_POLICYWRITE | TPMA_NV_AUTHREAD | TPMA_NV_NO_DA,
            .dataSize = VSM_TPM_BOOT_INDEX_BYTES,
            .authPolicy.size = VSM_TPM_POLICY_BYTES,
        }};
    VsmTpmPolicy policy = {0};

    vsm_tpm_policy_signed(&policy, operator_name, approval_ref);
    memcpy(public.nvPublic.authPolicy.buffer, policy.b, sizeof(policy.b));
    return public;
}

GBytes *vsm_tpm_index_name(const TPM2B_NV_PUBLIC *index, bool written)
{
    TPMS_NV_PUBLIC public = index->nvPublic;
    bool sha384 = public.nameAlg == TPM2_ALG_SHA384;
    g_autoptr(GChecksum) sum =
        g_checksum_new(sha384 ? G_CHECKSUM_SHA384 : G_CHECKSUM_SHA256);
    guint8 buffer[sizeof(public)];
    guint8 name[2 + 48] = {public.nameAlg >> 8, public.nameAlg & 0xff};
    size_t used = 0;
    gsize bytes = sha384 ? 48 : 32;
    TSS2_RC rc;

    public.attributes &= ~TPMA_NV_WRITTEN;
    public.attributes |= written ? TPMA_NV_WRITTEN : 0;
    rc = Tss2_MU_TPMS_NV_PUBLIC_Marshal(&public, buffer, sizeof(buffer), &used);
    g_assert(rc == TSS2_RC_SUCCESS); /* our own template */
    g_checksum_update(sum, buffer, used);
    g_checksum_get_digest(sum, name + 2, &bytes);
    return g_bytes_new(name, 2 + bytes);
}
