/*
 * One fixed example of each document of core, for known answers and mutants.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "core/document.h"
#include "core/manifest.h"
#include "core/map.h"
#include "core/metadata.h"

VsmManifest *fake_manifest(void);
VsmDocument fake_document(void);
VsmMap *fake_map(void); /* fits both */
VsmMetadata *fake_metadata(void);

/* Encoded; never NULL. */
GBytes *fake_manifest_bytes(void);
GBytes *fake_document_bytes(void);
GBytes *fake_map_bytes(void);
GBytes *fake_metadata_bytes(void);
