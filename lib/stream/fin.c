/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fin.c - the end of the stream, and whether the peer has everything before it
 *
 * close() ends a stream in order only if there is nothing unread from the peer, and no
 * other descriptor of the same socket: else it resets the connection, and what is on its
 * way is lost, or does nothing at all. So the stream is ended with shutdown(2), and the
 * descriptor is closed when the peer's kernel has acknowledged every byte and the end.
 *
 * No event tells of that, so it is looked for: whenever something else has happened, and
 * by time, at growing intervals. What TCP_INFO says (tests/real/check_fin.c):
 *
 *	FIN_WAIT1, CLOSING, LAST_ACK   the acknowledgement is missing
 *	FIN_WAIT2                      it is here, and the peer's own end is not
 *	CLOSE                          it is here and so is the peer's end, or the
 *	                               connection has died
 *
 * SO_ERROR cannot tell these two of CLOSE apart: whoever reads from the socket takes the
 * error away. tcpi_bytes_acked can, which stays as it was and counts the end as a byte.
 * What it was before our first byte is asked when the stream is opened; if something was
 * on its way then, the end is put off until all is acknowledged once, and it is known.
 *
 * With the ends of both sides on their way poll(2) reports POLLHUP without end, so from
 * then on only who reads is polled for (interest.c), and time finds the rest; nothing here
 * waits.
 *
 * It never ends a connection that is well: that is conn.c's. It begins no ladder: a stream
 * that dies here is aborted as it is anywhere.
 */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>

#include "stream/socket.h"
#include "stream/peer.h"
#include "stream/stream.h"

#define LOOK_LEAST_NS (1 * ZCREQ_MS)
#define LOOK_MOST_NS (100 * ZCREQ_MS)

const int8_t zcreq_fin_table[ZCREQ_FIN_OVER + 1][ZCREQ_FIN_EVENTS] = {
	[ZCREQ_FIN_NONE] = {
		[ZCREQ_FIN_ASK] = ZCREQ_FIN_ASKED,
		[ZCREQ_FIN_SHUT] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_FIN_HANGUP] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_FIN_ACK] = ZCREQ_IMPOSSIBLE,
	},
	[ZCREQ_FIN_ASKED] = {
		[ZCREQ_FIN_ASK] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_FIN_SHUT] = ZCREQ_FIN_SENT,
		[ZCREQ_FIN_HANGUP] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_FIN_ACK] = ZCREQ_IMPOSSIBLE,
	},
	[ZCREQ_FIN_SENT] = {
		[ZCREQ_FIN_ASK] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_FIN_SHUT] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_FIN_HANGUP] = ZCREQ_FIN_DEAF,
		[ZCREQ_FIN_ACK] = ZCREQ_FIN_ACKED,
	},
	[ZCREQ_FIN_DEAF] = {
		[ZCREQ_FIN_ASK] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_FIN_SHUT] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_FIN_HANGUP] = ZCREQ_FIN_DEAF,
		[ZCREQ_FIN_ACK] = ZCREQ_FIN_OVER,
	},
	[ZCREQ_FIN_ACKED] = {
		[ZCREQ_FIN_ASK] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_FIN_SHUT] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_FIN_HANGUP] = ZCREQ_FIN_OVER,
		[ZCREQ_FIN_ACK] = ZCREQ_IMPOSSIBLE,
	},
	[ZCREQ_FIN_OVER] = {
		[ZCREQ_FIN_ASK] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_FIN_SHUT] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_FIN_HANGUP] = ZCREQ_FIN_OVER,
		[ZCREQ_FIN_ACK] = ZCREQ_IMPOSSIBLE,
	},
};

/* The only writer of stream->fin, but for its beginning. */
static void fin_event(struct zcreq_stream *stream, enum zcreq_fin_event event)
{
	stream->fin = zcreq_state_after(zcreq_fin_table[stream->fin][event]);
	zcreq_stream_events_changed(stream);
}

void zcreq_fin_init(struct zcreq_stream *stream, const struct tcp_info *info)
{
	stream->fin = ZCREQ_FIN_NONE;
	stream->base_acked = zcreq_peer_owes(info) ? ZCREQ_NEVER : info->tcpi_bytes_acked;
}

bool zcreq_fin_is_acked(const struct zcreq_stream *stream, const struct tcp_info *info)
{
	if (stream->fin < ZCREQ_FIN_SENT)
		return false;
	if (info->tcpi_state == ZCREQ_TCP_CLOSE)
		return info->tcpi_bytes_acked >
		       stream->base_acked + stream->conn.stats.sent_bytes;
	return info->tcpi_state == ZCREQ_TCP_FIN_WAIT2 || info->tcpi_state == ZCREQ_TCP_TIME_WAIT;
}

/* False: the connection has ended instead. */
static bool take_look(struct zcreq_stream *stream, struct tcp_info *info)
{
	socklen_t len = sizeof(*info);
	int ret = stream->ops->getsockopt(stream->fd, IPPROTO_TCP, TCP_INFO, info, &len,
					  stream->ops_arg);

	if (ret)
		zcreq_conn_end_with(&stream->conn, ret, zcreq_stream_cause(ret));
	else if (info->tcpi_state == ZCREQ_TCP_CLOSE && !zcreq_fin_is_acked(stream, info))
		zcreq_stream_die(stream, ECONNRESET);
	return zcreq_conn_sends(&stream->conn);
}

/* Is it known how many bytes were acknowledged before ours? It can be when all are. */
static bool knows_base(struct zcreq_stream *stream)
{
	struct tcp_info info = {0};

	if (stream->base_acked != ZCREQ_NEVER)
		return true;
	if (!take_look(stream, &info) || zcreq_peer_owes(&info))
		return false;
	stream->base_acked = info.tcpi_bytes_acked - stream->conn.stats.sent_bytes;
	return true;
}

static int call_shutdown(struct zcreq_stream *stream)
{
	int tries = 0, ret;

	do
		ret = stream->ops->shutdown(stream->fd, SHUT_WR, stream->ops_arg);
	while (ret == -EINTR && ++tries < ZCREQ_INTERRUPTS);
	return ret;
}

/* The end follows the last byte; false: not yet, or the connection has ended instead. */
static bool end_stream(struct zcreq_stream *stream)
{
	int ret;

	/* what a sender has been lent is unsent until it has said how much it took */
	if (stream->queue.unsent_bytes)
		return false;
	/* whatever keeps it from ending now, no event tells when that is over */
	zcreq_conn_stir(&stream->conn);
	if (!knows_base(stream))
		return false;
	ret = call_shutdown(stream);
	if (ret && ret != -EINTR)
		zcreq_stream_die(stream, ret == -ENOTCONN ? ECONNRESET : -ret);
	if (ret)
		return false;
	fin_event(stream, ZCREQ_FIN_SHUT);
	stream->fin_ns = 0;
	stream->ended_ns = stream->conn.context->now_ns;
	zcreq_stream_progressed(stream, 1);
	return true;
}

void zcreq_fin_go_on(struct zcreq_stream *stream)
{
	struct tcp_info info = {0};

	if (!zcreq_conn_sends(&stream->conn))
		return;
	if (stream->fin == ZCREQ_FIN_ASKED && !end_stream(stream))
		return;
	if (!zcreq_fin_waits(stream) || !take_look(stream, &info) ||
	    !zcreq_fin_is_acked(stream, &info))
		return;
	fin_event(stream, ZCREQ_FIN_ACK);
	zcreq_conn_stir(&stream->conn);
}

int zcreq_fin_end(struct zcreq_conn *conn)
{
	struct zcreq_stream *stream = zcreq_stream_of(conn);

	if (stream->fin != ZCREQ_FIN_NONE)
		return -EALREADY;
	fin_event(stream, ZCREQ_FIN_ASK);
	zcreq_conn_stir(conn);
	zcreq_fin_go_on(stream);
	return 0;
}

void zcreq_fin_hangup(struct zcreq_stream *stream)
{
	fin_event(stream, ZCREQ_FIN_HANGUP);
	/* perhaps nobody polls any more: what is still to be proven is left to time */
	zcreq_conn_stir(&stream->conn);
}

/* Is there something that only time can tell? */
static bool waits_for_time(const struct zcreq_stream *stream)
{
	if (stream->fin == ZCREQ_FIN_ASKED)
		return !stream->queue.unsent_bytes;
	return zcreq_fin_waits(stream) || (stream->fin == ZCREQ_FIN_OVER && stream->ids.pending);
}

uint64_t zcreq_fin_timers(struct zcreq_stream *stream, uint64_t now_ns)
{
	uint64_t gap_ns = stream->poll_gap_ns * 2;

	if (!waits_for_time(stream))
		return ZCREQ_NEVER;
	if (stream->fin_ns && now_ns < stream->fin_ns)
		return stream->fin_ns;
	if (!stream->fin_ns) {
		gap_ns = LOOK_LEAST_NS;
	} else {
		zcreq_stream_reap(stream);
		zcreq_stream_follow_up(stream);
	}
	stream->poll_gap_ns = gap_ns < LOOK_MOST_NS ? gap_ns : LOOK_MOST_NS;
	stream->fin_ns = now_ns + stream->poll_gap_ns;
	return waits_for_time(stream) ? stream->fin_ns : ZCREQ_NEVER;
}
