/*
 * A QMP server with fixed answers, for tests of vsmctl.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>

/**
 * StubAnswer: the answer to one command; the last one is empty
 * @command: its name
 * @answer: {"return": …} or {"error": …} without the id, which is added
 * @event: (nullable): sent before the answer
 * @times: how often this answer is given before the next one for the same
 *         command; 0: always
 *
 * "JOB" in @answer and @event stands for the job-id of the last command that
 * had one.  A command that is not in the list is CommandNotFound.
 */
typedef struct {
    const char *command, *answer, *event;
    guint times;
} StubAnswer;

/* Answers of many a command; the job is the last command's. */
#define STUB_DONE "{\"return\": {}}"
#define STUB_JOB_ENDED                                                         \
    "{\"return\": [{\"id\": \"JOB\", \"status\": \"concluded\", "              \
    "\"current-progress\": 1, \"total-progress\": 1}]}"
#define STUB_JOB_FAILED                                                        \
    "{\"return\": [{\"id\": \"JOB\", \"status\": \"concluded\", "              \
    "\"current-progress\": 1, \"total-progress\": 1, "                         \
    "\"error\": \"it broke\"}]}"

typedef struct _Stub Stub;

/* Serves one client after the other at @path until stub_free(). */
Stub *stub_new(const char *path, const StubAnswer *answers);

/* From now on the answer to @command takes so long. */
void stub_slow(Stub *stub, const char *command, guint ms);

/* Waits until a client has sent a line that holds @text. */
void stub_wait_for(Stub *stub, const char *text);

/* All lines that clients sent, in order; borrowed, after the client ended. */
GPtrArray *stub_received(Stub *stub);

void stub_free(Stub *stub);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Stub, stub_free)
