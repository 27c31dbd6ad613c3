/*
 * Guest-physical memory, as it was handed in.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <vsm/runtime.h>

/* INVALID unless the guest keeps what runtime.h asks of it. */
bool vsm_memory_check(const VsmGuest *guest, GError **error);

/* The page that holds @address; NULL: no memory there.  Any thread. */
const guint8 *vsm_memory_page(const VsmGuest *guest, guint64 address);

/* All pages handed in. */
guint64 vsm_memory_pages(const VsmGuest *guest);

/* A little-endian number of a page that may be written meanwhile: read once. */
static inline guint64 vsm_memory_u64(const guint8 *page, guint index)
{
    const guint64 *words = (const guint64 *)(gconstpointer)page;

    return GUINT64_FROM_LE(__atomic_load_n(&words[index], __ATOMIC_RELAXED));
}
