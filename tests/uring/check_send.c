/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_send.c - what is submitted, and what completions do: every kind of both
 */
#include "support/suite.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include <zcreq/zcreq.h>

#include "support/counting.h"
#include "support/recorder.h"
#include "uring/ring.h"
#include "uring/ring_steps.h"
#include "uring/ring_script.h"
#include "support/stub.h"
#include "uring/wrap_alloc.h"

#define LEN 100
#define ROUND 256
#define DRAIN 4096
#define NOBODY 0xffffff

static struct counting memory;
static struct zcreq_context *context;
static struct ring_script script;
static struct zcreq_uring *uring;
static struct stub stubs[3];
static struct zcreq_conn *conns[3];
static struct heard heard[3];
static struct heard_conn hooks[3];
static char data[1 << 16];

static void open_stream(unsigned i)
{
	struct zcreq_stream_options options;

	stub_init(&stubs[i]);
	options = stub_options(&stubs[i]);
	options.hooks = &heard_hooks;
	options.arg = &hooks[i];
	ck_assert_int_eq(zcreq_uring_stream_open(uring, context, &options, &conns[i]), 0);
	heard_begin(conns[i], &heard[i]);
}

static void setup(void)
{
	struct zcreq_uring_options options = script_options(&script);

	context = counting_context(&memory, 0);
	script_init(&script);
	ck_assert_int_eq(zcreq_uring_new(context, &options, &uring), 0);
	open_stream(0);
}

/* Everything that is still under way is answered, and everything ends. */
static void teardown(void)
{
	for (unsigned i = 0; i < COUNT(conns); i++) {
		if (!conns[i])
			continue;
		if (!heard[i].released)
			(void)!zcreq_finish(context, heard[i].id, 0);
		zcreq_conn_free(conns[i]);
	}
	for (unsigned n = 0; n < 10; n++) {
		ring_process(uring);
		zcreq_uring_check(uring);
	}
	for (unsigned i = 0; i < COUNT(conns); i++)
		ck_assert_uint_eq(heard[i].released, conns[i] != NULL);
	ck_assert_int_eq(zcreq_uring_free(uring), 0);
	counting_end(&memory, context);
}

static void send_on(unsigned i, size_t len)
{
	const struct iovec iov = {.iov_base = data, .iov_len = len};

	ck_assert_int_eq(zcreq_add(context, heard[i].id, &iov, 1, 0),
			 0);
	ring_prepare(conns[i]);
	zcreq_uring_check(uring);
}

/* One allocation fails. Nothing of Check may be in between, which allocates as well. */
static void send_without_memory(unsigned after)
{
	const struct iovec iov = {.iov_base = data, .iov_len = LEN};

	ck_assert_int_eq(zcreq_add(context, heard[0].id, &iov, 1, 0),
			 0);
	wrap_alloc_fail_after(after);
	ring_prepare(conns[0]);
	wrap_alloc_fail_after(NOT_AT_ALL);
}

static void finish(unsigned i)
{
	ck_assert_int_eq(zcreq_finish(context, heard[i].id, 0), 0);
}

static uint64_t name_of(uint32_t stream, uint32_t id)
{
	return (uint64_t)0x5a << 56 | (uint64_t)stream << 32 | id;
}

/* ---- submissions ---------------------------------------------------------- */

START_TEST(a_batch_is_one_named_submission)
{
	const struct io_uring_sqe *sqe;
	const struct msghdr *header;

	send_on(0, LEN);
	sqe = script_last(&script);
	ck_assert_uint_eq(sqe->opcode, IORING_OP_SENDMSG_ZC);
	ck_assert_int_eq(sqe->fd, STUB_FD);
	ck_assert_uint_eq(sqe->user_data, name_of(0, 0));
	ck_assert_uint_eq(sqe->msg_flags, MSG_NOSIGNAL | MSG_EOR);
	ck_assert_uint_eq(sqe->ioprio & REPORT_USAGE, REPORT_USAGE);
	header = (const struct msghdr *)(uintptr_t)sqe->addr;
	ck_assert_uint_eq(header->msg_iovlen, 1);
	ck_assert_ptr_eq(header->msg_iov[0].iov_base, data);
	ck_assert_uint_eq(header->msg_iov[0].iov_len, LEN);
	ck_assert_uint_eq(script.submits, 1); /* of the question; this one waits */
	ck_assert_int_eq(zcreq_ring_turn(uring), 0);
	ck_assert_uint_eq(script.submits, 2);
	ck_assert_int_eq(zcreq_ring_turn(uring), 0);
	ck_assert_uint_eq(script.submits, 2);
	finish(0);
	script_result(&script, LEN, false);
	ck_assert_int_eq(zcreq_ring_turn(uring), 1);
	ck_assert_uint_eq(heard[0].released, 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard[0].released, 1);
	ck_assert_int_eq(heard[0].status, 0);
}
END_TEST

/* A queue that is full is submitted, and then has room; or waits for POLLOUT. */
START_TEST(a_full_queue_is_submitted_first)
{
	const unsigned before = script.submits;

	open_stream(1);
	script.room = 1;
	send_on(0, LEN);
	ck_assert_uint_eq(script.submits, before);
	send_on(1, LEN);
	ck_assert_uint_eq(script.submits, before + 1);
	ck_assert_uint_eq(script_last(&script)->user_data, name_of(1, 0));
	ck_assert_uint_eq(script.made - script.submitted, 1);
	script_post(&script, name_of(0, 0), LEN, 0);
	script_post(&script, name_of(1, 0), LEN, 0);
	ring_process(uring);
}
END_TEST

START_TEST(a_queue_that_stays_full_is_tried_again)
{
	if (_i)
		script.submit_error = -EBUSY;
	script.room = 0;
	send_on(0, LEN);
	ck_assert_uint_eq(script.made, 1);
	ck_assert_int_eq(zcreq_events(conns[0]), POLLERR | POLLOUT);
	ck_assert_int_eq(zcreq_conn_state(conns[0]), ZCREQ_CONN_OPEN);
	script.submit_error = 0;
	script.room = 1;
	zcreq_process(conns[0], POLLOUT);
	ring_prepare(conns[0]);
	ck_assert_uint_eq(script.made, 2);
	script_result(&script, LEN, false);
	ring_process(uring);
	ck_assert_uint_eq(stats_of(context).sent_bytes, LEN);
}
END_TEST

/* There is none for the message: a copy may do with less. */
START_TEST(no_memory_for_a_message_tries_a_copy)
{
	send_without_memory(1);
	ck_assert_uint_eq(script.made, 2);
	ck_assert_uint_eq(script_last(&script)->opcode, IORING_OP_SENDMSG);
	ck_assert_uint_eq(stats_of(context).no_buffers, 1);
	script_result(&script, LEN, false);
	ring_process(uring);
	ck_assert_uint_eq(stats_of(context).sent_bytes, LEN);
}
END_TEST

/* There is none for the place where its proof will be noted. */
START_TEST(no_memory_for_a_submission_is_tried_again_by_time)
{
	send_without_memory(0);
	ck_assert_uint_eq(script.made, 1);
	ck_assert_int_eq(zcreq_conn_state(conns[0]), ZCREQ_CONN_OPEN);
	zcreq_turn(context, 1000000000);
	zcreq_turn(context, 1010000000);
	ck_assert_uint_eq(script.made, 2);
	script_result(&script, LEN, false);
	ring_process(uring);
	ck_assert_uint_eq(stats_of(context).sent_bytes, LEN);
}
END_TEST

START_TEST(messages_are_used_again)
{
	const void *first;

	send_on(0, LEN);
	first = (const void *)(uintptr_t)script_last(&script)->addr;
	script_result(&script, LEN, false);
	ring_process(uring);
	send_without_memory(0);
	ck_assert_ptr_eq((const void *)(uintptr_t)script_last(&script)->addr, first);
	script_result(&script, LEN, false);
	ring_process(uring);
	ck_assert_uint_eq(stats_of(context).sent_bytes, 2 * LEN);
}
END_TEST

START_TEST(submissions_that_fail_are_told_or_kept)
{
	static const struct {
		int error, flushed;
		bool kept;
	} rows[] = {
		{-EBUSY, 1, true}, {-EAGAIN, 1, true}, {-EINTR, 1, true}, {-EBADR, -EBADR, false},
	};
	unsigned before = script.submits;

	send_on(0, LEN);
	script.submit_error = rows[_i].error;
	ck_assert_int_eq(zcreq_ring_turn(uring), rows[_i].flushed);
	ck_assert_uint_eq(script.submits, before + 1);
	script.submit_error = 0;
	zcreq_ring_turn(uring);
	ck_assert_uint_eq(script.submits, before + (rows[_i].kept ? 2 : 1));
	script_result(&script, LEN, false);
	ring_process(uring);
}
END_TEST

START_TEST(an_error_of_the_ring_is_returned)
{
	script.peek_error = -EIO;
	ck_assert_int_eq(zcreq_ring_turn(uring), -EIO);
	ck_assert_int_eq(ring_process(uring), -EIO);
	script.peek_error = 0;
}
END_TEST

/* ---- completions ---------------------------------------------------------- */

START_TEST(more_decides_whether_proof_is_awaited)
{
	static const int results[] = {LEN, 40, 0, -ENOBUFS, -ECONNRESET, -EPIPE, -ECANCELED};
	const int res = results[_i];
	uint64_t name;

	send_on(0, LEN);
	finish(0);
	name = script_last(&script)->user_data;
	script_result(&script, res, true);
	ring_process(uring);
	/* what is left of it is done, or has ended the connection */
	if (res == 40)
		script_result(&script, LEN - 40, false);
	if (res == -ENOBUFS)
		script_result(&script, LEN, false);
	if (res == 0) {
		zcreq_process(conns[0], POLLOUT);
		ring_prepare(conns[0]);
		script_result(&script, LEN, false);
	}
	ring_process(uring);
	ck_assert_uint_eq(heard[0].released, 0);
	script_notify(&script, name, false);
	ring_process(uring);
	ck_assert_uint_eq(heard[0].released, 1);
	ck_assert_uint_eq(hooks[0].abort, res < 0 && res != -ENOBUFS);
	if (hooks[0].abort)
		ck_assert_int_eq(heard[0].status, res);
}
END_TEST

START_TEST(copied_is_the_top_bit_of_the_result)
{
	uint64_t name;

	send_on(0, LEN);
	name = script_last(&script)->user_data;
	script_result(&script, LEN, true);
	script_notify(&script, name, _i);
	ring_process(uring);
	ck_assert_uint_eq(stats_of(context).notifications, 1);
	ck_assert_uint_eq(stats_of(context).notified_copied, _i);
}
END_TEST

START_TEST(a_refused_reference_is_sent_as_a_copy)
{
	send_on(0, LEN);
	script_result(&script, -ENOBUFS, false);
	ring_process(uring);
	ck_assert_uint_eq(script_last(&script)->opcode, IORING_OP_SENDMSG);
	ck_assert_uint_eq(script_last(&script)->ioprio, 0);
	ck_assert_uint_eq(script_last(&script)->user_data, name_of(0, 1));
	script_result(&script, LEN, false);
	ring_process(uring);
	ck_assert_uint_eq(stats_of(context).sent_bytes, LEN);
}
END_TEST

/* Another tag, a stream that is none, one that awaits nothing. */
START_TEST(completions_of_others_are_nobodys)
{
	const uint64_t names[] = {
		name_of(0, 0) ^ (uint64_t)1 << 56,
		name_of(1, 0),
		name_of(16, 0),
		name_of(NOBODY, 0),
		name_of(0, 0), /* nothing was submitted */
	};

	script_post(&script, names[_i], LEN, 0);
	ck_assert_int_eq(ring_process(uring), 1);
	ck_assert_uint_eq(stats_of(context).stale_handles, 0);
	ck_assert_uint_eq(stats_of(context).sent_bytes, 0);
}
END_TEST

START_TEST(a_result_that_comes_twice_is_stale)
{
	const void *first;

	send_on(0, LEN);
	script_result(&script, LEN, true);
	ring_process(uring);
	send_on(0, LEN);
	first = (const void *)(uintptr_t)script_last(&script)->addr;
	script_post(&script, name_of(0, 0), LEN, 0);
	ring_process(uring);
	ck_assert_uint_eq(stats_of(context).stale_handles, 1);
	/* its message stays with the submission under way */
	script_result(&script, LEN, false);
	script_notify(&script, name_of(0, 0), false);
	ring_process(uring);
	send_on(0, LEN);
	ck_assert_ptr_eq((const void *)(uintptr_t)script_last(&script)->addr, first);
	script_result(&script, LEN, false);
	ring_process(uring);
	ck_assert_uint_eq(stats_of(context).sent_bytes, 3 * LEN);
}
END_TEST

/* Completions of three streams between each other: each gets its own, in order. */
START_TEST(streams_share_a_round)
{
	open_stream(1);
	open_stream(2);
	for (unsigned i = 0; i < 3; i++)
		send_on(i, LEN);
	for (unsigned i = 0; i < 3; i++)
		script_post(&script, name_of(2 - i, 0), LEN, IORING_CQE_F_MORE);
	for (unsigned i = 0; i < 3; i++)
		script_notify(&script, name_of(i, 0), false);
	for (unsigned i = 0; i < 3; i++)
		finish(i);
	ck_assert_int_eq(ring_process(uring), 6);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_uint_eq(heard[i].released, 1);
		ck_assert_int_eq(heard[i].status, 0);
	}
	ck_assert_uint_eq(stats_of(context).bogus_ranges, 0);
}
END_TEST

static void send_many(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		send_on(0, LEN);
		script_result(&script, LEN, true);
		ck_assert_int_eq(zcreq_ring_turn(uring), 1);
	}
}

START_TEST(any_number_of_proofs_is_worked_out)
{
	static const unsigned counts[] = {
		1, ROUND - 1, ROUND, ROUND + 1, 2 * ROUND, DRAIN - 1, DRAIN, DRAIN + 1, 5000,
	};
	const unsigned count = counts[_i];
	int first = count < DRAIN ? (int)count : DRAIN;

	send_many(count);
	for (unsigned i = 0; i < count; i++)
		script_notify(&script, name_of(0, count - 1 - i), false);
	ck_assert_int_eq(zcreq_ring_turn(uring), first);
	ck_assert_int_eq(zcreq_ring_turn(uring), (int)count - first);
	ck_assert_uint_eq(stats_of(context).notifications, count);
	ck_assert_uint_eq(uring->in_flight, 0);
	finish(0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard[0].released, 1);
}
END_TEST

/* ---- abort ---------------------------------------------------------------- */

static void prove_on_run(struct ring_script *s)
{
	if (s->runs == 2)
		script_notify(s, name_of(0, 0), false);
}

START_TEST(abort_cancels_and_runs_the_kernel_until_it_has_proof)
{
	const struct io_uring_sqe *sqe;

	send_on(0, LEN);
	script_result(&script, LEN, true);
	ring_process(uring);
	send_on(0, LEN);
	script.on_run = prove_on_run;
	ck_assert_int_eq(zcreq_conn_abort(conns[0], -EIO), 0);
	sqe = script_last(&script);
	ck_assert_uint_eq(sqe->opcode, IORING_OP_ASYNC_CANCEL);
	ck_assert_uint_eq(sqe->addr, name_of(0, 1));
	ck_assert_uint_eq(sqe->user_data, name_of(NOBODY, 0));
	ck_assert_uint_eq(script.submitted, script.made);
	ck_assert_uint_eq(stats_of(context).notifications, 1);
	ck_assert_uint_ge(script.runs, 4);
	ck_assert_uint_le(script.runs, 4 * 66);
	ck_assert_int_eq(zcreq_conn_state(conns[0]), ZCREQ_CONN_ABORTING);
	script_post(&script, name_of(0, 1), -ECANCELED, 0);
	ring_process(uring);
	finish(0);
}
END_TEST

/* More than one flush reads: abort goes on until it has all of them. */
START_TEST(abort_reads_all_that_waits)
{
	const unsigned count = 2 * DRAIN + 100;

	send_many(count);
	for (unsigned i = 0; i < count; i++)
		script_notify(&script, name_of(0, i), false);
	ck_assert_int_eq(zcreq_conn_abort(conns[0], -EIO), 0);
	ck_assert_uint_eq(stats_of(context).notifications, count);
	ck_assert_uint_le(script.runs, 1);
	finish(0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard[0].released, 1);
}
END_TEST

START_TEST(abort_without_an_entry_for_the_cancel)
{
	send_on(0, LEN);
	zcreq_ring_turn(uring);
	script.room = 0;
	ck_assert_int_eq(zcreq_conn_abort(conns[0], -EIO), 0);
	ck_assert_uint_eq(script_last(&script)->opcode, IORING_OP_SENDMSG_ZC);
	script.room = 4;
	script_post(&script, name_of(0, 0), -ECONNRESET, 0);
	finish(0);
	ring_process(uring);
	ck_assert_uint_eq(heard[0].released, 1);
	ck_assert_int_eq(heard[0].status, -EIO);
}
END_TEST

/* A result ends the connection while completions are worked out: the ring is run once
 * more before the call returns, and what that brings is read. */
START_TEST(an_abort_while_working_out_is_reaped_before_the_call_returns)
{
	send_on(0, LEN);
	script_result(&script, LEN, true);
	ring_process(uring);
	send_on(0, LEN);
	finish(0);
	script.on_run = prove_on_run;
	script.runs = 1;
	script_result(&script, -EPIPE, false);
	ck_assert_int_eq(zcreq_ring_turn(uring), 2);
	ck_assert_uint_eq(script.runs, 2);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard[0].released, 1);
	ck_assert_int_eq(heard[0].status, -EPIPE);
}
END_TEST

/* ---- a ring of the program's ------------------------------------------------ */

/* The struct only has to be another than the ring's own. */
START_TEST(a_program_hands_completions_over)
{
	static struct io_uring programs;
	union {
		struct io_uring_cqe cqe;
		struct script_completion bytes;
	} done = {.bytes = {0}};

	ck_assert_int_eq(zcreq_uring_completion(uring, &done.cqe), -EINVAL);
	uring->ring = &uring->own;
	ck_assert_int_eq(zcreq_uring_completion(uring, &done.cqe), -EINVAL);
	uring->ring = &programs;
	ck_assert_int_eq(zcreq_uring_completion(NULL, &done.cqe), -EINVAL);
	ck_assert_int_eq(zcreq_uring_completion(uring, NULL), -EINVAL);
	ck_assert_int_eq(uring->source.fd(uring), -ENXIO);
	send_many(0);
	for (unsigned i = 0; i < ROUND + 1; i++) {
		send_on(0, LEN);
		done.bytes = (struct script_completion){name_of(0, i), LEN, IORING_CQE_F_MORE};
		ck_assert_int_eq(zcreq_uring_completion(uring, &done.cqe), 1);
		ck_assert_int_eq(zcreq_ring_turn(uring), 1);
	}
	done.bytes.user_data ^= (uint64_t)1 << 63;
	ck_assert_int_eq(zcreq_uring_completion(uring, &done.cqe), 0);
	/* a round that is full is worked out at once */
	for (unsigned i = 0; i < ROUND + 1; i++) {
		done.bytes = (struct script_completion){name_of(0, i), 0, IORING_CQE_F_NOTIF};
		ck_assert_int_eq(zcreq_uring_completion(uring, &done.cqe), 1);
		ck_assert_uint_eq(stats_of(context).notifications, i < ROUND - 1 ? 0 : ROUND);
	}
	ring_process(uring);
	ck_assert_uint_eq(stats_of(context).notifications, ROUND + 1);
	uring->ring = NULL;
}
END_TEST

/* Notifications of @count sends, as the program hands them over. */
static void hand_over(unsigned first, unsigned count)
{
	union {
		struct io_uring_cqe cqe;
		struct script_completion bytes;
	} done;

	for (unsigned i = first; i < first + count; i++) {
		done.bytes = (struct script_completion){name_of(0, i), 0, IORING_CQE_F_NOTIF};
		ck_assert_int_eq(zcreq_uring_completion(uring, &done.cqe), 1);
	}
}

/* An entry that the program has taken goes with those of the library's. */
static void take_entry(void)
{
	ck_assert_ptr_nonnull(script_ops.get_sqe(&script));
	ck_assert_uint_eq(script.submitted + 1, script.made);
}

/* uring.h names them: who has taken an entry has to have filled it before. */
START_TEST(a_program_s_entries_are_submitted_by_these_calls)
{
	static struct io_uring programs;

	send_many(ROUND);
	uring->ring = &programs;
	take_entry();
	/* none of these */
	ck_assert_int_eq(zcreq_add(context, heard[0].id, &(struct iovec){data, LEN}, 1, 0), 0);
	finish(0);
	hand_over(0, ROUND - 1);
	ck_assert_uint_eq(script.submitted + 1, script.made);
	ring_prepare(conns[0]); /* as a turn does before it submits */
	ck_assert_uint_eq(script.submitted + 2, script.made);
	switch (_i) {
	case 0: zcreq_turn(context, 0); break;
	case 1: ck_assert_int_eq(zcreq_conn_abort(conns[0], -EIO), 0); break;
	case 2: zcreq_conn_free(conns[0]); break;
	case 3: ck_assert_int_eq(zcreq_process(conns[0], POLLERR), 0); break;
	case 4: hand_over(ROUND - 1, 1); break;
	}
	ck_assert_uint_eq(script.submitted, script.made);
	uring->ring = NULL;
	script_post(&script, name_of(0, ROUND), -ECANCELED, 0);
	for (unsigned i = 0; i < ROUND; i++)
		script_notify(&script, name_of(0, i), false);
	if (_i != 2)
		return;
	ring_process(uring);
	ck_assert_uint_eq(heard[0].released, 1);
	heard[0] = (struct heard){0};
	conns[0] = NULL;
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ring_send");
	TCase *out = tcase_create("submissions"), *in = tcase_create("completions");
	TCase *ends = tcase_create("ends");

	tcase_add_checked_fixture(out, setup, teardown);
	tcase_add_test(out, a_batch_is_one_named_submission);
	tcase_add_test(out, a_full_queue_is_submitted_first);
	tcase_add_loop_test(out, a_queue_that_stays_full_is_tried_again, 0, 2);
	tcase_add_test(out, no_memory_for_a_message_tries_a_copy);
	tcase_add_test(out, no_memory_for_a_submission_is_tried_again_by_time);
	tcase_add_test(out, messages_are_used_again);
	tcase_add_loop_test(out, submissions_that_fail_are_told_or_kept, 0, 4);
	tcase_add_test(out, an_error_of_the_ring_is_returned);
	suite_add_tcase(s, out);

	tcase_add_checked_fixture(in, setup, teardown);
	tcase_add_loop_test(in, more_decides_whether_proof_is_awaited, 0, 7);
	tcase_add_loop_test(in, copied_is_the_top_bit_of_the_result, 0, 2);
	tcase_add_test(in, a_refused_reference_is_sent_as_a_copy);
	tcase_add_loop_test(in, completions_of_others_are_nobodys, 0, 5);
	tcase_add_test(in, a_result_that_comes_twice_is_stale);
	tcase_add_test(in, streams_share_a_round);
	tcase_add_loop_test(in, any_number_of_proofs_is_worked_out, 0, 9);
	suite_add_tcase(s, in);

	tcase_add_checked_fixture(ends, setup, teardown);
	tcase_add_test(ends, abort_cancels_and_runs_the_kernel_until_it_has_proof);
	tcase_add_test(ends, abort_reads_all_that_waits);
	tcase_add_test(ends, abort_without_an_entry_for_the_cancel);
	tcase_add_test(ends, an_abort_while_working_out_is_reaped_before_the_call_returns);
	tcase_add_test(ends, a_program_hands_completions_over);
	tcase_add_loop_test(ends, a_program_s_entries_are_submitted_by_these_calls, 0, 5);
	suite_add_tcase(s, ends);
	return suite_run(s);
}
