/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * retry.c - the machine is short of memory: sending goes on in a while
 *
 * ENOBUFS and ENOMEM of a plain send, or of the library's own memory, are no error of the
 * connection, and no descriptor tells when there is memory again. So sending is put off by
 * time, for as long as it fails; zcreq_events() asks for no POLLOUT meanwhile, which would
 * come at once. The time is that of ticks: how long it is to be waited for is known only
 * with the next one.
 *
 * It decides nothing else: whether an error is one of these is send.c's business.
 */
#include "core/points.h"
#include "stream/stream.h"

#define RETRY_NS (10 * ZCREQ_MS)

void zcreq_retry_later(struct zcreq_stream *stream)
{
	stream->conn.stats.no_buffers_machine++;
	zcreq_trace_no_buffers(&stream->conn, stream->ids.pending);
	stream->retry_ns = ZCREQ_NEVER;
	zcreq_conn_stir(&stream->conn);
}

uint64_t zcreq_retry_timers(struct zcreq_stream *stream, uint64_t now_ns)
{
	if (!stream->retry_ns)
		return ZCREQ_NEVER;
	if (stream->retry_ns == ZCREQ_NEVER) {
		stream->retry_ns = now_ns + RETRY_NS;
	} else if (now_ns >= stream->retry_ns) {
		stream->retry_ns = 0;
		zcreq_stream_flush(stream);
		zcreq_stream_follow_up(stream);
		if (stream->retry_ns)
			stream->retry_ns = now_ns + RETRY_NS;
	}
	return stream->retry_ns ? stream->retry_ns : ZCREQ_NEVER;
}
