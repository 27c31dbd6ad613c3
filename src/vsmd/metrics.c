/*
 * Counters of the daemon, in Prometheus' text format.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmd/metrics.h"
#include "attester/protocol.h"

#define OPS 13 /* FORGET and, as 0, what is unknown */
#define CODES 40 /* above any VsmError */

static const char *const names[OPS] = {
    "unknown",     "status", "list",        "seal-begin", "put",
    "seal-finish", "commit", "check-begin", "get",        "check-finish",
    "abort",       "remove", "forget",
};

/* Upper bounds of the waiting time's classes; seconds. */
static const double bounds[] = {0.01, 0.1, 0.5, 1, 5, 10, 60};

typedef struct {
    guint64 count, buckets[G_N_ELEMENTS(bounds)];
    gint64 sum_us;
} Histogram;

struct VsmMetrics {
    GMutex mutex;
    guint64 requests[OPS][CODES];
    guint64 connections[CODES];
    int open;
    Histogram wait, work;
};

VsmMetrics *vsm_metrics_new(void)
{
    VsmMetrics *metrics = g_new0(VsmMetrics, 1);

    g_mutex_init(&metrics->mutex);
    return metrics;
}

void vsm_metrics_free(VsmMetrics *metrics)
{
    if (metrics) {
        g_mutex_clear(&metrics->mutex);
        g_free(metrics);
    }
}

const char *vsm_metrics_op(guint16 op)
{
    return names[op < OPS ? op : 0];
}

static void add(Histogram *histogram, gint64 us)
{
    histogram->count++;
    histogram->sum_us += us;
    for (guint i = 0; i < G_N_ELEMENTS(bounds); i++) {
        histogram->buckets[i] += us <= bounds[i] * G_USEC_PER_SEC;
    }
}

static guint class_of(int code)
{
    return code >= 0 && code < CODES ? code : 0;
}

void vsm_metrics_request(
    VsmMetrics *metrics, guint16 op, int code, gint64 wait_us, gint64 work_us)
{
    g_mutex_lock(&metrics->mutex);
    metrics->requests[op < OPS ? op : 0][class_of(code)]++;
    add(&metrics->wait, wait_us);
    add(&metrics->work, work_us);
    g_mutex_unlock(&metrics->mutex);
}

void vsm_metrics_connection(VsmMetrics *metrics, int code)
{
    g_mutex_lock(&metrics->mutex);
    metrics->connections[class_of(code)]++;
    g_mutex_unlock(&metrics->mutex);
}

void vsm_metrics_open(VsmMetrics *metrics, int change)
{
    g_mutex_lock(&metrics->mutex);
    metrics->open += change;
    g_mutex_unlock(&metrics->mutex);
}

/* --- Text ------------------------------------------------------------- */

static const char *result_name(guint code)
{
    return code ? vsm_error_name(code) : "ok";
}

static void
head(GString *out, const char *name, const char *type, const char *help)
{
    g_string_append_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help,
                           name, type);
}

static void gauge(GString *out,
                  const char *name,
                  const char *type,
                  const char *help,
                  guint64 value)
{
    head(out, name, type, help);
    g_string_append_printf(out, "%s %" G_GUINT64_FORMAT "\n", name, value);
}

static void
histogram(GString *out, const char *name, const char *help, const Histogram *h)
{
    char number[G_ASCII_DTOSTR_BUF_SIZE];

    head(out, name, "histogram", help);
    for (guint i = 0; i < G_N_ELEMENTS(bounds); i++) {
        g_ascii_formatd(number, sizeof(number), "%g", bounds[i]);
        g_string_append_printf(out,
                               "%s_bucket{le=\"%s\"} %" G_GUINT64_FORMAT "\n",
                               name, number, h->buckets[i]);
    }
    g_ascii_formatd(number, sizeof(number), "%.6f",
                    h->sum_us / (double)G_USEC_PER_SEC);
    g_string_append_printf(out,
                           "%s_bucket{le=\"+Inf\"} %" G_GUINT64_FORMAT "\n"
                           "%s_sum %s\n%s_count %" G_GUINT64_FORMAT "\n",
                           name, h->count, name, number, name, h->count);
}

static void requests(GString *out, const VsmMetrics *metrics)
{
    head(out, "vsm_requests_total", "counter",
         "Requests of hypervisors, by operation and result.");
    for (guint op = 0; op < OPS; op++) {
        for (guint code = 0; code < CODES; code++) {
            if (metrics->requests[op][code]) {
                g_string_append_printf(
                    out,
                    "vsm_requests_total{op=\"%s\",result=\"%s\"} "
                    "%" G_GUINT64_FORMAT "\n",
                    names[op], result_name(code), metrics->requests[op][code]);
            }
        }
    }
    head(out, "vsm_connections_total", "counter",
         "Connections of hypervisors: taken, or why they were turned away.");
    for (guint code = 0; code < CODES; code++) {
        if (metrics->connections[code]) {
            g_string_append_printf(
                out,
                "vsm_connections_total{result=\"%s\"} %" G_GUINT64_FORMAT "\n",
                result_name(code), metrics->connections[code]);
        }
    }
}

char *vsm_metrics_text(VsmMetrics *metrics, VsmHost *host, guint waiting)
{
    GString *out = g_string_new(NULL);
    guint64 commands;
    guint left, burst;

    vsm_host_counters(host, &commands, &left, &burst);
    g_mutex_lock(&metrics->mutex);
    requests(out, metrics);
    gauge(out, "vsm_connections", "gauge", "Connections that are open.",
          MAX(metrics->open, 0));
    histogram(out, "vsm_request_wait_seconds",
              "Time that requests waited for their turn.", &metrics->wait);
    histogram(out, "vsm_request_work_seconds",
              "Time that requests took after it.", &metrics->work);
    g_mutex_unlock(&metrics->mutex);
    gauge(out, "vsm_requests_waiting", "gauge",
          "Requests that wait for their turn.", waiting);
    gauge(out, "vsm_tpm_commands_total", "counter", "Commands sent to the TPM.",
          commands);
    gauge(out, "vsm_nv_writes_left", "gauge",
          "NV writes that may come at once.", left);
    gauge(out, "vsm_nv_writes_burst", "gauge",
          "NV writes that may come at once after a rest.", burst);
    return g_string_free(out, false);
}
