/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_ev.c - a context in a libev loop: turns, sleeps and deadlines
 */
#include <errno.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ev/ev_scene.h"
#include "support/emulated.h"
#include "support/suite.h"

/* Its descriptor does, until it is untied. */
START_TEST(a_context_keeps_the_loop_going)
{
	ck_assert(!run_for(50));
	zcreq_ev_free(ev);
	ev = NULL;
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
	ck_assert_int_eq(zcreq_conn_drain(ends[0].conn, 0), 0);
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

/* A copy is released by the flush that makes it: that takes no turn of its own. */
START_TEST(what_is_released_at_once_takes_one_turn)
{
	open_end(&ends[0]);
	ck_assert(!run_for(20));
	send_from(&ends[0], 100);
	turns = 0;
	ck_assert(!run_for(200));
	ck_assert_uint_eq(ends[0].released, 1);
	ck_assert_uint_eq(turns, 1);
	zcreq_conn_abort(ends[0].conn, -ECANCELED);
	ck_assert(run_for(1000));
	close(ends[0].peer);
}
END_TEST

static unsigned to_send;

static void send_another(struct end *end)
{
	if (to_send && to_send--)
		send_from(end, 100);
}

/* What begets something new each time takes turns with the rest of the loop. */
START_TEST(a_chain_of_copies_leaves_turns_to_others)
{
	open_end(&ends[0]);
	ck_assert(!run_for(20));
	ends[0].on_released = send_another;
	to_send = 100;
	send_from(&ends[0], 100);
	turns = 0;
	ck_assert(!run_for(500));
	ck_assert_uint_eq(ends[0].released, 101);
	ck_assert_uint_ge(turns, 100 / 10);
	ck_assert_uint_le(turns, 110);
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
	ck_assert_int_eq(zcreq_begin(ends[0].conn, &ops, &ends[0], 0, &id), 0);
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

/* Turns of the loop for other reasons neither delay a deadline nor bring it on. */
START_TEST(drain_deadline_stays_where_it_is)
{
	uint64_t begin_ns = zcreq_now_ns();
	ev_timer other;

	open_end(&ends[0]);
	send_from(&ends[0], BIG);
	ev_timer_init(&other, nothing, 0.001, 0.001);
	ev_timer_start(loop, &other);
	ev_unref(loop);
	ck_assert_int_eq(zcreq_conn_drain(ends[0].conn, 100), 0);
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
	ck_assert_int_eq(zcreq_conn_drain(ends[0].conn, 100), 0);
	ck_assert(run_for(1000));
	ck_assert_int_eq(ends[0].status, -ETIMEDOUT);
	ck_assert_uint_eq(ends[0].closed, 1);
	close(ends[0].peer);
}
END_TEST

static void *drop_late(void *hold)
{
	usleep(50000);
	ck_assert_int_eq(zcreq_post_drop(context, *(zcreq_hold *)hold, 0), 0);
	return NULL;
}

static void break_loop(struct end *end)
{
	(void)end;
	ev_break(loop, EVBREAK_ALL);
}

/* The loop sleeps without a limit of its own when the drop comes. */
START_TEST(drop_of_another_thread_wakes_the_loop)
{
	pthread_t thread;
	zcreq_hold hold;
	zcreq_id id;

	open_end(&ends[0]);
	ck_assert(!run_for(10));
	ck_assert_int_eq(zcreq_threads_open(context, 0), 0);
	ends[0].on_released = break_loop;
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(zcreq_begin(ends[0].conn, &ops, &ends[0], 0, &id),
				 0);
		ck_assert_int_eq(zcreq_take(context, id, &hold), 0);
		ck_assert_int_eq(zcreq_finish(context, id, 0), 0);
		ck_assert_int_eq(pthread_create(&thread, NULL, drop_late, &hold), 0);
		turns = 0;
		ev_run(loop, 0);
		ck_assert_uint_eq(ends[0].released, i + 1);
		ck_assert_uint_le(turns, 3);
		ck_assert_int_eq(pthread_join(thread, NULL), 0);
	}
	zcreq_conn_abort(ends[0].conn, -ECANCELED);
	ck_assert(run_for(1000));
	close(ends[0].peer);
}
END_TEST

START_TEST(bad_arguments_are_errors)
{
	struct zcreq_ev *made = NULL;

	ck_assert_int_eq(zcreq_ev_new(NULL, context, &made), -EINVAL);
	ck_assert_int_eq(zcreq_ev_new(loop, NULL, &made), -EINVAL);
	ck_assert_int_eq(zcreq_ev_new(loop, context, NULL), -EINVAL);
	ck_assert_ptr_null(made);
	zcreq_ev_free(NULL);
}
END_TEST

START_TEST(a_context_that_has_no_descriptor_is_refused)
{
	struct rlimit limit = {0}, old;
	struct zcreq_context *other;
	struct zcreq_ev *made = NULL;

	ck_assert_int_eq(zcreq_context_new(NULL, &other), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	limit.rlim_max = old.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_int_eq(zcreq_ev_new(loop, other, &made), -EMFILE);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	ck_assert_ptr_null(made);
	ck_assert_int_eq(zcreq_context_free(other), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ev");
	TCase *cases = tcase_create("all");

	if (emulated_states())
		return 77;
	tcase_set_timeout(cases, 20);
	tcase_add_checked_fixture(cases, scene_setup, scene_teardown);
	tcase_add_test(cases, a_context_keeps_the_loop_going);
	tcase_add_test(cases, sends_go_out_without_a_flush_and_drain_ends_the_loop);
	tcase_add_test(cases, idle_connection_sleeps);
	tcase_add_test(cases, what_is_released_at_once_takes_one_turn);
	tcase_add_test(cases, a_chain_of_copies_leaves_turns_to_others);
	tcase_add_test(cases, unread_data_does_not_spin);
	tcase_add_test(cases, peer_that_does_not_read_does_not_spin);
	tcase_add_test(cases, reset_ends_without_spinning);
	tcase_add_test(cases, aborted_but_not_closed_does_not_spin);
	tcase_add_test(cases, drain_deadline_wakes_the_loop);
	tcase_add_test(cases, drain_deadline_stays_where_it_is);
	tcase_add_test(cases, drop_of_another_thread_wakes_the_loop);
	tcase_add_test(cases, bad_arguments_are_errors);
	tcase_add_test(cases, a_context_that_has_no_descriptor_is_refused);
	suite_add_tcase(suite, cases);
	return suite_run(suite);
}
