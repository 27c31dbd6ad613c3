/*
 * What the daemon reads of /proc and of its settings.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <vsm/error.h>
#include "vsmd/cgroup.h"
#include "vsmd/options.h"
#include "vsmd/process.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

/* A name that comes out is one that can be registered. */
static void fuzz_cgroup(const char *text)
{
    g_autofree char *name = vsm_cgroup_machine(text);

    g_assert_true(!name || vsm_cgroup_name_is_plain(name));
}

static void fuzz_stat(const char *text)
{
    guint64 start = 4711;

    g_assert_true(vsm_process_parse_start(text, &start) || start == 4711);
}

static void fuzz_options(const char *text)
{
    g_autoptr(VsmOptions) options = vsm_options_new();
    g_autoptr(GError) error = NULL;

    if (!vsm_options_load(options, text, "fuzz", &error)) {
        g_assert_error(error, VSM_ERROR, VSM_ERROR_INVALID);
    }
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    g_autofree char *text = NULL;

    if (size == 0) {
        return 0;
    }
    text = g_strndup((const char *)data + 1, size - 1);
    switch (data[0] % 3) {
    case 0:
        fuzz_cgroup(text);
        break;
    case 1:
        fuzz_stat(text);
        break;
    default:
        fuzz_options(text);
        break;
    }
    return 0;
}
