/*
 * vsmctl adopt: use an older copy of a store, or one whose index was lost.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <jansson.h>
#include <string.h>
#include <vsm/host.h>

#include "vsmctl/host.h"
#include "vsmctl/operator.h"
#include "vsmctl/output.h"
#include "vsmctl/vsmctl.h"
#include "vsmctl/waiting.h"

static gboolean of_daemon;

static const GOptionEntry options[] = {
    {"of-daemon", 0, 0, G_OPTION_ARG_NONE, &of_daemon,
     "The store is the daemon's, which must not run", NULL},
    OPERATOR_ENTRIES,
    {0},
};

typedef struct {
    VsmHost *host;
    json_t *snapshots; /* for --json */
} Act;

static json_t *entries_json(GVariant *entries)
{
    json_t *list = json_array();

    for (gsize i = 0; i < g_variant_n_children(entries); i++) {
        const char *uuid, *id, *tag;
        gint64 time;
        gboolean damaged;

        g_variant_get_child(entries, i, "(&s&s&sxb)", &uuid, &id, &tag, &time,
                            &damaged);
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:b, s:o*}", "vm", uuid, "id", id,
                            "tag", tag, "damaged", (int)damaged, "time",
                            damaged ? NULL : json_integer(time)));
    }
    return list;
}

/* Before the operator signs. */
static void print_entries(GVariant *entries)
{
    for (gsize i = 0; i < g_variant_n_children(entries); i++) {
        const char *uuid, *id, *tag;
        gint64 time;
        gboolean damaged;
        g_autofree char *when = NULL, *text = NULL;

        g_variant_get_child(entries, i, "(&s&s&sxb)", &uuid, &id, &tag, &time,
                            &damaged);
        when = damaged ? g_strdup("damaged") : vsmctl_time(time);
        text = g_strdup_printf("%s  VM %s  id %s  tag %s", when, uuid, id, tag);
        vsmctl_print_field("snapshot", text);
    }
}

static GVariant *
begin_on_host(VsmHost *host, GBytes **ret_request, GError **error)
{
    g_autoptr(Waiting) waiting = waiting_new();
    GVariant *entries = NULL;

    vsm_host_adopt_begin(host, &entries, ret_request, error);
    return entries;
}

static bool begin(gpointer opaque, GBytes **ret_request, GError **error)
{
    Act *act = opaque;
    g_autoptr(GVariant) entries = begin_on_host(act->host, ret_request, error);

    if (!entries) {
        return false;
    }
    if (vsmctl_options.json) {
        act->snapshots = entries_json(entries);
        vsmctl_show_before(act->snapshots);
    } else {
        print_entries(entries);
    }
    return true;
}

static bool finish(gpointer opaque, GBytes *signature, GError **error)
{
    Act *act = opaque;
    g_autoptr(Waiting) waiting = waiting_new();

    return vsm_host_adopt_finish(act->host, signature, error);
}

static void abort_act(gpointer opaque)
{
    Act *act = opaque;

    vsm_host_operator_abort(act->host);
}

static VsmHost *open_host(GError **error)
{
    g_autoptr(Waiting) waiting = waiting_new();
    VsmHostOptions host_options;

    if (!host_options_fill(&host_options, error)) {
        return NULL;
    }
    host_options.kind = of_daemon ? VSM_HOST_DAEMON : VSM_HOST_IN_PROCESS;
    return vsm_host_open_to_adopt(&host_options, error);
}

static int run(char **args, GError **error)
{
    const OperatorAct steps = {begin, finish, abort_act, false};
    g_autoptr(VsmHost) host = open_host(error);
    json_auto_t *snapshots = NULL;
    Act act = {.host = host};
    bool done, ok;

    (void)args;
    ok = host && operator_run(&steps, &act, &done, error);
    snapshots = act.snapshots;
    if (!ok) {
        return -1;
    }
    if (vsmctl_options.json) {
        json_auto_t *object =
            json_pack("{s:b, s:s, s:O}", "done", 1, "adopted",
                      vsmctl_options.state_dir, "snapshots", snapshots);

        vsmctl_print_json(object);
    } else {
        vsmctl_print_field("adopted", vsmctl_options.state_dir);
    }
    return VSMCTL_MATCH;
}

const VsmctlCommand vsmctl_adopt = {
    .name = "adopt",
    .args = "",
    .summary = "use an older copy of a store, by the operator's word",
    .text =
        "The TPM's commit index names the one catalogue of a store, so an "
        "older "
        "copy is refused. When the latest copy is lost, or the index itself "
        "was undefined, the operator can say that this copy counts from now "
        "on: every snapshot that was made since is lost, every one that was "
        "deleted since is back. It prints each snapshot with its date; the "
        "operator signs the catalogue's digest. No other copy is accepted "
        "afterwards.\n\n"
        "--key, --begin and --finish are as those of policy. A boot-policy "
        "index that was lost is made again, too, and nothing is approved "
        "then.",
    .options = options,
    .takes = VSMCTL_TAKES_HOST,
    .run = run,
};
