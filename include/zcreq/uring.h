/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * uring.h - streams that send through an io_uring (library libzcreq-uring)
 *
 * A program changes one call: zcreq_uring_stream_open() in place of
 * zcreq_stream_open(). Connections, requests and callbacks are the same, and so are
 * the event loop's duties: zcreq_turn() submits and reads completions, and these make
 * zcreq_context_fd() readable.
 *
 *	ret = zcreq_uring_new(context, NULL, &ring); // on an error ring is NULL: sockets
 *	ret = zcreq_uring_stream_open(ring, context, &options, &conn);
 *
 * One ring serves many connections. It is the library's own, or the program's: then
 * the program reads the completions, hands those with its tag to
 * zcreq_uring_completion(), and turns. Its own entries and the library's share the
 * submission queue, and the library submits all that is in it: in zcreq_turn(); when a
 * connection ends early, as by zcreq_conn_abort(), or zcreq_conn_free() of one that is
 * open; in zcreq_process(); and in the zcreq_uring_completion() with which 256 wait to be
 * worked out. So before each of these an entry that the program has taken is filled, and
 * a chain of linked ones complete.
 *
 * Neither the end of a ring, nor closing the descriptor, nor unregistering a buffer
 * stops the kernel from reading memory that it was given; only a notification says
 * that it has. So a ring cannot be freed while pages are held: -EBUSY.
 */
#ifndef ZCREQ_URING_H
#define ZCREQ_URING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <zcreq/conn.h>
#include <zcreq/context.h>
#include <zcreq/stream.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct io_uring;
struct io_uring_cqe;
struct io_uring_sqe;
struct zcreq_uring;

/**
 * struct zcreq_uring_ops - every call on a ring that the library makes
 *
 * NULL in the options is liburing. A test puts a ring of its own here. All return a
 * negative errno on failure; none may block.
 *
 * @get_sqe:   an empty submission entry, or NULL when the queue is full
 * @submit:    io_uring_submit(3)
 * @peek:      io_uring_peek_cqe(3) and io_uring_cqe_seen(3) in one: 1 and the oldest
 *             completion copied to @cqe (16 bytes), or 0. Those that the kernel keeps
 *             because its queue was full are fetched.
 * @run:       lets the kernel post what it has ready: io_uring_get_events(3)
 * @eventfd:   io_uring_register_eventfd(3)
 * @register_buffers: io_uring_register_buffers(3); with a NULL
 *             io_uring_unregister_buffers(3)
 * @reserved:  must be NULL
 */
struct zcreq_uring_ops {
	struct io_uring_sqe *(*get_sqe)(void *arg);
	int (*submit)(void *arg);
	int (*peek)(struct io_uring_cqe *cqe, void *arg);
	int (*run)(void *arg);
	int (*eventfd)(int fd, void *arg);
	int (*register_buffers)(const struct iovec *iov, unsigned count, void *arg);
	void (*reserved[4])(void);
};

/**
 * struct zcreq_uring_options - how a ring is set up
 * @size:      sizeof(struct zcreq_uring_options)
 * @flags:     must be 0
 * @entries:   of the submission queue of a ring of the library's own; 0 is 256
 * @ring:      the program's own ring, which it reads itself; borrowed until
 *             zcreq_uring_free(). NULL: the library makes one.
 * @tag:       the upper 8 bits of user_data in every submission of the library's; the
 *             program uses others. Matters on a ring of the program's own.
 * @ops:       borrowed until zcreq_uring_free(); NULL is liburing
 * @ops_arg:   handed to every one of them
 */
struct zcreq_uring_options {
	size_t size;
	uint32_t flags;
	unsigned entries;
	struct io_uring *ring;
	uint8_t tag;
	const struct zcreq_uring_ops *ops;
	void *ops_arg;
};

/**
 * zcreq_uring_new() - a ring for the streams of one context
 * @context:  whose streams it will serve
 * @options:  NULL for a ring of the library's own with the defaults
 * @uring:    written on success; set to NULL on failure
 *
 * Asks the kernel what it can do. Zero-copy sends need Linux 6.1; a program that can
 * do without goes on with a NULL ring: zcreq_uring_stream_open() then opens streams that
 * send through their sockets, and zcreq_uring_free() does nothing. To the other functions
 * here NULL is an error.
 *
 * Ownership: the caller's until zcreq_uring_free(), which has to come before
 *            zcreq_context_free().
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL      a NULL, ops with one missing, with something reserved or
 *                         together with a ring, more than 32768 entries, an unknown
 *                         flag, or an options size that no version had;
 *            -E2BIG       options of a newer library;
 *            -ENOSYS      the kernel has no io_uring;
 *            -EPERM       it is forbidden, by kernel.io_uring_disabled or a seccomp
 *                         filter;
 *            -EOPNOTSUPP  the kernel's io_uring cannot send without copying;
 *            -ENOMEM; and what io_uring_setup(2) gives, and eventfd(2) and epoll_ctl(2)
 *            if the context has a descriptor.
 * Source:    io_uring_setup(2), IORING_REGISTER_PROBE in io_uring_register(2)
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_uring_new(struct zcreq_context *context, const struct zcreq_uring_options *options,
		    struct zcreq_uring **uring);

/**
 * zcreq_uring_free() - give a ring back
 * @uring:  may be NULL
 *
 * Ownership: on success the pointer is no longer the caller's; a ring of the
 *            program's own stays open.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EBUSY  a stream of it is not closed yet (it may be in quarantine): nothing
 *                    changes.
 * Source:    none.
 * Since:     0.1
 */
int zcreq_uring_free(struct zcreq_uring *uring);

/**
 * zcreq_uring_stream_open() - give a connected socket to the library
 * @uring:    how it is to send; NULL opens it as zcreq_stream_open() does
 * @context:  the one that the ring was made with
 * @options:  as for zcreq_stream_open(); sender must be NULL
 * @conn:     written on success
 *
 * The socket never uses MSG_ZEROCOPY. Everything in stream.h works on the connection.
 * A blocking descriptor is the better one here: the kernel then waits for room by
 * itself, without a turn of the program's loop.
 *
 * Ownership: on success the descriptor is the connection's, which closes it; on
 *            failure it is still the caller's. The ring must outlive the connection.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    those of zcreq_stream_open(); and
 *            -EINVAL   options have a sender, or context is not the ring's;
 *            -ENOSPC   the ring serves 2^23 streams already.
 * Source:    IORING_OP_SENDMSG_ZC in io_uring_enter(2)
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_uring_stream_open(struct zcreq_uring *uring, struct zcreq_context *context,
			    const struct zcreq_stream_options *options,
			    struct zcreq_conn **conn);

/**
 * zcreq_uring_completion() - is this completion the library's?
 * @uring:  made with the program's own ring
 * @cqe:    copied; the program marks it as seen
 *
 * What it means is worked out by the next zcreq_turn(), for many at once. When 256 wait
 * for that, they are worked out in here, which submits what is prepared as well.
 *
 * Ownership: none.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL  a NULL, or a ring of the library's own.
 * Source:    none.
 * Since:     0.1
 *
 * Return: 1 if it is, and is dealt with; 0 if it has another tag; or an error.
 */
int zcreq_uring_completion(struct zcreq_uring *uring, const struct io_uring_cqe *cqe);

/**
 * zcreq_uring_register() - tell the kernel about memory that will be sent often
 * @uring:  with no buffers registered
 * @iov:    copied by the call; none overlaps another
 * @count:  1 to 16384
 *
 * Sends from inside these go without pinning pages each time. Nothing else changes.
 *
 * Ownership: the memory is pinned until zcreq_uring_unregister(), and must not be
 *            unmapped before.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL  a NULL, a count out of range, an empty member, or two overlap;
 *            -EBUSY   something is registered already, or in flight;
 *            -ENOMEM  also when the limit on locked memory is reached; and what
 *                     io_uring_register(2) gives.
 * Source:    IORING_REGISTER_BUFFERS in io_uring_register(2)
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_uring_register(struct zcreq_uring *uring, const struct iovec *iov, unsigned count);

/**
 * zcreq_uring_unregister() - the reverse
 * @uring:  with or without registered buffers
 *
 * Refused while any stream of the ring has something in flight: the kernel would keep
 * reading from what the program takes for its own.
 *
 * Ownership: the memory is the program's.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL  uring is NULL;
 *            -EBUSY   something is in flight;
 *            -ENOENT  nothing is registered; and what io_uring_register(2) gives.
 * Source:    IORING_UNREGISTER_BUFFERS in io_uring_register(2)
 * Since:     0.1
 */
int zcreq_uring_unregister(struct zcreq_uring *uring);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
