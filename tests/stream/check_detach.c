/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_detach.c - the buffers of an aborted request are the program's at once
 */
#include "support/suite.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "stream/stream.h"
#include "stream/detach_scene.h"

START_TEST(a_detached_request_is_released_and_the_connection_waits_for_the_kernel)
{
	static char said[ZCREQ_EXPLAIN_MAX];

	send_and_abort();
	ck_assert_int_eq(zcreq_detach(context, heard.id, ZCREQ_DETACH_DISCARD), 0);
	ck_assert_uint_eq(asked.calls, 1);
	ck_assert_uint_eq(asked.flags, ZCREQ_DETACH_DISCARD);
	ck_assert_ptr_eq(asked.lent[0].iov_base, data);
	ck_assert_uint_eq(asked.lent[0].iov_len, sizeof(data));
	ck_assert_uint_eq(heard.released, 0);
	zcreq_turn(context, SECOND);
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_int_eq(heard.status, -ECONNRESET);
	expect_detached(1, sizeof(data));
	ck_assert_int_gt(zcreq_conn_explain(conn, ZCREQ_TEXT, said, sizeof(said)), 0);
	ck_assert_ptr_nonnull(strstr(said, "64 bytes of these detached"));
	ck_assert_int_gt(zcreq_conn_explain(conn, ZCREQ_JSON, said, sizeof(said)), 0);
	ck_assert_ptr_nonnull(strstr(said, "\"detached_bytes\":64,"));
	ck_assert_int_ne(zcreq_conn_state(conn), ZCREQ_CONN_CLOSED);
	ck_assert_uint_eq(stub.closes, 0);
	/* the kernel lets go */
	stub_prove_all(&stub);
	zcreq_turn(context, 2 * SECOND);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_CLOSED);
	expect_detached(1, 0);
	ck_assert_uint_eq(heard.released, 1);
}
END_TEST

START_TEST(out_of_quarantine_too)
{
	send_and_abort();
	for (uint64_t s = 1; s < 9; s++)
		zcreq_turn(context, s * SECOND);
	ck_assert_int_eq(zcreq_request_state(context, heard.id), ZCREQ_STATE_QUARANTINED);
	ck_assert_int_eq(zcreq_detach(context, heard.id, 0), 0);
	zcreq_turn(context, 9 * SECOND);
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_uint_eq(stats_of(context).quarantined_now, 0);
	ck_assert_uint_eq(stats_of(context).quarantined_bytes_now, 0);
	expect_detached(1, sizeof(data));
}
END_TEST

START_TEST(the_owner_and_his_holds_are_waited_for)
{
	zcreq_hold hold;

	open_and_begin();
	hold = heard_take(context, &heard);
	stub_send(conn, heard.id, data, sizeof(data));
	ck_assert_int_eq(zcreq_conn_abort(conn, -ECONNRESET), 0);
	zcreq_turn(context, SECOND);
	ck_assert_int_eq(zcreq_detach(context, heard.id, 0), 0);
	ck_assert_int_eq(zcreq_detach(context, heard.id, 0), 0); /* nothing is left of it */
	ck_assert_uint_eq(asked.calls, 1);
	zcreq_turn(context, SECOND);
	ck_assert_uint_eq(heard.released, 0);
	scene_finish(0);
	zcreq_turn(context, SECOND);
	ck_assert_uint_eq(heard.released, 0);
	ck_assert_int_eq(zcreq_drop(context, hold, 0), 0);
	zcreq_turn(context, SECOND);
	ck_assert_uint_eq(heard.released, 1);
}
END_TEST

/* ---- which memory ---- */

START_TEST(a_connection_is_detached_in_one_go_and_each_byte_once)
{
	scene_open();
	send_pages(&more[0], 5 * PAGE, 100);
	send_pages(&more[1], 100, PAGE);      /* touches the next, */
	send_pages(&more[2], PAGE + 100, 50);
	send_pages(&more[3], 200, 2 * PAGE);  /* and this lies over both */
	abort_now();
	ck_assert_int_eq(zcreq_conn_detach(conn, 0), 0);
	ck_assert_uint_eq(asked.calls, 1);
	ck_assert_int_eq(asked.count, 2);
	expect_asked(0, 100, 2 * PAGE + 100);
	expect_asked(1, 5 * PAGE, 100);
	zcreq_turn(context, SECOND);
	for (int i = 0; i < 4; i++)
		ck_assert_uint_eq(more[i].released, 1);
	ck_assert_int_eq(zcreq_conn_detach(conn, 0), 0);
	ck_assert_uint_eq(asked.calls, 1);
}
END_TEST

/* What one exchange covers is not lent by the others any more. */
START_TEST(a_page_of_several_requests_is_exchanged_once)
{
	scene_open();
	send_pages(&more[0], 100, PAGE);            /* pages 0 and 1 */
	send_pages(&more[1], PAGE + 200, 2 * PAGE); /* 1, 2 and 3 */
	send_pages(&more[2], 300, 100);             /* 0 */
	send_pages(&more[3], 0, 4 * PAGE);          /* beyond both sides */
	abort_now();
	ck_assert_int_eq(zcreq_detach(context, more[0].id, 0), 0);
	expect_asked(0, 100, PAGE);
	ck_assert_int_eq(zcreq_detach(context, more[1].id, 0), 0);
	expect_asked(0, 2 * PAGE, PAGE + 200);
	/* all of it is exchanged already: nobody is asked */
	ck_assert_int_eq(zcreq_detach(context, more[2].id, 0), 0);
	ck_assert_uint_eq(asked.calls, 2);
	ck_assert_int_eq(zcreq_detach(context, more[3].id, 0), 0);
	ck_assert_uint_eq(asked.calls, 2);
	zcreq_turn(context, SECOND);
	for (int i = 0; i < 4; i++)
		ck_assert_uint_eq(more[i].released, 1);
}
END_TEST

START_TEST(an_end_that_was_exchanged_is_cut_off)
{
	scene_open();
	send_pages(&more[0], PAGE + 10, 10);
	send_pages(&more[1], 0, PAGE + 5);   /* its last page is the other's */
	send_pages(&more[2], 0, 3 * PAGE);   /* it lies in the middle: stays whole */
	send_pages(&more[3], 6 * PAGE, 10);
	abort_now();
	ck_assert_int_eq(zcreq_detach(context, more[0].id, 0), 0);
	ck_assert_int_eq(zcreq_detach(context, more[1].id, 0), 0);
	expect_asked(0, 0, PAGE);
	ck_assert_int_eq(zcreq_detach(context, more[2].id, 0), 0);
	expect_asked(0, PAGE, 2 * PAGE);
	ck_assert_int_eq(zcreq_detach(context, more[3].id, 0), 0);
	expect_asked(0, 6 * PAGE, 10);
	zcreq_turn(context, SECOND);
}
END_TEST

START_TEST(two_ranges_on_one_page_cut_once)
{
	const struct iovec iov[] = {{pages + 10, 10}, {pages + 100, 10}};

	scene_open();
	heard_begin(conn, &more[0]);
	ck_assert_int_eq(zcreq_add(context, more[0].id, iov, 2, 0), 0);
	ck_assert_int_eq(zcreq_finish(context, more[0].id, 0), 0);
	send_pages(&more[1], 50, 2 * PAGE);
	abort_now();
	ck_assert_int_eq(zcreq_detach(context, more[0].id, 0), 0);
	ck_assert_int_eq(asked.count, 2);
	ck_assert_int_eq(zcreq_detach(context, more[1].id, 0), 0);
	ck_assert_int_eq(asked.count, 1);
	expect_asked(0, PAGE, PAGE + 50);
	zcreq_turn(context, SECOND);
}
END_TEST

START_TEST(memory_in_the_middle_of_a_loan_is_exchanged_once_more)
{
	scene_open();
	send_pages(&more[0], PAGE, 10);
	send_pages(&more[1], 0, 3 * PAGE);
	abort_now();
	ck_assert_int_eq(zcreq_detach(context, more[0].id, 0), 0);
	ck_assert_int_eq(zcreq_detach(context, more[1].id, 0), 0);
	expect_asked(0, 0, 3 * PAGE);
	zcreq_turn(context, SECOND);
}
END_TEST

/* The queue is long and goes around; what has left it is not lent. */
START_TEST(only_what_has_no_proof_is_exchanged)
{
	const struct iovec iov[] = {{pages, 10}, {pages + 100, 0}, {pages + 200, 10}};

	scene_open();
	for (int i = 0; i < 100; i++) {
		memset(&heard, 0, sizeof(heard));
		heard_begin(conn, &heard);
		ck_assert_int_eq(zcreq_add(context, heard.id, iov, 3, 0), 0);
		scene_finish(0);
		zcreq_turn(context, 0);
		scene_prove();
		zcreq_turn(context, SECOND);
	}
	for (int i = 0; i < 4; i++)
		send_pages(&more[i], (size_t)i * 2 * PAGE, 10);
	stub_notify(&stub, 101, 101, false);
	zcreq_process(conn, POLLERR);
	abort_now();
	ck_assert_int_eq(zcreq_conn_detach(conn, 0), 0);
	ck_assert_int_eq(asked.count, 3);
	expect_asked(0, 0, 10);
	expect_asked(1, 4 * PAGE, 10);
	expect_asked(2, 6 * PAGE, 10);
	zcreq_turn(context, SECOND);
}
END_TEST

START_TEST(one_shot_sends_lend_as_well)
{
	const struct iovec iov = {pages + PAGE, 20}, more_iov = {pages + 3 * PAGE, 30};

	scene_open();
	/* the second has its places already */
	ck_assert_int_eq(zcreq_send(conn, &silent, NULL, &iov, 1, 0, NULL), 0);
	ck_assert_int_eq(zcreq_send(conn, &silent, NULL, &more_iov, 1, 0, NULL), 0);
	zcreq_turn(context, 0);
	abort_now();
	ck_assert_int_eq(zcreq_conn_detach(conn, 0), 0);
	expect_asked(0, PAGE, 20);
	expect_asked(1, 3 * PAGE, 30);
	zcreq_turn(context, SECOND);
	expect_detached(2, 50);
}
END_TEST

/* ---- by itself ---- */

START_TEST(after_detach_ms_by_itself_and_no_quarantine)
{
	options.detach_ms = 1000;
	options.flags = 0;
	open_and_begin();
	stub_send(conn, heard.id, data, sizeof(data));
	scene_finish(0);
	zcreq_turn(context, SECOND);
	ck_assert_int_eq(zcreq_conn_abort(conn, -ECONNRESET), 0);
	zcreq_turn(context, SECOND);
	/* it says when */
	for (uint64_t now = SECOND, next; now < 2 * SECOND; now = next) {
		next = zcreq_turn(context, now);
		if (now < 2 * SECOND)
			ck_assert_uint_eq(asked.calls, 0);
		ck_assert_uint_gt(next, now);
		ck_assert_uint_le(next, 2 * SECOND);
	}
	zcreq_turn(context, 2 * SECOND);
	ck_assert_uint_eq(asked.calls, 1);
	ck_assert_uint_eq(asked.flags, 0);
	ck_assert_uint_eq(heard.released, 1);
	zcreq_turn(context, 10 * SECOND);
	ck_assert_uint_eq(heard.quarantined, 0);
	ck_assert_uint_eq(asked.calls, 1);
}
END_TEST

START_TEST(what_is_refused_goes_to_quarantine_and_is_not_tried_again)
{
	options.detach_ms = 1000;
	asked.answer = -EPERM;
	send_and_abort();
	for (uint64_t s = 1; s < 20; s++)
		zcreq_turn(context, s * SECOND);
	ck_assert_uint_eq(asked.calls, 1);
	ck_assert_uint_eq(heard.quarantined, 1);
	ck_assert_uint_eq(heard.released, 0);
}
END_TEST

/* ---- a trace and a reader ---- */

START_TEST(it_is_in_the_trace)
{
	static uint64_t log[1024];
	const struct zcreq_trace_options to = {
		.size = sizeof(to), .memory = log, .memory_bytes = sizeof(log),
	};
	const struct zcreq_trace_header *header = (const void *)log;
	const struct zcreq_trace_event *event = (const void *)(header + 1);
	int32_t said[2] = {1, 1};
	int found = 0;

	ck_assert_int_eq(zcreq_trace_start(context, &to), 0);
	send_and_abort();
	asked.answer = -EPERM;
	ck_assert_int_eq(zcreq_detach(context, heard.id, 0), -EPERM);
	asked.answer = 0;
	ck_assert_int_eq(zcreq_detach(context, heard.id, 0), 0);
	zcreq_turn(context, SECOND);
	for (uint64_t i = 0; i < header->written; i++) {
		if (event[i].kind != ZCREQ_TRACE_DETACH)
			continue;
		ck_assert_uint_eq(event[i].subject, heard.id.bits);
		ck_assert_uint_eq(event[i].first, found ? 1 : 0);
		said[found++] = event[i].status;
	}
	ck_assert_int_eq(found, 2);
	ck_assert_int_eq(said[0], -EPERM);
	ck_assert_int_eq(said[1], 0);
	ck_assert_int_eq(zcreq_trace_stop(context), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("detach");
	TCase *test = tcase_create("detach");

	tcase_add_checked_fixture(test, detach_setup, detach_teardown);
	tcase_add_test(test, a_detached_request_is_released_and_the_connection_waits_for_the_kernel);
	tcase_add_test(test, out_of_quarantine_too);
	tcase_add_test(test, the_owner_and_his_holds_are_waited_for);
	tcase_add_test(test, a_connection_is_detached_in_one_go_and_each_byte_once);
	tcase_add_test(test, a_page_of_several_requests_is_exchanged_once);
	tcase_add_test(test, an_end_that_was_exchanged_is_cut_off);
	tcase_add_test(test, two_ranges_on_one_page_cut_once);
	tcase_add_test(test, memory_in_the_middle_of_a_loan_is_exchanged_once_more);
	tcase_add_test(test, only_what_has_no_proof_is_exchanged);
	tcase_add_test(test, one_shot_sends_lend_as_well);
	tcase_add_test(test, after_detach_ms_by_itself_and_no_quarantine);
	tcase_add_test(test, what_is_refused_goes_to_quarantine_and_is_not_tried_again);
	tcase_add_test(test, it_is_in_the_trace);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
