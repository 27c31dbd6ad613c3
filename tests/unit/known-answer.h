/*
 * The files of tests/fixtures: bytes that a format must come to.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>

/* All of tests/fixtures/@name; transfer full. */
GBytes *known_answer(const char *name);

/* Shows both where they differ. */
void assert_bytes(GBytes *a, GBytes *b);
