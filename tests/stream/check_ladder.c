/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_ladder.c - the abort ladder's times and limits, at their exact values
 *
 * What stays when the kernel says nothing, says no, or never stops talking.
 */
#include "support/suite.h"

#include <errno.h>
#include <string.h>

#include "support/scene.h"

#define START (1000 * MS)
#define INTERRUPTS 16 /* tries of a call that is interrupted */

/* A stream with one request, which is with the kernel and finished. */
static void open_with(uint32_t linger_ms)
{
	options.linger_ms = linger_ms;
	scene_open();
	scene_sent();
}

/* Ticks at the deadlines that the last tick named: how far each is from the one before. */
static void expect_gaps(uint64_t at_ns, const unsigned *gaps_ms, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		unsigned recvs = stub.recvs;
		uint64_t next_ns = zcreq_tick(context, at_ns);

		ck_assert_uint_gt(stub.recvs, recvs);
		ck_assert_uint_eq(next_ns, at_ns + gaps_ms[i] * MS);
		at_ns = next_ns;
	}
}

START_TEST(looks_come_at_growing_intervals)
{
	static const unsigned gaps_ms[] = {1, 2, 4, 8, 16, 20, 20, 20};

	open_with(0);
	stub.keeps = true;
	ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	expect_gaps(START, gaps_ms, COUNT(gaps_ms));
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_ABORTING);
}
END_TEST

/* linger_ms after the first tick; then once a second, until late proof comes. */
START_TEST(quarantine_begins_when_linger_ends)
{
	const uint32_t linger_ms = _i ? 7 : 5000;
	const uint64_t end_ns = START + linger_ms * MS;

	open_with(_i ? linger_ms : 0);
	stub.keeps = true;
	ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	zcreq_tick(context, START);
	ck_assert_uint_eq(zcreq_tick(context, end_ns - 1), end_ns);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_ABORTING);
	ck_assert_uint_eq(heard.quarantined, 0);
	ck_assert_uint_eq(zcreq_tick(context, end_ns), end_ns + 1000 * MS);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_QUARANTINED);
	ck_assert_uint_eq(heard.quarantined, 1);
	ck_assert_uint_eq(stats_of(context).quarantined_bytes_now, sizeof(data));
	expect_gaps(end_ns + 1000 * MS, (const unsigned[]){1000, 1000}, 2);
	ck_assert_uint_eq(stub.disconnects, 1);
	stub_prove_all(&stub);
	ck_assert_uint_eq(zcreq_tick(context, end_ns + 3000 * MS), ZCREQ_NEVER);
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_uint_eq(hooks.closed, 1);
	ck_assert_uint_eq(stats_of(context).quarantined_bytes_now, 0);
}
END_TEST

/* A refusal is met with a shutdown and a second try, later with one at each look. */
START_TEST(a_refusal_is_asked_again_at_each_look)
{
	char text[256];

	open_with(0);
	stub.disconnect_error = -EBUSY;
	ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	ck_assert_uint_eq(stub.disconnects, 2);
	ck_assert_uint_eq(stub.shutdowns, 1);
	ck_assert_int_gt(zcreq_conn_explain(conn, ZCREQ_TEXT, text, sizeof(text)), 0);
	ck_assert_ptr_nonnull(strstr(text, "refuses to disconnect"));
	zcreq_tick(context, START);
	ck_assert_uint_eq(stub.disconnects, 3);
	ck_assert_uint_eq(stub.shutdowns, 1);
	stub.disconnect_error = 0;
	zcreq_tick(context, START + MS);
	ck_assert_uint_eq(stub.disconnects, 4);
	ck_assert_uint_eq(heard.released, 1);
}
END_TEST

START_TEST(an_interrupted_disconnect_is_made_again_but_not_for_ever)
{
	open_with(0);
	stub.interrupts = _i;
	ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	/* as often as it may for one call, and for one more after the shutdown */
	ck_assert_uint_eq(stub.disconnects, _i < 2 * INTERRUPTS ? _i + 1 : 2 * INTERRUPTS);
	ck_assert_uint_eq(stub.shutdowns, _i >= INTERRUPTS);
	stub.interrupts = 0;
}
END_TEST

/* The proof is behind more messages of others than any program can have posted. */
START_TEST(an_error_queue_without_end_does_not_keep_abort)
{
	open_with(0);
	stub.keeps = true;
	stub.chatter = _i ? STUB_FOREIGN : STUB_BOGUS;
	ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	/* once before the disconnect and 64 times after it, a thousand and one each */
	ck_assert_uint_le(stub.recvs, 65 * 1025);
	ck_assert_uint_ge(stub.recvs, 64 * 1024);
	ck_assert_uint_eq(heard.released, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ladder");
	TCase *times = tcase_create("times"), *limits = tcase_create("limits");

	tcase_add_checked_fixture(times, scene_setup, scene_teardown_late);
	tcase_add_test(times, looks_come_at_growing_intervals);
	tcase_add_loop_test(times, quarantine_begins_when_linger_ends, 0, 2);
	suite_add_tcase(s, times);

	tcase_add_checked_fixture(limits, scene_setup, scene_teardown_late);
	tcase_add_test(limits, a_refusal_is_asked_again_at_each_look);
	tcase_add_loop_test(limits, an_interrupted_disconnect_is_made_again_but_not_for_ever, 0,
			    2 * INTERRUPTS + 3);
	tcase_add_loop_test(limits, an_error_queue_without_end_does_not_keep_abort, 0, 2);
	suite_add_tcase(s, limits);
	return suite_run(s);
}
