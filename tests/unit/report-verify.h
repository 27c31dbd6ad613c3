/*
 * Test help: reports of the fixture, and what their verification must say.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <jansson.h>

#include "report-fixture.h"

/*
 * As the answer to what the fixture expects, 5 s after it was made; NULL when
 * it is refused.  @policy_json: NULL for the default.
 */
VsmReport *report_verify(Fixture *fixture,
                         const char *jws,
                         const char *policy_json,
                         GError **error);

/* The same, which must succeed with @result. */
void report_trusted(Fixture *fixture,
                    const char *jws,
                    const char *policy,
                    const char *result);

/* The same, which must be refused with @code; @text of the message, or NULL. */
void report_refused(Fixture *fixture,
                    const char *jws,
                    const char *policy,
                    VsmError code,
                    const char *text);

/*
 * The JWS of sound claims with the member @name of @part (NULL: of the claims
 * themselves) replaced (@value NULL: removed), signed by the real report key;
 * steals @value.
 */
char *report_changed(Fixture *fixture,
                     const char *part,
                     const char *name,
                     json_t *value);

/* It must be refused under the default policy. */
void report_changed_refused(Fixture *fixture,
                            const char *part,
                            const char *name,
                            json_t *value,
                            VsmError code,
                            const char *text);
