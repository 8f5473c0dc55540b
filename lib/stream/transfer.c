/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transfer.c - bytes out to the socket, proof back in from its error queue
 */
#include <errno.h>
#include <limits.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>

#include "stream/stream.h"
#include "stream/errqueue.h"
#include "guard/guard.h"
#include "stream/socket.h"
#include "core/points.h"

/* Foreign messages read in one go, beside one message for each batch. */
#define FOREIGN_AT_ONCE 1024

/* Notifications for which the connection is asked once whether it is alive. */
#define CLAIMS_AT_ONCE 64

/* tcpi_state of a connection that is over */
#define TCP_STATE_CLOSE 7

void zcreq_stream_check(struct zcreq_stream *stream)
{
	if (stream->room_below_bytes && stream->queue.held_bytes < stream->room_below_bytes) {
		stream->room_below_bytes = 0;
		zcreq_conn_due(&stream->conn, ZCREQ_CONN_DUE_ROOM);
	}
	if (!stream->conn.timer_list && !zcreq_stream_outstanding(stream) &&
	    zcreq_trim_wants(stream))
		zcreq_conn_stir(&stream->conn);
	zcreq_conn_check_end(&stream->conn);
	zcreq_stream_events_changed(stream);
}

void zcreq_stream_progressed(struct zcreq_stream *stream, uint64_t amount)
{
	stream->progress += amount;
	if (stream->stall_ms)
		zcreq_conn_stir(&stream->conn);
}

/* Apart from zcreq_stream_prove() so that a range needs no call for each id. */
static inline bool prove(struct zcreq_stream *stream, uint32_t id, bool copied)
{
	struct zcreq_stats *stats = &stream->conn.stats;
	struct zcreq_batch *batch = zcreq_ids_prove(&stream->ids, id);

	if (!batch) {
		stats->duplicate_ids++;
		return false;
	}
	stats->notifications++;
	stats->notified_copied += copied;
	zcreq_sendq_prove(&stream->queue, batch->first_send, batch->last_send, ZCREQ_GONE_NOTIFIED);
	return true;
}

bool zcreq_stream_prove(struct zcreq_stream *stream, uint32_t id, bool copied)
{
	zcreq_trace_notified(&stream->conn, id, id, copied);
	if (!prove(stream, id, copied))
		return false;
	zcreq_policy_notified(&stream->policy, 1, copied);
	zcreq_stream_progressed(stream, 1);
	return true;
}

/* The kernel says that ids lo..hi are no longer referenced. */
static void prove_range(struct zcreq_stream *stream, uint32_t lo, uint32_t hi, bool copied)
{
	uint32_t id = lo, ids = hi - lo + 1;

	/* a sender's ids are not the error queue's */
	if (stream->sending.ops || !zcreq_ids_knows(&stream->ids, lo, hi)) {
		stream->conn.stats.bogus_ranges++;
		return;
	}
	zcreq_trace_notified(&stream->conn, lo, hi, copied);
	zcreq_policy_notified(&stream->policy, ids, copied);
	do
		prove(stream, id, copied);
	while (id++ != hi);
	zcreq_stream_progressed(stream, ids);
}

/* The socket is dead: aborts with its error, or with @otherwise if it has none. */
static void die(struct zcreq_stream *stream, int otherwise)
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
		zcreq_conn_abort(&stream->conn, -error);
}

/*
 * Notifications that the death of a connection posts look like those of delivered
 * data. They are success only if the connection was alive after they were posted,
 * so it is asked between reading them and believing them.
 */
void zcreq_stream_die_if_dead(struct zcreq_stream *stream)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	if (!zcreq_conn_sends(&stream->conn))
		return;
	if (stream->ops->getsockopt(stream->fd, IPPROTO_TCP, TCP_INFO, &info, &len,
				    stream->ops_arg) ||
	    info.tcpi_state == TCP_STATE_CLOSE)
		die(stream, ECONNRESET);
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

	if (__builtin_expect(stream->guarded != NULL, 0))
		zcreq_guard_look(stream);
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
	} while (claims.count == CLAIMS_AT_ONCE && messages < most);
	return messages;
}

/* Hands a run of iovecs to the socket; -EAGAIN when that has to wait. */
static ssize_t call_sendmsg(struct zcreq_stream *stream, struct iovec *iov, uint32_t iovcnt,
			    int flags)
{
	const struct msghdr header = {.msg_iov = iov, .msg_iovlen = iovcnt};
	struct zcreq_stats *stats = &stream->conn.stats;
	int tries = 0;
	ssize_t ret;

	do {
		stats->send_calls++;
		ret = stream->ops->sendmsg(stream->fd, &header,
					   MSG_DONTWAIT | MSG_NOSIGNAL | flags, stream->ops_arg);
	} while (ret == -EINTR && ++tries < ZCREQ_INTERRUPTS);
	return ret == -EINTR || ret == 0 ? -EAGAIN : ret;
}

void zcreq_stream_no_buffers(struct zcreq_stream *stream)
{
	zcreq_trace_no_buffers(&stream->conn, stream->ids.pending);
	if (stream->ids.pending)
		stream->conn.stats.no_buffers_option++;
	else
		stream->conn.stats.no_buffers_locked++;
}

static ssize_t call_zerocopy(struct zcreq_stream *stream, struct iovec *iov, uint32_t iovcnt)
{
	ssize_t ret = call_sendmsg(stream, iov, iovcnt, MSG_ZEROCOPY);

	if (__builtin_expect(ret == -ENOBUFS, 0))
		zcreq_stream_no_buffers(stream);
	return ret;
}

/* A batch by reference. -ENOBUFS: it has to be copied. */
static ssize_t send_zerocopy(struct zcreq_stream *stream, struct iovec *iov, uint32_t iovcnt)
{
	struct zcreq_send_range range;
	ssize_t ret;

	/* the place first: what the kernel has accepted can no longer be refused */
	if (zcreq_ids_reserve(&stream->ids, &stream->conn.context->allocator))
		return -ENOBUFS;
	ret = call_zerocopy(stream, iov, iovcnt);
	/* option memory, which proof gives back; else it is the limit on locked memory,
	 * and waiting for it would be for ever */
	if (ret == -ENOBUFS && stream->ids.pending && zcreq_stream_reap(stream) > 0)
		ret = zcreq_conn_sends(&stream->conn) ? call_zerocopy(stream, iov, iovcnt)
						      : -EPIPE;
	if (ret <= 0)
		return ret;
	range = zcreq_sendq_accept(&stream->queue, (uint64_t)ret, true);
	zcreq_trace_batch(&stream->conn, stream->ids.next, (uint64_t)ret, range.first,
			  range.last);
	zcreq_ids_push(&stream->ids, range.first, range.last);
	stream->conn.stats.zerocopy_batches++;
	return ret;
}

static ssize_t send_copy(struct zcreq_stream *stream, struct iovec *iov, uint32_t iovcnt)
{
	ssize_t ret = call_sendmsg(stream, iov, iovcnt, 0);
	struct zcreq_send_range range;

	if (ret <= 0)
		return ret;
	range = zcreq_sendq_accept(&stream->queue, (uint64_t)ret, false);
	zcreq_trace_copy(&stream->conn, (uint64_t)ret, range.first, range.last);
	stream->conn.stats.copied_batches++;
	return ret;
}

/* One batch: the bytes accepted, or an error. */
static ssize_t send_batch(struct zcreq_stream *stream)
{
	struct iovec *iov;
	uint64_t bytes;
	uint32_t iovcnt = zcreq_sendq_peek(&stream->queue, ZCREQ_BATCH_BYTES, IOV_MAX, &iov,
					   &bytes);
	ssize_t ret = -ENOBUFS;

	if (zcreq_policy_wants(&stream->policy, bytes)) {
		ret = send_zerocopy(stream, iov, iovcnt);
		if (ret == -ENOBUFS)
			zcreq_policy_refused(&stream->policy);
	}
	if (ret == -ENOBUFS)
		ret = send_copy(stream, iov, iovcnt);
	return ret;
}

void zcreq_stream_failed(struct zcreq_stream *stream, int error)
{
	if (error == -EAGAIN)
		return;
	if (error != -ENOBUFS && error != -ENOMEM) {
		zcreq_conn_abort(&stream->conn, error);
		return;
	}
	/* the machine is short of memory: try again in a while */
	stream->conn.stats.no_buffers_machine++;
	zcreq_trace_no_buffers(&stream->conn, stream->ids.pending);
	stream->retry_ns = ZCREQ_NEVER;
	zcreq_conn_stir(&stream->conn);
}

void zcreq_stream_flush(struct zcreq_stream *stream)
{
	ssize_t ret = 1;

	if (!zcreq_conn_sends(&stream->conn) || stream->retry_ns)
		return;
	if (__builtin_expect(stream->guarded != NULL, 0))
		zcreq_guard_look(stream);
	if (stream->sending.ops) {
		zcreq_sender_flush(stream);
		return;
	}
	while (ret > 0 && stream->queue.unsent_bytes) {
		ret = send_batch(stream);
		if (ret > 0) {
			stream->conn.stats.sent_bytes += (uint64_t)ret;
			zcreq_stream_progressed(stream, (uint64_t)ret);
		}
	}
	if (ret < 0)
		zcreq_stream_failed(stream, (int)ret);
}

int zcreq_flush(struct zcreq_conn *conn)
{
	if (!zcreq_is_stream(conn))
		return -EINVAL;
	zcreq_stream_flush(zcreq_stream_of(conn));
	zcreq_stream_check(zcreq_stream_of(conn));
	return 0;
}

/* POLLERR, POLLHUP or POLLNVAL. An end comes first: abort does the reading then. */
static void process_error(struct zcreq_stream *stream, short revents)
{
	int messages;

	/* a submission that is under way may have taken the socket's error */
	if (zcreq_stream_lent(stream) && stream->sending.ops->reap)
		stream->sending.ops->reap(&stream->conn, stream->sending.arg);
	if (zcreq_conn_sends(&stream->conn) && revents & (POLLHUP | POLLNVAL)) {
		die(stream, revents & POLLNVAL ? EBADF : EPIPE);
		return;
	}
	messages = zcreq_stream_reap(stream);
	if (!zcreq_conn_sends(&stream->conn))
		return;
	if (messages < 0)
		zcreq_conn_abort(&stream->conn, messages);
	else if (messages == 0)
		die(stream, 0);
}

int zcreq_process(struct zcreq_conn *conn, short revents)
{
	struct zcreq_stream *stream = zcreq_stream_of(conn);
	struct zcreq_context *context;

	if (!zcreq_is_stream(conn))
		return -EINVAL;
	context = conn->context;
	if (conn->state != ZCREQ_CONN_CLOSED) {
		if (revents & (POLLERR | POLLHUP | POLLNVAL))
			process_error(stream, revents);
		if (revents & POLLOUT)
			zcreq_stream_flush(stream);
		zcreq_stream_check(stream);
	}
	zcreq_dispatch(context);
	return 0;
}
