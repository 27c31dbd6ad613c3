/*
 * Digests of the pages of a scope, patch sites set to zero.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "base/limits.h"
#include "runtime/capture.h"
#include "runtime/memory.h"
#include "runtime/witness.h"

/* Pages of one task: 256 KiB, many times what is hashed side by side. */
#define TASK_PAGES 64

typedef struct {
    guint64 va;
    const guint8 *host; /* NULL: no memory there */
    bool code; /* may hold patch sites */
} Page;

typedef struct {
    VsmCapture *capture;
    const Page *pages;
    VsmDigest *digests;
    guint n;
} Part;

bool vsm_capture_read(const VsmCapture *capture,
                      guint64 va,
                      void *out,
                      guint bytes)
{
    guint8 *to = out;

    while (bytes) {
        const VsmScopeRun *run = vsm_scope_find_run(capture->scope, va);
        guint offset = va % VSM_PAGE_BYTES;
        guint n = MIN(bytes, VSM_PAGE_BYTES - offset);
        const guint8 *page;

        if (!run) {
            return false;
        }
        page = vsm_memory_page(capture->guest, run->pa + (va - run->va));
        if (!page) {
            return false;
        }
        memcpy(to, page + offset, n);
        to += n;
        va += n;
        bytes -= n;
    }
    return true;
}

/* Sites with a known form count by their state, not by their bytes. */
static const guint8 *
normalise(const VsmScope *scope, const Page *page, guint8 *copy)
{
    guint i = vsm_witness_first(scope, page->va);
    guint64 last = page->va + (VSM_PAGE_BYTES - 1);
    bool copied = false;

    for (; i < scope->witnesses->len; i++) {
        const VsmWitness *witness = vsm_scope_witness(scope, i);
        guint64 first = MAX(witness->va, page->va);
        guint64 end = MIN(witness->va + (vsm_witness_bytes(witness) - 1), last);

        if (witness->va > last) {
            break;
        }
        if ((scope->states->data[i] & VSM_SITE_FORM) == VSM_SITE_OTHER) {
            continue;
        }
        if (!copied) {
            memcpy(copy, page->host, VSM_PAGE_BYTES);
            copied = true;
        }
        memset(copy + (first - page->va), 0, end - first + 1);
    }
    return copied ? copy : page->host;
}

static bool run_part(gpointer data, VsmHasher *hasher, GError **error)
{
    g_autofree Part *part = data;
    g_autofree guint8 *copies = g_malloc(TASK_PAGES * VSM_PAGE_BYTES);
    VsmHashJob jobs[TASK_PAGES];
    guint n = 0;

    for (guint i = 0; i < part->n; i++) {
        const Page *page = &part->pages[i];
        const guint8 *bytes = page->host;

        if (!page->host) {
            memset(part->digests[i].b, 0xff, VSM_DIGEST_BYTES);
            continue;
        }
        if (page->code) {
            bytes = normalise(part->capture->scope, page,
                              copies + i * VSM_PAGE_BYTES);
        }
        jobs[n++] = (VsmHashJob){bytes, VSM_PAGE_BYTES, &part->digests[i]};
    }
    vsm_pool_count_hashed(part->capture->pool, (guint64)n * VSM_PAGE_BYTES);
    return vsm_hasher_run(hasher, jobs, n, error);
}

static Page *list_pages(const VsmCapture *capture, guint *ret_n)
{
    const VsmScope *scope = capture->scope;
    guint n = 0;
    Page *pages;

    for (guint i = 0; i < scope->runs->len; i++) {
        const VsmScopeRun *run = vsm_scope_run(scope, i);

        n += run->perms & VSM_RUN_HASHED ? run->pages : 0;
    }
    pages = g_new(Page, n);
    n = 0;
    for (guint i = 0; i < scope->runs->len; i++) {
        const VsmScopeRun *run = vsm_scope_run(scope, i);

        for (guint p = 0; run->perms & VSM_RUN_HASHED && p < run->pages; p++) {
            guint64 at = (guint64)p * VSM_PAGE_BYTES;

            pages[n++] = (Page){run->va + at,
                                vsm_memory_page(capture->guest, run->pa + at),
                                run->scope_class == VSM_CLASS_TEXT ||
                                    run->scope_class == VSM_CLASS_MODULE_TEXT};
        }
    }
    *ret_n = n;
    return pages;
}

bool vsm_capture_pages(VsmCapture *capture, GError **error)
{
    guint n;
    g_autofree Page *pages = list_pages(capture, &n);
    g_autoptr(VsmGroup) group = vsm_group_new(capture->pool, VSM_SCOPE_TASKS);

    g_array_set_size(capture->scope->digests, n);
    for (guint i = 0; i < n; i += TASK_PAGES) {
        Part *part = g_new(Part, 1);

        *part = (Part){capture, pages + i,
                       &g_array_index(capture->scope->digests, VsmDigest, i),
                       MIN(TASK_PAGES, n - i)};
        vsm_group_push(group, run_part, part);
    }
    capture->stats.hashed_bytes += (guint64)n * VSM_PAGE_BYTES;
    return vsm_group_wait(group, error);
}
