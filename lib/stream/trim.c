/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trim.c - an idle connection does not keep what a busy one needed
 *
 * Fifos grow with what is in flight, and a chunk of writes has 4 KiB: of ten
 * thousand connections that were busy once that is most of the memory. It goes when
 * a connection has been idle, and nothing has moved, for one to two TRIM_NS; with the
 * next send it is made again. A connection that works at all is never trimmed, so the
 * steady state allocates nothing, nor is one that was told to keep its memory; and one
 * that never had more in flight than the least sizes of its fifos keeps them, so most
 * never need an alarm for this.
 *
 * A connection that works is looked at once in TRIM_NS, however often it is idle, and
 * all of them at the same times: looking for the alarms that have gone off costs what
 * all alarms do (turn.c), so a thousand of them should go off as one.
 */
#include "stream/stream.h"

#define TRIM_NS (1000 * ZCREQ_MS)

bool zcreq_trim_wants(const struct zcreq_stream *stream)
{
	return zcreq_conn_sends(&stream->conn) && !stream->keeps &&
	       (zcreq_sendq_is_large(&stream->queue) ||
		stream->ids.mask + 1 > ZCREQ_IDS_LEAST);
}

uint64_t zcreq_trim_timers(struct zcreq_stream *stream, uint64_t now_ns)
{
	if (zcreq_stream_outstanding(stream) || !zcreq_trim_wants(stream)) {
		stream->trim_ns = 0;
		return ZCREQ_NEVER;
	}
	if (!stream->trim_ns || stream->progress != stream->trim_progress) {
		stream->trim_progress = stream->progress;
		stream->trim_ns = (now_ns / TRIM_NS + 2) * TRIM_NS;
	}
	if (now_ns < stream->trim_ns)
		return stream->trim_ns;
	zcreq_sendq_trim(&stream->queue);
	zcreq_ids_trim(&stream->ids, &stream->conn.context->allocator);
	if (stream->loans)
		zcreq_loans_trim(stream->loans, &stream->conn.context->allocator);
	stream->trim_ns = 0;
	return ZCREQ_NEVER;
}
