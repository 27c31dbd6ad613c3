/*
 * VsmAttester: checks what the caller hands over, then dispatches.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "attester/attester.h"
#include "base/limits.h"
#include "base/text.h"

G_DEFINE_INTERFACE(VsmAttester, vsm_attester, G_TYPE_OBJECT)

static void vsm_attester_default_init(G_GNUC_UNUSED VsmAttesterInterface *iface)
{
}

G_GNUC_PRINTF(2, 3)
static bool invalid(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (error) {
        *error = g_error_new_valist(VSM_ERROR, VSM_ERROR_INVALID, format, args);
    }
    va_end(args);
    return false;
}

static bool check_vm(const VsmVm *vm, bool need_config, GError **error)
{
    if (!vsm_text_is_uuid(vm->uuid)) {
        return invalid(error,
                       "VM uuid \"%s\": not a lower-case uuid; start the VM "
                       "with -uuid",
                       vm->uuid ? vm->uuid : "");
    }
    if (need_config && (!vm->config || !vm->config[0])) {
        return invalid(error, "VM %s: no configuration text", vm->uuid);
    }
    if (vm->config && (strlen(vm->config) > VSM_CONFIG_BYTES_MAX ||
                       !g_utf8_validate(vm->config, -1, NULL))) {
        return invalid(error,
                       "VM %s: its configuration text is not UTF-8, or longer "
                       "than %u bytes",
                       vm->uuid, VSM_CONFIG_BYTES_MAX);
    }
    return !vm->name || !vm->name[0] ||
           vsm_text_check(vm->name, VSM_NAME_BYTES_MAX, "VM name", error);
}

bool vsm_attester_status(VsmAttester *self,
                         const VsmVm *vm,
                         VsmStatus **ret,
                         GCancellable *cancel,
                         GError **error)
{
    g_return_val_if_fail(VSM_IS_ATTESTER(self) && vm && ret, false);
    return check_vm(vm, false, error) &&
           VSM_ATTESTER_GET_IFACE(self)->status(self, vm, ret, cancel, error);
}

bool vsm_attester_list(VsmAttester *self,
                       GPtrArray **ret,
                       GCancellable *cancel,
                       GError **error)
{
    g_return_val_if_fail(VSM_IS_ATTESTER(self) && ret, false);
    return VSM_ATTESTER_GET_IFACE(self)->list(self, ret, cancel, error);
}

static bool check_id(const char *id, GError **error)
{
    if (!vsm_text_is_id(id)) {
        return invalid(error,
                       "snapshot id \"%s\": not 32 lower-case hex digits",
                       id ? id : "");
    }
    return true;
}

bool vsm_attester_remove(VsmAttester *self,
                         const char *id,
                         GCancellable *cancel,
                         GError **error)
{
    g_return_val_if_fail(VSM_IS_ATTESTER(self), false);
    return check_id(id, error) &&
           VSM_ATTESTER_GET_IFACE(self)->remove(self, id, cancel, error);
}

bool vsm_attester_forget(VsmAttester *self,
                         const char *id,
                         GCancellable *cancel,
                         GError **error)
{
    g_return_val_if_fail(VSM_IS_ATTESTER(self), false);
    return check_id(id, error) &&
           VSM_ATTESTER_GET_IFACE(self)->forget(self, id, cancel, error);
}

bool vsm_attester_seal_begin(VsmAttester *self,
                             const VsmSealRequest *request,
                             char **ret_id,
                             GCancellable *cancel,
                             GError **error)
{
    return check_vm(&request->vm, true, error) &&
           vsm_text_check_tag(request->tag, error) &&
           VSM_ATTESTER_GET_IFACE(self)->seal_begin(self, request, ret_id,
                                                    cancel, error);
}

bool vsm_attester_put(VsmAttester *self,
                      VsmPart part,
                      guint64 offset,
                      GBytes *bytes,
                      GCancellable *cancel,
                      GError **error)
{
    gsize length = g_bytes_get_size(bytes);

    if (part < VSM_PART_MANIFEST || part > VSM_PART_SKELETON) {
        return invalid(error, "part %d does not exist", part);
    }
    if (length > VSM_PIECE_BYTES_MAX || offset > G_MAXINT64 - length) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "a put of %zu bytes; %u at most", length,
                    VSM_PIECE_BYTES_MAX);
        return false;
    }
    return VSM_ATTESTER_GET_IFACE(self)->put(self, part, offset, bytes, cancel,
                                             error);
}

static bool check_container(const VsmContainer *container, GError **error)
{
    if (container->kind != VSM_CONTAINER_INTERNAL) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_UNSUPPORTED,
                    "snapshot container of kind %u: only internal snapshots "
                    "can be sealed",
                    container->kind);
        return false;
    }
    if (!vsm_text_check_tag(container->tag, error)) {
        return false;
    }
    if (container->disks && container->disks->len > VSM_DISKS_MAX) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "a snapshot on %u disks; %u at most", container->disks->len,
                    VSM_DISKS_MAX);
        return false;
    }
    if (!container->disks || container->disks->len < 1) {
        return invalid(error, "a snapshot without disks cannot be sealed");
    }
    for (guint i = 0; i < container->disks->len; i++) {
        const VsmDisk *disk = container->disks->pdata[i];

        if (!vsm_text_check(disk->device, VSM_REASON_BYTES_MAX,
                            "name of a disk", error)) {
            return false;
        }
    }
    return true;
}

bool vsm_attester_seal_finish(VsmAttester *self,
                              const VsmContainer *container,
                              const char *scope_reason,
                              GCancellable *cancel,
                              GError **error)
{
    return check_container(container, error) &&
           VSM_ATTESTER_GET_IFACE(self)->seal_finish(
               self, container, scope_reason, cancel, error);
}

bool vsm_attester_commit(VsmAttester *self,
                         VsmRecord **ret,
                         GCancellable *cancel,
                         GError **error)
{
    return VSM_ATTESTER_GET_IFACE(self)->commit(self, ret, cancel, error);
}

static bool check_nonce(const VsmCheckRequest *request, GError **error)
{
    gsize length = request->nonce ? g_bytes_get_size(request->nonce) : 0;

    if (request->nonce &&
        (length < VSM_NONCE_BYTES_MIN || length > VSM_NONCE_BYTES_MAX)) {
        return invalid(error, "nonce of %zu bytes: %u to %u are allowed",
                       length, VSM_NONCE_BYTES_MIN, VSM_NONCE_BYTES_MAX);
    }
    if (request->recipient && !request->nonce) {
        return invalid(error, "a recipient without a nonce: there is no report "
                              "without a nonce; give one");
    }
    return true;
}

bool vsm_attester_check_begin(VsmAttester *self,
                              const VsmCheckRequest *request,
                              VsmRecord **ret,
                              GCancellable *cancel,
                              GError **error)
{
    /* Offline (no configuration) only stored bytes can be checked. */
    bool need_config = request->purpose != VSM_PURPOSE_STORED;
    VsmAsked kind;
    const char *name;

    if (request->purpose < VSM_PURPOSE_LOAD ||
        request->purpose > VSM_PURPOSE_WATCH) {
        return invalid(error, "purpose %d does not exist", request->purpose);
    }
    return vsm_text_parse_asked(request->snapshot, &kind, &name, error) &&
           check_vm(&request->vm, need_config, error) &&
           check_nonce(request, error) &&
           VSM_ATTESTER_GET_IFACE(self)->check_begin(self, request, ret, cancel,
                                                     error);
}

bool vsm_attester_get(VsmAttester *self,
                      VsmPart part,
                      guint64 offset,
                      gsize bytes,
                      GBytes **ret,
                      GCancellable *cancel,
                      GError **error)
{
    if (part < VSM_PART_MANIFEST || part > VSM_PART_SKELETON) {
        return invalid(error, "part %d does not exist", part);
    }
    if (bytes > VSM_PIECE_BYTES_MAX || offset > G_MAXINT64 - bytes) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "a get of %zu bytes; %u at most", bytes,
                    VSM_PIECE_BYTES_MAX);
        return false;
    }
    return VSM_ATTESTER_GET_IFACE(self)->get(self, part, offset, bytes, ret,
                                             cancel, error);
}

bool vsm_attester_check_finish(VsmAttester *self,
                               const VsmMeasured *measured,
                               VsmVerdict **ret,
                               GCancellable *cancel,
                               GError **error)
{
    return VSM_ATTESTER_GET_IFACE(self)->check_finish(self, measured, ret,
                                                      cancel, error);
}

void vsm_attester_abort(VsmAttester *self)
{
    VSM_ATTESTER_GET_IFACE(self)->abort(self);
}
