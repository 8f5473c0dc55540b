/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_alloc.c - every allocation fails in turn, and nothing is lost by it
 *
 * One session uses all that allocates. It is played with the first, the second,
 * ... allocation failing until it passes without a failure. Each call that fails
 * must say -ENOMEM, must have changed nothing, and works when it is made again.
 */
#include "suite.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>

#include <zcreq/zcreq.h>

#include "counting.h"
#include "recorder.h"
#include "stub.h"

#define REQUESTS 1200 /* more than one growth of the table of pages */
#define SENDS 40

static struct counting memory;
static struct zcreq_context *context;
static struct stub stub;
static struct zcreq_conn *conn, *bare;
static struct heard heards[REQUESTS], stream_heards[SENDS];
static struct heard_conn hooks;
static zcreq_hold holds[REQUESTS];
static char data[5000];
static bool for_good; /* from the n-th allocation on, all fail */
static unsigned refusals;

/* A call that may be refused once for want of memory. */
static bool refused(int ret)
{
	if (ret == 0)
		return false;
	CLAIM(ret == -ENOMEM);
	CLAIM(memory.failed > refusals);
	refusals = memory.failed;
	return true;
}

/* It is made again, and must pass now: only one allocation fails. */
#define AGAIN(call) \
	do { \
		if (refused(call)) \
			ck_assert_int_eq(call, 0); \
	} while (0)

static void open_all(void)
{
	const struct zcreq_context_options options = {
		.size = sizeof(options), .allocator = &memory.allocator, .seed = 1,
	};
	struct zcreq_stream_options stream = stub_options(&stub);

	stream.hooks = &heard_hooks;
	stream.arg = &hooks;
	AGAIN(zcreq_context_new(&options, &context));
	AGAIN(zcreq_stream_open(context, &stream, &conn));
	AGAIN(zcreq_conn_open(context, NULL, &bare));
	ck_assert_uint_eq(stub.closes, 0);
	ck_assert_uint_eq(stats_of(context).connections_now, 2);
}

static void begin_all(void)
{
	for (unsigned i = 0; i < REQUESTS; i++) {
		struct heard *h = &heards[i];

		AGAIN(zcreq_begin(bare, &heard_ops, h, &h->id));
		AGAIN(zcreq_take(context, h->id, &holds[i]));
	}
	ck_assert_uint_eq(stats_of(context).begun, REQUESTS);
	ck_assert_uint_eq(stats_of(context).holds_now, REQUESTS);
}

/* Sends and writes queue up; the queue, the chunks and the window grow. */
static void send_all(void)
{
	struct iovec iov[20];

	for (unsigned i = 0; i < COUNT(iov); i++)
		iov[i] = (struct iovec){data + i, 1 + i};
	stub.room_bytes = 0;
	for (unsigned i = 0; i < SENDS; i++) {
		struct heard *h = &stream_heards[i];

		AGAIN(zcreq_begin(conn, &heard_ops, h, &h->id));
		AGAIN(zcreq_send(conn, h->id, iov, 1 + i % COUNT(iov), 0));
		AGAIN(zcreq_write(conn, data, i % 10 ? 700 : sizeof(data)));
	}
	stub.most_bytes = 900;
	stub.room_bytes = UINT64_MAX;
	ck_assert_int_eq(zcreq_flush(conn), 0);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_OPEN);
}

static void end_all(void)
{
	for (unsigned i = 0; i < REQUESTS; i++) {
		ck_assert_int_eq(zcreq_finish(context, heards[i].id, 0), 0);
		ck_assert_int_eq(zcreq_drop(context, holds[i], 0), 0);
	}
	for (unsigned i = 0; i < SENDS; i++)
		ck_assert_int_eq(zcreq_finish(context, stream_heards[i].id, 0), 0);
	stub_foreign(&stub);
	stub_prove_all(&stub);
	stub_foreign(&stub);
	ck_assert_int_eq(zcreq_process(conn, POLLERR), 0);
	ck_assert_uint_eq(stats_of(context).foreign_messages, 2);
	ck_assert_uint_eq(hooks.message + stats_of(context).foreign_lost, 2);
	for (unsigned i = 0; i < REQUESTS; i++)
		ck_assert(heards[i].released == 1 && heards[i].status == 0);
	for (unsigned i = 0; i < SENDS; i++)
		ck_assert(stream_heards[i].released == 1 && stream_heards[i].status == 0);
}

static void close_all(void)
{
	zcreq_conn_free(conn);
	zcreq_conn_free(bare);
	zcreq_dispatch(context);
	ck_assert_uint_eq(stub.closes, 1);
	counting_end(&memory, context);
}

static void reset(void)
{
	counting_init(&memory);
	stub_init(&stub);
	memset(heards, 0, sizeof(heards));
	memset(stream_heards, 0, sizeof(stream_heards));
	hooks = (struct heard_conn){0};
	refusals = 0;
	context = NULL;
	conn = bare = NULL;
}

static void play(unsigned fail_at)
{
	uint64_t total;

	reset();
	memory.fail_at = fail_at;
	open_all();
	begin_all();
	send_all();
	total = stub.zerocopy_bytes + stub.copied_bytes;
	end_all();
	/* a batch for which there was no record was copied: the bytes are all there */
	ck_assert_uint_eq(total, stats_of(context).sent_bytes);
	ck_assert_uint_eq(stub.zerocopy_bytes + stub.copied_bytes, total);
	close_all();
}

/* The number of allocations is found by playing; it is a session worth the name. */
START_TEST(each_allocation_in_turn_fails_cleanly)
{
	unsigned fail_at = 0;

	do {
		play(++fail_at);
	} while (memory.failed);
	ck_assert_uint_gt(fail_at, 60);
}
END_TEST

/* ---- no memory at all from the n-th on ------------------------------------- */

static void *none_from(size_t count, size_t size, void *arg)
{
	if (for_good)
		return NULL;
	return ((struct zcreq_allocator *)arg)->calloc(count, size,
						       ((struct zcreq_allocator *)arg)->arg);
}

static void give_back(void *block, void *arg)
{
	((struct zcreq_allocator *)arg)->free(block, ((struct zcreq_allocator *)arg)->arg);
}

/* As far as it goes; then all that began ends without asking for more. */
START_TEST(what_began_ends_without_any_memory)
{
	const struct zcreq_allocator allocator = {none_from, give_back, &memory.allocator};
	const struct zcreq_context_options options = {
		.size = sizeof(options), .allocator = &allocator,
	};
	const struct iovec iov = {data, 100};
	struct zcreq_stream_options stream = stub_options(&stub);
	unsigned begun = 0, sent = 0;

	reset();
	ck_assert_int_eq(zcreq_context_new(&options, &context), 0);
	stream.hooks = &heard_hooks;
	stream.arg = &hooks;
	ck_assert_int_eq(zcreq_stream_open(context, &stream, &conn), 0);
	if (_i & 1)
		stub_send(conn, heard_begin(conn, &heards[begun++]), data, 1);
	for_good = true;
	for (int ret = 0; !ret && begun < REQUESTS; begun += !ret)
		ret = zcreq_begin(conn, &heard_ops, &heards[begun], &heards[begun].id);
	for (; sent < begun && zcreq_send(conn, heards[sent].id, &iov, 1, 0) == 0; sent++)
		;
	ck_assert_int_eq(zcreq_flush(conn), 0);
	for (unsigned i = 0; i < begun; i++)
		ck_assert_int_eq(zcreq_finish(context, heards[i].id, 0), 0);
	stub_foreign(&stub);
	if (_i & 2)
		stub_prove_all(&stub);
	zcreq_process(conn, POLLERR);
	ck_assert_uint_eq(stats_of(context).foreign_lost, 1);
	ck_assert_int_eq(zcreq_conn_abort(conn, -EPIPE), 0);
	zcreq_conn_free(conn);
	zcreq_dispatch(context);
	for (unsigned i = 0; i < begun; i++)
		ck_assert_uint_eq(heards[i].released, 1);
	ck_assert(_i & 1 ? begun > 1 && sent > 0 : begun == 0);
	counting_end(&memory, context);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("alloc");
	TCase *turns = tcase_create("turns");

	tcase_set_timeout(turns, 120);
	tcase_add_test(turns, each_allocation_in_turn_fails_cleanly);
	tcase_add_loop_test(turns, what_began_ends_without_any_memory, 0, 4);
	suite_add_tcase(s, turns);
	return suite_run(s);
}
