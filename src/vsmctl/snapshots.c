/*
 * The VM's snapshots and disks, as subcommands need them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmctl/snapshots.h"

#include <string.h>
#include <vsm/error.h>

#include "vsmctl/output.h"

static json_t *
find_by(const json_t *list, const char *member, const char *value)
{
    size_t i;
    json_t *entry;

    json_array_foreach(list, i, entry)
    {
        if (strcmp(vsmctl_text(entry, member), value) == 0) {
            return entry;
        }
    }
    return NULL;
}

bool snapshots_find(Qmp *qmp, const char *asked, json_t **ret, GError **error)
{
    json_auto_t *list = qmp_execute(qmp, "query-vsm-snapshots", NULL, error);
    bool is_tag = g_str_has_prefix(asked, "tag:");
    bool is_id = g_str_has_prefix(asked, "id:");
    json_t *tag, *id;

    if (!list) {
        return false;
    }
    tag = is_id ? NULL : find_by(list, "tag", asked + (is_tag ? 4 : 0));
    id = is_tag ? NULL : find_by(list, "id", asked + (is_id ? 3 : 0));
    if (tag && id && tag != id) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "'%s' is the tag of one snapshot and the id of another: "
                    "say tag:%s or id:%s",
                    asked, asked, asked);
        return false;
    }
    if (!tag && !id) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_NOT_FOUND,
                    "this VM has no sealed snapshot '%s': 'vsmctl list' shows "
                    "all",
                    asked);
        return false;
    }
    *ret = json_incref(tag ? tag : id);
    return true;
}

static const char *format_of(const json_t *inserted)
{
    return vsmctl_text(json_object_get(inserted, "image"), "format");
}

bool snapshots_disks(Qmp *qmp,
                     json_t **ret_devices,
                     char **ret_vmstate,
                     GError **error)
{
    json_auto_t *list = qmp_execute(qmp, "query-block", NULL, error);
    json_auto_t *devices = json_array();
    const char *vmstate = NULL;
    size_t i;
    json_t *entry;

    if (!list) {
        return false;
    }
    json_array_foreach(list, i, entry)
    {
        const json_t *inserted = json_object_get(entry, "inserted");
        const char *node = vsmctl_text(inserted, "node-name");

        if (!inserted || json_is_true(json_object_get(inserted, "ro"))) {
            continue;
        }
        json_array_append_new(devices, json_string(node));
        if (!vmstate && strcmp(format_of(inserted), "qcow2") == 0) {
            vmstate = node;
        }
    }
    if (!vmstate) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_NOT_FOUND,
                    "the VM has no writable qcow2 disk: internal snapshots "
                    "need one");
        return false;
    }
    *ret_devices = g_steal_pointer(&devices);
    *ret_vmstate = g_strdup(vmstate);
    return true;
}
