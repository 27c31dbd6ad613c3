/*
 * QEMU's jobs, hidden: start one, show progress, wait, tidy up.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmctl/jobs.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <vsm/error.h>

#include "vsmctl/bar.h"
#include "vsmctl/output.h"
#include "vsmctl/refusal.h"

#define POLL_MS 100 /* for events */
#define BAR_AFTER_US 1000000 /* shorter jobs show nothing */

typedef struct {
    Qmp *qmp;
    const char *id, *label;
    gint64 started;
    bool drawn, cancelled;
    char *refusal; /* message of VSM_REFUSED */
    int code; /* VsmError of VSM_REFUSED; 0: none came */
    bool refused_itself; /* it names this job, which is VSM's */
} Job;

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

/* Only this job's refusal; others' events are not ours. */
static void see_event(Job *job, const json_t *event)
{
    const json_t *data = json_object_get(event, "data");

    if (strcmp(vsmctl_text(event, "event"), "VSM_REFUSED") != 0) {
        return;
    }
    /* snapshot-save and -delete are QEMU's jobs: the event has no job-id. */
    if (json_object_get(data, "job-id") &&
        strcmp(vsmctl_text(data, "job-id"), job->id) != 0) {
        return;
    }
    g_free(job->refusal);
    job->refused_itself = json_object_get(data, "job-id") != NULL;
    job->refusal = g_strdup(vsmctl_text(data, "message"));
    job->code = refusal_code(vsmctl_text(data, "code"));
}

static void draw(Job *job, json_int_t current, json_int_t total)
{
    g_autofree char *bar = NULL;

    if (!isatty(STDERR_FILENO) ||
        g_get_monotonic_time() - job->started < BAR_AFTER_US) {
        return;
    }
    bar = bar_text(job->label, current, total);
    fprintf(stderr, "\r%s", bar);
    fflush(stderr);
    job->drawn = true;
}

static void undraw(Job *job)
{
    if (job->drawn) {
        fprintf(stderr, "\r\033[K");
        fflush(stderr);
    }
}

/* The job's entry in query-jobs; *ret NULL: it is not there. */
static bool query(Job *job, json_t **ret, GError **error)
{
    json_auto_t *jobs = qmp_execute(job->qmp, "query-jobs", NULL, error);
    size_t i;
    json_t *entry;

    *ret = NULL;
    if (!jobs) {
        return false;
    }
    json_array_foreach(jobs, i, entry)
    {
        if (strcmp(vsmctl_text(entry, "id"), job->id) == 0) {
            *ret = json_incref(entry);
        }
    }
    return true;
}

static void cancel(Job *job)
{
    json_auto_t *answer = NULL;

    job->cancelled = true;
    answer = qmp_execute(job->qmp, "job-cancel",
                         json_pack("{s:s}", "id", job->id), NULL);
}

/* Reads all events that have come, at most for POLL_MS. */
static bool see_events(Job *job, GError **error)
{
    guint timeout_ms = POLL_MS;

    for (;;) {
        json_auto_t *event = NULL;

        if (!qmp_wait_event(job->qmp, timeout_ms, &event, error)) {
            return false;
        }
        if (!event) {
            return true;
        }
        see_event(job, event);
        timeout_ms = 0;
    }
}

static bool is_over(const json_t *entry)
{
    return !entry || strcmp(vsmctl_text(entry, "status"), "concluded") == 0 ||
           strcmp(vsmctl_text(entry, "status"), "null") == 0;
}

/* Waits for the end; *ret_error: QEMU's text, NULL when it succeeded. */
static bool wait_end(Job *job, char **ret_error, GError **error)
{
    for (;;) {
        json_auto_t *entry = NULL;

        if (interrupted && !job->cancelled) {
            cancel(job);
        }
        if (!see_events(job, error) || !query(job, &entry, error)) {
            return false;
        }
        if (is_over(entry)) {
            const json_t *text = json_object_get(entry, "error");

            *ret_error = g_strdup(json_string_value(text));
            return true;
        }
        draw(job, vsmctl_int(entry, "current-progress"),
             vsmctl_int(entry, "total-progress"));
    }
}

/* What VSM said has the remedy; what else QEMU's own job says is not lost. */
static char *reason(const Job *job, const char *failure)
{
    if (!job->refusal) {
        return g_strdup(failure);
    }
    if (job->refused_itself || strstr(failure, job->refusal)) {
        return g_strdup(job->refusal);
    }
    return g_strdup_printf("%s (QEMU: %s)", job->refusal, failure);
}

static bool outcome(Job *job, const char *failure, GError **error)
{
    g_autofree char *text = NULL;

    if (!failure) {
        return true;
    }
    if (!job->refusal && !see_events(job, error)) {
        return false;
    }
    /* The same without events, as through libvirt, or if it came too late. */
    if (!job->refusal) {
        job->code = refusal_last(job->qmp, job->id, failure, &job->refusal);
    }
    if (job->cancelled) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_CANCELLED, "cancelled: %s",
                    failure);
        return false;
    }
    text = reason(job, failure);
    g_set_error(error, VSM_ERROR, job->code ? job->code : VSM_ERROR_INVALID,
                "%s", text);
    return false;
}

static bool run(Job *job,
                const char *command,
                json_t *arguments,
                char **ret_id,
                GError **error)
{
    json_auto_t *started = qmp_execute(job->qmp, command, arguments, error);
    json_auto_t *dismissed = NULL;
    g_autofree char *failure = NULL;
    bool ended;

    if (!started) {
        return false;
    }
    if (ret_id) {
        *ret_id = g_strdup(job->id);
    }
    ended = wait_end(job, &failure, error);
    undraw(job);
    if (!ended) {
        return false;
    }
    /* Gone already if it dismisses itself. */
    dismissed = qmp_execute(job->qmp, "job-dismiss",
                            json_pack("{s:s}", "id", job->id), NULL);
    return outcome(job, failure, error);
}

bool vsmctl_job(Qmp *qmp,
                const char *command,
                json_t *arguments,
                const char *label,
                char **ret_id,
                GError **error)
{
    struct sigaction act = {.sa_handler = on_interrupt}, old;
    g_autofree char *uuid = g_uuid_string_random();
    g_autofree char *id = g_strconcat("vsmctl-", uuid, NULL);
    Job job = {.qmp = qmp, .id = id, .label = label};
    bool ok;

    json_object_set_new(arguments, "job-id", json_string(id));
    job.started = g_get_monotonic_time();
    /* Before the job is there: an interrupt must not leave it behind. */
    sigaction(SIGINT, &act, &old);
    ok = run(&job, command, arguments, ret_id, error);
    sigaction(SIGINT, &old, NULL);
    g_free(job.refusal);
    return ok;
}
