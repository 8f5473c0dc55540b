/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reserve.c - memory that a stream has before it is needed
 *
 * A program whose way of data cannot take -ENOMEM says how much it will have in flight;
 * then all that is allocated on that way is allocated here, when the stream is opened: the
 * places of sends, of their iovecs and of batches, chunks for writes, and messages of others
 * that wait for their hook. It is never given back before the end (trim.c).
 *
 * What does not fit grows as it does without a reserve, and may fail.
 */
#include "core/message.h"
#include "stream/stream.h"

/* Does it ask for any memory in advance? */
static bool any(const struct zcreq_stream_options *o)
{
	return o->reserve_sends | o->reserve_iovs | o->reserve_batches | o->reserve_writes |
	       o->reserve_messages;
}

bool zcreq_reserve_possible(const struct zcreq_stream_options *o)
{
	return o->reserve_sends <= ZCREQ_RESERVE_MAX && o->reserve_iovs <= ZCREQ_RESERVE_MAX &&
	       o->reserve_batches <= ZCREQ_RESERVE_MAX && o->reserve_writes <= ZCREQ_RESERVE_MAX &&
	       o->reserve_messages <= ZCREQ_MESSAGES_MAX;
}

/* As many as of iovecs: what was sent and is not proven counts too. */
static int make_loans(struct zcreq_stream *stream, const struct zcreq_allocator *allocator,
		      uint32_t reserve)
{
	stream->loans = zcreq_calloc(allocator, 1, sizeof(*stream->loans));
	if (!stream->loans)
		return -ENOMEM;
	zcreq_loans_init(stream->loans);
	return zcreq_loans_make_room(stream->loans, &stream->queue, reserve);
}

int zcreq_reserve(struct zcreq_stream *stream, const struct zcreq_allocator *allocator,
		  const struct zcreq_stream_options *o)
{
	/* a program's own sends have none */
	const uint32_t iovs = o->flags & ZCREQ_STREAM_OWN_SENDS ? 0 : o->reserve_iovs;
	int ret = zcreq_sendq_reserve(&stream->queue, o->reserve_sends, iovs);

	if (!ret && o->reserve_batches)
		ret = zcreq_ids_grow(&stream->ids, allocator, o->reserve_batches);
	if (!ret)
		ret = zcreq_writebuf_reserve(&stream->queue.writes, allocator, o->reserve_writes);
	if (!ret)
		ret = zcreq_message_reserve(&stream->conn, allocator, o->reserve_messages);
	if (!ret && zcreq_wants_loans(o))
		ret = make_loans(stream, allocator, o->reserve_iovs);
	stream->keeps = o->flags & ZCREQ_STREAM_KEEP_MEMORY || any(o);
	return ret;
}

void zcreq_reserve_give(struct zcreq_stream *stream, const struct zcreq_allocator *allocator)
{
	zcreq_sendq_deinit(&stream->queue);
	zcreq_ids_trim(&stream->ids, allocator);
	zcreq_message_forget(&stream->conn, allocator);
	if (stream->loans)
		zcreq_loans_trim(stream->loans, allocator);
	zcreq_free(allocator, stream->loans);
	stream->loans = NULL;
}
