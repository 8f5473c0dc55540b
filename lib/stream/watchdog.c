/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * watchdog.c - who has stopped, and why: vanished, not reading, or only slow
 *
 * Nobody can abort in time who does not notice, and TCP tells nobody for about a
 * quarter of an hour. A connection with something outstanding that has made no
 * progress for stall_ms is looked at with TCP_INFO, and so is one that only copies:
 * what was copied is out of the queue here, and all the same nobody may have it. The
 * watch ends when the kernel has nothing that the peer has not acknowledged. One alarm
 * per connection, none per request; one look in stall_ms for a connection that is busy,
 * none at all for one that is proven by notifications, or idle.
 *
 * What is asked is when the peer was last heard (an ACK, or data), and whether it
 * could have been expected to answer since:
 *
 *  - The window is open: the kernel sends or retransmits. Quiet for stall_ms is
 *    vanished, if the peer has had the time to answer, however long its path is. A
 *    single packet may be lost, so it is not asked before the kernel has sent again:
 *    after its timeout, which covers the round trip and its variance. Then it has the
 *    round trip, four times the variance, and ANSWER_MS at least. When the kernel has
 *    sent a third time, the second has had a whole timeout. Nothing here counts a
 *    timeout that was doubled, so backing off does not make the verdict late.
 *  - The window is open, and nothing is on its way: this machine does not let it out
 *    (a link that is down). The peer was not asked, so a second look has to find the
 *    same.
 *  - The window is closed: the kernel only probes, at intervals that double up to
 *    two minutes, and a peer that reads nothing answers. Quiet then means vanished
 *    only if a probe had to be answered, had the time, and was not. A peer limits
 *    such answers to one in RATELIMIT_MS, so a probe counts that left at least
 *    that long after the peer was last heard. When each left follows from the
 *    timer: the first rto after that, doubled backoff times, the next after twice
 *    as long.
 *  - Everything is acknowledged: the pages are in a driver. Not the peer's fault.
 *
 * A peer reads when it acknowledges, or when its window grows: one that opens less than
 * a segment is sent nothing until the kernel probes, which may take a minute.
 *
 * All of this is worked out from ages. When the whole machine was stopped for a while
 * (a suspended one, a virtual one) every age is too great at once, and the peers had no
 * chance. It shows in a look that comes much later than was asked for: such a look
 * condemns nobody. It is repeated after the time of an answer, and the second one counts.
 *
 * With idle_ms a connection that owes nothing is looked at as well, when nothing was
 * heard of the peer for that long: it may have vanished, and nobody would be told.
 */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>

#include "stream/peer.h"
#include "stream/stream.h"
#include "core/points.h"
#include "stream/socket.h"
#include "stream/watchdog.h"

/* The shortest time between two looks at the same quiet connection, and the time
 * between two while an answer to a probe is awaited. */
#define LOOK_LEAST_MS 10
#define LOOK_PROBED_MS 25

/* What a peer that is alive needs at least to answer, beside the way there and back,
 * and at most: a round trip that was measured longer is no measure of the path. */
#define ANSWER_MS 100
#define ANSWER_MOST_MS 10000

/* A look that comes so much later than was asked for has slept through something. */
#define LATE_NS (100 * ZCREQ_MS)

/* Linux answers segments that it cannot take once in net.ipv4.tcp_invalid_ratelimit. */
#define RATELIMIT_MS 500

/* The least interval of the probe timer (TCP_RTO_MIN). */
#define RTO_LEAST_MS 200

/* The stall limit for those who ask for a verdict where there is no watchdog. */
#define STALL_ASKED_MS 1000

const int8_t zcreq_look_table[ZCREQ_LOOK_DOUBTED + 1][ZCREQ_LOOK_EVENTS] = {
	[ZCREQ_LOOK_ASLEEP] = {
		[ZCREQ_LOOK_NOTHING] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_LOOK_SILENCE] = ZCREQ_LOOK_IDLE,
		[ZCREQ_LOOK_SOMETHING] = ZCREQ_LOOK_AWAKE,
		[ZCREQ_LOOK_DOUBT] = ZCREQ_IMPOSSIBLE,
	},
	[ZCREQ_LOOK_IDLE] = {
		[ZCREQ_LOOK_NOTHING] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_LOOK_SILENCE] = ZCREQ_LOOK_IDLE,
		[ZCREQ_LOOK_SOMETHING] = ZCREQ_LOOK_AWAKE,
		[ZCREQ_LOOK_DOUBT] = ZCREQ_LOOK_IDLE_DOUBTED,
	},
	[ZCREQ_LOOK_IDLE_DOUBTED] = {
		[ZCREQ_LOOK_NOTHING] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_LOOK_SILENCE] = ZCREQ_LOOK_IDLE,
		[ZCREQ_LOOK_SOMETHING] = ZCREQ_LOOK_AWAKE,
		[ZCREQ_LOOK_DOUBT] = ZCREQ_IMPOSSIBLE,
	},
	[ZCREQ_LOOK_AWAKE] = {
		[ZCREQ_LOOK_NOTHING] = ZCREQ_LOOK_ASLEEP,
		[ZCREQ_LOOK_SILENCE] = ZCREQ_LOOK_IDLE,
		[ZCREQ_LOOK_SOMETHING] = ZCREQ_LOOK_AWAKE,
		[ZCREQ_LOOK_DOUBT] = ZCREQ_LOOK_DOUBTED,
	},
	[ZCREQ_LOOK_DOUBTED] = {
		[ZCREQ_LOOK_NOTHING] = ZCREQ_LOOK_ASLEEP,
		[ZCREQ_LOOK_SILENCE] = ZCREQ_LOOK_IDLE,
		[ZCREQ_LOOK_SOMETHING] = ZCREQ_LOOK_AWAKE,
		[ZCREQ_LOOK_DOUBT] = ZCREQ_IMPOSSIBLE,
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
	uint64_t again_ms;  /* when to look again, if nothing happens */
	uint64_t quiet_ms;  /* since the peer was heard */
	uint64_t answer_ms; /* what it needs to answer */
	bool owed;          /* the kernel has something that the peer has not acknowledged */
	bool asked;         /* and some of it is on its way */
	bool open;          /* quiet for long enough, and the peer still has time to answer */
};

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* What a peer that is alive needs to answer on this path. */
static uint64_t answer_ms(const struct tcp_info *info)
{
	uint64_t spread_ms = 4 * (uint64_t)info->tcpi_rttvar / 1000;

	return least(info->tcpi_rtt / 1000 + most(spread_ms, ANSWER_MS), ANSWER_MOST_MS);
}

/* For how long does the peer owe an answer, at least? The kernel sent the oldest again after
 * each of its timeouts, of which the current one was doubled with each. */
static uint64_t unanswered_ms(const struct tcp_info *info)
{
	uint64_t rto_ms = info->tcpi_rto / 1000;

	return info->tcpi_last_data_sent + rto_ms - (rto_ms >> least(info->tcpi_retransmits, 31));
}

/* With its window open: until when has the peer time to answer, from now on? */
static uint64_t answer_wait_ms(const struct tcp_info *info)
{
	uint64_t sent_ms = info->tcpi_last_data_sent, need_ms = answer_ms(info);

	if (info->tcpi_retransmits >= 2)
		return 0;
	if (!info->tcpi_retransmits)
		need_ms += info->tcpi_rto / 1000;
	return sent_ms < need_ms ? need_ms - sent_ms : 0;
}

/*
 * With its window closed and data on the way retransmissions ask instead of probes. When
 * the last one left is known. Into a window of 0 nothing was sent but retransmissions, which
 * this kernel does not count. Of earlier ones only the current interval is known, and the
 * last but one left at most one and a half of it ago.
 */
static bool resent_in_vain(const struct tcp_info *info, uint64_t quiet_ms, uint64_t rto_ms)
{
	uint64_t sent_ms = info->tcpi_last_data_sent;

	if ((info->tcpi_retransmits || !info->tcpi_snd_wnd) && sent_ms >= answer_ms(info) &&
	    quiet_ms >= RATELIMIT_MS + sent_ms)
		return true;
	return quiet_ms >= RATELIMIT_MS + rto_ms + rto_ms / 2;
}

/* With its window closed: was the peer asked, so that it had to answer, and did it not? */
static bool asked_in_vain(const struct tcp_info *info, uint64_t quiet_ms)
{
	uint64_t rto_ms = most(info->tcpi_rto / 1000, RTO_LEAST_MS);
	unsigned probes = info->tcpi_probes, backoff = info->tcpi_backoff, shift;
	uint64_t left_ms = 0;

	if (info->tcpi_unacked)
		return resent_in_vain(info, quiet_ms, rto_ms);
	shift = backoff > probes ? (unsigned)least(backoff - probes, 16) : 0;
	for (unsigned probe = 0; probe < probes && left_ms < RATELIMIT_MS; probe++)
		left_ms += rto_ms << shift++;
	return left_ms >= RATELIMIT_MS && quiet_ms >= left_ms + answer_ms(info);
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

uint64_t zcreq_watchdog_quiet_ms(const struct tcp_info *info)
{
	return least(info->tcpi_last_ack_recv, info->tcpi_last_data_recv);
}

/* Did the peer acknowledge or make room since the look before? */
static bool reads(const struct zcreq_stream *stream, const struct tcp_info *info)
{
	return info->tcpi_bytes_acked != stream->acked_seen ||
	       info->tcpi_snd_wnd > stream->window_seen;
}

/* One look at a connection that made no progress. @read: did the peer read since the look
 * before? @owed_ms: for how long it owes an answer, as far as we know. */
static struct look judge(const struct tcp_info *info, bool tells_window, uint64_t stall_ms,
			 bool read, uint64_t owed_ms)
{
	const uint64_t quiet_ms = zcreq_watchdog_quiet_ms(info);
	const bool quiet = quiet_ms >= stall_ms, closed = window_closed(info, tells_window);
	struct look look = {
		.verdict = ZCREQ_STALL_CONGESTED,
		.again_ms = quiet ? stall_ms : stall_ms - quiet_ms,
		.quiet_ms = quiet_ms,
		.answer_ms = answer_ms(info),
		.owed = zcreq_peer_owes(info),
		.asked = closed || info->tcpi_unacked,
	};
	uint64_t wait_ms;

	if (!look.owed)
		return look;
	if (closed) {
		if (quiet && asked_in_vain(info, quiet_ms)) {
			look.verdict = ZCREQ_STALL_VANISHED;
			return look;
		}
		if (!read)
			look.verdict = ZCREQ_STALL_NOT_READING;
		if (quiet && (info->tcpi_probes || info->tcpi_unacked))
			look.again_ms = LOOK_PROBED_MS;
	} else if (quiet) {
		/* what it was silent before it was asked does not count */
		owed_ms = most(owed_ms, unanswered_ms(info));
		wait_ms = owed_ms < stall_ms ? stall_ms - owed_ms : 0;
		wait_ms = look.asked ? most(wait_ms, answer_wait_ms(info)) : 0;
		look.open = wait_ms > 0;
		if (look.open)
			look.again_ms = wait_ms;
		else
			look.verdict = ZCREQ_STALL_VANISHED;
	}
	return look;
}

/* Since Linux 5.4; an older kernel fills less of the struct. */
static bool knows_window(socklen_t len)
{
	return len >= offsetof(struct tcp_info, tcpi_snd_wnd) +
			      sizeof(((struct tcp_info *)NULL)->tcpi_snd_wnd);
}

static uint64_t age_ms(uint64_t since_ns, uint64_t now_ns)
{
	return (now_ns - since_ns) / ZCREQ_MS;
}

/*
 * For how long the peer owes an answer, at least. If it was not heard since it owes, since
 * then. Else what was accepted last is owed since that, and if it was heard later still, and
 * did not take all of it, since it was heard. That is a tick of the kernel's clock early or
 * late (10 ms at most), which decides for whoever is answered at once.
 */
static uint64_t owed_ms(const struct zcreq_stream *stream, const struct tcp_info *info,
			uint64_t now_ns)
{
	const uint64_t quiet_ms = zcreq_watchdog_quiet_ms(info);

	if (stream->owed_since_ns != ZCREQ_NEVER &&
	    quiet_ms >= age_ms(stream->owed_since_ns, now_ns))
		return age_ms(stream->owed_since_ns, now_ns);
	return least(quiet_ms, age_ms(stream->quiet_since_ns, now_ns));
}

/* The kernel tells when data were sent last, and the end of the stream is none, nor is it
 * when it is sent again: that is worked out. */
static void count_end(const struct zcreq_stream *stream, struct tcp_info *info, uint64_t now_ns)
{
	const uint64_t rto_ms = info->tcpi_rto / 1000;
	const uint64_t again_ms = rto_ms - (rto_ms >> least(info->tcpi_retransmits, 31));
	uint64_t sent_ms;

	if (stream->fin < ZCREQ_FIN_SENT)
		return;
	sent_ms = age_ms(stream->ended_ns, now_ns);
	sent_ms -= least(sent_ms, again_ms);
	info->tcpi_last_data_sent = (uint32_t)least(info->tcpi_last_data_sent, sent_ms);
}

enum zcreq_stall zcreq_watchdog_verdict(const struct zcreq_stream *stream,
					const struct tcp_info *info, socklen_t len,
					bool *window_closed_now)
{
	const uint64_t now_ns = stream->conn.context->now_ns;
	/* where nobody watches, nobody remembers what moved, as in zcreq_socket_verdict() */
	const bool watched = stream->stall_ms;
	struct tcp_info counted = *info;

	count_end(stream, &counted, now_ns);
	*window_closed_now = zcreq_peer_owes(info) && window_closed(info, knows_window(len));
	return judge(&counted, knows_window(len),
		     watched ? stream->stall_ms : STALL_ASKED_MS,
		     watched && reads(stream, info),
		     watched ? owed_ms(stream, info, now_ns) : 0).verdict;
}

/* The states in which a socket has no peer: 2 SYN_SENT, 3 SYN_RECV, 7 CLOSE, 10 LISTEN. */
static bool has_peer(uint8_t tcp_state)
{
	return !(1u << tcp_state & (1u << 2 | 1u << 3 | 1u << 7 | 1u << 10));
}

int zcreq_socket_verdict(int fd, uint32_t stall_ms)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);
	struct look look;
	int ret;

	if (!stall_ms)
		return -EINVAL;
	ret = zcreq_kernel_socket.getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len, NULL);
	if (ret)
		return ret;
	if (!has_peer(info.tcpi_state))
		return -ENOTCONN;
	look = judge(&info, knows_window(len), stall_ms, false, 0);
	/* slow is who has not answered for that long; nobody remembers what moved */
	if (look.verdict == ZCREQ_STALL_CONGESTED && (!look.owed || look.quiet_ms < stall_ms))
		return 0;
	return (int)look.verdict;
}

/* Asks the kernel; a socket that cannot be asked is in an error's hands already. */
static int take_look(struct zcreq_stream *stream, uint64_t now_ns, struct look *look)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);
	uint64_t owed;
	int ret;

	ret = stream->ops->getsockopt(stream->fd, IPPROTO_TCP, TCP_INFO, &info, &len,
				      stream->ops_arg);
	if (ret)
		return ret;
	count_end(stream, &info, now_ns);
	owed = owed_ms(stream, &info, now_ns);
	stream->owed_since_ns = now_ns - owed * ZCREQ_MS;
	*look = judge(&info, knows_window(len), stream->stall_ms, reads(stream, &info), owed);
	if (reads(stream, &info))
		stream->unread_since_ns = now_ns;
	stream->acked_seen = info.tcpi_bytes_acked;
	stream->window_seen = info.tcpi_snd_wnd;
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

/* This look is not believed: the next one is. */
static void doubt(struct zcreq_stream *stream, uint64_t again_ns)
{
	look_event(stream, ZCREQ_LOOK_DOUBT);
	stream->look_ns = again_ns;
}

/* Nothing is outstanding, and the peer owes nothing: is it still there? A request without
 * sends makes the peer wait for us, so it may be as silent as it likes. */
static void rest(struct zcreq_stream *stream, const struct look *look, bool late,
		 uint64_t now_ns)
{
	const uint64_t idle_ms = stream->idle_ms;
	const bool over = look->quiet_ms >= idle_ms && !stream->conn.request_count;
	const bool doubted = stream->look == ZCREQ_LOOK_IDLE_DOUBTED;

	if (!idle_ms) {
		look_event(stream, ZCREQ_LOOK_NOTHING);
		return;
	}
	if (over && (doubted || !late)) {
		zcreq_conn_end_with(&stream->conn, -ETIMEDOUT, ZCREQ_CAUSE_IDLE);
		return;
	}
	look_event(stream, ZCREQ_LOOK_SILENCE);
	stream->look_ns = now_ns + (look->quiet_ms < idle_ms ? idle_ms - look->quiet_ms
							      : idle_ms) * ZCREQ_MS;
	if (over)
		doubt(stream, stream->look_ns);
}

/* The peer answers and its window is closed: for too long? Else, when it will be. */
static bool unread_too_long(const struct zcreq_stream *stream, uint64_t now_ns,
			    uint64_t *over_ns)
{
	/* a proof comes with a whole record; what was read since shows here */
	*over_ns = most(stream->quiet_since_ns, stream->unread_since_ns) +
		   stream->not_reading_ms * ZCREQ_MS;
	return now_ns >= *over_ns;
}

/* It is time: looks, and aborts or says when to look again. */
static void examine(struct zcreq_stream *stream, uint64_t now_ns)
{
	const bool late = now_ns >= stream->look_ns + LATE_NS;
	const bool doubted = stream->look == ZCREQ_LOOK_DOUBTED;
	uint64_t unread_ns = ZCREQ_NEVER;
	struct look look;
	int ret = take_look(stream, now_ns, &look), status = 0;
	bool moved;

	if (ret) {
		zcreq_conn_end_with(&stream->conn, ret, zcreq_stream_cause(ret));
		return;
	}
	if (!look.owed && !zcreq_stream_outstanding(stream)) {
		rest(stream, &look, late, now_ns);
		return;
	}
	/* it was idle, but for bytes from before the stream was opened: now it is watched */
	if (stream->look < ZCREQ_LOOK_AWAKE) {
		look_event(stream, ZCREQ_LOOK_SOMETHING);
		stream->quiet_since_ns = now_ns;
	}
	/* something was accepted meanwhile: not stalled, and perhaps vanished all the same */
	moved = now_ns < stream->quiet_since_ns + stream->stall_ms * ZCREQ_MS;
	if (look.verdict == ZCREQ_STALL_VANISHED)
		status = -ETIMEDOUT;
	else if (look.verdict == ZCREQ_STALL_NOT_READING && stream->not_reading_ms &&
		 unread_too_long(stream, now_ns, &unread_ns))
		status = -ETIME;
	if (status && !doubted && (late || !look.asked)) {
		doubt(stream, now_ns + look.answer_ms * ZCREQ_MS);
		return;
	}
	if (status || (!moved && !look.open))
		tell(stream, look.verdict, (now_ns - stream->quiet_since_ns) / ZCREQ_MS);
	if (status) {
		zcreq_conn_end_with(&stream->conn, status,
				    status == -ETIME ? ZCREQ_CAUSE_NOT_READING
						     : ZCREQ_CAUSE_VANISHED);
		return;
	}
	look_event(stream, ZCREQ_LOOK_SOMETHING);
	stream->look_ns = least(now_ns + most(look.again_ms, LOOK_LEAST_MS) * ZCREQ_MS, unread_ns);
}

/*
 * What has happened since the last turn? A proof comes from the peer and begins a new
 * period. That the socket has taken something says nothing of the peer, which may be gone
 * for as long as there is room in the socket: the next look comes when it would have come.
 */
static void take_note(struct zcreq_stream *stream, uint64_t now_ns)
{
	const uint64_t copied = stream->conn.stats.copied_batches;
	/* not the ids that are done: a sender's copies are, at once, and are owed still */
	const uint64_t proved = stream->conn.stats.notifications;
	const bool moved = stream->progress != stream->progress_seen;
	const bool watched = stream->look >= ZCREQ_LOOK_AWAKE;

	if (!moved && (watched || !zcreq_stream_outstanding(stream)))
		return;
	if (proved != stream->proved_seen)
		stream->copied_seen = copied;
	/* room where there was none is the peer's doing as well */
	if (!watched || proved != stream->proved_seen || stream->owed_since_ns == ZCREQ_NEVER ||
	    stream->conn.stall == ZCREQ_STALL_NOT_READING) {
		look_event(stream, ZCREQ_LOOK_SOMETHING);
		stream->owed_since_ns = now_ns;
		stream->look_ns = now_ns + stream->stall_ms * ZCREQ_MS;
	}
	/* all that was sent is proven: what comes next begins a period of its own */
	if (!zcreq_stream_outstanding(stream) && !zcreq_fin_waits(stream) &&
	    copied == stream->copied_seen)
		stream->owed_since_ns = ZCREQ_NEVER;
	stream->progress_seen = stream->progress;
	stream->proved_seen = proved;
	stream->quiet_since_ns = now_ns;
	stream->conn.stall = 0;
}

uint64_t zcreq_watchdog_timers(struct zcreq_stream *stream, uint64_t now_ns)
{
	if (!stream->stall_ms)
		return ZCREQ_NEVER;
	take_note(stream, now_ns);
	if (stream->look == ZCREQ_LOOK_ASLEEP && stream->idle_ms) {
		look_event(stream, ZCREQ_LOOK_SILENCE);
		stream->look_ns = now_ns + stream->idle_ms * ZCREQ_MS;
	}
	if (stream->look != ZCREQ_LOOK_ASLEEP && now_ns >= stream->look_ns)
		examine(stream, now_ns);
	return stream->look == ZCREQ_LOOK_ASLEEP ? ZCREQ_NEVER : stream->look_ns;
}
