/*
 * Every limit of libvsm, with its unit and its reason.
 *
 * A size that a file, a guest, a peer or the TPM names is compared with one of
 * these before it is used.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

/* Documents; bytes.  Far above what a VM needs, far below what hurts. */
#define VSM_MANIFEST_BYTES_MAX (4u * 1024 * 1024)
#define VSM_STREAM_DOCUMENT_BYTES_MAX 1024u /* fixed fields: about 200 */
#define VSM_SCOPE_BYTES_MAX (64u * 1024 * 1024)
#define VSM_METADATA_BYTES_MAX (64u * 1024)
#define VSM_SIGNATURE_BYTES_MAX (8u * 1024) /* TPMS_ATTEST and a signature */
#define VSM_CATALOGUE_BYTES_MAX (16u * 1024 * 1024)
#define VSM_HOST_FILE_BYTES_MAX (16u * 1024)
#define VSM_REPORT_BYTES_MAX (1024u * 1024) /* a JWS or JWE */
#define VSM_TRUST_BYTES_MAX (1024u * 1024) /* trust entries, policy */

/* The body of one message on the wire; bytes. */
#define VSM_MESSAGE_BYTES_MAX (1024u * 1024)
/*
 * One piece of a part, put or got; bytes.  Whole digests (48 bytes) and whole
 * runs of the map (24), with 16 bytes left for the rest of its message.
 */
#define VSM_PIECE_BYTES_MAX (VSM_MESSAGE_BYTES_MAX / 48 * 48)

/* Texts; bytes without the terminating zero. */
#define VSM_IDSTR_BYTES_MAX 255u /* QEMU's own limit of idstr */
#define VSM_TAG_BYTES_MAX 255u /* qcow2 allows 65535, QEMU's structs 255 */
#define VSM_NAME_BYTES_MAX 255u
#define VSM_REASON_BYTES_MAX 1023u
#define VSM_CONFIG_BYTES_MAX (40u * 1024) /* must fit into metadata */
#define VSM_ID_DIGITS 32u /* 128 random bits in hex */
#define VSM_UUID_DIGITS 36u /* RFC 4122 text */

/* TPM structures inside our formats; bytes. */
#define VSM_TPM_NAME_BYTES_MAX 66u /* 2 + SHA-512 */
#define VSM_TPM_OBJECT_BYTES_MAX 2048u /* TPM2B_PUBLIC or TPM2B_PRIVATE */

/* Requests. */
#define VSM_PROFILE_BYTES_MAX 64u
#define VSM_NONCE_BYTES_MIN 8u
#define VSM_NONCE_BYTES_MAX 64u
#define VSM_JWK_BYTES_MAX 1024u
#define VSM_FINDINGS_MAX 256u /* ranges or sections in one answer */
#define VSM_DISKS_MAX 64u
#define VSM_RESEAL_MAX 128u /* in one request, which each metadata keeps */
#define VSM_SIGNATURE_DER_BYTES_MAX 128u /* ECDSA over P-384: at most 104 */
/* Records of one VM that no catalogue lists: with so many no save begins, and
 * one list has no more; the next one has others once these are forgotten.
 * Whoever writes the store can make any number of folders. */
#define VSM_DEBRIS_MAX 256u
/* Sealed snapshots of one VM; with the longest tags they take 434 KiB of the
 * catalogue, which all VMs of a host share. */
#define VSM_LISTED_MAX 1024u

/* State. */
#define VSM_BLOCKS_MAX 1024u /* RAM blocks; QEMU has some 10 to 300 */
#define VSM_ABSENT_MAX 65536u /* absent ranges of one block */
#define VSM_SECTIONS_MAX 16384u /* vCPUs and devices */
#define VSM_MASKS_MAX 64u /* masks of one section */
#define VSM_SECTION_BYTES_MAX (64u * 1024 * 1024) /* is copied once */
#define VSM_RAM_BYTES_MAX (1ull << 44) /* 16 TiB: page numbers fit in u32 */
#define VSM_STREAM_BYTES_MAX (1ull << 45) /* pages may be sent twice */

/* Map: 24 bytes a run; 2^28 runs need 6 GiB, one a page of 1 TiB. */
#define VSM_RUNS_MAX (1u << 28)
#define VSM_RUN_STRIDE_MAX (1u << 20) /* a longer gap begins a new run */

/* Files that a hypervisor may have mapped executable in its life, and their
 * bytes; QEMU with all its libraries has some 200 and 300 MiB. */
#define VSM_HYPERVISOR_FILES_MAX 1024u
#define VSM_HYPERVISOR_BYTES_MAX (1u << 30)

/* Pool. */
#define VSM_POOL_THREADS_MAX 256u
/* Hash tasks of one engine not yet done, of about 1 MiB each; more threads than
   half of it may have two each. */
#define VSM_TASKS_IN_FLIGHT_MIN 32u

/* Protocol. */
#define VSM_ERROR_TEXT_BYTES_MAX 8191u /* of an error; longer ones are cut */
#define VSM_VALUE_BYTES_MAX 16u /* of a finding: old and new value */
#define VSM_TEXTS_MAX 65536u /* in one list of texts */

/* Runtime scope.  A Linux guest has 130 tables, 6500 pages, 9000 sites. */
#define VSM_WALK_TABLES_MAX (1u << 20) /* tables of one walk: 4 GiB of them */
/* Table entries that one capture may visit: a Linux guest of 256 MiB has some
   200,000, its page tables 4 times each; the limit takes less than a second. */
#define VSM_SCOPE_WORK_MIN (1ull << 26)
#define VSM_SCOPE_WORK_PAGE 32u /* more for each page of RAM */
#define VSM_SCOPE_WORK_MAX (1ull << 31)
#define VSM_SCOPE_PAGES_MAX (1u << 16) /* sealed pages: 256 MiB */
#define VSM_SCOPE_WITNESSES_MAX (1u << 17) /* 32 bytes each */
#define VSM_SCOPE_FACTS_MAX 4096u /* 40 bytes each; the rest is counted */
#define VSM_SCOPE_ROOTS_MAX (1u << 20) /* of the census, 8 bytes each */
#define VSM_SCOPE_TASKS 64u /* hashing and census tasks not yet done */
