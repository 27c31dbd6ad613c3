/*
 * Test help: kill -9 at each step whose order matters.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "host-fixture.h"

/* In the process that dies: opens @store and does what is tested; false when
 * that fails.  Only what comes after kill_steps_count() can be its end. */
typedef bool (*KillAct)(Store *store, gconstpointer data);
void kill_steps_count(void);

/**
 * kill_steps_at:
 * Closes @store and runs @act with @data in a process that ends before its
 * @n-th step.
 *
 * @what: a step
 * @ret_done: (out): whether that step was done before
 *
 * Returns: false when the process came through
 */
bool kill_steps_at(Store *store,
                   KillAct act,
                   gconstpointer data,
                   guint n,
                   const char *what,
                   bool *ret_done);
