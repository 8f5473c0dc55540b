/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * senders_ring.c - SEND_ZC by hand, and the library through a ring
 *
 * By hand: one submission under way, as many notifications awaited as there are
 * buffers, and one system call that submits and waits.
 */
#include "senders.h"

#include <liburing.h>
#include <poll.h>
#include <unistd.h>

#include <zcreq/uring.h>
#include <zcreq/zcreq.h>

/* Reads what has completed: buffers that came back, and the result if there is one. */
static unsigned reap_by_hand(struct io_uring *ring, int *result)
{
	struct io_uring_cqe *cqe;
	unsigned back = 0;

	while (io_uring_peek_cqe(ring, &cqe) == 0) {
		if (cqe->flags & IORING_CQE_F_NOTIF) {
			back++;
		} else {
			*result = cqe->res;
			back += !(cqe->flags & IORING_CQE_F_MORE);
		}
		io_uring_cqe_seen(ring, cqe);
	}
	return back;
}

uint64_t run_ring_by_hand(int fd, size_t size, uint64_t end_ns)
{
	unsigned n = 0, inflight = 0;
	int under_way = 0;
	struct io_uring ring;
	uint64_t bytes = 0;
	size_t at = 0;

	if (io_uring_queue_init(256, &ring, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG))
		die("raw: io_uring");
	while (n % 16 || inflight || zcreq_now_ns() < end_ns) {
		int result = -1;

		if (!under_way && inflight < WINDOW && (n % 16 || zcreq_now_ns() < end_ns)) {
			io_uring_prep_send_zc(io_uring_get_sqe(&ring), fd,
					      buffers + (n % WINDOW) * size + at, size - at,
					      MSG_NOSIGNAL, 0);
			inflight++;
			under_way = 1;
		}
		check(io_uring_submit_and_wait(&ring, 1));
		inflight -= reap_by_hand(&ring, &result);
		if (result < 0)
			continue;
		under_way = 0;
		bytes += (size_t)result;
		at += (size_t)result;
		if (at == size) {
			at = 0;
			n++;
		}
	}
	io_uring_queue_exit(&ring);
	return bytes;
}

static unsigned requests_inflight;

static void released(zcreq_id id, int status, void *arg)
{
	(void)id;
	(void)arg;
	check(status);
	requests_inflight--;
}

static const struct zcreq_request_hooks ops = {.released = released};

static void top_up(struct zcreq_conn *conn, size_t size)
{
	static unsigned n;

	while (requests_inflight < WINDOW) {
		struct iovec iov = {buffers + (n++ % WINDOW) * size, size};

		check(zcreq_send(conn, &ops, NULL, &iov, 1, 0, NULL));
		requests_inflight++;
	}
}

static void wait_until(struct zcreq_context *context, uint64_t deadline_ns)
{
	struct pollfd fd = {zcreq_context_fd(context), POLLIN, 0};

	poll(&fd, 1, zcreq_timeout_ms(deadline_ns, zcreq_now_ns()));
}

uint64_t run_uring(int fd, size_t size, uint64_t end_ns)
{
	struct zcreq_stream_options o = {
		.size = sizeof(o), .fd = dup(fd), .mode = ZCREQ_MODE_ALWAYS,
	};
	struct zcreq_context *context;
	struct zcreq_uring *uring;
	struct zcreq_conn *conn;
	struct zcreq_stats stats;
	uint64_t deadline_ns;

	check(zcreq_context_new(NULL, &context));
	check(zcreq_uring_new(context, NULL, &uring));
	check(zcreq_uring_stream_open(uring, context, &o, &conn));
	while (zcreq_now_ns() < end_ns) {
		top_up(conn, size);
		deadline_ns = zcreq_turn(context, zcreq_now_ns());
		if (requests_inflight == WINDOW)
			wait_until(context, deadline_ns);
	}
	check(zcreq_conn_drain(conn, 0));
	deadline_ns = zcreq_turn(context, zcreq_now_ns());
	while (zcreq_conn_state(conn) != ZCREQ_CONN_CLOSED) {
		wait_until(context, deadline_ns);
		deadline_ns = zcreq_turn(context, zcreq_now_ns());
	}
	zcreq_conn_free(conn);
	check(zcreq_context_stats(context, &stats, sizeof(stats)));
	while (zcreq_uring_free(uring))
		zcreq_turn(context, zcreq_now_ns());
	while (zcreq_context_free(context))
		zcreq_turn(context, zcreq_now_ns());
	return stats.sent_bytes;
}
