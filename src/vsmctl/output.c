/*
 * What vsmctl prints.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmctl/output.h"

#include <stdio.h>
#include <string.h>

#include "vsmctl/vsmctl.h"

/* Width of the labels' column; "configuration" is the longest. */
#define LABEL_WIDTH 16

static bool steers(gunichar c)
{
    return g_unichar_iscntrl(c) || c == 0x2028 || c == 0x2029 || c == 0x061c ||
           (c >= 0x200e && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

char *vsmctl_escape(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text ? text : "", -1);
    GString *out = g_string_new(NULL);

    for (const char *p = valid; *p; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);

        if (!steers(c)) {
            g_string_append_unichar(out, c);
        } else if (c < 0x100) {
            g_string_append_printf(out, "\\x%02x", c);
        } else {
            g_string_append_printf(out, "\\u{%04x}", c);
        }
    }
    return g_string_free(out, FALSE);
}

void vsmctl_print_field(const char *label, const char *value)
{
    if (value) {
        g_autofree char *safe = vsmctl_escape(value);

        printf("%-*s %s\n", LABEL_WIDTH, label, safe);
    }
}

void vsmctl_print_member(const char *label,
                         const json_t *object,
                         const char *name)
{
    vsmctl_print_field(label, json_string_value(json_object_get(object, name)));
}

static void print_json(FILE *file, const json_t *value)
{
    char *text = json_dumps(value, JSON_INDENT(2) | JSON_SORT_KEYS |
                                       JSON_ENSURE_ASCII | JSON_ENCODE_ANY);

    fprintf(file, "%s\n", text ? text : "null");
    fflush(file);
    free(text);
}

void vsmctl_print_json(const json_t *value)
{
    print_json(stdout, value);
}

void vsmctl_show_before(const json_t *value)
{
    print_json(stderr, value);
}

/* Our own errors have line ends, but what they quote must not steer. */
void vsmctl_print_message(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (guint i = 0; lines[i]; i++) {
        g_autofree char *safe = vsmctl_escape(lines[i]);

        fprintf(stderr, "%s%s\n", i == 0 ? "vsmctl: " : "        ", safe);
    }
}

void vsmctl_print_error(const char *code, const char *text)
{
    if (vsmctl_options.json) {
        g_autofree char *valid = g_utf8_make_valid(text, -1);
        json_auto_t *object =
            json_pack("{s:s, s:s}", "error", code, "message", valid);

        vsmctl_print_json(object);
    }
    vsmctl_print_message(text);
}

char *vsmctl_time(json_int_t seconds)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(seconds);

    return time ? g_date_time_format(time, "%Y-%m-%d %H:%M:%S UTC")
                : g_strdup("?");
}

char *vsmctl_size(json_int_t bytes)
{
    return g_format_size_full(bytes, G_FORMAT_SIZE_IEC_UNITS);
}

const char *vsmctl_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

json_int_t vsmctl_int(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

/* Interrupt controllers and timers alone: the CMOS clock goes on. */
static bool is_host_clock(const json_t *findings)
{
    static const char *const sections[] = {"mc146818rtc/", "i8259/", "apic/",
                                           "ioapic/", "hpet/"};
    size_t i;
    json_t *finding;

    json_array_foreach(findings, i, finding)
    {
        const char *where = vsmctl_text(finding, "where");
        bool known = false;

        for (guint j = 0; j < G_N_ELEMENTS(sections); j++) {
            known |= g_str_has_prefix(where, sections[j]);
        }
        if (!known || strcmp(vsmctl_text(finding, "kind"), "device") != 0) {
            return false;
        }
    }
    return json_array_size(findings) > 0;
}

const char *vsmctl_covers(bool runtime)
{
    return runtime ? "the kernel's code and read-only data, registers, "
                     "firmware; other RAM, processes, disks not covered"
                   : "RAM, vCPUs, devices; disks not covered";
}

/* A finding of the runtime scope, as a claim or as QMP has it. */
static char *runtime_text(const json_t *finding)
{
    GString *text = g_string_new(vsmctl_text(finding, "kind"));
    const json_t *vcpu = json_object_get(finding, "vcpu");
    const char *class = json_object_get(finding, "class") ? "class" : "where";

    g_string_append_printf(text, " %s at %s", vsmctl_text(finding, class),
                           vsmctl_text(finding, "va"));
    if (vcpu) {
        g_string_append_printf(text, ", vCPU %" JSON_INTEGER_FORMAT,
                               json_integer_value(vcpu));
    }
    if (vsmctl_int(finding, "bytes") > 0) {
        g_string_append_printf(text, ", %" JSON_INTEGER_FORMAT " bytes",
                               vsmctl_int(finding, "bytes"));
    }
    if (json_object_get(finding, "measured")) {
        g_string_append_printf(
            text, ": %s, was %s", vsmctl_text(finding, "measured"),
            json_object_get(finding, "sealed") ? vsmctl_text(finding, "sealed")
                                               : "other");
    }
    return g_string_free(text, FALSE);
}

static char *state_text(const json_t *finding)
{
    json_int_t bytes = vsmctl_int(finding, "bytes");
    g_autofree char *range =
        bytes > 0
            ? g_strdup_printf(" at 0x%" G_GINT64_MODIFIER "x"
                              ", %" JSON_INTEGER_FORMAT " bytes",
                              (guint64)vsmctl_int(finding, "offset"), bytes)
            : g_strdup("");

    return g_strdup_printf("%s %s%s", vsmctl_text(finding, "kind"),
                           vsmctl_text(finding, "where"), range);
}

void vsmctl_print_findings(const json_t *object, bool runtime, guint64 left_out)
{
    size_t i;
    json_t *finding;

    json_array_foreach(json_object_get(object, "findings"), i, finding)
    {
        g_autofree char *text =
            runtime ? runtime_text(finding) : state_text(finding);

        vsmctl_print_field(i == 0 ? "differs" : "", text);
    }
    if (left_out > 0) {
        g_autofree char *text =
            g_strdup_printf("%" G_GUINT64_FORMAT " more", left_out);

        vsmctl_print_field("left out", text);
    }
    if (is_host_clock(json_object_get(object, "findings"))) {
        vsmctl_print_field("hint",
                           "so it looks when the guest's CMOS clock interrupts "
                           "a stopped VM: start QEMU with -rtc clock=vm "
                           "(libvirt: <timer name='rtc' track='guest'/>)");
    }
}

void vsmctl_print_list(const char *label,
                       const json_t *object,
                       const char *name)
{
    size_t i;
    json_t *text;

    json_array_foreach(json_object_get(object, name), i, text)
    {
        vsmctl_print_field(i == 0 ? label : "", json_string_value(text));
    }
}

/* "mc146818rtc/0 v3 +0:1 host-clock" → "mc146818rtc/0, host-clock" */
static char *section_and_reason(const json_t *list, size_t i)
{
    const char *mask = json_string_value(json_array_get(list, i));
    const char *reason = strrchr(mask ? mask : "", ' ');
    const char *place = strstr(mask ? mask : "", " v");

    return reason && place && place < reason
               ? g_strdup_printf("%.*s,%s", (int)(place - mask), mask, reason)
               : g_strdup(mask ? mask : "?");
}

void vsmctl_print_masked(const char *label,
                         const json_t *object,
                         const char *name)
{
    const json_t *list = json_object_get(object, name);
    size_t n = json_array_size(list), i = 0;

    while (i < n) {
        size_t first = i;
        g_autofree char *what = section_and_reason(list, i);
        g_autofree char *line = NULL;

        for (i++; i < n; i++) {
            g_autofree char *next = section_and_reason(list, i);

            if (strcmp(what, next) != 0) {
                break;
            }
        }
        line = i - first == 1
                   ? g_strdup(what)
                   : g_strdup_printf("%s, %zu fields", what, i - first);
        vsmctl_print_field(first == 0 ? label : "", line);
    }
}
