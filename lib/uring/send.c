/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * send.c - a stream's batches as submissions, and what their completions say
 *
 * A completion is a result or, with IORING_CQE_F_NOTIF, a notification; a notification
 * follows if and only if the result had IORING_CQE_F_MORE, whatever its value. They
 * are gathered first and worked out for one stream after the other: before its
 * notifications are believed the socket is asked whether it is alive, once for all.
 *
 * Working out can abort a connection, which wants the ring to be reaped. It is being
 * reaped already, so that is only noted, and done before this returns.
 */
#include "uring/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/states.h"

/* A registered buffer of fewer bytes is not worth a submission of its own. */
#define FIXED_LEAST 16384

/* What stands in front of such a buffer is copied when it has no more than this. */
#define COPY_MOST 4096

/*
 * io_uring chains the notifications of sends that share a packet (since Linux 6.10), and
 * posts none of a chain before the last of it: a busy connection would get its memory
 * back when its queue runs empty, measured 16 MB late. With this flag a batch shares
 * its last packet with none.
 */
#define END_OF_BATCH MSG_EOR

/* How often the kernel is asked to post what an abort has set free. */
#define RUNS 4

/* Completions after which a call returns, to be called again. */
#define DRAIN_MOST 4096

const int8_t zcreq_ring_table[RING_OWES + 1][RING_EVENTS] = {
	[RING_RESTS] = {
		[RING_BEGIN] = RING_WORKS,
		[RING_ASK] = ZCREQ_IMPOSSIBLE,
		[RING_ANSWER] = ZCREQ_IMPOSSIBLE,
		[RING_END] = ZCREQ_IMPOSSIBLE,
	},
	[RING_WORKS] = {
		[RING_BEGIN] = ZCREQ_IMPOSSIBLE,
		[RING_ASK] = RING_ASKED,
		[RING_ANSWER] = ZCREQ_IMPOSSIBLE,
		[RING_END] = RING_RESTS,
	},
	[RING_ASKED] = {
		[RING_BEGIN] = ZCREQ_IMPOSSIBLE,
		[RING_ASK] = RING_ASKED,
		[RING_ANSWER] = RING_WORKS,
		[RING_END] = RING_OWES,
	},
	[RING_OWES] = {
		[RING_BEGIN] = RING_ASKED,
		[RING_ASK] = ZCREQ_IMPOSSIBLE,
		[RING_ANSWER] = ZCREQ_IMPOSSIBLE,
		[RING_END] = ZCREQ_IMPOSSIBLE,
	},
};

/* The only writer of uring->work. */
static void work_event(struct zcreq_uring *uring, enum ring_event event)
{
	uring->work = zcreq_state_after(zcreq_ring_table[uring->work][event]);
}

static struct ring_message *take_message(struct zcreq_uring *uring)
{
	struct ring_message *message = uring->free_messages;

	if (!message)
		return malloc(sizeof(*message));
	uring->free_messages = message->next_free;
	return message;
}

static void give_message(struct zcreq_uring *uring, struct ring_message *message)
{
	if (!message)
		return;
	message->next_free = uring->free_messages;
	uring->free_messages = message;
}

/* An empty entry; a queue that is full is submitted first. */
static struct io_uring_sqe *take_sqe(struct zcreq_uring *uring)
{
	struct io_uring_sqe *sqe = uring->ops->get_sqe(uring->ops_arg);

	if (sqe || uring->ops->submit(uring->ops_arg) < 0)
		return sqe;
	return uring->ops->get_sqe(uring->ops_arg);
}

/* How many of them go into one message: up to the first that is sent by itself. */
static int message_iovs(const struct zcreq_uring *uring, const struct zcreq_submission *s)
{
	int n = 0;

	if (!uring->buffer_count)
		return s->iovcnt;
	while (n < s->iovcnt &&
	       (s->iov[n].iov_len < FIXED_LEAST || zcreq_ring_buffer_of(uring, &s->iov[n]) < 0))
		n++;
	return n;
}

static void prepare_fixed(const struct ring_stream *stream, struct io_uring_sqe *sqe,
			  const struct iovec *iov, int buffer)
{
	io_uring_prep_send_zc_fixed(sqe, zcreq_stream_fd(stream->conn), iov->iov_base,
				    iov->iov_len, MSG_NOSIGNAL | END_OF_BATCH,
				    stream->uring->usage_flag, (unsigned)buffer);
}

static void prepare_message(const struct ring_stream *stream, struct io_uring_sqe *sqe,
			    const struct zcreq_submission *s, int iovcnt)
{
	struct ring_message *message = stream->message;
	int fd = zcreq_stream_fd(stream->conn);
	size_t bytes = 0;

	memcpy(message->iov, s->iov, (size_t)iovcnt * sizeof(*s->iov));
	message->header = (struct msghdr){.msg_iov = message->iov,
					  .msg_iovlen = (size_t)iovcnt};
	for (int i = 0; i < iovcnt; i++)
		bytes += s->iov[i].iov_len;
	if (!s->by_reference || (iovcnt < s->iovcnt && bytes <= COPY_MOST)) {
		io_uring_prep_sendmsg(sqe, fd, &message->header,
				      MSG_NOSIGNAL | (iovcnt < s->iovcnt ? MSG_MORE : 0));
		return;
	}
	io_uring_prep_sendmsg_zc(sqe, fd, &message->header, MSG_NOSIGNAL | END_OF_BATCH);
	sqe->ioprio |= stream->uring->usage_flag;
}

static int ring_submit(struct zcreq_conn *conn, const struct zcreq_submission *s, void *arg)
{
	struct ring_stream *stream = arg;
	struct zcreq_uring *uring = stream->uring;
	int iovcnt = s->by_reference ? message_iovs(uring, s) : s->iovcnt;
	struct io_uring_sqe *sqe;

	(void)conn;
	if (iovcnt) {
		stream->message = take_message(uring);
		if (!stream->message)
			return -ENOMEM;
	}
	sqe = take_sqe(uring);
	if (!sqe) {
		give_message(uring, stream->message);
		stream->message = NULL;
		return -EAGAIN;
	}
	if (iovcnt)
		prepare_message(stream, sqe, s, iovcnt);
	else
		prepare_fixed(stream, sqe, &s->iov[0], zcreq_ring_buffer_of(uring, &s->iov[0]));
	sqe->user_data = ring_name(uring, stream->number, s->id);
	uring->prepared++;
	uring->in_flight++;
	stream->pending++;
	return 0;
}

static void ring_cancel(struct zcreq_conn *conn, uint32_t id, void *arg)
{
	struct ring_stream *stream = arg;
	struct zcreq_uring *uring = stream->uring;
	struct io_uring_sqe *sqe = take_sqe(uring);

	(void)conn;
	if (!sqe) /* the end of the socket ends it as well */
		return;
	io_uring_prep_cancel64(sqe, ring_name(uring, stream->number, id), 0);
	sqe->user_data = ring_name(uring, RING_NOBODY, 0);
	uring->prepared++;
}

static void ring_reap(struct zcreq_conn *conn, void *arg)
{
	struct ring_stream *stream = arg;
	struct zcreq_uring *uring = stream->uring;
	uint32_t most;

	(void)conn;
	if (ring_at_work(uring)) {
		work_event(uring, RING_ASK);
		return;
	}
	/* as often as it takes to read all that is in flight now, and no longer */
	most = RUNS + 2 * uring->in_flight / DRAIN_MOST;
	while (stream->pending && most--) {
		if (zcreq_ring_turn(uring) < DRAIN_MOST)
			uring->ops->run(uring->ops_arg);
	}
	zcreq_ring_turn(uring);
}

static void ring_closed(struct zcreq_conn *conn, void *arg)
{
	struct ring_stream *stream = arg;

	(void)conn;
	stream->uring->streams[stream->number] = NULL;
	stream->uring->count--;
	free(stream);
}

/* Of registered buffers the ring has the pages for good: others at their addresses would
 * never be sent. */
static bool ring_pinned(struct zcreq_conn *conn, const struct iovec *memory, int count, void *arg)
{
	const struct ring_stream *stream = arg;

	(void)conn;
	return zcreq_ring_has_any(stream->uring, memory, count);
}

const struct zcreq_sender_ops zcreq_ring_sender = {
	.submit = ring_submit,
	.cancel = ring_cancel,
	.reap = ring_reap,
	.closed = ring_closed,
	.pinned = ring_pinned,
};

/* The last word on so many submissions has been said. */
static void last_words(struct ring_stream *stream, int count)
{
	stream->pending -= (uint32_t)count;
	stream->uring->in_flight -= (uint32_t)count;
}

static void tell_result(struct ring_stream *stream, const struct ring_completion *done)
{
	struct ring_message *message = stream->message;

	/* what is next is submitted from in there, with a message of its own */
	stream->message = NULL;
	if (zcreq_sender_result(stream->conn, done->id, done->result, done->more) == -ESTALE) {
		stream->message = message;
		return;
	}
	give_message(stream->uring, message);
	if (!done->more)
		last_words(stream, 1);
}

/* Results are told one by one, notifications together. */
static void work_out_stream(struct ring_stream *stream)
{
	struct zcreq_uring *uring = stream->uring;
	struct zcreq_proof proofs[RING_ROUND];
	int count = 0, at = stream->first;

	stream->first = stream->last = -1;
	for (; at >= 0; at = uring->round[at].next) {
		const struct ring_completion *done = &uring->round[at];

		if (done->notification) {
			proofs[count].id = done->id;
			proofs[count++].copied = (uint32_t)done->result & RING_COPIED;
		} else {
			tell_result(stream, done);
		}
	}
	if (count)
		last_words(stream, zcreq_sender_proof(stream->conn, proofs, count));
}

/* Works out those that have been gathered. */
static void work_out(struct zcreq_uring *uring)
{
	struct ring_stream *stream = NULL, *next, **tail = &stream;

	/* in the order of each stream's first completion */
	for (int i = 0; i < uring->round_count; i++) {
		next = uring->round[i].stream;
		uring->round[i].next = -1;
		if (next->first < 0) {
			next->first = i;
			next->next = NULL;
			*tail = next;
			tail = &next->next;
		} else {
			uring->round[next->last].next = i;
		}
		next->last = i;
	}
	for (; stream; stream = next) {
		next = stream->next;
		work_out_stream(stream);
	}
	uring->round_count = 0;
}

/* Gathers one; what has no stream, or nothing pending, is nobody's. */
static void gather(struct zcreq_uring *uring, const struct io_uring_cqe *cqe)
{
	uint32_t number = cqe->user_data >> 32 & (RING_STREAMS_MOST - 1);
	struct ring_stream *stream = number < uring->capacity ? uring->streams[number] : NULL;
	struct ring_completion *done = &uring->round[uring->round_count];

	if (cqe->user_data >> 56 != uring->tag || !stream || !stream->pending)
		return;
	*done = (struct ring_completion){
		.stream = stream,
		.id = (uint32_t)cqe->user_data,
		.result = cqe->res,
		.more = cqe->flags & IORING_CQE_F_MORE,
		.notification = cqe->flags & IORING_CQE_F_NOTIF,
	};
	uring->round_count++;
}

/* Reads completions until the round is full; how many there were, or an error. */
static int gather_round(struct zcreq_uring *uring)
{
	struct io_uring_cqe cqe;
	int count = 0, ret = 0;

	if (uring->ring && uring->ring != &uring->own)
		return uring->round_count; /* the program has read them */
	while (uring->round_count < RING_ROUND) {
		ret = uring->ops->peek(&cqe, uring->ops_arg);
		if (ret <= 0)
			break;
		gather(uring, &cqe);
		count++;
	}
	return count ? count : ret;
}

static int submit(struct zcreq_uring *uring)
{
	int ret;

	if (!uring->prepared)
		return 0;
	ret = uring->ops->submit(uring->ops_arg);
	/* -EBUSY: completions wait to be read first */
	if (ret == -EBUSY || ret == -EAGAIN || ret == -EINTR)
		return 0;
	uring->prepared = 0;
	return ret < 0 ? ret : 0;
}

int zcreq_ring_turn(void *arg)
{
	struct zcreq_uring *uring = arg;
	int all = 0, count, ret;

	if (ring_at_work(uring))
		return 0;
	work_event(uring, RING_BEGIN);
	do {
		ret = submit(uring);
		if (uring->work == RING_ASKED) {
			work_event(uring, RING_ANSWER);
			uring->ops->run(uring->ops_arg);
		}
		count = gather_round(uring);
		work_out(uring);
		all += count > 0 ? count : 0;
	} while (all < DRAIN_MOST && count > 0);
	work_event(uring, RING_END);
#ifdef ZCREQ_DEBUG
	zcreq_uring_check(uring);
#endif
	/* what the kernel would not take yet is handed to it again */
	if (all || uring->prepared)
		return all + (uring->prepared > 0);
	return ret < 0 ? ret : count;
}

int zcreq_uring_completion(struct zcreq_uring *uring, const struct io_uring_cqe *cqe)
{
	if (!uring || !cqe || !uring->ring || uring->ring == &uring->own)
		return -EINVAL;
	if (cqe->user_data >> 56 != uring->tag)
		return 0;
	gather(uring, cqe);
	if (uring->round_count == RING_ROUND)
		zcreq_ring_turn(uring);
	return 1;
}
