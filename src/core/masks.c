/*
 * The one table of section bytes that are not compared, each with its reason.
 *
 * A row says where in the payload of a QEMU 10.0 vmstate section bytes lie that
 * change while the VM is stopped, though the VM's state does not.  Fewer is
 * better: what is masked here is not attested.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "core/masks.h"

#include <string.h>
#include <vsm/error.h>

#include "base/limits.h"

/*
 * A field at a fixed place.  @name: last component of the idstr; @version: of
 * the section; @until: the last version of this table that has the row, 0: it
 * has it still; @since: the first.
 */
typedef struct {
    const char *name;
    guint8 kind;
    guint32 version, offset, bytes;
    guint8 reason;
    const char *why;
    guint16 since, until;
} FieldRow;

/* Rows of one section stand together and ascend. */
static const FieldRow field_rows[] = {
    {"globalstate", VSM_SECTION_DEVICE, 1, 0, 36, VSM_MASK_RUN_STATE,
     "QEMU's run state when it was last stored; no device state", 1, 0},
    {"mc146818rtc", VSM_SECTION_DEVICE, 3, 0, 1, VSM_MASK_HOST_CLOCK, "seconds",
     1, 0},
    {"mc146818rtc", VSM_SECTION_DEVICE, 3, 2, 1, VSM_MASK_HOST_CLOCK, "minutes",
     1, 0},
    {"mc146818rtc", VSM_SECTION_DEVICE, 3, 4, 1, VSM_MASK_HOST_CLOCK, "hours",
     1, 0},
    {"mc146818rtc", VSM_SECTION_DEVICE, 3, 6, 4, VSM_MASK_HOST_CLOCK,
     "day of week, day, month, year", 1, 0},
    {"mc146818rtc", VSM_SECTION_DEVICE, 3, 12, 1, VSM_MASK_HOST_CLOCK,
     "register C: interrupt flags of the timers that keep firing", 1, 0},
    {"mc146818rtc", VSM_SECTION_DEVICE, 3, 50, 1, VSM_MASK_HOST_CLOCK,
     "century", 1, 0},
    {"mc146818rtc", VSM_SECTION_DEVICE, 3, 157, 16, VSM_MASK_HOST_CLOCK,
     "periodic timer and its next time", 1, 0},
    {"mc146818rtc", VSM_SECTION_DEVICE, 3, 205, 40, VSM_MASK_HOST_CLOCK,
     "base time, last update, offset, update timer, next alarm", 1, 0},
};

/* A place that follows from the payload. */
typedef struct {
    const char *name;
    guint8 kind;
    guint32 version;
    guint8 reason;
    bool (*find)(const guint8 *payload, gsize bytes, VsmMask *ret);
    guint32 before, behind; /* bytes of the payload that are never masked */
    const char *why;
    guint16 since, until;
} FoundRow;

static guint32 get_be32(const guint8 *p)
{
    return (guint32)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

/*
 * tpm-emulator: three times {u32 flags, u32 size, bytes}: permanent, volatile,
 * savestate.  The second holds swtpm's clock, and all PCRs and sessions.
 */
static bool find_tpm_volatile(const guint8 *payload, gsize bytes, VsmMask *ret)
{
    gsize at = 8;

    if (bytes < at || get_be32(payload + 4) > bytes - at) {
        return false;
    }
    at += get_be32(payload + 4);
    if (bytes - at < 8 || get_be32(payload + at + 4) > bytes - at - 8 ||
        get_be32(payload + at + 4) == 0) {
        return false;
    }
    ret->offset = at + 8;
    ret->bytes = get_be32(payload + at + 4);
    return true;
}

static const FoundRow found_rows[] = {
    {"tpm-emulator", VSM_SECTION_DEVICE, 0, VSM_MASK_EXTERNAL,
     find_tpm_volatile, 16, 8,
     "swtpm's volatile state holds its clock: differs at each capture", 1, 0},
};

/* Sections that re-derive timers in their post_load; stable afterwards. */
static const struct {
    const char *name;
    guint8 kind;
} accept_rows[] = {
    {"e1000e", VSM_SECTION_DEVICE},
    {"xhci", VSM_SECTION_DEVICE},
};

static const char *last_component(const char *idstr)
{
    const char *slash = strrchr(idstr, '/');

    return slash ? slash + 1 : idstr;
}

static bool is_row(const char *name,
                   guint8 kind,
                   guint32 version,
                   const VsmSection *section)
{
    return kind == section->kind && version == section->version &&
           strcmp(name, last_component(section->idstr)) == 0;
}

static bool in_version(guint16 since, guint16 until, guint16 version)
{
    return since <= version && (until == 0 || version <= until);
}

static void add_fields(GArray *masks,
                       guint16 version,
                       const VsmSection *section,
                       guint64 bytes)
{
    for (guint i = 0; i < G_N_ELEMENTS(field_rows); i++) {
        const FieldRow *row = &field_rows[i];
        VsmMask mask = {row->offset, row->bytes, row->reason};

        if (in_version(row->since, row->until, version) &&
            is_row(row->name, row->kind, row->version, section) &&
            row->bytes <= bytes && row->offset <= bytes - row->bytes) {
            g_array_append_val(masks, mask);
        }
    }
}

static const FoundRow *find_found_row(guint16 version,
                                      const VsmSection *section)
{
    for (guint i = 0; i < G_N_ELEMENTS(found_rows); i++) {
        const FoundRow *row = &found_rows[i];

        if (in_version(row->since, row->until, version) &&
            is_row(row->name, row->kind, row->version, section)) {
            return row;
        }
    }
    return NULL;
}

GArray *vsm_masks_derive(guint16 version,
                         const VsmSection *section,
                         const guint8 *payload,
                         gsize bytes)
{
    GArray *masks = g_array_new(FALSE, TRUE, sizeof(VsmMask));
    const FoundRow *row = find_found_row(version, section);
    VsmMask mask = {0};

    add_fields(masks, version, section, bytes);
    if (row && row->find(payload, bytes, &mask)) {
        mask.reason = row->reason;
        g_array_append_val(masks, mask);
    }
    return masks;
}

static bool mask_equal(const VsmMask *a, const VsmMask *b)
{
    return a->offset == b->offset && a->bytes == b->bytes &&
           a->reason == b->reason;
}

/* A mask whose place follows from a payload that is not at hand. */
static bool
may_be_found(const FoundRow *row, const VsmMask *mask, guint64 bytes)
{
    guint64 end = (guint64)mask->offset + mask->bytes;

    return mask->reason == row->reason && mask->bytes > 0 &&
           mask->offset >= row->before && end + row->behind <= bytes;
}

static bool is_allowed(guint16 version,
                       const VsmSection *section,
                       guint64 bytes,
                       const VsmMask *masks,
                       guint n_masks)
{
    g_autoptr(GArray) fields = g_array_new(FALSE, TRUE, sizeof(VsmMask));
    const FoundRow *row = find_found_row(version, section);

    add_fields(fields, version, section, bytes);
    if (row && n_masks == fields->len + 1) {
        n_masks--;
        if (!may_be_found(row, &masks[n_masks], bytes)) {
            return false;
        }
    }
    if (n_masks != fields->len) {
        return false;
    }
    for (guint i = 0; i < n_masks; i++) {
        if (!mask_equal(&masks[i], &g_array_index(fields, VsmMask, i))) {
            return false;
        }
    }
    return true;
}

bool vsm_masks_check_version(guint16 version, GError **error)
{
    if (version >= 1 && version <= VSM_MASKS_VERSION) {
        return true;
    }
    g_set_error(error, VSM_ERROR, VSM_ERROR_POLICY,
                "masked by version %u of VSM's table, this VSM knows 1 to %u: "
                "use the VSM that sealed it",
                version, VSM_MASKS_VERSION);
    return false;
}

bool vsm_masks_check(guint16 version,
                     const VsmSection *section,
                     guint64 bytes,
                     const VsmMask *masks,
                     guint n_masks,
                     GError **error)
{
    if (!is_allowed(version, section, bytes, masks, n_masks)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_POLICY,
                    "section '%s/%u' version %u: its masks are not those of "
                    "this VSM's table: use the VSM that sealed it",
                    section->idstr, section->instance, section->version);
        return false;
    }
    return true;
}

const char *vsm_mask_reason_name(guint8 reason)
{
    switch (reason) {
    case VSM_MASK_HOST_CLOCK:
        return "host-clock";
    case VSM_MASK_RUN_STATE:
        return "run-state";
    case VSM_MASK_EXTERNAL:
        return "external";
    default:
        return "unknown";
    }
}

char *vsm_mask_text(const VsmSection *section, const VsmMask *mask)
{
    return g_strdup_printf("%s/%u v%u +%u:%u %s", section->idstr,
                           section->instance, section->version, mask->offset,
                           mask->bytes, vsm_mask_reason_name(mask->reason));
}

static bool table_has(const char *name,
                      guint32 version,
                      const VsmMask *mask,
                      const char *reason)
{
    for (guint i = 0; i < G_N_ELEMENTS(field_rows); i++) {
        const FieldRow *row = &field_rows[i];

        if (strcmp(row->name, name) == 0 && row->version == version &&
            row->offset == mask->offset && row->bytes == mask->bytes &&
            strcmp(vsm_mask_reason_name(row->reason), reason) == 0) {
            return true;
        }
    }
    for (guint i = 0; i < G_N_ELEMENTS(found_rows); i++) {
        const FoundRow *row = &found_rows[i];

        /* Its place follows from a payload that is not at hand. */
        if (strcmp(row->name, name) == 0 && row->version == version &&
            strcmp(vsm_mask_reason_name(row->reason), reason) == 0 &&
            mask->bytes > 0 && mask->offset >= row->before &&
            (guint64)mask->offset + mask->bytes + row->behind <=
                VSM_SECTION_BYTES_MAX) {
            return true;
        }
    }
    return false;
}

/* Cuts "IDSTR/INSTANCE" in place; NULL unless the instance is a number. */
static const char *cut_section_name(char *text)
{
    char *slash = strrchr(text, '/');

    if (!slash || slash == text ||
        !g_ascii_string_to_unsigned(slash + 1, 10, 0, G_MAXUINT32, NULL,
                                    NULL)) {
        return NULL;
    }
    *slash = '\0';
    return last_component(text);
}

/* @prefix and a decimal number; goes on behind them. */
static bool skip_number(const char **text, const char *prefix, guint32 *ret)
{
    const char *p = *text;
    guint64 value = 0;

    if (!g_str_has_prefix(p, prefix)) {
        return false;
    }
    p += strlen(prefix);
    if (!g_ascii_isdigit(*p)) {
        return false;
    }
    for (; g_ascii_isdigit(*p); p++) {
        value = value * 10 + g_ascii_digit_value(*p);
        if (value > G_MAXUINT32) {
            return false;
        }
    }
    *text = p;
    *ret = value;
    return true;
}

bool vsm_masks_names_field(const char *text)
{
    g_autofree char *copy = NULL;
    char *place;
    const char *name, *rest;
    guint32 version;
    VsmMask mask = {0};

    if (!text || strlen(text) > VSM_IDSTR_BYTES_MAX + 100) {
        return false;
    }
    copy = g_strdup(text);
    place = g_strrstr(copy, " v");
    rest = place;
    if (!place || !skip_number(&rest, " v", &version) ||
        !skip_number(&rest, " +", &mask.offset) ||
        !skip_number(&rest, ":", &mask.bytes) || *rest != ' ') {
        return false;
    }
    *place = '\0';
    name = cut_section_name(copy);
    return name && table_has(name, version, &mask, rest + 1);
}

static bool accepts(const char *name)
{
    for (guint i = 0; i < G_N_ELEMENTS(accept_rows); i++) {
        if (strcmp(accept_rows[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

bool vsm_masks_may_accept(const VsmSection *section)
{
    return section->kind == VSM_SECTION_DEVICE &&
           accepts(last_component(section->idstr));
}

bool vsm_masks_names_accepted(const char *text)
{
    g_autofree char *copy = NULL;
    const char *name;

    if (!text || strlen(text) > VSM_IDSTR_BYTES_MAX + 100) {
        return false;
    }
    copy = g_strdup(text);
    name = cut_section_name(copy);
    return name && accepts(name);
}

char *vsm_section_name(const char *idstr, guint32 instance)
{
    return g_strdup_printf("%s/%u", idstr, instance);
}
