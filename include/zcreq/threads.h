/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * threads.h - what other threads may do to a context
 *
 * A context belongs to one thread. A worker pool, or a driver's completion thread, gets
 * work from that thread and gives the result back from where it is, in one of two ways;
 * nothing else in the library may be called from there:
 *
 *	context's thread                      any other thread
 *	zcreq_threads_open(context, 0);
 *	zcreq_take(context, id, &hold);  -->  ... reads the buffers ...
 *	                                      zcreq_post_drop(context, hold, 0);
 *	work->call.run = add_and_finish; -->  ... computes an answer ...
 *	                                      zcreq_post(context, &work->call);
 *
 * A hold that is dropped may be the last of its request, whose callback then runs on
 * the context's thread. A post is a call into that thread: its function may begin, add,
 * finish, and everything else that a callback may.
 *
 * Without a lock and without memory of its own: a hold's entry, or the caller's struct,
 * is the link of the queue. What is shared, and why that is safe, is in doc/threads.md.
 */
#ifndef ZCREQ_THREADS_H
#define ZCREQ_THREADS_H

#include <zcreq/request.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/**
 * struct zcreq_call - one call into the context's thread; part of a struct of the caller's
 * @run:   called once by the context's thread, from where callbacks run. The struct is
 *         the caller's again from the beginning of the call: it may post it again, or
 *         free what it is part of.
 * @next:  the library's
 */
struct zcreq_call {
	void (*run)(struct zcreq_call *call);
	struct zcreq_call *next;
};

/**
 * zcreq_threads_open() - let other threads drop and post
 * @context:  the context
 * @flags:    must be 0
 *
 * Once, before another thread is given anything; for as long as the context lives. A
 * drop or a post makes zcreq_context_fd() readable, if there is one; what has arrived is
 * taken in by the next turn in either case.
 *
 * Ownership: what it makes is the library's, and goes with the context.
 * Thread:    the context's.
 * Errors:    -EINVAL    context is NULL, or an unknown flag;
 *            -EALREADY  it is open;
 *            -ENOMEM; and what eventfd(2) and epoll_ctl(2) give.
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_threads_open(struct zcreq_context *context, unsigned flags);

/**
 * zcreq_post_drop() - zcreq_drop(), from any thread
 * @context:  the hold's context
 * @hold:     used up by this call
 * @status:   as for zcreq_drop()
 *
 * The handle is used up at once: of several calls with one hold, also zcreq_drop() on
 * the context's thread, exactly one succeeds. Its effect on the request comes when the
 * context's thread runs callbacks; drops of one thread take effect in the order of its
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
 * Thread:    any.
 * Errors:    -EINVAL  context is NULL or status is positive;
 *            -ENXIO   zcreq_threads_open() was not called;
 *            -ESTALE  dropped already, forged, or of another context; counted.
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_post_drop(struct zcreq_context *context, zcreq_hold hold, int status);

/**
 * zcreq_post() - call a function on the context's thread, from any thread
 * @context:  the context
 * @call:     its run is called once; not to be touched or posted again before
 *
 * Posts of one thread run in the order of its calls; between posts and drops there is
 * no order. Takes no lock, allocates nothing and does not wait; legal in a signal
 * handler too. zcreq_context_free() refuses while a post has not run.
 *
 * Ownership: the library's until @run is called. What this thread did before the call
 *            has happened for @run.
 * Thread:    any.
 * Errors:    -EINVAL  a NULL, also as @run;
 *            -ENXIO   zcreq_threads_open() was not called.
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_post(struct zcreq_context *context, struct zcreq_call *call);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
