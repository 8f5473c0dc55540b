/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * conn.h - the requests of one connection, and how it ends
 *
 * A connection is one byte stream and everything in flight on it. It comes in
 * two kinds with one interface: zcreq_stream_open() (stream.h) makes one that
 * sends on a socket by itself, or watches over the sends that a framework with a queue
 * of its own makes on it (zcreq_offer() in sender.h); zcreq_conn_open() makes one for a
 * framework whose sockets the library never sees, and that tells it about its writes with
 * zcreq_take() and zcreq_drop(), and ends them itself.
 *
 *    OPEN --drain--> DRAINING --all done--> CLOSED
 *      |                |                     ^
 *      '---- abort -----'--> ABORTING --------'  all done
 *                               |             |
 *                               '- deadline-> QUARANTINED   late proof
 */
#ifndef ZCREQ_CONN_H
#define ZCREQ_CONN_H

#include <zcreq/context.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct zcreq_conn;
struct msghdr;

/** The states of the picture above. */
enum zcreq_conn_state {
	ZCREQ_CONN_OPEN = 1,
	ZCREQ_CONN_DRAINING,
	ZCREQ_CONN_ABORTING,
	ZCREQ_CONN_QUARANTINED,
	ZCREQ_CONN_CLOSED,
};

/** Why a connection ends or has ended: see zcreq_conn_cause(). */
enum zcreq_cause {
	ZCREQ_CAUSE_NONE = 1,       /**< it goes on, or is still draining */
	ZCREQ_CAUSE_DRAINED,        /**< in order: on a stream the peer's kernel has all */
	ZCREQ_CAUSE_ABORTED,        /**< by zcreq_conn_abort() */
	ZCREQ_CAUSE_FREED,          /**< by zcreq_conn_free(), before it was closed */
	ZCREQ_CAUSE_DRAIN_DEADLINE, /**< the drain took longer than its timeout_ms */
	ZCREQ_CAUSE_VANISHED,       /**< the watchdog: the peer does not answer (stall_ms) */
	ZCREQ_CAUSE_NOT_READING,    /**< the watchdog: it reads nothing (not_reading_ms) */
	ZCREQ_CAUSE_IDLE,           /**< the watchdog: a limit for quiet peers has passed */
	ZCREQ_CAUSE_KERNEL_TIMEOUT, /**< the kernel gave up: TCP_USER_TIMEOUT, keepalive, or
					 retransmissions without an answer */
	ZCREQ_CAUSE_RESET,          /**< by the peer: it has closed without reading, or died */
	ZCREQ_CAUSE_SOCKET,         /**< another error of the socket: the status tells */
	ZCREQ_CAUSE_MEMORY,         /**< what was to be sent cannot be read (-EFAULT) */
	ZCREQ_CAUSE_DESCRIPTOR,     /**< somebody else has closed the descriptor */
	ZCREQ_CAUSE_SENDER,         /**< the sender, or the program that makes its own sends,
					 broke its contract (sender.h) */
};

/** What the watchdog makes of a connection without progress (stream.h). */
enum zcreq_stall {
	ZCREQ_STALL_VANISHED = 1, /**< nothing heard from the peer, data unacknowledged */
	ZCREQ_STALL_NOT_READING,  /**< the peer answers, but its window is closed */
	ZCREQ_STALL_CONGESTED,    /**< slow, but alive and moving, or only just quiet */
};

/**
 * struct zcreq_conn_hooks - what the owner of a connection hears; all optional
 * @abort:    the connection was aborted, by the caller or by the library. Stop
 *            reading from the descriptor, which has only errors to say, is still open and
 *            is not to be polled any more. A framework with sockets of its own makes its
 *            transport stop, and drops each of its holds when the transport no longer
 *            reads the memory, and not before: a write that was answered with an error
 *            may still be read from.
 * @closed:   the last thing heard of a connection: all its requests are
 *            released. On a stream the descriptor is still open during this
 *            call, so that a watcher can be removed from it, and is closed right
 *            after. @status is 0 after a drain, else what it was aborted with.
 *            The connection stays valid until zcreq_conn_free().
 * @room:     a send or a write was refused with -EAGAIN, or zcreq_room() has said how
 *            much would be taken, and there is room again: see there.
 * @stalled:  the watchdog looked at this connection; see stream.h. Called once
 *            for each change of verdict in one period without progress.
 * @message:  a message from the socket's error queue that is no notification
 *            (a timestamp, an ICMP error), as recvmsg(2) gave it; valid during
 *            the call, payload cut at 256 bytes (MSG_TRUNC tells).
 * @readable: there is something to read on the descriptor, an end of the stream
 *            included: read it with recv(2) and MSG_DONTWAIT. Called again, in the same
 *            turn or the next, while something is left, unless zcreq_stream_reading()
 *            switches it off; a program that leaves it on and does not read, or has read
 *            the end, keeps its loop from sleeping. A drain does not wait for a reader:
 *            when the peer has ended as well, what is left is not told of. Called once
 *            more after the abort hook, unless it is off, so that nobody waits here for a
 *            peer that is gone. What recv(2) then says is not why: the kernel has
 *            ECONNRESET once and ENOTCONN from then on (EAGAIN, while many are aborted at
 *            once and this one has not had its turn), and what was unread is lost.
 *            zcreq_conn_cause() says why, and abort and closed have the status.
 * @reserved: must be NULL
 *
 * All run from zcreq_turn() only and may call anything.
 */
struct zcreq_conn_hooks {
	void (*abort)(struct zcreq_conn *conn, int status, void *arg);
	void (*closed)(struct zcreq_conn *conn, int status, void *arg);
	void (*room)(struct zcreq_conn *conn, void *arg);
	void (*stalled)(struct zcreq_conn *conn, enum zcreq_stall verdict, void *arg);
	void (*message)(struct zcreq_conn *conn, const struct msghdr *message, void *arg);
	void (*readable)(struct zcreq_conn *conn, void *arg);
	void (*reserved[4])(void);
};

/**
 * struct zcreq_conn_options - how a connection without a socket is set up
 * @size:   sizeof(struct zcreq_conn_options)
 * @flags:  must be 0
 * @hooks:  borrowed until zcreq_conn_free(); may be NULL
 * @arg:    handed to every hook
 */
struct zcreq_conn_options {
	size_t size;
	uint32_t flags;
	const struct zcreq_conn_hooks *hooks;
	void *arg;
};

/**
 * zcreq_conn_open() - a connection for a framework that has its own sockets
 * @context:  the context
 * @options:  NULL for no hooks
 * @conn:     written on success
 *
 * Ownership: the caller's until zcreq_conn_free().
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL  a NULL, an options size that no version had, an unknown flag, or
 *                     something reserved in the hooks;
 *            -E2BIG   options of a newer library that this one cannot honour;
 *            -ENOMEM.
 * Source:    none.
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_conn_open(struct zcreq_context *context, const struct zcreq_conn_options *options,
		    struct zcreq_conn **conn);

/**
 * zcreq_conn_abort() - the connection is dead: get every buffer back
 * @conn:    open or draining
 * @status:  a negative errno that every request on it reports
 *
 * Refuses new work, settles every request, releases what the kernel never had,
 * and on a stream makes the kernel let go of the rest (connect(2) to AF_UNSPEC:
 * the peer gets a reset). Usually all proof is there when this returns, and the
 * next turn reports it. Packets that already sit in a queueing discipline or
 * a driver keep their pages for a little longer; proof of those is collected by
 * zcreq_turn(). What is not proven within linger_ms goes to quarantine.
 *
 * Of many connections that are aborted at once only some are disconnected before
 * the next zcreq_turn(), and some more in each turn after it, so that all others are
 * not stalled. Outcomes are reported without waiting for that.
 *
 * It does not wait, and it does not end requests whose owner has not finished
 * them, nor holds of the caller: those hear of it (aborting, the abort hook) and
 * the connection closes after the last of them.
 *
 * Ownership: buffers stay borrowed until each request's released callback.
 * Callback:  the abort hook, settled and aborting, then released as proof arrives,
 *            then the closed hook; never from inside this call. If it is called from a
 *            hook or a callback, settled, aborting and released may come before the
 *            abort hook.
 * Thread:    the context's.
 * Errors:    -EINVAL   conn is NULL, or status is not negative;
 *            -EALREADY it was aborted before, or is closed.
 * Source:    tcp_disconnect() in net/ipv4/tcp.c; doc/zcreq-lifecycle.7
 * Since:     0.1
 */
int zcreq_conn_abort(struct zcreq_conn *conn, int status);

/**
 * zcreq_conn_end() - the stream ends after what is queued, and reading goes on
 * @conn:  a stream, open
 *
 * What was queued before is sent, and then the end of the stream (shutdown(2) with
 * SHUT_WR); no more is queued. The connection stays, for its requests and for what the
 * peer still sends, until it is drained, aborted or freed; new requests may begin on it,
 * with holds. The state stays open.
 *
 * Ownership: unchanged.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL    conn is NULL, or has no socket;
 *            -EALREADY  the stream was ended before, or the connection is draining,
 *                       aborted or closed.
 * Source:    none.
 * Since:     0.1
 */
int zcreq_conn_end(struct zcreq_conn *conn);

/**
 * zcreq_conn_drain() - the graceful end
 * @conn:        open, its stream ended or not
 * @timeout_ms:  how long it may take, from the next turn on; then it is aborted with
 *               -ETIMEDOUT. 0: as long as it takes, without a limit.
 *
 * Refuses new requests and lets those in flight finish: their owners may still
 * send and must still finish them. When the last is released and all that was
 * queued has been sent, the stream is ended, and when the peer's kernel has
 * acknowledged every byte and the end, the descriptor is closed, with status 0. So
 * that status means that nothing is lost, whatever of the peer's was not read, and
 * however many duplicates the descriptor has. It does not mean that the peer's program
 * has read it. What comes in between is an error: a reset, the deadline, a peer that
 * has vanished (with stall_ms).
 *
 * The acknowledgement of the end is looked for by time: zcreq_turn() has to be called
 * when it says so.
 *
 * Ownership: unchanged.
 * Callback:  released as usual, then the closed hook.
 * Thread:    the context's.
 * Errors:    -EINVAL    conn is NULL;
 *            -EALREADY  draining, aborted or closed before.
 * Source:    none.
 * Since:     0.1
 */
int zcreq_conn_drain(struct zcreq_conn *conn, uint32_t timeout_ms);

/**
 * zcreq_conn_free() - the caller is done with the connection, whatever its state
 * @conn:  may be NULL
 *
 * A connection that is not closed is aborted with -ECANCELED first; draining is
 * cut short. No hook is called from now on, but every request still gets its own
 * callbacks, and the library keeps what the kernel may still read, and the
 * descriptor, until that is over.
 *
 * Ownership: the pointer is no longer the caller's. Buffers stay borrowed until
 *            released, requests that are not finished still have to be.
 * Callback:  none from inside this call; those of requests become due.
 * Thread:    the context's.
 * Errors:    none.
 * Source:    none.
 * Since:     0.1
 */
void zcreq_conn_free(struct zcreq_conn *conn);

/**
 * zcreq_conn_state() - where a connection is
 * @conn:  the connection
 *
 * Ownership: none.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL  conn is NULL.
 * Source:    none.
 * Since:     0.1
 *
 * Return: one of enum zcreq_conn_state, or an error.
 */
int zcreq_conn_state(const struct zcreq_conn *conn);

/**
 * zcreq_conn_cause() - why a connection ends or has ended
 * @conn:  any state
 *
 * Known from the abort on, and so in the abort hook, in callbacks of its requests, and in
 * the closed hook; the status beside it is an errno, of which one may have several causes.
 * Explanations (explain.h) and the trace have it too.
 *
 * Ownership: none.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL  conn is NULL.
 * Source:    none.
 * Since:     0.1
 *
 * Return: one of enum zcreq_cause, or an error.
 */
int zcreq_conn_cause(const struct zcreq_conn *conn);

/**
 * zcreq_conn_stats() - read the counters of one connection
 * @conn:   any state
 * @stats:  written, @size bytes of it
 * @size:   sizeof(struct zcreq_stats), as the caller was compiled: a library that
 *          knows less fills the rest with 0
 *
 * Ownership: the caller's struct.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL  a NULL, or a size of 0.
 * Source:    none.
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_conn_stats(const struct zcreq_conn *conn, struct zcreq_stats *stats, size_t size);

/**
 * zcreq_conn_context() - the context of a connection
 * @conn:  the connection, or NULL
 *
 * Thread:    the context's.
 * Since:     0.1
 *
 * Return: the context; NULL for NULL.
 */
struct zcreq_context *zcreq_conn_context(const struct zcreq_conn *conn);

/**
 * zcreq_conn_arg() - what a connection was opened with, as its hooks get it
 * @conn:  the connection, or NULL
 *
 * Ownership: the caller's.
 * Thread:    the context's.
 * Since:     0.1
 *
 * Return: the @arg of the options; NULL for NULL.
 */
void *zcreq_conn_arg(const struct zcreq_conn *conn);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
