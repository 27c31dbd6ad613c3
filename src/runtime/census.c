/*
 * The census: every page of RAM that is a copy of the kernel's root must map
 * the kernel as it does.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <vsm/error.h>

#include "base/limits.h"
#include "runtime/capture.h"
#include "runtime/memory.h"

#define SLICE_BYTES                                                            \
    (32ull * 1024 * 1024) /* RAM that one task looks through                   \
                           */
#define AGREEING_MIN 8 /* entries by which a page shows itself as a root */
#define ENTRY_ACCESSED_DIRTY 0x60ull
#define LINE_ENTRIES 8 /* of one cache line */
#define LINES_MAX 3

/* What the tasks look for; read only while they run. */
typedef struct {
    guint64 entries[VSM_KERNEL_HALF];
    guint n, agreeing; /* present entries, and how many of them must agree */
    guint lines[LINES_MAX]; /* first entries of the lines looked at first */
    guint n_lines;
    GMutex lock; /* of found */
    GArray *found; /* of guint64: addresses */
    guint64 left_out;
} Census;

typedef struct {
    Census *census;
    const guint8 *host;
    guint64 address, bytes;
    const VsmPagemap *pagemap;
} Slice;

static guint count_line(const Census *census, guint line)
{
    guint n = 0;

    for (guint i = 0; i < LINE_ENTRIES; i++) {
        n += census->entries[line + i] != 0;
    }
    return n;
}

static void add_line(Census *census, guint entry)
{
    guint line = entry - entry % LINE_ENTRIES;

    for (guint i = 0; i < census->n_lines; i++) {
        if (census->lines[i] == line) {
            return;
        }
    }
    census->lines[census->n_lines++] = line;
}

/*
 * A page is first looked at where every root must have something: the line
 * with the kernel's image, the one with the direct map, and the fullest.
 */
static void choose_lines(Census *census)
{
    guint fullest = 0;

    add_line(census, VSM_KERNEL_HALF - 1);
    for (guint i = 0; i < VSM_KERNEL_HALF; i++) {
        if (census->entries[i]) {
            add_line(census, i);
            break;
        }
    }
    for (guint i = 0; i < VSM_KERNEL_HALF; i += LINE_ENTRIES) {
        if (count_line(census, i) > count_line(census, fullest)) {
            fullest = i;
        }
    }
    add_line(census, fullest);
}

static void prepare(Census *census, const VsmScope *scope)
{
    memset(census, 0, sizeof(*census));
    for (guint i = 0; i < VSM_KERNEL_HALF; i++) {
        guint64 entry = g_array_index(scope->root, guint64, i);

        census->entries[i] = entry & 1 ? entry : 0;
        census->n += entry & 1;
    }
    census->agreeing = census->n > AGREEING_MIN ? AGREEING_MIN
                       : census->n > 2          ? 2
                                                : census->n;
    choose_lines(census);
    g_mutex_init(&census->lock);
    census->found = g_array_new(FALSE, FALSE, sizeof(guint64));
}

static inline bool agrees(const Census *census, const guint8 *page, guint entry)
{
    guint64 ours = census->entries[entry];

    return ours && (vsm_memory_u64(page, VSM_KERNEL_HALF + entry) &
                    ~ENTRY_ACCESSED_DIRTY) == ours;
}

static bool shows_itself(const Census *census, const guint8 *page)
{
    for (guint l = 0; l < census->n_lines; l++) {
        for (guint i = 0; i < LINE_ENTRIES; i++) {
            if (agrees(census, page, census->lines[l] + i)) {
                return true;
            }
        }
    }
    return false;
}

static bool is_root(const Census *census, const guint8 *page)
{
    guint n = 0;

    for (guint i = 0; i < VSM_KERNEL_HALF; i++) {
        n += agrees(census, page, i);
    }
    return n >= census->agreeing;
}

static void look_ahead(const Census *census, const guint8 *page)
{
    for (guint l = 0; l < census->n_lines; l++) {
        __builtin_prefetch(page + 8 * (VSM_KERNEL_HALF + census->lines[l]));
    }
}

static void look_at(Census *census, const guint8 *page, guint64 address)
{
    if (!shows_itself(census, page) || !is_root(census, page)) {
        return;
    }
    g_mutex_lock(&census->lock);
    if (census->found->len < VSM_SCOPE_ROOTS_MAX) {
        g_array_append_val(census->found, address);
    } else {
        census->left_out++;
    }
    g_mutex_unlock(&census->lock);
}

/* A page that nobody wrote is zero, no root, and is left alone. */
static bool run_slice(gpointer data, VsmHasher *hasher, GError **error)
{
    g_autofree Slice *slice = data;
    Census *census = slice->census;

    bool untouched[VSM_PAGEMAP_PAGES_MAX];

    (void)hasher, (void)error;
    for (guint64 at = 0; at < slice->bytes; at += VSM_PAGE_BYTES) {
        const guint8 *page = slice->host + at;
        guint nth = at / VSM_PAGE_BYTES % VSM_PAGEMAP_PAGES_MAX;

        if (nth == 0) {
            vsm_pagemap_untouched(slice->pagemap, page,
                                  MIN((slice->bytes - at) / VSM_PAGE_BYTES,
                                      VSM_PAGEMAP_PAGES_MAX),
                                  untouched);
        }
        if (slice->bytes - at > 8 * VSM_PAGE_BYTES) {
            look_ahead(census, page + 8 * VSM_PAGE_BYTES);
        }
        if (!untouched[nth]) {
            look_at(census, page, slice->address + at);
        }
    }
    return true;
}

static void
push_memory(Census *census, VsmGroup *group, const VsmGuestMemory *piece)
{
    for (guint64 at = 0; at < piece->bytes; at += SLICE_BYTES) {
        Slice *slice = g_new(Slice, 1);

        *slice = (Slice){census, piece->host + at, piece->address + at,
                         MIN(SLICE_BYTES, piece->bytes - at), piece->pagemap};
        vsm_group_push(group, run_slice, slice);
    }
}

static int by_address(gconstpointer a, gconstpointer b)
{
    guint64 x = *(const guint64 *)a, y = *(const guint64 *)b;

    return x < y ? -1 : x > y;
}

bool vsm_capture_census(VsmCapture *capture, GError **error)
{
    g_autoptr(VsmGroup) group = vsm_group_new(capture->pool, VSM_SCOPE_TASKS);
    Census census;
    bool ok;

    prepare(&census, capture->scope);
    for (guint i = 0; census.n && i < capture->guest->n_memory; i++) {
        if (!capture->guest->memory[i].rom) {
            push_memory(&census, group, &capture->guest->memory[i]);
        }
    }
    ok = vsm_group_wait(group, error);
    if (ok) {
        g_array_sort(census.found, by_address);
        capture->stats.roots = census.found->len;
        for (guint i = 0; i < census.found->len; i++) {
            vsm_capture_compare_root(
                capture, g_array_index(census.found, guint64, i), 0);
        }
        capture->scope->facts_left_out += census.left_out;
    }
    g_array_unref(census.found);
    g_mutex_clear(&census.lock);
    return ok;
}
