/*
 * Which VM a process is: what root registered.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmd/registry.h"
#include <string.h>
#include <unistd.h>
#include <vsm/error.h>
#include "base/text.h"
#include "vsmd/cgroup.h"
#include "vsmd/process.h"

#define BOOT_FILE "/proc/sys/kernel/random/boot_id"
#define ENTRIES_MAX 4096 /* VMs of one host */

struct VsmRegistry {
    GMutex mutex;
    char *path;
    GPtrArray *entries; /* of VsmRegistered */
};

static void free_entry(gpointer data)
{
    VsmRegistered *entry = data;

    if (entry->pidfd >= 0) {
        close(entry->pidfd);
    }
    g_free(entry->uuid);
    g_free(entry->domain);
    g_free(entry);
}

void vsm_registry_free(VsmRegistry *registry)
{
    if (registry) {
        g_ptr_array_unref(registry->entries);
        g_free(registry->path);
        g_mutex_clear(&registry->mutex);
        g_free(registry);
    }
}

/* --- Its file --------------------------------------------------------- */

static char *boot_id(void)
{
    char *text = NULL;

    if (g_file_get_contents(BOOT_FILE, &text, NULL, NULL)) {
        return g_strstrip(text);
    }
    return g_strdup("unknown");
}

/* Called with the mutex held. */
static bool save(VsmRegistry *registry, GError **error)
{
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autofree char *boot = boot_id();
    g_autofree char *text = NULL;
    g_autoptr(GError) why = NULL;
    gsize bytes;

    if (!registry->path) {
        return true;
    }
    g_key_file_set_string(file, "boot", "id", boot);
    for (guint i = 0; i < registry->entries->len; i++) {
        const VsmRegistered *entry = registry->entries->pdata[i];

        if (entry->domain) {
            g_key_file_set_string(file, entry->uuid, "domain", entry->domain);
        } else {
            g_key_file_set_integer(file, entry->uuid, "pid", entry->pid);
            g_key_file_set_uint64(file, entry->uuid, "start", entry->start);
        }
    }
    text = g_key_file_to_data(file, &bytes, NULL);
    if (!g_file_set_contents_full(registry->path, text, bytes,
                                  G_FILE_SET_CONTENTS_CONSISTENT |
                                      G_FILE_SET_CONTENTS_DURABLE,
                                  0600, &why)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_STORE,
                    "registry of VMs: %s; it is lost with the next restart",
                    why->message);
        return false;
    }
    return true;
}

/* A process that is not the registered one any more is left out. */
static VsmRegistered *
read_entry(GKeyFile *file, const char *uuid, bool same_boot)
{
    g_autofree char *domain = g_key_file_get_string(file, uuid, "domain", NULL);
    pid_t pid = g_key_file_get_integer(file, uuid, "pid", NULL);
    guint64 start = g_key_file_get_uint64(file, uuid, "start", NULL);
    g_auto(VsmProcess) process = VSM_PROCESS_INIT;
    VsmRegistered *entry;

    if (!domain &&
        (!same_boot || pid <= 0 || !vsm_process_open(pid, -1, &process, NULL) ||
         process.start != start)) {
        return NULL;
    }
    if (domain && !vsm_cgroup_name_is_plain(domain)) {
        return NULL;
    }
    entry = g_new0(VsmRegistered, 1);
    entry->uuid = g_strdup(uuid);
    entry->domain = g_steal_pointer(&domain);
    entry->pid = entry->domain ? 0 : pid;
    entry->start = entry->domain ? 0 : start;
    entry->pidfd = -1;
    if (!entry->domain) {
        entry->pidfd = process.pidfd;
        process.pidfd = -1;
    }
    return entry;
}

static bool load(VsmRegistry *registry, GError **error)
{
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autofree char *boot = NULL;
    g_autofree char *now = boot_id();
    g_auto(GStrv) groups = NULL;
    g_autoptr(GError) why = NULL;

    if (!g_key_file_load_from_file(file, registry->path, G_KEY_FILE_NONE,
                                   &why)) {
        if (g_error_matches(why, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
            return true;
        }
        g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                    "%s: %s; remove it, and register the VMs anew",
                    registry->path, why->message);
        return false;
    }
    boot = g_key_file_get_string(file, "boot", "id", NULL);
    groups = g_key_file_get_groups(file, NULL);
    for (guint i = 0; groups[i]; i++) {
        VsmRegistered *entry =
            vsm_text_is_uuid(groups[i])
                ? read_entry(file, groups[i], g_strcmp0(boot, now) == 0)
                : NULL;

        if (entry) {
            g_ptr_array_add(registry->entries, entry);
        }
    }
    return true;
}

VsmRegistry *vsm_registry_open(const char *path, GError **error)
{
    g_autoptr(VsmRegistry) registry = g_new0(VsmRegistry, 1);

    g_mutex_init(&registry->mutex);
    registry->path = g_strdup(path);
    registry->entries = g_ptr_array_new_with_free_func(free_entry);
    return !path || load(registry, error) ? g_steal_pointer(&registry) : NULL;
}

/* --- Entries ---------------------------------------------------------- */

static VsmRegistered *find(VsmRegistry *registry, const char *uuid)
{
    for (guint i = 0; i < registry->entries->len; i++) {
        VsmRegistered *entry = registry->entries->pdata[i];

        if (strcmp(entry->uuid, uuid) == 0) {
            return entry;
        }
    }
    return NULL;
}

/* Whose process or domain @like is already. */
static const char *taken(VsmRegistry *registry, const VsmRegistered *like)
{
    for (guint i = 0; i < registry->entries->len; i++) {
        const VsmRegistered *entry = registry->entries->pdata[i];

        if (strcmp(entry->uuid, like->uuid) == 0) {
            continue;
        }
        if (like->domain ? g_strcmp0(entry->domain, like->domain) == 0
                         : !entry->domain && entry->pid == like->pid &&
                               entry->start == like->start) {
            return entry->uuid;
        }
    }
    return NULL;
}

static bool is_ended(const VsmRegistered *entry)
{
    return !entry->domain && !vsm_process_alive(entry->pidfd);
}

/* Called with the mutex held. */
static bool
admit(VsmRegistry *registry, const VsmRegistered *new, GError **error)
{
    const VsmRegistered *old = find(registry, new->uuid);
    const char *other = taken(registry, new);

    if (other) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "it is registered as VM %s; unregister that first", other);
        return false;
    }
    if (old && !is_ended(old) &&
        (g_strcmp0(old->domain, new->domain) || old->pid != new->pid)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_BUSY,
                    "VM %s is registered as %s %s; unregister it first",
                    new->uuid, old->domain ? "domain" : "a running process",
                    old->domain ? old->domain : "");
        return false;
    }
    if (!old && registry->entries->len >= ENTRIES_MAX) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "more than %u VMs are registered; unregister some",
                    ENTRIES_MAX);
        return false;
    }
    return true;
}

/* Takes @new. */
static bool add(VsmRegistry *registry, VsmRegistered *new, GError **error)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&registry->mutex);
    VsmRegistered *old;

    for (guint i = registry->entries->len; i > 0; i--) {
        if (is_ended(registry->entries->pdata[i - 1]) &&
            registry->entries->len >= ENTRIES_MAX) {
            g_ptr_array_remove_index(registry->entries, i - 1);
        }
    }
    if (!admit(registry, new, error)) {
        free_entry(new);
        return false;
    }
    old = find(registry, new->uuid);
    if (old) {
        g_ptr_array_remove(registry->entries, old);
    }
    g_ptr_array_add(registry->entries, new);
    return save(registry, error);
}

static bool check_uuid(const char *uuid, GError **error)
{
    if (!vsm_text_is_uuid(uuid)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "\"%s\" is no VM's uuid: 36 characters, lower case", uuid);
        return false;
    }
    return true;
}

bool vsm_registry_add_process(VsmRegistry *registry,
                              const char *uuid,
                              pid_t pid,
                              GError **error)
{
    g_auto(VsmProcess) process = VSM_PROCESS_INIT;
    VsmRegistered *entry;

    if (!check_uuid(uuid, error) ||
        !vsm_process_open(pid, -1, &process, error)) {
        return false;
    }
    entry = g_new0(VsmRegistered, 1);
    entry->uuid = g_strdup(uuid);
    entry->pid = pid;
    entry->start = process.start;
    entry->pidfd = process.pidfd;
    process.pidfd = -1;
    return add(registry, entry, error);
}

bool vsm_registry_add_domain(VsmRegistry *registry,
                             const char *uuid,
                             const char *domain,
                             GError **error)
{
    VsmRegistered *entry;

    if (!check_uuid(uuid, error)) {
        return false;
    }
    if (!vsm_cgroup_name_is_plain(domain)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "domain \"%s\": libvirt does not name its control group "
                    "as the domain; use at most 40 letters, digits, \"-\" and "
                    "\".\", or register its process",
                    domain);
        return false;
    }
    entry = g_new0(VsmRegistered, 1);
    entry->uuid = g_strdup(uuid);
    entry->domain = g_strdup(domain);
    entry->pidfd = -1;
    return add(registry, entry, error);
}

bool vsm_registry_remove(VsmRegistry *registry,
                         const char *uuid,
                         GError **error)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&registry->mutex);
    VsmRegistered *entry = find(registry, uuid);

    if (!entry) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_NOT_FOUND,
                    "VM %s is not registered", uuid);
        return false;
    }
    g_ptr_array_remove(registry->entries, entry);
    return save(registry, error);
}

char *vsm_registry_find_process(VsmRegistry *registry, pid_t pid, guint64 start)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&registry->mutex);

    for (guint i = 0; i < registry->entries->len; i++) {
        const VsmRegistered *entry = registry->entries->pdata[i];

        /* The pidfd proves that the number is still that process's. */
        if (!entry->domain && entry->pid == pid && entry->start == start &&
            vsm_process_alive(entry->pidfd)) {
            return g_strdup(entry->uuid);
        }
    }
    return NULL;
}

char *vsm_registry_find_domain(VsmRegistry *registry, const char *domain)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&registry->mutex);

    for (guint i = 0; i < registry->entries->len; i++) {
        const VsmRegistered *entry = registry->entries->pdata[i];

        if (g_strcmp0(entry->domain, domain) == 0) {
            return g_strdup(entry->uuid);
        }
    }
    return NULL;
}

GPtrArray *vsm_registry_list(VsmRegistry *registry)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&registry->mutex);
    GPtrArray *list = g_ptr_array_new_with_free_func(free_entry);

    for (guint i = 0; i < registry->entries->len; i++) {
        const VsmRegistered *entry = registry->entries->pdata[i];
        VsmRegistered *copy = g_memdup2(entry, sizeof(*entry));

        copy->uuid = g_strdup(entry->uuid);
        copy->domain = g_strdup(entry->domain);
        copy->pidfd = -1;
        if (is_ended(entry)) {
            copy->pid = 0;
        }
        g_ptr_array_add(list, copy);
    }
    return list;
}
