/*
 * C structs as GVariant tuples, by a table of their members.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

typedef enum {
    VSM_WIRE_TEXT, /* char *: s, or ms when it may be NULL */
    VSM_WIRE_KIND, /* const char *, one of a list of static words: s */
    VSM_WIRE_BYTES, /* GBytes *: ay, or may when it may be NULL */
    VSM_WIRE_DIGEST, /* VsmDigest: ay */
    VSM_WIRE_BOOL, /* bool: b */
    VSM_WIRE_U8, /* guint8: y */
    VSM_WIRE_U32, /* guint32, guint, an enum: u */
    VSM_WIRE_U64, /* guint64: t */
    VSM_WIRE_I64, /* gint64: x */
    VSM_WIRE_STRUCT, /* another struct, by value: its tuple */
    VSM_WIRE_TEXTS, /* GPtrArray * of char *: as, or mas */
    VSM_WIRE_STRUCTS, /* GPtrArray * of another struct: a(...), or ma(...) */
} VsmWireType;

typedef struct VsmWire VsmWire;

/*
 * One member.  @max: bytes of a text or of bytes, elements of an array, or the
 * largest number; 0: no limit but the message's.  @cut: a longer text is
 * shortened when encoded.  @intern: of VSM_WIRE_KIND: the static word equal to
 * an untrusted one, or NULL.
 */
typedef struct {
    const char *name;
    gsize offset, bytes;
    VsmWireType type;
    bool null, cut;
    guint64 min, max;
    const VsmWire *inner;
    const char *(*intern)(const char *word);
} VsmWireMember;

/*
 * One struct.  @check: what the members' own limits cannot say; NULL: nothing.
 */
struct VsmWire {
    const char *name;
    gsize bytes;
    const VsmWireMember *members;
    guint n_members;
    bool (*check)(gconstpointer value, GError **error);
    GDestroyNotify free; /* of an element of an array; else NULL */
};

/* The tuple's type string; transfer full. */
char *vsm_wire_type(const VsmWire *wire);

/* Floating; NULL and LIMIT or INVALID when @value does not fit its table. */
GVariant *
vsm_wire_encode(const VsmWire *wire, gconstpointer value, GError **error);

/**
 * vsm_wire_decode:
 * @tuple: of the table's type, in normal form
 *
 * Errors: FORMAT, LIMIT.
 *
 * Returns: (transfer full): a new struct; vsm_wire_free().  Its texts, GBytes
 * and arrays are allocated as the public free functions want them.
 */
gpointer vsm_wire_decode(const VsmWire *wire, GVariant *tuple, GError **error);

void vsm_wire_free(const VsmWire *wire, gpointer value); /* NULL allowed */
