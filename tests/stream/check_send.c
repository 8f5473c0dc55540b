/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_send.c - a whole request in one call: all of it, or nothing
 */
#include "support/suite.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>

#include "support/scene.h"

static int send_all(zcreq_id *id)
{
	const struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};

	return zcreq_send(conn, &heard_ops, &heard, &iov, 1, 0, id);
}

/* What it must not leave behind. */
static void expect_nothing(void)
{
	struct zcreq_stats stats;

	ck_assert_int_eq(zcreq_context_stats(context, &stats, sizeof(stats)), 0);
	ck_assert_uint_eq(stats.begun, 0);
	ck_assert_uint_eq(stats.unsent_bytes_now, 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard_calls(&heard), 0);
}

START_TEST(one_call_begins_sends_and_finishes)
{
	ck_assert_int_eq(send_all(&heard.id), 0);
	ck_assert_int_eq(zcreq_request_state(context, heard.id), ZCREQ_STATE_FINISHED);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(stub.zerocopy_bytes, sizeof(data));
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.released, 0);
	scene_prove();
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.settled, 1);
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_int_eq(heard.status, 0);
}
END_TEST

static void hear_released(zcreq_id id, int status, void *arg)
{
	struct heard *to = arg;

	to->id = id;
	to->status = status;
	to->released++;
}

START_TEST(a_handle_is_not_needed)
{
	const struct zcreq_request_hooks only_released = {.released = hear_released};
	const struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};

	ck_assert_int_eq(zcreq_send(conn, &only_released, &heard, &iov, 1, 0, NULL), 0);
	ck_assert_int_eq(zcreq_conn_abort(conn, -ECONNRESET), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_int_eq(heard.status, -ECONNRESET);
}
END_TEST

START_TEST(what_is_no_send_is_refused)
{
	const struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
	const struct iovec empty = {.iov_base = data};
	const struct iovec huge[] = {{data, SIZE_MAX / 2}, {data, SIZE_MAX / 2}};
	const struct iovec vast = {data, SIZE_MAX / 2 + 1};
	const struct zcreq_request_hooks deaf = {0};
	static struct iovec many[ZCREQ_IOV_MAX + 1];
	zcreq_id id = {7};

	for (int i = 0; i <= ZCREQ_IOV_MAX; i++)
		many[i] = iov;
	ck_assert_int_eq(zcreq_send(NULL, &heard_ops, &heard, &iov, 1, 0, &id), -EINVAL);
	ck_assert_int_eq(zcreq_send(conn, NULL, &heard, &iov, 1, 0, &id), -EINVAL);
	ck_assert_int_eq(zcreq_send(conn, &deaf, &heard, &iov, 1, 0, &id), -EINVAL);
	ck_assert_int_eq(zcreq_send(conn, &heard_ops, &heard, NULL, 1, 0, &id), -EINVAL);
	ck_assert_int_eq(zcreq_send(conn, &heard_ops, &heard, &iov, 0, 0, &id), -EINVAL);
	ck_assert_int_eq(zcreq_send(conn, &heard_ops, &heard, &iov, -1, 0, &id), -EINVAL);
	ck_assert_int_eq(zcreq_send(conn, &heard_ops, &heard, &iov, 1, 1, &id), -EINVAL);
	ck_assert_int_eq(zcreq_send(conn, &heard_ops, &heard, &empty, 1, 0, &id), -EINVAL);
	ck_assert_int_eq(zcreq_send(conn, &heard_ops, &heard, many, ZCREQ_IOV_MAX + 1, 0, &id),
			 -EMSGSIZE);
	ck_assert_int_eq(zcreq_send(conn, &heard_ops, &heard, huge, 2, 0, &id), -EOVERFLOW);
	ck_assert_int_eq(zcreq_send(conn, &heard_ops, &heard, &vast, 1, 0, &id), -EOVERFLOW);
	ck_assert_uint_eq(id.bits, 7);
	expect_nothing();
}
END_TEST

/* Without a limit there is one still: the number of bytes that are held is a number. */
START_TEST(what_is_held_never_wraps)
{
	const struct iovec half = {.iov_base = data, .iov_len = SIZE_MAX / 2};
	struct heard both[2] = {0};

	if (sizeof(size_t) < sizeof(uint64_t)) {
		printf("32 bits: two lengths are far from what is counted with 64\n");
		return;
	}
	stub.room_bytes = 0;
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(zcreq_send(conn, &heard_ops, &both[i], &half, 1, 0, &both[i].id), 0);
	ck_assert_int_eq(send_all(&heard.id), -EAGAIN);
	ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(both[0].released + both[1].released, 2);
}
END_TEST

/* A request that goes on after a send of its own is back is not one that nothing was sent of. */
START_TEST(what_was_sent_and_is_back_cannot_be_withdrawn)
{
	ck_assert_int_eq(zcreq_begin(conn, &heard_ops, &heard, 0, &heard.id), 0);
	stub_send(conn, heard.id, data, sizeof(data));
	zcreq_turn(context, 0);
	ck_assert_int_eq(zcreq_abort(context, heard.id, -EIO), -EBUSY);
	scene_prove();
	zcreq_turn(context, 0);
	ck_assert_int_eq(zcreq_abort(context, heard.id, -EIO), -EBUSY);
	ck_assert_int_eq(zcreq_finish(context, heard.id, 0), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.released, 1);
}
END_TEST

/* The last send is back after the outcome was told: then that is the outcome. */
START_TEST(the_last_send_of_a_request_that_failed_ends_it)
{
	zcreq_hold hold;

	ck_assert_int_eq(zcreq_begin(conn, &heard_ops, &heard, 0, &heard.id), 0);
	stub_send(conn, heard.id, data, sizeof(data));
	ck_assert_int_eq(zcreq_take(context, heard.id, &hold), 0);
	ck_assert_int_eq(zcreq_finish(context, heard.id, 0), 0);
	ck_assert_int_eq(zcreq_drop(context, hold, -EILSEQ), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.released, 0);
	scene_prove();
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_int_eq(heard.status, -EILSEQ);
}
END_TEST

/* Who listens hears of each step, in its order. */
START_TEST(a_send_that_is_traced_is_told_of)
{
	static const uint16_t kinds[] = {ZCREQ_TRACE_BEGIN, ZCREQ_TRACE_SEND, ZCREQ_TRACE_FINISH};
	static _Alignas(8) char log[16384];
	const struct zcreq_trace_options o = {
		.size = sizeof(o), .memory = log, .memory_bytes = sizeof(log),
	};
	const struct zcreq_trace_header *header = (const void *)log;
	const struct zcreq_trace_event *events = (const void *)(header + 1);

	ck_assert_int_eq(zcreq_trace_start(context, &o), 0);
	ck_assert_int_eq(send_all(&heard.id), 0);
	ck_assert_uint_eq(header->written, COUNT(kinds));
	for (unsigned i = 0; i < COUNT(kinds); i++)
		ck_assert_uint_eq(events[i].kind, kinds[i]);
	ck_assert_int_eq(zcreq_trace_stop(context), 0);
	zcreq_turn(context, 0);
	scene_prove();
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.released, 1);
}
END_TEST

START_TEST(a_connection_without_a_socket_sends_nothing)
{
	struct zcreq_conn *bare;

	ck_assert_int_eq(zcreq_conn_open(context, NULL, &bare), 0);
	ck_assert_int_eq(zcreq_send(bare, &heard_ops, &heard,
				    &(const struct iovec){.iov_base = data, .iov_len = 1}, 1, 0,
				    NULL), -EINVAL);
	zcreq_conn_free(bare);
	expect_nothing();
}
END_TEST

START_TEST(after_the_end_it_says_so)
{
	ck_assert_int_eq(zcreq_conn_abort(conn, -ECONNRESET), 0);
	ck_assert_int_eq(send_all(&heard.id), -ESHUTDOWN);
	expect_nothing();
}
END_TEST

/* Closed and not freed: its queue is gone, and nothing takes memory for a new one. */
START_TEST(a_closed_connection_takes_no_memory)
{
	struct iovec many[100];
	unsigned calls;

	for (unsigned i = 0; i < COUNT(many); i++)
		many[i] = (struct iovec){.iov_base = data, .iov_len = 1};
	ck_assert_int_eq(send_all(&heard.id), 0); /* so that there was one */
	zcreq_turn(context, 0);
	ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	zcreq_turn(context, 0);
	zcreq_turn(context, 0);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_CLOSED);
	calls = memory.calls;
	ck_assert_int_eq(zcreq_send(conn, &heard_ops, &heard, many, COUNT(many), 0, NULL),
			 -ESHUTDOWN);
	ck_assert_uint_eq(memory.calls, calls);
}
END_TEST

START_TEST(without_memory_there_is_no_request)
{
	int ret = -ENOMEM;

	for (unsigned good = 0; ret; good++) {
		memory.fail_at = memory.calls + good + 1;
		ret = send_all(&heard.id);
		memory.fail_at = 0;
		if (ret) {
			ck_assert_int_eq(ret, -ENOMEM);
			expect_nothing();
		}
		ck_assert_uint_lt(good, 10);
	}
	zcreq_turn(context, 0);
	scene_prove();
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.released, 1);
}
END_TEST

/* ---- how much is sent at once -------------------------------------------------- */

#define SENDS 12
#define BIG 65536

START_TEST(a_batch_ends_with_the_send_that_fills_it)
{
	static const struct {
		uint32_t batch_bytes;
		unsigned batches;
	} rows[] = {
		{0, 3}, {1, SENDS}, {BIG, SENDS}, {BIG + 1, SENDS / 2}, {3 * BIG, SENDS / 3},
		{4 * BIG, 3}, {SENDS * BIG, 1}, {ZCREQ_BATCH_MAX, 1},
	};
	static char big[BIG];
	const struct iovec iov = {.iov_base = big, .iov_len = sizeof(big)};
	static struct heard many[SENDS];

	options.batch_bytes = rows[_i].batch_bytes;
	scene_open();
	for (unsigned i = 0; i < SENDS; i++)
		ck_assert_int_eq(zcreq_send(conn, &heard_ops, &many[i], &iov, 1, 0, &many[i].id),
				 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(stub.zerocopy_sends, rows[_i].batches);
	scene_prove();
	for (unsigned i = 0; i < SENDS; i++)
		ck_assert_uint_eq(many[i].released, 1);
}
END_TEST

/* In mode always too: what is smaller than the threshold is copied, and only that. */
START_TEST(always_begins_at_the_threshold)
{
	options.threshold_bytes = _i ? sizeof(data) + 1 : sizeof(data);
	scene_open();
	scene_sent();
	ck_assert_uint_eq(stub.zerocopy_sends, !_i);
	ck_assert_uint_eq(stub.copied_sends, _i);
	scene_prove();
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.released, 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("send");
	TCase *send = tcase_create("send"), *batch = tcase_create("batch");

	tcase_add_checked_fixture(send, scene_setup_open, scene_teardown);
	tcase_add_test(send, one_call_begins_sends_and_finishes);
	tcase_add_test(send, a_handle_is_not_needed);
	tcase_add_test(send, what_is_no_send_is_refused);
	tcase_add_test(send, what_is_held_never_wraps);
	tcase_add_test(send, what_was_sent_and_is_back_cannot_be_withdrawn);
	tcase_add_test(send, the_last_send_of_a_request_that_failed_ends_it);
	tcase_add_test(send, a_send_that_is_traced_is_told_of);
	tcase_add_test(send, a_connection_without_a_socket_sends_nothing);
	tcase_add_test(send, after_the_end_it_says_so);
	tcase_add_test(send, a_closed_connection_takes_no_memory);
	tcase_add_test(send, without_memory_there_is_no_request);
	suite_add_tcase(s, send);
	tcase_add_checked_fixture(batch, scene_setup, scene_teardown);
	tcase_add_loop_test(batch, a_batch_ends_with_the_send_that_fills_it, 0, 8);
	tcase_add_loop_test(batch, always_begins_at_the_threshold, 0, 2);
	suite_add_tcase(s, batch);
	return suite_run(s);
}
