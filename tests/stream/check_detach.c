/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_detach.c - the buffers of an aborted request are the program's at once
 *
 * The socket is a stub that keeps what it has, and pages are exchanged by a function of the
 * test, which notes what it was asked for. That real pages are, and what goes out then, is
 * in tests/memory and tests/real.
 */
#include "support/suite.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "stream/stream.h"
#include "support/scene.h"

#define PAGE 4096

static struct {
	unsigned calls;
	int answer;
	unsigned flags;
	int count;
	struct iovec lent[8];
} asked;

static int note(const struct iovec *lent, int count, unsigned flags, void *arg)
{
	ck_assert_ptr_eq(arg, &asked);
	ck_assert_int_gt(count, 0);
	asked.calls++;
	asked.flags = flags;
	asked.count = count;
	for (int i = 0; i < count && i < 8; i++)
		asked.lent[i] = lent[i];
	for (int i = 1; i < count; i++)
		CLAIM((char *)lent[i - 1].iov_base + lent[i - 1].iov_len < (char *)lent[i].iov_base);
	return asked.answer;
}

static const struct zcreq_memory_ops ops = {.exchange = note};

static void nothing(zcreq_id id, int status, void *arg)
{
	(void)id;
	(void)status;
	(void)arg;
}

static const struct zcreq_request_hooks silent = {.released = nothing};

static char pages[8 * PAGE] __attribute__((aligned(PAGE)));
static struct heard more[4];

static void setup(void)
{
	scene_setup();
	stub.keeps = true;
	options.flags |= ZCREQ_STREAM_DETACH;
	options.memory_ops = &ops;
	options.memory_arg = &asked;
	memset(&asked, 0, sizeof(asked));
}

static void open_and_begin(void)
{
	scene_open();
	heard_begin(conn, &heard);
}

static void send_and_abort(void)
{
	open_and_begin();
	stub_send(conn, heard.id, data, sizeof(data));
	scene_finish(0);
	ck_assert_int_eq(zcreq_conn_abort(conn, -ECONNRESET), 0);
	zcreq_turn(context, SECOND);
	ck_assert_uint_eq(heard.released, 0);
}

/* All requests are back, and the kernel has everything still. */
static void expect_detached(uint64_t sends, uint64_t bytes)
{
	const struct zcreq_stats stats = stats_of(context);

	ck_assert_uint_eq(stats.proved_detached, sends);
	ck_assert_uint_eq(stats.detached_bytes_now, bytes);
}

static void teardown(void)
{
	stub_prove_all(&stub);
	if (conn)
		zcreq_conn_free(conn);
	conn = NULL;
	zcreq_turn(context, 100 * SECOND);
	zcreq_turn(context, 200 * SECOND);
	ck_assert_uint_eq(stats_of(context).detached_bytes_now, 0);
	counting_end(&memory, context);
}

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

static void send_pages(struct heard *request, size_t at, size_t bytes)
{
	heard_begin(conn, request);
	stub_send(conn, request->id, pages + at, bytes);
	ck_assert_int_eq(zcreq_finish(context, request->id, 0), 0);
}

static void abort_now(void)
{
	ck_assert_int_eq(zcreq_conn_abort(conn, -ECONNRESET), 0);
	zcreq_turn(context, SECOND);
}

static void expect_asked(int at, size_t start, size_t bytes)
{
	ck_assert_int_gt(asked.count, at);
	ck_assert_ptr_eq(asked.lent[at].iov_base, pages + start);
	ck_assert_uint_eq(asked.lent[at].iov_len, bytes);
}

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
	const struct iovec iov = {pages + PAGE, 20};

	scene_open();
	ck_assert_int_eq(zcreq_send(conn, &silent, NULL, &iov, 1, 0, NULL), 0);
	zcreq_turn(context, 0);
	abort_now();
	ck_assert_int_eq(zcreq_conn_detach(conn, 0), 0);
	expect_asked(0, PAGE, 20);
	zcreq_turn(context, SECOND);
	expect_detached(1, 20);
}
END_TEST

/* ---- what is refused ---- */

START_TEST(a_refusal_leaves_everything_as_it_was)
{
	send_and_abort();
	asked.answer = -EPERM;
	ck_assert_int_eq(zcreq_detach(context, heard.id, 0), -EPERM);
	ck_assert_int_eq(zcreq_conn_detach(conn, 0), -EPERM);
	ck_assert_uint_eq(stats_of(context).detach_refused, 2);
	expect_detached(0, 0);
	zcreq_turn(context, SECOND);
	ck_assert_uint_eq(heard.released, 0);
	asked.answer = 0;
	ck_assert_int_eq(zcreq_detach(context, heard.id, 0), 0);
	zcreq_turn(context, SECOND);
	ck_assert_uint_eq(heard.released, 1);
}
END_TEST

START_TEST(bad_calls_are_refused)
{
	static struct heard other;

	open_and_begin();
	stub_send(conn, heard.id, data, sizeof(data));
	ck_assert_int_eq(zcreq_detach(NULL, heard.id, 0), -EINVAL);
	ck_assert_int_eq(zcreq_detach(context, heard.id, 2), -EINVAL);
	ck_assert_int_eq(zcreq_detach(context, (zcreq_id){1}, 0), -ESTALE);
	ck_assert_int_eq(zcreq_conn_detach(NULL, 0), -EINVAL);
	ck_assert_int_eq(zcreq_conn_detach(conn, 2), -EINVAL);
	/* not aborted */
	ck_assert_int_eq(zcreq_detach(context, heard.id, 0), -EBUSY);
	ck_assert_int_eq(zcreq_conn_detach(conn, 0), -EBUSY);
	scene_finish(0);
	ck_assert_int_eq(zcreq_conn_drain(conn, 0), 0);
	ck_assert_int_eq(zcreq_conn_detach(conn, 0), -EBUSY);
	ck_assert_int_eq(zcreq_conn_abort(conn, -ECONNRESET), 0);
	stub_prove_all(&stub);
	zcreq_turn(context, SECOND);
	ck_assert_uint_eq(heard.released, 1);
	/* closed: nothing is lent */
	ck_assert_int_eq(zcreq_conn_detach(conn, 0), 0);
	ck_assert_uint_eq(asked.calls, 0);
	zcreq_conn_free(conn);
	scene_open_bare();
	heard_begin(conn, &other);
	ck_assert_int_eq(zcreq_detach(context, other.id, 0), -EOPNOTSUPP);
	ck_assert_int_eq(zcreq_conn_detach(conn, 0), -EOPNOTSUPP);
	ck_assert_int_eq(zcreq_finish(context, other.id, 0), 0);
}
END_TEST

START_TEST(a_stream_that_was_not_asked_to_keeps_no_note)
{
	options.flags = 0;
	send_and_abort();
	ck_assert_int_eq(zcreq_detach(context, heard.id, 0), -EOPNOTSUPP);
	ck_assert_int_eq(zcreq_conn_detach(conn, 0), -EOPNOTSUPP);
}
END_TEST

START_TEST(options_that_do_not_go_together_are_refused)
{
	static const struct zcreq_memory_ops none = {.exchange = NULL};
	static const struct zcreq_memory_ops newer = {
		.exchange = note, .reserved = {[2] = (void (*)(void))abort},
	};
	struct zcreq_conn *other;

	options.flags |= ZCREQ_STREAM_OWN_SENDS;
	ck_assert_int_eq(zcreq_stream_open(context, &options, &other), -EINVAL);
	options.flags = ZCREQ_STREAM_OWN_SENDS;
	options.detach_ms = 100;
	ck_assert_int_eq(zcreq_stream_open(context, &options, &other), -EINVAL);
	options.flags = 0;
	options.detach_ms = 5000;
	ck_assert_int_eq(zcreq_stream_open(context, &options, &other), -EINVAL);
	options.linger_ms = 100;
	options.detach_ms = 100;
	ck_assert_int_eq(zcreq_stream_open(context, &options, &other), -EINVAL);
	options.detach_ms = 99;
	options.memory_ops = &none;
	ck_assert_int_eq(zcreq_stream_open(context, &options, &other), -EINVAL);
	options.memory_ops = &newer;
	ck_assert_int_eq(zcreq_stream_open(context, &options, &other), -EINVAL);
	options.memory_ops = &ops;
	scene_open();
}
END_TEST

START_TEST(no_more_than_the_context_allows)
{
	struct zcreq_context_options with = {
		.size = sizeof(with),
		.detached_bytes = 30,
		.allocator = &memory.allocator,
	};

	counting_end(&memory, context);
	ck_assert_int_eq(zcreq_context_new(&with, &context), 0);
	scene_open();
	for (int i = 0; i < 4; i++)
		send_pages(&more[i], (size_t)i * 20, 10);
	abort_now();
	ck_assert_int_eq(zcreq_conn_detach(conn, 0), -EDQUOT);
	ck_assert_uint_eq(asked.calls, 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(zcreq_detach(context, more[i].id, 0), 0);
	ck_assert_int_eq(zcreq_detach(context, more[3].id, 0), -EDQUOT);
	expect_detached(3, 30);
	/* the kernel gives some back */
	stub_notify(&stub, 0, 0, false);
	zcreq_turn(context, 2 * SECOND);
	expect_detached(3, 20);
	ck_assert_int_eq(zcreq_detach(context, more[3].id, 0), 0);
	zcreq_turn(context, 2 * SECOND);
	stub.unproven = 1;
}
END_TEST

START_TEST(without_memory_nothing_is_lent_or_detached)
{
	const struct iovec iov = {pages, 10};
	bool sent = false;

	open_and_begin();
	memory.exhausted = true;
	ck_assert_int_eq(zcreq_add(context, heard.id, &iov, 1, 0), -ENOMEM);
	memory.exhausted = false;
	for (unsigned at = 1; !sent; at++) {
		memory.fail_at = memory.calls + at;
		sent = !zcreq_add(context, heard.id, &iov, 1, 0);
		memory.fail_at = 0;
	}
	zcreq_turn(context, 0);
	scene_finish(0);
	abort_now();
	memory.exhausted = true;
	ck_assert_int_eq(zcreq_conn_detach(conn, 0), -ENOMEM);
	memory.exhausted = false;
	ck_assert_int_eq(zcreq_conn_detach(conn, 0), 0);
	ck_assert_int_eq(asked.count, 1);
	expect_asked(0, 0, 10);
	zcreq_turn(context, SECOND);
}
END_TEST

/* A request that cannot begin has lent nothing. */
START_TEST(a_send_that_was_refused_is_not_noted)
{
	struct zcreq_context_options with = {
		.size = sizeof(with),
		.max_requests = 1,
		.allocator = &memory.allocator,
	};
	const struct iovec iov[] = {{pages, 10}, {pages + 2 * PAGE, 10}};

	counting_end(&memory, context);
	ck_assert_int_eq(zcreq_context_new(&with, &context), 0);
	scene_open();
	ck_assert_int_eq(zcreq_send(conn, &silent, NULL, &iov[0], 1, 0, NULL), 0);
	ck_assert_int_eq(zcreq_send(conn, &silent, NULL, &iov[1], 1, 0, NULL), -EMFILE);
	zcreq_turn(context, 0);
	abort_now();
	ck_assert_int_eq(zcreq_conn_detach(conn, 0), 0);
	ck_assert_int_eq(asked.count, 1);
	expect_asked(0, 0, 10);
	zcreq_turn(context, SECOND);
}
END_TEST

/* Up to the reserve nothing is allocated for the notes either. */
START_TEST(a_reserve_holds_for_the_notes)
{
	options.reserve_sends = 4;
	options.reserve_iovs = 4;
	options.reserve_batches = 4;
	open_and_begin();
	memory.exhausted = true;
	for (int i = 0; i < 4; i++)
		stub_send(conn, heard.id, pages + i * PAGE, 10);
	memory.exhausted = false;
	scene_finish(0);
	scene_prove();
	zcreq_turn(context, SECOND);
	for (unsigned at = 1; at < 8; at++) {
		struct zcreq_conn *other;

		memory.fail_at = memory.calls + at;
		if (!zcreq_stream_open(context, &options, &other)) {
			memory.fail_at = 0;
			zcreq_conn_free(other);
			break;
		}
	}
	memory.fail_at = 0;
}
END_TEST

START_TEST(an_idle_stream_gives_the_notes_back)
{
	long before;

	scene_open();
	before = memory.live;
	for (int i = 0; i < 4; i++)
		send_pages(&more[i], (size_t)i * PAGE, 10);
	scene_prove();
	for (uint64_t s = 1; s < 8; s++)
		zcreq_turn(context, s * SECOND);
	ck_assert_int_le(memory.live, before + 2); /* the table of requests */
	ck_assert_ptr_null(zcreq_stream_of(conn)->loans->fifo);
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

	tcase_add_checked_fixture(test, setup, teardown);
	tcase_add_test(test, a_detached_request_is_released_and_the_connection_waits_for_the_kernel);
	tcase_add_test(test, out_of_quarantine_too);
	tcase_add_test(test, the_owner_and_his_holds_are_waited_for);
	tcase_add_test(test, a_connection_is_detached_in_one_go_and_each_byte_once);
	tcase_add_test(test, a_page_of_several_requests_is_exchanged_once);
	tcase_add_test(test, an_end_that_was_exchanged_is_cut_off);
	tcase_add_test(test, memory_in_the_middle_of_a_loan_is_exchanged_once_more);
	tcase_add_test(test, only_what_has_no_proof_is_exchanged);
	tcase_add_test(test, one_shot_sends_lend_as_well);
	tcase_add_test(test, a_refusal_leaves_everything_as_it_was);
	tcase_add_test(test, bad_calls_are_refused);
	tcase_add_test(test, a_stream_that_was_not_asked_to_keeps_no_note);
	tcase_add_test(test, options_that_do_not_go_together_are_refused);
	tcase_add_test(test, no_more_than_the_context_allows);
	tcase_add_test(test, without_memory_nothing_is_lent_or_detached);
	tcase_add_test(test, a_send_that_was_refused_is_not_noted);
	tcase_add_test(test, a_reserve_holds_for_the_notes);
	tcase_add_test(test, an_idle_stream_gives_the_notes_back);
	tcase_add_test(test, after_detach_ms_by_itself_and_no_quarantine);
	tcase_add_test(test, what_is_refused_goes_to_quarantine_and_is_not_tried_again);
	tcase_add_test(test, it_is_in_the_trace);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
