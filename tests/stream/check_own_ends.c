/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_own_ends.c - how a connection ends on which a program makes its own sends
 *
 * Aborts before, between and after the offer and the report; reports that cannot be; the
 * watchdog; the drain; quarantine. What an offer and a report do in health is in check_own.c.
 */
#include "support/suite.h"

#include <errno.h>
#include <linux/tcp.h>
#include <poll.h>
#include <string.h>

#include "support/own.h"
#include "support/scene.h"

static struct heard second;
static struct tcp_info info;
static uint64_t memory_of_log[8192];

static void setup(void)
{
	scene_setup();
	options.flags = ZCREQ_STREAM_OWN_SENDS;
}

static void open_and_begin(void)
{
	scene_open();
	stub.getsockopts = COUNT(stub.getsockopt_error);
	heard_begin(conn, &heard);
}

static void setup_open(void)
{
	setup();
	open_and_begin();
}

static struct zcreq_part part_of(uint64_t bytes)
{
	return (struct zcreq_part){heard.id, bytes};
}

static void offer(uint64_t bytes)
{
	const struct zcreq_part part = part_of(bytes);

	ck_assert_int_eq(zcreq_offer(conn, &part, 1, NULL), 0);
}

static void send_one(uint64_t bytes, bool by_reference)
{
	const struct zcreq_part part = part_of(bytes);

	own_send(&part, 1, by_reference);
}

static void expect_broken(void)
{
	ck_assert_int_eq(zcreq_conn_cause(conn), ZCREQ_CAUSE_SENDER);
	zcreq_turn(context, 0);
	ck_assert_int_eq(hooks.abort_status, -ERANGE);
	ck_assert_int_eq(heard.status, -ERANGE);
}

/* ---- aborts -------------------------------------------------------------------- */

START_TEST(i4_an_abort_tells_the_owner_and_refuses_what_it_still_has)
{
	const struct zcreq_part part = part_of(10);

	send_one(10, true);
	ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.settled, 1);
	ck_assert_uint_eq(heard.aborting, 1);
	ck_assert_int_eq(zcreq_offer(conn, &part, 1, NULL), -ESHUTDOWN);
	ck_assert_int_eq(zcreq_events(conn), 0);
	scene_finish(0);
	zcreq_turn(context, 0); /* I5: no timer */
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_int_eq(heard.status, -EIO);
	ck_assert_int_eq(zcreq_sent(conn, -EPIPE, true), -ESTALE);
}
END_TEST

/*
 * Between the offer and the report: whatever the call took before the abort is held until
 * its report, and its proof may be here before that. @_i: 0 by reference and taken, 1 and
 * its notification is read first, 2 copied, 3 refused because of the abort.
 */
START_TEST(an_abort_before_the_report_holds_what_was_offered)
{
	const struct zcreq_part parts[3] = {
		part_of(20), part_of(20), {heard_begin(conn, &second), 20},
	};

	ck_assert_int_eq(zcreq_offer(conn, parts, 3, NULL), 0);
	stub.keeps = true;
	if (_i < 3)
		own_call(30, _i < 2);
	ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	scene_finish(0);
	ck_assert_int_eq(zcreq_finish(context, second.id, 0), 0);
	if (_i == 1)
		stub_prove_all(&stub);
	zcreq_turn(context, SECOND);
	zcreq_turn(context, SECOND + 100 * MS);
	ck_assert_uint_eq(heard.settled, 1);
	ck_assert_uint_eq(heard.released + second.released, 0);
	ck_assert_int_eq(zcreq_sent(conn, _i < 3 ? 30 : -EPIPE, _i != 2), 0);
	zcreq_turn(context, SECOND + 101 * MS);
	ck_assert_uint_eq(second.released, 1); /* nothing of it was taken */
	ck_assert_uint_eq(heard.released, _i != 0);
	if (_i == 0) {
		stub_prove_all(&stub);
		zcreq_turn(context, SECOND + 200 * MS);
	}
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_int_eq(heard.status, -EIO);
	ck_assert_uint_eq(hooks.closed, 1);
	ck_assert_uint_eq(stats_of(context).proved_copied, _i == 2 ? 2 : 0);
	ck_assert_uint_eq(stats_of(context).proved_unsent, _i == 3 ? 3 : 1);
}
END_TEST

START_TEST(an_error_of_the_call_ends_the_connection)
{
	static const struct { int error; enum zcreq_cause cause; } errors[] = {
		{-EPIPE, ZCREQ_CAUSE_RESET}, {-ECONNRESET, ZCREQ_CAUSE_RESET},
		{-EFAULT, ZCREQ_CAUSE_MEMORY}, {-ETIMEDOUT, ZCREQ_CAUSE_KERNEL_TIMEOUT},
	};

	offer(10);
	ck_assert_int_eq(zcreq_sent(conn, errors[_i].error, true), 0);
	ck_assert_int_eq(zcreq_conn_cause(conn), (int)errors[_i].cause);
	zcreq_turn(context, 0);
	ck_assert_int_eq(hooks.abort_status, errors[_i].error);
}
END_TEST

/* An error of the socket may be handed in between the two. */
START_TEST(an_error_of_the_socket_before_the_report)
{
	offer(10);
	zcreq_process(conn, POLLERR);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_OPEN);
	stub.so_error = ECONNRESET;
	zcreq_process(conn, POLLERR | POLLHUP);
	ck_assert_int_eq(zcreq_conn_cause(conn), ZCREQ_CAUSE_RESET);
	ck_assert_int_eq(zcreq_sent(conn, -EPIPE, true), 0);
}
END_TEST

START_TEST(without_a_report_it_goes_to_quarantine_and_comes_back)
{
	offer(40);
	ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	scene_finish(0);
	zcreq_turn(context, SECOND);
	zcreq_turn(context, 7 * SECOND);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_QUARANTINED);
	ck_assert_uint_eq(heard.quarantined, 1);
	ck_assert_uint_eq(stats_of(context).quarantined_bytes_now, 40);
	ck_assert_int_eq(zcreq_sent(conn, 20, false), 0);
	zcreq_turn(context, 7 * SECOND);
	ck_assert_uint_eq(heard.released, 1);
}
END_TEST

START_TEST(what_a_kernel_keeps_goes_to_quarantine)
{
	stub.keeps = true;
	send_one(40, true);
	ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	scene_finish(0);
	zcreq_turn(context, SECOND);
	zcreq_turn(context, 7 * SECOND);
	ck_assert_uint_eq(heard.quarantined, 1);
	stub_prove_all(&stub);
	zcreq_turn(context, 9 * SECOND);
	ck_assert_uint_eq(heard.released, 1);
}
END_TEST

/* ---- reports that cannot be ------------------------------------------------------ */

START_TEST(more_bytes_than_were_offered_end_it_and_release_nothing)
{
	stub.keeps = true;
	offer(40);
	ck_assert_int_eq(zcreq_sent(conn, 41, _i), -ERANGE);
	scene_finish(0);
	expect_broken();
	ck_assert_uint_eq(heard.released, 0);
	stub_notify(&stub, 0, 0, false);
	zcreq_turn(context, SECOND);
	zcreq_turn(context, 2 * SECOND);
	ck_assert_uint_eq(heard.released, 1);
}
END_TEST

START_TEST(bytes_that_were_not_offered_end_it)
{
	ck_assert_int_eq(zcreq_sent(conn, 1, _i), -ERANGE);
	expect_broken();
}
END_TEST

START_TEST(by_reference_on_a_stream_that_copies_ends_it)
{
	setup();
	options.mode = ZCREQ_MODE_NEVER;
	open_and_begin();
	send_one(10, false);
	ck_assert_uint_eq(hooks.abort, 0);
	offer(10);
	ck_assert_int_eq(zcreq_sent(conn, 10, true), -ERANGE);
	scene_finish(0);
	expect_broken();
	ck_assert_uint_eq(heard.released, 0);
	stub_notify(&stub, 0, 0, false);
}
END_TEST

/* Whose notification is it? Of a call that was not told of, or was told of as a copy. */
START_TEST(i13_a_notification_of_a_call_that_nobody_told_of_ends_it)
{
	stub.keeps = true;
	send_one(10, true);
	if (!_i)
		offer(10);
	own_call(10, true);
	if (!_i)
		ck_assert_int_eq(zcreq_sent(conn, 10, false), 0);
	stub_notify(&stub, 1, 1, false);
	zcreq_process(conn, POLLERR);
	ck_assert_uint_eq(stats_of(context).bogus_ranges, 1);
	expect_broken();
	ck_assert_uint_eq(heard.released, 0);
	stub_notify(&stub, 0, 0, false);
	stub.unproven = stub.next_id;
}
END_TEST

START_TEST(what_was_proven_before_is_bogus_and_ends_nothing)
{
	send_one(10, true);
	send_one(10, true);
	stub_notify(&stub, 0, 0, false);
	stub_notify(&stub, 0, 0, false);
	zcreq_process(conn, POLLERR);
	ck_assert_uint_eq(stats_of(context).bogus_ranges, 1);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_OPEN);
	stub.unproven = 1;
}
END_TEST

/* The kernel has told of its end, so it was by reference: @_i: copied, or refused. */
START_TEST(a_report_against_the_notification_ends_it)
{
	offer(40);
	own_call(40, true);
	stub_prove_all(&stub);
	zcreq_process(conn, POLLERR);
	ck_assert_int_eq(zcreq_sent(conn, _i ? 40 : -EAGAIN, !_i), -ERANGE);
	scene_finish(0);
	expect_broken();
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.released, 1); /* of which there is proof */
}
END_TEST

/* ---- the watchdog ----------------------------------------------------------------- */

/* I12: also with nothing but copied bytes, of which no request waits. */
START_TEST(i12_a_peer_that_vanishes_is_found)
{
	setup();
	options.stall_ms = 500;
	stub.info = &info;
	info = (struct tcp_info){.tcpi_state = 1};
	open_and_begin();
	zcreq_turn(context, SECOND);
	send_one(40, _i);
	info = (struct tcp_info){
		.tcpi_state = 1, .tcpi_unacked = 1, .tcpi_snd_mss = 1448,
		.tcpi_snd_wnd = 1448, .tcpi_last_ack_recv = 999999,
		.tcpi_last_data_recv = 999999, .tcpi_rto = 200000,
		.tcpi_retransmits = 2,
	};
	ck_assert_uint_eq(zcreq_turn(context, SECOND), SECOND + 500 * MS);
	ck_assert_uint_eq(hooks.abort, 0);
	zcreq_turn(context, SECOND + 500 * MS);
	ck_assert_uint_eq(hooks.abort, 1);
	ck_assert_int_eq(hooks.abort_status, -ETIMEDOUT);
	ck_assert_int_eq(zcreq_conn_cause(conn), ZCREQ_CAUSE_VANISHED);
	ck_assert_uint_eq(heard.aborting, 1);
	scene_finish(0);
	zcreq_turn(context, SECOND + 500 * MS);
	ck_assert_uint_eq(heard.released, 1);
}
END_TEST

START_TEST(an_offer_that_came_to_nothing_is_not_watched)
{
	setup();
	options.stall_ms = 500;
	open_and_begin();
	zcreq_turn(context, SECOND);
	offer(40);
	ck_assert_uint_eq(zcreq_turn(context, SECOND), SECOND + 500 * MS);
	ck_assert_int_eq(zcreq_sent(conn, -EAGAIN, true), 0);
	ck_assert_uint_eq(zcreq_turn(context, SECOND + 500 * MS), ZCREQ_NEVER);
	ck_assert_uint_eq(hooks.abort, 0);
}
END_TEST

/* ---- the end of the stream ----------------------------------------------------------- */

START_TEST(i11_a_drain_ends_after_what_was_reported)
{
	const struct zcreq_part part = part_of(10);

	send_one(10, true);
	ck_assert_int_eq(zcreq_conn_drain(conn, 0), 0);
	ck_assert_uint_eq(stub.shutdowns, 0); /* the request may still send */
	send_one(10, true);
	scene_finish(0);
	zcreq_turn(context, SECOND);
	ck_assert_uint_eq(stub.shutdowns, 0);
	stub.acks_late = true;
	scene_prove();
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_uint_eq(stub.shutdowns, 1);
	ck_assert_int_eq(zcreq_offer(conn, &part, 1, NULL), -ESHUTDOWN);
	ck_assert_uint_eq(hooks.closed, 0);
	stub_ack(&stub);
	zcreq_turn(context, 2 * SECOND);
	ck_assert_uint_eq(hooks.closed, 1);
	ck_assert_int_eq(zcreq_conn_cause(conn), ZCREQ_CAUSE_DRAINED);
}
END_TEST

START_TEST(the_end_waits_for_the_report)
{
	offer(10);
	ck_assert_int_eq(zcreq_conn_end(conn), 0);
	zcreq_turn(context, SECOND);
	ck_assert_uint_eq(stub.shutdowns, 0);
	own_call(10, true);
	ck_assert_int_eq(zcreq_sent(conn, 10, true), 0);
	ck_assert_uint_eq(stub.shutdowns, 1);
	ck_assert_int_eq(zcreq_offer(conn, &(struct zcreq_part){heard.id, 1}, 1, NULL), -ESHUTDOWN);
	scene_finish(0);
	scene_prove();
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_int_eq(heard.status, 0);
}
END_TEST

/* ---- the log --------------------------------------------------------------------------- */

static unsigned logged(enum zcreq_trace_kind kind)
{
	const struct zcreq_trace_header *header = (const void *)memory_of_log;
	const struct zcreq_trace_event *event = (const void *)(header + 1);
	unsigned n = 0;

	for (uint64_t i = 0; i < header->written; i++)
		n += event[i].kind == kind;
	return n;
}

/* Sends of requests, each with what was taken of it, and then the call. */
START_TEST(the_log_has_what_was_taken)
{
	const struct zcreq_trace_options of_log = {
		.size = sizeof(of_log), .memory = memory_of_log,
		.memory_bytes = sizeof(memory_of_log),
	};
	const struct zcreq_part parts[3] = {{heard.id, 10}, {{0}, 10}, {heard.id, 10}};

	ck_assert_int_eq(zcreq_trace_start(context, &of_log), 0);
	zcreq_turn(context, 0);
	own_refused(parts, 3, _i, -EAGAIN);
	ck_assert_uint_eq(logged(ZCREQ_TRACE_SEND), 0);
	ck_assert_uint_eq(logged(ZCREQ_TRACE_BATCH) + logged(ZCREQ_TRACE_COPY), 0);
	own_send(parts, 3, _i);
	ck_assert_uint_eq(logged(ZCREQ_TRACE_SEND), 2);
	ck_assert_uint_eq(logged(ZCREQ_TRACE_BATCH), (unsigned)_i);
	ck_assert_uint_eq(logged(ZCREQ_TRACE_COPY), !_i);
	scene_finish(0);
}
END_TEST

/* A stream that copies, on a socket on which others sent by reference before. Their
 * notifications come at any time, also when a call is under way that has the same id; without a
 * past (1) there is nobody else whose they could be. */
START_TEST(i13_in_mode_never_a_past_proves_nothing_and_ends_nothing)
{
	setup();
	options.mode = ZCREQ_MODE_NEVER;
	info = (struct tcp_info){.tcpi_state = 1, .tcpi_data_segs_out = !_i};
	stub.info = &info;
	stub.zerocopy_on = true;
	open_and_begin();
	send_one(10, false);
	stub_notify(&stub, 0, 0, false);
	ck_assert_int_eq(zcreq_process(conn, POLLERR), 0);
	ck_assert_uint_eq(stats_of(context).bogus_ranges, 1);
	if (_i) {
		scene_finish(0);
		expect_broken();
		return;
	}
	offer(10);
	scene_finish(0);
	for (uint32_t hi = 0; hi < 3; hi++)
		stub_notify(&stub, 0, hi, hi & 1);
	ck_assert_int_eq(zcreq_process(conn, POLLERR), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(stats_of(context).bogus_ranges, 4);
	ck_assert_uint_eq(stats_of(context).notifications, 0);
	ck_assert_uint_eq(heard.released, 0); /* I2 */
	own_call(10, false);
	ck_assert_int_eq(zcreq_sent(conn, 10, false), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(hooks.abort, 0);
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_int_eq(heard.status, 0);
	ck_assert_uint_eq(stats_of(context).proved_copied, 2);
}
END_TEST

static Suite *own_ends_suite(void)
{
	Suite *suite = suite_create("own_ends");
	TCase *tc = tcase_create("own_ends");

	tcase_add_checked_fixture(tc, setup_open, scene_teardown_late);
	tcase_add_test(tc, i4_an_abort_tells_the_owner_and_refuses_what_it_still_has);
	tcase_add_loop_test(tc, an_abort_before_the_report_holds_what_was_offered, 0, 4);
	tcase_add_loop_test(tc, an_error_of_the_call_ends_the_connection, 0, 4);
	tcase_add_test(tc, an_error_of_the_socket_before_the_report);
	tcase_add_test(tc, without_a_report_it_goes_to_quarantine_and_comes_back);
	tcase_add_test(tc, what_a_kernel_keeps_goes_to_quarantine);
	tcase_add_loop_test(tc, more_bytes_than_were_offered_end_it_and_release_nothing, 0, 2);
	tcase_add_loop_test(tc, bytes_that_were_not_offered_end_it, 0, 2);
	tcase_add_loop_test(tc, i13_a_notification_of_a_call_that_nobody_told_of_ends_it, 0, 2);
	tcase_add_test(tc, what_was_proven_before_is_bogus_and_ends_nothing);
	tcase_add_loop_test(tc, a_report_against_the_notification_ends_it, 0, 2);
	tcase_add_test(tc, i11_a_drain_ends_after_what_was_reported);
	tcase_add_test(tc, the_end_waits_for_the_report);
	tcase_add_loop_test(tc, the_log_has_what_was_taken, 0, 2);
	suite_add_tcase(suite, tc);
	tc = tcase_create("options");
	tcase_add_checked_fixture(tc, NULL, scene_teardown_late);
	tcase_add_test(tc, by_reference_on_a_stream_that_copies_ends_it);
	tcase_add_loop_test(tc, i13_in_mode_never_a_past_proves_nothing_and_ends_nothing, 0, 2);
	tcase_add_loop_test(tc, i12_a_peer_that_vanishes_is_found, 0, 2);
	tcase_add_test(tc, an_offer_that_came_to_nothing_is_not_watched);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(void)
{
	return suite_run(own_ends_suite());
}
