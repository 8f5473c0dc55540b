/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_reserve.c - with a reserve nothing is allocated, from the first request on
 *
 * The allocator gives nothing from the moment on at which all is open; and it counts who
 * asks. Everything that allocates on the way of data is done up to what was reserved, and
 * then some more, which shows that the reserve was what it took.
 */
#include "support/suite.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "stream/stream.h"
#include "support/scene.h"

#define REQUESTS 100
#define HOLDS 70
#define WRITES 9
#define WRITE_BYTES 4000
#define IOVS 2
#define BATCHES (REQUESTS + WRITES)
#define MESSAGES 64

/* What there is room for: tables grow by pages of 64, fifos by powers of two. */
#define SENDS_ROOM 128
#define REQUESTS_ROOM 128

static struct heard many[REQUESTS_ROOM + 1];
static zcreq_hold holds[HOLDS];
static char bytes[WRITE_BYTES];
static const struct iovec iovs[IOVS] = {{bytes, 10}, {bytes, 20}};
static unsigned asked; /* calls of the allocator when all was open */

static struct zcreq_context_options context_options(void)
{
	return (struct zcreq_context_options){
		.size = sizeof(struct zcreq_context_options),
		.allocator = &memory.allocator,
		.reserve_requests = REQUESTS, .reserve_holds = HOLDS,
	};
}

static void reserve(void)
{
	options.reserve_sends = REQUESTS + WRITES;
	options.reserve_iovs = REQUESTS * IOVS + WRITES;
	options.reserve_batches = BATCHES;
	options.reserve_writes = WRITES;
	options.reserve_messages = MESSAGES;
}

static void setup(void)
{
	const struct zcreq_context_options o = context_options();

	counting_init(&memory);
	ck_assert_int_eq(zcreq_context_new(&o, &context), 0);
	stub_init(&stub);
	options = stub_options(&stub);
	options.hooks = &heard_hooks;
	options.arg = &hooks;
	reserve();
	memset(many, 0, sizeof(many));
}

/* Nobody finds memory from here on. */
static void exhaust(void)
{
	memory.exhausted = true;
	asked = memory.calls;
}

static void setup_open(void)
{
	setup();
	scene_open();
	exhaust();
}

static void teardown(void)
{
	stub_prove_all(&stub);
	if (conn)
		zcreq_process(conn, POLLERR);
	memset(&heard, 0, sizeof(heard));
	scene_teardown();
}

static int send_one(struct heard *of)
{
	return zcreq_send(conn, &heard_ops, of, iovs, IOVS, 0, &of->id);
}

/* As much as was reserved, all of it queued before any is sent, or each sent by itself. */
static void fill(bool by_one)
{
	memset(many, 0, sizeof(many));
	for (unsigned i = 0; i < REQUESTS + WRITES; i++) {
		if (i % 12 == 11)
			ck_assert_int_eq(zcreq_write(conn, bytes, WRITE_BYTES), 0);
		else
			ck_assert_int_eq(send_one(&many[i - i / 12]), 0);
		if (by_one)
			zcreq_turn(context, 0);
	}
	zcreq_turn(context, 0);
	for (unsigned i = 0; i < MESSAGES; i++)
		stub_foreign(&stub);
	ck_assert_int_eq(zcreq_process(conn, POLLERR), 0);
	zcreq_turn(context, 0);
}

/* Proof of all, the last first, so that nothing gives its place back before the end. */
static void prove_backwards(void)
{
	for (uint32_t id = stub.next_id; id != stub.unproven; id--)
		stub_notify(&stub, id - 1, id - 1, false);
	stub.unproven = stub.next_id;
}

static void expect_all_released(void)
{
	prove_backwards();
	ck_assert_int_eq(zcreq_process(conn, POLLERR), 0);
	zcreq_turn(context, 0);
	for (unsigned i = 0; i < REQUESTS; i++) {
		ck_assert_uint_eq(many[i].released, 1);
		ck_assert_int_eq(many[i].status, 0);
	}
}

/* ---- up to the reserve ---------------------------------------------------------- */

START_TEST(i7_from_the_first_request_on_nothing_is_allocated)
{
	for (unsigned round = 0; round < 3; round++) {
		fill(_i);
		expect_all_released();
		ck_assert_uint_eq(hooks.message, (round + 1) * MESSAGES);
		/* and not after a rest, in which others give their memory back */
		for (unsigned i = 0; i < 5; i++)
			zcreq_turn(context, (10 * round + i) * SECOND);
	}
	ck_assert_uint_eq(memory.calls, asked);
	ck_assert_uint_eq(stub.copied_sends, 0);
	ck_assert_uint_eq(stats_of(context).foreign_lost, 0);
}
END_TEST

START_TEST(i7_from_the_first_hold_on_nothing_is_allocated)
{
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < REQUESTS; i++)
			heard_begin(conn, &many[i]);
		for (unsigned i = 0; i < HOLDS; i++)
			holds[i] = heard_take(context, &many[i]);
		for (unsigned i = 0; i < HOLDS; i++)
			ck_assert_int_eq(zcreq_drop(context, holds[i], 0), 0);
		for (unsigned i = 0; i < REQUESTS; i++)
			ck_assert_int_eq(zcreq_finish(context, many[i].id, 0), 0);
		zcreq_turn(context, 0);
		memset(many, 0, sizeof(many));
	}
	ck_assert_uint_eq(memory.calls, asked);
}
END_TEST

START_TEST(an_abort_allocates_nothing)
{
	fill(_i);
	ck_assert_int_eq(zcreq_conn_abort(conn, -ETIMEDOUT), 0);
	zcreq_turn(context, 0);
	for (unsigned i = 0; i < REQUESTS; i++) {
		ck_assert_uint_eq(many[i].released, 1);
		ck_assert_int_eq(many[i].status, -ETIMEDOUT);
	}
	ck_assert_uint_eq(memory.calls, asked);
}
END_TEST

/* A sender that takes all at once, and says later that it has let go. */
static int take_all(struct zcreq_conn *of, const struct zcreq_submission *submission, void *arg)
{
	uint32_t *next_id = arg;

	*next_id = submission->id + 1;
	ck_assert_int_eq(zcreq_sender_result(of, submission->id, (int64_t)submission->bytes, true),
			 0);
	return 0;
}

START_TEST(i7_a_sender_finds_its_places_too)
{
	static const struct zcreq_sender_ops sender = {.submit = take_all};
	uint32_t next_id = 0, proven = 0;

	options.sender = &sender;
	options.sender_arg = &next_id;
	scene_open();
	exhaust();
	for (unsigned round = 0; round < 3; round++) {
		fill(true);
		while (proven != next_id) {
			const struct zcreq_proof proof = {.id = proven++};

			ck_assert_int_eq(zcreq_sender_proof(conn, &proof, 1), 1);
		}
		zcreq_turn(context, 0);
		for (unsigned i = 0; i < REQUESTS; i++)
			ck_assert_uint_eq(many[i].released, 1);
	}
	ck_assert_uint_eq(memory.calls, asked);
	stub.closes = 0;
}
END_TEST

/* ---- beyond it ------------------------------------------------------------------- */

START_TEST(one_request_more_finds_no_memory)
{
	for (unsigned i = 0; i < REQUESTS_ROOM; i++)
		heard_begin(conn, &many[i]);
	ck_assert_uint_eq(memory.calls, asked);
	ck_assert_int_eq(zcreq_begin(conn, &heard_ops, &many[REQUESTS_ROOM], 0,
				     &many[REQUESTS_ROOM].id), -ENOMEM);
	for (unsigned i = 0; i < REQUESTS_ROOM; i++)
		ck_assert_int_eq(zcreq_finish(context, many[i].id, 0), 0);
	zcreq_turn(context, 0);
}
END_TEST

START_TEST(one_send_more_finds_no_memory)
{
	for (unsigned i = 0; i < SENDS_ROOM; i++)
		ck_assert_int_eq(send_one(&many[i]), i < SENDS_ROOM ? 0 : -ENOMEM);
	ck_assert_int_eq(send_one(&many[SENDS_ROOM]), -ENOMEM);
	zcreq_turn(context, 0);
	scene_prove();
}
END_TEST

START_TEST(one_write_more_finds_no_memory)
{
	for (unsigned i = 0; i < WRITES; i++)
		ck_assert_int_eq(zcreq_write(conn, bytes, WRITE_BYTES), 0);
	ck_assert_int_eq(zcreq_write(conn, bytes, WRITE_BYTES), -ENOMEM);
	zcreq_turn(context, 0);
	scene_prove();
	ck_assert_int_eq(zcreq_write(conn, bytes, WRITE_BYTES), 0);
	zcreq_turn(context, 0);
	scene_prove();
}
END_TEST

/* ---- asking for it ------------------------------------------------------------------ */

START_TEST(a_reserve_that_cannot_be_had_opens_no_stream)
{
	struct zcreq_conn *made = NULL;
	unsigned before = memory.calls;
	int ret;

	memory.fail_at = before + (unsigned)_i;
	ret = zcreq_stream_open(context, &options, &made);
	if (!ret) /* that many were not asked for */
		ck_assert_uint_lt(memory.calls, memory.fail_at);
	else
		ck_assert_int_eq(ret, -ENOMEM);
	ck_assert_int_eq(made != NULL, !ret);
	/* the stream, three fifos, chunks, and messages */
	ck_assert_int_eq(ret != 0, _i <= 4 + WRITES + MESSAGES);
	zcreq_conn_free(made);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(stub.closes, made != NULL);
	stub.closes = 0;
}
END_TEST

START_TEST(a_reserve_that_cannot_be_had_makes_no_context)
{
	const struct zcreq_context_options o = context_options();
	struct zcreq_context *made = NULL;

	memory.fail_at = memory.calls + (unsigned)_i;
	ck_assert_int_eq(zcreq_context_new(&o, &made), -ENOMEM);
	ck_assert_ptr_null(made);
}
END_TEST

START_TEST(more_than_can_be_is_refused)
{
	struct zcreq_context_options o = context_options();
	struct zcreq_context *made = NULL;
	struct zcreq_conn *opened = NULL;
	uint32_t *const members[] = {
		&options.reserve_sends, &options.reserve_iovs, &options.reserve_batches,
		&options.reserve_writes, &options.reserve_messages,
	};

	if (_i < (int)COUNT(members)) {
		*members[_i] = members[_i] == &options.reserve_messages ? MESSAGES + 1
									: ZCREQ_RESERVE_MAX + 1;
		ck_assert_int_eq(zcreq_stream_open(context, &options, &opened), -EINVAL);
		return;
	}
	o.max_requests = 10;
	o.reserve_requests = _i == (int)COUNT(members) ? 11 : 10;
	if (o.reserve_requests == 10)
		o.reserve_holds = ZCREQ_MAX_REQUESTS + 1;
	ck_assert_int_eq(zcreq_context_new(&o, &made), -EINVAL);
}
END_TEST

/* Each reserve by itself, and the flag, keep what there is. */
START_TEST(what_is_reserved_is_kept)
{
	uint32_t *const members[] = {
		&options.reserve_sends, &options.reserve_iovs, &options.reserve_batches,
		&options.reserve_writes, &options.reserve_messages,
	};
	uint32_t kept;

	options.reserve_sends = options.reserve_iovs = options.reserve_batches = 0;
	options.reserve_writes = options.reserve_messages = 0;
	if (_i < (int)COUNT(members))
		*members[_i] = 1;
	else if (_i == (int)COUNT(members))
		options.flags = ZCREQ_STREAM_KEEP_MEMORY;
	scene_open();
	for (unsigned i = 0; i < 10; i++)
		ck_assert_int_eq(send_one(&many[i]), 0);
	zcreq_turn(context, 0);
	scene_prove();
	kept = zcreq_stream_of(conn)->queue.send_mask;
	for (unsigned i = 1; i < 10; i++)
		zcreq_turn(context, i * SECOND);
	ck_assert_uint_eq(zcreq_stream_of(conn)->queue.send_mask,
			  _i <= (int)COUNT(members) ? kept : UINT32_MAX);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("reserve");
	TCase *open = tcase_create("open"), *asking = tcase_create("asking");

	tcase_add_checked_fixture(open, setup_open, teardown);
	tcase_add_loop_test(open, i7_from_the_first_request_on_nothing_is_allocated, 0, 2);
	tcase_add_test(open, i7_from_the_first_hold_on_nothing_is_allocated);
	tcase_add_loop_test(open, an_abort_allocates_nothing, 0, 2);
	tcase_add_test(open, one_request_more_finds_no_memory);
	tcase_add_test(open, one_send_more_finds_no_memory);
	tcase_add_test(open, one_write_more_finds_no_memory);
	suite_add_tcase(s, open);
	tcase_add_checked_fixture(asking, setup, teardown);
	tcase_add_test(asking, i7_a_sender_finds_its_places_too);
	tcase_add_loop_test(asking, a_reserve_that_cannot_be_had_opens_no_stream, 1,
			    4 + WRITES + MESSAGES + 2);
	tcase_add_loop_test(asking, a_reserve_that_cannot_be_had_makes_no_context, 1, 8);
	tcase_add_loop_test(asking, more_than_can_be_is_refused, 0, 7);
	tcase_add_loop_test(asking, what_is_reserved_is_kept, 0, 7);
	suite_add_tcase(s, asking);
	return suite_run(s);
}
