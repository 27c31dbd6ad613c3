/*
 * Counters of the daemon, in Prometheus' text format.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <vsm/host.h>

typedef struct VsmMetrics VsmMetrics;

VsmMetrics *vsm_metrics_new(void);
void vsm_metrics_free(VsmMetrics *metrics);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmMetrics, vsm_metrics_free)

/* Name of an operation of the attester's socket; "unknown". */
const char *vsm_metrics_op(guint16 op);

/* One request that ended.  @code: of VsmError; 0: it was answered. */
void vsm_metrics_request(
    VsmMetrics *metrics, guint16 op, int code, gint64 wait_us, gint64 work_us);

/* One connection that was taken (@code 0) or turned away. */
void vsm_metrics_connection(VsmMetrics *metrics, int code);
void vsm_metrics_open(VsmMetrics *metrics, int change); /* +1, -1 */

/* All of them; transfer full. */
char *vsm_metrics_text(VsmMetrics *metrics, VsmHost *host, guint waiting);
