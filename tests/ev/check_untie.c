/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_untie.c - what is untied, freed or closed while the loop is at work on it
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ev/ev_scene.h"
#include "support/suite.h"

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

static const struct zcreq_request_hooks ending_ops = { .settled = settled, .released = released };

START_TEST(untied_while_its_event_waits)
{
	zcreq_id id;

	for (unsigned i = 0; i < 2; i++) {
		open_end(&ends[i]);
		ck_assert_int_eq(zcreq_begin(ends[i].conn, &ending_ops, &ends[i], 0, &id),
				 0);
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

/* Closed before the loop has had a turn to notice, and with one in between. */
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
	turns = 0;
	ck_assert(!_i || !run_for(50));
	ck_assert_uint_eq(turns, _i);
	zcreq_ev_conn_free(ends[0].tie);
	zcreq_conn_free(ends[0].conn);
	ck_assert(run_for(1000));
	close(fd[1]);
}
END_TEST

static int nothing_to_flush(void *arg)
{
	(void)arg;
	return 0;
}

START_TEST(engines_are_untied_with_the_loop)
{
	struct zcreq_ev_engine *engine;
	int fd = eventfd(0, EFD_NONBLOCK);
	struct zcreq_ev *other;

	ck_assert_int_eq(zcreq_ev_new(loop, context, &other), 0);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(zcreq_ev_engine_new(other, i ? fd : dup(fd), nothing_to_flush,
						     NULL, &engine), 0);
	zcreq_ev_free(other);
	ck_assert(run_for(1000));
	close(fd);
}
END_TEST

/* A copy is released by the flush before the loop sleeps. */
START_TEST(untied_from_the_loop_in_a_flush)
{
	open_end(&ends[0]);
	ends[0].on_released = free_everything;
	send_from(&ends[0], 100);
	ck_assert(run_for(1000));
	ck_assert_uint_eq(ends[0].released, 1);
	zcreq_conn_free(ends[0].conn);
	zcreq_dispatch(context);
	close(ends[0].peer);
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

int main(void)
{
	Suite *suite = suite_create("ev_untie");
	TCase *cases = tcase_create("all");

	tcase_set_timeout(cases, 20);
	tcase_add_checked_fixture(cases, scene_setup, scene_teardown);
	tcase_add_test(cases, connection_freed_in_its_own_callback);
	tcase_add_test(cases, connection_freed_while_its_event_waits);
	tcase_add_test(cases, untied_from_the_loop_in_a_callback);
	tcase_add_test(cases, untied_while_its_event_waits);
	tcase_add_loop_test(cases, untied_in_any_order, 0, 6);
	tcase_add_test(cases, untied_connection_is_left_alone);
	tcase_add_loop_test(cases, untied_when_it_is_closed_already, 0, 2);
	tcase_add_test(cases, engines_are_untied_with_the_loop);
	tcase_add_test(cases, untied_from_the_loop_in_a_tick);
	tcase_add_test(cases, untied_from_the_loop_in_a_flush);
	suite_add_tcase(suite, cases);
	return suite_run(suite);
}
