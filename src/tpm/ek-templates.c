/*
 * TCG's templates of endorsement keys, and their policies.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tpm/ek-templates.h"

#include <string.h>

#define EK_ATTRIBUTES                                                          \
    (TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |                          \
     TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_ADMINWITHPOLICY |           \
     TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT)

/* PolicyA with SHA-256: PolicySecret (endorsement). */
static const guint8 policy_a_sha256[32] = {
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc,
    0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52,
    0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
};

/* PolicyA with SHA-384. */
static const guint8 policy_a_sha384[48] = {
    0x8b, 0xbf, 0x22, 0x66, 0x53, 0x7c, 0x17, 0x1c, 0xb5, 0x6e, 0x40, 0x3c,
    0x4d, 0xc1, 0xd4, 0xb6, 0x4f, 0x43, 0x26, 0x11, 0xdc, 0x38, 0x6e, 0x6f,
    0x53, 0x20, 0x50, 0xc3, 0x27, 0x8c, 0x93, 0x0e, 0x14, 0x3e, 0x8b, 0xb1,
    0x13, 0x38, 0x24, 0xcc, 0xb4, 0x31, 0x05, 0x38, 0x71, 0xc6, 0xdb, 0x53,
};

/* PolicyC with SHA-384: PolicyAuthorizeNV of an index that may be absent. */
static const guint8 policy_c_sha384[48] = {
    0xd6, 0x03, 0x2c, 0xe6, 0x1f, 0x2f, 0xb3, 0xc2, 0x40, 0xeb, 0x3c, 0xf6,
    0xa3, 0x32, 0x37, 0xef, 0x2b, 0x6a, 0x16, 0xf4, 0x29, 0x3c, 0x22, 0xb4,
    0x55, 0xe2, 0x61, 0xcf, 0xfd, 0x21, 0x7a, 0xd5, 0xb4, 0x94, 0x7c, 0x2d,
    0x73, 0xe6, 0x30, 0x05, 0xee, 0xd2, 0xdc, 0x2b, 0x35, 0x93, 0xd1, 0x65,
};

/* PolicyB: PolicyOR (PolicyA, PolicyC). */
static const guint8 policy_b_sha384[48] = {
    0xb2, 0x6e, 0x7d, 0x28, 0xd1, 0x1a, 0x50, 0xbc, 0x53, 0xd8, 0x82, 0xbc,
    0xf5, 0xfd, 0x3a, 0x1a, 0x07, 0x41, 0x48, 0xbb, 0x35, 0xd3, 0xb4, 0xe4,
    0xcb, 0x1c, 0x0a, 0xd9, 0xbd, 0xe4, 0x19, 0xca, 0xcb, 0x47, 0xba, 0x09,
    0x69, 0x96, 0x46, 0x15, 0x0f, 0x9f, 0xc0, 0x00, 0xf3, 0xf8, 0x0e, 0x12,
};

static TPM2B_DIGEST digest(const guint8 *bytes, UINT16 size)
{
    TPM2B_DIGEST ret = {.size = size};

    memcpy(ret.buffer, bytes, size);
    return ret;
}

static TPM2B_PUBLIC template_rsa(void)
{
    return (TPM2B_PUBLIC){
        .publicArea =
            {
                .type = TPM2_ALG_RSA,
                .nameAlg = TPM2_ALG_SHA256,
                .objectAttributes = EK_ATTRIBUTES,
                .authPolicy = digest(policy_a_sha256, sizeof(policy_a_sha256)),
                .parameters.rsaDetail =
                    {
                        .symmetric = {.algorithm = TPM2_ALG_AES,
                                      .keyBits.aes = 128,
                                      .mode.aes = TPM2_ALG_CFB},
                        .scheme.scheme = TPM2_ALG_NULL,
                        .keyBits = 2048,
                    },
                /* As many zero bytes as the modulus has. */
                .unique.rsa.size = 256,
            },
    };
}

static TPM2B_PUBLIC template_p384(void)
{
    return (TPM2B_PUBLIC){
        .publicArea =
            {
                .type = TPM2_ALG_ECC,
                .nameAlg = TPM2_ALG_SHA384,
                .objectAttributes = EK_ATTRIBUTES | TPMA_OBJECT_USERWITHAUTH,
                .authPolicy = digest(policy_b_sha384, sizeof(policy_b_sha384)),
                .parameters.eccDetail =
                    {
                        .symmetric = {.algorithm = TPM2_ALG_AES,
                                      .keyBits.aes = 256,
                                      .mode.aes = TPM2_ALG_CFB},
                        .scheme.scheme = TPM2_ALG_NULL,
                        .curveID = TPM2_ECC_NIST_P384,
                        .kdf.scheme = TPM2_ALG_NULL,
                    },
                /* Empty in the templates of the high range. */
            },
    };
}

TPM2B_PUBLIC vsm_tpm_template_ek(VsmTpmEkKind kind)
{
    return kind == VSM_TPM_EK_RSA2048 ? template_rsa() : template_p384();
}

TPML_DIGEST vsm_tpm_ek_branches(void)
{
    return (TPML_DIGEST){
        .count = 2,
        .digests = {digest(policy_a_sha384, sizeof(policy_a_sha384)),
                    digest(policy_c_sha384, sizeof(policy_c_sha384))},
    };
}
