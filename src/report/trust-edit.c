/*
 * Trust files as they change: hosts that come in, boot states that are
 * approved anew.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <vsm/enroll.h>

#include "base/limits.h"
#include "report/claims-read.h"
#include "report/json.h"
#include "report/trust.h"

/* The file, after vsm_trust_load() has found nothing wrong with it. */
static json_t *load(const char *text, GError **error)
{
    g_autoptr(VsmTrust) trust = vsm_trust_load(text, error);

    return trust ? vsm_json_load(text, VSM_TRUST_BYTES_MAX, "the trust file",
                                 error)
                 : NULL;
}

static bool same(const json_t *a, const json_t *b, const char *member)
{
    return strcmp(vsm_json_text(a, member), vsm_json_text(b, member)) == 0;
}

/* @to gets those of @from that it does not have; at most @keep. */
static void keep_pcrs(json_t *to, const json_t *from, guint keep)
{
    size_t i, j;
    json_t *old, *has;

    json_array_foreach(from, i, old)
    {
        bool known = false;

        json_array_foreach(to, j, has)
        {
            known = known || json_equal(has, old);
        }
        if (!known && keep > 0 &&
            json_array_size(to) < VSM_TRUST_PCR_SETS_MAX) {
            json_array_append(to, old);
            keep--;
        }
    }
}

/* Checked once more: what is written can be read. */
static bool finish(const json_t *file, char **ret, GError **error)
{
    g_autofree char *text = vsm_json_dump(file);
    json_auto_t *again = load(text, error);

    if (!again) {
        return false;
    }
    *ret = g_steal_pointer(&text);
    return true;
}

static bool same_keys(const json_t *a, const json_t *b)
{
    return same(a, b, "ak_public") && same(a, b, "rk_public");
}

/*
 * Takes away what @host stands in the place of.  The report key is an entry's
 * identity; the host id is only a name that a host gives itself.
 */
static bool
make_room(json_t *hosts, json_t *host, bool replace, guint keep, GError **error)
{
    size_t i = 0;

    while (i < json_array_size(hosts)) {
        const json_t *old = json_array_get(hosts, i);

        if (same_keys(old, host)) {
            keep_pcrs(json_object_get(host, "approved_pcrs"),
                      json_object_get(old, "approved_pcrs"), keep);
        } else if (!same(old, host, "host_id") &&
                   !same(old, host, "rk_public")) {
            i++;
            continue;
        } else if (!replace) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_POLICY,
                        "the trust file has other keys for the host %s: if "
                        "its TPM or store were exchanged, give --replace; if "
                        "not, somebody takes its name",
                        vsm_json_text(host, "host_id"));
            return false;
        }
        json_array_remove(hosts, i);
    }
    return true;
}

bool vsm_trust_merge(const char *trust,
                     const char *entry,
                     bool replace,
                     guint keep,
                     char **ret,
                     GError **error)
{
    json_auto_t *added = load(entry, error);
    json_auto_t *file =
        added ? load(trust ? trust : "{\"version\":1,\"hosts\":[]}", error)
              : NULL;
    size_t i;
    json_t *host;

    if (!file) {
        return false;
    }
    json_array_foreach(json_object_get(added, "hosts"), i, host)
    {
        json_t *hosts = json_object_get(file, "hosts");

        if (!make_room(hosts, host, replace, keep, error)) {
            return false;
        }
        json_array_append(hosts, host);
    }
    return finish(file, ret, error);
}

static json_t *find(json_t *hosts, const char *host_id, GError **error)
{
    json_t *found = NULL, *host;
    size_t i;

    json_array_foreach(hosts, i, host)
    {
        if (strcmp(vsm_json_text(host, "host_id"), host_id) != 0) {
            continue;
        }
        if (found) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                        "the trust file has more than one entry of the host "
                        "%s",
                        host_id);
            return NULL;
        }
        found = host;
    }
    if (!found) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_NOT_FOUND,
                    "the trust file has no host %s", host_id);
    }
    return found;
}

/* An update that asks for less would forget, say, the kernel for ever. */
static bool
check_covers(const json_t *old_sets, const VsmTpmPcrs *now, GError **error)
{
    const json_t *set;
    size_t i;

    json_array_foreach(old_sets, i, set)
    {
        VsmTpmPcrs old;

        if (!vsm_pcrs_read(set, "the trust file's PCRs", &old, error)) {
            return false;
        }
        if (old.mask & ~now->mask) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_POLICY,
                        "the new boot state leaves PCRs 0x%x out that the "
                        "approved one has: if this host measures less on "
                        "purpose, enrol it again",
                        old.mask & ~now->mask);
            return false;
        }
    }
    return true;
}

bool vsm_trust_update_pcrs(const char *trust,
                           const char *host_id,
                           const char *pcrs,
                           guint keep,
                           char **ret,
                           GError **error)
{
    json_auto_t *file = load(trust, error);
    json_auto_t *values =
        file ? vsm_json_load(pcrs, VSM_ENROLL_BYTES_MAX, "the PCRs", error)
             : NULL;
    json_t *host =
        values ? find(json_object_get(file, "hosts"), host_id, error) : NULL;
    json_auto_t *sets = json_array();
    VsmTpmPcrs checked;

    if (!host || !vsm_pcrs_read(values, "the PCRs", &checked, error) ||
        !check_covers(json_object_get(host, "approved_pcrs"), &checked,
                      error)) {
        return false;
    }
    json_array_append_new(sets, vsm_pcrs_write(&checked));
    keep_pcrs(sets, json_object_get(host, "approved_pcrs"), keep);
    json_object_set(host, "approved_pcrs", sets);
    return finish(file, ret, error);
}
