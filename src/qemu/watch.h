/*
 * The watch: the runtime scope, measured again and again
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_WATCH_H
#define VSM_WATCH_H

#include "object.h"

#define VSM_WATCH_S_MIN 2
#define VSM_WATCH_S_MAX 86400

/* Whether @seconds and @snapshot can be a watch.  */
bool vsm_watch_check(uint32_t seconds, const char *snapshot, Error **errp);

/* Begins anew with @snapshot, copied; @seconds 0: ends the watch.  */
void vsm_watch_set(VsmManager *m, uint32_t seconds, const char *snapshot);

/* Snapshots changed, or the VM is another: the baseline is looked up again. */
void vsm_watch_renew(VsmManager *m);

/*
 * A load made the VM another, be it only in part: what was seen of the former
 * one says nothing of it.  The same attack on it is another attack.
 */
void vsm_watch_loaded(VsmManager *m);

/* Whether it still has to report what it stopped the VM for.  */
bool vsm_watch_keeps(VsmManager *m);

/* QEMU ends: waits for what is under way, which is cancelled, and ends.  */
void vsm_watch_shutdown(VsmManager *m);

/* Its last result in words; NULL: there is no watch.  (transfer full)  */
VsmWatchInfo *vsm_watch_info(VsmManager *m);

/* Nothing is under way any more.  */
void vsm_watch_free(VsmManager *m);

#endif /* VSM_WATCH_H */
