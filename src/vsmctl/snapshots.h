/*
 * The VM's snapshots and disks, as subcommands need them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "vsmctl/qmp.h"

/**
 * snapshots_find:
 * @asked: "tag:NAME", "id:HEX", or a bare word: a tag, else an id
 * @ret: (out) (transfer full): entry of query-vsm-snapshots
 *
 * Errors: VSM_ERROR_NOT_FOUND; VSM_ERROR_INVALID for a bare word that is the
 * tag of one snapshot and the id of another.
 */
bool snapshots_find(Qmp *qmp, const char *asked, json_t **ret, GError **error);

/**
 * snapshots_disks:
 * @ret_devices: (out) (transfer full): node names of all writable disks
 * @ret_vmstate: (out) (transfer full): the one that holds a stream: the first
 *               qcow2 image among them
 *
 * Errors: VSM_ERROR_NOT_FOUND when there is none.
 */
bool snapshots_disks(Qmp *qmp,
                     json_t **ret_devices,
                     char **ret_vmstate,
                     GError **error);
