/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_interest.c - the poller is told when there is something else to wait for
 */
#include "support/suite.h"

#include <errno.h>
#include <poll.h>

#include "stream/watcher.h"
#include "support/scene.h"

static void setup(void)
{
	scene_setup_open();
	heard_begin(conn, &heard);
	watcher_open(context);
	zcreq_conn_watch(conn, true);
}

static void teardown(void)
{
	stub.room_bytes = UINT64_MAX;
	scene_finish(0);
	scene_teardown();
}

/* A turn: the poller is told of this, once; 0: not told. */
static void told(short events)
{
	told_of.count = 0;
	zcreq_turn(context, 0);
	ck_assert_uint_eq(told_of.count, events != 0);
	if (events) {
		ck_assert_ptr_eq(told_of.conns[0], conn);
		ck_assert_int_eq(zcreq_events(conn), events);
	}
}

START_TEST(the_poller_is_told_at_once_and_then_of_changes_only)
{
	told(POLLERR);
	told(0);
	stub.room_bytes = 10;
	scene_queue(&heard);
	scene_queue(&heard);
	told(POLLERR | POLLOUT);
	scene_queue(&heard);
	told(0);
	stub.room_bytes = UINT64_MAX;
	ck_assert_int_eq(zcreq_process(conn, POLLOUT), 0);
	told(POLLERR);
	stub.room_bytes = 0;
	ck_assert_int_eq(zcreq_write(conn, data, 1), 0);
	told(POLLERR | POLLOUT);
}
END_TEST

START_TEST(what_is_flushed_in_the_same_turn_is_told_as_it_is_in_the_end)
{
	told(POLLERR);
	scene_queue(&heard);
	ck_assert_int_eq(zcreq_events(conn), POLLERR | POLLOUT);
	told(0);
	ck_assert_int_eq(zcreq_events(conn), POLLERR);
}
END_TEST

START_TEST(a_flush_of_a_full_socket_tells_nothing)
{
	told(POLLERR);
	stub.room_bytes = 10;
	scene_queue(&heard);
	told(POLLERR | POLLOUT);
	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(zcreq_write(conn, data, 1), 0);
		told(0);
	}
}
END_TEST

START_TEST(an_abort_is_told)
{
	told(POLLERR);
	ck_assert_int_eq(zcreq_conn_abort(conn, -ECANCELED), 0);
	told_of.count = 0;
	zcreq_turn(context, 0);
	ck_assert_uint_eq(told_of.count, 1);
	ck_assert_int_eq(conn->told_events, 0);
	told(0);
}
END_TEST

START_TEST(sending_that_rests_and_goes_on_is_told)
{
	told(POLLERR);
	stub.room_bytes = 0;
	scene_queue(&heard);
	told(POLLERR | POLLOUT);
	stub.send_error = -ENOMEM;
	ck_assert_int_eq(zcreq_process(conn, POLLOUT), 0);
	told(POLLERR);
	zcreq_turn(context, 1000000000);
	stub.send_error = 0;
	stub.room_bytes = 10;
	zcreq_turn(context, 2000000000);
	ck_assert_int_eq(conn->told_events, POLLERR | POLLOUT);
	told(0);
}
END_TEST

START_TEST(one_that_is_no_longer_watched_is_not_told)
{
	if (_i)
		told(POLLERR);
	stub.room_bytes = 0;
	scene_queue(&heard);
	zcreq_conn_watch(conn, false);
	told(0);
	ck_assert_int_eq(zcreq_events(conn), POLLERR | POLLOUT);
}
END_TEST

START_TEST(each_of_many_is_told_once)
{
	static struct stub stubs[50];
	static struct zcreq_conn *conns[50];

	told(POLLERR);
	told_of.count = 0;
	for (int i = 0; i < 50; i++) {
		stub_init(&stubs[i]);
		stubs[i].room_bytes = 0;
		conns[i] = stub_open(&stubs[i], context, NULL, NULL);
		zcreq_conn_watch(conns[i], true);
	}
	zcreq_turn(context, 0);
	ck_assert_uint_eq(told_of.count, 50);
	for (int i = 0; i < 50; i++)
		ck_assert_ptr_eq(told_of.conns[i], conns[i]);
	for (int i = 0; i < 50; i += 10)
		ck_assert_int_eq(zcreq_write(conns[i], data, 1), 0);
	told_of.count = 0;
	zcreq_turn(context, 0);
	ck_assert_uint_eq(told_of.count, 5);
	for (int i = 0; i < 5; i++)
		ck_assert_ptr_eq(told_of.conns[i], conns[10 * i]);
	/* freed while they are in the list */
	for (int i = 0; i < 50; i++) {
		ck_assert_int_eq(zcreq_write(conns[i], data, 1), 0);
		zcreq_conn_free(conns[i]);
	}
	while (stats_of(context).connections_now > 1)
		zcreq_turn(context, 1);
	told(0);
}
END_TEST

START_TEST(reading_is_told_while_there_is_somebody_who_reads)
{
	told(POLLERR);
	ck_assert_int_eq(zcreq_stream_reading(conn, false), 0);
	told(0);
	ck_assert_int_eq(zcreq_stream_reading(conn, true), 0);
	told(0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("events");
	TCase *watch = tcase_create("watch");

	tcase_add_checked_fixture(watch, setup, teardown);
	tcase_add_test(watch, the_poller_is_told_at_once_and_then_of_changes_only);
	tcase_add_test(watch, what_is_flushed_in_the_same_turn_is_told_as_it_is_in_the_end);
	tcase_add_test(watch, a_flush_of_a_full_socket_tells_nothing);
	tcase_add_test(watch, an_abort_is_told);
	tcase_add_test(watch, sending_that_rests_and_goes_on_is_told);
	tcase_add_loop_test(watch, one_that_is_no_longer_watched_is_not_told, 0, 2);
	tcase_add_test(watch, each_of_many_is_told_once);
	tcase_add_test(watch, reading_is_told_while_there_is_somebody_who_reads);
	suite_add_tcase(s, watch);
	return suite_run(s);
}
