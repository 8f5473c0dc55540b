/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_ladder.c - the abort ladder's times and limits, at their exact values
 *
 * What stays when the kernel says nothing, says no, or never stops talking.
 */
#include "support/suite.h"

#include <errno.h>
#include <poll.h>
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

/* Turns at the deadlines that the last turn named: how far each is from the one before. */
static void expect_gaps(uint64_t at_ns, const unsigned *gaps_ms, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		unsigned recvs = stub.recvs;
		uint64_t next_ns = zcreq_turn(context, at_ns);

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

/* linger_ms after the first turn; then once a second, until late proof comes. */
START_TEST(quarantine_begins_when_linger_ends)
{
	const uint32_t linger_ms = _i ? 7 : 5000;
	const uint64_t end_ns = START + linger_ms * MS;

	open_with(_i ? linger_ms : 0);
	stub.keeps = true;
	ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	zcreq_turn(context, START);
	ck_assert_uint_eq(zcreq_turn(context, end_ns - 1), end_ns);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_ABORTING);
	ck_assert_uint_eq(heard.quarantined, 0);
	ck_assert_uint_eq(zcreq_turn(context, end_ns), end_ns + 1000 * MS);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_QUARANTINED);
	ck_assert_uint_eq(heard.quarantined, 1);
	ck_assert_uint_eq(stats_of(context).quarantined_bytes_now, sizeof(data));
	expect_gaps(end_ns + 1000 * MS, (const unsigned[]){1000, 1000}, 2);
	ck_assert_uint_eq(stub.disconnects, 1);
	stub_prove_all(&stub);
	ck_assert_uint_eq(zcreq_turn(context, end_ns + 3000 * MS), ZCREQ_NEVER);
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
	zcreq_turn(context, START);
	ck_assert_uint_eq(stub.disconnects, 3);
	ck_assert_uint_eq(stub.shutdowns, 1);
	stub.disconnect_error = 0;
	zcreq_turn(context, START + MS);
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

/* More than are disconnected in one turn, and the kernel refuses each of them. */
START_TEST(aborts_beyond_the_limit_that_are_refused_all_come_back)
{
	enum { MANY = 40, AT_ONCE = 32 };
	static struct stub stubs[MANY];
	static struct heard many[MANY];
	struct zcreq_conn *conns[MANY];
	unsigned tried = 0, released = 0, closed = 0;

	for (unsigned i = 0; i < MANY; i++) {
		stub_init(&stubs[i]);
		stubs[i].disconnect_error = -EBUSY;
		conns[i] = stub_open(&stubs[i], context, NULL, NULL);
		heard_begin(conns[i], &many[i]);
		stub_send(conns[i], many[i].id, data, sizeof(data));
		ck_assert_int_eq(zcreq_finish(context, many[i].id, 0), 0);
	}
	for (unsigned i = 0; i < MANY; i++) {
		ck_assert_int_eq(zcreq_conn_abort(conns[i], -EPIPE), 0);
		tried += stubs[i].disconnects > 0;
	}
	ck_assert_uint_eq(tried, AT_ONCE);
	zcreq_turn(context, 0);
	for (unsigned i = 0; i < MANY; i++) {
		ck_assert_int_eq(many[i].status, -EPIPE);
		ck_assert_uint_eq(many[i].settled, 1);
	}
	zcreq_turn(context, START);
	for (unsigned i = 0; i < MANY; i++) {
		ck_assert_uint_ge(stubs[i].disconnects, 2);
		ck_assert_uint_eq(stubs[i].shutdowns, 1);
		ck_assert_uint_eq(many[i].released, 0);
		stubs[i].disconnect_error = 0;
	}
	for (uint64_t ms = 1; ms < 100; ms++)
		zcreq_turn(context, START + ms * MS);
	for (unsigned i = 0; i < MANY; i++) {
		released += many[i].released;
		closed += stubs[i].closes;
		zcreq_conn_free(conns[i]);
	}
	ck_assert_uint_eq(released, MANY);
	ck_assert_uint_eq(closed, MANY);
}
END_TEST

/* The connection is asked for each 64 notifications whether it is alive. If it has died
 * after the first of them, the second are those of its death. */
START_TEST(a_death_between_the_first_and_the_second_64_notifications_is_no_success)
{
	struct heard first = {0}, second = {0};

	scene_open();
	heard_begin(conn, &first);
	heard_begin(conn, &second);
	for (uint32_t id = 0; id < 100; id++) {
		stub_send(conn, id < 64 ? first.id : second.id, data, 1);
		stub_notify(&stub, id, id, false);
	}
	stub.unproven = 100;
	ck_assert_int_eq(zcreq_finish(context, first.id, 0), 0);
	ck_assert_int_eq(zcreq_finish(context, second.id, 0), 0);
	stub.looks_alive = stub.looks + 1;
	zcreq_process(conn, POLLERR);
	zcreq_turn(zcreq_conn_context(conn), 0);
	ck_assert_uint_eq(first.released, 1);
	ck_assert_int_eq(first.status, 0);
	ck_assert_uint_eq(second.released, 1);
	ck_assert_int_eq(second.status, -ECONNRESET);
	ck_assert_int_eq(zcreq_conn_cause(conn), ZCREQ_CAUSE_RESET);
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
	tcase_add_test(limits, aborts_beyond_the_limit_that_are_refused_all_come_back);
	tcase_add_test(limits,
		       a_death_between_the_first_and_the_second_64_notifications_is_no_success);
	suite_add_tcase(s, limits);
	return suite_run(s);
}
