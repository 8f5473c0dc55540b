/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * retry.c - the machine is short of memory: sending goes on in a while
 *
 * ENOBUFS and ENOMEM of a plain send, or of the library's own memory, are no error of the
 * connection, and no descriptor tells when there is memory again. So sending is put off by
 * time, for as long as it fails; zcreq_events() asks for no POLLOUT meanwhile, which would
 * come at once. The time is that of turns: how long it is to be waited for is known only
 * with the next one.
 *
 * It decides nothing else: whether an error is one of these is send.c's business.
 */
#include "core/points.h"
#include "stream/stream.h"

const int8_t zcreq_retry_table[ZCREQ_RETRY_LATER + 1][ZCREQ_RETRY_EVENTS] = {
	[ZCREQ_RETRY_NONE] = {
		[ZCREQ_RETRY_SHORT] = ZCREQ_RETRY_SOON,
		[ZCREQ_RETRY_TURN] = ZCREQ_RETRY_NONE,
		[ZCREQ_RETRY_DUE] = ZCREQ_IMPOSSIBLE,
	},
	[ZCREQ_RETRY_SOON] = {
		[ZCREQ_RETRY_SHORT] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_RETRY_TURN] = ZCREQ_RETRY_LATER,
		[ZCREQ_RETRY_DUE] = ZCREQ_IMPOSSIBLE,
	},
	[ZCREQ_RETRY_LATER] = {
		[ZCREQ_RETRY_SHORT] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_RETRY_TURN] = ZCREQ_RETRY_LATER,
		[ZCREQ_RETRY_DUE] = ZCREQ_RETRY_NONE,
	},
};

/* The only writer of stream->retry. */
static void retry_event(struct zcreq_stream *stream, enum zcreq_retry_event event)
{
	stream->retry = zcreq_state_after(zcreq_retry_table[stream->retry][event]);
}

void zcreq_retry_later(struct zcreq_stream *stream)
{
	stream->conn.stats.no_buffers_machine++;
	zcreq_trace_no_buffers(&stream->conn, stream->ids.pending);
	retry_event(stream, ZCREQ_RETRY_SHORT);
	zcreq_conn_stir(&stream->conn);
}

uint64_t zcreq_retry_timers(struct zcreq_stream *stream, uint64_t now_ns)
{
	if (stream->retry == ZCREQ_RETRY_LATER && now_ns >= stream->retry_ns) {
		retry_event(stream, ZCREQ_RETRY_DUE);
		zcreq_stream_flush(stream);
		zcreq_stream_follow_up(stream);
	}
	if (stream->retry == ZCREQ_RETRY_SOON)
		stream->retry_ns = now_ns + ZCREQ_RETRY_NS;
	retry_event(stream, ZCREQ_RETRY_TURN);
	return stream->retry == ZCREQ_RETRY_LATER ? stream->retry_ns : ZCREQ_NEVER;
}
