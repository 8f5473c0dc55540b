/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_trim.c - what an idle connection keeps, and when it lets go of the rest
 *
 * The allocator counts blocks: a connection that has been trimmed, or is fresh, has
 * one, itself.
 */
#include "support/suite.h"

#include "support/scene.h"

#define MANY 100

static long fresh; /* blocks with a connection that has done nothing */

static void open_stream(uint32_t stall_ms)
{
	options.stall_ms = stall_ms;
	scene_open();
	heard_begin(conn, &heard);
	fresh = memory.live;
}

static void teardown(void)
{
	scene_finish(0);
	scene_teardown();
}

/* So many sends at once, and one write, all proven. */
static void work(unsigned sends)
{
	ck_assert_int_eq(zcreq_write(conn, data, 8), 0);
	for (unsigned i = 0; i < sends; i++)
		scene_queue(&heard);
	zcreq_turn(context, 0);
	scene_prove();
}

/* Turns as a loop does, until there is no deadline any more: when that was. */
static uint64_t sleep_from(uint64_t now_ns)
{
	uint64_t next_ns;

	while ((next_ns = zcreq_turn(context, now_ns)) != ZCREQ_NEVER) {
		CLAIM(next_ns > now_ns);
		now_ns = next_ns;
	}
	return now_ns;
}

START_TEST(an_idle_connection_keeps_nothing_but_itself)
{
	uint64_t end_ns;

	open_stream(_i ? 500 : 0);
	for (unsigned round = 0; round < 3; round++) {
		work(MANY);
		ck_assert_int_gt(memory.live, fresh);
		end_ns = sleep_from((round + 1) * 100 * SECOND);
		ck_assert_int_eq(memory.live, fresh);
		ck_assert_uint_le(end_ns, (round + 1) * 100 * SECOND + 2 * SECOND);
	}
}
END_TEST

START_TEST(i7_a_connection_that_works_now_and_then_allocates_nothing)
{
	unsigned calls;
	uint64_t now_ns = SECOND;

	open_stream(_i ? 500 : 0);
	work(MANY);
	calls = memory.calls;
	for (unsigned i = 0; i < 1000; i++) {
		work(_i ? 1 : MANY);
		zcreq_turn(context, now_ns += SECOND / 3);
	}
	ck_assert_uint_eq(memory.calls, calls);
}
END_TEST

START_TEST(what_is_in_flight_is_not_trimmed)
{
	open_stream(0);
	work(MANY);
	scene_queue(&heard);
	if (_i)
		zcreq_turn(context, 0);
	sleep_from(SECOND);
	sleep_from(100 * SECOND);
	ck_assert_int_gt(memory.live, fresh);
	zcreq_turn(context, 0);
	scene_prove();
	sleep_from(200 * SECOND);
	ck_assert_int_eq(memory.live, fresh);
}
END_TEST

/* One small send at a time needs no alarm, and keeps its few places. */
START_TEST(a_quiet_connection_is_never_looked_at)
{
	unsigned calls;

	open_stream(0);
	stub_send(conn, heard.id, data, sizeof(data));
	scene_prove();
	calls = memory.calls;
	ck_assert_uint_eq(zcreq_turn(context, SECOND), ZCREQ_NEVER);
	stub_send(conn, heard.id, data, sizeof(data));
	ck_assert_uint_eq(memory.calls, calls);
}
END_TEST

START_TEST(an_alarm_does_not_outlive_its_connection)
{
	open_stream(0);
	work(MANY);
	ck_assert_uint_ne(zcreq_turn(context, SECOND), ZCREQ_NEVER);
	scene_finish(0);
	zcreq_conn_abort(conn, -1);
	zcreq_turn(context, 0);
	/* closed, not freed: what is still asked of it wakes nothing */
	zcreq_turn(context, 0);
	zcreq_conn_free(conn);
	conn = NULL;
	ck_assert_uint_eq(zcreq_turn(context, 100 * SECOND), ZCREQ_NEVER);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("trim");
	TCase *lives = tcase_create("lives"), *ends = tcase_create("ends");

	tcase_add_checked_fixture(lives, scene_setup, teardown);
	tcase_add_loop_test(lives, an_idle_connection_keeps_nothing_but_itself, 0, 2);
	tcase_add_loop_test(lives, i7_a_connection_that_works_now_and_then_allocates_nothing, 0, 2);
	tcase_add_loop_test(lives, what_is_in_flight_is_not_trimmed, 0, 2);
	tcase_add_test(lives, a_quiet_connection_is_never_looked_at);
	tcase_add_checked_fixture(ends, scene_setup, scene_teardown);
	tcase_add_test(ends, an_alarm_does_not_outlive_its_connection);
	suite_add_tcase(s, lives);
	suite_add_tcase(s, ends);
	return suite_run(s);
}
