/*
 * Test help: a store with its TPM, and an attester for the fake VM.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "fake-vm.h"
#include "daemon-stub.h"
#include "attester/attester.h"
#include "host/local.h"
#include "tpm-fixture.h"

typedef struct {
    char *dir, *state, *secret; /* state and secret in dir */
    char *operator_public; /* its key beside it; NULL: frozen */
    char *proc; /* of the measured process: a small stand-in in dir */
    Swtpm *swtpm;
    Tap *tap; /* between the host and its TPM */
    VsmHostOptions options;
    VsmHost *host; /* NULL: closed */
    char *socket; /* where the daemon listens */
    Daemon *daemon; /* NULL: the attester is the local one itself */
    VsmAttester *attester;
    FakeVm *vm;
} Store;

/*
 * With VSM_TEST_REMOTE in the environment each store's attester is a remote
 * one, in front of a daemon with the local one.
 */

Store *store_new(void); /* boot PCRs extended, open */
/* The same with an operator's key on @curve ("prime256v1", "secp384r1"). */
Store *store_new_operator(const char *curve);
/* The same on a TPM that is there; steals @swtpm. */
Store *store_new_on(Swtpm *swtpm);
void store_free(Store *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Store, store_free)

bool store_open(Store *store, GError **error);
void store_close(Store *store);

/* An attester of this host for @uuid, no remote one; transfer full. */
VsmAttester *store_local(Store *store, const char *uuid, GError **error);

/* Ends and begins the daemon alone: host and TPM stay. */
void store_stop_daemon(Store *store);
void store_start_daemon(Store *store);
void store_reopen(Store *store); /* must succeed */

/* Shell with $S as the state folder; the test fails when it fails. */
void store_shell(Store *store, const char *line);

/* NAME.key and NAME.pub in the store's dir. */
void store_make_operator(Store *store, const char *curve, const char *name);
/* The operator's part; must succeed.  Transfer full. */
GBytes *store_sign(Store *store, GBytes *request, const char *name);
/* Approves the boot as it is; must succeed. */
void store_approve(Store *store, guint keep);

/* Saves, must succeed; returns the id. */
char *store_save(Store *store, const char *tag, bool replace);

/* Number of listed records, of debris. */
guint store_count(Store *store, bool listed);

/* The verdict's result of a check that must run. */
guint store_check(Store *store, VsmPurpose purpose, const char *snapshot);

/* A check of everything, which must match. */
void store_assert_match(Store *store, const char *snapshot);

/* Opening the store anew must fail with @code; the message says @says. */
void store_assert_closed(Store *store, int code, const char *says);

/* A check that must be refused with @code; returns the message. */
char *
store_refused(Store *store, VsmPurpose purpose, const char *snapshot, int code);
