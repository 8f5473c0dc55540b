/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * interest.c - what to wait for on a stream's descriptor, and whether the poller knows
 *
 * A loop that asks every connection before each sleep pays for all that are idle. So the
 * poller is told, and only when the answer differs from the one that it was given last:
 * what is queued on a socket that is full already changes nothing.
 */
#include <errno.h>
#include <poll.h>

#include "stream/stream.h"

/* Is there something that waits for room in the socket? */
static bool wants_room(const struct zcreq_stream *stream)
{
	if (zcreq_stream_put_off(stream))
		return false;
	if (zcreq_is_own(&stream->conn))
		return stream->sending.turn == ZCREQ_SENDER_TURN_SOCKETS;
	return stream->queue.unsent_bytes && !zcreq_stream_lent(stream);
}

/*
 * With both ends on their way poll(2) says POLLHUP without end. It is polled all the same for
 * who reads: that ends with the end of what is left, after which the program reads no more.
 * A drain waits for nothing of the peer's but the acknowledgement, which time finds.
 */
static __attribute__((noinline, cold)) short events_of_both_ends(const struct zcreq_conn *conn)
{
	return conn->state == ZCREQ_CONN_OPEN && conn->reads && conn->hooks->readable
		       ? POLLIN | POLLERR
		       : 0;
}

short zcreq_stream_events(const struct zcreq_stream *stream)
{
	const struct zcreq_conn *conn = &stream->conn;
	short events = POLLERR;

	if (!zcreq_conn_sends(conn))
		return 0;
	if (stream->fin == ZCREQ_FIN_DEAF || stream->fin == ZCREQ_FIN_OVER)
		return events_of_both_ends(conn);
	if (conn->reads && conn->hooks->readable)
		events |= POLLIN;
	if (wants_room(stream))
		events |= POLLOUT;
	return events;
}

short zcreq_events(const struct zcreq_conn *conn)
{
	if (!zcreq_is_stream(conn))
		return 0;
	zcreq_guard_hears(conn->context, conn, ZCREQ_CALL_DOES);
	return zcreq_stream_events(zcreq_stream_of(conn));
}

void zcreq_stream_compare_events(struct zcreq_stream *stream)
{
	if (zcreq_stream_events(stream) != stream->conn.told_events)
		zcreq_conn_changed(&stream->conn);
}

int zcreq_stream_reading(struct zcreq_conn *conn, bool on)
{
	if (!zcreq_is_stream(conn))
		return -EINVAL;
	zcreq_guard_hears(conn->context, conn, ZCREQ_CALL_DOES);
	conn->reads = on;
	zcreq_stream_events_changed(zcreq_stream_of(conn));
	return 0;
}
