/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_interest.c - a watcher is told when there is something else to wait for
 */
#include "support/suite.h"

#include <errno.h>
#include <poll.h>

#include "support/scene.h"

static int mine; /* its address is the watcher */

static void setup(void)
{
	scene_setup_open();
	heard_begin(conn, &heard);
	ck_assert_int_eq(zcreq_events_watch(conn, &mine), 0);
}

static void teardown(void)
{
	stub.room_bytes = UINT64_MAX;
	scene_finish(0);
	zcreq_conn_free(conn);
	conn = NULL;
	zcreq_dispatch(context);
	ck_assert_ptr_null(zcreq_events_next(context));
	scene_teardown();
}

/* Told of this, once; 0: not told. */
static void told(short events)
{
	if (events) {
		ck_assert_ptr_eq(zcreq_events_next(context), &mine);
		ck_assert_int_eq(zcreq_events(conn), events);
	}
	ck_assert_ptr_null(zcreq_events_next(context));
}

START_TEST(a_watcher_is_told_at_once_and_then_of_changes_only)
{
	told(POLLERR);
	scene_queue(&heard);
	scene_queue(&heard);
	told(POLLERR | POLLOUT);
	scene_queue(&heard);
	told(0);
	ck_assert_int_eq(zcreq_flush(conn), 0);
	told(POLLERR);
	ck_assert_int_eq(zcreq_write(conn, data, 1), 0);
	told(POLLERR | POLLOUT);
	ck_assert_int_eq(zcreq_process(conn, POLLOUT), 0);
	told(POLLERR);
}
END_TEST

START_TEST(what_is_flushed_in_the_same_turn_is_told_as_it_is_in_the_end)
{
	told(POLLERR);
	scene_queue(&heard);
	ck_assert_int_eq(zcreq_flush(conn), 0);
	told(POLLERR);
}
END_TEST

START_TEST(a_flush_of_a_full_socket_tells_nothing)
{
	told(POLLERR);
	stub.room_bytes = 10;
	scene_queue(&heard);
	told(POLLERR | POLLOUT);
	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(zcreq_flush(conn), 0);
		told(0);
	}
}
END_TEST

START_TEST(an_abort_is_told)
{
	told(POLLERR);
	ck_assert_int_eq(zcreq_conn_abort(conn, -ECANCELED), 0);
	ck_assert_ptr_eq(zcreq_events_next(context), &mine);
	ck_assert_int_eq(zcreq_events(conn), 0);
	ck_assert_ptr_null(zcreq_events_next(context));
}
END_TEST

START_TEST(sending_that_rests_and_goes_on_is_told)
{
	told(POLLERR);
	stub.send_error = -ENOMEM;
	scene_queue(&heard);
	told(POLLERR | POLLOUT);
	ck_assert_int_eq(zcreq_flush(conn), 0);
	told(POLLERR);
	zcreq_tick(context, 1000000000);
	stub.send_error = 0;
	stub.room_bytes = 10;
	zcreq_tick(context, 2000000000);
	told(POLLERR | POLLOUT);
}
END_TEST

START_TEST(one_that_is_no_longer_watched_is_not_told)
{
	if (_i)
		told(POLLERR);
	scene_queue(&heard);
	ck_assert_int_eq(zcreq_events_watch(conn, NULL), 0);
	told(0);
	ck_assert_int_eq(zcreq_flush(conn), 0);
	told(0);
}
END_TEST

START_TEST(each_of_many_is_told_once)
{
	static struct stub stubs[50];
	static struct zcreq_conn *conns[50];
	static int watchers[50];

	told(POLLERR);
	for (int i = 0; i < 50; i++) {
		stub_init(&stubs[i]);
		conns[i] = stub_open(&stubs[i], context, NULL, NULL);
		ck_assert_int_eq(zcreq_events_watch(conns[i], &watchers[i]), 0);
	}
	for (int i = 0; i < 50; i++)
		ck_assert_ptr_eq(zcreq_events_next(context), &watchers[i]);
	for (int i = 0; i < 50; i += 10)
		ck_assert_int_eq(zcreq_write(conns[i], data, 1), 0);
	for (int i = 0; i < 50; i += 10)
		ck_assert_ptr_eq(zcreq_events_next(context), &watchers[i]);
	ck_assert_ptr_null(zcreq_events_next(context));
	/* freed while they are in the list */
	for (int i = 0; i < 50; i++) {
		ck_assert_int_eq(zcreq_flush(conns[i]), 0);
		zcreq_conn_free(conns[i]);
	}
	ck_assert_ptr_null(zcreq_events_next(context));
	while (stats_of(context).connections_now > 1)
		zcreq_tick(context, 1);
}
END_TEST

START_TEST(only_streams_are_watched)
{
	struct zcreq_conn *bare;

	told(POLLERR);
	ck_assert_int_eq(zcreq_conn_open(context, NULL, &bare), 0);
	ck_assert_int_eq(zcreq_events_watch(bare, &mine), -EINVAL);
	ck_assert_int_eq(zcreq_events_watch(NULL, &mine), -EINVAL);
	ck_assert_ptr_null(zcreq_events_next(NULL));
	told(0);
	zcreq_conn_free(bare);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("events");
	TCase *watch = tcase_create("watch");

	tcase_add_checked_fixture(watch, setup, teardown);
	tcase_add_test(watch, a_watcher_is_told_at_once_and_then_of_changes_only);
	tcase_add_test(watch, what_is_flushed_in_the_same_turn_is_told_as_it_is_in_the_end);
	tcase_add_test(watch, a_flush_of_a_full_socket_tells_nothing);
	tcase_add_test(watch, an_abort_is_told);
	tcase_add_test(watch, sending_that_rests_and_goes_on_is_told);
	tcase_add_loop_test(watch, one_that_is_no_longer_watched_is_not_told, 0, 2);
	tcase_add_test(watch, each_of_many_is_told_once);
	tcase_add_test(watch, only_streams_are_watched);
	suite_add_tcase(s, watch);
	return suite_run(s);
}
