/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loop.c - what happened on the descriptor: zcreq_process()
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
	if (__builtin_expect(stream->fin != ZCREQ_FIN_NONE, 0))
		zcreq_fin_go_on(stream);
	zcreq_conn_check_end(&stream->conn);
	zcreq_stream_events_changed(stream);
}

/* All was acknowledged before. A drain has what it waits for; who stays open hears of an
 * error, which is there if there is no message, or may be, and is not polled for again. */
static bool fails_afterwards(const struct zcreq_stream *stream, short revents, int messages)
{
	return stream->conn.state == ZCREQ_CONN_OPEN && revents & POLLERR &&
	       (messages <= 0 || revents & POLLHUP);
}

/* The same after the end of the stream: POLLHUP says only that the peer has ended its
 * own, and what the peer has acknowledged outweighs what has come of the socket since. */
static void process_ended(struct zcreq_stream *stream, short revents)
{
	int messages = zcreq_stream_reap(stream);

	if (revents & POLLHUP)
		zcreq_fin_hangup(stream);
	zcreq_fin_go_on(stream);
	if (!zcreq_conn_sends(&stream->conn))
		return;
	if (zcreq_fin_waits(stream) ? messages <= 0 : fails_afterwards(stream, revents, messages))
		zcreq_stream_die(stream, messages < 0 ? -messages : 0);
}

/* POLLERR, POLLHUP or POLLNVAL. An end comes first: abort does the reading then. */
static void process_error(struct zcreq_stream *stream, short revents)
{
	int messages;

	/* a submission that is under way may have taken the socket's error */
	if (zcreq_stream_lent(stream) && stream->sending.ops && stream->sending.ops->reap)
		stream->sending.ops->reap(&stream->conn, stream->sending.arg);
	if (zcreq_conn_sends(&stream->conn) && stream->fin >= ZCREQ_FIN_SENT &&
	    !(revents & POLLNVAL)) {
		process_ended(stream, revents);
		return;
	}
	if (zcreq_conn_sends(&stream->conn) && revents & (POLLHUP | POLLNVAL)) {
		zcreq_stream_die(stream, revents & POLLNVAL ? EBADF : EPIPE);
		return;
	}
	messages = zcreq_stream_reap(stream);
	if (!zcreq_conn_sends(&stream->conn))
		return;
	if (messages < 0)
		zcreq_conn_end_with(&stream->conn, messages, zcreq_stream_cause(messages));
	else if (messages == 0)
		zcreq_stream_die(stream, 0);
}

/* There is room in the socket. */
static void process_room(struct zcreq_stream *stream)
{
	if (stream->sending.ops)
		zcreq_sender_room(stream);
	zcreq_stream_flush(stream);
}

void zcreq_stream_process(struct zcreq_stream *stream, short revents)
{
	struct zcreq_conn *conn = &stream->conn;

	if (conn->state == ZCREQ_CONN_CLOSED)
		return;
	if (revents & (POLLERR | POLLHUP | POLLNVAL))
		process_error(stream, revents);
	if (revents & POLLOUT)
		process_room(stream);
	if (revents & POLLIN && conn->reads)
		zcreq_conn_due(conn, ZCREQ_CONN_DUE_READABLE);
	zcreq_stream_follow_up(stream);
}

int zcreq_process(struct zcreq_conn *conn, short revents)
{
	if (!zcreq_is_stream(conn))
		return -EINVAL;
	zcreq_guard_hears(conn->context, conn, ZCREQ_CALL_DOES);
	zcreq_stream_process(zcreq_stream_of(conn), revents);
	return 0;
}
