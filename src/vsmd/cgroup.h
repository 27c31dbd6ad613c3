/*
 * Which machine of libvirt a process belongs to, by its control group.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/**
 * vsm_cgroup_machine:
 * @text: of /proc/PID/cgroup, of the unified or the hybrid hierarchy
 *
 * Only root and systemd put processes into a scope directly under
 * /machine.slice, so its name is what libvirtd said:
 * machine-qemu\x2dNUMBER\x2dNAME.scope.
 *
 * Returns: (transfer full): NAME; NULL: no such scope, or none that every
 * hierarchy agrees on
 */
char *vsm_cgroup_machine(const char *text);

/*
 * Whether libvirt gives the scope of a domain @name as it is: letters, digits,
 * "-" and "."; it drops others and cuts, so that two domains could share one.
 */
bool vsm_cgroup_name_is_plain(const char *name);
