/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_ev.c - a context in a libev loop: turns, sleeps and ends
 */
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <zcreq/ev.h>
#include <zcreq/zcreq.h>

#include "suite.h"

#define BIG ((size_t)8 << 20)

static struct ev_loop *loop;
static struct zcreq_context *context;
static struct zcreq_ev *ev;
static unsigned turns; /* how often the loop went to sleep */
static ev_prepare counter;

/* One connection with a peer, and what was heard of it. */
struct end {
	struct zcreq_conn *conn;
	struct zcreq_ev_conn *tie;
	int peer;
	unsigned released, aborted, closed;
	int status;
	void (*on_released)(struct end *end);
};

static struct end ends[3];
static char memory[BIG];

static void count(struct ev_loop *l, ev_prepare *watcher, int revents)
{
	(void)l;
	(void)watcher;
	(void)revents;
	turns++;
}

static void stop(struct ev_loop *l, ev_timer *watcher, int revents)
{
	(void)watcher;
	(void)revents;
	ev_break(l, EVBREAK_ALL);
}

static void nothing(struct ev_loop *l, ev_timer *watcher, int revents)
{
	(void)l;
	(void)watcher;
	(void)revents;
}

/* Runs until nothing is left in the loop, or so many milliseconds. False: time out. */
static bool run_for(double ms)
{
	ev_timer limit;

	ev_timer_init(&limit, stop, ms / 1e3, 0.);
	ev_now_update(loop);
	ev_timer_start(loop, &limit);
	ev_unref(loop);
	ev_run(loop, 0);
	if (!ev_is_active(&limit)) {
		ev_ref(loop);
		return false;
	}
	ev_ref(loop);
	ev_timer_stop(loop, &limit);
	return true;
}

static void released(zcreq_id id, int status, void *arg)
{
	struct end *end = arg;

	(void)id;
	(void)status;
	end->released++;
	if (end->on_released)
		end->on_released(end);
}

static const struct zcreq_ops ops = { .released = released };

static void on_abort(struct zcreq_conn *conn, int status, void *arg)
{
	struct end *end = arg;

	(void)conn;
	end->aborted++;
	end->status = status;
}

static void on_closed(struct zcreq_conn *conn, int status, void *arg)
{
	struct end *end = arg;

	end->closed++;
	end->status = status;
	zcreq_ev_conn_free(end->tie);
	end->tie = NULL;
	zcreq_conn_free(conn);
}

static const struct zcreq_conn_hooks hooks = { .abort = on_abort, .closed = on_closed };

static void pair(int fd[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	fd[0] = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert(!bind(listener, (struct sockaddr *)&address, len) && !listen(listener, 1));
	ck_assert(!getsockname(listener, (struct sockaddr *)&address, &len));
	ck_assert(!connect(fd[0], (struct sockaddr *)&address, len));
	fd[1] = accept(listener, NULL, NULL);
	ck_assert_int_ge(fd[1], 0);
	close(listener);
}

static void open_end(struct end *end)
{
	struct zcreq_stream_options options = { .size = sizeof(options), .hooks = &hooks,
						.arg = end };
	int fd[2];

	pair(fd);
	memset(end, 0, sizeof(*end));
	options.fd = fd[0];
	end->peer = fd[1];
	ck_assert_int_eq(zcreq_stream_open(context, &options, &end->conn), 0);
	ck_assert_int_eq(zcreq_ev_conn_new(ev, end->conn, &end->tie), 0);
}

static void send_from(struct end *end, size_t len)
{
	struct iovec iov = { memory, len };
	zcreq_id id;

	ck_assert_int_eq(zcreq_begin(end->conn, &ops, end, &id), 0);
	ck_assert_int_eq(zcreq_send(end->conn, id, &iov, 1, 0), 0);
	ck_assert_int_eq(zcreq_finish(context, id, 0), 0);
}

static void reset_peer(struct end *end)
{
	struct linger linger = { 1, 0 };

	ck_assert(!setsockopt(end->peer, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	close(end->peer);
	end->peer = -1;
}

/* Reads on the other side, in the same loop. */
static void drink(struct ev_loop *l, ev_io *watcher, int revents)
{
	static char sink[1 << 18];
	ssize_t len = recv(watcher->fd, sink, sizeof(sink), MSG_DONTWAIT);

	(void)revents;
	if (len == 0 || (len < 0 && errno != EAGAIN))
		ev_io_stop(l, watcher);
}

static void setup(void)
{
	loop = ev_loop_new(EVFLAG_AUTO);
	ck_assert_ptr_nonnull(loop);
	ck_assert_int_eq(zcreq_context_new(NULL, &context), 0);
	ck_assert_int_eq(zcreq_ev_new(loop, context, &ev), 0);
	ev_prepare_init(&counter, count);
	ev_prepare_start(loop, &counter);
	ev_unref(loop);
	turns = 0;
}

static void teardown(void)
{
	zcreq_ev_free(ev);
	ck_assert_int_eq(zcreq_context_free(context), 0);
	ev_ref(loop);
	ev_prepare_stop(loop, &counter);
	ev_loop_destroy(loop);
}

START_TEST(loop_without_connections_ends_by_itself)
{
	ck_assert(run_for(1000));
}
END_TEST

START_TEST(sends_go_out_without_a_flush_and_drain_ends_the_loop)
{
	ev_io reader;

	open_end(&ends[0]);
	ev_io_init(&reader, drink, ends[0].peer, EV_READ);
	ev_io_start(loop, &reader);
	send_from(&ends[0], BIG);
	send_from(&ends[0], 100);
	ck_assert_int_eq(zcreq_conn_drain(ends[0].conn, ZCREQ_NEVER), 0);
	ck_assert(run_for(5000));
	ck_assert_uint_eq(ends[0].released, 2);
	ck_assert_uint_eq(ends[0].closed, 1);
	ck_assert_int_eq(ends[0].status, 0);
	close(ends[0].peer);
}
END_TEST

START_TEST(idle_connection_sleeps)
{
	open_end(&ends[0]);
	ck_assert(!run_for(300));
	ck_assert_uint_le(turns, 3);
	zcreq_conn_abort(ends[0].conn, -ECANCELED);
	ck_assert(run_for(1000));
	close(ends[0].peer);
}
END_TEST

/* What an ev_io with EV_READ would spin on. */
START_TEST(unread_data_does_not_spin)
{
	open_end(&ends[0]);
	ck_assert_int_eq(send(ends[0].peer, "unread", 6, 0), 6);
	ck_assert(!run_for(300));
	ck_assert_uint_le(turns, 3);
	zcreq_conn_abort(ends[0].conn, -ECANCELED);
	ck_assert(run_for(1000));
	close(ends[0].peer);
}
END_TEST

START_TEST(peer_that_does_not_read_does_not_spin)
{
	open_end(&ends[0]);
	send_from(&ends[0], BIG);
	ck_assert(!run_for(300));
	ck_assert_uint_le(turns, 20);
	zcreq_conn_abort(ends[0].conn, -ECANCELED);
	ck_assert(run_for(1000));
	ck_assert_uint_eq(ends[0].released, 1);
	close(ends[0].peer);
}
END_TEST

START_TEST(reset_ends_without_spinning)
{
	open_end(&ends[0]);
	send_from(&ends[0], BIG);
	ck_assert(!run_for(50));
	turns = 0;
	reset_peer(&ends[0]);
	ck_assert(run_for(2000));
	ck_assert_uint_eq(ends[0].released, 1);
	ck_assert_uint_eq(ends[0].aborted, 1);
	ck_assert_uint_eq(ends[0].closed, 1);
	ck_assert_int_lt(ends[0].status, 0);
	ck_assert_uint_le(turns, 20);
}
END_TEST

/* A request that its owner has not finished keeps the aborted connection, whose
 * descriptor now reports POLLHUP without end. */
START_TEST(aborted_but_not_closed_does_not_spin)
{
	struct zcreq_stats stats;
	zcreq_id id;

	open_end(&ends[0]);
	ck_assert_int_eq(zcreq_begin(ends[0].conn, &ops, &ends[0], &id), 0);
	reset_peer(&ends[0]);
	ck_assert(!run_for(300));
	ck_assert_uint_eq(ends[0].aborted, 1);
	ck_assert_uint_eq(ends[0].closed, 0);
	ck_assert_uint_le(turns, 8);
	ck_assert_int_eq(zcreq_finish(context, id, 0), 0);
	ck_assert(run_for(1000));
	ck_assert_uint_eq(ends[0].closed, 1);
	ck_assert_int_eq(zcreq_context_stats(context, &stats, sizeof(stats)), 0);
	ck_assert_uint_eq(stats.requests_now, 0);
}
END_TEST

static void free_own_connection(struct end *end)
{
	zcreq_ev_conn_free(end->tie);
	zcreq_conn_free(end->conn);
}

START_TEST(connection_freed_in_its_own_callback)
{
	ev_io reader;

	open_end(&ends[0]);
	ends[0].on_released = free_own_connection;
	ev_io_init(&reader, drink, ends[0].peer, EV_READ);
	ev_io_start(loop, &reader);
	send_from(&ends[0], 1 << 20);
	ck_assert(run_for(5000));
	ck_assert_uint_eq(ends[0].released, 1);
	close(ends[0].peer);
}
END_TEST

/* Both have an event in the same batch, and whichever comes first ends the other. */
static void free_the_other(struct end *end)
{
	struct end *other = &ends[end == &ends[0]];

	if (!other->tie)
		return;
	zcreq_ev_conn_free(other->tie);
	other->tie = NULL;
	zcreq_conn_free(other->conn);
}

START_TEST(connection_freed_while_its_event_waits)
{
	open_end(&ends[0]);
	open_end(&ends[1]);
	ends[0].on_released = ends[1].on_released = free_the_other;
	send_from(&ends[0], BIG);
	send_from(&ends[1], BIG);
	ck_assert(!run_for(50));
	reset_peer(&ends[0]);
	reset_peer(&ends[1]);
	ck_assert(run_for(2000));
	ck_assert_uint_eq(ends[0].released, 1);
	ck_assert_uint_eq(ends[1].released, 1);
}
END_TEST

static void free_everything(struct end *end)
{
	zcreq_ev_free(ev);
	ev = NULL;
	end->tie = NULL; /* went with it */
}

START_TEST(untied_from_the_loop_in_a_callback)
{
	ev_io reader;

	open_end(&ends[0]);
	ends[0].on_released = free_everything;
	ev_io_init(&reader, drink, ends[0].peer, EV_READ);
	ev_io_start(loop, &reader);
	send_from(&ends[0], 1 << 20);
	run_for(500);
	ck_assert_uint_eq(ends[0].released, 1);
	zcreq_conn_free(ends[0].conn);
	zcreq_tick(context, zcreq_now_ns());
	ev_io_stop(loop, &reader);
	close(ends[0].peer);
}
END_TEST

/* Their events are in one batch, and the first one's callback frees the second. */
static void settled(zcreq_id id, int status, void *arg)
{
	(void)status;
	free_the_other(arg);
	ck_assert_int_eq(zcreq_finish(context, id, 0), 0);
}

static const struct zcreq_ops ending_ops = { .settled = settled, .released = released };

START_TEST(untied_while_its_event_waits)
{
	zcreq_id id;

	for (unsigned i = 0; i < 2; i++) {
		open_end(&ends[i]);
		ck_assert_int_eq(zcreq_begin(ends[i].conn, &ending_ops, &ends[i], &id), 0);
	}
	ck_assert(!run_for(20));
	reset_peer(&ends[0]);
	reset_peer(&ends[1]);
	ck_assert(run_for(2000));
	ck_assert_uint_eq(ends[0].released, 1);
	ck_assert_uint_eq(ends[1].released, 1);
}
END_TEST

/* One of three goes, then the next: those that are left are served. */
START_TEST(untied_in_any_order)
{
	static const unsigned orders[6][3] = {
		{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0},
	};
	struct end *left[3];

	for (unsigned i = 0; i < 3; i++) {
		open_end(&ends[i]);
		left[i] = &ends[orders[_i][i]];
	}
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned k = i; k < 3; k++)
			send_from(left[k], 100);
		ck_assert(!run_for(10));
		for (unsigned k = 0; k < 3; k++)
			ck_assert_uint_eq(left[k]->released, k < i ? k + 1 : i + 1);
		zcreq_ev_conn_free(left[i]->tie);
		left[i]->tie = NULL;
	}
	ck_assert(run_for(1000));
	for (unsigned i = 0; i < 3; i++) {
		zcreq_conn_abort(ends[i].conn, -ECANCELED);
		zcreq_dispatch(context);
		ck_assert_uint_eq(ends[i].closed, 1);
		close(ends[i].peer);
	}
}
END_TEST

/* What is untied is the caller's to watch: its events do not come here any more. */
START_TEST(untied_connection_is_left_alone)
{
	open_end(&ends[0]);
	open_end(&ends[1]);
	ck_assert(!run_for(20));
	zcreq_ev_conn_free(ends[0].tie);
	ends[0].tie = NULL;
	reset_peer(&ends[0]);
	turns = 0;
	ck_assert(!run_for(100));
	ck_assert_uint_le(turns, 3);
	ck_assert_uint_eq(ends[0].aborted, 0);
	for (unsigned i = 0; i < 2; i++)
		zcreq_conn_abort(ends[i].conn, -ECANCELED);
	ck_assert(run_for(1000));
	ck_assert_uint_eq(ends[0].closed, 1);
	close(ends[1].peer);
}
END_TEST

/* Closed before the loop has had a turn to notice. */
START_TEST(untied_when_it_is_closed_already)
{
	struct zcreq_stream_options options = { .size = sizeof(options) };
	int fd[2];

	pair(fd);
	options.fd = fd[0];
	ck_assert_int_eq(zcreq_stream_open(context, &options, &ends[0].conn), 0);
	ck_assert_int_eq(zcreq_ev_conn_new(ev, ends[0].conn, &ends[0].tie), 0);
	ck_assert_int_eq(zcreq_conn_abort(ends[0].conn, -ECANCELED), 0);
	zcreq_dispatch(context);
	ck_assert_int_eq(zcreq_stream_fd(ends[0].conn), -EBADF);
	zcreq_ev_conn_free(ends[0].tie);
	zcreq_conn_free(ends[0].conn);
	ck_assert(run_for(1000));
	close(fd[1]);
}
END_TEST

/* The tick before the loop sleeps is where a deadline is found. */
START_TEST(untied_from_the_loop_in_a_tick)
{
	open_end(&ends[0]);
	ends[0].on_released = free_everything;
	send_from(&ends[0], BIG);
	ck_assert_int_eq(zcreq_conn_drain(ends[0].conn, zcreq_now_ns() + 50000000), 0);
	ck_assert(run_for(1000));
	ck_assert_uint_eq(ends[0].released, 1);
	zcreq_dispatch(context);
	ck_assert_uint_eq(ends[0].closed, 1);
	close(ends[0].peer);
}
END_TEST

/* Turns of the loop for other reasons neither delay a deadline nor bring it on. */
START_TEST(drain_deadline_stays_where_it_is)
{
	uint64_t begin_ns = zcreq_now_ns();
	ev_timer other;

	open_end(&ends[0]);
	send_from(&ends[0], BIG);
	ev_timer_init(&other, nothing, 0.01, 0.01);
	ev_timer_start(loop, &other);
	ev_unref(loop);
	ck_assert_int_eq(zcreq_conn_drain(ends[0].conn, begin_ns + 100000000), 0);
	ck_assert(run_for(1000));
	ck_assert_int_eq(ends[0].status, -ETIMEDOUT);
	ck_assert_uint_ge(zcreq_now_ns() - begin_ns, 100000000);
	ck_assert_uint_ge(turns, 5);
	ev_ref(loop);
	ev_timer_stop(loop, &other);
	close(ends[0].peer);
}
END_TEST

START_TEST(drain_deadline_wakes_the_loop)
{
	open_end(&ends[0]);
	send_from(&ends[0], BIG);
	ck_assert_int_eq(zcreq_conn_drain(ends[0].conn, zcreq_now_ns() + 100000000), 0);
	ck_assert(run_for(1000));
	ck_assert_int_eq(ends[0].status, -ETIMEDOUT);
	ck_assert_uint_eq(ends[0].closed, 1);
	close(ends[0].peer);
}
END_TEST

START_TEST(bad_arguments_are_errors)
{
	struct zcreq_conn_options plain_options = { .size = sizeof(plain_options) };
	struct zcreq_context *other;
	struct zcreq_conn *plain;
	struct zcreq_ev_conn *tie;
	struct zcreq_ev *made;

	open_end(&ends[0]);
	ck_assert_int_eq(zcreq_ev_new(NULL, context, &made), -EINVAL);
	ck_assert_int_eq(zcreq_ev_new(loop, NULL, &made), -EINVAL);
	ck_assert_int_eq(zcreq_ev_new(loop, context, NULL), -EINVAL);
	ck_assert_int_eq(zcreq_ev_conn_new(NULL, ends[0].conn, &tie), -EINVAL);
	ck_assert_int_eq(zcreq_ev_conn_new(ev, NULL, &tie), -EINVAL);
	ck_assert_int_eq(zcreq_ev_conn_new(ev, ends[0].conn, NULL), -EINVAL);
	ck_assert_int_eq(zcreq_ev_conn_new(ev, ends[0].conn, &tie), -EEXIST);
	ck_assert_int_eq(zcreq_conn_open(context, &plain_options, &plain), 0);
	ck_assert_int_eq(zcreq_ev_conn_new(ev, plain, &tie), -EINVAL);
	zcreq_conn_free(plain);
	ck_assert_int_eq(zcreq_context_new(NULL, &other), 0);
	ck_assert_int_eq(zcreq_ev_new(loop, other, &made), 0);
	ck_assert_int_eq(zcreq_ev_conn_new(made, ends[0].conn, &tie), -EINVAL);
	zcreq_ev_free(made);
	ck_assert_int_eq(zcreq_context_free(other), 0);
	zcreq_ev_free(NULL);
	zcreq_ev_conn_free(NULL);
	zcreq_conn_abort(ends[0].conn, -ECANCELED);
	ck_assert(run_for(1000));
	close(ends[0].peer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ev");
	TCase *cases = tcase_create("all");

	tcase_set_timeout(cases, 20);
	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_add_test(cases, loop_without_connections_ends_by_itself);
	tcase_add_test(cases, sends_go_out_without_a_flush_and_drain_ends_the_loop);
	tcase_add_test(cases, idle_connection_sleeps);
	tcase_add_test(cases, unread_data_does_not_spin);
	tcase_add_test(cases, peer_that_does_not_read_does_not_spin);
	tcase_add_test(cases, reset_ends_without_spinning);
	tcase_add_test(cases, aborted_but_not_closed_does_not_spin);
	tcase_add_test(cases, connection_freed_in_its_own_callback);
	tcase_add_test(cases, connection_freed_while_its_event_waits);
	tcase_add_test(cases, untied_from_the_loop_in_a_callback);
	tcase_add_test(cases, untied_while_its_event_waits);
	tcase_add_loop_test(cases, untied_in_any_order, 0, 6);
	tcase_add_test(cases, untied_connection_is_left_alone);
	tcase_add_test(cases, untied_when_it_is_closed_already);
	tcase_add_test(cases, untied_from_the_loop_in_a_tick);
	tcase_add_test(cases, drain_deadline_wakes_the_loop);
	tcase_add_test(cases, drain_deadline_stays_where_it_is);
	tcase_add_test(cases, bad_arguments_are_errors);
	suite_add_tcase(suite, cases);
	return suite_run(suite);
}
