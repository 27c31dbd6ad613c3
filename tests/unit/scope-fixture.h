/*
 * Captures and judgements of a fake kernel, which are expected to succeed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "fake-kernel.h"

extern VsmPool *scope_pool; /* the program makes it */

/* @stats may be NULL. */
GBytes *
scope_capture(const FakeKernel *kernel, GBytes *sealed, VsmScopeStats *stats);
VsmVerdict *scope_judge(GBytes *sealed, GBytes *measured, const char *profile);

/* Nothing of the guest that @make made is sealed; the reason has @reason. */
void scope_assert_unready(void (*make)(FakeKernel *kernel), const char *reason);

/* Both. */
VsmVerdict *
scope_measure(const FakeKernel *kernel, GBytes *sealed, const char *profile);

const VsmFinding *scope_finding(const VsmVerdict *verdict, guint i);

/* Names the first finding otherwise. */
void scope_assert_match(const VsmVerdict *verdict);
