/*
 * Requests: what a verifier asks for, on file between asking and checking.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <vsm/report.h>

/* A request file; a JWK in it takes at most 1 KiB. */
#define REQUEST_BYTES_MAX 8192

/* A report or trust file; what libvsm takes is less. */
#define INPUT_BYTES_MAX (4 * 1024 * 1024)

/**
 * Request: all texts are owned
 * @nonce: base64url of 8 to 64 bytes
 * @op: "attest", "verify" or "rollback"
 * @scope: "full", "runtime" or "stored"
 * @profile: of the scope runtime: "standard" or "strict"; else NULL
 * @vm: UUID in lower case; NULL: whatever VM answers (no request file)
 * @recipient: JWK; NULL: none
 */
typedef struct {
    char *nonce, *op, *snapshot, *scope, *profile, *vm, *recipient;
} Request;

/* The scope of an op unless another is named; static. */
const char *request_scope(const char *op);

/* Errors: VSM_ERROR_INVALID for an unknown op, or a scope that it lacks. */
bool request_scope_fits(const char *op, const char *scope, GError **error);

/*
 * Sets the profile that @profile (nullable) and the scope ask for.  Errors:
 * VSM_ERROR_INVALID for an unknown one, or one where the scope has none.
 */
bool request_set_profile(Request *request, const char *profile, GError **error);

/* A new nonce: 32 random bytes, base64url; (transfer full). */
char *request_new_nonce(void);

/* Errors: VSM_ERROR_INVALID unless base64url of 8 to 64 bytes. */
GBytes *request_nonce_bytes(const char *nonce, GError **error);

/* UUID of any case; (transfer full): lower case, else VSM_ERROR_INVALID. */
char *request_uuid(const char *text, GError **error);

/* Errors: VSM_ERROR_FORMAT, VSM_ERROR_INVALID (file). */
Request *request_load(const char *path, GError **error);

char *request_to_json(const Request *request);

/**
 * request_from_options:
 * @op: of the subcommand
 * @scope: (nullable): NULL: the op's, or what --request says
 * @profile: (nullable): the same
 * @snapshot: its argument; NULL: from --request, which is then needed
 *
 * --request, --nonce and --recipient; what the file says cannot be changed by
 * an option.
 */
Request *request_from_options(const char *op,
                              const char *scope,
                              const char *profile,
                              const char *snapshot,
                              GError **error);

/*
 * What a report that answers it must say; borrows all three.
 * @recipient: thumbprint, "" without one
 */
VsmExpectation request_expectation(const Request *request,
                                   GBytes *nonce,
                                   const char *recipient);

void request_free(Request *request);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Request, request_free)

/* A text file of at most @max bytes, without its last line end; "-": standard
 * input.  Errors: VSM_ERROR_INVALID, VSM_ERROR_LIMIT. */
char *read_text_file(const char *path, gsize max, GError **error);

/* Replaces @path, with a line end; "-": standard output. */
bool write_text_file(const char *path, const char *text, GError **error);
