/*
 * Files below a directory that others may write to: opened one component at a
 * time, links never followed, replaced durably.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <vsm/error.h>

/* An open directory, with the path that messages name it by. */
typedef struct {
    int fd;
    char *path;
} VsmDir;

/*
 * Told before each step whose order matters after a crash: "write", "sync",
 * "rename", "remove", "make", and "extend" by the commit.  Tests end the
 * process in it; NULL otherwise.
 */
extern void (*vsm_files_step)(const char *what, const char *path);
void vsm_files_tell(const char *what, const char *path);

/**
 * vsm_dir_open:
 * @path: its last component must be no link
 * @make: make it (0700) when absent; its parent must exist
 *
 * Refuses a directory of another user, or one that group or others may write.
 * Errors: STORE, NOT_FOUND, NO_SPACE.  Returns: (transfer full)
 */
VsmDir *vsm_dir_open(const char *path, bool make, GError **error);

/* The same for @name, one path component, below @parent. */
VsmDir *vsm_dir_open_at(const VsmDir *parent,
                        const char *name,
                        bool make,
                        GError **error);
void vsm_dir_free(VsmDir *dir);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmDir, vsm_dir_free)

/*
 * Names in a directory, in no order and without a limit: whoever can make many
 * must not keep others from seeing theirs.
 */
typedef struct _VsmNames VsmNames;

/* @dir NULL: there are none.  @is: which names count; NULL: all. */
VsmNames *
vsm_names_new(const VsmDir *dir, bool (*is)(const char *name), GError **error);

/*
 * Borrowed, until the next call; NULL: the end, or an error.  One that was
 * given may be removed; one that is made meanwhile is given, or not.
 */
const char *vsm_names_next(VsmNames *names);

/* false: the NULL before was an error. */
bool vsm_names_end(const VsmNames *names, GError **error);
void vsm_names_free(VsmNames *names);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmNames, vsm_names_free)

/* Makes what was created, renamed or removed in @dir durable. */
bool vsm_dir_sync(const VsmDir *dir, GError **error);

/* Bytes that this process may still write below @dir. */
bool vsm_dir_space(const VsmDir *dir, guint64 *ret_bytes, GError **error);

/* Sum of the file lengths in @dir itself, without its directories. */
bool vsm_dir_bytes(const VsmDir *dir, guint64 *ret_bytes, GError **error);

/**
 * vsm_dir_lock:
 * @ret_fd: held until closed, or until this process ends
 *
 * Errors: BUSY names the holder's pid.
 */
bool vsm_dir_lock(const VsmDir *dir,
                  const char *name,
                  int *ret_fd,
                  GError **error);

/**
 * vsm_file_read:
 * @max_bytes: a longer file is refused with LIMIT
 *
 * Errors: NOT_FOUND when absent; STORE when no regular file or unreadable.
 */
bool vsm_file_read(const VsmDir *dir,
                   const char *name,
                   gsize max_bytes,
                   GBytes **ret,
                   GError **error);

/* After a crash there is the old content or the new one, whole. */
bool vsm_file_replace(const VsmDir *dir,
                      const char *name,
                      GBytes *bytes,
                      GError **error);

/* Renames within @dir, durably. */
bool vsm_file_rename(const VsmDir *dir,
                     const char *from,
                     const char *to,
                     GError **error);

/* Removes durably; one that is absent is no error. */
bool vsm_file_remove(const VsmDir *dir, const char *name, GError **error);

/**
 * vsm_file_open:
 * @flags: O_RDONLY, or O_RDWR | O_CREAT | O_EXCL
 *
 * Returns: a descriptor of a regular file, mode 0600 when made; or -1
 */
int vsm_file_open(const VsmDir *dir,
                  const char *name,
                  int flags,
                  GError **error);

bool vsm_file_write_at(int fd,
                       const VsmDir *dir,
                       const char *name,
                       guint64 offset,
                       GBytes *bytes,
                       GError **error);

/* Exactly @bytes bytes; STORE when the file is shorter. */
bool vsm_file_read_at(int fd,
                      const VsmDir *dir,
                      const char *name,
                      guint64 offset,
                      gsize bytes,
                      GBytes **ret,
                      GError **error);
bool vsm_file_sync(int fd, const VsmDir *dir, const char *name, GError **error);

/* Sets @error from errno: NO_SPACE, NOT_FOUND or STORE. */
void vsm_file_error(GError **error,
                    int number,
                    const VsmDir *dir,
                    const char *name,
                    const char *did);
