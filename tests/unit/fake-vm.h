/*
 * Test help: a hypervisor without a VM: some RAM, some sections, a stream.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <vsm/host.h>
#include <vsm/snapshot.h>

#define FAKE_UUID "00112233-4455-6677-8899-aabbccddeeff"
#define FAKE_CONFIG "machine pc-i440fx-10.0\nsmp 2\nmemory 1 MiB\n"
#define FAKE_BLOCKS 2
#define FAKE_SECTIONS 3

typedef struct {
    guint8 *ram[FAKE_BLOCKS];
    guint pages[FAKE_BLOCKS];
    VsmRamBlock blocks[FAKE_BLOCKS];
    VsmSection sections[FAKE_SECTIONS];
    guint8 payload[FAKE_SECTIONS][64];
    const char *uuid; /* FAKE_UUID */
    const char *config; /* FAKE_CONFIG */
    GByteArray *disk; /* the stored stream */
    VsmPool *pool;
} FakeVm;

FakeVm *fake_vm_new(void);
FakeVm *fake_vm_new_with(guint pages); /* of its first block */
void fake_vm_free(FakeVm *vm);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FakeVm, fake_vm_free)

VsmVm fake_vm_describe(const FakeVm *vm);

/* The mark is made of @date_sec; frees with vsm_container_clear(). */
VsmContainer fake_container(const FakeVm *vm, const char *tag, guint date_sec);

/* Each step of a save asserts nothing: errors are the tests'. */
VsmSealing *fake_save_begin(FakeVm *vm,
                            VsmAttester *attester,
                            const char *tag,
                            bool replace,
                            GError **error);
bool fake_save_stream(FakeVm *vm, VsmSealing *sealing, GError **error);
/* All of it; id is NULL or gets the snapshot's id. */
bool fake_save(FakeVm *vm,
               VsmAttester *attester,
               const char *tag,
               bool replace,
               char **ret_id,
               GError **error);

VsmCheck *fake_check_begin(FakeVm *vm,
                           VsmAttester *attester,
                           VsmPurpose purpose,
                           const char *snapshot,
                           GBytes *nonce,
                           GError **error);
/* Measures RAM and sections, or feeds the stored bytes, and finishes. */
bool fake_check_finish(FakeVm *vm,
                       VsmCheck *check,
                       VsmPurpose purpose,
                       VsmVerdict **ret,
                       GError **error);
bool fake_check(FakeVm *vm,
                VsmAttester *attester,
                VsmPurpose purpose,
                const char *snapshot,
                GBytes *nonce,
                VsmVerdict **ret,
                GError **error);
