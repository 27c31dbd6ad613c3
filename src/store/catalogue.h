/*
 * The catalogue: which snapshots exist, and which catalogue is the true one.
 *
 * A snapshot exists if and only if the committed catalogue lists it.  The
 * body holds the value that the NV index had before, and its commit extends
 * the index by SHA-384(body): so the index proves exactly one content, and
 * every older copy is known as one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <vsm/digest.h>
#include <vsm/error.h>
#include "base/limits.h"

/**
 * VsmEntry:
 * @commit: NV value of its commit; zero bytes: the commit of this very body,
 *          whose value is not known before the body is
 * @metadata: SHA-384 of the metadata file
 * @tag: the snapshot's, so that it is known when its metadata is damaged
 */
typedef struct {
    char uuid[37], id[33], tag[VSM_TAG_BYTES_MAX + 1];
    VsmDigest commit, metadata;
} VsmEntry;

/* @entries: of VsmEntry, ascending by uuid, then id. */
typedef struct {
    VsmDigest previous;
    GArray *entries;
} VsmCatalogue;

VsmCatalogue *vsm_catalogue_new(const VsmDigest *previous);
VsmCatalogue *vsm_catalogue_copy(const VsmCatalogue *catalogue);
void vsm_catalogue_free(VsmCatalogue *catalogue);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VsmCatalogue, vsm_catalogue_free)

/* The entries of @uuid alone. */
VsmCatalogue *vsm_catalogue_of(const VsmCatalogue *catalogue, const char *uuid);

/* Borrowed, until the next change; NULL when absent. */
const VsmEntry *vsm_catalogue_find(const VsmCatalogue *catalogue,
                                   const char *uuid,
                                   const char *id);

/* Keeps the order; replaces an entry of the same uuid and id. */
void vsm_catalogue_put(VsmCatalogue *catalogue, const VsmEntry *entry);
bool vsm_catalogue_drop(VsmCatalogue *catalogue,
                        const char *uuid,
                        const char *id);

/* Entries with zero bytes as commit take @value. */
void vsm_catalogue_settle(VsmCatalogue *catalogue, const VsmDigest *value);

/*
 * Metadata that the commit of this body seals; zero bytes: none.  Of several,
 * which only a reseal has, the last: each has its own evidence beside it.
 */
void vsm_catalogue_sealed(const VsmCatalogue *catalogue, VsmDigest *ret);

/* Errors: LIMIT, FORMAT; @what names the file. */
GBytes *vsm_catalogue_encode(const VsmCatalogue *catalogue, GError **error);
VsmCatalogue *
vsm_catalogue_decode(GBytes *body, const char *what, GError **error);

/* The file: body, and what the AK says about it.  Members are owned. */
typedef struct {
    GBytes *body, *attest, *signature;
} VsmSigned;

void vsm_signed_clear(VsmSigned *file);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VsmSigned, vsm_signed_clear)
GBytes *vsm_signed_encode(const VsmSigned *file, GError **error);
bool vsm_signed_decode(GBytes *bytes,
                       const char *what,
                       VsmSigned *ret,
                       GError **error);

/* SHA-384(@previous || SHA-384(@body)): the index after the commit of @body. */
bool vsm_catalogue_value(const VsmDigest *previous,
                         GBytes *body,
                         VsmDigest *ret,
                         GError **error);

typedef enum {
    VSM_CATALOGUE_KEEP = 1, /* catalogue is true; next was never committed */
    VSM_CATALOGUE_TAKE_NEXT, /* next is committed: finish the rename */
    VSM_CATALOGUE_REPLAYED, /* neither: an older copy of the store */
} VsmCatalogueAction;

/**
 * vsm_catalogue_rule:
 * @nv: value of the index now
 * @value, @next: vsm_catalogue_value() of each file, NULL when it is absent or
 *                unreadable
 *
 * Pure.  The only place that decides which catalogue is believed.
 */
VsmCatalogueAction vsm_catalogue_rule(const VsmDigest *nv,
                                      const VsmDigest *value,
                                      const VsmDigest *next);
