/*
 * Settings of vsmd: a key file, and the command line over it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define VSM_OPTIONS_FILE "/etc/vsm/vsmd.conf"
#define VSM_OPTIONS_GROUP "vsmd"

/* Texts owned; NULL: not given.  Times in milliseconds. */
typedef struct {
    char *listen, *admin, *state_dir, *tcti, *secret, *operator_key, *metrics;
    guint32 boot_pcrs; /* bit mask; 0: libvsm's default */
    bool allow_unmeasured_boot, verbose;
    guint command_ms, request_ms, message_ms, transaction_ms;
    guint seal_interval_ms, attest_interval_ms;
    guint max_connections, nv_burst, nv_interval_ms;
    guint64 vm_quota_bytes;
    GPtrArray *recipients; /* of char *: thumbprints; empty: any */
    GPtrArray *singles; /* of VsmSingle */
} VsmOptions;

VsmOptions *vsm_options_new(void); /* the defaults */
void vsm_options_free(VsmOptions *options);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmOptions, vsm_options_free)

/* INVALID names the setting, what is wrong with it and what it takes. */
bool vsm_options_set(VsmOptions *options,
                     const char *name,
                     const char *value,
                     GError **error);

/* Of a key file's text; unknown groups and keys are INVALID. */
bool vsm_options_load(VsmOptions *options,
                      const char *text,
                      const char *path,
                      GError **error);

/* What must be there, is; paths are absolute where they must be.  INVALID. */
bool vsm_options_check(const VsmOptions *options, GError **error);

/* One command line option each, which sets @options; free with g_free(). */
GOptionEntry *vsm_options_entries(void);
