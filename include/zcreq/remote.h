/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * remote.h - holds that end on another thread
 *
 * A backend that completes on a thread of its own (a pool of readers, a driver's
 * completion thread) gets a hold from the context's thread and gives it back from
 * where it is. Nothing else in the library may be called from there:
 *
 *	context's thread                      any other thread
 *	zcreq_remote_open(context, 0);
 *	zcreq_take(context, id, &hold);  -->  ... reads the buffers ...
 *	                                      zcreq_drop_remote(context, hold, 0);
 *	poll(zcreq_remote_fd(context));  <--
 *	zcreq_remote_process(context);
 *
 * Without a lock and without memory of its own: the entry of the hold is the link of
 * the queue. What is shared, and why that is safe, is in doc/remote.md.
 */
#ifndef ZCREQ_REMOTE_H
#define ZCREQ_REMOTE_H

#include <zcreq/request.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** For zcreq_remote_open(): no descriptor; the program never sleeps for long. */
#define ZCREQ_REMOTE_POLLED 1u

/**
 * zcreq_remote_open() - allow drops from other threads
 * @context:  the context
 * @flags:    0, or ZCREQ_REMOTE_POLLED
 *
 * Once, before the first hold goes to another thread; for as long as the context
 * lives. Makes an eventfd(2), by which a drop wakes the context's thread, unless the
 * program polls: zcreq_dispatch(), and whatever ends with it, takes in what has
 * arrived in either case. A loop with libzcreq-ev watches the descriptor by itself.
 *
 * Ownership: the descriptor is the library's, closed with the context. It is
 *            close-on-exec.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL    context is NULL, or an unknown flag;
 *            -EALREADY  it is open;
 *            -ENOMEM; and what eventfd(2) gives.
 * Source:    eventfd(2)
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_remote_open(struct zcreq_context *context, unsigned flags);

/**
 * zcreq_remote_fd() - what to poll for
 * @context:  the context
 *
 * Poll it for POLLIN, then call zcreq_remote_process(). An event can be early or
 * late by one: nothing may have arrived.
 *
 * Ownership: borrowed until the context is freed. Not to be read by anybody else.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL  context is NULL;
 *            -ENXIO   zcreq_remote_open() was not called, or with
 *                     ZCREQ_REMOTE_POLLED.
 * Source:    none.
 * Since:     0.1
 *
 * Return: the descriptor, or an error.
 */
int zcreq_remote_fd(const struct zcreq_context *context);

/**
 * zcreq_remote_process() - the descriptor is readable
 * @context:  the context
 *
 * Empties the descriptor, then does what zcreq_dispatch() does. Inside a callback it
 * does nothing, and the descriptor stays readable.
 *
 * Ownership: as each callback says.
 * Callback:  all that are due.
 * Thread:    the context's.
 * Errors:    -EINVAL  context is NULL;
 *            -ENXIO   zcreq_remote_open() was not called. Otherwise the number of
 *                     callbacks run.
 * Source:    eventfd(2)
 * Since:     0.1
 */
int zcreq_remote_process(struct zcreq_context *context);

/**
 * zcreq_drop_remote() - zcreq_drop(), from any thread
 * @context:  the hold's context
 * @hold:     used up by this call
 * @status:   as for zcreq_drop()
 *
 * The handle is used up at once: of several calls with one hold, also zcreq_drop() on
 * the context's thread, exactly one succeeds. Its effect on the request comes when the
 * context's thread dispatches; drops of one thread take effect in the order of its
 * calls. Takes no lock, allocates nothing and does not wait; legal in a signal
 * handler too.
 *
 * The hold keeps the context: zcreq_context_free() refuses while it is out, and for the
 * moment that a call needs to wake the other side after the hold has been taken in;
 * try again then. A call with a handle that is stale keeps nothing, so the program has
 * to know that the context is still there.
 *
 * Ownership: the hold is gone. What this thread did with the buffers before the call
 *            has happened for whoever hears released.
 * Callback:  none; settled and released may become due when it is taken in.
 * Thread:    any.
 * Errors:    -EINVAL  context is NULL or status is positive;
 *            -ENXIO   zcreq_remote_open() was not called;
 *            -ESTALE  dropped already, forged, or of another context; counted.
 * Source:    none.
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_drop_remote(struct zcreq_context *context, zcreq_hold hold, int status);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
