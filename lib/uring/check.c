/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check.c - what holds of an io_uring's struct between any two public calls
 *
 * As lib/core/check.c: it changes nothing, and the library itself calls it only with
 * --enable-debug, at the end of zcreq_ring_turn().
 */
#include "uring/ring.h"

#include "base/bug.h"

static void check_streams(const struct zcreq_uring *uring)
{
	uint32_t count = 0, pending = 0;

	for (uint32_t number = 0; number < uring->capacity; number++) {
		const struct ring_stream *stream = uring->streams[number];

		if (!stream)
			continue;
		zcreq_assert(stream->uring == uring && stream->number == number);
		/* they are in a list only while they are worked out */
		zcreq_assert(stream->first < 0 && stream->last < 0);
		count++;
		pending += stream->pending;
	}
	zcreq_assert(count == uring->count);
	zcreq_assert(pending == uring->in_flight);
}

static void check_buffers(const struct zcreq_uring *uring)
{
	const struct ring_buffer *buffers = uring->buffers;

	zcreq_assert(!buffers == !uring->buffer_count);
	for (unsigned i = 0; i < uring->buffer_count; i++) {
		zcreq_assert(buffers[i].start < buffers[i].end);
		zcreq_assert(buffers[i].index < uring->buffer_count);
		zcreq_assert(!i || buffers[i - 1].end <= buffers[i].start);
	}
}

void zcreq_uring_check(const struct zcreq_uring *uring)
{
	zcreq_assert(uring->context && uring->ops);
	zcreq_assert(uring->work == RING_RESTS || uring->work == RING_OWES);
	zcreq_assert(uring->round_count >= 0 && uring->round_count < RING_ROUND);
	/* gathered and not worked out: only what a program hands over one by one */
	zcreq_assert(!uring->round_count || (uring->ring && uring->ring != &uring->own));
	check_streams(uring);
	check_buffers(uring);
}
