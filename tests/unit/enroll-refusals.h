/*
 * Test help: steps of an enrolment that must be refused.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "enroll-fixture.h"

/* The test fails unless the message holds @what. */
void enroll_says(const GError *error, const char *what);

/* Each with @code and @what, and nothing that the step would have made. */
void challenge_refused(Enrolment *e, int code, const char *what);
void respond_refused(Enrolment *e, int code, const char *what);
void accept_refused(Enrolment *e, int code, const char *what);
