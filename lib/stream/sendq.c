/* SPDX-License-Identifier: BSD-2-Clause */
#include "stream/sendq.h"

#include <errno.h>
#include <string.h>

#include "base/bug.h"
#include "core/guarded.h"

/* A connection that has never had more than this in flight keeps it for good. */
#define SENDS_LEAST 2
#define IOVS_LEAST 4

void zcreq_sendq_init(struct zcreq_sendq *q, struct zcreq_context *context)
{
	*q = (struct zcreq_sendq){
		.context = context,
		.send_mask = UINT32_MAX,
		.iov_mask = UINT32_MAX,
	};
}

void zcreq_sendq_deinit(struct zcreq_sendq *q)
{
	zcreq_assert(q->head == q->tail && !q->held_bytes && !q->unsent_bytes);
	zcreq_writebuf_deinit(&q->writes, &q->context->allocator);
	zcreq_free(&q->context->allocator, q->sends);
	zcreq_free(&q->context->allocator, q->iovs);
}

bool zcreq_sendq_is_large(const struct zcreq_sendq *q)
{
	return q->send_mask + 1 > SENDS_LEAST || q->iov_mask + 1 > IOVS_LEAST ||
	       q->writes.filling;
}

void zcreq_sendq_trim(struct zcreq_sendq *q)
{
	zcreq_sendq_deinit(q);
	q->sends = NULL;
	q->iovs = NULL;
	q->send_mask = q->iov_mask = UINT32_MAX;
}

/* @least: of all that there is to be room for. */
static int grow_sends(struct zcreq_sendq *q, uint32_t least)
{
	void *grown = zcreq_fifo_grow(&q->context->allocator, q->sends, &q->send_mask,
				      sizeof(*q->sends), q->head, q->tail,
				      least > SENDS_LEAST ? least : SENDS_LEAST);

	if (!grown)
		return -ENOMEM;
	q->sends = grown;
	return 0;
}

static int grow_iovs(struct zcreq_sendq *q, uint32_t more)
{
	uint32_t need = q->iov_tail - q->iov_next + more;
	void *grown;

	if (need < IOVS_LEAST)
		need = IOVS_LEAST;
	grown = zcreq_fifo_grow(&q->context->allocator, q->iovs, &q->iov_mask, sizeof(*q->iovs),
				q->iov_next, q->iov_tail, need);
	if (!grown)
		return -ENOMEM;
	q->iovs = grown;
	return 0;
}

int zcreq_sendq_reserve(struct zcreq_sendq *q, uint32_t sends, uint32_t iovs)
{
	int ret = sends ? grow_sends(q, sends) : 0;

	return !ret && iovs ? grow_iovs(q, iovs) : ret;
}

int zcreq_sendq_grow(struct zcreq_sendq *q, uint32_t iovcnt)
{
	int ret = 0;

	if (q->tail - q->head == q->send_mask + 1)
		ret = grow_sends(q, 0);
	if (!ret && q->iov_tail - q->iov_next + iovcnt > q->iov_mask + 1)
		ret = grow_iovs(q, iovcnt);
	return ret;
}

int zcreq_sendq_write(struct zcreq_sendq *q, const void *data, uint32_t len)
{
	struct zcreq_chunk *chunk;
	struct iovec iov;
	int ret = zcreq_sendq_fits(q, 1) ? 0 : zcreq_sendq_grow(q, 1);

	if (ret)
		return ret;
	iov.iov_base = zcreq_writebuf_put(&q->writes, &q->context->allocator, data, len, &chunk);
	if (!iov.iov_base)
		return -ENOMEM;
	iov.iov_len = len;
	zcreq_sendq_append(q, (uintptr_t)chunk | ZCREQ_SEND_WRITE, &iov, 1, len);
	return 0;
}

void zcreq_sendq_stamp(struct zcreq_sendq *q)
{
	uint32_t number = q->stamped, now = q->context->now;

	if ((int32_t)(q->head - number) > 0)
		number = q->head;
	/* they have one time: that of the turn before, or, from a callback, of this one */
	if (number == q->tail || zcreq_sendq_at(q, number)->since == now)
		return;
	while (number != q->tail)
		zcreq_sendq_at(q, number++)->since = now;
}

uint32_t zcreq_sendq_peek_part(const struct zcreq_sendq *q, uint64_t most_bytes,
			       uint32_t most_iovs, struct iovec **iov, uint64_t *bytes)
{
	uint32_t at = q->iov_next & q->iov_mask, run = q->iov_tail - q->iov_next, n = 0;
	uint64_t sum = 0;

	if (run > q->iov_mask + 1 - at)
		run = q->iov_mask + 1 - at;
	if (run > most_iovs)
		run = most_iovs;
	while (n < run && sum < most_bytes)
		sum += q->iovs[at + n++].iov_len;
	*iov = &q->iovs[at];
	*bytes = sum;
	return n;
}

/* Nobody's any more. */
static inline bool is_gone(const struct zcreq_send *send)
{
	return !send->owner;
}

/* Frees the places of sends at the head that are gone. */
static inline void retire_head(struct zcreq_sendq *q)
{
	while (q->head != q->next && is_gone(zcreq_sendq_at(q, q->head)))
		q->head++;
}

/* It was nobody's, or a write's, or its request has gone on without it. */
static inline void gone_unheard(struct zcreq_sendq *q, const struct zcreq_send *send,
				uintptr_t owner)
{
	if (owner == ZCREQ_SEND_DETACHED)
		q->detached_bytes -= send->total_bytes;
	else if (owner != ZCREQ_SEND_WRITE)
		zcreq_writebuf_gone(&q->writes, &q->context->allocator,
				    (struct zcreq_chunk *)(owner & ~ZCREQ_SEND_WRITE));
}

/* A send is gone: tells its owner. */
static inline void gone(struct zcreq_sendq *q, struct zcreq_send *send, enum zcreq_gone why)
{
	struct zcreq_request *request;
	uintptr_t owner = send->owner;

	send->owner = 0;
	q->held_bytes -= send->total_bytes;
	if (owner & ZCREQ_SEND_NO_REQUEST) {
		gone_unheard(q, send, owner);
		return;
	}
	request = (struct zcreq_request *)owner;
	if (__builtin_expect(send->guarded != 0, 0))
		q->context->guard_hooks->send_gone(q->context->guard, send->guarded);
	q->gone[why]++;
	zcreq_request_send_gone(q->context, request, send->total_bytes);
}

/* Moves the iovecs of the send at next on by @bytes, which is not all of it. */
static void trim_iovs(struct zcreq_sendq *q, uint64_t bytes)
{
	for (;;) {
		struct iovec *iov = &q->iovs[q->iov_next & q->iov_mask];

		if (bytes < iov->iov_len) {
			iov->iov_base = (char *)iov->iov_base + bytes;
			iov->iov_len -= (size_t)bytes;
			return;
		}
		bytes -= iov->iov_len;
		q->iov_next++;
	}
}

/* Goes past sends of which nothing is left to accept. */
static inline void skip_sent(struct zcreq_sendq *q)
{
	while (q->next != q->tail && !zcreq_sendq_at(q, q->next)->left_bytes) {
		q->iov_next = zcreq_sendq_at(q, q->next)->end_iov;
		q->next++;
	}
	retire_head(q);
}

/* Where the iovecs begin that have not been accepted, of a send that is not before next. */
static inline uint32_t first_iov(const struct zcreq_sendq *q, uint32_t number)
{
	return number == q->next ? q->iov_next : zcreq_sendq_at(q, number - 1)->end_iov;
}

struct zcreq_send_range zcreq_sendq_accept_part(struct zcreq_sendq *q, uint64_t bytes,
						bool by_reference)
{
	struct zcreq_send_range range = {.first = q->next, .last = q->next};

	q->unsent_bytes -= bytes;
	while (bytes) {
		struct zcreq_send *send = zcreq_sendq_at(q, q->next);
		uint64_t part = send->left_bytes < bytes ? send->left_bytes : bytes;

		range.last = q->next;
		bytes -= part;
		send->left_bytes -= part;
		if (send->left_bytes) {
			send->batches += by_reference;
			trim_iovs(q, part);
			break;
		}
		q->iov_next = send->end_iov;
		q->next++;
		if (part && !by_reference && !--send->batches)
			gone(q, send, ZCREQ_GONE_COPIED);
	}
	skip_sent(q);
	return range;
}

struct zcreq_send_range zcreq_sendq_lend(struct zcreq_sendq *q, uint64_t *bytes, int *iovcnt)
{
	struct zcreq_send_range range = {.first = q->next, .last = q->next};
	uint64_t left = *bytes;

	for (uint32_t number = q->next; left; number++) {
		struct zcreq_send *send = zcreq_sendq_at(q, number);
		uint64_t part = send->left_bytes < left ? send->left_bytes : left;

		/* the proof of this batch would be taken for that of its own */
		if (!part && send->batches) {
			*bytes -= left;
			*iovcnt = (int)(first_iov(q, number) - q->iov_next);
			break;
		}
		if (!part)
			continue;
		range.last = number;
		left -= part;
		send->batches++;
	}
	return range;
}

void zcreq_sendq_prove(struct zcreq_sendq *q, uint32_t first, uint32_t last,
		       enum zcreq_gone why)
{
	const bool from_head = first == q->head;
	bool all = true;

	for (uint32_t number = first; number != last + 1; number++) {
		struct zcreq_send *send = zcreq_sendq_at(q, number);

		/* one that was withdrawn in the middle of a batch is gone already */
		if (__builtin_expect(is_gone(send), 0))
			continue;
		zcreq_assert(send->batches);
		if (__builtin_expect(!--send->batches, 1))
			gone(q, send, why);
		else
			all = false;
	}
	if (from_head && all)
		q->head = last + 1;
	retire_head(q);
}

/*
 * What is left of a send will not be sent; its iovecs become empty. Those of the
 * send at next that went before have given their places away already.
 */
static void drop_send(struct zcreq_sendq *q, uint32_t number)
{
	struct zcreq_send *send = zcreq_sendq_at(q, number);
	uint32_t iov = first_iov(q, number);

	q->unsent_bytes -= send->left_bytes;
	send->left_bytes = 0;
	while (iov != send->end_iov)
		q->iovs[iov++ & q->iov_mask].iov_len = 0;
	if (!--send->batches) {
		gone(q, send, ZCREQ_GONE_UNSENT);
		send->total_bytes = 0; /* of the stream */
	}
}

void zcreq_sendq_drop(struct zcreq_sendq *q, const struct zcreq_request *request)
{
	for (uint32_t number = q->next; number != q->tail; number++) {
		struct zcreq_send *send = zcreq_sendq_at(q, number);

		if (send->left_bytes && (!request || zcreq_send_request(send) == request))
			drop_send(q, number);
	}
	skip_sent(q);
}

uint32_t zcreq_sendq_detach(struct zcreq_sendq *q, const struct zcreq_request *request)
{
	uint32_t sends = 0;

	zcreq_assert(q->next == q->tail);
	for (uint32_t number = q->head; number != q->tail; number++) {
		struct zcreq_send *send = zcreq_sendq_at(q, number);
		struct zcreq_request *owner = zcreq_send_request(send);

		if (!owner || (request && owner != request))
			continue;
		send->owner = ZCREQ_SEND_DETACHED;
		q->detached_bytes += send->total_bytes;
		q->gone[ZCREQ_GONE_DETACHED]++;
		if (send->guarded)
			q->context->guard_hooks->send_gone(q->context->guard, send->guarded);
		zcreq_request_send_gone(q->context, owner, send->total_bytes);
		sends++;
	}
	return sends;
}

int zcreq_sendq_make_room(struct zcreq_sendq *q, uint32_t sends)
{
	const uint32_t least = q->tail - q->head + sends;

	return least <= q->send_mask + 1 ? 0 : grow_sends(q, least);
}

void zcreq_sendq_note(struct zcreq_sendq *q, struct zcreq_request *request, uint64_t bytes)
{
	if (request)
		zcreq_sendq_put(q, request, NULL, 0, bytes);
	else
		zcreq_sendq_append(q, ZCREQ_SEND_WRITE, NULL, 0, bytes);
}

/* Nothing of the last send was taken: there is none. */
static void forget_last(struct zcreq_sendq *q)
{
	struct zcreq_send *send = zcreq_sendq_at(q, --q->tail);
	struct zcreq_request *request = zcreq_send_request(send);

	send->owner = 0;
	if ((int32_t)(q->stamped - q->tail) > 0)
		q->stamped = q->tail;
	if (request)
		zcreq_request_send_gone(q->context, request, 0);
}

void zcreq_sendq_give_back(struct zcreq_sendq *q, uint64_t taken)
{
	while (q->unsent_bytes > taken) {
		struct zcreq_send *send = zcreq_sendq_at(q, q->tail - 1);
		struct zcreq_request *request = zcreq_send_request(send);
		uint64_t over = q->unsent_bytes - taken;
		uint64_t part = over < send->left_bytes ? over : send->left_bytes;

		send->total_bytes -= part;
		send->left_bytes -= part;
		q->unsent_bytes -= part;
		q->held_bytes -= part;
		if (request)
			request->send_bytes -= part;
		if (!send->left_bytes)
			forget_last(q);
	}
}
