/*
 * Boot states as vsmctl shows and reads them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

/* @values: of the PCRs in @mask, ascending, without gaps */
typedef struct {
    gint64 time; /* 0: not an approved one */
    char *bank;
    guint32 mask;
    GBytes *values;
} State;

/* What vsm_host_boot_state() answers; @approved: of State, the latest first. */
typedef struct {
    char *policy;
    bool is_approved;
    GPtrArray *approved;
    State *current;
} BootState;

void state_free(State *state);
void boot_state_free(BootState *boot);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(State, state_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BootState, boot_state_free)

/* Returns: (transfer full) */
BootState *boot_state_new(GVariant *answer);

/* Hex of a PCR, or NULL when @state does not have it; (transfer full) */
char *state_value(const State *state, guint pcr);
bool state_equal(const State *a, const State *b);

/* {"bank": ..., "values": {"0": hex, ...}}, as in trust files */
json_t *state_json(const State *state);

/**
 * states_load:
 * @path: JSON: one such object, a list of them, or the output of 'vsmctl policy
 *        show --json', of which the current state counts
 *
 * Returns: (transfer full): "a(suay)", not floating
 */
GVariant *states_load(const char *path, GError **error);
