/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * context.h - one thread's tables, statistics, clock and configuration
 *
 * Everything else lives in a context. The library takes no lock and starts no thread,
 * and has no global that can be written to, but for the semaphore that a tracer raises to
 * attach to the static probes. A context and all that is in it belong to one thread at a
 * time, and two contexts share nothing. (libzcreq-guard, a tool for finding
 * defects, watches pages of the whole process; it has state of its own and a lock.) The ways
 * in from another thread are zcreq_post_drop() and zcreq_post().
 *
 * Rules that hold for the whole interface, said once:
 *
 * - Every function that can fail returns 0 (or a count) or a negative errno, and
 *   leaves errno itself alone. Out-parameters are written on success only.
 * - Callbacks run from zcreq_turn() and nowhere else. A callback may call anything,
 *   also zcreq_conn_free() on its own connection; a zcreq_turn() inside a callback
 *   does nothing, so recursion is one level deep.
 * - Options structs begin with their own size, and with flags. Zero in any other
 *   member means the default. A size that is too small is -EINVAL; one that is larger
 *   than this library knows is accepted if the rest is zero, else -E2BIG. A flag that
 *   it does not know is -EINVAL.
 * - Tables of functions that a program fills in end with reserved members. They must be
 *   NULL, as they are in a table that is initialised by the names of members; else what
 *   is given the table refuses it with -EINVAL.
 * - Time enters through zcreq_turn() only, in nanoseconds of any clock that does
 *   not jump. No timer reads a clock. A context reads one once, when it is made, so that
 *   its handles are not those of another context; and a page says by one when it was
 *   written (page.h).
 * - After fork() only one of the two processes may go on using a context.
 */
#ifndef ZCREQ_CONTEXT_H
#define ZCREQ_CONTEXT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __GNUC__
#define ZCREQ_MUST_CHECK __attribute__((warn_unused_result))
#else
#define ZCREQ_MUST_CHECK
#endif

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct zcreq_context;

/** No deadline: what zcreq_turn() returns when nothing waits for time. */
#define ZCREQ_NEVER UINT64_MAX

/**
 * struct zcreq_allocator - where the library's own memory comes from
 * @calloc:  as calloc(3); may fail with NULL, which the caller of the library
 *           sees as -ENOMEM and which never loses anything
 * @free:    as free(3), for what @calloc gave; never called with NULL
 * @arg:     handed to both
 * @reserved: must be NULL
 *
 * Callers' buffers are never allocated here: the library does not own any.
 */
struct zcreq_allocator {
	void *(*calloc)(size_t count, size_t size, void *arg);
	void (*free)(void *memory, void *arg);
	void *arg;
	void (*reserved[2])(void);
};

/**
 * struct zcreq_context_options - how a context is set up
 * @size:          sizeof(struct zcreq_context_options)
 * @flags:         must be 0
 * @max_requests:  limit on requests in flight, at most ZCREQ_MAX_REQUESTS,
 *                 which is also the default
 * @allocator:     copied; NULL is calloc(3) and free(3)
 * @reserve_requests: memory for so many requests in flight is there from the start: up to
 *                 here zcreq_begin() and zcreq_send() do not answer -ENOMEM for it. At
 *                 most max_requests. See zcreq_stream_options for what a stream needs
 * @reserve_holds: the same of holds, at most ZCREQ_MAX_REQUESTS
 * @detached_bytes: of what was detached the kernel may keep so many bytes at a time: see
 *                 zcreq_detach() in memory.h; 0 is no limit
 */
struct zcreq_context_options {
	size_t size;
	uint32_t flags;
	uint32_t max_requests;
	const struct zcreq_allocator *allocator;
	uint32_t reserve_requests;
	uint32_t reserve_holds;
	uint64_t detached_bytes;
};

/** Requests that one context can track at a time; holds have the same limit. */
#define ZCREQ_MAX_REQUESTS ((uint32_t)1 << 26)

/**
 * struct zcreq_stats - what a context, or one connection, has seen since it was made
 *
 * Always on. Counters only grow, and a context's include connections that are gone;
 * those named "now", and the age, are gauges. Whatever can be worked out when
 * somebody asks is not counted before.
 *
 * @begun:               requests begun
 * @released:            requests reported released, late ones included
 * @aborted:             requests whose connection, or which themselves, were aborted
 * @stale_handles:       calls refused because the handle was used up, forged
 *                       or of another context: a double completion shows here. Of a
 *                       connection: those whose request is still known
 * @requests_now:        begun and not yet released
 * @holds_now:           callers' holds taken and not yet dropped
 * @quarantined_now:     requests in quarantine
 * @quarantined_bytes_now: bytes of sends in quarantine
 * @connections_now:     connections not yet closed
 * @connections_aborted: connections that did not end by a drain
 * @unsent_bytes_now:    bytes queued that the kernel has not accepted
 * @kernel_bytes_now:    bytes accepted, of sends and writes that wait for proof
 * @batches_now:         accepted calls that wait for proof
 * @send_calls:          calls of sendmsg
 * @sent_bytes:          bytes the kernel accepted
 * @zerocopy_batches:    accepted calls that were given a notification id
 * @copied_batches:      accepted calls that copied
 * @notifications:       notification ids taken as proof, of sends that took something
 * @notified_copied:     of these, those where the kernel says it copied after all
 * @bogus_ranges:        notifications refused: ids that were never given, or all of sends
 *                       that were made before the stream was opened
 * @duplicate_ids:       ids notified again; ignored
 * @foreign_messages:    error-queue messages that are not notifications
 * @foreign_lost:        of these, those dropped for want of memory or a limit
 * @no_buffers:          ENOBUFS answers survived: the sum of the next three
 * @no_buffers_option:   of these, for want of option memory, which proof gives back
 *                       (net.core.optmem_max)
 * @no_buffers_locked:   for want of locked memory, with nothing in flight (ulimit -l)
 * @no_buffers_machine:  even for a copy
 * @stalled_vanished:    verdicts of the watchdog
 * @stalled_not_reading: "
 * @stalled_congested:   "
 * @proved_notified:     sends given back: their last byte by a notification,
 * @proved_copied:       because the kernel had copied it,
 * @proved_unsent:       because the kernel never had it;
 * @proved_caller:       and holds, because the caller has dropped them
 * @oldest_age_ns:       of the oldest request that is not released, at the last turn,
 *                       from the first turn after it began; 0 if there is none. In steps
 *                       of 2^20 ns, and modulo 2^52 ns: after 52 days it begins at 0 again,
 *                       as all ages do that are shown of requests and sends
 * @posted_drops:        holds dropped by zcreq_post_drop() and taken in; one
 *                       that found its hold gone is in @stale_handles
 * @zerocopy_unsupported: connections whose transport answered -EOPNOTSUPP to a batch
 *                       by reference, and are copied to from then on
 * @proved_detached:     sends given back because their pages were exchanged: see memory.h
 * @detached_bytes_now:  bytes of these of which the kernel still has the old pages
 * @detach_refused:      exchanges that could not be made
 */
struct zcreq_stats {
	uint64_t begun;
	uint64_t released;
	uint64_t aborted;
	uint64_t stale_handles;
	uint64_t requests_now;
	uint64_t holds_now;
	uint64_t quarantined_now;
	uint64_t quarantined_bytes_now;
	uint64_t connections_now;
	uint64_t connections_aborted;
	uint64_t unsent_bytes_now;
	uint64_t kernel_bytes_now;
	uint64_t batches_now;
	uint64_t send_calls;
	uint64_t sent_bytes;
	uint64_t zerocopy_batches;
	uint64_t copied_batches;
	uint64_t notifications;
	uint64_t notified_copied;
	uint64_t bogus_ranges;
	uint64_t duplicate_ids;
	uint64_t foreign_messages;
	uint64_t foreign_lost;
	uint64_t no_buffers;
	uint64_t no_buffers_option;
	uint64_t no_buffers_locked;
	uint64_t no_buffers_machine;
	uint64_t stalled_vanished;
	uint64_t stalled_not_reading;
	uint64_t stalled_congested;
	uint64_t proved_notified;
	uint64_t proved_copied;
	uint64_t proved_unsent;
	uint64_t proved_caller;
	uint64_t oldest_age_ns;
	uint64_t posted_drops;
	uint64_t zerocopy_unsupported;
	uint64_t proved_detached;
	uint64_t detached_bytes_now;
	uint64_t detach_refused;
};

/**
 * zcreq_context_new() - make a context
 * @options:  NULL for all defaults
 * @context:  written on success
 *
 * Ownership: the caller's, until zcreq_context_free().
 * Callback:  none.
 * Thread:    any; the context then belongs to the thread that uses it.
 * Errors:    -EINVAL  @context is NULL, a member is out of range, or something
 *                     reserved is set;
 *            -E2BIG   options of a newer library that this one cannot honour;
 *            -ENOMEM.
 * Source:    none.
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_context_new(const struct zcreq_context_options *options,
		      struct zcreq_context **context);

/**
 * zcreq_context_free() - give a context's memory back
 * @context:  may be NULL, which is 0
 *
 * Refuses while anything is left: a connection that was not handed to
 * zcreq_conn_free(), or that was and is not yet closed because it still waits for
 * the kernel or for owners of requests. Free them all, then call zcreq_turn()
 * until they are gone. A program that is about to exit may leave the context as
 * it is.
 *
 * Ownership: on 0 the context is gone; on an error nothing has changed.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EBUSY  a connection, a pool or a source (a ring) is left, or this is inside a
 *                    callback, or another thread is still inside zcreq_post_drop(): see
 *                    there.
 * Source:    none.
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_context_free(struct zcreq_context *context);

/**
 * zcreq_turn() - everything that is due
 * @context:  the context
 * @now_ns:   the time, in nanoseconds; an earlier one than before counts as that. From a
 *            counter of ticks: ticks / hz * 1000000000 + ticks % hz * 1000000000 / hz
 *            (doc/frameworks.md)
 *
 * What was queued is sent, what descriptors tell is taken in, timers of drain, linger,
 * watchdog and abort are asked, callbacks run; and again, until nothing is due. Then it
 * says when to come back at the latest. A program's loop is: wait, serve what is its
 * own, turn.
 *
 *	for (;;) {
 *		uint64_t now = zcreq_now_ns();
 *		uint64_t deadline = zcreq_turn(context, now);
 *
 *		poll(fds, n, zcreq_timeout_ms(deadline, now));
 *		...
 *	}
 *
 * with zcreq_context_fd() among @fds. Whatever the program does with the library outside
 * of callbacks, it does before a turn: a call only notes what is to be done. Whether there
 * is anything left to wait for it asks between the turn, which may have closed the last
 * connection, and the sleep, from which nothing might wake it. After a turn
 * nothing is due, so a program that sleeps until the descriptor is readable or the deadline
 * has come misses nothing. Callbacks that always make new work do not keep it here: the
 * number of rounds is bounded, and what is then left makes the deadline "at once".
 *
 * A turn in which nothing happened costs what its changed connections cost, not what all
 * of them do, and without zcreq_context_fd() no system call.
 *
 * Ownership: as each callback says.
 * Callback:  all that are due. Inside a callback this does nothing.
 * Thread:    the context's.
 * Errors:    none; a NULL context is ZCREQ_NEVER.
 * Source:    none.
 * Since:     0.1
 *
 * Return: when to call again at the latest, in the clock of @now_ns; at most @now_ns
 * means at once; ZCREQ_NEVER means that nothing waits for time.
 */
uint64_t zcreq_turn(struct zcreq_context *context, uint64_t now_ns);

/**
 * zcreq_context_fd() - one descriptor for any event loop
 * @context:  the context
 *
 * Readable when zcreq_turn() has something to do that no deadline tells: on a socket of a
 * stream, on a ring, from another thread. poll(2), epoll(7) (level or edge), libev, libuv,
 * GLib serve it as they serve any other; a loop that watches edges turns again at once
 * where the deadline says so.
 *
 * Made by the first call; from then on each turn asks it with one system call. A program
 * that never sleeps, or that watches the sockets itself by zcreq_events(), does not
 * call this. Streams on somebody else's functions (socket_ops) are not behind it.
 *
 * Ownership: the context's, closed with it. To be polled, and not to be read from.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL  context is NULL;
 *            -ENOMEM; and what epoll_create1(2), epoll_ctl(2) and eventfd(2) give.
 * Source:    epoll(7), "nested" descriptors
 * Since:     0.1
 *
 * Return: the descriptor, or an error.
 */
int zcreq_context_fd(struct zcreq_context *context);

/**
 * zcreq_context_stats() - read the counters
 * @context:  the context
 * @stats:    written, @size bytes of it
 * @size:     sizeof(struct zcreq_stats), as the caller was compiled: a library that
 *            knows less fills the rest with 0
 *
 * The cost grows with the number of connections, not with that of requests.
 *
 * Ownership: the caller's struct.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL  a NULL, or a size of 0.
 * Source:    none.
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_context_stats(const struct zcreq_context *context, struct zcreq_stats *stats,
			size_t size);

/**
 * zcreq_timeout_ms() - a deadline as poll(2) wants it
 * @deadline_ns:  from zcreq_turn()
 * @now_ns:       what zcreq_turn() was given
 *
 * Ownership: none.
 * Callback:  none.
 * Thread:    any.
 * Errors:    none.
 * Source:    poll(2); rounded up, so that the deadline has passed on return.
 * Since:     0.1
 *
 * Return: milliseconds; -1 for ZCREQ_NEVER.
 */
static inline int zcreq_timeout_ms(uint64_t deadline_ns, uint64_t now_ns)
{
	uint64_t ms;

	if (deadline_ns == ZCREQ_NEVER)
		return -1;
	if (deadline_ns <= now_ns)
		return 0;
	ms = (deadline_ns - now_ns - 1) / 1000000 + 1;
	return ms > 0x7fffffff ? 0x7fffffff : (int)ms;
}

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
