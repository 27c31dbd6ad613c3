/*
 * Shows on a terminal that something goes on which does not answer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <jansson.h>

typedef struct _Waiting Waiting;

/*
 * From a second on "SUBCOMMAND: 3 s", on standard error if it is a terminal.
 * Nothing else may be printed before waiting_free().  Within another one, which
 * shows all of it already, it does nothing.  Main thread only.
 */
Waiting *waiting_new(void);

/* Takes the line away. */
void waiting_free(Waiting *waiting);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Waiting, waiting_free)

/* What is waited for told how far it is: a bar from now on, where one shows. */
void waiting_progress(json_int_t done, json_int_t total);
