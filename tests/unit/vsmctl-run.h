/*
 * Test help: runs vsmctl, with a folder for its files.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>

/* What it wrote, and its exit code. */
typedef struct {
    char *out, *err;
    int code;
} Run;

void run_clear(Run *run);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Run, run_clear)

/* A program's first and last call: the folder is there in between. */
void scratch_begin(void);
void scratch_end(void);

/* Paths in the folder; transfer full. */
char *in_scratch(const char *name);
char *write_file(const char *name, const char *text);

/* vsmctl's own path; transfer full. */
char *vsmctl_path(void);

/* Runs vsmctl; the words end with NULL. */
Run vsmctl(const char *first, ...) G_GNUC_NULL_TERMINATED;

/**
 * vsmctl_on_terminal:
 *
 * Starts it with a terminal as standard error and nothing as standard output;
 * the words end with NULL.
 *
 * Returns: the process, for vsmctl_end()
 */
int vsmctl_on_terminal(int *ret_terminal,
                       const char *first,
                       ...) G_GNUC_NULL_TERMINATED;

/* Waits for its end; what the terminal got.  Returns: the exit code */
int vsmctl_end(int pid, int terminal, char **ret_text);

/* The test fails unless @text holds @what. */
void says(const char *text, const char *what);
