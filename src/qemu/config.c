/*
 * The VM's configuration as canonical text
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/boards.h"
#include "hw/core/cpu.h"
#include "qapi/error.h"
#include "qapi/qapi-types-machine.h"
#include "qemu/accel.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "qom/qom-qobject.h"
#include "system/hostmem.h"
#include "system/numa.h"
#include "config.h"

#define CONFIG_VERSION 1 /* of the text's form */

char *vsm_config_value(const char *text)
{
    GString *value = g_string_new(NULL);

    for (const uint8_t *at = (const uint8_t *)text; *at; at++) {
        if (*at > ' ' && *at < 0x7f && *at != '%') {
            g_string_append_c(value, *at);
        } else {
            g_string_append_printf(value, "%%%02x", *at);
        }
    }
    return g_string_free(value, false);
}

void vsm_config_line(GPtrArray *lines, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    g_ptr_array_add(lines, g_strdup_vprintf(fmt, ap));
    va_end(ap);
}

static void add_machine(GPtrArray *lines, MachineState *ms)
{
    const CpuTopology *smp = &ms->smp;
    CPUState *cpu;
    unsigned present = 0;

    vsm_config_line(lines, "machine %s", MACHINE_GET_CLASS(ms)->name);
    vsm_config_line(lines, "accelerator %s",
                    object_get_typename(OBJECT(ms->accelerator)));
    CPU_FOREACH(cpu)
    {
        present++;
    }
    vsm_config_line(lines,
                    "vcpus present=%u max=%u sockets=%u dies=%u "
                    "cores=%u threads=%u",
                    present, smp->max_cpus, smp->sockets, smp->dies, smp->cores,
                    smp->threads);
    vsm_config_line(
        lines, "ram bytes=%" PRIu64 " max=%" PRIu64 " slots=%" PRIu64,
        (uint64_t)ms->ram_size, (uint64_t)ms->maxram_size, ms->ram_slots);
}

/* The words of CPUID that the guest sees, whatever -cpu said.  */
static void add_cpu_features(GPtrArray *lines, Object *cpu)
{
    QObject *words = object_property_get_qobject(cpu, "feature-words", NULL);
    QList *list = qobject_to(QList, words);
    const QListEntry *entry;

    if (!list) {
        qobject_unref(words);
        return;
    }
    QLIST_FOREACH_ENTRY(list, entry)
    {
        QDict *word = qobject_to(QDict, qlist_entry_obj(entry));

        vsm_config_line(lines,
                        "cpuid leaf=0x%08" PRIx64 " subleaf=%" PRId64
                        " %s=0x%08" PRIx64,
                        qdict_get_int(word, "cpuid-input-eax"),
                        qdict_get_try_int(word, "cpuid-input-ecx", 0),
                        qdict_get_str(word, "cpuid-register"),
                        qdict_get_int(word, "features"));
    }
    qobject_unref(words);
}

static void add_cpu(GPtrArray *lines)
{
    static const char *const numbers[] = {"family", "model",  "stepping",
                                          "level",  "xlevel", "phys-bits"};
    static const char *const texts[] = {"vendor", "model-id"};
    Object *cpu = OBJECT(first_cpu);

    if (!first_cpu) {
        return;
    }
    vsm_config_line(lines, "cpu %s", object_get_typename(cpu));
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        if (object_property_find(cpu, numbers[i])) {
            vsm_config_line(lines, "cpu %s=%" PRId64, numbers[i],
                            object_property_get_int(cpu, numbers[i], NULL));
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        g_autofree char *text = NULL, *value = NULL;

        if (object_property_find(cpu, texts[i])) {
            text = object_property_get_str(cpu, texts[i], NULL);
            value = vsm_config_value(text ?: "");
            vsm_config_line(lines, "cpu %s=%s", texts[i], value);
        }
    }
    add_cpu_features(lines, cpu);
}

static void add_numa(GPtrArray *lines, MachineState *ms)
{
    NumaState *numa = ms->numa_state;

    for (int i = 0; numa && i < numa->num_nodes; i++) {
        vsm_config_line(lines, "numa node=%d bytes=%" PRIu64, i,
                        numa->nodes[i].node_mem);
        for (int j = 0; numa->have_numa_distance && j < numa->num_nodes; j++) {
            vsm_config_line(lines, "numa node=%d to=%d distance=%u", i, j,
                            numa->nodes[i].distance[j]);
        }
    }
    for (int i = 0; numa && ms->possible_cpus && i < ms->possible_cpus->len;
         i++) {
        const CpuInstanceProperties *props = &ms->possible_cpus->cpus[i].props;

        if (numa->num_nodes && props->has_node_id) {
            vsm_config_line(lines, "numa vcpu=%d node=%" PRId64, i,
                            props->node_id);
        }
    }
}

static int add_ram_backend(Object *obj, void *opaque)
{
    HostMemoryBackend *backend =
        (HostMemoryBackend *)object_dynamic_cast(obj, TYPE_MEMORY_BACKEND);

    if (backend) {
        vsm_config_line(opaque, "ram-backend %s bytes=%" PRIu64 " share=%s",
                        object_get_typename(obj), (uint64_t)backend->size,
                        backend->share ? "on" : "off");
    }
    return 0;
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void append_lines(GString *text, GPtrArray *lines)
{
    for (guint i = 0; i < lines->len; i++) {
        g_string_append(text, g_ptr_array_index(lines, i));
        g_string_append_c(text, '\n');
    }
}

bool vsm_config_has_machine(void)
{
    return current_machine &&
           strcmp(MACHINE_GET_CLASS(current_machine)->name, "none");
}

char *vsm_config_text(const char *boot_files)
{
    g_autoptr(GPtrArray) fixed = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) sorted = g_ptr_array_new_with_free_func(g_free);
    MachineState *ms = current_machine;
    GString *text;

    if (!vsm_config_has_machine()) {
        return NULL;
    }
    add_machine(fixed, ms);
    add_cpu(fixed);
    add_numa(fixed, ms);

    object_child_foreach(object_get_objects_root(), add_ram_backend, sorted);
    vsm_config_devices(sorted);
    g_ptr_array_sort(sorted, compare_lines);

    text = g_string_new(NULL);
    g_string_append_printf(text, "vsm-config %d\n", CONFIG_VERSION);
    append_lines(text, fixed);
    append_lines(text, sorted);
    g_string_append(text, boot_files ?: "");
    return g_string_free(text, false);
}
