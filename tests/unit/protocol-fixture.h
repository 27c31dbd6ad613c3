/*
 * Test help: one example of each message of the protocol, with no member of
 * any struct left out.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "attester/messages.h"
#include "attester/protocol.h"

typedef struct {
    const char *file; /* in fixtures/protocol, without .bin */
    guint16 op;
    const char *type; /* as docs/protocol.md has it */
    gconstpointer value; /* of the op's struct */
} ProtocolExample;

/* Ends with a NULL @file. */
const ProtocolExample *protocol_examples(void);

/* Header and body. */
GBytes *protocol_example_bytes(const ProtocolExample *example);

/* The file's whole content; the test fails when it is not there. */
GBytes *protocol_fixture(const char *file);
