/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_drain.c - a connection that ends in order, and what cuts that short
 */
#include "support/suite.h"

#include <errno.h>
#include <poll.h>

#include "support/scene.h"

START_TEST(drain_waits_for_requests_and_ends_with_status_0)
{
	scene_begin();
	ck_assert_int_eq(zcreq_conn_drain(conn, 0), 0);
	ck_assert_uint_eq(zcreq_turn(context, 100 * SECOND), ZCREQ_NEVER);
	stub_send(conn, heard.id, data, sizeof(data));
	scene_finish(0);
	zcreq_process(conn, POLLERR);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(hooks.closed, 0);
	scene_prove();
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_int_eq(heard.status, 0);
	ck_assert_uint_eq(hooks.abort, 0);
	ck_assert_uint_eq(hooks.closed, 1);
	ck_assert_int_eq(hooks.closed_status, 0);
	ck_assert_uint_eq(stub.disconnects, 0);
	ck_assert_uint_eq(stub.closes, 1);
}
END_TEST

START_TEST(drain_sends_what_was_written_before_it_closes)
{
	stub.room_bytes = 0;
	ck_assert_int_eq(zcreq_write(conn, data, 10), 0);
	ck_assert_int_eq(zcreq_conn_drain(conn, 0), 0);
	zcreq_process(conn, POLLOUT);
	zcreq_turn(context, 0);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_DRAINING);
	ck_assert_int_eq(zcreq_events(conn), POLLERR | POLLOUT);
	stub.room_bytes = UINT64_MAX;
	zcreq_process(conn, POLLOUT);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(hooks.closed, 0);
	scene_prove();
	ck_assert_uint_eq(hooks.closed, 1);
}
END_TEST

START_TEST(drain_past_its_deadline_is_aborted)
{
	scene_begin();
	ck_assert_int_eq(zcreq_conn_drain(conn, 3000), 0);
	ck_assert_uint_eq(zcreq_turn(context, SECOND), 4 * SECOND);
	ck_assert_uint_eq(zcreq_turn(context, 4 * SECOND - 1), 4 * SECOND);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_DRAINING);
	zcreq_turn(context, 4 * SECOND);
	ck_assert_int_eq(zcreq_conn_cause(conn), ZCREQ_CAUSE_DRAIN_DEADLINE);
	ck_assert_int_eq(hooks.abort_status, -ETIMEDOUT);
	ck_assert_int_eq(heard.status, -ETIMEDOUT);
	ck_assert_uint_eq(heard.aborting, 1);
}
END_TEST

START_TEST(abort_cuts_a_drain_short)
{
	scene_begin();
	ck_assert_int_eq(zcreq_conn_drain(conn, 3000), 0);
	ck_assert_int_eq(zcreq_conn_abort(conn, -EPIPE), 0);
	scene_finish(0);
	zcreq_turn(context, 10 * SECOND);
	ck_assert_int_eq(heard.status, -EPIPE);
	ck_assert_int_eq(hooks.closed_status, -EPIPE);
	ck_assert_uint_eq(hooks.abort, 1);
}
END_TEST

/* The linger time is counted from the abort, whatever the drain had for a deadline. */
START_TEST(abort_of_a_drain_lingers_for_its_own_time)
{
	static const uint32_t timeouts_ms[] = {3000, 1000000, 0};

	scene_begin();
	scene_finish(0);
	stub.keeps = true;
	ck_assert_int_eq(zcreq_conn_drain(conn, timeouts_ms[_i]), 0);
	zcreq_turn(context, SECOND);
	ck_assert_int_eq(zcreq_conn_abort(conn, -EPIPE), 0);
	ck_assert_uint_lt(zcreq_turn(context, 2 * SECOND), 3 * SECOND);
	zcreq_turn(context, 7 * SECOND - 1);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_ABORTING);
	zcreq_turn(context, 7 * SECOND);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_QUARANTINED);
	ck_assert_uint_eq(heard.quarantined, 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("drain");
	TCase *drain = tcase_create("drain");

	tcase_add_checked_fixture(drain, scene_setup_open, scene_teardown_late);
	tcase_add_test(drain, drain_waits_for_requests_and_ends_with_status_0);
	tcase_add_test(drain, drain_sends_what_was_written_before_it_closes);
	tcase_add_test(drain, drain_past_its_deadline_is_aborted);
	tcase_add_test(drain, abort_cuts_a_drain_short);
	tcase_add_loop_test(drain, abort_of_a_drain_lingers_for_its_own_time, 0, 3);
	suite_add_tcase(s, drain);
	return suite_run(s);
}
