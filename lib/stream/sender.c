/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sender.c - a stream whose batches are sent by somebody else, who answers later
 *
 * One submission is under way at a time: several on one stream would not keep their
 * order when one of them is cut short. From submit() on, every send that it touches
 * waits for its batch, whatever the result says, because only the proof (or a result
 * without "more") says that the memory is no longer read.
 *
 * submit() may answer from inside: the turn tells, so that what follows is submitted
 * by the loop that is running and not by a deeper one.
 */
#include <errno.h>

#include "stream/stream.h"
#include "core/points.h"

const int8_t zcreq_sender_table[ZCREQ_SENDER_TURN_ROOM + 1][ZCREQ_SENDER_EVENTS] = {
	[ZCREQ_SENDER_TURN_OURS] = {
		[ZCREQ_SENDER_SUBMIT] = ZCREQ_SENDER_TURN_CALLING,
		[ZCREQ_SENDER_RETURNED] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_SENDER_RESULT] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_SENDER_FULL] = ZCREQ_SENDER_TURN_SOCKETS,
		[ZCREQ_SENDER_ROOM] = ZCREQ_SENDER_TURN_OURS,
	},
	[ZCREQ_SENDER_TURN_SOCKETS] = {
		[ZCREQ_SENDER_SUBMIT] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_SENDER_RETURNED] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_SENDER_RESULT] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_SENDER_FULL] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_SENDER_ROOM] = ZCREQ_SENDER_TURN_OURS,
	},
	[ZCREQ_SENDER_TURN_CALLING] = {
		[ZCREQ_SENDER_SUBMIT] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_SENDER_RETURNED] = ZCREQ_SENDER_TURN_SENDERS,
		[ZCREQ_SENDER_RESULT] = ZCREQ_SENDER_TURN_OURS,
		[ZCREQ_SENDER_FULL] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_SENDER_ROOM] = ZCREQ_SENDER_TURN_CALLING,
	},
	[ZCREQ_SENDER_TURN_SENDERS] = {
		[ZCREQ_SENDER_SUBMIT] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_SENDER_RETURNED] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_SENDER_RESULT] = ZCREQ_SENDER_TURN_OURS,
		[ZCREQ_SENDER_FULL] = ZCREQ_IMPOSSIBLE,
		/* an edge of POLLOUT is not told again if the result will be -EAGAIN */
		[ZCREQ_SENDER_ROOM] = ZCREQ_SENDER_TURN_ROOM,
	},
	[ZCREQ_SENDER_TURN_ROOM] = {
		[ZCREQ_SENDER_SUBMIT] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_SENDER_RETURNED] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_SENDER_RESULT] = ZCREQ_SENDER_TURN_OURS,
		[ZCREQ_SENDER_FULL] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_SENDER_ROOM] = ZCREQ_SENDER_TURN_ROOM,
	},
};

void zcreq_sender_event(struct zcreq_stream *stream, enum zcreq_sender_event event)
{
	struct zcreq_sending *sending = &stream->sending;

	sending->turn = zcreq_state_after(zcreq_sender_table[sending->turn][event]);
}

static bool has_sender(const struct zcreq_conn *conn)
{
	return zcreq_is_stream(conn) && zcreq_stream_of(conn)->sending.ops;
}

/* What the next submission is; false: there is nothing, or no memory for its proof. */
static bool next_submission(struct zcreq_stream *stream, struct zcreq_submission *next)
{
	struct iovec *iov;

	if (zcreq_ids_reserve(&stream->ids, &stream->conn.context->allocator)) {
		zcreq_stream_failed(stream, -ENOBUFS);
		return false;
	}
	next->id = stream->ids.next;
	next->iovcnt = (int)zcreq_sendq_peek(&stream->queue, stream->batch_bytes,
					     ZCREQ_SUBMISSION_IOVS, &iov, &next->bytes);
	next->iov = iov;
	next->by_reference = !stream->sending.copies &&
			     zcreq_policy_wants(&stream->policy, next->bytes,
						(uint32_t)next->iovcnt);
	return true;
}

/* What a result means for the bytes that were lent. */
static void taken(struct zcreq_stream *stream, int64_t result, bool more)
{
	struct zcreq_sending *sending = &stream->sending;
	struct zcreq_stats *stats = &stream->conn.stats;

	/* after an abort nothing is unsent any more */
	if (result > 0 && zcreq_conn_sends(&stream->conn))
		zcreq_sendq_accept(&stream->queue, (uint64_t)result, false);
	if (result > 0) {
		stats->sent_bytes += (uint64_t)result;
		stats->zerocopy_batches += more;
		stats->copied_batches += !more;
		sending->copies = 0; /* if there was one to copy, this was it */
		zcreq_stream_progressed(stream, (uint64_t)result);
	}
	sending->lent_bytes = 0;
}

void zcreq_sender_failed(struct zcreq_stream *stream, int error)
{
	if (!zcreq_conn_sends(&stream->conn))
		return;
	if (error == -EINTR || error == 0)
		error = -EAGAIN;
	if (stream->sending.by_reference && (error == -ENOBUFS || error == -ENOMEM)) {
		zcreq_stream_no_buffers(stream);
		stream->sending.copies = 1;
		zcreq_policy_refused(&stream->policy);
		return;
	}
	if (stream->sending.by_reference && error == -EOPNOTSUPP) {
		zcreq_stream_unsupported(stream);
		return;
	}
	if (error == -EAGAIN)
		zcreq_sender_event(stream, ZCREQ_SENDER_FULL);
	zcreq_stream_failed(stream, error);
}

/* The submission under way, @id, has ended. */
static void ended(struct zcreq_stream *stream, uint32_t id, int64_t result, bool more)
{
	struct zcreq_batch *batch;

	zcreq_sender_event(stream, ZCREQ_SENDER_RESULT);
	taken(stream, result, more);
	if (more && result <= 0)
		zcreq_ids_took_nothing(&stream->ids);
	if (!more) {
		zcreq_trace_notified(&stream->conn, id, id, result > 0);
		batch = zcreq_ids_prove(&stream->ids, id);
		zcreq_sendq_prove(&stream->queue, batch->first_send, batch->last_send,
				  result > 0 ? ZCREQ_GONE_COPIED : ZCREQ_GONE_UNSENT);
	}
	if (result <= 0)
		zcreq_sender_failed(stream, (int)result);
}

static void submit(struct zcreq_stream *stream)
{
	struct zcreq_sending *sending = &stream->sending;
	struct zcreq_submission next;
	struct zcreq_send_range range;
	int ret;

	if (!next_submission(stream, &next))
		return;
	range = zcreq_sendq_lend(&stream->queue, &next.bytes, &next.iovcnt);
	zcreq_ids_push(&stream->ids, range.first, range.last);
	zcreq_trace_batch(&stream->conn, next.id, next.bytes, range.first, range.last);
	sending->lent_bytes = next.bytes;
	sending->by_reference = next.by_reference;
	zcreq_sender_event(stream, ZCREQ_SENDER_SUBMIT);
	stream->conn.stats.send_calls++;
	ret = sending->ops->submit(&stream->conn, &next, sending->arg);
	if (sending->turn != ZCREQ_SENDER_TURN_CALLING)
		return;
	if (ret < 0)
		ended(stream, next.id, ret, false);
	else
		zcreq_sender_event(stream, ZCREQ_SENDER_RETURNED);
}

void zcreq_sender_room(struct zcreq_stream *stream)
{
	zcreq_sender_event(stream, ZCREQ_SENDER_ROOM);
}

void zcreq_sender_flush(struct zcreq_stream *stream)
{
	struct zcreq_sending *sending = &stream->sending;

	/* goes on while submissions are answered from inside, and take something; after an
	 * abort nothing is unsent */
	while (sending->turn == ZCREQ_SENDER_TURN_OURS && stream->queue.unsent_bytes &&
	       !zcreq_stream_put_off(stream))
		submit(stream);
}

int zcreq_sender_result(struct zcreq_conn *conn, uint32_t id, int64_t result, bool more)
{
	struct zcreq_stream *stream = zcreq_stream_of(conn);
	bool calling, room, too_many;

	if (!has_sender(conn))
		return -EINVAL;
	zcreq_guard_hears(conn->context, conn, ZCREQ_CALL_LOOKS);
	if (!zcreq_stream_lent(stream) || id != stream->ids.next - 1) {
		zcreq_stale(conn->context, &conn->stats, id);
		return -ESTALE;
	}
	calling = stream->sending.turn == ZCREQ_SENDER_TURN_CALLING;
	room = stream->sending.turn == ZCREQ_SENDER_TURN_ROOM;
	too_many = result > 0 && (uint64_t)result > stream->sending.lent_bytes;
	ended(stream, id, too_many ? -ERANGE : result, more);
	if (room)
		zcreq_sender_room(stream);
	if (!calling)
		zcreq_stream_flush(stream);
	zcreq_stream_follow_up(stream);
	return too_many ? -ERANGE : 0;
}

/* Is a proof awaited for it? That of the submission under way is not, yet. */
static bool awaited(const struct zcreq_stream *stream, uint32_t id)
{
	if (!zcreq_ids_knows(&stream->ids, id, id))
		return false;
	return !zcreq_stream_lent(stream) || id != stream->ids.next - 1;
}

int zcreq_sender_proof(struct zcreq_conn *conn, const struct zcreq_proof *proofs, int count)
{
	struct zcreq_stream *stream = zcreq_stream_of(conn);
	int believed = 0;

	if (!has_sender(conn) || !proofs)
		return -EINVAL;
	zcreq_guard_hears(conn->context, conn, ZCREQ_CALL_LOOKS);
	if (count > 0)
		zcreq_stream_die_if_dead(stream);
	for (int i = 0; i < count; i++) {
		if (!awaited(stream, proofs[i].id)) {
			conn->stats.bogus_ranges++;
			continue;
		}
		believed += zcreq_stream_prove(stream, proofs[i].id, proofs[i].copied);
	}
	zcreq_stream_follow_up(stream);
	return believed;
}
