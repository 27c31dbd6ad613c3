/*
 * Test help: a daemon of one VM in a thread, which fails where it is told to.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <vsm/attester.h>

typedef struct Daemon Daemon;

/* The attester of one more connection; transfer full. */
typedef VsmAttester *DaemonAttester(gpointer opaque);

typedef enum {
    DAEMON_WORKS,
    DAEMON_CUTS_BEFORE, /* closes instead of doing it */
    DAEMON_CUTS_AFTER, /* does it, closes instead of answering */
    DAEMON_CUTS_ANSWER, /* does it, sends half of the answer, closes */
    DAEMON_HANGS, /* does it once released, the answer comes too late */
    DAEMON_ANSWERS_GARBAGE,
    DAEMON_ANSWERS_ANOTHER, /* an answer to what was not asked */
} DaemonFault;

Daemon *
daemon_new(const char *socket_path, DaemonAttester *make, gpointer opaque);
void daemon_free(Daemon *daemon); /* the socket goes, connections end */

/* The next request @op (0: any) finds the daemon so, once. */
void daemon_fault(Daemon *daemon, guint16 op, DaemonFault fault);

/* The next connection is turned away with @code. */
void daemon_refuse(Daemon *daemon, int code);

/* Ends all DAEMON_HANGS that wait. */
void daemon_release(Daemon *daemon);

guint daemon_connections(Daemon *daemon); /* accepted so far */
