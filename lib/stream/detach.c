/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * detach.c - the kernel keeps the pages, the program gets its addresses back
 *
 * Of an aborted stream the kernel has at most packets that wait in a queueing discipline or
 * in a driver. Their pages are exchanged for others under the same addresses (exchange.c),
 * and with that the requests' sends are proven. The sends stay in the queue without a
 * request, for the kernel's word on them is still to come, and until then its pages count.
 *
 * It is possible when all addresses have been looked up: sendmsg(2) has done that when it
 * returns, a sender when it has said its result.
 */
#include <errno.h>

#include "core/points.h"
#include "memory/exchange.h"
#include "stream/stream.h"

/* The memory of a request's sends, or of all, that the kernel has. */
static int collect(const struct zcreq_stream *stream, const struct zcreq_request *request,
		   struct iovec **lent)
{
	const struct zcreq_loans *loans = stream->loans;
	const uint32_t most = loans->tail - loans->head;
	int count = 0;

	*lent = zcreq_calloc(&stream->conn.context->allocator, most ? most : 1, sizeof(**lent));
	if (!*lent)
		return -ENOMEM;
	for (uint32_t i = loans->head; i != loans->tail; i++) {
		const struct zcreq_loan *loan = zcreq_loans_at(loans, i);
		const struct zcreq_send *send = zcreq_loan_send(loan, &stream->queue);

		if (send && (!request || zcreq_send_request(send) == request))
			(*lent)[count++] = loan->memory;
	}
	return count;
}

static uintptr_t start_of(const struct iovec *memory) { return (uintptr_t)memory->iov_base; }

/* By address. Buffers are mostly lent in that order, which is then one pass. */
static void sort(struct iovec *lent, int count)
{
	for (int gap = count / 2; gap; gap /= 2) {
		for (int i = gap; i < count; i++) {
			const struct iovec moved = lent[i];
			int at = i;

			for (; at >= gap && start_of(&lent[at - gap]) > start_of(&moved); at -= gap)
				lent[at] = lent[at - gap];
			lent[at] = moved;
		}
	}
}

/* What overlaps or touches becomes one. Returns how many are left. */
static int merge(struct iovec *lent, int count)
{
	int last = 0;

	for (int i = 1; i < count; i++) {
		const uintptr_t end = start_of(&lent[last]) + lent[last].iov_len;
		const uintptr_t more_end = start_of(&lent[i]) + lent[i].iov_len;

		if (start_of(&lent[i]) > end)
			lent[++last] = lent[i];
		else if (more_end > end)
			lent[last].iov_len = more_end - start_of(&lent[last]);
	}
	return last + 1;
}

/* What a request's sends have lent, or all. */
static uint64_t lent_bytes(const struct zcreq_conn *conn, const struct zcreq_request *request)
{
	uint64_t bytes = 0;

	if (request)
		return request->send_bytes;
	TAILQ_FOREACH(request, &conn->requests, in_conn)
		bytes += request->send_bytes;
	return bytes;
}

/* Is it, beside all that is detached already in the whole context? */
static bool is_too_much(const struct zcreq_conn *conn, const struct zcreq_request *request)
{
	const struct zcreq_context *context = conn->context;
	struct zcreq_stats stats;
	int ret;

	if (!context->detached_most)
		return false;
	ret = zcreq_context_stats(context, &stats, sizeof(stats));
	zcreq_assert(!ret && stats.detached_bytes_now <= context->detached_most);
	return lent_bytes(conn, request) > context->detached_most - stats.detached_bytes_now;
}

static int exchange(struct zcreq_stream *stream, const struct iovec *lent, int count,
		    unsigned flags)
{
	const struct zcreq_sender_ops *sender = stream->sending.ops;

	if (sender && sender->pinned &&
	    sender->pinned(&stream->conn, lent, count, stream->sending.arg))
		return -EOPNOTSUPP;
	/* a guard compares what was lent with what it was */
	if (stream->conn.context->guard_hooks)
		flags &= ~ZCREQ_DETACH_DISCARD;
	if (stream->memory_ops)
		return stream->memory_ops->exchange(lent, count, flags, stream->memory_arg);
	return zcreq_exchange(stream->conn.context, lent, count, flags);
}

/* Of a request, or of all with NULL. Returns how many sends were proven, or an error. */
static int detach(struct zcreq_stream *stream, const struct zcreq_request *request,
		  unsigned flags)
{
	const struct zcreq_allocator *allocator = &stream->conn.context->allocator;
	struct iovec *lent;
	int count, ret;

	if (zcreq_stream_lent(stream))
		return -EBUSY;
	if (is_too_much(&stream->conn, request))
		return -EDQUOT;
	count = collect(stream, request, &lent);
	if (count < 0)
		return count;
	ret = 0;
	if (count) {
		sort(lent, count);
		count = merge(lent, count);
		ret = exchange(stream, lent, count, flags);
	}
	if (!ret && request)
		zcreq_loans_exchanged(stream->loans, lent, count);
	if (!ret)
		ret = (int)zcreq_sendq_detach(&stream->queue, request);
	zcreq_free(allocator, lent);
	return ret;
}

/* The same, told and counted. */
static int detach_and_tell(struct zcreq_stream *stream, const struct zcreq_request *request,
			   unsigned flags)
{
	int ret = detach(stream, request, flags);

	zcreq_trace_detach(&stream->conn, request, ret > 0 ? (uint32_t)ret : 0, ret < 0 ? ret : 0);
	stream->conn.stats.detach_refused += ret < 0;
	return ret < 0 ? ret : 0;
}

/* Can anything be detached of it? */
static int may_detach(const struct zcreq_conn *conn, unsigned flags)
{
	if (flags & ~ZCREQ_DETACH_DISCARD)
		return -EINVAL;
	if (!zcreq_queues(conn))
		return -EOPNOTSUPP;
	/* its loans go with its descriptor */
	if (conn->state == ZCREQ_CONN_CLOSED)
		return 0;
	if (!zcreq_stream_of(conn)->loans)
		return -EOPNOTSUPP;
	return zcreq_conn_sends(conn) ? -EBUSY : 0;
}

int zcreq_detach(struct zcreq_context *context, zcreq_id id, unsigned flags)
{
	const struct zcreq_request *request;
	int ret;

	if (!context)
		return -EINVAL;
	zcreq_guard_hears(context, NULL, ZCREQ_CALL_DOES);
	request = zcreq_request_find(context, id);
	if (!request)
		return -ESTALE;
	ret = may_detach(request->conn, flags);
	if (ret || !request->sends)
		return ret;
	return detach_and_tell(zcreq_stream_of(request->conn), request, flags);
}

int zcreq_conn_detach(struct zcreq_conn *conn, unsigned flags)
{
	int ret;

	if (!conn)
		return -EINVAL;
	zcreq_guard_hears(conn->context, conn, ZCREQ_CALL_DOES);
	ret = may_detach(conn, flags);
	if (ret || conn->state == ZCREQ_CONN_CLOSED || !conn->request_count)
		return ret;
	return detach_and_tell(zcreq_stream_of(conn), NULL, flags);
}

uint64_t zcreq_detach_timers(struct zcreq_stream *stream, uint64_t now_ns)
{
	const struct zcreq_conn *conn = &stream->conn;
	uint64_t due_ns;

	if (!stream->detach_ms || !conn->request_count)
		return ZCREQ_NEVER;
	due_ns = conn->deadline_ns - (stream->linger_ms - stream->detach_ms) * ZCREQ_MS;
	if (now_ns < due_ns)
		return due_ns;
	if (detach_and_tell(stream, NULL, 0) == -EBUSY)
		return ZCREQ_NEVER; /* with the next look */
	stream->detach_ms = 0;
	return ZCREQ_NEVER;
}
