/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_plain.c - loops that take no library: poll, epoll, and one that never sleeps
 *
 * The last is as SPDK's: it polls its sockets itself, by zcreq_events() and
 * zcreq_process(), and turns. It never asks for the context's descriptor.
 */
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "loops/loop.h"
#include "real/real.h"

#define MS 1000000ull

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void nothing(struct loop *loop)
{
	(void)loop;
}

/* Its turn; false: it is done, or its time is over. */
static bool turn(struct loop *loop, uint64_t end_ns, int *timeout_ms)
{
	uint64_t now_ns = zcreq_now_ns(), deadline_ns;

	loop->expired = now_ns >= end_ns;
	if (loop->expired)
		return false;
	deadline_ns = zcreq_turn(loop->context, now_ns);
	*timeout_ms = zcreq_timeout_ms(earlier(deadline_ns, end_ns), now_ns);
	return !loop->done();
}

/* ---- poll(2) ---- */

static void poll_start(struct loop *loop)
{
	ck_assert_int_ge(zcreq_context_fd(loop->context), 0);
}

static void poll_run(struct loop *loop, int ms)
{
	uint64_t end_ns = zcreq_now_ns() + ms * MS;
	int timeout_ms;

	while (turn(loop, end_ns, &timeout_ms)) {
		struct pollfd fds[] = {
			{.fd = zcreq_context_fd(loop->context), .events = POLLIN},
			{.fd = loop->reads ? loop->read_fd : -1, .events = POLLIN},
		};

		poll(fds, 2, timeout_ms);
		if (fds[1].revents)
			loop->readable();
	}
}

static const struct loop_driver by_poll = {
	.name = "poll",
	.start = poll_start,
	.reading = nothing,
	.run = poll_run,
	.stop = nothing,
};

/* ---- epoll(7), by levels and by edges ---- */

static int epoll = -1;

static void epoll_add(int fd, uint32_t events)
{
	struct epoll_event entry = {.events = events, .data.fd = fd};

	ck_ok(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &entry));
}

static void level_start(struct loop *loop)
{
	epoll = epoll_create1(EPOLL_CLOEXEC);
	epoll_add(zcreq_context_fd(loop->context), EPOLLIN);
}

static void edge_start(struct loop *loop)
{
	epoll = epoll_create1(EPOLL_CLOEXEC);
	epoll_add(zcreq_context_fd(loop->context), EPOLLIN | EPOLLET);
}

static void epoll_reading(struct loop *loop)
{
	if (loop->reads)
		epoll_add(loop->read_fd, EPOLLIN);
	else
		ck_ok(epoll_ctl(epoll, EPOLL_CTL_DEL, loop->read_fd, NULL));
}

static void epoll_run(struct loop *loop, int ms)
{
	uint64_t end_ns = zcreq_now_ns() + ms * MS;
	int timeout_ms;

	while (turn(loop, end_ns, &timeout_ms)) {
		struct epoll_event events[2];
		int count = epoll_wait(epoll, events, 2, timeout_ms);

		for (int i = 0; i < count; i++)
			if (events[i].data.fd == loop->read_fd)
				loop->readable();
	}
}

static void epoll_stop(struct loop *loop)
{
	(void)loop;
	close(epoll);
}

static const struct loop_driver by_level = {
	.name = "epoll, levels",
	.start = level_start,
	.reading = epoll_reading,
	.run = epoll_run,
	.stop = epoll_stop,
};

static const struct loop_driver by_edge = {
	.name = "epoll, edges",
	.start = edge_start,
	.reading = epoll_reading,
	.run = epoll_run,
	.stop = epoll_stop,
};

/* ---- a poller that never sleeps ---- */

/* One round: what the sockets say is handed in, without waiting. */
static void ask_sockets(struct loop *loop)
{
	struct pollfd fds[LOOP_CONNS];

	for (unsigned i = 0; i < loop->conn_count; i++) {
		struct zcreq_conn *conn = loop->conns[i];
		short events = zcreq_events(conn);

		/* 0 is: not even for errors */
		fds[i] = (struct pollfd){
			.fd = events ? zcreq_stream_fd(conn) : -1, .events = events,
		};
	}
	if (poll(fds, loop->conn_count, 0) <= 0)
		return;
	for (unsigned i = 0; i < loop->conn_count; i++)
		if (fds[i].revents)
			ck_ok(zcreq_process(loop->conns[i], fds[i].revents));
}

static void poller_run(struct loop *loop, int ms)
{
	uint64_t before_ns = zcreq_now_ns(), end_ns = before_ns + ms * MS;
	int timeout_ms;

	while (turn(loop, end_ns, &timeout_ms)) {
		uint64_t now_ns = zcreq_now_ns();

		if (now_ns - before_ns > loop->away_ns)
			loop->away_ns = now_ns - before_ns;
		before_ns = now_ns;
		ask_sockets(loop);
		if (loop->reads)
			loop->readable();
		sched_yield();
	}
}

static const struct loop_driver by_asking = {
	.name = "a poller that never sleeps",
	.never_sleeps = true,
	.start = nothing,
	.reading = nothing,
	.run = poller_run,
	.stop = nothing,
};

int main(void)
{
	static const struct loop_driver *const drivers[] = {
		&by_poll, &by_level, &by_edge, &by_asking, NULL,
	};

	return real_run(loop_suite("plain loops", drivers), NULL);
}
