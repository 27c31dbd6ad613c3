/*
 * Sections of the VM state: what libvsm is told about them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_SECTIONS_H
#define VSM_SECTIONS_H

#include "object.h"

/* Borrows @idstr.  */
VsmSection vsm_section(const char *idstr, uint32_t instance, uint32_t version);

/**
 * vsm_sections_capture:
 * @accept: also remember the forms that sections have right after a load
 *
 * Adds every section of the stopped VM, as it would be saved now, to the
 * check's measured manifest.  From the main thread, not from a coroutine.
 */
bool vsm_sections_capture(VsmManager *m,
                          VsmCheck *check,
                          bool accept,
                          Error **errp);

#endif /* VSM_SECTIONS_H */
