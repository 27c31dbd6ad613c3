/*
 * Test help: one example of each message of the admin socket.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>

typedef struct {
    const char *file; /* in fixtures/protocol, without .bin */
    guint16 op; /* with VSM_PROTOCOL_ANSWER in an answer */
    const char *type; /* as docs/protocol.md has it */
    const char *value; /* in GVariant's text form */
} AdminExample;

/* Ends with a NULL @file; requests and answers in turn. */
extern const AdminExample admin_examples[];

/* Header and body; transfer full. */
GBytes *admin_example_bytes(const AdminExample *example);
