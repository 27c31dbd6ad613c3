/*
 * Test help: an swtpm of one's own, and a transport that looks and interferes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include "tpm/esys.h"
#include "tpm/nv.h"
#include "tpm/seal.h"

/* As TPM2_TRANSIENT_FIRST and such, whose macros shift into the sign bit. */
#define FIRST_TRANSIENT 0x80000000u
#define FIRST_PERSISTENT 0x81000000u

/* --- swtpm ------------------------------------------------------------ */

typedef struct {
    char *dir, *socket, *tcti; /* in a temporary folder */
    GPid pid; /* 0: not running */
    const char *startup; /* swtpm's --flags */
} Swtpm;

Swtpm *swtpm_new(void); /* a fresh TPM, running */
void swtpm_free(Swtpm *swtpm); /* kills it, removes its folder */
void swtpm_start(Swtpm *swtpm); /* over the state it has */
void swtpm_kill(Swtpm *swtpm); /* kill -9 */
void swtpm_stop(Swtpm *swtpm); /* SIGSTOP: answers nothing */
void swtpm_continue(Swtpm *swtpm);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Swtpm, swtpm_free)

/**
 * swtpm_tool:
 * @line: a shell command, run in the temporary folder; tpm2-tools reach the
 *        TPM.  swtpm serves one client at a time: nobody else may be connected
 *
 * Returns: (transfer full): what it wrote to stdout; the test fails when it
 * fails
 */
char *swtpm_tool(Swtpm *swtpm, const char *line);
/* The same where the exit code is what is tested; -1 when it cannot run. */
int swtpm_try(Swtpm *swtpm, const char *line);
void swtpm_put(Swtpm *swtpm, const char *name, GBytes *bytes);
GBytes *swtpm_get(Swtpm *swtpm, const char *name);

/* --- A transport that looks and interferes ---------------------------- */

typedef struct Tap Tap;

/**
 * TapHook:
 * @code: TPM2_CC of the command that is about to go out
 *
 * Returns: 0 to send it; a TPM response code to answer in the TPM's stead
 */
typedef guint32 (*TapHook)(Tap *tap, guint32 code, gpointer opaque);

struct Tap {
    GByteArray *wire; /* all bytes, both ways */
    GArray *codes; /* of guint32: TPM2_CC of each command */
    guint delay_ms; /* before each command */
    guint lose_code; /* the answer of the next such command is lost */
    TapHook hook;
    gpointer opaque;
    TSS2_TCTI_CONTEXT *real; /* of the last connection, for a hook */
    GMutex lock; /* of @wire and @codes */
    gint open; /* atomic: connections, those that were given up included */
};

Tap *tap_new(void);
void tap_free(Tap *tap);
VsmTpmTransport tap_transport(Tap *tap);
void tap_reset(Tap *tap); /* forgets bytes and codes */
guint tap_count(Tap *tap, guint32 code);
char *tap_text(Tap *tap); /* the codes, for messages */
/* From a hook: another user of the TPM does this; the answer is dropped. */
void tap_send(Tap *tap, const guint8 *command, gsize size);
void tap_extend_pcr(Tap *tap, guint8 pcr);
bool tap_saw(Tap *tap, const guint8 *bytes, gsize size);

/* Another user of the TPM extends a PCR, with meddle() as the tap's hook. */
typedef struct {
    guint32 before; /* this command */
    guint8 pcr; /* is extended */
    guint times;
} Meddler;

guint32 meddle(Tap *tap, guint32 code, gpointer meddler);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Tap, tap_free)

/* --- What most tests begin with --------------------------------------- */

typedef struct {
    Swtpm *swtpm;
    Tap *tap;
    VsmTpm *tpm;
    VsmSecret *secret;
    VsmTpmKeys *keys;
} Host;

extern const char host_id[];

Host *host_new(GBytes *operator_public); /* set up, PCR 0 to 7 extended */
void host_close(Host *host); /* disconnects, for tools */
void host_open(Host *host); /* connects again */
void host_free(Host *host);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Host, host_free)

VsmDigest digest_of(const char *text);
VsmTpmBinding host_binding(Host *host); /* PCR 0 to 7 now, "qemu", "config" */
