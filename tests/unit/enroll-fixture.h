/*
 * Test help: TPMs that came from a maker, with endorsement certificates, and
 * an enrolment whose documents a test can alter.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <jansson.h>
#include <vsm/enroll.h>
#include "host-fixture.h"

/* A maker: a folder with swtpm's local CA; removed at the end of the test. */
const char *maker_dir(void);
char *maker_ca(void); /* its certificates, PEM; transfer full */

/* TPM 0 or 1 of that maker, running, with RSA-2048 and P-384 EK. */
Swtpm *swtpm_new_from_maker(guint which);

/**
 * Enrolment: what went over; a test may replace any of the texts
 * @now: seconds since 1970, for both steps of the verifier
 */
typedef struct {
    Store *store;
    const char *ek;
    char *ca, *request, *challenge, *state, *response, *trust, *jwks;
    bool allow_in_process;
    gint64 now;
} Enrolment;

/* A store on a TPM of the maker, which nobody else has; nothing was sent. */
Enrolment *enrolment_new(const char *ek);
void enrolment_free(Enrolment *enrolment);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Enrolment, enrolment_free)

/* Each step; false with @error where it is refused. */
bool enrolment_request(Enrolment *enrolment, GError **error);
bool enrolment_challenge(Enrolment *enrolment, GError **error);
bool enrolment_respond(Enrolment *enrolment, GError **error);
bool enrolment_accept(Enrolment *enrolment, GError **error);

/* All steps up to and with the named one, which must succeed. */
void enrolment_until_request(Enrolment *enrolment);
void enrolment_until_challenge(Enrolment *enrolment);
void enrolment_until_respond(Enrolment *enrolment);
void enrolment_until_accept(Enrolment *enrolment);

/* The document *@text with the member @name replaced; steals @value. */
void document_set(char **text, const char *name, json_t *value);
/* A base64url member, decoded; and as a JSON text. */
GBytes *document_bytes(const char *text, const char *name);
json_t *json_b64url(GBytes *bytes);
/* A base64url or hex member with its last byte changed. */
void document_flip(char **text, const char *name);
