/*
 * Test help: steps of an enrolment that must be refused.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "enroll-refusals.h"

#include <string.h>
#include <vsm/error.h>

void enroll_says(const GError *error, const char *what)
{
    if (!strstr(error->message, what)) {
        g_error("'%s' does not say '%s'", error->message, what);
    }
    g_test_message("%s", error->message);
}

void challenge_refused(Enrolment *e, int code, const char *what)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(enrolment_challenge(e, &error));
    g_assert_error(error, VSM_ERROR, code);
    g_assert_null(e->challenge);
    g_assert_null(e->state);
    enroll_says(error, what);
}

void respond_refused(Enrolment *e, int code, const char *what)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(enrolment_respond(e, &error));
    g_assert_error(error, VSM_ERROR, code);
    g_assert_null(e->response);
    enroll_says(error, what);
}

void accept_refused(Enrolment *e, int code, const char *what)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(enrolment_accept(e, &error));
    g_assert_error(error, VSM_ERROR, code);
    g_assert_null(e->trust);
    g_assert_null(e->jwks);
    enroll_says(error, what);
}
