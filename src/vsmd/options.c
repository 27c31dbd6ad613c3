/*
 * Settings of vsmd: a key file, and the command line over it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmd/options.h"
#include <string.h>
#include <vsm/admin.h>
#include "vsmd/peer.h"

#define PCR_MAX 22 /* 23 stands for the VM */
#define HOUR_MS (3600u * 1000)
#define THUMBPRINT_DIGITS 43 /* SHA-256 in base64url */

typedef enum {
    SETTING_TEXT,
    SETTING_NUMBER, /* guint */
    SETTING_BYTES, /* guint64 */
    SETTING_BOOL,
    SETTING_PCRS,
    SETTING_RECIPIENT, /* may be given more than once */
    SETTING_SINGLE,
} SettingType;

typedef struct {
    const char *name;
    SettingType type;
    gsize offset;
    guint min, max; /* of a number */
    const char *value, *text;
} Setting;

#define AT(member) offsetof(VsmOptions, member)

static const Setting settings[] = {
    {"listen", SETTING_TEXT, AT(listen), 0, 0, "PATH",
     "The socket for hypervisors (default: " VSM_ATTESTER_SOCKET ")"},
    {"admin", SETTING_TEXT, AT(admin), 0, 0, "PATH",
     "The socket for root (default: " VSM_ADMIN_SOCKET ")"},
    {"state-dir", SETTING_TEXT, AT(state_dir), 0, 0, "DIR",
     "The folder of sealed records (default: /var/lib/vsm)"},
    {"tcti", SETTING_TEXT, AT(tcti), 0, 0, "TCTI",
     "How the TPM is reached (default: device:/dev/tpmrm0)"},
    {"secret", SETTING_TEXT, AT(secret), 0, 0, "FILE",
     "The host secret, outside the state directory (default: the systemd "
     "credential vsm.secret, else /etc/vsm/secret)"},
    {"operator-key", SETTING_TEXT, AT(operator_key), 0, 0, "FILE",
     "Public key (PEM) that approves boot states; used at set-up only"},
    {"pcrs", SETTING_PCRS, AT(boot_pcrs), 0, 0, "LIST",
     "PCRs that stand for the host's boot state (default: 0-7, and 8, 9, 11 if "
     "they have a value)"},
    {"allow-unmeasured-boot", SETTING_BOOL, AT(allow_unmeasured_boot), 0, 0,
     NULL, "Accept boot PCRs that are all zero; each report says so"},
    {"metrics", SETTING_TEXT, AT(metrics), 0, 0, "unix:PATH|file:PATH",
     "Serve metrics on a socket, or write them to a file every 15 seconds"},
    {"seal-interval-ms", SETTING_NUMBER, AT(seal_interval_ms), 0, HOUR_MS, "MS",
     "Between two saves, or two removals, of one VM (default: 1000; 0: no "
     "limit)"},
    {"attest-interval-ms", SETTING_NUMBER, AT(attest_interval_ms), 0, HOUR_MS,
     "MS",
     "Between two attestations, loads or verifications of one VM (default: "
     "500; 0: no limit)"},
    {"command-timeout-ms", SETTING_NUMBER, AT(command_ms), 10, HOUR_MS, "MS",
     "Deadline of one TPM command (default: 10000)"},
    {"request-timeout-ms", SETTING_NUMBER, AT(request_ms), 10, HOUR_MS, "MS",
     "Deadline of one request, its wait for the TPM included (default: "
     "60000)"},
    {"message-timeout-ms", SETTING_NUMBER, AT(message_ms), 10, HOUR_MS, "MS",
     "How long one message may take either way (default: 10000)"},
    {"transaction-timeout-ms", SETTING_NUMBER, AT(transaction_ms), 10,
     24 * HOUR_MS, "MS",
     "How long a save or check may be idle before it is aborted (default: "
     "3600000)"},
    {"max-connections", SETTING_NUMBER, AT(max_connections), 1, 16384, "N",
     "Connections at one time (default: 1024), as far as the limits of tasks "
     "and descriptors allow"},
    {"vm-quota-bytes", SETTING_BYTES, AT(vm_quota_bytes), 0, 0, "BYTES",
     "Of all records of one VM, and no more than 1024 snapshots of it "
     "(default: 0, no limit)"},
    {"nv-burst", SETTING_NUMBER, AT(nv_burst), 1, 1000000, "N",
     "NV writes that may come at once (default: 20); one is kept for each "
     "other VM that wrote none lately, half of them at most"},
    {"nv-interval-ms", SETTING_NUMBER, AT(nv_interval_ms), 1, 24 * HOUR_MS,
     "MS", "One NV write more each (default: 10000)"},
    {"recipient", SETTING_RECIPIENT, AT(recipients), 0, 0, "THUMBPRINT",
     "Encrypt reports for this key (RFC 7638) only; may be repeated"},
    {"single-vm", SETTING_SINGLE, AT(singles), 0, 0, "USER=UUID",
     "A user that runs this one VM and no other; may be repeated"},
    {"verbose", SETTING_BOOL, AT(verbose), 0, 0, NULL,
     "Log each part that is sent or fetched"},
};

static void free_single(gpointer single)
{
    vsm_single_free(single);
}

VsmOptions *vsm_options_new(void)
{
    VsmOptions *options = g_new0(VsmOptions, 1);

    options->listen = g_strdup(VSM_ATTESTER_SOCKET);
    options->admin = g_strdup(VSM_ADMIN_SOCKET);
    options->state_dir = g_strdup("/var/lib/vsm");
    options->tcti = g_strdup("device:/dev/tpmrm0");
    options->command_ms = 10000;
    options->request_ms = 60000;
    options->message_ms = 10000;
    options->transaction_ms = HOUR_MS;
    options->seal_interval_ms = 1000;
    options->attest_interval_ms = 500;
    options->max_connections = 1024;
    options->recipients = g_ptr_array_new_with_free_func(g_free);
    options->singles = g_ptr_array_new_with_free_func(free_single);
    return options;
}

void vsm_options_free(VsmOptions *options)
{
    if (!options) {
        return;
    }
    for (guint i = 0; i < G_N_ELEMENTS(settings); i++) {
        if (settings[i].type == SETTING_TEXT) {
            g_free(*(char **)(void *)((char *)options + settings[i].offset));
        }
    }
    g_ptr_array_unref(options->recipients);
    g_ptr_array_unref(options->singles);
    g_free(options);
}

/* --- Values ----------------------------------------------------------- */

static bool
bad(GError **error, const Setting *setting, const char *value, const char *why)
{
    g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID, "%s \"%s\": %s",
                setting->name, value, why);
    return false;
}

static bool parse_pcr(const char *text, guint64 *ret)
{
    return g_ascii_string_to_unsigned(text, 10, 0, PCR_MAX, ret, NULL);
}

/* "0-7,11" */
static bool parse_pcrs(const char *text, guint32 *ret)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    guint32 mask = 0;

    for (guint i = 0; parts[i]; i++) {
        g_auto(GStrv) ends = g_strsplit(parts[i], "-", 2);
        guint64 first, last;

        if (!ends[0] || !parse_pcr(ends[0], &first) ||
            !parse_pcr(ends[1] ? ends[1] : ends[0], &last) || first > last) {
            return false;
        }
        for (guint64 pcr = first; pcr <= last; pcr++) {
            mask |= 1u << pcr;
        }
    }
    *ret = mask;
    return mask != 0;
}

static bool parse_bool(const char *text, bool *ret)
{
    static const char *const yes[] = {"yes", "true", "on", "1", NULL};
    static const char *const no[] = {"no", "false", "off", "0", NULL};

    *ret = g_strv_contains(yes, text);
    return *ret || g_strv_contains(no, text);
}

static bool set_number(const Setting *setting,
                       void *member,
                       const char *value,
                       GError **error)
{
    guint64 number;
    bool bytes = setting->type == SETTING_BYTES;

    if (!g_ascii_string_to_unsigned(value, 10, bytes ? 0 : setting->min,
                                    bytes ? G_MAXINT64 : setting->max, &number,
                                    NULL)) {
        g_autofree char *why = g_strdup_printf(
            "a number from %u to %" G_GUINT64_FORMAT " is needed",
            bytes ? 0 : setting->min,
            bytes ? (guint64)G_MAXINT64 : setting->max);

        return bad(error, setting, value, why);
    }
    if (bytes) {
        *(guint64 *)member = number;
    } else {
        *(guint *)member = number;
    }
    return true;
}

static bool set_element(const Setting *setting,
                        GPtrArray *list,
                        const char *value,
                        GError **error)
{
    VsmSingle *single;

    if (setting->type == SETTING_RECIPIENT) {
        if (strlen(value) != THUMBPRINT_DIGITS) {
            return bad(error, setting, value,
                       "the thumbprint of a JWK is 43 characters");
        }
        g_ptr_array_add(list, g_strdup(value));
        return true;
    }
    single = vsm_peer_parse_single(value, error);
    if (single) {
        g_ptr_array_add(list, single);
    }
    return single != NULL;
}

static bool set_value(VsmOptions *options,
                      const Setting *setting,
                      const char *value,
                      GError **error)
{
    void *member = (char *)options + setting->offset;

    switch (setting->type) {
    case SETTING_TEXT:
        if (!*value) {
            return bad(error, setting, value, "a text is needed");
        }
        g_free(*(char **)member);
        *(char **)member = g_strdup(value);
        return true;
    case SETTING_BOOL:
        return parse_bool(value, member) ||
               bad(error, setting, value, "give yes or no");
    case SETTING_PCRS:
        return parse_pcrs(value, member) ||
               bad(error, setting, value,
                   "give numbers and ranges from 0 to 22, such as 0-7,11");
    case SETTING_RECIPIENT:
    case SETTING_SINGLE:
        return set_element(setting, *(GPtrArray **)member, value, error);
    default:
        return set_number(setting, member, value, error);
    }
}

static const Setting *find(const char *name)
{
    for (guint i = 0; i < G_N_ELEMENTS(settings); i++) {
        if (strcmp(settings[i].name, name) == 0) {
            return &settings[i];
        }
    }
    return NULL;
}

bool vsm_options_set(VsmOptions *options,
                     const char *name,
                     const char *value,
                     GError **error)
{
    const Setting *setting = find(name);

    if (!setting) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "there is no setting \"%s\"; vsmd --help lists all", name);
        return false;
    }
    return set_value(options, setting, value, error);
}

/* --- Key file ---------------------------------------------------------- */

static bool
load_key(VsmOptions *options, GKeyFile *file, const char *key, GError **error)
{
    const Setting *setting = find(key);
    bool list = setting && (setting->type == SETTING_RECIPIENT ||
                            setting->type == SETTING_SINGLE);
    g_autofree char *value = NULL;
    g_auto(GStrv) values = NULL;

    if (!list) {
        value = g_key_file_get_string(file, VSM_OPTIONS_GROUP, key, NULL);
        return vsm_options_set(options, key, value ? value : "", error);
    }
    values =
        g_key_file_get_string_list(file, VSM_OPTIONS_GROUP, key, NULL, NULL);
    for (guint i = 0; values && values[i]; i++) {
        if (!set_value(options, setting, values[i], error)) {
            return false;
        }
    }
    return true;
}

bool vsm_options_load(VsmOptions *options,
                      const char *text,
                      const char *path,
                      GError **error)
{
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autoptr(GError) why = NULL;
    g_auto(GStrv) groups = NULL;
    g_auto(GStrv) keys = NULL;

    if (!g_key_file_load_from_data(file, text, -1, G_KEY_FILE_NONE, &why)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID, "%s: %s", path,
                    why->message);
        return false;
    }
    groups = g_key_file_get_groups(file, NULL);
    for (guint i = 0; groups[i]; i++) {
        if (strcmp(groups[i], VSM_OPTIONS_GROUP)) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                        "%s: there is one group, [" VSM_OPTIONS_GROUP
                        "], and no [%s]",
                        path, groups[i]);
            return false;
        }
    }
    keys = g_key_file_get_keys(file, VSM_OPTIONS_GROUP, NULL, NULL);
    for (guint i = 0; keys && keys[i]; i++) {
        if (!load_key(options, file, keys[i], error)) {
            g_prefix_error(error, "%s: ", path);
            return false;
        }
    }
    return true;
}

bool vsm_options_check(const VsmOptions *options, GError **error)
{
    const char *metrics = options->metrics;

    if (metrics && !g_str_has_prefix(metrics, "unix:/") &&
        !g_str_has_prefix(metrics, "file:/")) {
        return bad(error, find("metrics"), metrics,
                   "give unix: or file: and an absolute path");
    }
    if (strcmp(options->listen, options->admin) == 0) {
        return bad(error, find("admin"), options->admin,
                   "it is the socket for hypervisors");
    }
    return true;
}

/* --- Command line ------------------------------------------------------ */

/* GOption passes "--name"; the group's data are the options. */
static gboolean
take(const char *name, const char *value, gpointer data, GError **error)
{
    return vsm_options_set(data, name + strspn(name, "-"),
                           value ? value : "yes", error);
}

GOptionEntry *vsm_options_entries(void)
{
    GOptionEntry *entries = g_new0(GOptionEntry, G_N_ELEMENTS(settings) + 1);

    for (guint i = 0; i < G_N_ELEMENTS(settings); i++) {
        const Setting *setting = &settings[i];

        entries[i].long_name = setting->name;
        entries[i].arg = G_OPTION_ARG_CALLBACK;
        entries[i].arg_data = (gpointer)take;
        entries[i].description = setting->text;
        entries[i].arg_description = setting->value;
        entries[i].flags =
            setting->type == SETTING_BOOL ? G_OPTION_FLAG_NO_ARG : 0;
    }
    return entries;
}
