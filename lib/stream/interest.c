/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * interest.c - what to wait for on a stream's descriptor, and who is told of changes
 *
 * A loop that asks every connection before each sleep pays for all that are idle. So
 * a watcher is told, and only when the answer differs from the one that it was given
 * last: what is queued on a socket that is full already changes nothing.
 */
#include <errno.h>
#include <poll.h>

#include "stream/stream.h"

short zcreq_events(const struct zcreq_conn *conn)
{
	const struct zcreq_stream *stream = zcreq_stream_of(conn);

	if (!zcreq_is_stream(conn) || !zcreq_conn_sends(conn))
		return 0;
	if (!stream->queue.unsent_bytes || zcreq_stream_put_off(stream) || zcreq_stream_lent(stream))
		return POLLERR;
	return POLLERR | POLLOUT;
}

void zcreq_stream_compare_events(struct zcreq_stream *stream)
{
	if (zcreq_events(&stream->conn) != stream->conn.told_events)
		zcreq_conn_changed(&stream->conn);
}

int zcreq_events_watch(struct zcreq_conn *conn, void *watcher)
{
	if (!zcreq_is_stream(conn))
		return -EINVAL;
	zcreq_conn_watch(conn, watcher);
	return 0;
}

void *zcreq_events_next(struct zcreq_context *context)
{
	struct zcreq_conn *conn = context ? zcreq_conn_tell(context) : NULL;

	if (!conn)
		return NULL;
	conn->told_events = zcreq_events(conn);
	return conn->watcher;
}
