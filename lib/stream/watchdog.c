/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * watchdog.c - who has stopped, and why: vanished, not reading, or only slow
 *
 * Nobody can abort in time who does not notice, and TCP tells nobody for about a
 * quarter of an hour. A connection with something outstanding that has made no
 * progress for stall_ms is looked at with TCP_INFO. One alarm per connection, none
 * per request; nothing at all for a connection that is idle.
 *
 * What is asked is when the peer was last heard (an ACK, or data), and whether it
 * could have been expected to answer since:
 *
 *  - The window is open: the kernel sends or retransmits, and the peer has had
 *    stall_ms to answer. Quiet for that long is vanished.
 *  - The window is closed: the kernel only probes, at intervals that double up to
 *    two minutes, and a peer that reads nothing answers. Quiet then means vanished
 *    only if a probe had to be answered, had the time, and was not. A peer limits
 *    such answers to one in RATELIMIT_MS, so a probe counts that left at least
 *    that long after the peer was last heard. When each left follows from the
 *    timer: the first rto after that, doubled backoff times, the next after twice
 *    as long.
 *  - Everything is acknowledged: the pages are in a driver. Not the peer's fault.
 */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>

#include "stream/stream.h"
#include "core/points.h"
#include "stream/watchdog.h"

/* The shortest time between two looks at the same quiet connection, and the time
 * between two while an answer to a probe is awaited. */
#define LOOK_LEAST_MS 10
#define LOOK_PROBED_MS 25

/* What a peer that is alive needs at least to answer. */
#define ANSWER_MS 100

/* Linux answers segments that it cannot take once in net.ipv4.tcp_invalid_ratelimit. */
#define RATELIMIT_MS 500

/* The least interval of the probe timer (TCP_RTO_MIN). */
#define RTO_LEAST_MS 200

/* The stall limit for those who ask for a verdict where there is no watchdog. */
#define STALL_ASKED_MS 1000

const int8_t zcreq_look_table[ZCREQ_LOOK_AWAKE + 1][ZCREQ_LOOK_EVENTS] = {
	[ZCREQ_LOOK_ASLEEP] = {
		[ZCREQ_LOOK_NOTHING] = ZCREQ_LOOK_ASLEEP,
		[ZCREQ_LOOK_SOMETHING] = ZCREQ_LOOK_AWAKE,
	},
	[ZCREQ_LOOK_AWAKE] = {
		[ZCREQ_LOOK_NOTHING] = ZCREQ_LOOK_ASLEEP,
		[ZCREQ_LOOK_SOMETHING] = ZCREQ_LOOK_AWAKE,
	},
};

/* The only writer of stream->look. */
static void look_event(struct zcreq_stream *stream, enum zcreq_look_event event)
{
	stream->look = zcreq_state_after(zcreq_look_table[stream->look][event]);
}

/* What one look has found. */
struct look {
	enum zcreq_stall verdict;
	uint64_t again_ms; /* when to look again, if nothing happens */
};

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/*
 * With its window closed: was the peer asked, so that it had to answer, and did it
 * not? While data is on the way retransmissions ask instead of probes; of these
 * only the current interval is known, and the last but one left at most one and a
 * half of it ago.
 */
static bool asked_in_vain(const struct tcp_info *info, uint64_t quiet_ms)
{
	uint64_t rto_ms = most(info->tcpi_rto / 1000, RTO_LEAST_MS);
	uint64_t answer_ms = most(2 * (uint64_t)info->tcpi_rtt / 1000, ANSWER_MS);
	unsigned probes = info->tcpi_probes, backoff = info->tcpi_backoff, shift;
	uint64_t left_ms = 0;

	if (info->tcpi_unacked)
		return quiet_ms >= RATELIMIT_MS + rto_ms + rto_ms / 2;
	shift = backoff > probes ? (unsigned)least(backoff - probes, 16) : 0;
	for (unsigned probe = 0; probe < probes && left_ms < RATELIMIT_MS; probe++)
		left_ms += rto_ms << shift++;
	return left_ms >= RATELIMIT_MS && quiet_ms >= left_ms + answer_ms;
}

/* Can the peer not take what is next to be sent? An old kernel does not tell its
 * window; then nothing being on the way has to stand for it. */
static bool window_closed(const struct tcp_info *info, bool tells_window)
{
	uint64_t next = info->tcpi_snd_mss;

	if (!tells_window)
		return !info->tcpi_unacked;
	if (!info->tcpi_unacked)
		next = least(next, info->tcpi_notsent_bytes);
	return info->tcpi_snd_wnd < next;
}

/* Has the kernel anything that the peer has not acknowledged? */
static bool waits_for_peer(const struct tcp_info *info)
{
	return info->tcpi_unacked || info->tcpi_notsent_bytes;
}

uint64_t zcreq_watchdog_quiet_ms(const struct tcp_info *info)
{
	return least(info->tcpi_last_ack_recv, info->tcpi_last_data_recv);
}

static struct look judge(const struct zcreq_stream *stream, const struct tcp_info *info,
			 bool tells_window)
{
	const uint64_t stall_ms = stream->stall_ms ? stream->stall_ms : STALL_ASKED_MS;
	uint64_t quiet_ms = zcreq_watchdog_quiet_ms(info);
	bool closed = window_closed(info, tells_window);
	struct look look = {
		.verdict = ZCREQ_STALL_CONGESTED,
		.again_ms = quiet_ms < stall_ms ? stall_ms - quiet_ms : stall_ms,
	};

	if (!waits_for_peer(info))
		return look;
	if (quiet_ms >= stall_ms && (!closed || asked_in_vain(info, quiet_ms))) {
		look.verdict = ZCREQ_STALL_VANISHED;
	} else if (closed) {
		if (info->tcpi_bytes_acked == stream->acked_seen)
			look.verdict = ZCREQ_STALL_NOT_READING;
		if (quiet_ms >= stall_ms && (info->tcpi_probes || info->tcpi_unacked))
			look.again_ms = LOOK_PROBED_MS;
	}
	return look;
}

/* Since Linux 5.4; an older kernel fills less of the struct. */
static bool knows_window(socklen_t len)
{
	return len >= offsetof(struct tcp_info, tcpi_snd_wnd) +
			      sizeof(((struct tcp_info *)NULL)->tcpi_snd_wnd);
}

enum zcreq_stall zcreq_watchdog_verdict(const struct zcreq_stream *stream,
					const struct tcp_info *info, socklen_t len,
					bool *window_closed_now)
{
	*window_closed_now = waits_for_peer(info) && window_closed(info, knows_window(len));
	return judge(stream, info, knows_window(len)).verdict;
}

/* Asks the kernel; a socket that cannot be asked is in an error's hands already. */
static int take_look(struct zcreq_stream *stream, uint64_t now_ns, struct look *look)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);
	int ret;

	ret = stream->ops->getsockopt(stream->fd, IPPROTO_TCP, TCP_INFO, &info, &len,
				      stream->ops_arg);
	if (ret)
		return ret;
	*look = judge(stream, &info, knows_window(len));
	if (info.tcpi_bytes_acked != stream->acked_seen)
		stream->unread_since_ns = now_ns;
	stream->acked_seen = info.tcpi_bytes_acked;
	return 0;
}

static void tell(struct zcreq_stream *stream, enum zcreq_stall verdict, uint64_t quiet_ms)
{
	struct zcreq_stats *stats = &stream->conn.stats;

	if (stream->conn.stall == verdict)
		return;
	stream->conn.stall = (uint8_t)verdict;
	zcreq_trace_stall(&stream->conn, quiet_ms);
	zcreq_conn_due(&stream->conn, ZCREQ_CONN_DUE_STALLED);
	stats->stalled_vanished += verdict == ZCREQ_STALL_VANISHED;
	stats->stalled_not_reading += verdict == ZCREQ_STALL_NOT_READING;
	stats->stalled_congested += verdict == ZCREQ_STALL_CONGESTED;
}

/* No progress for stall_ms: looks, and aborts or says when to look again. */
static uint64_t examine(struct zcreq_stream *stream, uint64_t now_ns)
{
	uint64_t unread_ns, limit_ns;
	struct look look;
	int ret = take_look(stream, now_ns, &look);

	if (ret) {
		zcreq_conn_abort(&stream->conn, ret);
		return ZCREQ_NEVER;
	}
	tell(stream, look.verdict, (now_ns - stream->quiet_since_ns) / ZCREQ_MS);
	if (look.verdict == ZCREQ_STALL_VANISHED) {
		zcreq_conn_abort(&stream->conn, -ETIMEDOUT);
		return ZCREQ_NEVER;
	}
	look.again_ms = most(look.again_ms, LOOK_LEAST_MS);
	if (look.verdict == ZCREQ_STALL_NOT_READING && stream->not_reading_ms) {
		/* a proof comes with a whole record; what was read since shows here */
		unread_ns = now_ns - most(stream->quiet_since_ns, stream->unread_since_ns);
		limit_ns = stream->not_reading_ms * ZCREQ_MS;
		if (unread_ns >= limit_ns) {
			zcreq_conn_abort(&stream->conn, -ETIME);
			return ZCREQ_NEVER;
		}
		return now_ns + least(look.again_ms * ZCREQ_MS, limit_ns - unread_ns);
	}
	return now_ns + look.again_ms * ZCREQ_MS;
}

uint64_t zcreq_watchdog_timers(struct zcreq_stream *stream, uint64_t now_ns)
{
	bool slept;

	if (!stream->stall_ms)
		return ZCREQ_NEVER;
	if (!zcreq_stream_outstanding(stream)) {
		look_event(stream, ZCREQ_LOOK_NOTHING);
		return ZCREQ_NEVER;
	}
	slept = stream->look == ZCREQ_LOOK_ASLEEP;
	look_event(stream, ZCREQ_LOOK_SOMETHING);
	if (slept || stream->progress != stream->progress_seen) {
		stream->progress_seen = stream->progress;
		stream->quiet_since_ns = now_ns;
		stream->conn.stall = 0;
		stream->look_ns = now_ns + stream->stall_ms * ZCREQ_MS;
	}
	if (now_ns >= stream->look_ns)
		stream->look_ns = examine(stream, now_ns);
	return stream->look_ns;
}
