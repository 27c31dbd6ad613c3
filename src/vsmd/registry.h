/*
 * Which VM a process is: what root registered.
 *
 * A process is registered by number and start time, held by a pidfd; a domain
 * of libvirt by its name, which its control group shows.  Kept in a file, so
 * that a restarted daemon knows the VMs that run.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

typedef struct VsmRegistry VsmRegistry;

/* @uuid owned by the list.  @pid 0: a domain; @domain NULL: a process. */
typedef struct {
    char *uuid, *domain;
    pid_t pid;
    guint64 start; /* of the process, clock ticks after boot */
    int pidfd;
} VsmRegistered;

/**
 * vsm_registry_open:
 * @path: its file; NULL: kept in memory alone
 *
 * Processes of an earlier boot, or that ended, are left out.
 * Errors: FORMAT, STORE.
 */
VsmRegistry *vsm_registry_open(const char *path, GError **error);
void vsm_registry_free(VsmRegistry *registry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmRegistry, vsm_registry_free)

/*
 * All: any thread.  A uuid has one entry: a new one replaces one whose process
 * ended or whose domain is the same; BUSY otherwise.  INVALID: no uuid, a name
 * that is not plain, or a name of another VM; NOT_FOUND: no such process.
 */
bool vsm_registry_add_process(VsmRegistry *registry,
                              const char *uuid,
                              pid_t pid,
                              GError **error);
bool vsm_registry_add_domain(VsmRegistry *registry,
                             const char *uuid,
                             const char *domain,
                             GError **error);

/* NOT_FOUND.  A connection that is open is the server's to end. */
bool vsm_registry_remove(VsmRegistry *registry,
                         const char *uuid,
                         GError **error);

/* The VM's uuid; transfer full; NULL: not registered. */
char *
vsm_registry_find_process(VsmRegistry *registry, pid_t pid, guint64 start);
char *vsm_registry_find_domain(VsmRegistry *registry, const char *domain);

/* Of VsmRegistered, copies; transfer full. */
GPtrArray *vsm_registry_list(VsmRegistry *registry);
