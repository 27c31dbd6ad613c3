/*
 * The runtime scope: what must not change in a healthy running x86-64 guest,
 * found from its vCPU registers and page tables alone.
 *
 * A capture reads registers and memory of a stopped VM and gives a scope
 * document; two documents of one guest boot are judged.  Nothing here knows a
 * hypervisor: registers and memory are handed in, so a dump serves as well.
 * docs/runtime-scope.md says what is covered and, first, what is not.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <vsm/attester.h>
#include <vsm/pool.h>
#include <vsm/state.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

/* Profiles: which changes of a healthy guest are borne. */
#define VSM_PROFILE_STANDARD "standard" /* the default */
#define VSM_PROFILE_STRICT "strict"

/* Kinds of findings; on the wire and in reports: never renamed. */
#define VSM_KIND_TEXT_BYTES "text-bytes"
#define VSM_KIND_RODATA_BYTES "rodata-bytes"
#define VSM_KIND_NEW_EXEC "new-exec"
#define VSM_KIND_GONE_EXEC "gone-exec"
#define VSM_KIND_NEW_WX "new-wx"
#define VSM_KIND_REMAPPED "remapped"
#define VSM_KIND_PERMISSIONS "permissions"
#define VSM_KIND_RO_LOST "ro-lost"
#define VSM_KIND_WRITABLE_ALIAS "writable-alias"
#define VSM_KIND_TABLE_BYTES "table-bytes"
#define VSM_KIND_REGISTER "register"
#define VSM_KIND_NESTED "nested"
#define VSM_KIND_SMM "smm"
#define VSM_KIND_FOREIGN_ROOT "foreign-root"
#define VSM_KIND_TRUNCATED "truncated"
#define VSM_KIND_TRACED_FUNCTION "traced-function"
#define VSM_KIND_STATIC_CALL "static-call"
#define VSM_KIND_JUMP_LABEL "jump-label"
#define VSM_KIND_JUMP_LABEL_INCONSISTENT "jump-label-inconsistent"
#define VSM_KIND_PATCH_IN_FLIGHT "patch-in-flight"
#define VSM_KIND_JIT_BYTES "jit-bytes"
#define VSM_KIND_FIRMWARE_BYTES "firmware-bytes"

/**
 * vsm_scope_kind_intern:
 * @kind: not NULL, untrusted
 *
 * Returns: the constant equal to @kind, static, as VsmFinding.kind wants it;
 *          NULL when it is no kind of the runtime scope
 */
const char *vsm_scope_kind_intern(const char *kind);

/* Base and limit of IDTR or GDTR; with the selector LDTR and TR. */
typedef struct {
    guint64 base;
    guint32 limit; /* last valid byte */
    guint16 selector; /* of LDTR and TR; else 0 */
} VsmX86Table;

/**
 * VsmX86Regs: registers of one vCPU, whole and unmasked
 * @smbase: 0 where the hypervisor has none
 * @cpl: 0 to 3
 * @parked: waits for a start-up IPI, and nothing less than that makes it
 *          execute anything; no other register is looked at then.  A vCPU that
 *          is merely halted is not: an interrupt has it run
 * @a20_masked: bit 20 of the addresses that it puts out is zero, so memory is
 *              not where the tables say
 * @smm: in system management mode: CR3 and the rest are not the kernel's
 * @nested: runs a guest of its own at the stop (QEMU: HF_GUEST_MASK)
 */
typedef struct {
    guint64 cr0, cr3, cr4, efer;
    guint64 star, lstar, cstar, fmask;
    guint64 sysenter_cs, sysenter_esp, sysenter_eip;
    guint64 pat, smbase, rip;
    VsmX86Table idtr, gdtr, ldtr, tr;
    guint8 cpl;
    bool parked, smm, nested, a20_masked;
} VsmX86Regs;

/**
 * VsmGuestMemory: a piece of guest-physical memory as a vCPU outside of SMM
 * sees it
 * @address: guest-physical, a multiple of VSM_PAGE_BYTES
 * @bytes: a multiple of VSM_PAGE_BYTES, not 0
 * @host: borrowed; where the first byte is
 * @rom: the guest cannot write it: part of class "firmware"
 * @pagemap: as in VsmRamBlock; borrowed; NULL: each page is read
 */
typedef struct {
    guint64 address, bytes;
    const guint8 *host;
    bool rom;
    const VsmPagemap *pagemap;
} VsmGuestMemory;

/**
 * VsmGuest: a stopped VM
 * @vcpus: borrowed; one for each vCPU, in the hypervisor's order
 * @n_vcpus: 1 to VSM_SCOPE_VCPUS_MAX
 * @memory: borrowed; ascending by address and disjoint; RAM and ROM, no MMIO,
 *          no absent range (virtio-mem)
 * @n_memory: at most VSM_SCOPE_MEMORY_MAX
 * @phys_bits: MAXPHYADDR of the vCPUs, 32 to 52
 *
 * All vCPUs and all that writes guest memory must be stopped during a capture.
 * It is read from the pool's threads too.
 */
typedef struct {
    const VsmX86Regs *vcpus;
    guint n_vcpus;
    const VsmGuestMemory *memory;
    guint n_memory;
    guint phys_bits;
} VsmGuest;

#define VSM_SCOPE_VCPUS_MAX 1024u
#define VSM_SCOPE_MEMORY_MAX 4096u

/**
 * VsmScopeStats: what a capture did; the same for the same input
 * @hashed_bytes: pages that were hashed
 * @table_pages: page-table pages that were read
 * @steps: entries of tables that were visited, and the like; far below the
 *         limit of a capture in a healthy guest
 * @leaves: mappings of the kernel's half, a large page counted as one
 * @roots: root tables that the census found
 * @witnesses: jump-label sites that the sealed read-only memory proves
 * @in_flight: sites at which a patch is under way
 */
typedef struct {
    guint64 hashed_bytes;
    guint table_pages, roots, witnesses, in_flight;
    guint64 leaves, steps;
} VsmScopeStats;

/**
 * vsm_scope_capture:
 * @guest: stopped
 * @pool: not NULL; used from this call alone
 * @sealed: (nullable): the proved scope of the snapshot, by whose classes and
 *          witnesses is measured; NULL: this capture will be sealed
 * @ret: (out): transfer full; the scope document; NULL: unavailable
 * @ret_reason: (out): transfer full; why it is unavailable, e.g. "the guest
 *              is not ready: no vCPU has paging on", at most 1023 bytes; NULL
 *              with a document
 * @ret_stats: (out) (optional)
 *
 * Nothing that a guest does makes it fail: without @sealed a guest that is not
 * ready has no scope, with it the document shows the difference, also when no
 * vCPU has paging any more.  Time and memory are bounded whatever the page
 * tables hold.
 *
 * The document is deterministic, but not equal to the sealed one whenever the
 * judgement is "match": it holds the states of jump labels and of JIT pages.
 *
 * Errors: INVALID (@guest breaks its rules), FORMAT or LIMIT (@sealed is no
 *         scope document, or the new one is too large), CRYPTO.
 *
 * Returns: true with @ret or @ret_reason set; outputs untouched on false
 */
bool vsm_scope_capture(const VsmGuest *guest,
                       VsmPool *pool,
                       GBytes *sealed,
                       GBytes **ret,
                       char **ret_reason,
                       VsmScopeStats *ret_stats,
                       GError **error);

/**
 * vsm_scope_profile_check:
 * @profile: (nullable): NULL: standard
 *
 * INVALID, naming the profiles, unless @profile is one.
 */
bool vsm_scope_profile_check(const char *profile, GError **error);

/**
 * vsm_scope_judge:
 * @sealed: proved scope document
 * @measured: untrusted scope document, captured with @sealed
 * @profile: (nullable): VSM_PROFILE_STANDARD (NULL too) or _STRICT
 * @ret: (out): transfer full: result MATCH or MISMATCH, findings (at most
 *       VSM_FINDINGS_MAX, and findings_left_out), tolerated and unattested
 *       (texts as "jump-label 0xffffffff81234567 on", "jit
 *       0xffffffffc0000000 13 pages"; the last may be "... and N more"),
 *       measured (SHA-384 of @measured), pages; all else zero or NULL
 *
 * A finding: kind of those above; where: the class, for a register
 * "cpu/NAME"; offset: guest-virtual address (class "firmware": physical);
 * bytes: length; address: physical where it is mapped now, or was; vcpu: index
 * plus 1; sealed, measured: old and new value, numbers big-endian, NULL where
 * only digests are known: then vsm_scope_explain() finds the bytes.
 *
 * Errors: INVALID, FORMAT, LIMIT, CRYPTO.
 */
bool vsm_scope_judge(GBytes *sealed,
                     GBytes *measured,
                     const char *profile,
                     VsmVerdict **ret,
                     GError **error);

/**
 * vsm_scope_may_retry:
 * @verdict: of one pass
 *
 * A patch that is under way at the stop is over a moment later: resume for
 * VSM_SCOPE_RETRY_MS, stop, capture again, at most VSM_SCOPE_RETRIES times.
 * That warns the guest, so only a pass whose findings are all
 * "patch-in-flight" or "jump-label-inconsistent" (Linux sets a key to zero
 * before it patches the first of its sites) may be followed by another: any
 * other finding stands.  Thereby the last pass has the union of all that was
 * found.
 *
 * Returns: whether another pass may follow
 */
bool vsm_scope_may_retry(const VsmVerdict *verdict);

#define VSM_SCOPE_RETRIES 5u
#define VSM_SCOPE_RETRY_MS 20u

/**
 * VsmScopePageFunc:
 * @address: guest-physical, a multiple of VSM_PAGE_BYTES
 * @page: VSM_PAGE_BYTES that it fills
 *
 * Gives the page as it was when @sealed was captured, proved by the caller
 * (a leaf of the snapshot), or as it is now.  Returns: false: not known.
 */
typedef bool (*VsmScopePageFunc)(gpointer opaque,
                                 guint64 address,
                                 guint8 *page);

/**
 * vsm_scope_explain:
 * @sealed: the proved scope of the snapshot
 * @findings: of VsmFinding, as judged; borrowed
 * @before: old pages
 * @now: measured pages, of the very stop that was judged
 *
 * Takes each finding that names pages without values apart into the ranges
 * that differ, old and new bytes with them; changed ftrace sites become
 * "traced-function", changed calls "static-call".  Sites of witnessed jump
 * labels are left out.  A page that is not known keeps its finding.
 *
 * Errors: FORMAT, LIMIT of @sealed.
 *
 * Returns: (transfer full): of VsmFinding, at most VSM_FINDINGS_MAX; those
 *          beyond are counted in @ret_left_out
 */
GPtrArray *vsm_scope_explain(GBytes *sealed,
                             GPtrArray *findings,
                             VsmScopePageFunc before,
                             VsmScopePageFunc now,
                             gpointer opaque,
                             guint64 *ret_left_out,
                             GError **error);

#pragma GCC visibility pop
G_END_DECLS
