/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proof.c - what the kernel says is no longer read: from the error queue to the sends
 *
 * It owns the order in which a notification becomes a proof: it is read as a claim, then
 * the socket is asked whether it is alive, and only then is the claim believed. The death
 * of a connection posts notifications that look like those of delivered data, so a claim
 * that is believed without asking could turn lost bytes into a success. Death found on the
 * way is an abort, from here as well.
 *
 * It never sends and never waits: it reads what is there, a bounded number of messages at
 * a time, because others may post to the same queue without end. What a sender proves
 * comes in through the same functions (sender.c); a sender's ids are never taken from the
 * error queue.
 */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>

#include "core/points.h"
#include "stream/errqueue.h"
#include "stream/peer.h"
#include "stream/stream.h"

/* Foreign messages read in one go, beside one message for each batch. */
#define FOREIGN_AT_ONCE 1024

/* Notifications for which the connection is asked once whether it is alive. */
#define CLAIMS_AT_ONCE 64

/* Apart from zcreq_stream_prove() so that a range needs no call for each id. NULL: it was
 * proven before. */
static inline const struct zcreq_batch *prove(struct zcreq_stream *stream, uint32_t id)
{
	struct zcreq_batch *batch = zcreq_ids_prove(&stream->ids, id);

	if (!batch) {
		stream->conn.stats.duplicate_ids++;
		return NULL;
	}
	zcreq_sendq_prove(&stream->queue, batch->first_send, batch->last_send, ZCREQ_GONE_NOTIFIED);
	return batch;
}

static inline void count(struct zcreq_stream *stream, uint32_t proven, bool copied)
{
	stream->conn.stats.notifications += proven;
	stream->conn.stats.notified_copied += copied ? proven : 0;
}

bool zcreq_stream_prove(struct zcreq_stream *stream, uint32_t id, bool copied)
{
	const struct zcreq_batch *batch;

	zcreq_trace_notified(&stream->conn, id, id, copied);
	batch = prove(stream, id);
	if (!batch)
		return false;
	/* of nothing nothing was copied, and nothing moved */
	if (batch->empty)
		return true;
	count(stream, 1, copied);
	zcreq_policy_notified(&stream->policy, 1, copied);
	zcreq_stream_progressed(stream, 1);
	return true;
}

/*
 * A notification may begin before our first id and end among ours: the kernel adds to one
 * that is unread, whoever made the sends. Of such a range the part before is not ours.
 * Once the first id is proven no true range can reach back beyond it.
 */
static bool begins_in_past(const struct zcreq_stream *stream, uint32_t lo, uint32_t hi)
{
	const struct zcreq_ids *ids = &stream->ids;

	return stream->had_past && ids->oldest == stream->first_id &&
	       (int32_t)(ids->oldest - lo) > 0 && zcreq_ids_knows(ids, ids->oldest, hi);
}

/* The kernel says that ids lo..hi are no longer referenced. */
static void prove_range(struct zcreq_stream *stream, uint32_t lo, uint32_t hi, bool copied)
{
	uint32_t id, ids, proven = 0;

	if (__builtin_expect(begins_in_past(stream, lo, hi), 0))
		lo = stream->first_id;
	if (zcreq_is_own(&stream->conn) && !zcreq_own_claims(stream, lo, &hi, copied))
		return;
	id = lo;
	ids = hi - lo + 1;
	/* a sender's ids are not the error queue's */
	if (stream->sending.ops || !zcreq_ids_knows(&stream->ids, lo, hi)) {
		stream->conn.stats.bogus_ranges++;
		return;
	}
	zcreq_trace_notified(&stream->conn, lo, hi, copied);
	zcreq_policy_notified(&stream->policy, ids, copied);
	do
		proven += prove(stream, id) != NULL;
	while (id++ != hi);
	count(stream, proven, copied);
	zcreq_stream_progressed(stream, ids);
}

enum zcreq_cause zcreq_stream_cause(int error)
{
	switch (error) {
	case -ECONNRESET:
	case -EPIPE:
	case -ENOTCONN:
		return ZCREQ_CAUSE_RESET;
	case -ETIMEDOUT:
		return ZCREQ_CAUSE_KERNEL_TIMEOUT;
	case -EFAULT:
		return ZCREQ_CAUSE_MEMORY;
	case -EBADF:
	case -ENOTSOCK:
		return ZCREQ_CAUSE_DESCRIPTOR;
	case -ERANGE: /* what sender.c makes of a result that cannot be */
		return ZCREQ_CAUSE_SENDER;
	default:
		return ZCREQ_CAUSE_SOCKET;
	}
}

void zcreq_stream_die(struct zcreq_stream *stream, int otherwise)
{
	socklen_t len = sizeof(int);
	int error = 0, ret;

	ret = stream->ops->getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &len,
				      stream->ops_arg);
	if (ret < 0)
		error = -ret;
	if (!error)
		error = otherwise;
	if (error)
		zcreq_conn_end_with(&stream->conn, -error, zcreq_stream_cause(-error));
}

/* A socket in state CLOSE, of which the kernel has told @len bytes. */
static __attribute__((noinline)) bool ended_well(const struct zcreq_stream *stream,
						 struct tcp_info *info, socklen_t len)
{
	if (len < sizeof(*info))
		memset((char *)info + len, 0, sizeof(*info) - len);
	return zcreq_fin_is_acked(stream, info);
}

/*
 * Notifications that the death of a connection posts look like those of delivered
 * data. They are success only if the connection was alive after they were posted,
 * so it is asked between reading them and believing them.
 */
void zcreq_stream_die_if_dead(struct zcreq_stream *stream)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	if (!zcreq_conn_sends(&stream->conn))
		return;
	/* the rest of it costs more to clear than to do without */
	info.tcpi_state = 0;
	if (stream->ops->getsockopt(stream->fd, IPPROTO_TCP, TCP_INFO, &info, &len,
				    stream->ops_arg) ||
	    (info.tcpi_state == ZCREQ_TCP_CLOSE && !ended_well(stream, &info, len)))
		zcreq_stream_die(stream, ECONNRESET);
}

/* Notifications that are read before they are believed. */
struct claims {
	uint32_t count;
	struct {
		uint32_t lo, hi;
		bool copied;
	} range[CLAIMS_AT_ONCE];
};

/* Reads messages until there are none, enough of them, or the claims are full. */
static int read_messages(struct zcreq_stream *stream, int most, struct claims *claims)
{
	struct zcreq_errqueue_item item;
	int kind, messages = 0;

	claims->count = 0;
	while (messages < most && claims->count < CLAIMS_AT_ONCE) {
		kind = zcreq_errqueue_next(stream->ops, stream->ops_arg, stream->fd, &item);
		if (kind < 0)
			return kind == -EAGAIN || messages ? messages : kind;
		messages++;
		if (kind == ZCREQ_ERRQUEUE_FOREIGN) {
			zcreq_message_keep(&stream->conn, &item.header, item.len);
			continue;
		}
		claims->range[claims->count].lo = item.lo;
		claims->range[claims->count].hi = item.hi;
		claims->range[claims->count++].copied = item.copied;
	}
	return messages;
}

int zcreq_stream_reap(struct zcreq_stream *stream)
{
	int most = (int)stream->ids.pending + FOREIGN_AT_ONCE, messages = 0, ret;
	struct claims claims;

	zcreq_stream_guard(stream);
	if (stream->sending.ops && stream->sending.ops->reap)
		stream->sending.ops->reap(&stream->conn, stream->sending.arg);
	/* its last proof may have ended a drain: nobody hears of messages any more */
	if (stream->conn.state == ZCREQ_CONN_CLOSED)
		return 0;
	do {
		ret = read_messages(stream, most - messages, &claims);
		if (claims.count)
			zcreq_stream_die_if_dead(stream);
		for (uint32_t i = 0; i < claims.count; i++)
			prove_range(stream, claims.range[i].lo, claims.range[i].hi,
				    claims.range[i].copied);
		if (ret < 0)
			return messages ? messages : ret;
		messages += ret;
		/* its end may have come with them: nobody hears of messages any more */
	} while (claims.count == CLAIMS_AT_ONCE && messages < most &&
		 stream->conn.state != ZCREQ_CONN_CLOSED);
	return messages;
}
