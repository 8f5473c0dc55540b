/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check.c - what holds of a stream's structs between any two public calls
 *
 * The structs hold each other's numbers: a batch names sends, a send counts batches and
 * names a request, a request counts sends. Each is counted here from the other side.
 *
 * It asks the socket nothing and changes nothing.
 */
#include "stream/check.h"

/* A fifo with entries @head..@tail: a power of two, and large enough. */
static void check_fifo(const void *fifo, uint32_t mask, uint32_t head, uint32_t tail)
{
	const uint64_t capacity = fifo ? (uint64_t)mask + 1 : 0;

	zcreq_assert(fifo || mask == UINT32_MAX);
	zcreq_assert(!(capacity & (capacity - 1)));
	zcreq_assert(tail - head <= capacity);
}

static const struct zcreq_batch *batch_at(const struct zcreq_ids *ids, uint32_t id)
{
	return &ids->batches[id & ids->mask];
}

void zcreq_ids_check(const struct zcreq_ids *ids)
{
	uint32_t pending = 0;

	check_fifo(ids->batches, ids->mask, ids->oldest, ids->next);
	zcreq_assert(ids->next - ids->oldest <= ZCREQ_IDS_MAX);
	for (uint32_t id = ids->oldest; id != ids->next; id++) {
		zcreq_assert(batch_at(ids, id)->pending <= 1);
		pending += batch_at(ids, id)->pending;
	}
	zcreq_assert(pending == ids->pending);
	zcreq_assert(ids->oldest == ids->next || batch_at(ids, ids->oldest)->pending);
}

void zcreq_policy_check(const struct zcreq_policy *policy)
{
	zcreq_assert(policy->state >= ZCREQ_POLICY_STARTING &&
		     policy->state <= ZCREQ_POLICY_NEVER);
	/* 0 is for every batch, which only mode always has, also when it has given up */
	zcreq_assert(policy->threshold_bytes || policy->state >= ZCREQ_POLICY_ALWAYS);
	zcreq_assert(policy->member_bytes <= policy->threshold_bytes);
	zcreq_assert(policy->sample_copied <= policy->sample_ids);
	zcreq_assert(policy->sample_ids < (policy->state == ZCREQ_POLICY_USING
						   ? ZCREQ_POLICY_SAMPLE
						   : ZCREQ_POLICY_PROBE));
	zcreq_assert(policy->state < ZCREQ_POLICY_PAUSED || !policy->sample_ids);
	zcreq_assert(policy->pause_batches >= ZCREQ_POLICY_PAUSE_LEAST &&
		     policy->pause_batches <= ZCREQ_POLICY_PAUSE_MOST);
	zcreq_assert(policy->state != ZCREQ_POLICY_PAUSED ||
		     policy->rest_batches <= policy->pause_batches);
}

void zcreq_writebuf_check(const struct zcreq_writebuf *buf, uint32_t writes)
{
	const struct zcreq_chunk *filling = buf->filling, *spare;
	uint32_t spares = 0;

	if (filling) {
		zcreq_assert(filling->used <= filling->size);
		zcreq_assert(!filling->writes == !filling->used);
		zcreq_assert(filling->writes <= writes);
	}
	for (spare = buf->spare; spare; spare = spare->next) {
		zcreq_assert(spares++ < buf->spares);
		zcreq_assert(spare != filling && spare->size == ZCREQ_CHUNK_BYTES);
		zcreq_assert(!spare->writes);
	}
	zcreq_assert(spares == buf->spares && spares <= buf->reserve + 1);
	zcreq_assert(filling || !writes);
}

/* One send of the queue, @number; those before next have been accepted. */
static void check_send(const struct zcreq_sendq *q, uint32_t number)
{
	const struct zcreq_send *send = zcreq_sendq_at(q, number);
	const uint64_t left_bytes = zcreq_sendq_left(q, number);

	zcreq_assert(left_bytes <= send->total_bytes);
	if (!send->owner) {
		zcreq_assert(!left_bytes && !send->batches);
		zcreq_assert(number != q->head || number == q->next);
	}
	/* what is neither unsent nor in a batch has gone */
	zcreq_assert(!send->owner || send->batches);
	if (!zcreq_sendq_accepted(q, number))
		zcreq_assert(send->end_iov - q->iov_next <= q->iov_tail - q->iov_next);
}

static uint64_t iov_bytes(const struct zcreq_sendq *q)
{
	uint64_t bytes = 0;

	for (uint32_t i = q->iov_next; i != q->iov_tail; i++)
		bytes += q->iovs[i & q->iov_mask].iov_len;
	return bytes;
}

void zcreq_sendq_check(const struct zcreq_sendq *q)
{
	uint64_t held_bytes = 0, unsent_bytes = 0, detached_bytes = 0;
	uint32_t writes = 0;

	check_fifo(q->sends, q->send_mask, q->head, q->tail);
	check_fifo(q->iovs, q->iov_mask, q->iov_next, q->iov_tail);
	zcreq_assert(q->next - q->head <= q->tail - q->head);
	for (uint32_t number = q->head; number != q->tail; number++) {
		const struct zcreq_send *send = zcreq_sendq_at(q, number);

		check_send(q, number);
		unsent_bytes += zcreq_sendq_left(q, number);
		held_bytes += send->owner ? send->total_bytes : 0;
		detached_bytes += send->owner == ZCREQ_SEND_DETACHED ? send->total_bytes : 0;
		writes += send->owner & ZCREQ_SEND_WRITE && send->owner != ZCREQ_SEND_WRITE;
	}
	zcreq_assert(unsent_bytes == q->unsent_bytes);
	zcreq_assert(held_bytes == q->held_bytes);
	zcreq_assert(detached_bytes == q->detached_bytes);
	/* of a program's own sends there are none */
	zcreq_assert(!q->iovs || iov_bytes(q) == q->unsent_bytes);
	/* what is next has something left, or skip_sent() would have gone past it */
	zcreq_assert(q->next == q->tail || zcreq_sendq_at(q, q->next)->left_bytes);
	zcreq_writebuf_check(&q->writes, writes);
}

/* A send counts the batches that wait for proof and have bytes of it, and the one that will
 * take its last byte. */
static void check_batches(const struct zcreq_sendq *q, const struct zcreq_ids *ids)
{
	uint64_t by_sends = 0, by_batches = 0;

	for (uint32_t number = q->head; number != q->tail; number++)
		by_sends += zcreq_sendq_at(q, number)->batches - (zcreq_sendq_left(q, number) > 0);
	for (uint32_t id = ids->oldest; id != ids->next; id++) {
		const struct zcreq_batch *batch = batch_at(ids, id);

		if (!batch->pending)
			continue;
		zcreq_assert(batch->first_send - q->head <= batch->last_send - q->head);
		zcreq_assert(batch->last_send - q->head < q->tail - q->head);
		for (uint32_t at = batch->first_send; at != batch->last_send + 1; at++)
			by_batches += zcreq_sendq_at(q, at)->owner != 0;
	}
	zcreq_assert(by_sends == by_batches);
}

/* A request counts its sends. */
static void check_owners(const struct zcreq_stream *stream)
{
	const struct zcreq_sendq *q = &stream->queue;
	const struct zcreq_request *request;
	uint64_t sends = 0, bytes = 0;

	for (uint32_t number = q->head; number != q->tail; number++) {
		const struct zcreq_send *send = zcreq_sendq_at(q, number);

		request = zcreq_send_request(send);
		if (!request)
			continue;
		zcreq_assert(request->conn == &stream->conn);
		zcreq_assert(request->sends);
		sends++;
		bytes += send->total_bytes;
	}
	TAILQ_FOREACH(request, &stream->conn.requests, in_conn) {
		sends -= request->sends;
		bytes -= request->send_bytes;
	}
	zcreq_assert(!sends && !bytes);
}

static void check_sending(const struct zcreq_stream *stream)
{
	const struct zcreq_sending *sending = &stream->sending;
	const struct zcreq_ids *ids = &stream->ids;

	zcreq_assert(sending->turn >= ZCREQ_SENDER_TURN_OURS &&
		     sending->turn <= ZCREQ_SENDER_TURN_ROOM);
	zcreq_assert(sending->ops || zcreq_is_own(&stream->conn) ||
		     sending->turn == ZCREQ_SENDER_TURN_OURS);
	zcreq_assert(sending->early >= ZCREQ_EARLY_NOTHING && sending->early <= ZCREQ_EARLY_COPIED);
	zcreq_assert(sending->early == ZCREQ_EARLY_NOTHING || zcreq_stream_lent(stream));
	/* what a program has is known from its offer to its report only */
	zcreq_assert(!zcreq_is_own(&stream->conn) || !zcreq_conn_sends(&stream->conn) ||
		     stream->queue.unsent_bytes == sending->lent_bytes);
	zcreq_assert(zcreq_stream_lent(stream) == (sending->lent_bytes > 0));
	if (!zcreq_stream_lent(stream))
		return;
	/* what is under way is the last batch, and of the bytes that are unsent */
	zcreq_assert(ids->pending && batch_at(ids, ids->next - 1)->pending);
	zcreq_assert(!zcreq_conn_sends(&stream->conn) ||
		     sending->lent_bytes <= stream->queue.unsent_bytes);
}

/* Whoever waits for time stands in a list of the context, or would wait for ever. */
static void check_waiting(const struct zcreq_stream *stream)
{
	const struct zcreq_conn *conn = &stream->conn;
	const bool outstanding = zcreq_stream_outstanding(stream);

	zcreq_assert(stream->retry >= ZCREQ_RETRY_NONE && stream->retry <= ZCREQ_RETRY_LATER);
	zcreq_assert(stream->fin >= ZCREQ_FIN_NONE && stream->fin <= ZCREQ_FIN_OVER);
	zcreq_assert(stream->fin < ZCREQ_FIN_SENT || !stream->queue.unsent_bytes);
	zcreq_assert(stream->look == ZCREQ_LOOK_ASLEEP ||
		     (stream->look <= ZCREQ_LOOK_DOUBTED && stream->stall_ms));
	if (conn->state == ZCREQ_CONN_CLOSED)
		return;
	if (zcreq_stream_put_off(stream) || stream->ladder != ZCREQ_LADDER_NONE ||
	    (outstanding && stream->stall_ms) || stream->look > ZCREQ_LOOK_ASLEEP ||
	    zcreq_fin_waits(stream))
		zcreq_assert(conn->timer_list || (!zcreq_conn_sends(conn) && !outstanding));
	/* a watcher that has not been told of a change sleeps through it */
	zcreq_assert(conn->watch != ZCREQ_WATCH_TOLD ||
		     zcreq_stream_events(stream) == conn->told_events);
}

void zcreq_stream_check(const struct zcreq_stream *stream)
{
	const struct zcreq_conn *conn = &stream->conn;

	zcreq_assert(stream->ops);
	zcreq_assert(stream->fd >= 0 || conn->state == ZCREQ_CONN_CLOSED);
	if (stream->fd < 0) {
		/* the queue has been given back */
		zcreq_assert(!stream->queue.held_bytes && !stream->ids.pending);
		return;
	}
	zcreq_ids_check(&stream->ids);
	zcreq_policy_check(&stream->policy);
	zcreq_sendq_check(&stream->queue);
	check_batches(&stream->queue, &stream->ids);
	check_owners(stream);
	check_sending(stream);
	check_waiting(stream);
	zcreq_assert(stream->ladder >= ZCREQ_LADDER_NONE && stream->ladder <= ZCREQ_LADDER_LET_GO);
	zcreq_assert(!zcreq_conn_sends(conn) || stream->ladder == ZCREQ_LADDER_NONE);
	/* an abort drops what is unsent */
	zcreq_assert(stream->ladder == ZCREQ_LADDER_NONE || !stream->queue.unsent_bytes);
	zcreq_assert(zcreq_conn_sends(conn) || conn->state == ZCREQ_CONN_CLOSED ||
		     stream->ladder != ZCREQ_LADDER_NONE);
}

void zcreq_streams_check(const struct zcreq_context *context)
{
	const struct zcreq_conn *conn;

	TAILQ_FOREACH(conn, &context->conns, in_context) {
		if (zcreq_is_stream(conn))
			zcreq_stream_check(zcreq_stream_of(conn));
	}
}
