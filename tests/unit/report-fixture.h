/*
 * A host made of software keys that writes sound reports, for the tests.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <openssl/evp.h>
#include <vsm/report.h>

#include "report/claims.h"
#include "report/jws.h"
#include "tpm/structures.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_PKEY, EVP_PKEY_free)

#define FIXTURE_NOW 1795528800 /* 2026-11-24, seconds since 1970 */
#define FIXTURE_UUID "8d2b4d7e-5a59-4b39-a4bc-a4ad1e5ac21c"
#define FIXTURE_ID "0e3f6a2f4c1e4be0b4f0ac6a1c0c7d12"

/**
 * Fixture: everything that a report is made of; a test changes what it is
 * about and calls fixture_report().
 */
typedef struct {
    guint bytes; /* of a coordinate: 48 or 32 */
    EVP_PKEY *ak, *rk;
    GBytes *ak_public, *rk_public;
    VsmTpmKey *ak_key, *rk_key;
    char *rk_jwk;

    VsmVm vm;
    VsmRecord record;
    VsmVerdict verdict;
    VsmMeasured measured;
    VsmDigest hypervisor;
    VsmTpmPcrs boot, pcrs;
    VsmClaimsInput claims;
    VsmExpectation expected;
} Fixture;

/* @bytes: 48 for P-384, 32 for P-256. */
Fixture *fixture_new(guint bytes);
void fixture_free(Fixture *fixture);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Fixture, fixture_free)

/* TPMT_PUBLIC of @key, with these attributes. */
GBytes *fixture_public(EVP_PKEY *key, guint bytes, guint32 attributes);

/* r and s over a digest; a VsmJwsSigner with an EVP_PKEY as opaque. */
GBytes *fixture_sign(GBytes *digest, gpointer key, GError **error);

/* TPMT_SIGNATURE of @message. */
GBytes *fixture_tpm_sign(EVP_PKEY *key, guint bytes, GBytes *message);

/* Sets PCR 23 from hypervisor and configuration. */
void fixture_pcr23(Fixture *fixture);

/* TPMS_ATTEST of a quote over @pcrs. */
GBytes *
fixture_attest(guint bytes, const VsmDigest *extra, const VsmTpmPcrs *pcrs);

/* Makes the quote for the claims as they are and puts it in. */
void fixture_quote(Fixture *fixture);

/* The claims' JSON; the quote is as it was put in. */
char *fixture_claims(Fixture *fixture);

/* Quote, claims, JWS. */
char *fixture_report(Fixture *fixture);
/* JWS by the report key over any payload. */
char *fixture_jws(Fixture *fixture, const char *payload);

char *fixture_trust_json(Fixture *fixture);
VsmTrust *fixture_trust(Fixture *fixture);

/* Adds "allow_in_process": true to the only entry. */
char *fixture_allow_in_process(const char *trust_json);
