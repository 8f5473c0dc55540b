/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ladder.c - abort: make the kernel give every page back, and prove it
 *
 * The steps, from the one that needs nothing to the one that gives up:
 *
 *	1  what the kernel never had is released (the outcomes are reported already)
 *	2  what it has said already is read
 *	3  connect(AF_UNSPEC): it resets the connection, frees its queues and posts
 *	   the notifications on the descriptor, which is still open
 *	4  these are read; out of order is usual here
 *	5  packets in a queueing discipline or a driver still hold pages: look again,
 *	   at growing intervals
 *	   (detach.c: the program, or after detach_ms the library, can leave the pages
 *	   to the kernel and have others under the same addresses)
 *	6  no proof in linger_ms: quarantine. The descriptor and the records stay, a
 *	   look now and then; late proof still releases
 *
 * close() has no place in it: it gives up the error queue, and with it the proof,
 * while the kernel goes on sending from the pages. The descriptor is closed when
 * nothing is outstanding (conn.c).
 *
 * Step 3 costs the kernel about 100 us on loopback, a packet to the peer included. So
 * that a thousand connections that are aborted at once do not stall all others, only
 * some are disconnected in one turn; the rest takes its turn in the next ones,
 * with all outcomes reported and nothing queued any more.
 *
 * After step 3 poll(2) reports POLLHUP without end, so looking again is done by
 * time; nothing here waits.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "stream/stream.h"
#include "stream/socket.h"
#include "core/points.h"

#define POLL_LEAST_NS (1 * ZCREQ_MS)
#define POLL_MOST_NS (20 * ZCREQ_MS)
#define POLL_QUARANTINE_NS (1000 * ZCREQ_MS)

/* How often the error queue is read when nobody can post to it any more; each
 * time takes a thousand messages of others that are in front of the proof. */
#define REAPS 64

const int8_t zcreq_ladder_table[ZCREQ_LADDER_LET_GO + 1][ZCREQ_LADDER_EVENTS] = {
	[ZCREQ_LADDER_NONE] = {
		[ZCREQ_LADDER_ABORT] = ZCREQ_LADDER_WAITING,
		[ZCREQ_LADDER_REFUSE] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_LADDER_DISCONNECT] = ZCREQ_IMPOSSIBLE,
	},
	[ZCREQ_LADDER_WAITING] = {
		[ZCREQ_LADDER_ABORT] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_LADDER_REFUSE] = ZCREQ_LADDER_REFUSED,
		[ZCREQ_LADDER_DISCONNECT] = ZCREQ_LADDER_LET_GO,
	},
	[ZCREQ_LADDER_REFUSED] = {
		[ZCREQ_LADDER_ABORT] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_LADDER_REFUSE] = ZCREQ_LADDER_REFUSED,
		[ZCREQ_LADDER_DISCONNECT] = ZCREQ_LADDER_LET_GO,
	},
	[ZCREQ_LADDER_LET_GO] = {
		[ZCREQ_LADDER_ABORT] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_LADDER_REFUSE] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_LADDER_DISCONNECT] = ZCREQ_IMPOSSIBLE,
	},
};

/* The only writer of stream->ladder. */
static void ladder_event(struct zcreq_stream *stream, enum zcreq_ladder_event event)
{
	stream->ladder = zcreq_state_after(zcreq_ladder_table[stream->ladder][event]);
}

/*
 * A kernel refuses with EBUSY while another thread sleeps in a call on the same
 * socket. Shutting down wakes that thread; until the next try the shortest user
 * timeout makes the kernel's own timer do what it can.
 */
static void wake_sleepers(struct zcreq_stream *stream)
{
	const int timeout_ms = 1;

	stream->ops->shutdown(stream->fd, SHUT_RDWR, stream->ops_arg);
	stream->ops->setsockopt(stream->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms,
				sizeof(timeout_ms), stream->ops_arg);
}

static int disconnect(struct zcreq_stream *stream)
{
	int tries = 0, ret;

	do {
		ret = stream->ops->disconnect(stream->fd, stream->ops_arg);
	} while (ret == -EINTR && ++tries < ZCREQ_INTERRUPTS);
	return ret;
}

static void let_go(struct zcreq_stream *stream)
{
	int ret = disconnect(stream);

	if (ret && stream->ladder == ZCREQ_LADDER_WAITING) {
		ladder_event(stream, ZCREQ_LADDER_REFUSE);
		wake_sleepers(stream);
		ret = disconnect(stream);
	}
	zcreq_trace_disconnect(&stream->conn, ret);
	ladder_event(stream, ret ? ZCREQ_LADDER_REFUSE : ZCREQ_LADDER_DISCONNECT);
}

/* Steps 3 and 4, unless it has to wait for its turn. */
static void take_turn(struct zcreq_stream *stream)
{
	struct zcreq_context *context = stream->conn.context;

	if (!context->disconnects_left)
		return;
	context->disconnects_left--;
	let_go(stream);
	for (int i = 0; i < REAPS && stream->ids.pending; i++) {
		if (zcreq_stream_reap(stream) <= 0)
			break;
	}
}

void zcreq_ladder_abort(struct zcreq_conn *conn)
{
	struct zcreq_stream *stream = zcreq_stream_of(conn);

	ladder_event(stream, ZCREQ_LADDER_ABORT);
	zcreq_sendq_drop(&stream->queue, NULL);
	if (zcreq_stream_lent(stream) && stream->sending.ops && stream->sending.ops->cancel)
		stream->sending.ops->cancel(conn, stream->ids.next - 1, stream->sending.arg);
	zcreq_stream_reap(stream);
	/* before what may be the last proof, after which only closed becomes due */
	zcreq_conn_due(conn, ZCREQ_CONN_DUE_READABLE);
	take_turn(stream);
	stream->poll_gap_ns = POLL_LEAST_NS;
	zcreq_stream_events_changed(stream);
}

/* How long until the next look, while proof is missing. */
static uint64_t next_gap(struct zcreq_stream *stream)
{
	uint64_t gap_ns = stream->poll_gap_ns;

	if (stream->conn.state == ZCREQ_CONN_QUARANTINED)
		return POLL_QUARANTINE_NS;
	stream->poll_gap_ns = gap_ns * 2 < POLL_MOST_NS ? gap_ns * 2 : POLL_MOST_NS;
	return gap_ns;
}

uint64_t zcreq_ladder_timers(struct zcreq_stream *stream, uint64_t now_ns)
{
	struct zcreq_conn *conn = &stream->conn;
	uint64_t next_ns, detach_ns;

	if (!conn->deadline_ns)
		conn->deadline_ns = now_ns + stream->linger_ms * ZCREQ_MS;
	if (stream->ladder == ZCREQ_LADDER_WAITING) {
		take_turn(stream);
		if (stream->ladder == ZCREQ_LADDER_WAITING)
			return now_ns + 1;
	} else if (stream->ids.pending) {
		if (stream->ladder == ZCREQ_LADDER_REFUSED)
			let_go(stream);
		zcreq_stream_reap(stream);
	}
	zcreq_stream_follow_up(stream);
	if (!stream->ids.pending)
		return ZCREQ_NEVER;
	detach_ns = zcreq_detach_timers(stream, now_ns);
	if (now_ns >= conn->deadline_ns && conn->state == ZCREQ_CONN_ABORTING)
		zcreq_conn_deadline(conn);
	next_ns = now_ns + next_gap(stream);
	if (next_ns > detach_ns)
		next_ns = detach_ns;
	if (conn->state == ZCREQ_CONN_ABORTING && next_ns > conn->deadline_ns)
		next_ns = conn->deadline_ns;
	return next_ns;
}
