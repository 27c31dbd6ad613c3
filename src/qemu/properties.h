/*
 * QOM properties of the snapshot manager
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_PROPERTIES_H
#define VSM_PROPERTIES_H

#include "object.h"

/* Adds all properties, none of which changes once the object is complete.  */
void vsm_properties_add(ObjectClass *oc);

/* "0-7,11" as a bit mask.  */
bool vsm_pcrs_parse(const char *text, uint32_t *ret_mask, Error **errp);

#endif /* VSM_PROPERTIES_H */
