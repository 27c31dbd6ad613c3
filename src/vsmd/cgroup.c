/*
 * Which machine of libvirt a process belongs to, by its control group.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmd/cgroup.h"
#include <string.h>

#define SLICE "/machine.slice/"
#define SCOPE_PREFIX "machine-qemu\\x2d"
#define SCOPE_SUFFIX ".scope"

/* libvirt cuts the whole machine name at 64; "qemu-NUMBER-" takes some. */
#define NAME_MAX_BYTES 40

bool vsm_cgroup_name_is_plain(const char *name)
{
    gsize length = strlen(name);

    return length > 0 && length <= NAME_MAX_BYTES && g_ascii_isalnum(name[0]) &&
           name[length - 1] != '-' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz"
                        "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") == length;
}

/* systemd's escape of "-"; any other escape is of no plain name. */
static char *unescape(const char *text, gsize length)
{
    g_autoptr(GString) out = g_string_new(NULL);

    for (gsize i = 0; i < length;) {
        if (length - i >= 4 && strncmp(text + i, "\\x2d", 4) == 0) {
            g_string_append_c(out, '-');
            i += 4;
        } else if (text[i] == '\\' || text[i] == '-') {
            return NULL;
        } else {
            g_string_append_c(out, text[i++]);
        }
    }
    return g_string_free(g_steal_pointer(&out), false);
}

/* The first component below the slice, whatever libvirt makes below it. */
static char *machine_of(const char *path)
{
    const char *scope, *name;
    g_autofree char *plain = NULL;
    gsize length;

    if (!g_str_has_prefix(path, SLICE) || strstr(path, "/..")) {
        return NULL;
    }
    scope = path + strlen(SLICE);
    length = strcspn(scope, "/");
    if (length <= strlen(SCOPE_PREFIX) + strlen(SCOPE_SUFFIX) ||
        strncmp(scope, SCOPE_PREFIX, strlen(SCOPE_PREFIX)) ||
        strncmp(scope + length - strlen(SCOPE_SUFFIX), SCOPE_SUFFIX,
                strlen(SCOPE_SUFFIX))) {
        return NULL;
    }
    name = scope + strlen(SCOPE_PREFIX);
    length -= strlen(SCOPE_PREFIX) + strlen(SCOPE_SUFFIX);
    plain = unescape(name, length);
    if (!plain || !g_ascii_isdigit(*plain)) {
        return NULL;
    }
    name = plain + strspn(plain, "0123456789");
    if (*name != '-' || !vsm_cgroup_name_is_plain(name + 1)) {
        return NULL;
    }
    return g_strdup(name + 1);
}

/* The path of a line of systemd's own hierarchy; else NULL. */
static const char *systemd_path(const char *line)
{
    const char *rest;

    if (g_str_has_prefix(line, "0::")) {
        return line + 3;
    }
    rest = line + strspn(line, "0123456789");
    if (rest == line || !g_str_has_prefix(rest, ":name=systemd:")) {
        return NULL;
    }
    return rest + strlen(":name=systemd:");
}

char *vsm_cgroup_machine(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autofree char *found = NULL;

    for (guint i = 0; lines[i]; i++) {
        const char *path = systemd_path(lines[i]);
        g_autofree char *machine = NULL;

        /* An old kernel's hybrid form: the unified tree is there, unused. */
        if (!path || (strcmp(path, "/") == 0 && lines[i][0] == '0')) {
            continue;
        }
        machine = machine_of(path);
        if (!machine || (found && strcmp(found, machine))) {
            return NULL;
        }
        g_free(found);
        found = g_steal_pointer(&machine);
    }
    return g_steal_pointer(&found);
}
