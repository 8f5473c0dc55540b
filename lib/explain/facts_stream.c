/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * facts_stream.c - what a stream knows of its sends, and what the kernel says of the peer
 *
 * How much of a send is ACKed is worked out backwards: the kernel says how many of the
 * bytes that it took are not ACKed yet, and these are the last of what was accepted.
 */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>

#include "explain/facts.h"
#include "stream/peer.h"
#include "stream/watchdog.h"

/* ---- the peer ---- */

/*
 * Bytes that the kernel has and that are not ACKed. What it had acknowledged before the first of
 * the stream's is known, but for a stream that began with others' on their way: then the SYN counts
 * as one that is, as it does on the side that connected.
 */
static uint64_t unacked_bytes(const struct zcreq_stream *stream, const struct tcp_info *info)
{
	uint64_t acked = info->tcpi_bytes_acked - (info->tcpi_bytes_acked > 0);
	uint64_t sent = info->tcpi_bytes_sent - info->tcpi_bytes_retrans;

	if (!info->tcpi_unacked)
		return info->tcpi_notsent_bytes;
	if (stream->base_acked != ZCREQ_NEVER) {
		acked = info->tcpi_bytes_acked - stream->base_acked;
		sent = stream->conn.stats.sent_bytes;
		return sent > acked ? sent - acked : 0;
	}
	return info->tcpi_notsent_bytes + (sent > acked ? sent - acked : 0);
}

/* Since Linux 4.19; an older kernel fills less of the struct. */
static bool knows_unacked(socklen_t len)
{
	return len >= offsetof(struct tcp_info, tcpi_bytes_retrans) +
			      sizeof(((struct tcp_info *)NULL)->tcpi_bytes_retrans);
}

/* When the watchdog looks next, from the last turn on. */
static uint64_t look_in_ns(const struct zcreq_stream *stream)
{
	if (!stream->stall_ms)
		return ZCREQ_UNKNOWN;
	/* what nobody has looked at since it was queued begins with the next turn */
	if (stream->look < ZCREQ_LOOK_AWAKE)
		return stream->stall_ms * ZCREQ_MS;
	return stream->look_ns - stream->conn.context->now_ns;
}

struct zcreq_peer_facts zcreq_peer_look(const struct zcreq_stream *stream)
{
	struct zcreq_peer_facts peer = {.unacked_bytes = ZCREQ_UNKNOWN};
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	if (stream->fd < 0 || stream->ladder != ZCREQ_LADDER_NONE ||
	    stream->ops->getsockopt(stream->fd, IPPROTO_TCP, TCP_INFO, &info, &len,
				    stream->ops_arg))
		return peer;
	if (!zcreq_stream_outstanding(stream) && !zcreq_peer_owes(&info))
		return peer;
	peer.verdict = zcreq_watchdog_verdict(stream, &info, len, &peer.window_closed);
	peer.quiet_ns = zcreq_watchdog_quiet_ms(&info) * ZCREQ_MS;
	peer.retransmits = info.tcpi_retransmits;
	peer.probes = info.tcpi_probes;
	peer.look_in_ns = look_in_ns(stream);
	if (knows_unacked(len))
		peer.unacked_bytes = unacked_bytes(stream, &info);
	return peer;
}

/* ---- the stream ---- */

struct zcreq_stream_facts zcreq_stream_look(const struct zcreq_stream *stream)
{
	struct zcreq_stream_facts facts = {
		.ladder = stream->ladder,
		.short_of_memory = zcreq_stream_put_off(stream),
		.batches = stream->ids.pending,
		.oldest_id = stream->ids.oldest,
		.unsent_bytes = stream->queue.unsent_bytes,
		.kernel_bytes = stream->queue.held_bytes - stream->queue.unsent_bytes,
		.detached_bytes = stream->queue.detached_bytes,
	};

	/* what was copied is no longer outstanding, and may be owed still */
	if (zcreq_stream_outstanding(stream) || stream->look >= ZCREQ_LOOK_AWAKE)
		facts.peer = zcreq_peer_look(stream);
	return facts;
}

/* ---- a request's sends ---- */

static uint64_t kernel_part(const struct zcreq_sendq *q, uint32_t number)
{
	return zcreq_sendq_at(q, number)->total_bytes - zcreq_sendq_left(q, number);
}

/* Bytes of the sends in the queue that were accepted. */
static uint64_t accepted_in_queue(const struct zcreq_sendq *q)
{
	uint64_t bytes = 0;

	for (uint32_t n = q->head; n != q->tail; n++)
		bytes += kernel_part(q, n);
	return bytes;
}

/* How many bytes of a send, accepted up to stream offset @end, are ACKed. */
static uint64_t acked_part(uint64_t accepted, uint64_t end, uint64_t acked_end)
{
	uint64_t begin = end - accepted;

	if (acked_end <= begin)
		return 0;
	return acked_end < end ? acked_end - begin : accepted;
}

static void look_at_sends(const struct zcreq_request *request, uint64_t unacked_bytes,
			  struct zcreq_request_facts *facts)
{
	const struct zcreq_sendq *q = &zcreq_stream_of(request->conn)->queue;
	bool known = unacked_bytes != ZCREQ_UNKNOWN;
	uint64_t accepted = accepted_in_queue(q), end = 0;
	uint64_t acked_end = accepted > unacked_bytes ? accepted - unacked_bytes : 0;

	for (uint32_t n = q->head; n != q->tail && facts->sends_seen < ZCREQ_FACTS_SENDS; n++) {
		const struct zcreq_send *send = zcreq_sendq_at(q, n);
		uint64_t part = kernel_part(q, n);

		end += part;
		if (zcreq_send_request(send) != request)
			continue;
		facts->sends[facts->sends_seen++] = (struct zcreq_send_facts){
			.total_bytes = send->total_bytes,
			.unsent_bytes = zcreq_sendq_left(q, n),
			.kernel_bytes = part,
			.acked_bytes = known ? acked_part(part, end, acked_end) : ZCREQ_UNKNOWN,
			.age_ns = zcreq_facts_age_ns(request->conn->context, send->since),
		};
	}
}

/* Is every byte of the request's sends ACKed, as far as the kernel can tell? */
static bool all_acked(const struct zcreq_request *request, uint64_t unacked_bytes)
{
	const struct zcreq_sendq *q = &zcreq_stream_of(request->conn)->queue;
	uint64_t accepted = accepted_in_queue(q), end = 0, last = 0;

	for (uint32_t n = q->head; n != q->tail; n++) {
		end += kernel_part(q, n);
		if (zcreq_send_request(zcreq_sendq_at(q, n)) == request)
			last = end;
	}
	/* what is unknown is more than anything */
	return accepted - last >= unacked_bytes;
}

static bool has_unsent(const struct zcreq_request *request)
{
	const struct zcreq_sendq *q = &zcreq_stream_of(request->conn)->queue;

	for (uint32_t n = q->next; n != q->tail; n++) {
		const struct zcreq_send *send = zcreq_sendq_at(q, n);

		if (zcreq_send_request(send) == request && send->left_bytes)
			return true;
	}
	return false;
}

/* Has the program offered some of it to a call of its own, and not said what was taken? */
static bool is_offered(const struct zcreq_request *request)
{
	const struct zcreq_stream *stream = zcreq_stream_of(request->conn);
	const struct zcreq_batch *batch;

	if (!zcreq_is_own(request->conn) || !zcreq_stream_lent(stream))
		return false;
	batch = &stream->ids.batches[(stream->ids.next - 1) & stream->ids.mask];
	for (uint32_t n = batch->first_send; n != batch->last_send + 1; n++)
		if (zcreq_send_request(zcreq_sendq_at(&stream->queue, n)) == request)
			return true;
	return false;
}

/* What brings proof of a request's sends. */
static const char *proof_awaited(const struct zcreq_request *request, uint64_t unacked_bytes)
{
	if (is_offered(request))
		return "the program to say what its call took (zcreq_sent)";
	if (request->conn->state == ZCREQ_CONN_QUARANTINED)
		return "late proof, looked for once in a second";
	if (request->conn->state == ZCREQ_CONN_ABORTING)
		return "the last packets to leave this machine";
	if (has_unsent(request))
		return "room in the socket (POLLOUT)";
	if (all_acked(request, unacked_bytes))
		return "the notification, when the rest of its batch is ACKed";
	return "the peer's ACK, or an abort of the connection";
}

void zcreq_sends_look(const struct zcreq_request *request, uint64_t unacked_bytes,
		      struct zcreq_request_facts *facts)
{
	const struct zcreq_conn *conn = request->conn;
	uint64_t now_ns = conn->context->now_ns;

	look_at_sends(request, unacked_bytes, facts);
	zcreq_facts_wait(facts, proof_awaited(request, unacked_bytes));
	if (conn->state == ZCREQ_CONN_ABORTING && conn->deadline_ns > now_ns)
		facts->quarantine_in_ns = conn->deadline_ns - now_ns;
}
