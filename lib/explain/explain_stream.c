/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain_stream.c - the parts of a stream's sends, and what the kernel says of the peer
 *
 * How much of a send is ACKed is worked out backwards: the kernel says how many of the
 * bytes that it took are not ACKed yet, and these are the last of what was accepted.
 */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>

#include "stream/stream.h"
#include "explain/explain.h"
#include "stream/watchdog.h"

#define SENDS_MOST 4

/* What the kernel says. */
struct view {
	bool there;         /* it says anything */
	bool knows_unacked; /* since Linux 4.19 */
	bool window_closed;
	enum zcreq_stall verdict;
	uint64_t unacked_bytes; /* of those that it has, sent or not */
	uint64_t quiet_ms;
	unsigned retransmits, probes;
};

/* Bytes that the kernel has and that are not ACKed; the SYN counts as one that is. */
static uint64_t unacked_bytes(const struct tcp_info *info)
{
	uint64_t acked = info->tcpi_bytes_acked - (info->tcpi_bytes_acked > 0);
	uint64_t sent = info->tcpi_bytes_sent - info->tcpi_bytes_retrans;

	if (!info->tcpi_unacked)
		return info->tcpi_notsent_bytes;
	return info->tcpi_notsent_bytes + (sent > acked ? sent - acked : 0);
}

static struct view look(const struct zcreq_stream *stream)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);
	struct view view = {0};

	if (stream->ladder != ZCREQ_LADDER_NONE ||
	    stream->ops->getsockopt(stream->fd, IPPROTO_TCP, TCP_INFO, &info, &len,
				    stream->ops_arg))
		return view;
	view.there = true;
	view.knows_unacked = len >= offsetof(struct tcp_info, tcpi_bytes_retrans) +
					    sizeof(info.tcpi_bytes_retrans);
	view.unacked_bytes = unacked_bytes(&info);
	view.quiet_ms = info.tcpi_last_ack_recv < info.tcpi_last_data_recv
				? info.tcpi_last_ack_recv
				: info.tcpi_last_data_recv;
	view.retransmits = info.tcpi_retransmits;
	view.probes = info.tcpi_probes;
	view.verdict = zcreq_watchdog_verdict(stream, &info, len, &view.window_closed);
	return view;
}

/* ---- the connection ---- */

/* When the watchdog does something about it, from the last tick on. */
static void explain_watchdog(const struct zcreq_stream *stream, const struct view *view,
			     struct zcreq_text *t)
{
	uint64_t now_ns = stream->conn.context->now_ns, in_ns;

	if (!stream->stall_ms) {
		zcreq_text_add(t, zcreq_text_is_json(t) ? ",\"look_in_ms\":null" : "; no watchdog");
		return;
	}
	/* what nobody has looked at since it was queued begins with the next tick */
	if (stream->look == ZCREQ_LOOK_ASLEEP)
		in_ns = stream->stall_ms * ZCREQ_MS;
	else
		in_ns = stream->look_ns - now_ns;
	if (zcreq_text_is_json(t))
		zcreq_text_add(t, ",\"look_in_ms\":");
	else
		zcreq_text_add(t, view->verdict == ZCREQ_STALL_VANISHED ? "; abort in "
									: "; next look in ");
	zcreq_text_duration(t, in_ns);
}

static const char *const verdict_names[] = {
	[ZCREQ_STALL_VANISHED] = "vanished",
	[ZCREQ_STALL_NOT_READING] = "not_reading",
	[ZCREQ_STALL_CONGESTED] = "congested",
};

static const char *peer_words(const struct view *view)
{
	if (view->verdict == ZCREQ_STALL_VANISHED)
		return "the peer has vanished";
	if (view->window_closed)
		return "the peer is there and does not read";
	return view->retransmits ? "packets are lost, or the peer is away" : "the peer is there";
}

static void explain_peer(const struct zcreq_stream *stream, struct zcreq_text *t)
{
	const struct view view = look(stream);

	if (!view.there)
		return;
	if (zcreq_text_is_json(t)) {
		zcreq_text_add(t, ",\"peer\":{\"verdict\":\"%s\",\"heard_ms\":%llu,"
				  "\"retransmits\":%u,\"probes\":%u,\"window_closed\":%s,"
				  "\"unacked_bytes\":", verdict_names[view.verdict],
			       (unsigned long long)view.quiet_ms, view.retransmits, view.probes,
			       view.window_closed ? "true" : "false");
		if (view.knows_unacked)
			zcreq_text_bytes(t, view.unacked_bytes);
		else
			zcreq_text_add(t, "null");
		explain_watchdog(stream, &view, t);
		zcreq_text_add(t, "}");
		return;
	}
	zcreq_text_line(t, "%s", "");
	if (view.knows_unacked) {
		zcreq_text_bytes(t, view.unacked_bytes);
		zcreq_text_add(t, " not ACKed, ");
	}
	zcreq_text_add(t, "%u retransmit%s, ", view.retransmits, view.retransmits == 1 ? "" : "s");
	if (view.probes)
		zcreq_text_add(t, "%u probe%s unanswered, ", view.probes,
			       view.probes == 1 ? "" : "s");
	zcreq_text_add(t, "nothing heard for ");
	zcreq_text_duration(t, view.quiet_ms * ZCREQ_MS);
	zcreq_text_add(t, ": %s", peer_words(&view));
	explain_watchdog(stream, &view, t);
}

void zcreq_stream_explain(const struct zcreq_conn *conn, struct zcreq_text *t)
{
	static const char *const ladder[] = {
		[ZCREQ_LADDER_NONE] = "",
		[ZCREQ_LADDER_WAITING] = ", waits for its turn to be disconnected",
		[ZCREQ_LADDER_REFUSED] = ", the kernel refuses to disconnect",
		[ZCREQ_LADDER_LET_GO] = ", disconnected",
	};
	const struct zcreq_stream *stream = zcreq_stream_of(conn);
	unsigned long long unsent = stream->queue.unsent_bytes;
	unsigned long long kernel = stream->queue.held_bytes - stream->queue.unsent_bytes;

	if (zcreq_text_is_json(t))
		zcreq_text_add(t, ",\"unsent_bytes\":%llu,\"kernel_bytes\":%llu,\"batches\":%u,"
				  "\"oldest_id\":%u,\"disconnected\":%s",
			       unsent, kernel, stream->ids.pending, stream->ids.oldest,
			       stream->ladder == ZCREQ_LADDER_LET_GO ? "true" : "false");
	zcreq_text_line(t, "%llu bytes unsent, %llu in the kernel in %u batch%s (ids from %u)%s",
			unsent, kernel, stream->ids.pending,
			stream->ids.pending == 1 ? "" : "es", stream->ids.oldest,
			ladder[stream->ladder]);
	if (stream->retry_ns)
		zcreq_text_line(t, "no memory to send with: tried again in a few ms");
	if (zcreq_stream_outstanding(stream))
		explain_peer(stream, t);
}

/* ---- a request's sends ---- */

/* How many bytes of a send, accepted up to stream offset @end, are ACKed. */
static uint64_t acked_part(uint64_t accepted, uint64_t end, uint64_t acked_end)
{
	uint64_t begin = end - accepted;

	if (acked_end <= begin)
		return 0;
	return acked_end < end ? acked_end - begin : accepted;
}

static void explain_send(const struct zcreq_send *send, const struct view *view, uint64_t acked,
			 const struct zcreq_context *context, struct zcreq_text *t)
{
	uint64_t kernel = send->total_bytes - send->left_bytes;

	if (zcreq_text_is_json(t)) {
		zcreq_text_add(t, "{\"bytes\":%llu,\"unsent_bytes\":%llu,\"kernel_bytes\":%llu",
			       (unsigned long long)send->total_bytes,
			       (unsigned long long)send->left_bytes, (unsigned long long)kernel);
		if (view->knows_unacked)
			zcreq_text_add(t, ",\"acked_bytes\":%llu", (unsigned long long)acked);
		zcreq_explain_age(t, context, send->since);
		zcreq_text_add(t, "}");
		return;
	}
	zcreq_text_line(t, "send of %llu bytes", (unsigned long long)send->total_bytes);
	zcreq_explain_age(t, context, send->since);
	if (send->left_bytes)
		zcreq_text_add(t, ": %llu unsent", (unsigned long long)send->left_bytes);
	if (!kernel)
		return;
	zcreq_text_add(t, "%c %llu in the kernel", send->left_bytes ? ',' : ':',
		       (unsigned long long)kernel);
	if (!view->knows_unacked)
		return;
	if (acked && acked < kernel)
		zcreq_text_add(t, ", %llu of them ACKed", (unsigned long long)acked);
	else
		zcreq_text_add(t, acked ? ", ACKed" : ", not ACKed");
}

/* Bytes of the sends in the queue that were accepted. */
static uint64_t accepted_in_queue(const struct zcreq_sendq *q)
{
	uint64_t bytes = 0;

	for (uint32_t n = q->head; n != q->tail; n++)
		bytes += zcreq_sendq_at(q, n)->total_bytes - zcreq_sendq_at(q, n)->left_bytes;
	return bytes;
}

void zcreq_stream_explain_sends(const struct zcreq_request *request, struct zcreq_text *t)
{
	const struct zcreq_stream *stream = zcreq_stream_of(request->conn);
	const struct zcreq_sendq *q = &stream->queue;
	const struct view view = look(stream);
	uint64_t accepted = accepted_in_queue(q), end = 0;
	uint64_t acked_end = accepted > view.unacked_bytes ? accepted - view.unacked_bytes : 0;
	unsigned told = 0;

	for (uint32_t n = q->head; n != q->tail && told < SENDS_MOST; n++) {
		const struct zcreq_send *send = zcreq_sendq_at(q, n);
		uint64_t part = send->total_bytes - send->left_bytes;

		end += part;
		if (zcreq_send_request(send) != request)
			continue;
		zcreq_text_add(t, zcreq_text_is_json(t) && told ? "," : "");
		explain_send(send, &view, acked_part(part, end, acked_end), request->conn->context, t);
		told++;
	}
	if (told < request->sends)
		zcreq_text_line(t, "and %u more", request->sends - told);
}

/* Is every byte of the request's sends ACKed, as far as the kernel can tell? */
static bool all_acked(const struct zcreq_request *request)
{
	const struct zcreq_sendq *q = &zcreq_stream_of(request->conn)->queue;
	const struct view view = look(zcreq_stream_of(request->conn));
	uint64_t accepted = accepted_in_queue(q), end = 0, last = 0;

	for (uint32_t n = q->head; n != q->tail; n++) {
		end += zcreq_sendq_at(q, n)->total_bytes - zcreq_sendq_at(q, n)->left_bytes;
		if (zcreq_send_request(zcreq_sendq_at(q, n)) == request)
			last = end;
	}
	return view.knows_unacked && accepted - last >= view.unacked_bytes;
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

/* What brings proof of a request's sends. */
void zcreq_stream_explain_waits(const struct zcreq_request *request, struct zcreq_text *t)
{
	const struct zcreq_conn *conn = request->conn;
	uint64_t now_ns = conn->context->now_ns;

	if (conn->state == ZCREQ_CONN_QUARANTINED) {
		zcreq_text_item(t, "late proof, looked for once in a second");
	} else if (conn->state == ZCREQ_CONN_ABORTING) {
		zcreq_text_item(t, "the last packets to leave this machine");
		if (!zcreq_text_is_json(t) && conn->deadline_ns > now_ns) {
			zcreq_text_add(t, " (quarantine in ");
			zcreq_text_duration(t, conn->deadline_ns - now_ns);
			zcreq_text_add(t, ")");
		}
	} else {
		if (has_unsent(request))
			zcreq_text_item(t, "room in the socket (POLLOUT)");
		else if (all_acked(request))
			zcreq_text_item(t, "the notification, when the rest of its batch is ACKed");
		else
			zcreq_text_item(t, "the peer's ACK, or an abort of the connection");
	}
}
