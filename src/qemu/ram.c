/*
 * The VM's RAM blocks as libvsm sees them, and whether they were written
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "exec/memory.h"
#include "exec/ramblock.h"
#include "exec/ramlist.h"
#include "migration/misc.h"
#include "qapi/error.h"
#include "qemu/rcu.h"
#include "ram.h"

struct VsmRam {
    GArray *blocks; /* of VsmRamBlock; idstr and absent are owned */
    GPtrArray *regions; /* of MemoryRegion, referenced; same order */
    uint32_t generation; /* ram_list.version */
    guint last; /* block of the last hit: pages come in runs */
    struct {
        const uint8_t *host; /* first page; NULL: nothing is known */
        guint n_pages;
        bool untouched[VSM_PAGEMAP_PAGES_MAX];
    } run; /* that the page map was last asked for */
    bool watching;
};

static void add_absent(MemoryRegionSection *section, void *opaque)
{
    GArray *absent = opaque;
    VsmRange range = {
        .first = section->offset_within_region / VSM_PAGE_BYTES,
        .count = int128_get64(section->size) / VSM_PAGE_BYTES,
    };

    g_array_append_val(absent, range);
}

/* virtio-mem's unplugged ranges: reading them would populate them.  */
static GArray *absent_ranges(MemoryRegion *mr, uint64_t bytes)
{
    GArray *absent = g_array_new(false, false, sizeof(VsmRange));

    if (memory_region_has_ram_discard_manager(mr)) {
        RamDiscardManager *rdm = memory_region_get_ram_discard_manager(mr);
        MemoryRegionSection section = {
            .mr = mr,
            .size = int128_make64(bytes),
        };

        ram_discard_manager_replay_discarded(rdm, &section, add_absent, absent);
    }
    return absent;
}

const VsmPagemap *vsm_ram_pagemap(VsmManager *m, RAMBlock *rb)
{
    bool private_anonymous = qemu_ram_get_fd(rb) < 0 && rb->guest_memfd < 0 &&
                             !qemu_ram_is_shared(rb) &&
                             !(rb->flags & RAM_PREALLOC) &&
                             !migration_incoming_postcopy_advised();

    return private_anonymous ? m->pagemap : NULL;
}

static bool add_block(VsmManager *m, VsmRam *ram, RAMBlock *rb, Error **errp)
{
    uint64_t bytes = qemu_ram_get_used_length(rb);
    g_autoptr(GArray) absent = NULL;
    VsmRamBlock block;

    if (bytes % VSM_PAGE_BYTES) {
        vsm_fail(m, VSM_ERROR_UNSUPPORTED, errp,
                 "RAM block '%s' is no whole number of pages long",
                 qemu_ram_get_idstr(rb));
        return false;
    }
    absent = absent_ranges(rb->mr, bytes);
    block = (VsmRamBlock){
        .idstr = g_strdup(qemu_ram_get_idstr(rb)),
        .bytes = bytes,
        .host = qemu_ram_get_host_addr(rb),
        .n_absent = absent->len,
        .pagemap = vsm_ram_pagemap(m, rb),
    };
    block.absent = (VsmRange *)g_array_free(g_steal_pointer(&absent), false);
    g_array_append_val(ram->blocks, block);
    memory_region_ref(rb->mr);
    g_ptr_array_add(ram->regions, rb->mr);
    return true;
}

VsmRam *vsm_ram_new(VsmManager *m, Error **errp)
{
    g_autoptr(VsmRam) ram = g_new0(VsmRam, 1);
    RAMBlock *rb;

    ram->blocks = g_array_new(false, false, sizeof(VsmRamBlock));
    ram->regions = g_ptr_array_new();
    ram->generation = ram_list.version;

    RCU_READ_LOCK_GUARD();
    RAMBLOCK_FOREACH(rb)
    {
        if (qemu_ram_is_migratable(rb) && !add_block(m, ram, rb, errp)) {
            return NULL;
        }
    }
    return g_steal_pointer(&ram);
}

void vsm_ram_free(VsmRam *ram)
{
    if (!ram) {
        return;
    }
    if (ram->watching) {
        memory_global_dirty_log_stop(GLOBAL_DIRTY_SNAPSHOT);
    }
    for (guint i = 0; i < ram->blocks->len; i++) {
        VsmRamBlock *block = &g_array_index(ram->blocks, VsmRamBlock, i);

        g_free((char *)block->idstr);
        g_free((VsmRange *)block->absent);
    }
    for (guint i = 0; i < ram->regions->len; i++) {
        memory_region_unref(g_ptr_array_index(ram->regions, i));
    }
    g_array_free(ram->blocks, true);
    g_ptr_array_free(ram->regions, true);
    g_free(ram);
}

const VsmRamBlock *vsm_ram_blocks(const VsmRam *ram, guint *ret_n)
{
    *ret_n = ram->blocks->len;
    return (const VsmRamBlock *)ram->blocks->data;
}

uint64_t vsm_ram_bytes(const VsmRam *ram)
{
    uint64_t bytes = 0;

    for (guint i = 0; i < ram->blocks->len; i++) {
        bytes += g_array_index(ram->blocks, VsmRamBlock, i).bytes;
    }
    return bytes;
}

static bool
block_has(const VsmRamBlock *block, const void *host, uint64_t *ret_offset)
{
    uintptr_t begin = (uintptr_t)block->host;
    uintptr_t at = (uintptr_t)host;

    if (at < begin || at - begin >= block->bytes) {
        return false;
    }
    *ret_offset = at - begin;
    return true;
}

bool vsm_ram_find(VsmRam *ram,
                  const void *host,
                  guint *ret_block,
                  uint64_t *ret_offset)
{
    for (guint i = 0; i < ram->blocks->len; i++) {
        guint at = (ram->last + i) % ram->blocks->len;

        if (block_has(&g_array_index(ram->blocks, VsmRamBlock, at), host,
                      ret_offset)) {
            ram->last = at;
            *ret_block = at;
            return true;
        }
    }
    return false;
}

/* Asks for the run of pages that the one at @offset is in.  */
static void ask_page_map(VsmRam *ram, const VsmRamBlock *block, uint64_t offset)
{
    uint64_t first = ROUND_DOWN(offset, ARRAY_SIZE(ram->run.untouched) *
                                            (uint64_t)VSM_PAGE_BYTES);

    ram->run.host = block->host + first;
    ram->run.n_pages = MIN(ARRAY_SIZE(ram->run.untouched),
                           (block->bytes - first) / VSM_PAGE_BYTES);
    vsm_pagemap_untouched(block->pagemap, ram->run.host, ram->run.n_pages,
                          ram->run.untouched);
}

bool vsm_ram_untouched(VsmRam *ram, const void *host)
{
    uintptr_t at = (uintptr_t)host;
    uintptr_t begin = (uintptr_t)ram->run.host;
    uint64_t offset;
    guint block;
    bool told;

    if (at < begin || at - begin >= ram->run.n_pages * VSM_PAGE_BYTES) {
        if (!vsm_ram_find(ram, host, &block, &offset)) {
            return false;
        }
        ask_page_map(ram, &g_array_index(ram->blocks, VsmRamBlock, block),
                     offset);
        begin = (uintptr_t)ram->run.host;
    }
    told = ram->run.untouched[(at - begin) / VSM_PAGE_BYTES];
    ram->run.untouched[(at - begin) / VSM_PAGE_BYTES] = false;
    return told;
}

/*
 * Offset of the first page that is marked as written, or -1.  Takes the marks
 * away: nobody else looks at them while a guard's operation is under way.
 */
static int64_t take_dirty(MemoryRegion *mr, uint64_t bytes)
{
    g_autofree DirtyBitmapSnapshot *snapshot =
        memory_region_snapshot_and_clear_dirty(mr, 0, bytes,
                                               DIRTY_MEMORY_MIGRATION);

    if (!memory_region_snapshot_get_dirty(mr, snapshot, 0, bytes)) {
        return -1;
    }
    for (uint64_t at = 0; at < bytes; at += VSM_PAGE_BYTES) {
        if (memory_region_snapshot_get_dirty(mr, snapshot, at,
                                             VSM_PAGE_BYTES)) {
            return at;
        }
    }
    return -1;
}

bool vsm_ram_watch(VsmRam *ram, bool forget, Error **errp)
{
    if (!memory_global_dirty_log_start(GLOBAL_DIRTY_SNAPSHOT, errp)) {
        return false;
    }
    ram->watching = true;
    for (guint i = 0; forget && i < ram->blocks->len; i++) {
        take_dirty(g_ptr_array_index(ram->regions, i),
                   g_array_index(ram->blocks, VsmRamBlock, i).bytes);
    }
    return true;
}

bool vsm_ram_unwritten(VsmManager *m,
                       VsmRam *ram,
                       const char *since,
                       Error **errp)
{
    if (ram->generation != ram_list.version) {
        vsm_fail(m, VSM_ERROR_BUSY, errp,
                 "RAM was plugged or unplugged after %s; try again", since);
        return false;
    }
    for (guint i = 0; i < ram->blocks->len; i++) {
        const VsmRamBlock *block = &g_array_index(ram->blocks, VsmRamBlock, i);
        int64_t at =
            take_dirty(g_ptr_array_index(ram->regions, i), block->bytes);

        if (at >= 0) {
            vsm_fail(m, VSM_ERROR_BUSY, errp,
                     "RAM block '%s' was written at offset 0x%" PRIx64
                     " after %s, although the VM is stopped; a device was "
                     "still at work: try again",
                     block->idstr, at, since);
            return false;
        }
    }
    return true;
}
