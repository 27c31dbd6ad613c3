/*
 * Configuration lines of what the guest boots from outside its disks
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "crypto/hash.h"
#include "exec/memory.h"
#include "exec/ramblock.h"
#include "exec/ramlist.h"
#include "hw/boards.h"
#include "hw/loader.h"
#include "qapi/error.h"
#include "qemu/config-file.h"
#include "qemu/option.h"
#include "qemu/option_int.h"
#include "qemu/rcu.h"
#include "qemu/units.h"
#include "config.h"

static bool add_digest(GPtrArray *lines,
                       const char *what,
                       const void *data,
                       size_t bytes,
                       Error **errp)
{
    g_autofree char *digest = NULL;

    if (qcrypto_hash_digest(QCRYPTO_HASH_ALGO_SHA384, data, bytes, &digest,
                            errp) < 0) {
        return false;
    }
    vsm_config_line(lines, "%s bytes=%zu sha384=%s", what, bytes, digest);
    return true;
}

static bool
add_file(GPtrArray *lines, const char *what, const char *path, Error **errp)
{
    g_autoptr(GMappedFile) file = NULL;
    g_autoptr(GError) error = NULL;

    file = g_mapped_file_new(path, false, &error);
    if (!file) {
        error_setg(errp, "Cannot read the %s to measure it: %s", what,
                   error->message);
        return false;
    }
    return add_digest(lines, what, g_mapped_file_get_contents(file) ?: "",
                      g_mapped_file_get_length(file), errp);
}

/*
 * A BIOS is copied into RAM by the first reset, which comes after the machine
 * is done; until then its bytes are the loader's.
 */
static const void *bios_bytes(RAMBlock *rb)
{
    uint64_t bytes = qemu_ram_get_used_length(rb);

    return rom_ptr(4 * GiB - bytes, bytes) ?: qemu_ram_get_host_addr(rb);
}

/* Flash 1 holds the guest's variables and changes; flash 0 is code.  */
static bool add_firmware(GPtrArray *lines, Error **errp)
{
    RAMBlock *rb;

    RCU_READ_LOCK_GUARD();
    RAMBLOCK_FOREACH(rb)
    {
        const char *idstr = qemu_ram_get_idstr(rb);
        g_autofree char *what = g_strdup_printf("firmware %s", idstr);
        bool bios = !strcmp(idstr, "pc.bios");

        if ((bios || !strcmp(idstr, "system.flash0")) &&
            !add_digest(lines, what,
                        bios ? bios_bytes(rb) : qemu_ram_get_host_addr(rb),
                        qemu_ram_get_used_length(rb), errp)) {
            return false;
        }
    }
    return true;
}

static bool add_fw_cfg(GPtrArray *lines, Error **errp)
{
    QemuOptsList *list = qemu_find_opts("fw_cfg");
    QemuOpts *opts;

    QTAILQ_FOREACH(opts, &list->head, next)
    {
        const char *name = qemu_opt_get(opts, "name");
        const char *file = qemu_opt_get(opts, "file");
        const char *string = qemu_opt_get(opts, "string");
        g_autofree char *value = vsm_config_value(name ?: "");
        g_autofree char *what = g_strdup_printf("fw_cfg %s", value);

        if (file) {
            if (!add_file(lines, what, file, errp)) {
                return false;
            }
        } else if (string) {
            if (!add_digest(lines, what, string, strlen(string), errp)) {
                return false;
            }
        } else {
            vsm_config_line(lines, "%s generated", what);
        }
    }
    return true;
}

char *vsm_config_boot_files(Error **errp)
{
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    MachineState *ms = current_machine;
    GString *text;

    if (!ms) {
        return NULL;
    }
    if (!add_firmware(lines, errp) || !add_fw_cfg(lines, errp)) {
        return NULL;
    }
    if (ms->kernel_filename &&
        !add_file(lines, "kernel", ms->kernel_filename, errp)) {
        return NULL;
    }
    if (ms->initrd_filename &&
        !add_file(lines, "initrd", ms->initrd_filename, errp)) {
        return NULL;
    }
    if (ms->kernel_filename && ms->kernel_cmdline &&
        !add_digest(lines, "append", ms->kernel_cmdline,
                    strlen(ms->kernel_cmdline), errp)) {
        return NULL;
    }
    text = g_string_new(NULL);
    for (guint i = 0; i < lines->len; i++) {
        g_string_append(text, g_ptr_array_index(lines, i));
        g_string_append_c(text, '\n');
    }
    return g_string_free(text, false);
}
