/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * check_conformance_sender.c - the list below the table of doc/field-cases.md: a transport of
 * the caller's own, that completes at once, late, twice or never
 *
 * It sends by keeping what it was lent in one list, and answers when the test says so.
 * Whether it still reads a buffer is what it knows itself, so each release is checked
 * against that. A framework that uses holds instead is in check_reentry.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/stage.h"
#include "support/suite.h"

#define LENT_MOST 64

/* One submission, until its proof is given. */
struct lent {
	uint32_t id;
	uint64_t bytes;
	bool reads; /* the memory */
};

static struct stage stage;
static struct lent lent[LENT_MOST];
static unsigned lents, closes;
static bool at_once; /* result and proof from inside submit() */
static bool with_more; /* a result is followed by a proof */

static int submit(struct zcreq_conn *conn, const struct zcreq_submission *submission, void *arg)
{
	struct zcreq_proof proof = { .id = submission->id };

	(void)arg;
	ck_assert_uint_lt(lents, LENT_MOST);
	ck_assert(submission->by_reference);
	lent[lents++] = (struct lent){ submission->id, submission->bytes, true };
	if (!at_once)
		return 0;
	lent[lents - 1].reads = false;
	ck_assert_int_eq(zcreq_sender_result(conn, proof.id, (int64_t)submission->bytes,
					     with_more), 0);
	if (with_more)
		ck_assert_int_eq(zcreq_sender_proof(conn, &proof, 1), 1);
	return 0;
}

static void closed(struct zcreq_conn *conn, void *arg)
{
	(void)conn;
	(void)arg;
	closes++;
}

static const struct zcreq_sender_ops sender = { .submit = submit, .closed = closed };

static void setup(void)
{
	stage_init(&stage);
	stage.options.sender = &sender;
	lents = closes = 0;
	at_once = false;
	with_more = true;
}

static void teardown(void)
{
	stage_deinit(&stage);
}

static void result(unsigned n, int64_t bytes)
{
	lent[n].reads = with_more;
	ck_assert_int_eq(zcreq_sender_result(stage.conn, lent[n].id, bytes, with_more), 0);
}

static int proof(unsigned n)
{
	struct zcreq_proof proof = { .id = lent[n].id };

	lent[n].reads = false;
	return zcreq_sender_proof(stage.conn, &proof, 1);
}

START_TEST(conform_transport_completes_at_once)
{
	struct stage_request *requests[20];
	int i;

	at_once = true;
	with_more = _i != 0;
	stage_open(&stage);
	for (i = 0; i < 20; i++)
		requests[i] = stage_request(&stage, 100);
	stage_flush(&stage);
	stage_run(&stage);
	for (i = 0; i < 20; i++)
		stage_expect_released(requests[i], 0);
	ck_assert_int_eq(zcreq_conn_drain(stage.conn, 0), 0);
	stage_run(&stage);
	ck_assert_uint_eq(closes, 0); /* the peer owes the acknowledgement of the end */
	stage_ack_all(&stage);
	stage_wait_ms(&stage, 1);
	ck_assert_uint_eq(closes, 1);
}
END_TEST

/* Cut short by every number of bytes, and proof in the order or against it. */
START_TEST(conform_transport_completes_late)
{
	struct stage_request *request;
	unsigned i, n, taken = 1 + (unsigned)_i / 2;

	stage_open(&stage);
	request = stage_sent(&stage, 100);
	stage_wait_ms(&stage, 3600000);
	ck_assert_uint_eq(lents, 1);
	result(0, taken);
	n = taken < 100 ? 2 : 1;
	ck_assert_uint_eq(lents, n);
	if (n > 1) {
		ck_assert_uint_eq(lent[1].bytes, 100 - taken);
		result(1, 100 - taken);
	}
	for (i = 0; i < n; i++) {
		stage_run(&stage);
		stage_expect_unreleased(request);
		ck_assert_int_eq(proof(_i % 2 ? i : n - 1 - i), 1);
	}
	stage_run(&stage);
	stage_expect_released(request, 0);
}
END_TEST

START_TEST(conform_transport_completes_twice)
{
	struct stage_request *first, *second;

	stage_open(&stage);
	first = stage_sent(&stage, 100);
	second = stage_sent(&stage, 100);
	result(0, 100);
	ck_assert_int_eq(zcreq_sender_result(stage.conn, lent[0].id, 100, true), -ESTALE);
	ck_assert_uint_eq(stage_stats(&stage).stale_handles, 1);
	ck_assert_uint_eq(stage_stats(&stage).sent_bytes, 100);
	ck_assert_int_eq(proof(0), 1);
	ck_assert_int_eq(proof(0), 0);
	stage_run(&stage);
	stage_expect_released(first, 0);
	stage_expect_unreleased(second);
	ck_assert_int_eq(proof(1), 0); /* not before its result */
	result(1, 100);
	ck_assert_int_eq(zcreq_sender_result(stage.conn, lent[1].id, 100, true), -ESTALE);
	ck_assert_uint_eq(stage_stats(&stage).sent_bytes, 200);
	stage_run(&stage);
	stage_expect_unreleased(second);
	ck_assert_int_eq(proof(1), 1);
	ck_assert_int_eq(proof(1), 0);
	stage_run(&stage);
	stage_expect_released(second, 0);
	ck_assert_uint_eq(stage_stats(&stage).released, 2);
	ck_assert_uint_eq(stage_stats(&stage).duplicate_ids + stage_stats(&stage).bogus_ranges, 3);
}
END_TEST

/* An error whose memory is still read: the result is the outcome, the proof the release. */
START_TEST(conform_transport_fails_and_goes_on_reading)
{
	struct stage_request *request;

	stage_open(&stage);
	request = stage_sent(&stage, 100);
	result(0, -ECONNRESET);
	stage_run(&stage);
	ck_assert_int_eq(stage.abort_status, -ECONNRESET);
	ck_assert_uint_eq(request->settled, 1);
	stage_wait_ms(&stage, 100);
	stage_expect_unreleased(request);
	ck_assert_uint_eq(closes, 0);
	ck_assert_int_eq(proof(0), 1);
	stage_run(&stage);
	stage_expect_released(request, -ECONNRESET);
	ck_assert_uint_eq(closes, 1);
}
END_TEST

/* No result, or no proof: the abort settles, and the buffer goes to quarantine, not back. */
START_TEST(conform_transport_never_completes)
{
	struct stage_request *request;

	stage.options.linger_ms = 500;
	stage_open(&stage);
	request = stage_sent(&stage, 100);
	if (_i)
		result(0, 100);
	ck_assert_int_eq(zcreq_conn_abort(stage.conn, -EIO), 0);
	stage_run(&stage);
	ck_assert_uint_eq(request->settled, 1);
	stage_wait_ms(&stage, 60000);
	stage_expect_unreleased(request);
	ck_assert_uint_eq(request->quarantined, 1);
	ck_assert_uint_eq(stage_stats(&stage).quarantined_bytes_now, 100);
	ck_assert_uint_eq(closes, 0);
	ck_assert_uint_eq(fake_kernel_open_sockets(stage.kernel), 1);
	if (!_i) /* even now, and as it likes */
		result(0, -ECANCELED);
	ck_assert_int_eq(proof(0), 1);
	stage_run(&stage);
	stage_expect_released(request, -EIO);
	ck_assert_uint_eq(closes, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("conformance, transports");
	TCase *tcase = tcase_create("claims");

	tcase_set_timeout(tcase, 30);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, conform_transport_completes_at_once, 0, 2);
	tcase_add_loop_test(tcase, conform_transport_completes_late, 0, 200);
	tcase_add_test(tcase, conform_transport_completes_twice);
	tcase_add_test(tcase, conform_transport_fails_and_goes_on_reading);
	tcase_add_loop_test(tcase, conform_transport_never_completes, 0, 2);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
