/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream.c - a TCP socket with a queue of sends: opening it, and what a connection asks of it
 */
#include <errno.h>
#include <limits.h>
#include <linux/tcp.h>
#include <netinet/in.h>

#include "stream/check.h"
#include "stream/stream.h"
#include "base/options.h"
#include "stream/poller.h"
#include "stream/socket.h"
#include "core/guarded.h"
#include "core/begin.h"
#include "core/points.h"

#define LINGER_MS 5000

/* A buffer is released with the last of its batch, and a long call keeps the socket from
 * its receiver: of 64 to 512 KiB this was the fastest beside a loop written by hand
 * (bench/raw). A program that queues more at once may want another: batch_bytes. */
#define BATCH_BYTES (256 * 1024)

#define ZCREQ_STREAM_FLAGS \
	(ZCREQ_STREAM_FIRST_ID | ZCREQ_STREAM_OWN_SENDS | ZCREQ_STREAM_KEEP_MEMORY | \
	 ZCREQ_STREAM_DETACH)

static int get_int(const struct zcreq_stream *stream, int level, int name, int *value)
{
	socklen_t len = sizeof(*value);

	return stream->ops->getsockopt(stream->fd, level, name, value, &len, stream->ops_arg);
}

static int set_int(const struct zcreq_stream *stream, int level, int name, int value)
{
	return stream->ops->setsockopt(stream->fd, level, name, &value, sizeof(value),
				       stream->ops_arg);
}

/* What a kernel says of a socket, and how much of that it knows. */
struct socket_info {
	struct tcp_info tcp;
	socklen_t len;
};

/* Is the descriptor a TCP socket that is connected? */
static int check_socket(struct zcreq_stream *stream, struct socket_info *info)
{
	int value, ret;

	*info = (struct socket_info){.len = sizeof(info->tcp)};

	ret = get_int(stream, SOL_SOCKET, SO_TYPE, &value);
	if (ret)
		return ret;
	if (value != SOCK_STREAM)
		return -EPROTOTYPE;
	ret = get_int(stream, SOL_SOCKET, SO_PROTOCOL, &value);
	if (ret)
		return ret;
	if (value != IPPROTO_TCP)
		return -EPROTONOSUPPORT;
	ret = stream->ops->getsockopt(stream->fd, IPPROTO_TCP, TCP_INFO, &info->tcp, &info->len,
				      stream->ops_arg);
	if (ret)
		return ret;
	/* the two states in which data can be sent: established, and half closed */
	if (info->tcp.tcpi_state != 1 && info->tcp.tcpi_state != 8)
		return -ENOTCONN;
	zcreq_fin_init(stream, &info->tcp);
	return 0;
}

/*
 * May somebody else have used up ids of the socket? Then the first of ours is not 0, and
 * a notification of theirs would be taken for one of ours. The kernel does not tell the
 * next id. It tells whether MSG_ZEROCOPY was possible and whether data were sent; both may
 * be true of a socket on which nobody combined them, but the two cannot be told apart.
 */
static bool may_have_used_ids(const struct zcreq_stream *stream, const struct socket_info *info)
{
	const socklen_t enough = offsetof(struct tcp_info, tcpi_data_segs_out) +
				 sizeof(info->tcp.tcpi_data_segs_out);
	int on;

	/* a kernel that does not know the option has no ids either */
	if (get_int(stream, SOL_SOCKET, SO_ZEROCOPY, &on) || !on)
		return false;
	return info->len < enough || info->tcp.tcpi_data_segs_out || info->tcp.tcpi_notsent_bytes;
}

static int set_up_socket(struct zcreq_stream *stream, const struct zcreq_stream_options *o,
			 const struct socket_info *info)
{
	/* a sender has its own way, and the two do not mix on one socket */
	bool zerocopy = !o->sender && o->mode != ZCREQ_MODE_NEVER;
	enum zcreq_mode mode = o->mode;
	int ret;

	if (zerocopy && !(o->flags & ZCREQ_STREAM_FIRST_ID) &&
	    may_have_used_ids(stream, info))
		return -EBUSY;
	stream->foreign_ids = o->flags & ZCREQ_STREAM_OWN_SENDS && !zerocopy &&
			      may_have_used_ids(stream, info);
	if (o->user_timeout_ms) {
		ret = set_int(stream, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)o->user_timeout_ms);
		if (ret)
			return ret;
	}
	/* last: a socket that is refused does not look as if it had been used */
	if (zerocopy && set_int(stream, SOL_SOCKET, SO_ZEROCOPY, 1)) {
		if (mode == ZCREQ_MODE_ALWAYS)
			return -EOPNOTSUPP;
		mode = ZCREQ_MODE_NEVER;
	}
	zcreq_policy_init(&stream->policy, mode, o->threshold_bytes);
	return 0;
}

static uint32_t linger_ms(const struct zcreq_stream_options *o)
{
	return o->linger_ms ? o->linger_ms : LINGER_MS;
}

static int check_options(const struct zcreq_stream_options *o)
{
	if (o->mode != ZCREQ_MODE_AUTO && o->mode != ZCREQ_MODE_ALWAYS &&
	    o->mode != ZCREQ_MODE_NEVER)
		return -EINVAL;
	if (o->first_id && !(o->flags & ZCREQ_STREAM_FIRST_ID))
		return -EINVAL;
	if ((o->not_reading_ms || o->idle_ms) && !o->stall_ms)
		return -EINVAL;
	if (o->sender && (!o->sender->submit || o->flags & ZCREQ_STREAM_OWN_SENDS ||
			  !ZCREQ_UNUSED(o->sender)))
		return -EINVAL;
	if ((o->hooks && !ZCREQ_UNUSED(o->hooks)) ||
	    (o->socket_ops && !ZCREQ_UNUSED(o->socket_ops)) ||
	    (o->memory_ops && (!o->memory_ops->exchange || !ZCREQ_UNUSED(o->memory_ops))))
		return -EINVAL;
	/* of a program's own sends the memory is not known; and before quarantine, not after */
	if (zcreq_wants_loans(o) &&
	    (o->flags & ZCREQ_STREAM_OWN_SENDS || o->detach_ms >= linger_ms(o)))
		return -EINVAL;
	return o->user_timeout_ms > INT_MAX || o->batch_bytes > ZCREQ_BATCH_MAX ||
			       !zcreq_reserve_possible(o)
		       ? -EINVAL
		       : 0;
}

static bool is_kernels(const struct zcreq_stream *stream)
{
	return stream->ops == &zcreq_kernel_socket;
}

/*
 * The descriptor is this stream's, and of no other in the context: two would take each
 * other's notifications. What descriptors of other transports mean only they know.
 */
static int claim_socket(struct zcreq_stream *stream, struct zcreq_context *context,
			const struct zcreq_stream_options *o)
{
	struct socket_info info;
	int ret = check_socket(stream, &info);

	if (!ret && is_kernels(stream))
		ret = zcreq_numbers_put(&context->fds, &context->allocator, (uint32_t)stream->fd);
	if (ret)
		return ret;
	ret = set_up_socket(stream, o, &info);
	if (ret && is_kernels(stream))
		zcreq_numbers_drop(&context->fds, (uint32_t)stream->fd);
	return ret;
}

int zcreq_stream_open(struct zcreq_context *context, const struct zcreq_stream_options *options,
		      struct zcreq_conn **conn)
{
	struct zcreq_stream_options o;
	struct zcreq_stream *stream;
	int ret;

	if (!context || !options || !conn)
		return -EINVAL;
	zcreq_guard_hears(context, NULL, ZCREQ_CALL_DOES);
	ret = zcreq_options_copy(&o, options, sizeof(o), ZCREQ_STREAM_FLAGS);
	if (!ret)
		ret = check_options(&o);
	if (ret)
		return ret;
	stream = zcreq_calloc(&context->allocator, 1, sizeof(*stream));
	if (!stream)
		return -ENOMEM;
	stream->ops = o.socket_ops ? o.socket_ops : &zcreq_kernel_socket;
	stream->ops_arg = o.socket_arg;
	stream->fd = o.fd;
	stream->sending.ops = o.sender;
	stream->sending.arg = o.sender_arg;
	stream->sending.turn = ZCREQ_SENDER_TURN_OURS;
	stream->sending.early = ZCREQ_EARLY_NOTHING;
	zcreq_ids_init(&stream->ids, o.first_id);
	zcreq_sendq_init(&stream->queue, context);
	ret = zcreq_reserve(stream, &context->allocator, &o);
	if (!ret)
		ret = claim_socket(stream, context, &o);
	if (ret) {
		zcreq_reserve_give(stream, &context->allocator);
		zcreq_free(&context->allocator, stream);
		return ret;
	}
	stream->stall_ms = o.stall_ms;
	stream->not_reading_ms = o.not_reading_ms;
	stream->idle_ms = o.idle_ms;
	stream->window_seen = UINT32_MAX; /* the first look has nothing to compare with */
	stream->linger_ms = linger_ms(&o);
	stream->detach_ms = o.detach_ms;
	stream->memory_ops = o.memory_ops;
	stream->memory_arg = o.memory_arg;
	stream->limit_bytes = o.limit_bytes ? o.limit_bytes : UINT64_MAX;
	stream->batch_bytes = o.batch_bytes ? o.batch_bytes : BATCH_BYTES;
	stream->first_id = o.first_id;
	stream->had_past = o.flags & ZCREQ_STREAM_FIRST_ID;
	stream->ladder = ZCREQ_LADDER_NONE;
	stream->retry = ZCREQ_RETRY_NONE;
	stream->look = ZCREQ_LOOK_ASLEEP;
	zcreq_conn_init(&stream->conn, context,
			o.flags & ZCREQ_STREAM_OWN_SENDS ? &zcreq_own_transport
							 : &zcreq_stream_transport,
			o.hooks, o.arg);
	stream->conn.reads = true;
	if (context->guard_hooks && is_kernels(stream))
		stream->guarded = context->guard_hooks->open(context->guard, &stream->conn,
							     stream->fd);
	if (context->poller)
		zcreq_poller_join(stream);
	if (stream->idle_ms)
		zcreq_conn_stir(&stream->conn);
	*conn = &stream->conn;
	return 0;
}

void zcreq_stream_guard_looks(const struct zcreq_stream *stream)
{
	stream->conn.context->guard_hooks->look(stream->guarded, stream->queue.held_bytes);
}

int zcreq_stream_fd(const struct zcreq_conn *conn)
{
	if (!zcreq_is_stream(conn))
		return -EINVAL;
	zcreq_guard_hears(conn->context, conn, ZCREQ_CALL_LOOKS);
	return zcreq_stream_of(conn)->fd < 0 ? -EBADF : zcreq_stream_of(conn)->fd;
}

static void stream_flush(struct zcreq_conn *conn)
{
	zcreq_sendq_mark(&zcreq_stream_of(conn)->queue);
	zcreq_stream_flush(zcreq_stream_of(conn));
	zcreq_stream_follow_up(zcreq_stream_of(conn));
}

/* Sends are accepted in their order, so it is the first that tells. What is lent may be. */
static bool stream_begun(const struct zcreq_conn *conn, const struct zcreq_request *request)
{
	const struct zcreq_stream *stream = zcreq_stream_of(conn);
	const struct zcreq_sendq *q = &stream->queue;
	const uint32_t first = request->first_send;
	const struct zcreq_send *send = zcreq_sendq_at(q, first);

	if (zcreq_stream_lent(stream)) {
		const struct zcreq_ids *ids = &stream->ids;
		uint32_t last = ids->batches[(ids->next - 1) & ids->mask].last_send;

		return first - q->head <= last - q->head;
	}
	return zcreq_sendq_accepted(q, first) || send->left_bytes < send->total_bytes;
}

static void stream_withdraw(struct zcreq_conn *conn, struct zcreq_request *request)
{
	zcreq_sendq_drop(&zcreq_stream_of(conn)->queue, request);
	zcreq_stream_follow_up(zcreq_stream_of(conn));
}

static bool stream_idle(const struct zcreq_conn *conn)
{
	const struct zcreq_stream *stream = zcreq_stream_of(conn);

	if (zcreq_stream_outstanding(stream))
		return false;
	return conn->state == ZCREQ_CONN_DRAINING ? stream->fin >= ZCREQ_FIN_ACKED
						  : stream->ladder != ZCREQ_LADDER_WAITING;
}

/* One after the other, and each but the last may end the connection. */
static uint64_t stream_timers(struct zcreq_conn *conn, uint64_t now_ns)
{
	static uint64_t (*const timers[])(struct zcreq_stream *, uint64_t) = {
		zcreq_retry_timers, zcreq_fin_timers, zcreq_watchdog_timers, zcreq_trim_timers,
	};
	struct zcreq_stream *stream = zcreq_stream_of(conn);
	uint64_t next_ns = ZCREQ_NEVER, due_ns;

	for (size_t i = 0; i < sizeof(timers) / sizeof(*timers) && zcreq_conn_sends(conn); i++) {
		due_ns = timers[i](stream, now_ns);
		next_ns = due_ns < next_ns ? due_ns : next_ns;
	}
	return zcreq_conn_sends(conn) ? next_ns : zcreq_ladder_timers(stream, now_ns);
}

static void stream_stats(const struct zcreq_conn *conn, struct zcreq_stats *stats)
{
	const struct zcreq_stream *stream = zcreq_stream_of(conn);
	const struct zcreq_sendq *queue = &stream->queue;

	stats->unsent_bytes_now = queue->unsent_bytes;
	stats->kernel_bytes_now = queue->held_bytes - queue->unsent_bytes;
	stats->batches_now = stream->ids.pending;
	stats->proved_notified = queue->gone[ZCREQ_GONE_NOTIFIED];
	stats->proved_copied = queue->gone[ZCREQ_GONE_COPIED];
	stats->proved_unsent = queue->gone[ZCREQ_GONE_UNSENT];
	stats->proved_detached = queue->gone[ZCREQ_GONE_DETACHED];
	stats->detached_bytes_now = queue->detached_bytes;
}

#ifdef ZCREQ_DEBUG
static void stream_check(const struct zcreq_conn *conn)
{
	zcreq_stream_check(zcreq_stream_of(conn));
}
#endif

static void stream_close(struct zcreq_conn *conn)
{
	struct zcreq_stream *stream = zcreq_stream_of(conn);
	/* with SO_LINGER of the program's close() would wait, for as long as that says, or
	 * reset a peer that has read nothing yet. Nothing is left to wait for; but a peer
	 * must not take a stream that was cut off for one that has ended */
	const struct linger linger = {.l_onoff = stream->ladder == ZCREQ_LADDER_REFUSED};

	stream->ops->setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger),
				stream->ops_arg);
	if (stream->sending.ops && stream->sending.ops->closed)
		stream->sending.ops->closed(conn, stream->sending.arg);
	if (stream->guarded) {
		zcreq_stream_guard_looks(stream);
		stream->conn.context->guard_hooks->close(stream->guarded);
		stream->guarded = NULL;
	}
	zcreq_poller_leave(stream);
	/* before the close, after which the kernel may give the number to another thread */
	if (is_kernels(stream))
		zcreq_numbers_drop(&stream->conn.context->fds, (uint32_t)stream->fd);
	stream->ops->close(stream->fd, stream->ops_arg);
	stream->fd = -1;
	zcreq_reserve_give(stream, &stream->conn.context->allocator);
}

const struct zcreq_transport zcreq_stream_transport = {
	.begun = stream_begun,
	.withdraw = stream_withdraw,
	.flush = stream_flush,
	.abort = zcreq_ladder_abort,
	.end = zcreq_fin_end,
	.idle = stream_idle,
	.timers = stream_timers,
	.stats = stream_stats,
	.close = stream_close,
#ifdef ZCREQ_DEBUG
	.check = stream_check,
#endif
};

/* The program sends by itself: a turn only tells when that was. */
static void own_flush(struct zcreq_conn *conn)
{
	zcreq_sendq_mark(&zcreq_stream_of(conn)->queue);
}

/* The same, but there is nothing to withdraw: what was offered was accepted. */
const struct zcreq_transport zcreq_own_transport = {
	.begun = stream_begun,
	.flush = own_flush,
	.abort = zcreq_ladder_abort,
	.end = zcreq_fin_end,
	.idle = stream_idle,
	.timers = stream_timers,
	.stats = stream_stats,
	.close = stream_close,
#ifdef ZCREQ_DEBUG
	.check = stream_check,
#endif
};
