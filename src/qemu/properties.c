/*
 * QOM properties of the snapshot manager
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "properties.h"

#define BOOT_PCR_MAX 22 /* 23 is VSM's own */

bool vsm_pcrs_parse(const char *text, uint32_t *ret_mask, Error **errp)
{
    g_auto(GStrv) items = g_strsplit(text, ",", -1);
    uint32_t mask = 0;

    for (char **item = items; *item; item++) {
        unsigned first, last;
        int end = 0;

        if (sscanf(*item, "%2u-%2u%n", &first, &last, &end) != 2 ||
            (*item)[end]) {
            if (sscanf(*item, "%2u%n", &first, &end) != 1 || (*item)[end]) {
                last = BOOT_PCR_MAX + 1;
            } else {
                last = first;
            }
        }
        if (last > BOOT_PCR_MAX || first > last) {
            error_setg(errp,
                       "'pcrs' must be numbers and ranges of 0 to %d, "
                       "such as 0-7,11",
                       BOOT_PCR_MAX);
            return false;
        }
        mask |= MAKE_64BIT_MASK(first, last - first + 1);
    }
    *ret_mask = mask;
    return true;
}

/* All properties are fixed once the object is complete.  */
static bool may_change(VsmManager *m, const char *name, Error **errp)
{
    if (m->completed) {
        error_setg(errp, "'%s' cannot be changed after creation", name);
    }
    return !m->completed;
}

#define STRING_PROPERTY(field, name)                                           \
    static char *get_##field(Object *obj, Error **errp)                        \
    {                                                                          \
        return g_strdup(VSM_MANAGER(obj)->field);                              \
    }                                                                          \
    static void set_##field(Object *obj, const char *value, Error **errp)      \
    {                                                                          \
        VsmManager *m = VSM_MANAGER(obj);                                      \
                                                                               \
        if (may_change(m, name, errp)) {                                       \
            g_free(m->field);                                                  \
            m->field = g_strdup(value);                                        \
        }                                                                      \
    }

#define BOOL_PROPERTY(field, name)                                             \
    static bool get_##field(Object *obj, Error **errp)                         \
    {                                                                          \
        return VSM_MANAGER(obj)->field;                                        \
    }                                                                          \
    static void set_##field(Object *obj, bool value, Error **errp)             \
    {                                                                          \
        VsmManager *m = VSM_MANAGER(obj);                                      \
                                                                               \
        if (may_change(m, name, errp)) {                                       \
            m->field = value;                                                  \
        }                                                                      \
    }

STRING_PROPERTY(attester_address, "attester")
STRING_PROPERTY(tcti, "tcti")
STRING_PROPERTY(state_dir, "state-dir")
STRING_PROPERTY(secret, "secret")
STRING_PROPERTY(operator_key, "operator-key")
STRING_PROPERTY(pcrs, "pcrs")
STRING_PROPERTY(watch_snapshot, "watch-snapshot")
BOOL_PROPERTY(require_sealed, "require-sealed")
BOOL_PROPERTY(allow_unmeasured_boot, "allow-unmeasured-boot")

static void get_number(
    Object *obj, Visitor *v, const char *name, void *opaque, Error **errp)
{
    uint32_t *field = (uint32_t *)((char *)obj + (uintptr_t)opaque);

    visit_type_uint32(v, name, field, errp);
}

static void set_number(
    Object *obj, Visitor *v, const char *name, void *opaque, Error **errp)
{
    uint32_t *field = (uint32_t *)((char *)obj + (uintptr_t)opaque);
    uint32_t value;

    if (may_change(VSM_MANAGER(obj), name, errp) &&
        visit_type_uint32(v, name, &value, errp)) {
        *field = value;
    }
}

static int get_on_mismatch(Object *obj, Error **errp)
{
    return VSM_MANAGER(obj)->on_mismatch;
}

static void set_on_mismatch(Object *obj, int value, Error **errp)
{
    VsmManager *m = VSM_MANAGER(obj);

    if (may_change(m, "on-mismatch", errp)) {
        m->on_mismatch = value;
    }
}

static int get_hash(Object *obj, Error **errp)
{
    return VSM_MANAGER(obj)->hash;
}

static void set_hash(Object *obj, int value, Error **errp)
{
    VsmManager *m = VSM_MANAGER(obj);

    if (may_change(m, "hash", errp)) {
        m->hash = value;
    }
}

void vsm_properties_add(ObjectClass *oc)
{
    object_class_property_add_str(oc, "attester", get_attester_address,
                                  set_attester_address);
    object_class_property_add_str(oc, "tcti", get_tcti, set_tcti);
    object_class_property_add_str(oc, "state-dir", get_state_dir,
                                  set_state_dir);
    object_class_property_add_str(oc, "secret", get_secret, set_secret);
    object_class_property_add_str(oc, "operator-key", get_operator_key,
                                  set_operator_key);
    object_class_property_add_str(oc, "pcrs", get_pcrs, set_pcrs);
    object_class_property_add_bool(oc, "require-sealed", get_require_sealed,
                                   set_require_sealed);
    object_class_property_add_bool(oc, "allow-unmeasured-boot",
                                   get_allow_unmeasured_boot,
                                   set_allow_unmeasured_boot);
    object_class_property_add_str(oc, "watch-snapshot", get_watch_snapshot,
                                  set_watch_snapshot);
    object_class_property_add(oc, "watch", "uint32", get_number, set_number,
                              NULL, (void *)offsetof(VsmManager, watch_s));
    object_class_property_add(oc, "pause-percent", "uint32", get_number,
                              set_number, NULL,
                              (void *)offsetof(VsmManager, pause_percent));
    object_class_property_add(oc, "nv-burst", "uint32", get_number, set_number,
                              NULL, (void *)offsetof(VsmManager, nv_burst));
    object_class_property_add(oc, "nv-interval-ms", "uint32", get_number,
                              set_number, NULL,
                              (void *)offsetof(VsmManager, nv_interval_ms));
    object_class_property_add(oc, "request-ms", "uint32", get_number,
                              set_number, NULL,
                              (void *)offsetof(VsmManager, request_ms));
    object_class_property_add(oc, "hash-threads", "uint32", get_number,
                              set_number, NULL,
                              (void *)offsetof(VsmManager, hash_threads));
    object_class_property_add_enum(oc, "hash", "VsmHash", &VsmHash_lookup,
                                   get_hash, set_hash);
    object_class_property_add_enum(oc, "on-mismatch", "VsmMismatchAction",
                                   &VsmMismatchAction_lookup, get_on_mismatch,
                                   set_on_mismatch);
}
