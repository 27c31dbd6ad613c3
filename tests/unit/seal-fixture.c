/*
 * Test help: something sealed to a host's state, and that it comes back.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "seal-fixture.h"

#include <string.h>

Snapshot *seal(Host *host)
{
    Snapshot *s = g_new0(Snapshot, 1);
    g_autoptr(GError) error = NULL;

    s->binding = host_binding(host);
    s->digest = digest_of("seal digest");
    s->extra = digest_of("extra data");
    g_assert_true(vsm_tpm_ssk_create(host->tpm, &s->ssk, &error));
    g_assert_no_error(error);
    g_assert_true(vsm_tpm_seal(host->tpm, &s->ssk, &s->binding, &s->digest,
                               &s->sealed, &error));
    g_assert_no_error(error);
    tap_reset(host->tap);
    return s;
}

void snapshot_free(Snapshot *s)
{
    vsm_tpm_object_clear(&s->ssk);
    vsm_tpm_object_clear(&s->sealed);
    g_free(s);
}

bool unseal(Host *host, Snapshot *s, GError **error)
{
    VsmDigest got;

    if (!vsm_tpm_unseal(host->tpm, &s->ssk, &s->sealed, &s->binding, NULL, &got,
                        NULL, error)) {
        return false;
    }
    g_assert_cmpmem(got.b, sizeof(got.b), s->digest.b, sizeof(s->digest.b));
    return true;
}

void assert_unseals(Host *host, Snapshot *s)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(unseal(host, s, &error));
    g_assert_no_error(error);
}

void assert_unseals_beside(Host *host, Snapshot *s, Meddler *meddler)
{
    tap_reset(host->tap);
    host->tap->hook = meddle;
    host->tap->opaque = meddler;
    assert_unseals(host, s);
    g_assert_cmpuint(meddler->times, ==, 0);
    g_assert_cmpuint(tap_count(host->tap, TPM2_CC_PolicyPCR), >, 2);
    host->tap->hook = NULL;
}

void assert_not_unsealed(Host *host,
                         Snapshot *s,
                         VsmError code,
                         const char *text)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(unseal(host, s, &error));
    g_assert_error(error, VSM_ERROR, (int)code);
    if (!strstr(error->message, text)) {
        g_error("'%s' does not say '%s'", error->message, text);
    }
}

void assert_no_leftovers(Host *host)
{
    for (guint i = 0; i < 2; i++) {
        g_autofree TPMS_CAPABILITY_DATA *data = NULL;
        TPMI_YES_NO more;
        guint32 first = i ? TPM2_LOADED_SESSION_FIRST : FIRST_TRANSIENT;

        g_assert_cmphex(Esys_GetCapability(host->tpm->esys, ESYS_TR_NONE,
                                           ESYS_TR_NONE, ESYS_TR_NONE,
                                           TPM2_CAP_HANDLES, first, 8, &more,
                                           &data),
                        ==, 0);
        g_assert_cmpuint(data->data.handles.count, ==, 0);
    }
}
