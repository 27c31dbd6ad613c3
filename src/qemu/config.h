/*
 * The VM's configuration as canonical text
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_CONFIG_H
#define VSM_CONFIG_H

/* False under -machine none, and before there is a machine.  */
bool vsm_config_has_machine(void);

/**
 * vsm_config_text:
 * @boot_files: from vsm_config_boot_files()
 *
 * What the guest sees of its machine: type, accelerator, vCPUs and their
 * effective CPUID, RAM, NUMA, each device with its address.  One line a fact,
 * sorted where QEMU's order is an accident; ASCII.  Never argv, paths or
 * descriptors: a VM that libvirt starts again has the same text.
 *
 * Returns: (transfer full): NULL without a machine
 */
char *vsm_config_text(const char *boot_files);

/**
 * vsm_config_boot_files:
 *
 * Lines with SHA-384 of firmware, kernel, initrd, command line and the user's
 * fw_cfg files: what they are before the guest runs.
 *
 * Returns: (transfer full): NULL with @errp set
 */
char *vsm_config_boot_files(Error **errp);

/* One more line; control characters and spaces of values are escaped.  */
void vsm_config_line(GPtrArray *lines, const char *fmt, ...)
    G_GNUC_PRINTF(2, 3);

/* A value as it stands in a line; (transfer full).  */
char *vsm_config_value(const char *text);

/* Adds a line for each device that a user can create.  */
void vsm_config_devices(GPtrArray *lines);

#endif /* VSM_CONFIG_H */
