/*
 * VsmHost: open a store with its TPM and secret, setting up what is absent.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/codec.h"
#include "base/limits.h"
#include "host/debris.h"
#include "host/hostfile.h"
#include "host/internal.h"
#include "host/pending.h"
#include "host/secret.h"
#include "report/trust.h"

G_DEFINE_FINAL_TYPE(VsmHost, vsm_host, G_TYPE_OBJECT)

#define DEFAULT_REQUEST_MS 60000

static void vsm_host_init(VsmHost *host)
{
    g_mutex_init(&host->mutex);
    host->shares = vsm_shares_new();
    host->lock_fd = -1;
}

static void vsm_host_finalize(GObject *object)
{
    VsmHost *host = VSM_HOST(object);

    if (host->tpm) {
        vsm_pending_clear(host);
    }
    g_clear_pointer(&host->approved, g_array_unref);
    g_clear_pointer(&host->tpm, vsm_tpm_free);
    g_clear_pointer(&host->secret, vsm_secret_free);
    g_clear_pointer(&host->ak, vsm_key_free);
    g_clear_pointer(&host->catalogue, vsm_catalogue_free);
    g_clear_pointer(&host->store, vsm_dir_free);
    g_free(host->id);
    g_strfreev(host->recipients);
    g_free(host->last_error);
    vsm_shares_free(host->shares);
    if (host->lock_fd >= 0) {
        close(host->lock_fd);
    }
    g_mutex_clear(&host->mutex);
    G_OBJECT_CLASS(vsm_host_parent_class)->finalize(object);
}

static void vsm_host_class_init(VsmHostClass *klass)
{
    G_OBJECT_CLASS(klass)->finalize = vsm_host_finalize;
}

static bool exists(VsmHost *host, const char *name)
{
    return faccessat(host->store->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/*
 * A store whose host file is gone is not a new store: to set up anew would
 * give its records up, and the disks' snapshots with them.
 */
static bool is_new(VsmHost *host, bool *ret, GError **error)
{
    *ret = !exists(host, VSM_STORE_HOST);
    if (*ret && (exists(host, VSM_STORE_CATALOGUE) ||
                 exists(host, VSM_STORE_NEXT) || exists(host, "vm"))) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_TAMPERED,
                    "%s: holds snapshots but no host file; restore the file, "
                    "or use an empty state directory",
                    host->store->path);
        return false;
    }
    return true;
}

static bool
write_host_file(VsmHost *host, const VsmHostFile *file, GError **error)
{
    g_autoptr(GBytes) bytes = vsm_host_file_encode(file, host->secret, error);

    return bytes && vsm_file_replace(host->store, VSM_STORE_HOST, bytes, error);
}

static bool
load_secret(VsmHost *host, const char *path, bool make, GError **error)
{
    g_autoptr(GError) why = NULL;

    host->secret =
        vsm_host_secret_load(path, host->kind, host->store, make, &why);
    if (!host->secret && g_error_matches(why, VSM_ERROR, VSM_ERROR_NOT_FOUND)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_STORE,
                    "%s; the store %s was made with it: restore it, without "
                    "it no snapshot of this store can be used",
                    why->message, host->store->path);
        return false;
    }
    if (!host->secret) {
        g_propagate_error(error, g_steal_pointer(&why));
        return false;
    }
    return true;
}

static bool new_host_file(VsmHost *host, VsmHostFile *ret, GError **error)
{
    guint8 random[16];

    if (!vsm_random(random, sizeof(random), error)) {
        return false;
    }
    ret->id = vsm_codec_hex(random, sizeof(random));
    ret->kind = host->kind;
    return write_host_file(host, ret, error);
}

const char *vsm_host_kind_name(VsmHostKind kind)
{
    return kind == VSM_HOST_DAEMON ? "daemon" : "in-process";
}

static const char *where_used(VsmHostKind kind)
{
    return kind == VSM_HOST_DAEMON ? "by the daemon vsmd"
                                   : "inside hypervisor processes";
}

static bool read_host_file(VsmHost *host, VsmHostFile *ret, GError **error)
{
    g_autoptr(GBytes) bytes = NULL;

    if (!vsm_file_read(host->store, VSM_STORE_HOST, VSM_HOST_FILE_BYTES_MAX,
                       &bytes, error) ||
        !vsm_host_file_decode(bytes, host->secret, ret, error)) {
        g_prefix_error(error, "%s: ", host->store->path);
        return false;
    }
    if (ret->kind != host->kind) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_DENIED,
                    "%s: its keys are used %s, and are never used elsewhere; "
                    "give another state directory and secret",
                    host->store->path, where_used(ret->kind));
        return false;
    }
    return true;
}

static bool operator_public(const char *path, GBytes **ret, GError **error)
{
    g_autofree char *pem = NULL;
    g_autoptr(VsmKey) key = NULL;
    g_autoptr(GError) why = NULL;
    gsize bytes;

    if (!path) {
        return true;
    }
    if (!g_file_get_contents(path, &pem, &bytes, &why) ||
        !(key = vsm_key_new_pem(pem, bytes, &why))) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "operator key %s: %s; give a public EC key (P-256 or "
                    "P-384) in PEM form",
                    path, why->message);
        return false;
    }
    *ret = vsm_tpm_key_from_point(vsm_curve_bytes(vsm_key_curve(key)),
                                  vsm_key_x(key), vsm_key_y(key));
    return true;
}

/* Keys and index: used as pinned, or set up where that was not completed. */
static bool open_keys(VsmHost *host,
                      VsmHostFile *file,
                      const char *key_path,
                      GError **error)
{
    g_autoptr(GBytes) operator_key = NULL;

    if (file->keys && host->adopting) {
        return vsm_tpm_keys_restore(host->tpm, host->secret, file->id,
                                    file->keys, error);
    }
    if (file->keys) {
        return vsm_tpm_keys_use(host->tpm, host->secret, file->id, file->keys,
                                error);
    }
    return operator_public(key_path, &operator_key, error) &&
           vsm_tpm_keys_setup(host->tpm, host->secret, file->id, operator_key,
                              &file->keys, error) &&
           write_host_file(host, file, error);
}

static bool load_ak(VsmHost *host, GError **error)
{
    g_autoptr(VsmTpmKey) key = NULL;

    if (!vsm_tpm_key_decode(vsm_tpm_keys(host->tpm)->ak_public, &key, error)) {
        return false;
    }
    host->ak = vsm_key_new(key->bytes == 48 ? VSM_CURVE_P384 : VSM_CURVE_P256,
                           key->x, key->bytes, key->y, key->bytes, error);
    return host->ak != NULL;
}

static bool open_store(VsmHost *host,
                       const VsmHostOptions *options,
                       VsmHostFile *file,
                       GError **error)
{
    bool fresh;

    host->store = vsm_dir_open(options->state_dir, true, error);
    return host->store &&
           vsm_dir_lock(host->store, VSM_STORE_LOCK, &host->lock_fd, error) &&
           is_new(host, &fresh, error) &&
           load_secret(host, options->secret_path, fresh, error) &&
           (fresh ? new_host_file(host, file, error)
                  : read_host_file(host, file, error));
}

/*
 * The loader takes any library by its path, and "cmd" runs a shell command:
 * whoever may add the object must not get those.
 */
static bool check_tcti(const char *tcti, GError **error)
{
    static const char *const known[] = {"device", "swtpm", "mssim", "tabrmd"};
    gsize length = strcspn(tcti, ":");

    for (guint i = 0; i < G_N_ELEMENTS(known); i++) {
        if (strlen(known[i]) == length && !strncmp(tcti, known[i], length)) {
            return true;
        }
    }
    g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                "the TCTI \"%s\" is none that is allowed: give device:PATH, "
                "swtpm:..., mssim:... or tabrmd:...",
                tcti);
    return false;
}

/* The catalogue, and what is left of unfinished saves. */
static bool settle(VsmHost *host, GError **error)
{
    return vsm_host_recover(host, error) && vsm_debris_sweep_all(host, error);
}

static VsmHost *open_host(const VsmHostOptions *options,
                          VsmTpm *tpm,
                          bool adopting,
                          GError **error)
{
    g_autoptr(VsmHost) host = g_object_new(VSM_TYPE_HOST, NULL);
    g_auto(VsmHostFile) file = {NULL};

    host->tpm = tpm;
    host->adopting = adopting;
    host->kind = options->kind;
    host->recipients = g_strdupv((char **)options->recipients);
    if (!options->state_dir || !options->tcti) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "a state directory and a TCTI must be given");
        return NULL;
    }
    if (!check_tcti(options->tcti, error)) {
        return NULL;
    }
    host->boot_pcrs = options->boot_pcrs;
    host->allow_unmeasured_boot = options->allow_unmeasured_boot;
    host->vm_quota_bytes = options->vm_quota_bytes;
    host->request_ms =
        options->request_ms ? options->request_ms : DEFAULT_REQUEST_MS;
    if (!open_store(host, options, &file, error)) {
        return NULL;
    }
    vsm_host_budget_load(host, options->nv_burst, options->nv_interval_ms);
    host->id = g_strdup(file.id);
    if (!host->tpm) {
        host->tpm = vsm_tpm_open(options->tcti, options->command_ms, error);
    }
    if (!host->tpm ||
        !(host->boot_pcrs ||
          vsm_tpm_boot_mask(host->tpm, &host->boot_pcrs, error)) ||
        !open_keys(host, &file, options->operator_key_path, error) ||
        !load_ak(host, error) || !vsm_host_approved_load(host, error) ||
        !(adopting || settle(host, error))) {
        return NULL;
    }
    return g_steal_pointer(&host);
}

VsmHost *vsm_host_open_with_tpm(const VsmHostOptions *options,
                                VsmTpm *tpm,
                                GError **error)
{
    return open_host(options, tpm, false, error);
}

VsmHost *vsm_host_open(const VsmHostOptions *options, GError **error)
{
    return open_host(options, NULL, false, error);
}

VsmHost *vsm_host_adopt_with_tpm(const VsmHostOptions *options,
                                 VsmTpm *tpm,
                                 GError **error)
{
    return open_host(options, tpm, true, error);
}

VsmHost *vsm_host_open_to_adopt(const VsmHostOptions *options, GError **error)
{
    return open_host(options, NULL, true, error);
}

const char *vsm_host_boot_policy(VsmHost *host)
{
    return vsm_tpm_keys(host->tpm)->boot_index ? "operator" : "frozen";
}

bool vsm_host_keys(VsmHost *host, char **ret_json, GError **error)
{
    const VsmTpmKeys *keys = vsm_tpm_keys(host->tpm);
    VsmTpmPcrs pcrs;
    VsmTrustInput input = {
        .host_id = host->id,
        .attester = vsm_host_kind_name(host->kind),
        .ak_public = keys->ak_public,
        .rk_public = keys->rk_public,
        .pcrs = &pcrs,
        .boot_policy = vsm_host_boot_policy(host),
        .commit_index = keys->commit_index_name,
    };

    return vsm_tpm_read_boot(host->tpm, host->boot_pcrs,
                             host->allow_unmeasured_boot, &pcrs, error) &&
           vsm_trust_build(&input, ret_json, error);
}
