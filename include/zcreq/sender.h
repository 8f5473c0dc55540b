/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sender.h - when it is not the library that calls sendmsg(2)
 *
 * Two ways. A sender takes batches from the stream's queue, and completes later. A program
 * that has a queue of its own makes the calls itself, and reports them (zcreq_offer()).
 *
 * A sender is for io_uring (uring.h is one), a user-space TCP stack with asynchronous writes, or
 * a framework's sockets. The stream keeps its queue, its policy, its watchdog and its
 * abort; a sender only takes one batch at a time and later says two things about it:
 *
 *	zcreq_sender_result()  how many bytes were taken, and whether the memory may
 *	                       still be read: once for each batch
 *	zcreq_sender_proof()   the memory is no longer read: once for each batch whose
 *	                       result said so
 *
 * Either may come from inside submit(), or much later, or, when the transport is
 * broken, never: what was submitted then goes to quarantine after an abort.
 */
#ifndef ZCREQ_SENDER_H
#define ZCREQ_SENDER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include <zcreq/conn.h>
#include <zcreq/request.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** The members of one submission, at most. */
#define ZCREQ_SUBMISSION_IOVS 128

/**
 * struct zcreq_submission - one batch to be sent, in order, on the connection
 * @id:            what its result and its proof are to name
 * @iov:           good during submit() only, and not after a result from inside it; the
 *                 memory behind it until the proof
 * @iovcnt:        1 to ZCREQ_SUBMISSION_IOVS
 * @bytes:         of all of them
 * @by_reference:  to be sent without copying, if that can be had
 */
struct zcreq_submission {
	uint32_t id;
	const struct iovec *iov;
	int iovcnt;
	uint64_t bytes;
	bool by_reference;
};

/**
 * struct zcreq_sender_ops - an asynchronous way to send
 * @submit:  required. Starts sending; 0, or a negative errno if nothing was started,
 *           which is then handled like that result: -EAGAIN waits for POLLOUT,
 *           -ENOBUFS and -ENOMEM are tried again as a copy or later, -EOPNOTSUPP by
 *           reference makes copies of this batch and all that follow, and any other
 *           ends the connection. The next comes after this one's result.
 * @cancel:  the connection is aborted: the submission under way should end soon, with
 *           whatever result. NULL: the end of the socket does that.
 * @reap:    look for results and proof now, without waiting. NULL: they come unasked.
 * @pinned:  does it keep any of this memory for itself, whatever is under way, as a ring
 *           does that buffers are registered with? Then it is not detached. NULL: no.
 * @closed:  the last call: nothing is under way, and the descriptor closes next.
 * @reserved: must be NULL
 *
 * A result or a proof can abort the connection, which calls cancel and reap before they
 * return: from inside submit() the cancel is of the submission that is being made.
 * None may free the connection or call into its context beyond the functions below.
 */
struct zcreq_sender_ops {
	int (*submit)(struct zcreq_conn *conn, const struct zcreq_submission *submission,
		      void *arg);
	void (*cancel)(struct zcreq_conn *conn, uint32_t id, void *arg);
	void (*reap)(struct zcreq_conn *conn, void *arg);
	void (*closed)(struct zcreq_conn *conn, void *arg);
	bool (*pinned)(struct zcreq_conn *conn, const struct iovec *memory, int count, void *arg);
	void (*reserved[3])(void);
};

/** The word that a submission's memory is no longer read. */
struct zcreq_proof {
	uint32_t id;
	bool copied; /**< it never was: the bytes were copied after all */
};

/**
 * zcreq_sender_result() - how the submission under way has ended
 * @conn:    any state
 * @id:      of the submission
 * @result:  bytes taken, from the front; or a negative errno
 * @more:    the memory may still be read: a proof will follow. Independent of
 *           @result: an error can leave memory in use too.
 *
 * Submits what is next. A result of fewer bytes than submitted is normal.
 *
 * Ownership: without @more the memory is no longer the sender's.
 * Callback:  none; some become due.
 * Thread:    the context's.
 * Errors:    -EINVAL  conn is NULL or has no sender;
 *            -ESTALE  no such submission is under way: counted, nothing changes;
 *            -ERANGE  more bytes than were submitted: the connection is aborted.
 * Source:    IORING_CQE_F_MORE in io_uring_enter(2)
 * Since:     0.1
 */
int zcreq_sender_result(struct zcreq_conn *conn, uint32_t id, int64_t result, bool more);

/**
 * zcreq_sender_proof() - the memory of some submissions is no longer read
 * @conn:    any state
 * @proofs:  in any order
 * @count:   of them
 *
 * What the end of a connection gives back is not reported as success: the socket is
 * asked once, for all of @proofs, whether it is still alive. So it pays to bring them
 * together.
 *
 * Ownership: the memory is no longer the sender's.
 * Callback:  none; some become due.
 * Thread:    the context's.
 * Errors:    -EINVAL  conn is NULL or has no sender, or proofs is NULL.
 * Source:    IORING_CQE_F_NOTIF in io_uring_enter(2)
 * Since:     0.1
 *
 * Return: how many were believed, or an error. Others are counted (bogus_ranges for an id
 * that is not awaited, duplicate_ids for one told before).
 */
int zcreq_sender_proof(struct zcreq_conn *conn, const struct zcreq_proof *proofs, int count);

/**
 * struct zcreq_part - some bytes of one call of the program's own
 * @id:     the open request that they belong to. All zero bits: nobody's, for bytes whose
 *          memory does not matter, because they will be copied or never change
 * @bytes:  1 or more
 */
struct zcreq_part {
	zcreq_id id;
	uint64_t bytes;
};

/**
 * zcreq_offer() - the program is about to call sendmsg(2) itself
 * @conn:          a stream that was opened with ZCREQ_STREAM_OWN_SENDS
 * @parts:         what the call will offer, in the order of its iovecs
 * @count:         1 to ZCREQ_IOV_MAX of them
 * @by_reference:  written on success: is it worth MSG_ZEROCOPY, by the stream's mode? NULL
 *                 for a program that decides for itself
 *
 * For a framework with a queue of its own: it owns the queue and the calls, the library the
 * ids, the error queue, the proof, the watchdog, the abort and the drain.
 *
 *	if (zcreq_offer(conn, parts, count, &by_reference) == 0) {
 *		flags = MSG_DONTWAIT | MSG_NOSIGNAL | (by_reference ? MSG_ZEROCOPY : 0);
 *		ret = sendmsg(fd, &message, flags);
 *		zcreq_sent(conn, ret < 0 ? -errno : ret, by_reference);
 *	}
 *
 * All that can be refused is refused here, and all memory is found here, while the kernel
 * has nothing: what it took cannot be refused any more. Each offer that was accepted
 * is answered by one zcreq_sent(), whatever became of the call, also after an abort, and
 * before zcreq_conn_free().
 *
 * A request is finished when its last byte was taken, not before: what waits in the
 * program's queue only the program knows. When the connection is aborted, each request that
 * is open hears aborting: the program drops what it has queued of it, and finishes it. The
 * stream ends after what was reported: a drain begins when the program has nothing left.
 *
 * Ownership: the memory of the parts stays as it is until zcreq_sent() says that it was not
 *            taken, or the request is released.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL      a NULL, count 0 or negative, a part of 0 bytes, or a request of
 *                         another connection;
 *            -EOPNOTSUPP  conn makes its sends itself, or has no socket;
 *            -EMSGSIZE    count is above ZCREQ_IOV_MAX;
 *            -EOVERFLOW   the bytes add up to more than SSIZE_MAX;
 *            -ESHUTDOWN   the stream was ended, or the connection is aborting or closed;
 *            -EBUSY       the offer before was not answered by zcreq_sent();
 *            -ESTALE      a request is finished already, released, or forged;
 *            -ECANCELED   a request is aborting;
 *            -EAGAIN      limit_bytes is reached, or the machine was short of memory just
 *                         now: the room hook will tell;
 *            -ENOMEM; -ENOBUFS 16,777,216 calls are in flight.
 * Source:    Documentation/networking/msg_zerocopy.rst, doc/decisions.md
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_offer(struct zcreq_conn *conn, const struct zcreq_part *parts, int count,
		bool *by_reference);

/**
 * zcreq_sent() - what became of the call that was offered
 * @conn:          as it was offered to; any state
 * @result:        the bytes that it took, from the front; or a negative errno
 * @by_reference:  the call was made with MSG_ZEROCOPY
 *
 * Bytes that were not taken are the program's again, to be offered once more. Those that
 * were taken by reference are held until the notification of this call, whose id is counted
 * here; copied ones are held no longer.
 *
 * An error means what it means to a stream's own sends. -EAGAIN waits for POLLOUT, and
 * the room hook tells. -ENOBUFS by reference: send again with a copy, as the next offer will
 * say. -ENOBUFS or -ENOMEM of a copy: the room hook tells in a while. -EOPNOTSUPP by
 * reference: this and all that follow are to be copied. Any other ends the connection.
 *
 * The library can count ids only if every call with MSG_ZEROCOPY that took something is
 * reported as such. Found are: more bytes than were offered, bytes without an offer, a
 * call by reference on a stream that only copies, and the notification of a call that was
 * reported as a copy, or not at all. The connection is then aborted (ZCREQ_CAUSE_SENDER),
 * and what was offered is held until there is proof.
 *
 * Ownership: of what was not taken the memory is the caller's again.
 * Callback:  none; some become due.
 * Thread:    the context's.
 * Errors:    -EINVAL      conn is NULL;
 *            -EOPNOTSUPP  as for zcreq_offer();
 *            -ESTALE      nothing was offered, and nothing was taken: counted;
 *            -ERANGE      it cannot be so: the connection is aborted.
 * Source:    Documentation/networking/msg_zerocopy.rst, doc/decisions.md
 * Since:     0.1
 */
int zcreq_sent(struct zcreq_conn *conn, int64_t result, bool by_reference);

/**
 * struct zcreq_source - something else that takes part in a context's turns
 * @turn:  does what is due: submits, takes in results; runs no callback, and does not call
 *         zcreq_turn(). Returns how much it did; more than 0 and it is asked again in the
 *         same turn.
 * @fd:    a descriptor that becomes readable when @turn has something to do; asked for
 *         once the context has one itself, and the same each time. It is watched by its
 *         edges, and never read. NULL, or -ENXIO: it wakes nobody.
 * @arg:   handed to both
 * @next:  the library's
 * @reserved: must be NULL
 *
 * For what is not a stream's socket: the completions of a ring, or of a user-space
 * transport.
 */
struct zcreq_source {
	int (*turn)(void *arg);
	int (*fd)(void *arg);
	void *arg;
	struct zcreq_source *next;
	void (*reserved[2])(void);
};

/**
 * zcreq_source_add() - it takes part from now on
 * @context:  the context
 * @source:   in no context
 *
 * Ownership: borrowed until zcreq_source_remove(), which has to come before the context is
 *            freed.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL  a NULL, also as @turn, or something reserved is set;
 *            -EEXIST  @source is in this context already; and what @fd and epoll_ctl(2)
 *                     give.
 * Source:    none.
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_source_add(struct zcreq_context *context, struct zcreq_source *source);

/**
 * zcreq_source_remove() - and no longer
 * @context:  the context
 * @source:   its descriptor is still open
 *
 * Not from inside its own @turn.
 *
 * Ownership: the struct is the caller's again.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL  a NULL;
 *            -ENOENT  it is not in this context.
 * Source:    none.
 * Since:     0.1
 */
int zcreq_source_remove(struct zcreq_context *context, struct zcreq_source *source);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
