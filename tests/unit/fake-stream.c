/*
 * A made-up VM: RAM, and the stream that a hypervisor would save of it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fake-stream.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void append_random(GRand *rand, GByteArray *out, gsize bytes)
{
    for (gsize i = 0; i < bytes; i++) {
        guint8 byte = g_rand_int(rand);

        g_byte_array_append(out, &byte, 1);
    }
}

static void fill_page(GRand *rand, guint8 *page)
{
    for (gsize i = 0; i < VSM_PAGE_BYTES; i += 4) {
        guint32 word = g_rand_int(rand);

        memcpy(page + i, &word, sizeof(word));
    }
}

static guint8 *block_page(const FakeStream *fake, guint block, guint64 page)
{
    return (guint8 *)fake->blocks[block].host + page * VSM_PAGE_BYTES;
}

static bool is_absent(const VsmRamBlock *block, guint64 page)
{
    for (guint i = 0; i < block->n_absent; i++) {
        if (page >= block->absent[i].first &&
            page < block->absent[i].first + block->absent[i].count) {
            return true;
        }
    }
    return false;
}

/* Absent ranges cannot be read: a test that touches them dies. */
static void make_block(FakeStream *fake,
                       GRand *rand,
                       guint index,
                       const char *idstr,
                       guint64 pages)
{
    VsmRamBlock *block = &fake->blocks[index];
    guint8 *memory =
        mmap(NULL, (pages + 1) * VSM_PAGE_BYTES, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    g_assert_true(memory != MAP_FAILED);
    block->idstr = idstr;
    block->bytes = pages * VSM_PAGE_BYTES;
    block->host = memory;
    for (guint64 page = 0; page < pages; page++) {
        if (is_absent(block, page)) {
            mprotect(memory + page * VSM_PAGE_BYTES, VSM_PAGE_BYTES, PROT_NONE);
        } else if (g_rand_int_range(rand, 0, 10) >= 3) {
            fill_page(rand, memory + page * VSM_PAGE_BYTES);
        }
    }
}

static void
add_body(FakeStream *fake, guint block, guint64 page, const guint8 *body)
{
    FakePage told = {fake->bytes->len, block, page};

    g_array_append_val(fake->pages, told);
    g_byte_array_append(fake->bytes, body, VSM_PAGE_BYTES);
}

/* Like QEMU: a header of 8 bytes, longer for the first page of a block. */
static void stream_block(FakeStream *fake, GRand *rand, guint index, bool again)
{
    const VsmRamBlock *block = &fake->blocks[index];
    guint64 pages = block->bytes / VSM_PAGE_BYTES;

    append_random(rand, fake->bytes, strlen(block->idstr) + 1);
    for (guint64 page = 0; page < pages; page++) {
        if (is_absent(block, page)) {
            continue;
        }
        append_random(rand, fake->bytes, 8);
        if (again && g_rand_int_range(rand, 0, 16) == 0) {
            /* An older form, which a later body overwrites. */
            guint8 old[VSM_PAGE_BYTES];

            fill_page(rand, old);
            add_body(fake, index, page, old);
            append_random(rand, fake->bytes, 8);
        } else if (vsm_is_zero(block_page(fake, index, page), VSM_PAGE_BYTES)) {
            continue; /* a zero page has no body */
        }
        add_body(fake, index, page, block_page(fake, index, page));
    }
}

static void stream_section(FakeStream *fake,
                           GRand *rand,
                           const char *idstr,
                           guint8 kind,
                           guint32 instance,
                           guint32 version,
                           gsize bytes)
{
    FakeSection added = {{idstr, kind, instance, version}, 0, 0};

    append_random(rand, fake->bytes, 20); /* header */
    added.begin = fake->bytes->len;
    append_random(rand, fake->bytes, bytes);
    added.end = fake->bytes->len;
    append_random(rand, fake->bytes, 5); /* footer */
    g_array_append_val(fake->sections, added);
}

static FakeStream *make_stream(guint32 seed, guint pages, bool again)
{
    FakeStream *fake = g_new0(FakeStream, 1);
    GRand *rand = g_rand_new_with_seed(seed);

    fake->bytes = g_byte_array_new();
    fake->pages = g_array_new(FALSE, FALSE, sizeof(FakePage));
    fake->sections = g_array_new(FALSE, FALSE, sizeof(FakeSection));
    fake->absent[0] = (VsmRange){1, 2};
    fake->absent[1] = (VsmRange){5, pages};
    fake->blocks[3].absent = fake->absent;
    fake->blocks[3].n_absent = 2;
    make_block(fake, rand, 0, "pc.ram", pages);
    make_block(fake, rand, 1, "vga.vram", 3);
    make_block(fake, rand, 2, "/rom@empty", 0);
    make_block(fake, rand, 3, "virtio-mem", pages + 5);

    append_random(rand, fake->bytes, 57);
    for (guint i = 0; i < FAKE_BLOCKS; i++) {
        stream_block(fake, rand, i, again);
    }
    stream_section(fake, rand, "cpu", VSM_SECTION_VCPU, 0, 12, 3000);
    stream_section(fake, rand, "cpu", VSM_SECTION_VCPU, 1, 12, 3000);
    stream_section(fake, rand, "0000:00:02.0/e1000e", VSM_SECTION_DEVICE, 0, 1,
                   g_rand_int_range(rand, 0, 20000));
    stream_section(fake, rand, "mc146818rtc", VSM_SECTION_DEVICE, 0, 3, 245);
    stream_section(fake, rand, "empty", VSM_SECTION_DEVICE, 7, 1, 0);
    append_random(rand, fake->bytes, g_rand_int_range(rand, 1, 5000));
    g_rand_free(rand);
    return fake;
}

FakeStream *fake_stream_new(guint32 seed, guint pages)
{
    return make_stream(seed, pages, true);
}

FakeStream *fake_stream_new_once(guint32 seed, guint pages)
{
    return make_stream(seed, pages, false);
}

void fake_stream_free(FakeStream *fake)
{
    for (guint i = 0; i < FAKE_BLOCKS; i++) {
        munmap((void *)fake->blocks[i].host,
               fake->blocks[i].bytes + VSM_PAGE_BYTES);
    }
    g_byte_array_unref(fake->bytes);
    g_array_unref(fake->pages);
    g_array_unref(fake->sections);
    g_free(fake);
}

FakeRecord *fake_record_new(void)
{
    FakeRecord *record = g_new0(FakeRecord, 1);

    for (guint i = 0; i < G_N_ELEMENTS(record->parts); i++) {
        record->parts[i] = g_byte_array_new();
    }
    return record;
}

void fake_record_free(FakeRecord *record)
{
    for (guint i = 0; i < G_N_ELEMENTS(record->parts); i++) {
        g_byte_array_unref(record->parts[i]);
    }
    g_clear_pointer(&record->manifest, g_bytes_unref);
    g_clear_pointer(&record->document, g_bytes_unref);
    g_free(record);
}

bool fake_record_put(gpointer opaque,
                     VsmPart part,
                     guint64 offset,
                     GBytes *bytes,
                     GError **error)
{
    FakeRecord *record = opaque;
    gsize size;
    const guint8 *data = g_bytes_get_data(bytes, &size);

    (void)error;
    g_assert_cmpuint(offset, ==, record->parts[part]->len);
    g_assert_cmpuint(size, >, 0);
    g_assert_cmpuint(size, <=, VSM_CHUNK_BYTES);
    g_byte_array_append(record->parts[part], data, size);
    return true;
}

static gsize next_chunk(gsize left, gsize chunk_max)
{
    gsize n = left;

    if (chunk_max) {
        n = g_test_rand_int_range(1, chunk_max + 1);
    }
    return MIN(left, n);
}

bool fake_feed(VsmStream *stream,
               const guint8 *data,
               gsize bytes,
               gsize chunk_max,
               GError **error)
{
    while (bytes) {
        gsize n = next_chunk(bytes, chunk_max);
        g_autoptr(GBytes) chunk = g_bytes_new(data, n); /* any alignment */

        if (!vsm_stream_feed(stream, chunk, error)) {
            return false;
        }
        data += n;
        bytes -= n;
    }
    return true;
}

/* What lies before @end is told, in the order of the stream. */
typedef struct {
    guint page, section;
    bool open;
} Told;

static bool tell(const FakeStream *fake,
                 VsmStream *stream,
                 Told *told,
                 guint64 end,
                 GError **error)
{
    while (told->page < fake->pages->len) {
        FakePage *page = &g_array_index(fake->pages, FakePage, told->page);

        if (page->offset >= end) {
            break;
        }
        vsm_stream_page(stream, page->offset, page->block, page->page);
        told->page++;
    }
    while (told->section < fake->sections->len) {
        FakeSection *section =
            &g_array_index(fake->sections, FakeSection, told->section);

        if (!told->open && section->begin > end) {
            break;
        }
        if (!told->open && !vsm_stream_section_begin(stream, &section->section,
                                                     section->begin, error)) {
            return false;
        }
        told->open = true;
        if (section->end > end) {
            break; /* the end is told later */
        }
        if (!vsm_stream_section_end(stream, section->end, error)) {
            return false;
        }
        told->open = false;
        told->section++;
    }
    return true;
}

bool fake_save(const FakeStream *fake,
               VsmPool *pool,
               gsize chunk_max,
               FakeRecord *record,
               GError **error)
{
    g_autoptr(VsmStream) stream =
        vsm_stream_new_save(pool, fake_record_put, record);
    Told told = {0};
    gsize at = 0;

    if (!vsm_stream_set_ram(stream, fake->blocks, FAKE_BLOCKS, error)) {
        return false;
    }
    while (at < fake->bytes->len) {
        gsize n = next_chunk(fake->bytes->len - at, chunk_max);
        g_autoptr(GBytes) chunk = g_bytes_new(fake->bytes->data + at, n);

        if (!tell(fake, stream, &told, at + n, error) ||
            !vsm_stream_feed(stream, chunk, error)) {
            return false;
        }
        at += n;
    }
    return vsm_stream_finish(stream, error) &&
           vsm_stream_documents(stream, &record->manifest, &record->document,
                                error);
}

VsmStored *fake_load(const FakeRecord *record, VsmPool *pool, GError **error)
{
    static const VsmPart parts[] = {VSM_PART_MAP, VSM_PART_LEAVES,
                                    VSM_PART_SKELETON};
    g_autoptr(VsmStored) stored =
        vsm_stored_new(record->manifest, record->document, error);

    for (guint i = 0; stored && i < G_N_ELEMENTS(parts); i++) {
        GByteArray *part = record->parts[parts[i]];

        for (gsize at = 0; at < part->len; at += VSM_CHUNK_BYTES / 64 * 48) {
            g_autoptr(GBytes) bytes =
                g_bytes_new(part->data + at,
                            MIN(part->len - at, VSM_CHUNK_BYTES / 64 * 48));

            if (!vsm_stored_add(stored, parts[i], bytes, error)) {
                return NULL;
            }
        }
    }
    if (!stored || !vsm_stored_prove(stored, pool, error)) {
        return NULL;
    }
    return g_steal_pointer(&stored);
}

VsmPool *fake_pool(guint threads, VsmHashBackend backend)
{
    g_autoptr(GError) error = NULL;
    VsmPool *pool = vsm_pool_new(threads, backend, &error);

    g_assert_no_error(error);
    return pool;
}

FakeRecord *fake_saved(const FakeStream *fake, VsmPool *pool, gsize chunk_max)
{
    g_autoptr(GError) error = NULL;
    FakeRecord *record = fake_record_new();

    fake_save(fake, pool, chunk_max, record, &error);
    g_assert_no_error(error);
    return record;
}

VsmStored *fake_loaded(const FakeRecord *record, VsmPool *pool)
{
    g_autoptr(GError) error = NULL;
    VsmStored *stored = fake_load(record, pool, &error);

    g_assert_no_error(error);
    return stored;
}
