/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_sender.c - what a sender may answer, and what waits for what then
 *
 * A scripted sender over the stub of a socket: results that come at once, late, in
 * parts, twice, wrong. Proofs are in check_sender_proof.c, how connections end in
 * check_sender_ends.c.
 */
#include "support/suite.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include <zcreq/zcreq.h>

#include "support/sender_scene.h"

/* ---- results ---------------------------------------------------------------- */

START_TEST(a_result_and_its_proof_release)
{
	struct heard *request;

	open_stream();
	request = sent(0, 64);
	ck_assert(script.under_way && script.by_reference);
	ck_assert_uint_eq(script.bytes, 64);
	script_result(&script, 64, true);
	ck_assert_uint_eq(released(request), 0);
	script_proof(&script, script.id);
	ck_assert_uint_eq(request->released, 0); /* I6: not from inside */
	ck_assert_uint_eq(released(request), 1);
	ck_assert_int_eq(request->status, 0);
	ck_assert_uint_eq(stats().zerocopy_batches, 1);
	ck_assert_uint_eq(stats().notifications, 1);
	ck_assert_uint_eq(stats().sent_bytes, 64);
}
END_TEST

START_TEST(a_result_without_more_releases_at_once)
{
	struct heard *request;

	open_stream();
	request = sent(0, 64);
	script_result(&script, 64, false);
	ck_assert_uint_eq(released(request), 1);
	ck_assert_uint_eq(stats().copied_batches, 1);
	ck_assert_uint_eq(stats().notifications, 0);
}
END_TEST

START_TEST(the_next_waits_for_the_result_and_takes_all_that_was_queued)
{
	open_stream();
	sent(0, 10);
	for (unsigned i = 1; i < 4; i++)
		sent(i, 10);
	ck_assert_uint_eq(script.submits, 1);
	ck_assert_int_eq(zcreq_events(conn), POLLERR);
	zcreq_process(conn, POLLOUT);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(script.submits, 1);
	script_result(&script, 10, true);
	ck_assert_uint_eq(script.submits, 2);
	ck_assert_uint_eq(script.bytes, 30);
	script_result(&script, 30, true);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_mem_eq(script.stream + 10 * i, memory[i], 10);
	script_proof(&script, 0);
	script_proof(&script, 1);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(stats().released, 4);
}
END_TEST

START_TEST(a_submission_has_so_many_members_at_most)
{
	struct iovec iov[300];

	open_stream();
	heard_begin(conn, &heard[0]);
	for (unsigned i = 0; i < 300; i++)
		iov[i] = (struct iovec){.iov_base = (uint8_t *)memory + i, .iov_len = 1};
	ck_assert_int_eq(zcreq_add(context, heard[0].id, iov, 300, 0), 0);
	ck_assert_int_eq(zcreq_finish(context, heard[0].id, 0), 0);
	zcreq_turn(context, 0);
	for (unsigned left = 300; left; left -= script.taken - (300 - left)) {
		ck_assert_uint_ge(script.bytes, 1);
		script_result(&script, script.bytes, false);
	}
	ck_assert_uint_ge(script.submits, 3);
	ck_assert_uint_eq(script.taken, 300);
	ck_assert_mem_eq(script.stream, memory[0], 300);
	ck_assert_uint_eq(released(&heard[0]), 1);
}
END_TEST

/* A buffer comes back with the last of its batch: batches end at 256 KiB. */
START_TEST(a_submission_takes_no_member_beyond_its_bytes)
{
	static uint8_t bytes[8][100 * 1024];

	open_stream();
	heard_begin(conn, &heard[0]);
	for (unsigned i = 0; i < 8; i++)
		queue(&heard[0], bytes[i], sizeof(bytes[i]));
	ck_assert_int_eq(zcreq_finish(context, heard[0].id, 0), 0);
	zcreq_turn(context, 0);
	ck_assert_int_eq(script.iovcnt, 3);
	ck_assert_uint_eq(script.bytes, 3 * sizeof(bytes[0]));
}
END_TEST

/*
 * Several sends of several requests, and a write between them, cut at any two
 * bytes. From submit() on each waits for every batch that it was part of.
 */
#define PARTS 6
static const struct {
	unsigned request; /* 3: a write */
	unsigned len;
} parts[PARTS] = {{0, 5}, {1, 1}, {3, 4}, {0, 2}, {2, 3}, {1, 7}};
#define TOTAL 22

static void queue_parts(uint8_t *expected)
{
	for (unsigned i = 0; i < 3; i++) {
		memset(&heard[i], 0, sizeof(heard[i]));
		heard_begin(conn, &heard[i]);
	}
	for (unsigned i = 0; i < PARTS; i++) {
		if (parts[i].request == 3)
			CLAIM(zcreq_write(conn, memory[i], parts[i].len) == 0);
		else
			queue(&heard[parts[i].request], memory[i], parts[i].len);
		memcpy(expected, memory[i], parts[i].len);
		expected += parts[i].len;
	}
	for (unsigned i = 0; i < 3; i++)
		CLAIM(zcreq_finish(context, heard[i].id, 0) == 0);
}

/* The end of a request's last part in the stream. */
static unsigned end_of(unsigned request)
{
	unsigned at = 0, end = 0;

	for (unsigned i = 0; i < PARTS; i++) {
		at += parts[i].len;
		if (parts[i].request == request)
			end = at;
	}
	return end;
}

/* Cut at @first and @second; the three proofs come by @order. */
static void cut_in_three(unsigned first, unsigned second, unsigned order)
{
	static const uint8_t orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
					     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	const unsigned begins[3] = {0, first, second};
	uint8_t expected[TOTAL];
	bool proven[3] = {false};

	open_stream();
	queue_parts(expected);
	zcreq_turn(context, 0);
	script_result(&script, first, true);
	script_result(&script, second - first, true);
	script_result(&script, TOTAL - second, true);
	CLAIM(script.taken == TOTAL && !memcmp(script.stream, expected, TOTAL));
	for (unsigned n = 0; n < 3; n++) {
		zcreq_turn(context, 0);
		for (unsigned r = 0; r < 3; r++) {
			bool waits = false;

			for (unsigned batch = 0; batch < 3; batch++)
				waits |= !proven[batch] && begins[batch] < end_of(r);
			CLAIM(heard[r].released == !waits);
		}
		script_proof(&script, orders[order][n]);
		proven[orders[order][n]] = true;
	}
	zcreq_turn(context, 0);
	for (unsigned r = 0; r < 3; r++)
		CLAIM(heard[r].released == 1 && heard[r].status == 0);
}

START_TEST(partial_results_at_every_byte_wait_for_every_batch)
{
	for (unsigned first = 1; first < TOTAL - 1; first++) {
		for (unsigned second = first + 1; second < TOTAL; second++) {
			zcreq_conn_free(conn);
			zcreq_turn(context, 0);
			options = script_options(&script);
			cut_in_three(first, second, _i);
		}
	}
}
END_TEST

/* Taken as a copy, byte by byte: released with the last byte, and not before. */
START_TEST(partial_copies_release_with_the_last_byte)
{
	uint8_t expected[TOTAL];

	options.mode = ZCREQ_MODE_NEVER;
	open_stream();
	queue_parts(expected);
	zcreq_turn(context, 0);
	for (unsigned at = 0; at < TOTAL;) {
		unsigned step = script.bytes < (unsigned)_i ? script.bytes : (unsigned)_i;

		ck_assert(!script.by_reference);
		script_result(&script, step, false);
		at += step;
		zcreq_turn(context, 0);
		for (unsigned r = 0; r < 3; r++)
			ck_assert_uint_eq(heard[r].released, at >= end_of(r));
	}
	ck_assert_mem_eq(script.stream, expected, TOTAL);
}
END_TEST

START_TEST(a_second_result_is_stale_and_counted)
{
	struct heard *request;

	open_stream();
	ck_assert_int_eq(zcreq_sender_result(conn, 0, 0, false), -ESTALE);
	request = sent(0, 10);
	ck_assert_int_eq(zcreq_sender_result(conn, 1, 10, false), -ESTALE);
	ck_assert_int_eq(zcreq_sender_result(conn, UINT32_MAX, 10, false), -ESTALE);
	ck_assert_uint_eq(released(request), 0);
	script_result(&script, 10, true);
	ck_assert_int_eq(zcreq_sender_result(conn, 0, 10, false), -ESTALE);
	ck_assert_int_eq(zcreq_sender_result(conn, 0, -EPIPE, true), -ESTALE);
	ck_assert_uint_eq(released(request), 0);
	ck_assert_uint_eq(stats().stale_handles, 5);
	ck_assert_uint_eq(heard_conn.abort, 0);
	script_proof(&script, 0);
	ck_assert_uint_eq(released(request), 1);
}
END_TEST

START_TEST(more_bytes_than_submitted_end_the_connection)
{
	struct heard *request, *behind;
	bool more = _i;

	open_stream();
	request = sent(0, 10);
	behind = sent(1, 10);
	script.under_way = false;
	script.awaited = more;
	ck_assert_int_eq(zcreq_sender_result(conn, 0, 11, more), -ERANGE);
	zcreq_turn(context, 0);
	ck_assert_int_eq(heard_conn.abort_status, -ERANGE);
	ck_assert_int_eq(request->status, -ERANGE);
	ck_assert_uint_eq(behind->released, 1);
	ck_assert_uint_eq(request->released, !more);
	if (more)
		script_proof(&script, 0);
	ck_assert_uint_eq(released(request), 1);
	ck_assert_uint_eq(heard_conn.closed, 1);
}
END_TEST

static const int ends[] = {-ECONNRESET, -EPIPE, -EINVAL, -EPERM, -EFAULT, -EBADF, -ECANCELED};

/* Whether memory is still read is what more says, and not the error. */
START_TEST(more_decides_and_the_error_does_not)
{
	int error = ends[_i / 2];
	struct heard *request;
	bool more = _i % 2;

	open_stream();
	request = sent(0, 10);
	script_result(&script, error, more);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(request->settled, 1); /* I4 */
	ck_assert_int_eq(request->status, error);
	ck_assert_uint_eq(request->released, !more); /* I2 */
	ck_assert_uint_eq(heard_conn.closed, !more); /* I9 */
	if (more)
		script_proof(&script, 0);
	ck_assert_uint_eq(released(request), 1);
	ck_assert_int_eq(heard_conn.closed_status, error);
}
END_TEST

/* ---- what waits, and for what ------------------------------------------------ */

static const int waits[] = {-EAGAIN, -EINTR, 0};

static int answer_again(struct script *s)
{
	if (waits[s->stub.so_error] < 0)
		return waits[s->stub.so_error];
	script_result(s, 0, false);
	return 0;
}

/* As with a peer that has sent its end and does not read. */
START_TEST(a_full_socket_is_not_submitted_to_again_before_pollout)
{
	int wait = waits[_i / 2];

	open_stream();
	script.stub.so_error = _i / 2;
	script.submitting = _i % 2 ? answer_again : NULL;
	sent(0, 10);
	if (!(_i % 2))
		script_result(&script, wait, false);
	for (unsigned turn = 0; turn < 100; turn++) {
		ck_assert_int_eq(zcreq_write(conn, memory[1], 1), 0);
		zcreq_process(conn, turn % 2 ? POLLIN : 0);
		zcreq_turn(context, 0);
		ck_assert_uint_eq(script.submits, 1);
	}
	script.submitting = NULL;
	zcreq_process(conn, POLLOUT);
	ck_assert_uint_eq(script.submits, 2);
	ck_assert_uint_eq(script.bytes, 110);
	script_result(&script, 110, false);
}
END_TEST

/* Answered late, or from inside: one try, then POLLOUT, and one for each of them. */
START_TEST(a_full_socket_waits_for_pollout_and_does_not_spin)
{
	bool inside = _i % 2, more = _i / 6;
	int wait = waits[_i / 2 % 3];
	struct heard *request;

	open_stream();
	script.stub.so_error = inside ? _i / 2 % 3 : 0;
	script.submitting = inside ? answer_again : NULL;
	request = sent(0, 10);
	if (!inside)
		script_result(&script, wait, more);
	ck_assert_uint_eq(script.submits, 1);
	ck_assert_int_eq(zcreq_events(conn), POLLERR | POLLOUT);
	for (unsigned i = 2; i < 5; i++) {
		zcreq_process(conn, POLLOUT);
		zcreq_turn(context, 0);
		ck_assert_uint_eq(script.submits, i);
		if (!inside)
			script_result(&script, wait, more);
		ck_assert_uint_eq(script.submits, i);
		ck_assert_int_eq(zcreq_events(conn), POLLERR | POLLOUT);
	}
	script.submitting = NULL;
	zcreq_process(conn, POLLOUT);
	zcreq_turn(context, 0);
	ck_assert_int_eq(zcreq_events(conn), POLLERR);
	script_result(&script, 10, true);
	script_proof(&script, script.id);
	/* what a refusal left in use is in use */
	ck_assert_uint_eq(released(request), !(more && !inside));
	for (uint32_t id = 0; id < 4 && more && !inside; id++) {
		ck_assert_uint_eq(released(request), 0);
		script_proof(&script, id);
	}
	ck_assert_uint_eq(released(request), 1);
	ck_assert_int_eq(request->status, 0);
	ck_assert_uint_eq(script.taken, 10);
}
END_TEST

/* Room that was seen meanwhile is used once: a loop of edges is not told of it again. */
START_TEST(room_that_was_seen_too_early_is_not_forgotten)
{
	open_stream();
	sent(0, 10);
	zcreq_process(conn, POLLOUT);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(script.submits, 1);
	script_result(&script, waits[_i], false);
	ck_assert_uint_eq(script.submits, 2);
	script_result(&script, waits[_i], false);
	ck_assert_uint_eq(script.submits, 2);
	ck_assert_int_eq(zcreq_events(conn), POLLERR | POLLOUT);
	zcreq_process(conn, POLLOUT);
	zcreq_turn(context, 0);
	script_result(&script, 10, false);
	ck_assert_uint_eq(released(&heard[0]), 1);
}
END_TEST

static int answer_no_memory(struct script *s)
{
	return s->by_reference ? -ENOBUFS : 0;
}

/* No memory for a batch by reference: it is copied, and the next is tried again. */
START_TEST(no_memory_by_reference_copies_one_batch)
{
	int error = _i % 2 ? -ENOBUFS : -ENOMEM;
	bool inside = _i / 2;

	open_stream();
	script.submitting = inside ? answer_no_memory : NULL;
	sent(0, 10);
	sent(1, 10);
	if (!inside)
		script_result(&script, error, false);
	ck_assert_uint_eq(script.submits, 2);
	ck_assert(!script.by_reference);
	ck_assert_uint_eq(stats().no_buffers, 1);
	script.submitting = NULL;
	script_result(&script, 1, false);
	ck_assert_uint_eq(script.submits, 3);
	ck_assert(script.by_reference);
	script_result(&script, script.bytes, false);
	zcreq_turn(context, 0);
	while (script.under_way)
		script_result(&script, script.bytes, false);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(stats().released, 2);
}
END_TEST

/* What was found no memory for, by reference, can hold some all the same. */
START_TEST(no_memory_with_more_waits_for_its_proof)
{
	struct heard *request;

	open_stream();
	request = sent(0, 10);
	script_result(&script, -ENOBUFS, true);
	ck_assert_uint_eq(script.submits, 2);
	script_result(&script, 10, false);
	ck_assert_uint_eq(released(request), 0);
	script_proof(&script, 0);
	ck_assert_uint_eq(released(request), 1);
}
END_TEST

/* What the transport does not take by reference is copied, and all that follows. */
START_TEST(what_cannot_go_by_reference_is_copied_from_then_on)
{
	struct heard *request;

	open_stream();
	request = sent(0, 10);
	ck_assert(script.by_reference);
	script_result(&script, -EOPNOTSUPP, _i);
	ck_assert_uint_eq(script.submits, 2);
	ck_assert(!script.by_reference);
	script_result(&script, 10, false);
	if (_i)
		script_proof(&script, 0);
	ck_assert_uint_eq(released(request), 1);
	ck_assert_int_eq(request->status, 0);
	sent(1, 10);
	ck_assert(!script.by_reference);
	ck_assert_uint_eq(stats().zerocopy_unsupported, 1);
	script_result(&script, -EOPNOTSUPP, false); /* of a copy: that is the end */
	ck_assert_uint_eq(stats().connections_aborted, 1);
}
END_TEST

/* No memory even for a copy: a rest, which a turn ends, and no POLLOUT meanwhile. */
START_TEST(no_memory_for_a_copy_rests)
{
	uint64_t now_ns = 1000, next_ns;
	struct heard *request;

	options.mode = ZCREQ_MODE_NEVER;
	open_stream();
	request = sent(0, 10);
	script_result(&script, _i ? -ENOBUFS : -ENOMEM, false);
	for (unsigned i = 1; i < 5; i++) {
		ck_assert_uint_eq(script.submits, i);
		ck_assert_int_eq(zcreq_events(conn), POLLERR);
		zcreq_turn(context, 0);
		zcreq_process(conn, POLLOUT);
		zcreq_turn(context, 0);
		ck_assert_uint_eq(script.submits, i);
		next_ns = zcreq_turn(context, now_ns);
		ck_assert_uint_eq(script.submits, i);
		ck_assert(next_ns != ZCREQ_NEVER);
		now_ns = next_ns;
		zcreq_turn(context, now_ns);
		ck_assert_uint_eq(script.submits, i + 1);
		if (i < 4)
			script_result(&script, -ENOBUFS, false);
	}
	ck_assert_uint_eq(stats().no_buffers, 4);
	script_result(&script, 10, false);
	ck_assert_uint_eq(released(request), 1);
	ck_assert_int_eq(request->status, 0);
}
END_TEST

/* The copy that has to be made finds the socket full: it waits like any other. */
START_TEST(a_copy_that_finds_the_socket_full_does_not_spin)
{
	open_stream();
	sent(0, 10);
	script_result(&script, -ENOBUFS, false);
	ck_assert_uint_eq(script.submits, 2);
	script_result(&script, -EAGAIN, false);
	ck_assert_uint_eq(script.submits, 2);
	ck_assert_int_eq(zcreq_events(conn), POLLERR | POLLOUT);
	zcreq_process(conn, POLLOUT);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(script.submits, 3);
	ck_assert(!script.by_reference);
}
END_TEST

static int answer_copies_of_a_byte(struct script *s)
{
	if (s->by_reference)
		return -ENOBUFS;
	script_result(s, 1, false);
	return 0;
}

START_TEST(a_copy_of_one_byte_is_progress)
{
	struct heard *request;

	open_stream();
	script.submitting = answer_copies_of_a_byte;
	request = sent(0, 10);
	ck_assert_uint_eq(script.taken, 10);
	ck_assert_uint_eq(released(request), 1);
}
END_TEST

static int answer_error(struct script *s)
{
	return s->stub.so_error;
}

/* submit() that fails has started nothing. */
START_TEST(submit_that_fails_ends_the_connection)
{
	struct heard *request, *behind;

	open_stream();
	script.submitting = answer_error;
	script.stub.so_error = ends[_i];
	request = request_of(0, 10);
	behind = sent(1, 10);
	ck_assert_uint_eq(script.submits, 1);
	zcreq_turn(context, 0);
	ck_assert_int_eq(request->status, ends[_i]);
	ck_assert_uint_eq(request->released, 1);
	ck_assert_uint_eq(behind->released, 1);
	ck_assert_uint_eq(heard_conn.closed, 1);
	ck_assert_uint_eq(script.cancels, 0);
	ck_assert_int_eq(zcreq_sender_result(conn, 0, 10, false), -ESTALE);
}
END_TEST

/* No place to remember a batch: nothing is submitted that could not be proven. */
START_TEST(no_memory_for_the_window_rests)
{
	uint64_t next_ns;

	open_stream();
	request_of(0, 10);
	counting.fail_at = counting.calls + 1;
	zcreq_turn(context, 0);
	ck_assert_uint_eq(counting.failed, 1);
	ck_assert_uint_eq(script.submits, 0);
	ck_assert_int_eq(zcreq_events(conn), POLLERR);
	next_ns = zcreq_turn(context, 1000);
	ck_assert(next_ns != ZCREQ_NEVER);
	zcreq_turn(context, next_ns);
	ck_assert_uint_eq(script.submits, 1);
	script_result(&script, 10, false);
	ck_assert_uint_eq(released(&heard[0]), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sender");
	TCase *tcase = tcase_create("claims");

	tcase_add_checked_fixture(tcase, scene_setup, scene_teardown);
	tcase_add_test(tcase, a_result_and_its_proof_release);
	tcase_add_test(tcase, a_result_without_more_releases_at_once);
	tcase_add_test(tcase, the_next_waits_for_the_result_and_takes_all_that_was_queued);
	tcase_add_test(tcase, a_submission_has_so_many_members_at_most);
	tcase_add_test(tcase, a_submission_takes_no_member_beyond_its_bytes);
	tcase_add_loop_test(tcase, partial_results_at_every_byte_wait_for_every_batch, 0, 6);
	tcase_add_loop_test(tcase, partial_copies_release_with_the_last_byte, 1, TOTAL + 1);
	tcase_add_test(tcase, a_second_result_is_stale_and_counted);
	tcase_add_loop_test(tcase, more_bytes_than_submitted_end_the_connection, 0, 2);
	tcase_add_loop_test(tcase, more_decides_and_the_error_does_not, 0, 2 * COUNT(ends));
	tcase_add_loop_test(tcase, a_full_socket_is_not_submitted_to_again_before_pollout, 0,
			    2 * COUNT(waits));
	tcase_add_loop_test(tcase, a_full_socket_waits_for_pollout_and_does_not_spin, 0, 12);
	tcase_add_loop_test(tcase, room_that_was_seen_too_early_is_not_forgotten, 0, COUNT(waits));
	tcase_add_loop_test(tcase, no_memory_by_reference_copies_one_batch, 0, 4);
	tcase_add_test(tcase, no_memory_with_more_waits_for_its_proof);
	tcase_add_loop_test(tcase, what_cannot_go_by_reference_is_copied_from_then_on, 0, 2);
	tcase_add_loop_test(tcase, no_memory_for_a_copy_rests, 0, 2);
	tcase_add_test(tcase, a_copy_that_finds_the_socket_full_does_not_spin);
	tcase_add_test(tcase, a_copy_of_one_byte_is_progress);
	tcase_add_loop_test(tcase, submit_that_fails_ends_the_connection, 0, COUNT(ends));
	tcase_add_test(tcase, no_memory_for_the_window_rests);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
