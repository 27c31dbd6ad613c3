/*
 * The MAC by which a record proves that this host made it.
 *
 * A record that no catalogue lists is swept, and with it the disk entries that
 * bear its mark: whoever can write the store must not be able to forge one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "base/codec.h"
#include "crypto/kdf.h"
#include "host/internal.h"

#define LABEL "VSM-MARK-1"

static void append_u64(GByteArray *fields, guint64 value)
{
    guint64 be = GUINT64_TO_BE(value);

    vsm_codec_append_field(fields, &be, sizeof(be));
}

bool vsm_host_mark_mac(VsmHost *host,
                       const VsmMetadata *metadata,
                       VsmDigest *ret,
                       GError **error)
{
    const VsmContainer *container = &metadata->container;
    g_autoptr(GByteArray) fields = g_byte_array_new();
    VsmKdfField none = {NULL, 0};
    g_autoptr(VsmSecret) key = vsm_kdfa(VSM_HASH_SHA384, host->secret, LABEL,
                                        none, none, VSM_DIGEST_BYTES, error);

    vsm_codec_append_text(fields, host->id);
    vsm_codec_append_text(fields, metadata->vm_uuid);
    vsm_codec_append_text(fields, metadata->id);
    vsm_codec_append_field(fields, &container->kind, sizeof(container->kind));
    vsm_codec_append_text(fields, container->tag);
    append_u64(fields, container->date_sec);
    append_u64(fields, container->date_nsec);
    append_u64(fields, container->vm_clock_nsec);
    append_u64(fields, container->icount);
    append_u64(fields, container->vmstate_bytes);
    return key && vsm_hmac(VSM_HASH_SHA384, key, fields->data, fields->len,
                           ret->b, error);
}

bool vsm_host_mark_known(VsmHost *host, const VsmMetadata *metadata)
{
    VsmDigest mac;

    return vsm_host_mark_mac(host, metadata, &mac, NULL) &&
           vsm_digest_equal(&mac, &metadata->mark_mac);
}
