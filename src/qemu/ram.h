/*
 * The VM's RAM blocks as libvsm sees them, and whether they were written
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_RAM_H
#define VSM_RAM_H

#include "object.h"

typedef struct VsmRam VsmRam;

/**
 * vsm_ram_new:
 *
 * All migratable blocks as they are now, with the ranges that have no memory
 * behind them.  References are held, so that the memory stays mapped.  The VM
 * is stopped until vsm_ram_free().
 */
VsmRam *vsm_ram_new(VsmManager *m, Error **errp);
void vsm_ram_free(VsmRam *ram);

/*
 * What knows the untouched pages of @rb: NULL unless that is private anonymous
 * memory, since of other memory it does not tell whether it holds zeros.
 */
const VsmPagemap *vsm_ram_pagemap(VsmManager *m, RAMBlock *rb);

/* Borrowed; n in *@ret_n.  */
const VsmRamBlock *vsm_ram_blocks(const VsmRam *ram, guint *ret_n);
uint64_t vsm_ram_bytes(const VsmRam *ram);

/**
 * vsm_ram_find:
 * @host: any address
 *
 * Returns: whether @host lies in one of the blocks; then *@ret_block is its
 * index and *@ret_offset is the offset in it, in bytes.
 */
bool vsm_ram_find(VsmRam *ram,
                  const void *host,
                  guint *ret_block,
                  uint64_t *ret_offset);

/**
 * vsm_ram_untouched:
 * @host: address of a page
 *
 * Whether nobody has written to that page since it was mapped, so that it holds
 * zeros.  What is known of its neighbours is kept until they are asked for, so
 * nobody touches RAM meanwhile; who asks again is told to read it.
 */
bool vsm_ram_untouched(VsmRam *ram, const void *host);

/**
 * vsm_ram_watch:
 * vsm_ram_unwritten:
 *
 * From watch on, or from the moment when another user of the dirty bitmap
 * last took it, writes are noted.  unwritten: true if there were none; else
 * the first one's block and offset are in @errp.
 *
 * vsm_ram_watch() may be called with @forget to drop what was noted before.
 */
bool vsm_ram_watch(VsmRam *ram, bool forget, Error **errp);
bool vsm_ram_unwritten(VsmManager *m,
                       VsmRam *ram,
                       const char *since,
                       Error **errp);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmRam, vsm_ram_free)

#endif /* VSM_RAM_H */
