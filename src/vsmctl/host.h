/*
 * The host's TPM and store, opened in vsmctl's own process.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <glib.h>

#include <vsm/host.h>

/* From --tcti, --state-dir and so on; INVALID. */
bool host_options_fill(VsmHostOptions *ret, GError **error);

/**
 * host_open:
 * @operator_key: (nullable): PEM file; used at set-up only
 * @ret: (out) (transfer full): g_object_unref()
 *
 * Opens the host with --tcti, --state-dir and so on, which sets up what is
 * absent.  Errors: those of vsm_host_open().
 */
bool host_open(const char *operator_key, VsmHost **ret, GError **error);

/**
 * host_keys:
 * @operator_key: (nullable): PEM file; used at set-up only
 * @ret: (out) (transfer full): a trust file with one entry
 *
 * Opens the host with --tcti, --state-dir and so on, which sets up what is
 * absent.  Errors: those of vsm_host_open().
 */
bool host_keys(const char *operator_key, json_t **ret, GError **error);
