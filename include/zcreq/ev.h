/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * ev.h - zcreq in a libev loop (library libzcreq-ev)
 *
 * One call: zcreq_ev_new() ties a context to a loop. From then on the context has its
 * turn each time before the loop sleeps, and the loop sleeps no longer than that says. The
 * program only opens, sends, and reads in the readable hook:
 *
 *	zcreq_ev_new(loop, context, &ev);
 *	zcreq_stream_open(context, &options, &conn);
 *	ev_run(loop, 0);
 *
 * A program that prefers an ev_io of its own on a stream's descriptor may have one, and
 * stops it in the abort or closed hook. libev reports an error condition to it as
 * readable: use MSG_DONTWAIT and take EAGAIN as nothing.
 */
#ifndef ZCREQ_EV_H
#define ZCREQ_EV_H

#include <zcreq/context.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct ev_loop;
struct zcreq_ev;

/**
 * zcreq_ev_new() - tie a context to a loop
 * @loop:     the loop that will serve it
 * @context:  tied to no other loop
 * @ev:       written on success
 *
 * Starts a watcher for zcreq_context_fd(), which keeps ev_run() going until
 * zcreq_ev_free() (or ev_unref(3)), a prepare watcher, and a timer.
 *
 * libev has no way to report that it has no memory for a watcher: it ends the
 * program with a message, unless ev_set_allocator() was given something better.
 *
 * Ownership: the caller's until zcreq_ev_free(). Loop and context are borrowed
 *            until then.
 * Callback:  none from inside this call; all that are due run in the loop.
 * Thread:    the loop's, which is then also the context's.
 * Errors:    -EINVAL  a NULL;
 *            -ENOMEM; and what zcreq_context_fd() gives.
 * Source:    ev_prepare in ev(3)
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_ev_new(struct ev_loop *loop, struct zcreq_context *context, struct zcreq_ev **ev);

/**
 * zcreq_ev_free() - untie a context
 * @ev:  may be NULL
 *
 * The context and its connections live on, and can be served in any other way. Legal
 * inside a callback.
 *
 * Ownership: the pointer is no longer the caller's.
 * Callback:  none.
 * Thread:    the loop's.
 * Errors:    none.
 * Source:    none.
 * Since:     0.1
 */
void zcreq_ev_free(struct zcreq_ev *ev);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
