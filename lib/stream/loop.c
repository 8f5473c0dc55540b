/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loop.c - what the program's loop calls: zcreq_flush() and zcreq_process()
 *
 * It owns the decision what to do with revents: which of them end the connection, which
 * mean that there is proof to read, which that there is room. Whoever moved anything ends
 * with zcreq_stream_follow_up(), which looks at what may follow from it: room again, an
 * idle stream, the end of the connection, another answer of zcreq_events().
 *
 * It moves no byte and believes no notification: that is send.c and proof.c.
 */
#include <errno.h>
#include <poll.h>

#include "stream/stream.h"

void zcreq_stream_follow_up(struct zcreq_stream *stream)
{
	if (stream->room_below_bytes && stream->queue.held_bytes < stream->room_below_bytes) {
		stream->room_below_bytes = 0;
		zcreq_conn_due(&stream->conn, ZCREQ_CONN_DUE_ROOM);
	}
	if (!stream->conn.timer_list && !zcreq_stream_outstanding(stream) &&
	    zcreq_trim_wants(stream))
		zcreq_conn_stir(&stream->conn);
	zcreq_conn_check_end(&stream->conn);
	zcreq_stream_events_changed(stream);
}

int zcreq_flush(struct zcreq_conn *conn)
{
	if (!zcreq_is_stream(conn))
		return -EINVAL;
	zcreq_stream_flush(zcreq_stream_of(conn));
	zcreq_stream_follow_up(zcreq_stream_of(conn));
	return 0;
}

/* POLLERR, POLLHUP or POLLNVAL. An end comes first: abort does the reading then. */
static void process_error(struct zcreq_stream *stream, short revents)
{
	int messages;

	/* a submission that is under way may have taken the socket's error */
	if (zcreq_stream_lent(stream) && stream->sending.ops->reap)
		stream->sending.ops->reap(&stream->conn, stream->sending.arg);
	if (zcreq_conn_sends(&stream->conn) && revents & (POLLHUP | POLLNVAL)) {
		zcreq_stream_die(stream, revents & POLLNVAL ? EBADF : EPIPE);
		return;
	}
	messages = zcreq_stream_reap(stream);
	if (!zcreq_conn_sends(&stream->conn))
		return;
	if (messages < 0)
		zcreq_conn_abort(&stream->conn, messages);
	else if (messages == 0)
		zcreq_stream_die(stream, 0);
}

int zcreq_process(struct zcreq_conn *conn, short revents)
{
	struct zcreq_stream *stream = zcreq_stream_of(conn);
	struct zcreq_context *context;

	if (!zcreq_is_stream(conn))
		return -EINVAL;
	context = conn->context;
	if (conn->state != ZCREQ_CONN_CLOSED) {
		if (revents & (POLLERR | POLLHUP | POLLNVAL))
			process_error(stream, revents);
		if (revents & POLLOUT)
			zcreq_stream_flush(stream);
		zcreq_stream_follow_up(stream);
	}
	zcreq_dispatch(context);
	return 0;
}
