/*
 * How many connections the limits of this process allow.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>

/* At most @wanted, at least 1.  @tasks, @files: 0: not known. */
guint vsm_bounds_connections(guint wanted, guint64 tasks, guint64 files);

/* Threads of this process's control group (TasksMax=), and descriptors of this
 * process, at most; 0: no limit is known. */
guint64 vsm_bounds_tasks(void);
guint64 vsm_bounds_files(void);
