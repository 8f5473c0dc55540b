/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conn.c - the life of a connection: accepted, read from, ended
 *
 * Owns: every transition of conn.phase, and the lines that tell of them.
 * Never: parses (receive.c) or closes the descriptor: that is zcreq's.
 *
 * All ends meet in two hooks. abort: nothing is read any more, what zcreq does not
 * know of is freed, and a host that has vanished takes its controller along.
 * closed: every request is released, so the rest can go.
 */
#include "conn.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ctrl.h"
#include "subsystem.h"

#define TERMINATE_S 2.   /* for the host to close after a TermReq */
#define AHEAD_BYTES 1024 /* several commands, or none and little data */
#define CALLS_IN_TURN 8  /* to read, before others have theirs */

static void stop_reading(struct conn *conn)
{
	ev_io_stop(conn->target->loop, &conn->readable);
	ev_timer_stop(conn->target->loop, &conn->deadline);
	free(conn->stash);
	conn->stash = NULL;
	conn->stash_len = 0;
}

/* The first end counts. False: it was ending already. */
static bool begin_end(struct conn *conn, int status)
{
	if (conn->phase == CONN_ENDING)
		return false;
	conn->phase = CONN_ENDING;
	conn->end_status = status;
	conn->end_ns = zcreq_now_ns();
	conn->sending_at_end = conn->sending;
	conn->sending_bytes_at_end = conn->sending_bytes;
	stop_reading(conn);
	return true;
}

void conn_abort(struct conn *conn, int status)
{
	begin_end(conn, status);
	/* -EALREADY is what is wanted; a drain becomes an abort */
	zcreq_conn_abort(conn->stream, status);
}

void conn_drain(struct conn *conn, uint32_t within_ms)
{
	if (!begin_end(conn, 0))
		return;
	tasks_drop(conn);
	if (zcreq_conn_drain(conn->stream, within_ms) < 0)
		zcreq_conn_abort(conn->stream, -ECANCELED);
}

/* A host that closes with an answer unread ends in a reset, and so does one that
 * is killed. With nothing on its way to it there is no difference to a close. */
static bool is_goodbye(const struct conn *conn, int status)
{
	return (status == -EPIPE || status == -ECONNRESET) && !conn->sending_at_end;
}

static void on_abort(struct zcreq_conn *stream, int status, void *arg)
{
	struct conn *conn = arg;
	bool vanished = status == -ETIMEDOUT || status == -ETIME;

	(void)stream;
	begin_end(conn, status);
	conn->end_status = is_goodbye(conn, status) ? 0 : status;
	tasks_drop(conn);
	if (conn->ctrl && (vanished || conn->qid == 0))
		ctrl_end(conn->ctrl, conn->target, conn->end_status);
}

static void tell_end(const struct conn *conn)
{
	unsigned cntlid = conn->ctrl ? conn->ctrl->cntlid : 0;
	uint64_t now = zcreq_now_ns();

	if (conn->end_status == 0) {
		say("disconnect %s ctrl=%u qid=%u commands=%" PRIu64 " released=%" PRIu64
		    " read_bytes=%" PRIu64 " written_bytes=%" PRIu64 " up_ms=%" PRIu64,
		    conn->peer, cntlid, conn->qid, conn->commands, conn->released, conn->read_bytes,
		    conn->written_bytes, (now - conn->started_ns) / 1000000);
		return;
	}
	say("abort %s ctrl=%u qid=%u reason=\"%s\" outstanding=%u outstanding_bytes=%" PRIu64
	    " released=%u release_ms=%.3f commands=%" PRIu64,
	    conn->peer, cntlid, conn->qid, strerror(-conn->end_status), conn->sending_at_end,
	    conn->sending_bytes_at_end, conn->sending_at_end - conn->sending,
	    (double)(now - conn->end_ns) / 1e6, conn->commands);
}

/* The thread's oldest that has not said which queue it is gives its place to a new one, so that
 * silence keeps no host out: where there is none, the next thread is asked (subsystem.c). Its end
 * is on its way when this returns. */
static bool evict(struct target *target)
{
	struct conn *conn;

	TAILQ_FOREACH(conn, &target->conns, in_target) {
		if (conn->ctrl || conn->phase == CONN_ENDING)
			continue;
		conn_abort(conn, -ECONNABORTED);
		return true;
	}
	return false;
}

/* All threads together have a limit. */
static bool take_room(struct target *target)
{
	unsigned *all = &target->subsystem->conn_count;

	if (__atomic_fetch_add(all, 1, __ATOMIC_RELAXED) < target->options.connections_max ||
	    evict(target))
		return true;
	__atomic_fetch_sub(all, 1, __ATOMIC_RELAXED);
	return false;
}

static void leave_room(struct target *target)
{
	__atomic_fetch_sub(&target->subsystem->conn_count, 1, __ATOMIC_RELAXED);
}

static void conn_free(struct conn *conn)
{
	TAILQ_REMOVE(&conn->target->conns, conn, in_target);
	conn->target->conn_count--;
	leave_room(conn->target);
	free(conn->tags);
	free(conn);
}

static void on_closed(struct zcreq_conn *stream, int status, void *arg)
{
	struct conn *conn = arg;
	struct target *target = conn->target;

	(void)status;
	begin_end(conn, 0);
	tasks_drop(conn);
	tell_end(conn);
	/* which aborts all its queues, this one too */
	if (conn->ctrl)
		ctrl_detach(conn->ctrl, conn);
	zcreq_conn_free(stream);
	conn_free(conn);
	target_check_done(target);
}

static void on_room(struct zcreq_conn *stream, void *arg)
{
	(void)stream;
	tasks_unblock(arg);
}

static void on_stalled(struct zcreq_conn *stream, enum zcreq_stall verdict, void *arg)
{
	const struct conn *conn = arg;

	(void)stream;
	say("stalled %s qid=%u verdict=%s outstanding=%u outstanding_bytes=%" PRIu64, conn->peer,
	    conn->qid,
	    verdict == ZCREQ_STALL_VANISHED ? "vanished"
	    : verdict == ZCREQ_STALL_NOT_READING ? "not-reading" : "congested",
	    conn->sending, conn->sending_bytes);
}

static const struct zcreq_conn_hooks hooks = {
	.abort = on_abort,
	.closed = on_closed,
	.room = on_room,
	.stalled = on_stalled,
};

void conn_terminate(struct conn *conn, uint16_t fes, uint32_t fei, const void *wrong,
		    size_t wrong_len)
{
	uint8_t bytes[PDU_TERM_MAX];
	size_t len = pdu_put_term(bytes, fes, fei, wrong, wrong_len);

	say("protocol %s qid=%u fes=%u fei=%" PRIu32, conn->peer, conn->qid, fes, fei);
	tasks_drop(conn);
	if (zcreq_write(conn->stream, bytes, len) < 0) {
		conn_abort(conn, -EPROTO);
		return;
	}
	conn->phase = CONN_TERMINATING;
	conn->deadline.repeat = TERMINATE_S;
	ev_timer_again(conn->target->loop, &conn->deadline);
}

/* Either the host did not say who it is, or it does not close. */
static void on_deadline(struct ev_loop *loop, ev_timer *watcher, int revents)
{
	struct conn *conn = watcher->data;

	(void)revents;
	ev_timer_stop(loop, watcher);
	if (conn->phase == CONN_TERMINATING)
		conn_abort(conn, -EPROTO);
	else if (!conn->ctrl)
		conn_abort(conn, -ECONNABORTED);
}

/* The host closed. What is on its way to it can only meet a reset. */
static void host_closed(struct conn *conn)
{
	if (conn->sending)
		conn_abort(conn, -ECONNRESET);
	else
		conn_drain(conn, conn->target->options.drain_ms);
}

static void keep_rest(struct conn *conn, const uint8_t *bytes, size_t len)
{
	uint8_t *stash = NULL;

	if (len && conn->phase != CONN_ENDING) {
		stash = malloc(len);
		if (!stash) {
			conn_abort(conn, -ENOMEM);
			return;
		}
		memcpy(stash, bytes, len);
		conn->stash_len = len;
	}
	conn->stash = stash;
}

/* What was left when an answer found no room comes before anything new. */
static void receive_stash(struct conn *conn)
{
	uint8_t *stash = conn->stash;
	size_t len = conn->stash_len, used;

	conn->stash = NULL;
	conn->stash_len = 0;
	used = conn_receive(conn, stash, len);
	keep_rest(conn, stash + used, len - used);
	free(stash);
}

/*
 * Data goes to where it belongs, and what comes behind it into the thread's buffer. While large
 * data is expected little is read ahead, so that little of it has to be copied. True: there may
 * be more.
 */
static bool receive_new(struct conn *conn)
{
	size_t ahead = conn->asked_large ? AHEAD_BYTES : RECEIVE_BYTES, len, placed, used;
	uint8_t *received = conn->target->received;
	struct iovec iov[PLACE_PIECES + 1];
	unsigned count = conn_place(conn, iov);
	ssize_t ret;

	iov[count] = (struct iovec){ received, ahead };
	ret = readv(conn->readable.fd, iov, (int)count + 1);
	if (ret < 0) {
		if (errno != EAGAIN && errno != EINTR)
			conn_abort(conn, -errno);
		return false;
	}
	if (ret == 0) {
		host_closed(conn);
		return false;
	}
	placed = conn_placed(conn, iov, count, (size_t)ret);
	len = (size_t)ret - placed;
	used = conn_receive(conn, received, len);
	keep_rest(conn, received + used, len - used);
	return len == ahead;
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int revents)
{
	struct conn *conn = watcher->data;
	unsigned calls = 0;

	(void)revents;
	if (conn->stash)
		receive_stash(conn);
	else
		while (receive_new(conn) && ++calls < CALLS_IN_TURN && !conn->stash &&
		       conn_may_receive(conn))
			;
	if (conn->phase == CONN_UP && !conn_may_receive(conn))
		ev_io_stop(loop, watcher);
}

void conn_read_on(struct conn *conn)
{
	if (conn->phase != CONN_UP || !conn_may_receive(conn) || ev_is_active(&conn->readable))
		return;
	ev_io_start(conn->target->loop, &conn->readable);
	if (conn->stash)
		ev_feed_event(conn->target->loop, &conn->readable, EV_READ);
}

/*
 * Probing an idle host is for those without a keep-alive timer of their own.
 *
 * The send buffer is the kernel's to choose unless it was told. scripts/bench buffers, us
 * of the serving core for a read over loopback, depth 32, medians of 15 rounds in turn:
 *
 *	              kernel  64 KiB  128 KiB  256 KiB  512 KiB  1 MiB
 *	  4 KiB read     1.53    1.49     1.52     1.52     1.51   1.49
 *	128 KiB read     37.7    47.9     29.6     31.9     43.0   41.5
 *
 * A buffer that stays in the cache is a fifth cheaper for large reads, but a connection
 * can have no more than it under way, which a long or fast network would not forgive.
 */
static void set_socket(int fd, int send_buffer)
{
	int one = 1, idle_s = 30, interval_s = 10, probes = 3;

	if (send_buffer)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof(send_buffer));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

static int open_stream(struct conn *conn, int fd)
{
	const struct options *options = &conn->target->options;
	struct zcreq_stream_options stream = {
		.size = sizeof(stream),
		.fd = fd,
		.hooks = &hooks,
		.arg = conn,
		.mode = options->mode,
		.threshold_bytes = options->threshold_bytes,
		.limit_bytes = options->cap_bytes,
		.stall_ms = options->stall_ms,
		.not_reading_ms = options->not_reading_ms,
		.linger_ms = options->linger_ms,
		.detach_ms = options->detach_ms,
	};
	int err;

	set_socket(fd, (int)options->send_buffer);
	err = sender_open(conn->target->sender, conn->target->context, &stream, &conn->stream);
	if (err < 0) {
		close(fd);
	}
	return err;
}

static struct conn *conn_new(struct target *target)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	if (!conn)
		return NULL;
	conn->tags = calloc(target->options.queue_size, sizeof(*conn->tags));
	if (!conn->tags) {
		free(conn);
		return NULL;
	}
	conn->target = target;
	conn->phase = CONN_NEW;
	conn->queue_size = 1; /* one command, Connect, until that says more */
	conn->started_ns = zcreq_now_ns();
	pdu_reader_init(&conn->reader);
	TAILQ_INIT(&conn->tasks);
	TAILQ_INIT(&conn->ready);
	TAILQ_INIT(&conn->held);
	TAILQ_INIT(&conn->wanting);
	TAILQ_INIT(&conn->blocked);
	return conn;
}

bool conn_accept(struct target *target, int fd, const struct sockaddr_storage *peer)
{
	struct conn *conn;

	if (!take_room(target))
		return false;
	conn = conn_new(target);
	if (!conn) {
		leave_room(target);
		close(fd);
		return true;
	}
	address_format(peer, conn->peer);
	if (open_stream(conn, fd) < 0) {
		leave_room(target);
		free(conn->tags);
		free(conn);
		return true;
	}
	TAILQ_INSERT_TAIL(&target->conns, conn, in_target);
	target->conn_count++;
	ev_io_init(&conn->readable, on_readable, fd, EV_READ);
	ev_timer_init(&conn->deadline, on_deadline,
		      target->options.handshake_ms / 1e3, 0.);
	conn->readable.data = conn->deadline.data = conn;
	ev_io_start(target->loop, &conn->readable);
	ev_timer_start(target->loop, &conn->deadline);
	return true;
}
