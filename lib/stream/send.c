/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * send.c - batches out to the socket, by reference or as copies
 *
 * It owns the system call: what goes into one batch, whether MSG_ZEROCOPY is asked for,
 * and what each answer means. The place for a batch's proof is reserved before the call,
 * because what the kernel has accepted can no longer be refused. Memory that is short is
 * no error of the connection: the batch is copied, or sending goes on in a while (retry.c).
 *
 * It never reads the error queue itself, except through proof.c when option memory has run
 * out, and never waits: a socket that is full ends the loop, and POLLOUT begins it again
 * (loop.c). A stream with a sender leaves it at once (sender.c).
 */
#include <errno.h>
#include <limits.h>

#include "core/points.h"
#include "stream/socket.h"
#include "stream/stream.h"

/* Hands a run of iovecs to the socket; -EAGAIN when that has to wait. */
static inline __attribute__((always_inline))
ssize_t call_sendmsg(struct zcreq_stream *stream, struct iovec *iov, uint32_t iovcnt, int flags)
{
	/* a size_t with glibc, an int with musl */
	const struct msghdr header = {
		.msg_iov = iov,
		.msg_iovlen = (__typeof__(header.msg_iovlen))iovcnt,
	};
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

void zcreq_stream_unsupported(struct zcreq_stream *stream)
{
	stream->conn.stats.zerocopy_unsupported++;
	zcreq_policy_give_up(&stream->policy);
}

static inline ssize_t call_zerocopy(struct zcreq_stream *stream, struct iovec *iov, uint32_t iovcnt)
{
	ssize_t ret = call_sendmsg(stream, iov, iovcnt, MSG_ZEROCOPY);

	if (__builtin_expect(ret == -ENOBUFS, 0))
		zcreq_stream_no_buffers(stream);
	return ret;
}

/* Option memory, which proof gives back; else it is the limit on locked memory, and waiting
 * for it would be for ever. */
static __attribute__((cold, noinline)) ssize_t try_again(struct zcreq_stream *stream,
							 struct iovec *iov, uint32_t iovcnt)
{
	if (!stream->ids.pending || zcreq_stream_reap(stream) <= 0)
		return -ENOBUFS;
	return zcreq_conn_sends(&stream->conn) ? call_zerocopy(stream, iov, iovcnt) : -EPIPE;
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
	if (__builtin_expect(ret == -ENOBUFS, 0))
		ret = try_again(stream, iov, iovcnt);
	if (ret <= 0)
		return ret;
	range = zcreq_sendq_accept(&stream->queue, (uint64_t)ret, true);
	zcreq_trace_batch(&stream->conn, stream->ids.next, (uint64_t)ret, range.first,
			  range.last);
	zcreq_ids_push(&stream->ids, range.first, range.last);
	stream->conn.stats.zerocopy_batches++;
	return ret;
}

static __attribute__((noinline)) ssize_t send_copy(struct zcreq_stream *stream,
						    struct iovec *iov, uint32_t iovcnt)
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
	uint32_t iovcnt = zcreq_sendq_peek(&stream->queue, stream->batch_bytes, IOV_MAX, &iov,
					   &bytes);
	ssize_t ret = -ENOBUFS;

	if (zcreq_policy_wants(&stream->policy, bytes, iovcnt)) {
		ret = send_zerocopy(stream, iov, iovcnt);
		if (ret == -ENOBUFS)
			zcreq_policy_refused(&stream->policy);
		if (ret == -EOPNOTSUPP) {
			zcreq_stream_unsupported(stream);
			ret = -ENOBUFS;
		}
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
		zcreq_conn_end_with(&stream->conn, error, zcreq_stream_cause(error));
		return;
	}
	zcreq_retry_later(stream);
}

void zcreq_stream_flush(struct zcreq_stream *stream)
{
	ssize_t ret = 1;

	if (!zcreq_conn_sends(&stream->conn) || zcreq_stream_put_off(stream))
		return;
	if (__builtin_expect(zcreq_is_own(&stream->conn), 0)) {
		zcreq_own_room(stream);
		return;
	}
	zcreq_stream_guard(stream);
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
