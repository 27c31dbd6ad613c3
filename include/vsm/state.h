/*
 * How a hypervisor describes a VM's state to libvsm.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <vsm/digest.h>
#include <vsm/pagemap.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

/* Pages of one RAM block: @first, @count are in units of VSM_PAGE_BYTES. */
typedef struct {
    guint64 first, count;
} VsmRange;

/**
 * VsmRamBlock:
 * @idstr: QEMU's RAMBlock idstr; borrowed, 1 to 255 bytes
 * @bytes: used length, a multiple of VSM_PAGE_BYTES
 * @host: start of the block in this process; borrowed; NULL unless live RAM
 *        is measured
 * @absent: ranges with no memory behind them (virtio-mem), ascending and
 *          disjoint; borrowed; never read
 * @n_absent: number of @absent
 * @pagemap: the block is private anonymous memory of this process, and this
 *           knows its untouched pages, which then are never read; borrowed;
 *           NULL: each page is read
 */
typedef struct {
    const char *idstr;
    guint64 bytes;
    const guint8 *host;
    const VsmRange *absent;
    guint n_absent;
    const VsmPagemap *pagemap;
} VsmRamBlock;

/* Why bytes of a section are not compared; numbers are in the manifest. */
typedef enum {
    VSM_MASK_HOST_CLOCK = 1, /* follows the host's clock while stopped */
    VSM_MASK_RUN_STATE = 2, /* QEMU's run state, no device state */
    VSM_MASK_EXTERNAL = 3, /* state of a process beside QEMU */
} VsmMaskReason;

typedef struct {
    guint32 offset, bytes; /* in the section's payload */
    guint8 reason; /* VsmMaskReason */
} VsmMask;

typedef enum {
    VSM_SECTION_VCPU = 1,
    VSM_SECTION_DEVICE = 2,
} VsmSectionKind;

/**
 * VsmSection:
 *
 * One vmstate section; which of its bytes are masked is looked up in libvsm's
 * own table by @idstr and @version, never stated by the caller.
 */
typedef struct {
    const char *idstr; /* borrowed, 1 to 255 bytes */
    guint8 kind; /* VsmSectionKind */
    guint32 instance, version;
} VsmSection;

/**
 * VsmFinding:
 * @kind: one of "ram", "vcpu", "device", "geometry", "missing", "added",
 *        "body", "skeleton", or a kind of runtime.h; static
 * @where: RAMBlock, section (idstr/instance), part, or class of the runtime
 *         scope; owned
 * @offset: of the first differing byte or page, in bytes; for a section the
 *          offset is 0 when only digests are known; runtime scope: the guest's
 *          virtual address
 * @bytes: length of the range in bytes; 0 when unknown
 * @address: runtime scope: guest-physical address; else 0
 * @vcpu: runtime scope: the vCPU's index plus 1; 0: concerns no single vCPU
 * @sealed: runtime scope: old value, at most 16 bytes; owned; NULL: not known
 * @measured: runtime scope: new value, at most 16 bytes; owned; NULL
 *
 * A difference found between what was sealed and what was measured.  Never
 * holds guest bytes in full scope.
 */
typedef struct {
    const char *kind;
    char *where;
    guint64 offset, bytes;
    guint64 address;
    guint vcpu;
    GBytes *sealed, *measured;
} VsmFinding;

void vsm_finding_free(VsmFinding *finding);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmFinding, vsm_finding_free)

#pragma GCC visibility pop
G_END_DECLS
