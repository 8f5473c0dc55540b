/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * ev.h - zcreq in a libev loop (library libzcreq-ev)
 *
 * Two calls: zcreq_ev_new() ties a context to a loop, zcreq_ev_conn_new() ties one
 * of its connections. From then on the loop calls zcreq_process() when something
 * happened on the descriptor and zcreq_tick() before it sleeps, sleeps no longer
 * than that says, and sends what was queued in each turn with one
 * zcreq_flush() at the end of the turn. The program only begins, sends and
 * finishes:
 *
 *	zcreq_ev_new(loop, context, &ev);
 *	zcreq_ev_conn_new(ev, conn, &tie);
 *	ev_io_init(&reader, on_readable, zcreq_stream_fd(conn), EV_READ);
 *	ev_io_start(loop, &reader);
 *
 * Reading is the program's own business, with a watcher of its own on the same
 * descriptor. Three things follow from how poll(2) and libev work:
 *
 * - libev reports an error condition to every watcher as readable. While
 *   notifications wait, the program's watcher may be called with nothing to read:
 *   use MSG_DONTWAIT and take EAGAIN as nothing.
 * - A program that does not want to read for a while stops its watcher. This
 *   library goes on, and does not spin on the data that waits: it asks for errors
 *   and for room only, which an ev_io cannot express, through an epoll descriptor
 *   of its own that the loop watches.
 * - In the abort hook, or in the closed hook if there was no abort, the program
 *   stops its own watcher: the descriptor is about to be closed.
 */
#ifndef ZCREQ_EV_H
#define ZCREQ_EV_H

#include <zcreq/conn.h>
#include <zcreq/context.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct ev_loop;
struct zcreq_ev;
struct zcreq_ev_conn;
struct zcreq_ev_engine;

/**
 * zcreq_ev_new() - tie a context to a loop
 * @loop:     the loop that will serve it
 * @context:  tied to no other loop
 * @ev:       written on success
 *
 * Starts a prepare watcher, a timer and one watcher for all descriptors. They do
 * not keep ev_run() going by themselves; a tied connection does, and so does a
 * deadline of the context (a linger time, a watchdog with something to watch). The
 * descriptor that zcreq_threads_open() makes is watched as well, whenever it is made.
 *
 * libev has no way to report that it has no memory for a watcher: it ends the
 * program with a message, unless ev_set_allocator() was given something better.
 *
 * Ownership: the caller's until zcreq_ev_free(). Loop and context are borrowed
 *            until then.
 * Callback:  none from inside this call; all that are due run in the loop.
 * Thread:    the loop's, which is then also the context's.
 * Errors:    -EINVAL  a NULL;
 *            -ENOMEM; and what epoll_create1(2) gives.
 * Source:    ev_prepare in ev(3); epoll(7), "nested" descriptors
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_ev_new(struct ev_loop *loop, struct zcreq_context *context, struct zcreq_ev **ev);

/**
 * zcreq_ev_free() - untie a context
 * @ev:  may be NULL
 *
 * Unties the connections and engines that are left as well. The context and its connections
 * live on, and can be served in any other way. Legal inside a callback.
 *
 * Ownership: the pointer is no longer the caller's, nor is any struct
 *            zcreq_ev_conn or zcreq_ev_engine that came from it.
 * Callback:  none.
 * Thread:    the loop's.
 * Errors:    none.
 * Source:    none.
 * Since:     0.1
 */
void zcreq_ev_free(struct zcreq_ev *ev);

/**
 * zcreq_ev_conn_new() - tie a connection to the loop of its context
 * @ev:    of the connection's context
 * @conn:  a stream; in any state
 * @tie:   written on success
 *
 * What zcreq_events() asks for is waited for, and nothing once it asks for
 * nothing: after an abort the descriptor is left alone, so POLLHUP does not spin,
 * and the timer does what is left. This is heard of by zcreq_events_watch(), which is
 * not free for others while the connection is tied.
 *
 * Ownership: the caller's until zcreq_ev_conn_free(), which has to come before
 *            zcreq_conn_free(); the closed hook is the place for both. @conn is
 *            borrowed until then.
 * Callback:  none from inside this call.
 * Thread:    the loop's.
 * Errors:    -EINVAL  a NULL, a connection without a socket or of another context;
 *            -EBADF   the connection is closed;
 *            -EEXIST  it is tied already;
 *            -ENOMEM; and what epoll_ctl(2) gives.
 * Source:    epoll(7)
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_ev_conn_new(struct zcreq_ev *ev, struct zcreq_conn *conn, struct zcreq_ev_conn **tie);

/**
 * zcreq_ev_conn_free() - untie a connection
 * @tie:  may be NULL
 *
 * Legal inside any callback, also one of this connection's.
 *
 * Ownership: the pointer is no longer the caller's; the connection always was.
 * Callback:  none.
 * Thread:    the loop's.
 * Errors:    none.
 * Source:    none.
 * Since:     0.1
 */
void zcreq_ev_conn_free(struct zcreq_ev_conn *tie);

/**
 * zcreq_ev_engine_new() - let an engine with a descriptor of its own take part
 * @ev:      of the context that the engine serves
 * @fd:      becomes readable when the engine has something to do: zcreq_uring_fd().
 *           Watched edge-triggered, never read.
 * @flush:   called once in each turn before the loop sleeps; returns how much was done,
 *           and the loop does not sleep if that is more than 0. zcreq_uring_flush() is
 *           one. It must run no callback.
 * @arg:     handed to @flush
 * @engine:  written on success
 *
 * For streams that do not send through their socket. Each of them is tied with
 * zcreq_ev_conn_new() as well.
 *
 * Ownership: the caller's until zcreq_ev_engine_free(), at the latest before @fd is
 *            closed. @fd and @arg are borrowed until then.
 * Callback:  none from inside this call.
 * Thread:    the loop's.
 * Errors:    -EINVAL  a NULL, or fd is negative;
 *            -ENOMEM; and what epoll_ctl(2) gives.
 * Source:    epoll(7), EPOLLET
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_ev_engine_new(struct zcreq_ev *ev, int fd, int (*flush)(void *arg), void *arg,
			struct zcreq_ev_engine **engine);

/**
 * zcreq_ev_engine_free() - the engine takes no part any more
 * @engine:  may be NULL
 *
 * Legal inside any callback.
 *
 * Ownership: the pointer is no longer the caller's; the descriptor always was.
 * Callback:  none.
 * Thread:    the loop's.
 * Errors:    none.
 * Source:    none.
 * Since:     0.1
 */
void zcreq_ev_engine_free(struct zcreq_ev_engine *engine);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
