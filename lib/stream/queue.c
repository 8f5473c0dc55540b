/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * queue.c - what the program puts on a stream: sends and writes
 *
 * Nothing here sends. Queueing and sending are apart so that a program that
 * answers twenty commands in one turn of its loop makes one system call.
 */
#include <errno.h>
#include <limits.h>

#include "stream/stream.h"
#include "core/guarded.h"
#include "core/begin.h"
#include "core/points.h"

/* May so many bytes be queued? Not after the end of the stream. */
static inline int may_queue(struct zcreq_stream *stream, uint64_t len)
{
	if (__builtin_expect(stream->fin != ZCREQ_FIN_NONE, 0))
		return -ESHUTDOWN;
	return zcreq_stream_check_room(stream, len);
}

/* The next send of the queue lends this memory: 0 or -ENOMEM. */
__attribute__((cold, noinline))
static int note_loans(struct zcreq_stream *stream, const struct iovec *iov, uint32_t iovcnt)
{
	int ret = zcreq_loans_make_room(stream->loans, &stream->queue, iovcnt);

	if (!ret)
		zcreq_loans_note(stream->loans, &stream->queue, iov, iovcnt);
	return ret;
}

/* For @error, which is returned; what may have been noted of it is not lent. */
__attribute__((cold, noinline))
static int not_queued(struct zcreq_stream *stream, int error)
{
	if (stream->loans)
		zcreq_loans_forget(stream->loans, &stream->queue);
	return error;
}

/* The sum of the lengths, or an error. */
static inline int sum_iovs(const struct iovec *iov, int iovcnt, uint64_t *total)
{
	uint64_t sum = 0;

	for (int i = 0; i < iovcnt; i++) {
		if (__builtin_expect(iov[i].iov_len > (uint64_t)SSIZE_MAX - sum, 0))
			return -EOVERFLOW;
		sum += iov[i].iov_len;
	}
	*total = sum;
	return sum ? 0 : -EINVAL;
}

/* The send that was queued last is watched from here to its end. Inlined it would cost
 * each send an instruction that has no guard. */
__attribute__((cold, noinline))
static void guard_send(struct zcreq_stream *stream, const struct zcreq_request *request,
		       const struct iovec *iov, uint32_t iovcnt)
{
	const struct zcreq_context *context = stream->conn.context;
	const zcreq_id id = {request->slot.bits};
	uint32_t number = stream->queue.tail - 1;

	zcreq_sendq_at(&stream->queue, number)->guarded = context->guard_hooks->send(
		context->guard, &stream->conn, id, stream->fd, iov, iovcnt, number);
}

/* Told of the last in the queue. It is looked up there, so that the way on which nobody
 * listens keeps nothing at hand for those who might. */
static ZCREQ_COLD void tell_send(const struct zcreq_sendq *queue)
{
	const uint32_t number = queue->tail - 1;
	const struct zcreq_send *send = zcreq_sendq_at(queue, number);

	zcreq_traced_send(zcreq_send_request(send), number, send->total_bytes);
}

/* Are these arguments of a send? Then the sum of the lengths. */
static inline int check_send(const struct iovec *iov, int iovcnt, unsigned flags, uint64_t *total)
{
	if (!iov || iovcnt <= 0 || flags)
		return -EINVAL;
	if (iovcnt > ZCREQ_IOV_MAX)
		return -EMSGSIZE;
	return sum_iovs(iov, iovcnt, total);
}

/* What comes after a send of a request was queued. */
static inline void queued_send(struct zcreq_stream *stream, const struct zcreq_request *request,
			       const struct iovec *iov, uint32_t iovcnt)
{
	const struct zcreq_context *context = stream->conn.context;

	zcreq_stream_queued(stream);
	ZCREQ_IF_TRACED(context, tell_send(&stream->queue));
	if (__builtin_expect(context->guard_hooks != NULL, 0))
		guard_send(stream, request, iov, iovcnt);
}

int zcreq_add(struct zcreq_context *context, zcreq_id id, const struct iovec *iov, int iovcnt,
	      unsigned flags)
{
	struct zcreq_request *request;
	struct zcreq_stream *stream;
	uint64_t total;
	int ret = context ? check_send(iov, iovcnt, flags, &total) : -EINVAL;

	if (ret)
		return ret;
	request = zcreq_request_find(context, id);
	if (!request)
		return -ESTALE;
	if (!zcreq_queues(request->conn))
		return zcreq_queues_not(request->conn);
	stream = zcreq_stream_of(request->conn);
	ret = zcreq_request_may(request, ZCREQ_EVENT_HOLD);
	if (!ret)
		ret = may_queue(stream, total);
	if (!ret && __builtin_expect(stream->loans != NULL, 0))
		ret = note_loans(stream, iov, (uint32_t)iovcnt);
	if (!ret)
		ret = zcreq_sendq_push(&stream->queue, request, iov, (uint32_t)iovcnt, total);
	if (ret)
		return not_queued(stream, ret);
	queued_send(stream, request, iov, (uint32_t)iovcnt);
	return 0;
}

/* Any zcreq_send(), and what is told of it. */
static __attribute__((noinline)) int send_any(struct zcreq_conn *conn,
					      const struct zcreq_request_hooks *hooks, void *arg,
					      const struct iovec *iov, int iovcnt, unsigned flags,
					      zcreq_id *id)
{
	struct zcreq_stream *stream = zcreq_stream_of(conn);
	struct zcreq_request *request;
	uint64_t total;
	int ret;

	if (!zcreq_queues(conn) || !zcreq_request_hooks_good(hooks))
		return zcreq_queues_not(conn);
	ret = check_send(iov, iovcnt, flags, &total);
	if (!ret && conn->state == ZCREQ_CONN_OPEN) { /* or begin says so */
		ret = may_queue(stream, total);
		/* the place first: a request that has begun cannot be taken back */
		if (!ret && !zcreq_sendq_fits(&stream->queue, (uint32_t)iovcnt))
			ret = zcreq_sendq_grow(&stream->queue, (uint32_t)iovcnt);
		if (!ret && __builtin_expect(stream->loans != NULL, 0))
			ret = note_loans(stream, iov, (uint32_t)iovcnt);
	}
	if (!ret)
		ret = zcreq_request_begin(conn, hooks, arg, &request);
	if (ret)
		return not_queued(stream, ret);
	zcreq_request_seal(request);
	zcreq_sendq_put(&stream->queue, request, iov, (uint32_t)iovcnt, total);
	queued_send(stream, request, iov, (uint32_t)iovcnt);
	zcreq_trace_finish(request);
	if (id)
		id->bits = request->slot.bits;
	return 0;
}

/* Is a connection one that takes a send of so many bytes at once, in places that are there,
 * and nobody wants to hear of it? */
static inline bool is_ready(const struct zcreq_stream *stream, size_t len)
{
	const struct zcreq_context *context = stream->conn.context;

	return stream->conn.state == ZCREQ_CONN_OPEN && stream->fin == ZCREQ_FIN_NONE &&
	       zcreq_stream_has_room(stream, len) && zcreq_sendq_fits(&stream->queue, 1) &&
	       !zcreq_slots_full(&context->requests) && !context->tracing && !stream->loans;
}

/* The way of one piece of memory, when nothing has to be made, refused or told, is apart: it
 * asks all that there is to ask before it changes anything, and calls nobody. */
int zcreq_send(struct zcreq_conn *conn, const struct zcreq_request_hooks *hooks, void *arg,
	       const struct iovec *iov, int iovcnt, unsigned flags, zcreq_id *id)
{
	struct zcreq_stream *stream = zcreq_stream_of(conn);
	struct zcreq_request *request;
	struct iovec one;

	if (__builtin_expect(!zcreq_queues(conn) || !zcreq_request_hooks_good(hooks) || !iov ||
			     iovcnt != 1 || flags, 0))
		return send_any(conn, hooks, arg, iov, iovcnt, flags, id);
	one = *iov;
	if (__builtin_expect(!one.iov_len || one.iov_len > SSIZE_MAX ||
			     !is_ready(stream, one.iov_len), 0))
		return send_any(conn, hooks, arg, iov, iovcnt, flags, id);
	request = zcreq_request_make(conn, hooks, arg, 1, one.iov_len, stream->queue.tail);
	zcreq_request_seal(request);
	if (id)
		id->bits = request->slot.bits;
	zcreq_sendq_append(&stream->queue, (uintptr_t)request, &one, 1, one.iov_len);
	zcreq_stream_queued(stream);
	return 0;
}

int zcreq_write(struct zcreq_conn *conn, const void *data, size_t len)
{
	struct zcreq_stream *stream = zcreq_stream_of(conn);
	int ret;

	if (!zcreq_queues(conn) || !data || !len)
		return zcreq_queues_not(conn);
	zcreq_guard_hears(conn->context, conn, ZCREQ_CALL_DOES);
	if (len > ZCREQ_WRITE_MAX)
		return -EMSGSIZE;
	if (!zcreq_conn_sends(conn))
		return -ESHUTDOWN;
	ret = may_queue(stream, len);
	if (!ret)
		ret = zcreq_sendq_write(&stream->queue, data, (uint32_t)len);
	if (!ret)
		zcreq_stream_queued(stream);
	return ret;
}
