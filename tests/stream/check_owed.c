/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_owed.c - since when a peer owes an answer: to what was copied, and to the end
 *
 * Nothing of it is outstanding here, so no proof tells. What counts is when it was accepted,
 * when the peer was heard, and when the kernel sent, of which TCP_INFO tells the last two.
 */
#include "support/suite.h"

#include <errno.h>

#include "stream/watch_scene.h"

/* Nothing is outstanding here any more, and the kernel has all of it. */
START_TEST(i12_copied_bytes_that_nobody_acknowledges_are_watched)
{
	say(&SILENT);
	open_copying(0);
	scene_finish(0);
	ck_assert_uint_eq(zcreq_turn(context, START + MS), START + STALL_MS * MS);
	ck_assert_int_eq(heard.released, 1);
	zcreq_turn(context, START + STALL_MS * MS);
	ck_assert_int_eq(hooks.abort_status, -ETIMEDOUT);
	ck_assert_uint_eq(stats_of(context).stalled_vanished, 1);
}
END_TEST

START_TEST(i12_also_those_that_the_kernel_has_not_sent)
{
	say(&(struct row){ALL, 0, 100, MSS, 9999, 9999, 0, 0, 200, 0, GONE, 0, 0, 0, 0});
	open_copying(0);
	ck_assert_uint_eq(zcreq_turn(context, START + STALL_MS * MS),
			  START + (STALL_MS + 100) * MS);
	ck_assert_uint_eq(hooks.abort, 0);
	zcreq_turn(context, START + (STALL_MS + 100) * MS);
	ck_assert_int_eq(hooks.abort_status, -ETIMEDOUT);
}
END_TEST

START_TEST(what_is_copied_and_acknowledged_is_left_after_one_look)
{
	say(&ACKED);
	open_copying(0);
	ck_assert_uint_eq(zcreq_turn(context, START + STALL_MS * MS), ZCREQ_NEVER);
	ck_assert_uint_eq(zcreq_turn(context, START + 3600 * SECOND), ZCREQ_NEVER);
	ck_assert_uint_eq(stub.looks, 1);
	ck_assert_uint_eq(hooks.stalled, 0);
	/* and looked at again when there is more */
	stub_send(conn, heard.id, data, sizeof(data));
	ck_assert_uint_eq(zcreq_turn(context, START + 3600 * SECOND),
			  START + 3600 * SECOND + STALL_MS * MS);
}
END_TEST

/* @_i 0: a peer that answers costs one look in stall_ms, and nothing is told. 1: that the
 * socket takes more and more of it does not hide that the peer has gone. */
START_TEST(i12_a_busy_connection_that_copies_is_looked_at_once_in_the_limit)
{
	uint64_t now = START;

	if (_i)
		say(&SILENT);
	else
		say(&MOVING);
	open_copying(0);
	for (unsigned i = 0; i < 500 && !hooks.abort; i++) {
		now += 10 * MS;
		zcreq_turn(context, now);
		if (!hooks.abort)
			stub_send(conn, heard.id, data, sizeof(data));
	}
	ck_assert_uint_eq(hooks.abort, _i);
	ck_assert_uint_eq(hooks.stalled, _i);
	ck_assert_uint_eq(stub.looks, _i ? 1 : 10);
	ck_assert_uint_eq(now, START + (_i ? STALL_MS : 5000) * MS);
}
END_TEST

/* Accepted, and heard @_i later, with a part of it: the rest is owed since then. In the kernel's
 * ticks an answer to what was heard before may look as if it was heard after it, too. */
START_TEST(i12_what_was_not_taken_is_owed_since_the_peer_was_heard)
{
	const uint32_t later = (uint32_t)_i;
	const uint64_t at = START + (STALL_MS + later) * MS;

	say(&MOVING);
	open_copying(0);
	quiet_for(STALL_MS - later, STALL_MS - later);
	/* a loss probe, then the timeout: the kernel tells of less */
	info.tcpi_retransmits = 1;
	info.tcpi_rto = 400000;
	info.tcpi_last_data_sent = 140;
	if (later) {
		ck_assert_uint_eq(zcreq_turn(context, START + STALL_MS * MS), at);
		ck_assert_uint_eq(hooks.abort, 0);
	}
	quiet_for(STALL_MS, STALL_MS);
	zcreq_turn(context, at);
	ck_assert_int_eq(hooks.abort_status, -ETIMEDOUT);
}
END_TEST

/* What this machine kept back, and sent only now, has the time of an answer. */
START_TEST(silence_before_it_was_asked_does_not_count)
{
	const uint64_t at = START + STALL_MS * MS;

	say(&MOVING);
	open_copying(0);
	quiet_for(490, 490);
	info.tcpi_retransmits = 0;
	info.tcpi_last_data_sent = 10;
	ck_assert_uint_eq(zcreq_turn(context, at), at + 10 * MS);
	quiet_for(500, 500);
	info.tcpi_last_data_sent = 20;
	ck_assert_uint_eq(zcreq_turn(context, at + 10 * MS), at + 290 * MS);
	quiet_for(780, 780);
	/* sent 300 ago, and again after 200: the interval is 400 now */
	info.tcpi_retransmits = 1;
	info.tcpi_rto = 400000;
	info.tcpi_last_data_sent = 99;
	ck_assert_uint_eq(zcreq_turn(context, at + 290 * MS), at + 300 * MS);
	ck_assert_uint_eq(hooks.abort, 0);
	info.tcpi_last_data_sent = 109;
	zcreq_turn(context, at + 300 * MS);
	ck_assert_int_eq(hooks.abort_status, -ETIMEDOUT);
}
END_TEST

/* Heard since the watch began, and not since the last send: owed since that, although the
 * kernel sends again in a way that does not show how long ago it was (a loss probe). */
START_TEST(i12_what_was_sent_last_is_owed_since_then)
{
	const uint64_t sent = START + 350 * MS;

	say(&MOVING);
	open_copying(0);
	ck_assert_uint_eq(zcreq_turn(context, sent), START + STALL_MS * MS);
	stub_send(conn, heard.id, data, sizeof(data));
	quiet_for(499, 499);
	info.tcpi_last_data_sent = 150;
	ck_assert_uint_eq(zcreq_turn(context, START + STALL_MS * MS), START + 510 * MS);
	quiet_for(509, 509);
	info.tcpi_last_data_sent = 160;
	ck_assert_uint_eq(zcreq_turn(context, START + 510 * MS), sent + STALL_MS * MS);
	quiet_for(849, 849);
	/* once as a probe, and once at the timeout: 300 would be all that it tells */
	info.tcpi_retransmits = 1;
	info.tcpi_rto = 400000;
	info.tcpi_last_data_sent = 100;
	zcreq_turn(context, sent + STALL_MS * MS);
	ck_assert_int_eq(hooks.abort_status, -ETIMEDOUT);
}
END_TEST

/* All was acknowledged 400 ms ago, and then the stream ended. The kernel does not tell when
 * it sent that, nor when it sent it again: here after 200 ms. */
START_TEST(i12_the_end_is_owed_since_it_was_sent)
{
	const uint64_t ended = START + 400 * MS;

	say(&ACKED);
	open_copying(0);
	zcreq_turn(context, ended);
	ck_assert_int_eq(zcreq_conn_end(conn), 0);
	ck_assert_uint_eq(stub.shutdowns, 1);
	info.tcpi_state = 4;
	info.tcpi_unacked = 1;
	info.tcpi_retransmits = 0;
	for (uint32_t ms = 0; ms < STALL_MS; ms += 10) {
		quiet_for(399 + ms, 399 + ms);
		info.tcpi_last_data_sent = 400 + ms;
		info.tcpi_retransmits = ms >= 200;
		info.tcpi_rto = ms >= 200 ? 400000 : 200000;
		zcreq_turn(context, ended + ms * MS);
		ck_assert_uint_eq(hooks.abort, 0);
	}
	quiet_for(399 + STALL_MS, 399 + STALL_MS);
	info.tcpi_last_data_sent = 400 + STALL_MS;
	zcreq_turn(context, ended + STALL_MS * MS);
	ck_assert_int_eq(hooks.abort_status, -ETIMEDOUT);
	ck_assert_int_eq(zcreq_conn_cause(conn), ZCREQ_CAUSE_VANISHED);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("owed");
	TCase *copied = tcase_create("copied");

	tcase_add_checked_fixture(copied, watch_setup, watch_teardown);
	tcase_add_test(copied, i12_copied_bytes_that_nobody_acknowledges_are_watched);
	tcase_add_test(copied, i12_also_those_that_the_kernel_has_not_sent);
	tcase_add_test(copied, what_is_copied_and_acknowledged_is_left_after_one_look);
	tcase_add_loop_test(copied,
			    i12_a_busy_connection_that_copies_is_looked_at_once_in_the_limit, 0,
			    2);
	tcase_add_loop_test(copied, i12_what_was_not_taken_is_owed_since_the_peer_was_heard, 0, 1);
	tcase_add_loop_test(copied, i12_what_was_not_taken_is_owed_since_the_peer_was_heard, 10,
			    13);
	tcase_add_test(copied, silence_before_it_was_asked_does_not_count);
	tcase_add_test(copied, i12_what_was_sent_last_is_owed_since_then);
	tcase_add_test(copied, i12_the_end_is_owed_since_it_was_sent);
	suite_add_tcase(s, copied);
	return suite_run(s);
}
