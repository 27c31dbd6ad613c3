/*
 * Configuration lines of the VM's devices
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/core/cpu.h"
#include "hw/qdev-core.h"
#include "hw/qdev-properties.h"
#include "monitor/qdev.h"
#include "net/net.h"
#include "qapi/error.h"
#include "qapi/qapi-types-net.h"
#include "system/tpm_backend.h"
#include "config.h"

/*
 * Properties that are the guest's business and no matter of the host's: no
 * node names, paths, ids.
 */
static const char *const seen_by_guest[] = {"mac", "serial", "wwn", "port",
                                            "bootindex"};

static void add_property(GString *line, DeviceState *dev, const char *name)
{
    g_autofree char *text = NULL, *value = NULL;
    ObjectProperty *property = object_property_find(OBJECT(dev), name);

    /* isa-serial's "serial" is a child, no serial number.  */
    if (!property || g_str_has_prefix(property->type, "child<")) {
        return;
    }
    text = object_property_print(OBJECT(dev), name, false, NULL);
    value = vsm_config_value(text ?: "");
    g_string_append_printf(line, " %s=%s", name, value);
}

/* What stands behind a network card: the kind, not its name.  */
static void add_net_backend(GString *line, DeviceState *dev)
{
    g_autofree char *id = NULL;
    NetClientState *nc = NULL;

    if (!object_property_find(OBJECT(dev), "netdev")) {
        return;
    }
    id = object_property_get_str(OBJECT(dev), "netdev", NULL);
    if (id && *id) {
        nc = qemu_find_netdev(id);
    }
    g_string_append_printf(line, " backend=%s",
                           nc ? NetClientDriver_str(nc->info->type) : "none");
}

static void add_tpm_backend(GString *line, DeviceState *dev)
{
    g_autofree char *id = NULL;
    TPMBackend *tpm = NULL;

    if (!object_property_find(OBJECT(dev), "tpmdev")) {
        return;
    }
    id = object_property_get_str(OBJECT(dev), "tpmdev", NULL);
    if (id && *id) {
        tpm = qemu_find_tpm_be(id);
    }
    g_string_append_printf(line, " backend=%s",
                           tpm ? object_get_typename(OBJECT(tpm)) : "none");
}

static char *device_line(DeviceState *dev)
{
    g_autofree char *path = qdev_get_dev_path(dev);
    g_autofree char *address = vsm_config_value(path ?: "");
    GString *line = g_string_new(NULL);

    g_string_append_printf(
        line, "device %s bus=%s address=%s", object_get_typename(OBJECT(dev)),
        dev->parent_bus ? object_get_typename(OBJECT(dev->parent_bus)) : "none",
        address);
    for (size_t i = 0; i < ARRAY_SIZE(seen_by_guest); i++) {
        add_property(line, dev, seen_by_guest[i]);
    }
    add_net_backend(line, dev);
    add_tpm_backend(line, dev);
    if (object_property_find(OBJECT(dev), "drive")) {
        g_autofree char *drive =
            object_property_get_str(OBJECT(dev), "drive", NULL);

        g_string_append_printf(line, " disk=%s",
                               drive && *drive ? "yes" : "no");
    }
    return g_string_free(line, false);
}

static int add_device(Object *obj, void *opaque)
{
    DeviceState *dev = (DeviceState *)object_dynamic_cast(obj, TYPE_DEVICE);

    /* vCPUs have lines of their own.  */
    if (dev && dev->realized && DEVICE_GET_CLASS(dev)->user_creatable &&
        !object_dynamic_cast(obj, TYPE_CPU)) {
        g_ptr_array_add(opaque, device_line(dev));
    }
    return 0;
}

void vsm_config_devices(GPtrArray *lines)
{
    object_child_foreach_recursive(qdev_get_machine(), add_device, lines);
}
