/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_quarantine.c - into quarantine when proof does not come, out of it when it does
 */
#include "support/suite.h"

#include <errno.h>

#include "support/scene.h"

static zcreq_hold hold;

static void setup(void)
{
	scene_setup_open();
	stub.keeps = true;
	heard_begin(conn, &heard);
}

static void teardown(void)
{
	scene_teardown();
	ck_assert_int_eq(heard.status, -ECONNRESET);
}

static void send_and_abort(void)
{
	stub_send(conn, heard.id, data, sizeof(data));
	ck_assert_int_eq(zcreq_conn_abort(conn, -ECONNRESET), 0);
}

/* Until the linger time is over: the kernel keeps what it has. */
static void linger(void)
{
	for (uint64_t s = 0; s < 8; s++)
		zcreq_turn(context, s * SECOND);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_QUARANTINED);
}

static void late_proof(void)
{
	stub_prove_all(&stub);
	zcreq_turn(context, 9 * SECOND);
}

static void expect_quarantined(uint64_t requests)
{
	ck_assert_uint_eq(stats_of(context).quarantined_now, requests);
	ck_assert_uint_eq(stats_of(context).quarantined_bytes_now, requests * sizeof(data));
}

START_TEST(quarantine_is_told_and_late_proof_still_releases)
{
	send_and_abort();
	scene_finish(0);
	linger();
	ck_assert_int_eq(zcreq_request_state(context, heard.id), ZCREQ_STATE_QUARANTINED);
	ck_assert_uint_eq(heard.quarantined, 1);
	ck_assert_uint_eq(heard.released, 0);
	expect_quarantined(1);
	late_proof();
	ck_assert_uint_eq(heard.released, 1);
}
END_TEST

START_TEST(the_last_proof_ends_it_and_the_hold_is_waited_for_outside)
{
	hold = heard_take(context, &heard);
	send_and_abort();
	scene_finish(0);
	linger();
	expect_quarantined(1);
	late_proof();
	ck_assert_int_eq(zcreq_request_state(context, heard.id), ZCREQ_STATE_ABORTED_FINISHED);
	expect_quarantined(0);
	ck_assert_uint_eq(heard.released, 0);
	ck_assert_int_eq(zcreq_drop(context, hold, 0), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_uint_eq(heard.quarantined, 1);
}
END_TEST

/* Not even with a neighbour that is, on the same connection. */
START_TEST(a_hold_of_the_caller_is_never_quarantined)
{
	struct heard kept = {0};

	hold = heard_take(context, &heard);
	scene_finish(0);
	heard_begin(conn, &kept);
	stub_send(conn, kept.id, data, sizeof(data));
	ck_assert_int_eq(zcreq_finish(context, kept.id, 0), 0);
	ck_assert_int_eq(zcreq_conn_abort(conn, -ECONNRESET), 0);
	linger();
	ck_assert_uint_eq(kept.quarantined, 1);
	ck_assert_uint_eq(heard.quarantined, 0);
	ck_assert_int_eq(zcreq_request_state(context, heard.id), ZCREQ_STATE_ABORTED_FINISHED);
	ck_assert_int_eq(zcreq_drop(context, hold, 0), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_uint_eq(kept.released, 0);
	late_proof();
	ck_assert_uint_eq(kept.released, 1);
}
END_TEST

START_TEST(finish_in_a_quarantined_connection_quarantines)
{
	send_and_abort();
	linger();
	ck_assert_int_eq(zcreq_request_state(context, heard.id), ZCREQ_STATE_ABORTING);
	ck_assert_uint_eq(heard.quarantined, 0);
	scene_finish(0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.quarantined, 1);
	expect_quarantined(1);
	late_proof();
}
END_TEST

/* Proof that comes before the callback leaves only what the caller can know of. */
START_TEST(it_is_not_told_once_the_kernel_has_let_go)
{
	hold = heard_take(context, &heard);
	send_and_abort();
	linger();
	scene_finish(0);
	late_proof();
	expect_quarantined(0);
	ck_assert_uint_eq(heard.quarantined, 0);
	ck_assert_int_eq(zcreq_drop(context, hold, 0), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.released, 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("quarantine");
	TCase *tests = tcase_create("quarantine");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, quarantine_is_told_and_late_proof_still_releases);
	tcase_add_test(tests, the_last_proof_ends_it_and_the_hold_is_waited_for_outside);
	tcase_add_test(tests, a_hold_of_the_caller_is_never_quarantined);
	tcase_add_test(tests, finish_in_a_quarantined_connection_quarantines);
	tcase_add_test(tests, it_is_not_told_once_the_kernel_has_let_go);
	suite_add_tcase(s, tests);
	return suite_run(s);
}
