/*
 * Boot states as vsmctl shows and reads them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmctl/states.h"

#include <string.h>
#include <vsm/error.h>

#include "vsmctl/output.h"

#define PCRS 24
#define FILE_BYTES_MAX (64u * 1024)

void state_free(State *state)
{
    if (state) {
        g_free(state->bank);
        g_bytes_unref(state->values);
        g_free(state);
    }
}

void boot_state_free(BootState *boot)
{
    if (boot) {
        g_free(boot->policy);
        g_ptr_array_unref(boot->approved);
        state_free(boot->current);
        g_free(boot);
    }
}

static gsize bank_bytes(const char *bank)
{
    return strcmp(bank, "sha384") == 0   ? 48
           : strcmp(bank, "sha256") == 0 ? 32
                                         : 0;
}

static State *
state_new(gint64 time, const char *bank, guint32 mask, GVariant *ay)
{
    State *state = g_new0(State, 1);

    state->time = time;
    state->bank = g_strdup(bank);
    state->mask = mask;
    state->values = g_variant_get_data_as_bytes(ay);
    return state;
}

BootState *boot_state_new(GVariant *answer)
{
    BootState *boot = g_new0(BootState, 1);
    g_autoptr(GVariant) list = g_variant_get_child_value(answer, 2);
    g_autoptr(GVariant) now = NULL;
    gboolean approved;
    const char *bank;
    guint32 mask;

    boot->approved = g_ptr_array_new_with_free_func((GDestroyNotify)state_free);
    g_variant_get_child(answer, 0, "s", &boot->policy);
    g_variant_get_child(answer, 1, "b", &approved);
    boot->is_approved = approved;
    for (gsize i = 0; i < g_variant_n_children(list); i++) {
        g_autoptr(GVariant) ay = NULL;
        gint64 time;

        g_variant_get_child(list, i, "(x&su@ay)", &time, &bank, &mask, &ay);
        g_ptr_array_add(boot->approved, state_new(time, bank, mask, ay));
    }
    g_variant_get_child(answer, 3, "(&su@ay)", &bank, &mask, &now);
    boot->current = state_new(0, bank, mask, now);
    return boot;
}

char *state_value(const State *state, guint pcr)
{
    gsize size = bank_bytes(state->bank), bytes;
    const guint8 *data = g_bytes_get_data(state->values, &bytes);
    gsize at = size * __builtin_popcount(state->mask & ((1u << pcr) - 1));
    GString *hex;

    if (!(state->mask & 1u << pcr) || size == 0 || bytes < at + size) {
        return NULL;
    }
    hex = g_string_new(NULL);
    for (gsize i = 0; i < size; i++) {
        g_string_append_printf(hex, "%02x", data[at + i]);
    }
    return g_string_free(hex, FALSE);
}

bool state_equal(const State *a, const State *b)
{
    return strcmp(a->bank, b->bank) == 0 && a->mask == b->mask &&
           g_bytes_equal(a->values, b->values);
}

json_t *state_json(const State *state)
{
    json_t *values = json_object();

    for (guint pcr = 0; pcr < PCRS; pcr++) {
        g_autofree char *hex = state_value(state, pcr);
        g_autofree char *number = g_strdup_printf("%u", pcr);

        if (hex) {
            json_object_set_new(values, number, json_string(hex));
        }
    }
    return json_pack("{s:s, s:o}", "bank", state->bank, "values", values);
}

/* --- Read ------------------------------------------------------------- */

static bool bad(const char *path, const char *why, GError **error)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_FORMAT,
                "%s: %s; a boot state is {\"bank\": \"sha384\", \"values\": "
                "{\"0\": HEX, ...}}",
                path, why);
    return false;
}

static bool add_hex(GByteArray *out, const char *hex, gsize bytes)
{
    if (!hex || strlen(hex) != 2 * bytes) {
        return false;
    }
    for (gsize i = 0; i < bytes; i++) {
        int high = g_ascii_xdigit_value(hex[2 * i]);
        int low = g_ascii_xdigit_value(hex[2 * i + 1]);
        guint8 byte = high << 4 | low;

        if (high < 0 || low < 0) {
            return false;
        }
        g_byte_array_append(out, &byte, 1);
    }
    return true;
}

static bool add_state(GVariantBuilder *list,
                      const json_t *object,
                      const char *path,
                      GError **error)
{
    const json_t *values = json_object_get(object, "values");
    const char *bank = vsmctl_text(object, "bank");
    g_autoptr(GByteArray) packed = g_byte_array_new();
    gsize size = bank_bytes(bank), found = 0;
    guint32 mask = 0;

    if (size == 0 || !json_is_object(values)) {
        return bad(path, "neither bank nor values", error);
    }
    for (guint pcr = 0; pcr < PCRS; pcr++) {
        g_autofree char *number = g_strdup_printf("%u", pcr);
        const json_t *value = json_object_get(values, number);

        if (!value) {
            continue;
        }
        if (!add_hex(packed, json_string_value(value), size)) {
            return bad(path, "a PCR value is not hex of the bank's length",
                       error);
        }
        mask |= 1u << pcr;
        found++;
    }
    if (found == 0 || found != json_object_size(values)) {
        return bad(path, "no PCR, or one that is none", error);
    }
    g_variant_builder_add(list, "(su@ay)", bank, mask,
                          g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE,
                                                    packed->data, packed->len,
                                                    1));
    return true;
}

GVariant *states_load(const char *path, GError **error)
{
    g_autofree char *text = NULL;
    json_auto_t *file = NULL;
    const json_t *root;
    GVariantBuilder list;
    gsize bytes, n;
    bool ok = true;

    if (!g_file_get_contents(path, &text, &bytes, error)) {
        return NULL;
    }
    file = bytes <= FILE_BYTES_MAX
               ? json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL)
               : NULL;
    root = json_object_get(file, "current") ? json_object_get(file, "current")
                                            : file;
    n = json_is_array(root) ? json_array_size(root) : 1;
    if (!file || n == 0) {
        bad(path, "not JSON, or empty", error);
        return NULL;
    }
    g_variant_builder_init(&list, G_VARIANT_TYPE("a(suay)"));
    for (gsize i = 0; ok && i < n; i++) {
        ok = add_state(&list,
                       json_is_array(root) ? json_array_get(root, i) : root,
                       path, error);
    }
    if (!ok) {
        g_variant_builder_clear(&list);
        return NULL;
    }
    return g_variant_ref_sink(g_variant_builder_end(&list));
}
