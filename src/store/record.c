/*
 * A snapshot's folder in the store: make, append, read, make durable, drop.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "store/record.h"
#include "base/part.h"
#include "base/text.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct _VsmFolder {
    VsmDir *dir;
    int fds[VSM_PARTS]; /* -1: not open */
    guint64 lengths[VSM_PARTS];
};

static VsmDir *
open_vm(const VsmDir *store, const char *uuid, bool make, GError **error)
{
    g_autoptr(VsmDir) all = vsm_dir_open_at(store, "vm", make, error);

    g_assert(vsm_text_is_uuid(uuid));
    return all ? vsm_dir_open_at(all, uuid, make, error) : NULL;
}

static VsmFolder *folder_at(const VsmDir *store,
                            const char *uuid,
                            const char *id,
                            bool make,
                            GError **error)
{
    g_autoptr(VsmDir) vm = open_vm(store, uuid, make, error);
    g_autoptr(VsmDir) dir = NULL;
    VsmFolder *folder;

    g_assert(vsm_text_is_id(id));
    dir = vm ? vsm_dir_open_at(vm, id, make, error) : NULL;
    if (!dir) {
        return NULL;
    }
    folder = g_new0(VsmFolder, 1);
    folder->dir = g_steal_pointer(&dir);
    for (guint i = 0; i < VSM_PARTS; i++) {
        folder->fds[i] = -1;
    }
    return folder;
}

VsmFolder *vsm_folder_make(const VsmDir *store,
                           const char *uuid,
                           const char *id,
                           GError **error)
{
    return folder_at(store, uuid, id, true, error);
}

VsmFolder *vsm_folder_open(const VsmDir *store,
                           const char *uuid,
                           const char *id,
                           GError **error)
{
    return folder_at(store, uuid, id, false, error);
}

void vsm_folder_free(VsmFolder *folder)
{
    if (folder) {
        for (guint i = 0; i < VSM_PARTS; i++) {
            if (folder->fds[i] >= 0) {
                close(folder->fds[i]);
            }
        }
        vsm_dir_free(folder->dir);
        g_free(folder);
    }
}

const VsmDir *vsm_folder_dir(const VsmFolder *folder)
{
    return folder->dir;
}

bool vsm_folder_put(VsmFolder *folder,
                    VsmPart part,
                    guint64 offset,
                    GBytes *bytes,
                    GError **error)
{
    const char *name = vsm_part_name(part);

    g_assert(name);
    if (folder->fds[part] < 0) {
        folder->fds[part] =
            vsm_file_open(folder->dir, name, O_RDWR | O_CREAT | O_EXCL, error);
        if (folder->fds[part] < 0) {
            return false;
        }
    }
    if (offset != folder->lengths[part]) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "%s/%s: a put at byte %" G_GUINT64_FORMAT
                    " where %" G_GUINT64_FORMAT " are there: parts are only "
                    "appended to",
                    folder->dir->path, name, offset, folder->lengths[part]);
        return false;
    }
    if (!vsm_file_write_at(folder->fds[part], folder->dir, name, offset, bytes,
                           error)) {
        return false;
    }
    folder->lengths[part] += g_bytes_get_size(bytes);
    return true;
}

/* Opens @part for reading when it is not open; an absent one stays closed. */
static bool open_part(VsmFolder *folder, VsmPart part, GError **error)
{
    g_autoptr(GError) why = NULL;
    struct stat st;

    g_assert(vsm_part_name(part));
    if (folder->fds[part] >= 0) {
        return true;
    }
    folder->fds[part] =
        vsm_file_open(folder->dir, vsm_part_name(part), O_RDONLY, &why);
    if (folder->fds[part] < 0) {
        if (g_error_matches(why, VSM_ERROR, VSM_ERROR_NOT_FOUND)) {
            return true;
        }
        g_propagate_error(error, g_steal_pointer(&why));
        return false;
    }
    if (fstat(folder->fds[part], &st) < 0) {
        vsm_file_error(error, errno, folder->dir, vsm_part_name(part),
                       "look at it");
        return false;
    }
    folder->lengths[part] = st.st_size;
    return true;
}

bool vsm_folder_length(VsmFolder *folder,
                       VsmPart part,
                       guint64 *ret_bytes,
                       GError **error)
{
    if (!open_part(folder, part, error)) {
        return false;
    }
    *ret_bytes = folder->lengths[part];
    return true;
}

bool vsm_folder_get(VsmFolder *folder,
                    VsmPart part,
                    guint64 offset,
                    gsize bytes,
                    GBytes **ret,
                    GError **error)
{
    guint64 length;

    if (!open_part(folder, part, error)) {
        return false;
    }
    length = folder->lengths[part];
    if (offset >= length) {
        *ret = g_bytes_new(NULL, 0);
        return true;
    }
    return vsm_file_read_at(folder->fds[part], folder->dir, vsm_part_name(part),
                            offset, MIN(bytes, length - offset), ret, error);
}

bool vsm_folder_sync(VsmFolder *folder, GError **error)
{
    for (guint i = 0; i < VSM_PARTS; i++) {
        if (folder->fds[i] >= 0 && !vsm_file_sync(folder->fds[i], folder->dir,
                                                  vsm_part_name(i), error)) {
            return false;
        }
    }
    return vsm_dir_sync(folder->dir, error);
}

static bool drop_files(const VsmDir *dir, GError **error)
{
    g_autoptr(VsmNames) names = vsm_names_new(dir, NULL, error);
    const char *name;

    if (!names) {
        return false;
    }
    while ((name = vsm_names_next(names))) {
        vsm_files_tell("remove", name);
        if (unlinkat(dir->fd, name, 0) < 0) {
            vsm_file_error(error, errno, dir, name, "remove it");
            return false;
        }
    }
    return vsm_names_end(names, error);
}

/* @durably: metadata goes first, and nothing comes back. */
static bool drop(const VsmDir *store,
                 const char *uuid,
                 const char *id,
                 bool durably,
                 GError **error)
{
    g_autoptr(GError) why = NULL;
    g_autoptr(VsmDir) vm = open_vm(store, uuid, false, &why);
    g_autoptr(VsmDir) dir = vm ? vsm_dir_open_at(vm, id, false, &why) : NULL;

    if (!dir) {
        if (g_error_matches(why, VSM_ERROR, VSM_ERROR_NOT_FOUND)) {
            return true;
        }
        g_propagate_error(error, g_steal_pointer(&why));
        return false;
    }
    if ((durably && !vsm_file_remove(dir, "metadata", error)) ||
        !drop_files(dir, error)) {
        return false;
    }
    vsm_files_tell("remove", dir->path);
    if (unlinkat(vm->fd, id, AT_REMOVEDIR) < 0) {
        vsm_file_error(error, errno, dir, NULL, "remove it");
        return false;
    }
    return !durably || vsm_dir_sync(vm, error);
}

bool vsm_folder_drop(const VsmDir *store,
                     const char *uuid,
                     const char *id,
                     GError **error)
{
    return drop(store, uuid, id, true, error);
}

bool vsm_folder_discard(const VsmDir *store,
                        const char *uuid,
                        const char *id,
                        GError **error)
{
    return drop(store, uuid, id, false, error);
}

static VsmNames *
names_of(VsmDir *dir, GError *why, bool (*is)(const char *text), GError **error)
{
    if (!dir && !g_error_matches(why, VSM_ERROR, VSM_ERROR_NOT_FOUND)) {
        g_propagate_error(error, g_error_copy(why));
        return NULL;
    }
    return vsm_names_new(dir, is, error);
}

VsmNames *vsm_store_uuids(const VsmDir *store, GError **error)
{
    g_autoptr(GError) why = NULL;
    g_autoptr(VsmDir) all = vsm_dir_open_at(store, "vm", false, &why);

    return names_of(all, why, vsm_text_is_uuid, error);
}

VsmNames *vsm_store_ids(const VsmDir *store, const char *uuid, GError **error)
{
    g_autoptr(GError) why = NULL;
    g_autoptr(VsmDir) vm = open_vm(store, uuid, false, &why);

    return names_of(vm, why, vsm_text_is_id, error);
}

bool vsm_store_usage(const VsmDir *store,
                     const char *uuid,
                     guint64 *ret_bytes,
                     GError **error)
{
    g_autoptr(VsmNames) ids = vsm_store_ids(store, uuid, error);
    guint64 sum = 0;
    const char *id;

    if (!ids) {
        return false;
    }
    while ((id = vsm_names_next(ids))) {
        g_autoptr(VsmFolder) folder = vsm_folder_open(store, uuid, id, error);
        guint64 bytes;

        if (!folder || !vsm_dir_bytes(folder->dir, &bytes, error)) {
            return false;
        }
        sum += bytes;
    }
    if (!vsm_names_end(ids, error)) {
        return false;
    }
    *ret_bytes = sum;
    return true;
}
