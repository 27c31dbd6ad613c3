/*
 * Keeps the loaded transport libraries mapped.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tpm/pin.h"

#include <dlfcn.h>
#include <glib.h>
#include <link.h>
#include <string.h>

static int note_transport(struct dl_phdr_info *info, size_t size, void *names)
{
    (void)size;
    if (strstr(info->dlpi_name, "libtss2-tcti-")) {
        g_ptr_array_add(names, g_strdup(info->dlpi_name));
    }
    return 0;
}

void vsm_tpm_pin_transports(void)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);

    /* Not from the callback: it runs under the loader's lock. */
    dl_iterate_phdr(note_transport, names);
    for (guint i = 0; i < names->len; i++) {
        void *handle = dlopen(g_ptr_array_index(names, i),
                              RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);

        if (handle) {
            dlclose(handle);
        }
    }
}
