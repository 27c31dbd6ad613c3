/*
 * A made-up VM: RAM, and the stream that a hypervisor would save of it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "core/stream.h"

#define FAKE_BLOCKS 4

typedef struct {
    guint64 offset;
    guint block;
    guint64 page;
} FakePage;

typedef struct {
    VsmSection section;
    guint64 begin, end;
} FakeSection;

typedef struct {
    VsmRamBlock blocks[FAKE_BLOCKS]; /* host is page-aligned memory */
    VsmRange absent[2];
    GByteArray *bytes; /* the stream */
    GArray *pages; /* of FakePage, ascending; some pages twice */
    GArray *sections; /* of FakeSection, ascending */
} FakeStream;

/* Always the same for the same @seed; @pages: of the biggest block. */
FakeStream *fake_stream_new(guint32 seed, guint pages);
/* The same, with no page twice: what QEMU makes of a VM that is stopped. */
FakeStream *fake_stream_new_once(guint32 seed, guint pages);
void fake_stream_free(FakeStream *fake);

/* What a save puts: parts as they would be in a record. */
typedef struct {
    GByteArray *parts[VSM_PART_SKELETON + 1];
    GBytes *manifest, *document;
} FakeRecord;

FakeRecord *fake_record_new(void);
void fake_record_free(FakeRecord *record);
bool fake_record_put(gpointer record,
                     VsmPart part,
                     guint64 offset,
                     GBytes *bytes,
                     GError **error);

/* Sizes of feeds; 0: all in one; else random from 1 to @chunk_max. */
bool fake_save(const FakeStream *fake,
               VsmPool *pool,
               gsize chunk_max,
               FakeRecord *record,
               GError **error);

/* Fetches and proves all parts. */
VsmStored *fake_load(const FakeRecord *record, VsmPool *pool, GError **error);

/* Feeds @bytes; false as soon as a feed fails. */
bool fake_feed(VsmStream *stream,
               const guint8 *data,
               gsize bytes,
               gsize chunk_max,
               GError **error);

/* The same, which must succeed. */
VsmPool *fake_pool(guint threads, VsmHashBackend backend);
FakeRecord *fake_saved(const FakeStream *fake, VsmPool *pool, gsize chunk_max);
VsmStored *fake_loaded(const FakeRecord *record, VsmPool *pool);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(FakeStream, fake_stream_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FakeRecord, fake_record_free)
