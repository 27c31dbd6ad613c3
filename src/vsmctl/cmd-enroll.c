/*
 * vsmctl enroll: from a TPM's endorsement certificate to a trust entry.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <vsm/enroll.h>

#include "vsmctl/ask.h"
#include "vsmctl/output.h"
#include "vsmctl/request.h"
#include "vsmctl/secret-file.h"
#include "vsmctl/vsmctl.h"

/* The state holds a request, whose characters may need escapes. */
#define STATE_BYTES_MAX (2 * VSM_ENROLL_BYTES_MAX + 4096)
#define CA_BYTES_MAX (1024u * 1024)

static char *ek, *ek_ca, *state_path, *trust_path, *jwks_path, *out;
static gboolean allow_in_process, replace;
static int keep;

static const GOptionEntry options[] = {
    {"ek", 0, 0, G_OPTION_ARG_STRING, &ek,
     "request: which endorsement key, p-384 or rsa-2048 (default: the first "
     "that has a certificate)",
     "KIND"},
    {"ek-ca", 0, 0, G_OPTION_ARG_FILENAME, &ek_ca,
     "challenge: certificates of the TPM makers that are trusted, PEM", "FILE"},
    {"allow-in-process", 0, 0, G_OPTION_ARG_NONE, &allow_in_process,
     "challenge: take keys that are used inside QEMU's process: for tests and "
     "single VMs",
     NULL},
    {"state", 0, 0, G_OPTION_ARG_FILENAME, &state_path,
     "challenge makes it, accept takes it: the verifier's secret, which never "
     "leaves it",
     "FILE"},
    {"trust", 0, 0, G_OPTION_ARG_FILENAME, &trust_path,
     "accept: the trust file that the host comes into; made when absent",
     "FILE"},
    {"jwks", 0, 0, G_OPTION_ARG_FILENAME, &jwks_path,
     "accept: write the report key as a JWK set, for other JOSE tools", "FILE"},
    {"replace", 0, 0, G_OPTION_ARG_NONE, &replace,
     "accept: let the host take the place of other keys with its name", NULL},
    {"keep", 0, 0, G_OPTION_ARG_INT, &keep,
     "accept: how many older boot states of a host that is enrolled again stay "
     "approved (default: 0)",
     "N"},
    {"out", 'o', 0, G_OPTION_ARG_FILENAME, &out,
     "request, challenge, respond: the file to write (default: standard "
     "output)",
     "FILE"},
    {0},
};

static gint64 now(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

static bool needed(const char *value, const char *what, GError **error)
{
    if (!value) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "%s is missing: 'vsmctl enroll --help' describes it", what);
    }
    return value != NULL;
}

static bool write_out(const char *text, GError **error)
{
    return write_text_file(out ? out : "-", text, error);
}

/* --- The steps -------------------------------------------------------------
 */

static bool request(const char *path, GError **error)
{
    g_autofree char *text = NULL;

    (void)path;
    return ask_host(VSM_ADMIN_ENROLL_REQUEST, ek ? ek : "", NULL, &text,
                    error) &&
           write_out(text, error);
}

static bool challenge(const char *path, GError **error)
{
    g_autofree char *text = NULL, *ca = NULL, *made = NULL;
    char *state = NULL;
    bool ok;

    if (!needed(ek_ca, "--ek-ca FILE", error) ||
        !needed(state_path, "--state FILE", error) ||
        !(text = read_text_file(path, VSM_ENROLL_BYTES_MAX, error)) ||
        !(ca = read_text_file(ek_ca, CA_BYTES_MAX, error)) ||
        !vsm_enroll_challenge(text, ca, allow_in_process, now(), &made, &state,
                              error)) {
        return false;
    }
    ok = secret_file_write(state_path, state, error) && write_out(made, error);
    secret_text_free(state);
    return ok;
}

static bool respond(const char *path, GError **error)
{
    g_autofree char *text = NULL, *made = NULL;

    return (text = read_text_file(path, VSM_ENROLL_BYTES_MAX, error)) &&
           ask_host(VSM_ADMIN_ENROLL_RESPOND, text, NULL, &made, error) &&
           write_out(made, error);
}

static void print_entry(const char *entry)
{
    json_auto_t *file = json_loads(entry, 0, NULL);
    const json_t *host = json_array_get(json_object_get(file, "hosts"), 0);

    if (vsmctl_options.json) {
        vsmctl_print_json(host);
        return;
    }
    vsmctl_print_field("enrolled", trust_path);
    vsmctl_print_member("host", host, "host_id");
    vsmctl_print_member("attester", host, "attester");
    vsmctl_print_member("boot policy", host, "boot_policy");
    vsmctl_print_member("EK (SHA-384)", host, "ek_sha384");
    vsmctl_print_member("attestation key", host, "ak_name");
    vsmctl_print_member("report key", host, "rk_name");
}

/* What is in the way is found before the state is used up. */
static bool old_trust(char **ret, GError **error)
{
    g_autoptr(VsmTrust) trust = NULL;

    if (!g_file_test(trust_path, G_FILE_TEST_EXISTS)) {
        return true;
    }
    *ret = read_text_file(trust_path, INPUT_BYTES_MAX, error);
    trust = *ret ? vsm_trust_load(*ret, error) : NULL;
    return trust != NULL;
}

static bool
take(const char *response, char **entry, char **jwks, GError **error)
{
    char *state = secret_file_consume(state_path, STATE_BYTES_MAX, error);
    bool ok;

    if (!state) {
        return false;
    }
    ok =
        vsm_enroll_accept(state, response, vsmctl_options.allow_unmeasured_boot,
                          now(), entry, jwks, error);
    secret_text_free(state);
    if (!ok) {
        g_prefix_error(error, "not enrolled, and the challenge is used up: ");
    }
    return ok;
}

static bool accept(const char *path, GError **error)
{
    g_autofree char *text = NULL, *entry = NULL, *jwks = NULL;
    g_autofree char *before = NULL, *after = NULL;

    if (!needed(state_path, "--state FILE", error) ||
        !needed(trust_path, "--trust FILE", error) ||
        !(text = read_text_file(path, VSM_ENROLL_BYTES_MAX, error)) ||
        !old_trust(&before, error) || !take(text, &entry, &jwks, error) ||
        !vsm_trust_merge(before, entry, replace, MAX(keep, 0), &after, error) ||
        !write_text_file(trust_path, after, error) ||
        (jwks_path && !write_text_file(jwks_path, jwks, error))) {
        return false;
    }
    print_entry(entry);
    return true;
}

static const struct {
    const char *name;
    bool takes_file;
    bool (*run)(const char *path, GError **error);
} steps[] = {
    {"request", false, request},
    {"challenge", true, challenge},
    {"respond", true, respond},
    {"accept", true, accept},
};

static int run(char **args, GError **error)
{
    for (guint i = 0; i < G_N_ELEMENTS(steps); i++) {
        if (strcmp(steps[i].name, args[0]) != 0) {
            continue;
        }
        if ((args[1] != NULL) != steps[i].takes_file) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                        "enroll %s takes %s", args[0],
                        steps[i].takes_file ? "the document that it answers"
                                            : "no document");
            return -1;
        }
        return steps[i].run(args[1], error) ? VSMCTL_MATCH : -1;
    }
    g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                "the steps of an enrolment are request, challenge, respond and "
                "accept");
    return -1;
}

const VsmctlCommand vsmctl_enroll = {
    .name = "enroll",
    .args = "request | challenge REQUEST | respond CHALLENGE | accept RESPONSE",
    .verbs = "request challenge respond accept",
    .summary = "prove that a host's keys live in a TPM of a trusted maker",
    .text =
        "Four files between host and verifier, which need no other way that "
        "can be trusted. 'request' and 'respond' run on the host, with "
        "--daemon or on a state directory that no VM uses; 'challenge' and "
        "'accept' run at the verifier and need no TPM.\n\n"
        "'challenge' checks that the endorsement key's certificate leads to "
        "--ek-ca, that it is a TPM's and that key's, and that attestation and "
        "report key are such as VSM makes; then it encrypts a secret that only "
        "a TPM with both the endorsement key and the attestation key gives "
        "out. 'accept' takes the answer, once and within 10 minutes, and "
        "writes the host's entry into --trust. To approve a new boot state, "
        "enrol the host again or see 'vsmctl trust'.\n\n"
        "Revocation lists of TPM makers are not consulted.",
    .options = options,
    .takes = VSMCTL_TAKES_HOST | VSMCTL_TAKES_DAEMON,
    .n_args_min = 1,
    .n_args_max = 2,
    .run = run,
};
