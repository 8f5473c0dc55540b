/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_sender_proof.c - what a sender proves, and what may go when
 *
 * Proofs early, late, twice, in any order, for others; and what the queue, requests
 * and limits make of memory that is lent.
 */
#include "support/suite.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include <zcreq/zcreq.h>

#include "stream/policy.h"
#include "support/sender_scene.h"

/* ---- proof -------------------------------------------------------------------- */

START_TEST(a_proof_before_its_result_is_not_believed)
{
	struct heard *request;

	open_stream();
	request = sent(0, 10);
	script_no_proof(&script, 0);
	ck_assert_uint_eq(stats().bogus_ranges, 1);
	script_result(&script, 10, true);
	ck_assert_uint_eq(released(request), 0);
	script_proof(&script, 0);
	ck_assert_uint_eq(released(request), 1);
}
END_TEST

START_TEST(a_proof_that_nobody_awaits_is_counted)
{
	struct heard *request;

	options.first_id = 100;
	options.flags = ZCREQ_STREAM_FIRST_ID;
	open_stream();
	script_no_proof(&script, 100);
	request = sent(0, 10);
	script_result(&script, 10, true);
	sent(1, 10);
	script_no_proof(&script, 99);
	script_no_proof(&script, 101); /* under way */
	script_no_proof(&script, 102);
	script_no_proof(&script, 100u + (1u << 31));
	ck_assert_uint_eq(released(request), 0);
	ck_assert_uint_eq(stats().bogus_ranges, 5);
	ck_assert_uint_eq(stats().notifications, 0);
	script_proof(&script, 100);
	ck_assert_uint_eq(released(request), 1);
}
END_TEST

/* Twice: told apart while an older one is awaited, forgotten after it. */
START_TEST(a_second_proof_releases_nobody)
{
	open_stream();
	for (unsigned i = 0; i < 3; i++) {
		sent(i, 10);
		script_result(&script, 10, true);
	}
	script_proof(&script, 1);
	script_no_proof(&script, 1);
	script_no_proof(&script, 1);
	ck_assert_uint_eq(stats().duplicate_ids, 2);
	ck_assert_uint_eq(stats().notifications, 1);
	ck_assert_uint_eq(released(&heard[0]) + heard[2].released, 0);
	script_proof(&script, 0);
	script_no_proof(&script, 1);
	script_no_proof(&script, 0);
	ck_assert_uint_eq(stats().bogus_ranges, 2);
	ck_assert_uint_eq(released(&heard[2]), 0);
	script_proof(&script, 2);
	ck_assert_uint_eq(released(&heard[2]), 1);
}
END_TEST

/* A result without more was the proof. */
START_TEST(a_proof_after_a_result_without_more_is_not_believed)
{
	open_stream();
	sent(0, 10);
	script_result(&script, 10, true);
	sent(1, 10);
	script_result(&script, 10, false);
	script_no_proof(&script, 1);
	ck_assert_uint_eq(stats().duplicate_ids, 1);
	ck_assert_uint_eq(released(&heard[0]), 0);
	script_proof(&script, 0);
	ck_assert_uint_eq(released(&heard[0]), 1);
}
END_TEST

/* Five in any order, one at a time or in one call, also around 2^32. */
START_TEST(proofs_in_any_order_release_their_own)
{
	static const uint32_t firsts[] = {0, UINT32_MAX - 2, UINT32_MAX, 1u << 31};
	uint32_t first = firsts[_i % 4], left = 0x1f;
	unsigned number = _i / 4, count = 0;
	struct zcreq_proof proofs[5] = {{0}};
	bool together = number % 2;

	options.first_id = first;
	options.flags = ZCREQ_STREAM_FIRST_ID;
	open_stream();
	for (unsigned i = 0; i < 5; i++) {
		sent(i, 10);
		ck_assert_uint_eq(script.id, first + i);
		script_result(&script, 10, true);
	}
	for (unsigned of = 5, n; of; of--, left &= ~(1u << n)) {
		unsigned skip = number % of;

		number /= of;
		for (n = 0; !(left & 1u << n) || skip--; n++)
			;
		proofs[count++].id = first + n;
		if (together)
			continue;
		script_proof(&script, first + n);
		zcreq_turn(context, 0);
		for (unsigned i = 0; i < 5; i++)
			ck_assert_uint_eq(heard[i].released, i == n || !(left & 1u << i));
	}
	if (together) {
		script.awaited = 0;
		ck_assert_int_eq(zcreq_sender_proof(conn, proofs, 5), 5);
		ck_assert_uint_eq(script.stub.looks, 2); /* one to open, one for all */
	}
	zcreq_turn(context, 0);
	ck_assert_uint_eq(stats().released, 5);
	ck_assert_uint_eq(stats().notifications, 5);
}
END_TEST

START_TEST(good_and_bad_proofs_in_one_call_are_told_apart)
{
	const struct zcreq_proof proofs[] = {{.id = 7}, {.id = 2}, {.id = 2}, {.id = 9}, {.id = 0}};

	open_stream();
	for (unsigned i = 0; i < 3; i++) {
		sent(i, 10);
		script_result(&script, 10, true);
	}
	ck_assert_int_eq(zcreq_sender_proof(conn, proofs, 5), 2);
	script.awaited = 1;
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard[0].released, 1);
	ck_assert_uint_eq(heard[1].released, 0);
	ck_assert_uint_eq(heard[2].released, 1);
	ck_assert_uint_eq(stats().bogus_ranges, 2);
	ck_assert_uint_eq(stats().duplicate_ids, 1);
	ck_assert_int_eq(zcreq_sender_proof(conn, proofs, 0), 0);
	script_proof(&script, 1);
}
END_TEST

/* The socket's own error queue has ids too; they are not a sender's. */
START_TEST(notifications_of_the_socket_are_not_a_senders_proof)
{
	struct heard *request;

	open_stream();
	request = sent(0, 10);
	script_result(&script, 10, true);
	stub_notify(&script.stub, 0, 0, false);
	stub_notify(&script.stub, 0, UINT32_MAX, false);
	stub_foreign(&script.stub);
	zcreq_process(conn, POLLERR);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(request->released, 0);
	ck_assert_uint_eq(stats().bogus_ranges, 2);
	ck_assert_uint_eq(heard_conn.message, 1);
	script_proof(&script, 0);
	ck_assert_uint_eq(released(request), 1);
}
END_TEST

START_TEST(proofs_that_say_copied_feed_the_policy)
{
	struct zcreq_proof proof = {.copied = true};

	options.mode = ZCREQ_MODE_AUTO;
	options.threshold_bytes = 10;
	open_stream();
	for (unsigned i = 0; i < ZCREQ_POLICY_PROBE; i++) {
		memset(&heard[0], 0, sizeof(heard[0]));
		sent(0, 10);
		ck_assert(script.by_reference);
		script_result(&script, 10, true);
		proof.id = script.id;
		script.awaited--;
		ck_assert_int_eq(zcreq_sender_proof(conn, &proof, 1), 1);
		zcreq_turn(context, 0);
	}
	ck_assert_uint_eq(stats().notified_copied, ZCREQ_POLICY_PROBE);
	sent(1, 10);
	ck_assert(!script.by_reference);
}
END_TEST

/* A ring's submission to a socket that is full took nothing and has a notification all the
 * same, which says "copied": neither counted, nor believed to say anything of the path. */
START_TEST(proof_of_a_submission_that_took_nothing_is_counted_nowhere)
{
	struct zcreq_proof proof = {.copied = true};
	uint32_t after;

	options.mode = ZCREQ_MODE_AUTO;
	options.threshold_bytes = 10;
	open_stream();
	sent(0, 10);
	for (unsigned i = 0; i < 2 * ZCREQ_POLICY_PROBE; i++) {
		ck_assert(script.by_reference);
		script_result(&script, -EAGAIN, true);
		proof.id = script.id;
		script.awaited--;
		after = script.id + 1;
		ck_assert_int_eq(zcreq_sender_proof(conn, &proof, 1), 1);
		ck_assert_int_eq(zcreq_process(conn, POLLOUT), 0);
		ck_assert_uint_eq(script.id, after);
	}
	ck_assert_uint_eq(stats().notifications, 0);
	ck_assert_uint_eq(stats().notified_copied, 0);
	script_result(&script, 10, true);
	script_proof(&script, script.id);
	ck_assert_uint_eq(stats().notifications, 1);
	ck_assert_uint_eq(released(&heard[0]), 1);
}
END_TEST

START_TEST(small_batches_are_not_asked_for_by_reference)
{
	options.mode = ZCREQ_MODE_AUTO;
	options.threshold_bytes = 20;
	open_stream();
	sent(0, 19);
	ck_assert(!script.by_reference);
	script_result(&script, 19, false);
	sent(1, 20);
	ck_assert(script.by_reference);
}
END_TEST

/* ---- requests, queue, arguments ------------------------------------------------ */

START_TEST(a_lent_request_is_busy_and_one_behind_it_is_not)
{
	struct heard *lent, *behind;

	open_stream();
	lent = sent(0, 10);
	behind = sent(1, 10);
	ck_assert_int_eq(zcreq_abort(context, lent->id, -EIO), -EBUSY);
	ck_assert_int_eq(zcreq_abort(context, behind->id, -EIO), 0);
	ck_assert_uint_eq(released(behind), 1);
	ck_assert_int_eq(behind->status, -EIO);
	sent(2, 10);
	script_result(&script, 10, true);
	ck_assert_uint_eq(script.bytes, 10);
	ck_assert_ptr_eq(script.iov[0].iov_base, memory[2]);
	script_proof(&script, 0);
	ck_assert_uint_eq(released(lent), 1);
	ck_assert_int_eq(lent->status, 0);
}
END_TEST

/*
 * What a result left untaken can be withdrawn, and is still in use until the proof
 * of the batches that it was lent to. A later one goes round it: its proof is not
 * taken for theirs, and is not waited for.
 */
START_TEST(a_withdrawn_request_waits_for_its_own_batches)
{
	struct heard *first, *middle, *last;

	open_stream();
	first = request_of(0, 10);
	middle = request_of(1, 10);
	last = sent(2, 10);
	script_result(&script, _i ? _i : -EAGAIN, true);
	if (_i) {
		/* the rest is under way: only a refusal makes it free to go */
		ck_assert_int_eq(zcreq_abort(context, middle->id, -EIO), -EBUSY);
		script_result(&script, -EAGAIN, true);
	}
	ck_assert_int_eq(zcreq_abort(context, middle->id, -EIO), 0);
	zcreq_process(conn, POLLOUT);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(script.bytes, 10 - _i);
	script_result(&script, script.bytes, true);
	ck_assert_uint_eq(script.bytes, 10);
	script_result(&script, script.bytes, true);
	script_proof(&script, script.id);
	script_proof(&script, script.id - 1);
	for (uint32_t id = 0; id < (_i ? 2 : 1); id++) {
		ck_assert_uint_eq(released(middle), 0);
		script_proof(&script, id);
	}
	ck_assert_uint_eq(released(middle), 1);
	ck_assert_int_eq(middle->status, -EIO);
	ck_assert_uint_eq(first->released + last->released, 2);
	ck_assert_uint_eq(script.taken, 20);
	ck_assert_mem_eq(script.stream, memory[0], 10);
	ck_assert_mem_eq(script.stream + 10, memory[2], 10);
}
END_TEST

/* Its own proof first, and a later batch still out: nothing to wait for. */
START_TEST(a_withdrawn_request_waits_for_no_later_batch)
{
	struct heard *middle;

	open_stream();
	request_of(0, 10);
	middle = request_of(1, 10);
	sent(2, 10);
	script_result(&script, -EAGAIN, true);
	ck_assert_int_eq(zcreq_abort(context, middle->id, -EIO), 0);
	zcreq_process(conn, POLLOUT);
	zcreq_turn(context, 0);
	script_proof(&script, 0);
	ck_assert_uint_eq(released(middle), 1);
	ck_assert_uint_eq(heard[0].released + heard[2].released, 0);
}
END_TEST

/* The queue moves while a submission is under way; what is next is right. */
START_TEST(the_queue_grows_while_a_submission_is_under_way)
{
	static uint8_t bytes[2000];

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i % 251);
	open_stream();
	heard_begin(conn, &heard[0]);
	for (unsigned i = 0; i < 20; i++)
		queue(&heard[0], bytes + i, 1);
	zcreq_turn(context, 0);
	for (unsigned i = 20; i < sizeof(bytes); i++)
		queue(&heard[0], bytes + i, 1);
	ck_assert_int_eq(zcreq_finish(context, heard[0].id, 0), 0);
	while (script.taken < sizeof(bytes))
		script_result(&script, script.bytes < 17 ? script.bytes : 17, false);
	ck_assert_mem_eq(script.stream, bytes, sizeof(bytes));
	ck_assert_uint_eq(released(&heard[0]), 1);
}
END_TEST

START_TEST(a_result_makes_room)
{
	const struct iovec iov = {.iov_base = memory[1], .iov_len = 10};

	options.limit_bytes = 15;
	open_stream();
	sent(0, 10);
	heard_begin(conn, &heard[1]);
	ck_assert_int_eq(zcreq_add(context, heard[1].id, &iov, 1, 0), -EAGAIN);
	script_result(&script, 10, _i);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard_conn.room, !_i);
	if (_i)
		script_proof(&script, 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard_conn.room, 1);
	ck_assert_int_eq(zcreq_finish(context, heard[1].id, 0), 0);
}
END_TEST

#define MANY 100000

static int answer_one_byte(struct script *s)
{
	const struct zcreq_proof before = {.id = s->id - 1};

	if (s->awaited)
		CLAIM(zcreq_sender_proof(s->conn, &before, 1) == 1);
	s->awaited = 0;
	script_result(s, 1, s->stub.reading_helps);
	return 0;
}

/* I6, I8: a loop and not a recursion; the script insists on a depth of one. */
START_TEST(answers_from_inside_submit_go_on_in_a_loop)
{
	static uint8_t bytes[MANY];

	open_stream();
	script.stub.reading_helps = _i % 2; /* results say more */
	heard_begin(conn, &heard[0]);
	queue(&heard[0], bytes, MANY);
	ck_assert_int_eq(zcreq_finish(context, heard[0].id, 0), 0);
	if (_i / 2) {
		/* begun by a late answer */
		zcreq_turn(context, 0);
		script.submitting = answer_one_byte;
		script_result(&script, 1, false);
	} else {
		script.submitting = answer_one_byte;
		zcreq_turn(context, 0);
	}
	ck_assert_uint_eq(script.submits, MANY);
	ck_assert_uint_eq(script.taken, MANY);
	script.submitting = NULL;
	if (script.awaited)
		script_proof(&script, script.id);
	ck_assert_uint_eq(released(&heard[0]), 1);
}
END_TEST

START_TEST(mistakes_are_errors)
{
	static const struct zcreq_sender_ops no_submit = {.reap = NULL};
	const struct zcreq_proof proof = {.id = 0};
	struct zcreq_conn *plain, *socket;
	struct stub stub;

	options.sender = &no_submit;
	ck_assert_int_eq(zcreq_stream_open(context, &options, &conn), -EINVAL);
	options.sender = &script_ops;
	open_stream();
	ck_assert_int_eq(zcreq_sender_result(NULL, 0, 0, false), -EINVAL);
	ck_assert_int_eq(zcreq_sender_proof(NULL, &proof, 1), -EINVAL);
	ck_assert_int_eq(zcreq_sender_proof(conn, NULL, 1), -EINVAL);
	ck_assert_int_eq(zcreq_conn_open(context, NULL, &plain), 0);
	ck_assert_int_eq(zcreq_sender_result(plain, 0, 0, false), -EINVAL);
	ck_assert_int_eq(zcreq_sender_proof(plain, &proof, 1), -EINVAL);
	stub_init(&stub);
	socket = stub_open(&stub, context, NULL, NULL);
	ck_assert_int_eq(zcreq_sender_result(socket, 0, 0, false), -EINVAL);
	ck_assert_int_eq(zcreq_sender_proof(socket, &proof, 1), -EINVAL);
	zcreq_conn_free(plain);
	zcreq_conn_free(socket);
	ck_assert_uint_eq(stats().stale_handles + stats().bogus_ranges, 0);
}
END_TEST

/* SEND_ZC and MSG_ZEROCOPY do not mix: the socket is not even asked for the latter. */
START_TEST(a_sender_needs_no_so_zerocopy)
{
	script.stub.setsockopt_error = -EOPNOTSUPP;
	open_stream();
	sent(0, 10);
	ck_assert(script.by_reference);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sender_proof");
	TCase *tcase = tcase_create("claims");

	tcase_add_checked_fixture(tcase, scene_setup, scene_teardown);
	tcase_add_test(tcase, a_proof_before_its_result_is_not_believed);
	tcase_add_test(tcase, a_proof_that_nobody_awaits_is_counted);
	tcase_add_test(tcase, a_second_proof_releases_nobody);
	tcase_add_test(tcase, a_proof_after_a_result_without_more_is_not_believed);
	tcase_add_loop_test(tcase, proofs_in_any_order_release_their_own, 0, 4 * 120);
	tcase_add_test(tcase, good_and_bad_proofs_in_one_call_are_told_apart);
	tcase_add_test(tcase, notifications_of_the_socket_are_not_a_senders_proof);
	tcase_add_test(tcase, proofs_that_say_copied_feed_the_policy);
	tcase_add_test(tcase, proof_of_a_submission_that_took_nothing_is_counted_nowhere);
	tcase_add_test(tcase, small_batches_are_not_asked_for_by_reference);
	tcase_add_test(tcase, a_lent_request_is_busy_and_one_behind_it_is_not);
	tcase_add_loop_test(tcase, a_withdrawn_request_waits_for_its_own_batches, 0, 10);
	tcase_add_test(tcase, a_withdrawn_request_waits_for_no_later_batch);
	tcase_add_test(tcase, the_queue_grows_while_a_submission_is_under_way);
	tcase_add_loop_test(tcase, a_result_makes_room, 0, 2);
	tcase_add_loop_test(tcase, answers_from_inside_submit_go_on_in_a_loop, 0, 4);
	tcase_add_test(tcase, mistakes_are_errors);
	tcase_add_test(tcase, a_sender_needs_no_so_zerocopy);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
