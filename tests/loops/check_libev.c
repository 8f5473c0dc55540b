/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_libev.c - libev, by libzcreq-ev and by hand; and the lines that zcreq/ev.h prints
 */
#include "loops/loop.h"

#ifdef HAVE_LIBEV
#include <errno.h>
#include <ev.h>
#include <sys/socket.h>
#include <unistd.h>

#include <zcreq/ev.h>

#include "loops/deaf.h"
#include "loops/late.h"
#include "loops/printed_ev.h"
#include "real/real.h"

static struct ev_loop *events;
static struct zcreq_ev *tied;
static ev_io other, ready;
static ev_timer limit, timer;
static ev_prepare before_sleep, after_turn;

static void on_other(struct ev_loop *l, ev_io *watcher, int revents)
{
	struct loop *loop = watcher->data;

	(void)l;
	(void)revents;
	loop->readable();
}

static void on_limit(struct ev_loop *l, ev_timer *watcher, int revents)
{
	struct loop *loop = watcher->data;

	(void)revents;
	loop->expired = true;
	ev_break(l, EVBREAK_ALL);
}

/* Comes after the turn, which is in another watcher of the same kind. */
static void look(struct ev_loop *l, ev_prepare *watcher, int revents)
{
	struct loop *loop = watcher->data;

	(void)revents;
	if (!loop->expired && loop->done())
		ev_break(l, EVBREAK_ALL);
}

static void begin(struct loop *loop)
{
	events = ev_loop_new(EVFLAG_AUTO);
	ck_assert_ptr_nonnull(events);
	ev_prepare_init(&after_turn, look);
	ev_set_priority(&after_turn, EV_MINPRI);
	after_turn.data = loop;
	ev_prepare_start(events, &after_turn);
	ev_io_init(&other, on_other, loop->read_fd, EV_READ);
	other.data = loop;
}

static void start(struct loop *loop)
{
	begin(loop);
	ck_ok(zcreq_ev_new(events, loop->context, &tied));
}

static void reading(struct loop *loop)
{
	if (loop->reads)
		ev_io_start(events, &other);
	else
		ev_io_stop(events, &other);
}

static void run(struct loop *loop, int ms)
{
	loop->expired = false;
	ev_timer_init(&limit, on_limit, ms / 1e3, 0.);
	limit.data = loop;
	ev_now_update(events);
	ev_timer_start(events, &limit);
	ev_run(events, 0);
	ev_timer_stop(events, &limit);
}

static void end(struct loop *loop)
{
	loop->reads = false;
	reading(loop);
	ev_prepare_stop(events, &after_turn);
	ev_loop_destroy(events);
}

static void stop(struct loop *loop)
{
	zcreq_ev_free(tied);
	end(loop);
}

static const struct loop_driver by_library = {
	.name = "libzcreq-ev",
	.start = start,
	.reading = reading,
	.run = run,
	.stop = stop,
};

/* ---- by hand ---- */

static void nothing_io(struct ev_loop *l, ev_io *watcher, int revents)
{
	(void)l;
	(void)watcher;
	(void)revents;
}

static void nothing_timer(struct ev_loop *l, ev_timer *watcher, int revents)
{
	(void)l;
	(void)watcher;
	(void)revents;
}

static void turn(struct ev_loop *l, ev_prepare *watcher, int revents)
{
	struct loop *loop = watcher->data;
	uint64_t now_ns = zcreq_now_ns(), deadline_ns;

	(void)revents;
	if (loop->expired)
		return;
	deadline_ns = zcreq_turn(loop->context, now_ns);
	ev_timer_stop(l, &timer);
	if (deadline_ns == ZCREQ_NEVER)
		return;
	ev_now_update(l);
	ev_timer_set(&timer, zcreq_timeout_ms(deadline_ns, now_ns) / 1e3, 0.);
	ev_timer_start(l, &timer);
}

static void hand_start(struct loop *loop)
{
	begin(loop);
	ev_io_init(&ready, nothing_io, zcreq_context_fd(loop->context), EV_READ);
	ev_io_start(events, &ready);
	ev_prepare_init(&before_sleep, turn);
	before_sleep.data = loop;
	ev_prepare_start(events, &before_sleep);
	ev_timer_init(&timer, nothing_timer, 0., 0.);
}

static void hand_stop(struct loop *loop)
{
	ev_io_stop(events, &ready);
	ev_timer_stop(events, &timer);
	ev_prepare_stop(events, &before_sleep);
	end(loop);
}

static const struct loop_driver by_hand = {
	.name = "libev, by hand",
	.start = hand_start,
	.reading = reading,
	.run = run,
	.stop = hand_stop,
};

/* ---- as the header prints it ---- */

struct zcreq_ev *ev;

static char answer[1 << 20];
static int far, answers, status_of_all, status_of_end;

static void released(zcreq_id id, int status, void *arg)
{
	(void)id;
	(void)arg;
	answers++;
	status_of_all = status;
}

static const struct zcreq_request_hooks request_hooks = {.released = released};

/* The request of the peer has come: it gets its answer, and the end. */
static void readable(struct zcreq_conn *conn, void *arg)
{
	struct iovec iov = {answer, sizeof(answer)};
	char request[8];

	(void)arg;
	if (recv(zcreq_stream_fd(conn), request, sizeof(request), MSG_DONTWAIT) <= 0)
		return;
	ck_ok(zcreq_send(conn, &request_hooks, NULL, &iov, 1, 0, NULL));
	ck_ok(zcreq_conn_drain(conn, 0));
}

static void closed(struct zcreq_conn *conn, int status, void *arg)
{
	(void)arg;
	status_of_end = status;
	zcreq_conn_free(conn);
	zcreq_ev_free(ev);
}

static const struct zcreq_conn_hooks conn_hooks = {.readable = readable, .closed = closed};

static void drink(struct ev_loop *l, ev_io *watcher, int revents)
{
	static char sink[65536];

	(void)revents;
	if (recv(watcher->fd, sink, sizeof(sink), MSG_DONTWAIT) == 0)
		ev_io_stop(l, watcher);
}

/* @_i: served; and the peer vanishes with its question. All wake-ups come late. */
START_TEST(the_lines_in_the_header_serve_and_find_a_vanished_host)
{
	struct zcreq_stream_options options = {
		.size = sizeof(options), .hooks = &conn_hooks, .stall_ms = 500,
	};
	struct zcreq_context *context;
	ev_io peer;

	events = ev_loop_new(EVFLAG_AUTO);
	ck_ok(zcreq_context_new(NULL, &context));
	deaf_pair(&options.fd, &far);
	ck_assert_int_eq(send(far, "answer", 6, 0), 6);
	ev_io_init(&peer, drink, far, EV_READ);
	if (_i)
		deaf_make(far);
	else
		ev_io_start(events, &peer);
	late.by_ms = 15;
	printed_ev(events, context, options, NULL);
	late.by_ms = 0;
	ck_assert_int_eq(answers, 1);
	ck_assert_int_eq(status_of_all, _i ? -ETIMEDOUT : 0);
	ck_assert_int_eq(status_of_end, _i ? -ETIMEDOUT : 0);
	ck_ok(zcreq_context_free(context));
	ev_loop_destroy(events);
	close(far);
}
END_TEST

int main(void)
{
	static const struct loop_driver *const drivers[] = {&by_library, &by_hand, NULL};
	Suite *suite = loop_suite("libev", drivers);
	TCase *group = tcase_create("printed");

	tcase_set_timeout(group, 20);
	tcase_add_loop_test(group, the_lines_in_the_header_serve_and_find_a_vanished_host, 0, 2);
	suite_add_tcase(suite, group);
	return real_run(suite, NULL);
}
#else
int main(void)
{
	return loop_missing("libev", "libev-dev");
}
#endif
