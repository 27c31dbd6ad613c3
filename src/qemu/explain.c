/*
 * What differs inside pages of the runtime scope
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "block/block.h"
#include "block/snapshot.h"
#include "exec/cpu-common.h"
#include "exec/ramblock.h"
#include "qapi/error.h"
#include "qemu/cutils.h"
#include "qemu/iov.h"
#include "qemu/rcu.h"
#include "call.h"
#include "explain.h"
#include "stored.h"

#define PAGES_MAX 256

typedef struct Page {
    uint64_t address; /* guest-physical; the key */
    char idstr[256];
    uint64_t page; /* in that block */
    uint64_t offset; /* in the stored stream; UINT64_MAX: all zero */
    bool placed, known;
    uint8_t now[VSM_PAGE_BYTES];
    uint8_t before[VSM_PAGE_BYTES];
} Page;

static const uint8_t *host_of(const VsmGuest *guest, uint64_t address)
{
    for (guint i = 0; i < guest->n_memory; i++) {
        const VsmGuestMemory *memory = &guest->memory[i];

        if (address >= memory->address &&
            address - memory->address < memory->bytes) {
            return memory->host + (address - memory->address);
        }
    }
    return NULL;
}

static void keep(const VsmGuestView *view, GHashTable *pages, uint64_t address)
{
    const uint8_t *host = host_of(vsm_guest_view(view), address);
    ram_addr_t offset;
    RAMBlock *block;
    Page *page;

    RCU_READ_LOCK_GUARD();
    block =
        host ? qemu_ram_block_from_host((void *)host, false, &offset) : NULL;
    if (!block || g_hash_table_contains(pages, &address)) {
        return;
    }
    page = g_new0(Page, 1);
    page->address = address;
    page->page = offset / VSM_PAGE_BYTES;
    pstrcpy(page->idstr, sizeof(page->idstr), qemu_ram_get_idstr(block));
    memcpy(page->now, host, VSM_PAGE_BYTES);
    g_hash_table_insert(pages, &page->address, page);
}

GHashTable *vsm_pages_keep(const VsmGuestView *view, const VsmVerdict *verdict)
{
    GHashTable *pages =
        g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);

    for (guint i = 0; i < verdict->findings->len; i++) {
        const VsmFinding *finding = g_ptr_array_index(verdict->findings, i);
        uint64_t first = QEMU_ALIGN_DOWN(finding->address, VSM_PAGE_BYTES);
        uint64_t bytes = MIN(finding->bytes, PAGES_MAX * VSM_PAGE_BYTES);

        if (finding->sealed || finding->measured) {
            continue;
        }
        for (uint64_t at = 0; at < bytes; at += VSM_PAGE_BYTES) {
            if (g_hash_table_size(pages) < PAGES_MAX) {
                keep(view, pages, first + at);
            }
        }
    }
    return pages;
}

typedef struct Explain {
    VsmManager *m;
    VsmCheck *check;
    GHashTable *pages;
    const VsmVerdict *verdict;
} Explain;

static bool place_worker(void *opaque, GError **error)
{
    Explain *e = opaque;
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, e->pages);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        Page *page = value;
        GError *why = NULL;

        page->placed = vsm_check_page_place(e->check, page->idstr, page->page,
                                            &page->offset, &why);
        if (!page->placed &&
            !g_error_matches(why, VSM_ERROR, VSM_ERROR_NOT_FOUND)) {
            /* Each further page would ask again, with a deadline of its own. */
            g_propagate_error(error, why);
            return false;
        }
        g_clear_error(&why);
    }
    return true;
}

static void coroutine_fn read_pages(Explain *e, VsmStoredEntry *entry)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, e->pages);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        Page *page = value;
        QEMUIOVector qiov;

        qemu_iovec_init_buf(&qiov, page->before, VSM_PAGE_BYTES);
        page->known =
            page->placed && (page->offset == UINT64_MAX ||
                             bdrv_readv_vmstate(entry->bs, entry->id, &qiov,
                                                page->offset) >= 0);
    }
}

static bool page_before(gpointer opaque, guint64 address, guint8 *ret)
{
    Explain *e = opaque;
    const Page *page = g_hash_table_lookup(e->pages, &address);

    if (!page || !page->known ||
        !vsm_check_page_is(e->check, page->idstr, page->page, page->before)) {
        return false;
    }
    memcpy(ret, page->before, VSM_PAGE_BYTES);
    return true;
}

static bool page_now(gpointer opaque, guint64 address, guint8 *ret)
{
    Explain *e = opaque;
    const Page *page = g_hash_table_lookup(e->pages, &address);

    if (page) {
        memcpy(ret, page->now, VSM_PAGE_BYTES);
    }
    return page != NULL;
}

static bool explain_worker(void *opaque, GError **error)
{
    Explain *e = opaque;
    guint64 left_out = 0;
    g_autoptr(GPtrArray) parts =
        vsm_scope_explain(vsm_check_scope(e->check), e->verdict->findings,
                          page_before, page_now, e, &left_out, error);

    if (parts) {
        vsm_check_set_details(e->check, parts, left_out);
    }
    return parts != NULL;
}

void coroutine_fn vsm_explain(VsmManager *m,
                              VsmCheck *check,
                              GHashTable *pages,
                              const VsmVerdict *verdict)
{
    Explain e = {m, check, pages, verdict};
    VsmStoredEntry entry;
    int code = m->op.code;
    Error *err = NULL;

    if (!pages || !g_hash_table_size(pages)) {
        return;
    }
    if (vsm_call(m, place_worker, &e, &err) &&
        vsm_stored_entry_find(m, vsm_check_record(check), &entry, &err)) {
        read_pages(&e, &entry);
        vsm_stored_entry_release(&entry);
        vsm_work(m, explain_worker, &e, &err);
    }
    /* It was worth a try: the finding stands without it.  */
    error_free(err);
    m->op.code = code;
}
