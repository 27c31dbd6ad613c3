/*
 * Acts that the operator signs for: begin, sign here or elsewhere, finish.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

/* --key, --begin, --finish, --wait: for the options of a subcommand. */
typedef struct {
    char *key, *begin, *finish;
    int wait;
} OperatorOptions;

extern OperatorOptions operator_options;

/* Versions 14 and 19 differ in the braces of a macro. */
/* clang-format off */
#define OPERATOR_ENTRIES                                                       \
    {"key", 'k', 0, G_OPTION_ARG_STRING, &operator_options.key,                \
     "The operator's private key: a PEM file, or a pkcs11: URI", "KEY"},       \
    {"begin", 0, 0, G_OPTION_ARG_FILENAME, &operator_options.begin,            \
     "Write the request for the operator here, to be signed elsewhere",        \
     "FILE"},                                                                  \
    {"finish", 0, 0, G_OPTION_ARG_FILENAME, &operator_options.finish,          \
     "The operator's signature over the request, DER", "FILE"},                \
    {"wait", 0, 0, G_OPTION_ARG_INT, &operator_options.wait,                   \
     "Seconds to wait for the signature (default: 570)", "SECONDS"}
/* clang-format on */

/**
 * OperatorAct:
 * @begin: asks the host; request: transfer full
 * @finish: hands the signature over
 * @abort: drops the request
 * @stays: whether a request outlives this process, as the daemon's does
 */
typedef struct {
    bool (*begin)(gpointer opaque, GBytes **ret_request, GError **error);
    bool (*finish)(gpointer opaque, GBytes *signature, GError **error);
    void (*abort)(gpointer opaque);
    bool stays;
} OperatorAct;

/**
 * operator_run:
 * @ret_done: (out): false when the request was only begun
 *
 * With --key all in one go; with --begin and --finish the request is written
 * and the signature waited for; with a daemon each alone, too.  With --json
 * a request that was only begun is printed as {"done": false, "request": FILE};
 * what was done is the caller's to print.
 */
bool operator_run(const OperatorAct *act,
                  gpointer opaque,
                  bool *ret_done,
                  GError **error);

/* What @request asks for, [{"what", "value"}...]; (transfer full); FORMAT. */
json_t *operator_describe(GBytes *request, GError **error);

/* Prints it. */
bool operator_print(GBytes *request, GError **error);

/* A whole file of at most VSM_OPERATOR_BYTES_MAX. */
GBytes *operator_read(const char *path, GError **error);
bool operator_write(const char *path, GBytes *bytes, GError **error);
