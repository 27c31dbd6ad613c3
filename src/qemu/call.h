/*
 * Blocking calls into libvsm, off the main thread
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VSM_CALL_H
#define VSM_CALL_H

#include "object.h"

/* Runs in a worker thread, without the BQL.  */
typedef bool VsmCall(void *opaque, GError **error);

/**
 * vsm_call:
 * @call: uses the attester; only one such call runs at a time
 *
 * From the main thread: waits in a nested event loop, so that BHs, timers of
 * the main context and coroutines go on.  From a coroutine: yields.  The code
 * of a failure is remembered as the operation's.
 */
bool vsm_call(VsmManager *m, VsmCall *call, void *opaque, Error **errp);

/**
 * vsm_query:
 * @cancel: new; the attester's call waits on it
 *
 * The same for questions beside an operation: no code is remembered.  In a
 * coroutine @cancel is cancelled when there is no answer after some seconds:
 * all QMP monitors share one that runs their commands.
 */
bool vsm_query(VsmManager *m,
               VsmCall *call,
               void *opaque,
               GCancellable *cancel,
               Error **errp);

/* The same without the attester: it may run beside such a call.  */
bool vsm_work(VsmManager *m, VsmCall *call, void *opaque, Error **errp);

/**
 * vsm_main_call:
 *
 * Runs @fn in the main thread, outside of this coroutine, as functions with
 * nested event loops want it; yields until it is done.
 */
void coroutine_fn vsm_main_call(void (*fn)(void *opaque), void *opaque);

/* Takes @error and sets @errp to its text, which has cause and remedy.  */
void vsm_error_convert(Error **errp, GError *error);

#endif /* VSM_CALL_H */
