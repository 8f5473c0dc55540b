/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * own.c - the sends of a program that has a queue of its own
 *
 * The program calls sendmsg(2) itself. It says before each call whose bytes it will offer,
 * and after it how many were taken. Between the two the bytes stand in the queue here as
 * what a sender has been lent does: sends without iovecs, which wait for a batch that has
 * the next id already. So the call finds all memory that its report will need, nothing of
 * it can be released or forgotten meanwhile, and an abort meanwhile is no special case: the
 * sends are held by their batch until the report says what became of them. With the report
 * what was not taken leaves the queue, and a call that used up no id gives it back.
 *
 * A notification may be read before the report of its call. It is kept until then, so
 * that the report alone decides whether there was such an id.
 *
 * The kernel counts ids for every call that it takes by reference; here those are counted
 * that are reported. Once they differ, a proof frees the wrong memory. So a report that
 * cannot be, and a notification of a call of which nobody knows, end the connection: after
 * an abort no further id is given, and those before the mistake are right. But for mode
 * never on a socket with a past: nothing there goes by reference, which zcreq_sent() holds
 * the program to, so a notification is of a send that was made before, and says nothing.
 *
 * It makes no system call, and knows nothing of what waits in the program's queue.
 */
#include <errno.h>
#include <limits.h>

#include "core/points.h"
#include "stream/stream.h"

static int sum_parts(const struct zcreq_part *parts, int count, uint64_t *total)
{
	uint64_t sum = 0;

	for (int i = 0; i < count; i++) {
		if (!parts[i].bytes)
			return -EINVAL;
		if (parts[i].bytes > (uint64_t)SSIZE_MAX - sum)
			return -EOVERFLOW;
		sum += parts[i].bytes;
	}
	*total = sum;
	return 0;
}

/* Everything but the requests: may the program send so many bytes now? */
static int may_offer(struct zcreq_stream *stream, int count, uint64_t total)
{
	int ret;

	if (!zcreq_conn_sends(&stream->conn) || stream->fin != ZCREQ_FIN_NONE)
		return -ESHUTDOWN;
	if (zcreq_stream_lent(stream))
		return -EBUSY;
	if (zcreq_stream_put_off(stream))
		return -EAGAIN;
	ret = zcreq_stream_check_room(stream, total);
	if (!ret)
		ret = zcreq_ids_reserve(&stream->ids, &stream->conn.context->allocator);
	if (!ret)
		ret = zcreq_sendq_make_room(&stream->queue, (uint32_t)count);
	return ret;
}

/* Notes one part, for which there is a place. */
static int note_part(struct zcreq_stream *stream, const struct zcreq_part *part)
{
	struct zcreq_request *request = NULL;
	int ret;

	if (part->id.bits) {
		request = zcreq_request_find(stream->conn.context, part->id);
		if (!request)
			return -ESTALE;
		if (request->conn != &stream->conn)
			return -EINVAL;
		ret = zcreq_request_may(request, ZCREQ_EVENT_HOLD);
		if (ret)
			return ret;
	}
	zcreq_sendq_note(&stream->queue, request, part->bytes);
	return 0;
}

/* What was noted is under way from here on, as the batch of the next id. */
static void lend(struct zcreq_stream *stream, uint64_t total)
{
	struct zcreq_send_range range;
	int no_iovs = 0;

	range = zcreq_sendq_lend(&stream->queue, &total, &no_iovs);
	zcreq_ids_push(&stream->ids, range.first, range.last);
	stream->sending.lent_bytes = total;
	zcreq_sender_event(stream, ZCREQ_SENDER_ROOM); /* it is trying */
	zcreq_sender_event(stream, ZCREQ_SENDER_SUBMIT);
	zcreq_sender_event(stream, ZCREQ_SENDER_RETURNED);
	zcreq_stream_queued(stream);
}

int zcreq_offer(struct zcreq_conn *conn, const struct zcreq_part *parts, int count,
		bool *by_reference)
{
	struct zcreq_stream *stream = zcreq_stream_of(conn);
	uint64_t total;
	int ret;

	if (!conn || !parts || count <= 0)
		return -EINVAL;
	if (!zcreq_is_own(conn))
		return -EOPNOTSUPP;
	zcreq_guard_hears(conn->context, conn, ZCREQ_CALL_DOES);
	if (count > ZCREQ_IOV_MAX)
		return -EMSGSIZE;
	ret = sum_parts(parts, count, &total);
	if (!ret)
		ret = may_offer(stream, count, total);
	if (ret)
		return ret;
	zcreq_stream_guard(stream);
	for (int i = 0; i < count && !ret; i++)
		ret = note_part(stream, &parts[i]);
	if (ret) {
		zcreq_sendq_give_back(&stream->queue, 0);
		return ret;
	}
	lend(stream, total);
	if (by_reference)
		*by_reference = !stream->sending.copies &&
				zcreq_policy_wants(&stream->policy, total, (uint32_t)count);
	return 0;
}

/* The sends of a call, told when it is known what it took. */
static ZCREQ_COLD void tell_sends(const struct zcreq_sendq *q, uint32_t first, uint32_t last)
{
	for (uint32_t number = first; number != last + 1; number++) {
		const struct zcreq_send *send = zcreq_sendq_at(q, number);
		const struct zcreq_request *request = zcreq_send_request(send);

		if (request)
			zcreq_traced_send(request, number, send->total_bytes);
	}
}

/* After an abort the bytes that were unsent are gone, and the sends wait for their batch:
 * those of which nothing was taken no longer. */
static void drop_rest(struct zcreq_stream *stream, struct zcreq_batch *batch, uint64_t bytes)
{
	uint32_t last = batch->first_send;

	for (uint64_t sum = 0;; last++) {
		sum += zcreq_sendq_at(&stream->queue, last)->total_bytes;
		if (sum >= bytes)
			break;
	}
	zcreq_sendq_prove(&stream->queue, last + 1, batch->last_send, ZCREQ_GONE_UNSENT);
	batch->last_send = last;
}

/* The queue is as the call left it: what was not taken has never been there. Returns the
 * sends of its batch. */
static struct zcreq_send_range take_back(struct zcreq_stream *stream, uint64_t bytes)
{
	struct zcreq_sendq *q = &stream->queue;
	const uint32_t id = stream->ids.next - 1;
	struct zcreq_batch *batch = &stream->ids.batches[id & stream->ids.mask];

	if (zcreq_conn_sends(&stream->conn)) {
		zcreq_sendq_give_back(q, bytes);
		batch->last_send = q->tail - 1;
		if (bytes)
			zcreq_sendq_accept(q, bytes, false); /* its batch counts already */
	} else if (bytes) {
		drop_rest(stream, batch, bytes);
	}
	stream->sending.lent_bytes = 0;
	return (struct zcreq_send_range){.first = batch->first_send, .last = batch->last_send};
}

/* It was the next id of the kernel. */
static void taken_by_reference(struct zcreq_stream *stream, uint64_t bytes,
			       struct zcreq_send_range range)
{
	const uint32_t id = stream->ids.next - 1;
	const enum zcreq_early early = stream->sending.early;

	stream->conn.stats.zerocopy_batches++;
	zcreq_trace_batch(&stream->conn, id, bytes, range.first, range.last);
	stream->sending.early = ZCREQ_EARLY_NOTHING;
	if (early != ZCREQ_EARLY_NOTHING)
		zcreq_stream_prove(stream, id, early == ZCREQ_EARLY_COPIED);
}

/* It used up no id: it was a copy, or took nothing. */
static void taken_otherwise(struct zcreq_stream *stream, uint64_t bytes,
			    struct zcreq_send_range range)
{
	zcreq_ids_pop(&stream->ids);
	if (bytes) {
		stream->conn.stats.copied_batches++;
		zcreq_trace_copy(&stream->conn, bytes, range.first, range.last);
	}
	zcreq_sendq_prove(&stream->queue, range.first, range.last,
			  bytes ? ZCREQ_GONE_COPIED : ZCREQ_GONE_UNSENT);
}

/* The call has ended, after which it is the program's turn again. */
static void ended(struct zcreq_stream *stream, uint64_t bytes, bool by_reference)
{
	struct zcreq_send_range range = take_back(stream, bytes);

	zcreq_sender_event(stream, ZCREQ_SENDER_RESULT);
	stream->conn.stats.send_calls++;
	if (bytes) {
		ZCREQ_IF_TRACED(stream->conn.context,
				tell_sends(&stream->queue, range.first, range.last));
		stream->conn.stats.sent_bytes += bytes;
		stream->sending.copies = 0; /* if there was one to copy, this was it */
		zcreq_stream_progressed(stream, bytes);
	}
	if (bytes && by_reference)
		taken_by_reference(stream, bytes, range);
	else
		taken_otherwise(stream, bytes, range);
}

/* What the program says cannot be: nothing of it is believed, and nothing is sent any more. */
static void broken(struct zcreq_stream *stream)
{
	zcreq_conn_end_with(&stream->conn, -ERANGE, zcreq_stream_cause(-ERANGE));
}

/* Can the call under way have had this end? */
static bool can_be(const struct zcreq_stream *stream, int64_t result, bool by_reference)
{
	if (result > 0 && (uint64_t)result > stream->sending.lent_bytes)
		return false;
	if (stream->sending.early != ZCREQ_EARLY_NOTHING && (result <= 0 || !by_reference))
		return false;
	return result <= 0 || !by_reference || stream->policy.state != ZCREQ_POLICY_NEVER;
}

/* The call has taken nothing. */
static void failed(struct zcreq_stream *stream, int error, bool by_reference, bool room)
{
	stream->sending.by_reference = by_reference;
	zcreq_sender_failed(stream, error);
	if (room)
		zcreq_own_room(stream);
	/* there is nothing here to be sent again: the program is told when it can */
	if (zcreq_stream_put_off(stream))
		zcreq_sender_event(stream, ZCREQ_SENDER_FULL);
}

int zcreq_sent(struct zcreq_conn *conn, int64_t result, bool by_reference)
{
	struct zcreq_stream *stream = zcreq_stream_of(conn);
	bool room;
	int ret = 0;

	if (!conn)
		return -EINVAL;
	if (!zcreq_is_own(conn))
		return -EOPNOTSUPP;
	zcreq_guard_hears(conn->context, conn, ZCREQ_CALL_LOOKS);
	if (!zcreq_stream_lent(stream) && result <= 0) {
		zcreq_stale(conn->context, &conn->stats, stream->ids.next);
		return -ESTALE;
	}
	room = stream->sending.turn == ZCREQ_SENDER_TURN_ROOM;
	if (!can_be(stream, result, by_reference)) {
		broken(stream);
		ret = -ERANGE;
		if (zcreq_stream_lent(stream))
			ended(stream, stream->sending.lent_bytes, true);
	} else {
		ended(stream, result > 0 ? (uint64_t)result : 0, by_reference);
		if (result <= 0)
			failed(stream, (int)result, by_reference, room);
	}
	zcreq_stream_follow_up(stream);
	return ret;
}

void zcreq_own_room(struct zcreq_stream *stream)
{
	const bool waits = stream->sending.turn == ZCREQ_SENDER_TURN_SOCKETS;

	zcreq_sender_event(stream, ZCREQ_SENDER_ROOM);
	if (waits)
		zcreq_conn_due(&stream->conn, ZCREQ_CONN_DUE_ROOM);
}

bool zcreq_own_claims(struct zcreq_stream *stream, uint32_t lo, uint32_t *hi, bool copied)
{
	struct zcreq_ids *ids = &stream->ids;

	/* the call under way has the next id, as any other: it is not proven by its namesake */
	if (stream->foreign_ids) {
		stream->conn.stats.bogus_ranges++;
		return false;
	}
	if (!zcreq_ids_knows(ids, lo, *hi)) {
		/* of a call of which nobody has told: ids are not what they seem from there on */
		if ((int32_t)(*hi - ids->next) >= 0)
			broken(stream);
		return true; /* it is counted */
	}
	if (!zcreq_stream_lent(stream) || *hi != ids->next - 1)
		return true;
	stream->sending.early = copied ? ZCREQ_EARLY_COPIED : ZCREQ_EARLY_NOTIFIED;
	return (*hi)-- != lo;
}
