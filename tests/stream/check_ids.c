/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_ids.c - ids around 2^32, in any order, and ranges that never were
 *
 * The oracle is a bitmap of what was given and what was proven, walked one id at
 * a time; ids.h answers by arithmetic.
 */
#include "support/suite.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>

#include <zcreq/zcreq.h>

#include "support/counting.h"
#include "support/recorder.h"
#include "support/stub.h"
#include "stream/ids.h"

#define EDGE 70  /* on each side of 2^32 */
#define SPAN 512 /* of the bitmap, in the middle of which the edge is */

struct oracle {
	bool given[SPAN], proven[SPAN];
};

static struct counting memory;
static struct zcreq_ids ids;
static struct oracle oracle;

static unsigned place(uint32_t id)
{
	return (uint32_t)(id + SPAN / 2) % SPAN;
}

static void setup(void)
{
	counting_init(&memory);
	zcreq_ids_init(&ids, 0);
	oracle = (struct oracle){0};
}

static void teardown(void)
{
	if (ids.batches)
		memory.allocator.free(ids.batches, &memory);
	ck_assert_int_eq(memory.live, 0);
}

static void start_at(uint32_t id)
{
	zcreq_ids_init(&ids, id);
}

static void push(void)
{
	uint32_t id = ids.next;

	ck_assert_int_eq(zcreq_ids_reserve(&ids, &memory.allocator), 0);
	zcreq_ids_push(&ids, id * 3, id * 3 + 1);
	ck_assert_uint_eq(ids.next, (uint32_t)(id + 1));
	oracle.given[place(id)] = true;
}

/* The oldest id without proof, or the next: those before it are out of reach. */
static bool is_inside(uint32_t id)
{
	uint32_t first = id;

	if (!oracle.given[place(id)])
		return false;
	for (uint32_t n = 0; n < SPAN && oracle.given[place(first)]; n++, first--) {
		if (!oracle.proven[place(first)])
			return true;
	}
	return false;
}

static bool knows(uint32_t lo, uint32_t hi)
{
	for (uint32_t id = lo, n = 0; n < SPAN; id++, n++) {
		if (!is_inside(id))
			return false;
		if (id == hi)
			return true;
	}
	return false;
}

static void compare_all_ranges(void)
{
	for (int lo = -EDGE; lo <= EDGE; lo++) {
		for (int hi = -EDGE; hi <= EDGE; hi++) {
			bool got = zcreq_ids_knows(&ids, lo, hi);

			if (got != knows(lo, hi))
				ck_abort_msg("ids %u..%u, range %u..%u: %d", ids.oldest,
					     ids.next, (unsigned)lo, (unsigned)hi, got);
		}
	}
}

/* Windows of some sizes at every place from well before the wrap to well after. */
START_TEST(every_range_around_the_wrap_is_as_the_bitmap_says)
{
	static const unsigned sizes[] = {0, 1, 2, 3, 8, 9, 31, 64};
	int start = _i - EDGE;

	for (unsigned s = 0, pushed = 0; s < COUNT(sizes); s++) {
		if (s == 0)
			start_at(start);
		for (; pushed < sizes[s]; pushed++)
			push();
		compare_all_ranges();
	}
}
END_TEST

static void prove(uint32_t id)
{
	struct zcreq_batch *batch = zcreq_ids_prove(&ids, id);

	ck_assert(is_inside(id));
	if (oracle.proven[place(id)]) {
		ck_assert_ptr_null(batch);
		return;
	}
	ck_assert_ptr_nonnull(batch);
	ck_assert_uint_eq(batch->first_send, (uint32_t)(id * 3));
	ck_assert_uint_eq(batch->last_send, (uint32_t)(id * 3 + 1));
	oracle.proven[place(id)] = true;
}

/* Pushes and proofs at random, duplicates among them, always across the wrap. */
START_TEST(any_order_of_proofs_gives_each_batch_once)
{
	uint64_t seed = _i + 1;
	uint32_t start = -(uint32_t)(suite_random(&seed) % EDGE), pending = 0;

	start_at(start);
	for (unsigned step = 0; step < 300; step++) {
		uint32_t given = ids.next - start;
		uint32_t id = start + (given ? suite_random(&seed) % given : 0);

		if (suite_random(&seed) % 2 && given < 2 * EDGE) {
			push();
			pending++;
		} else if (is_inside(id)) {
			ck_assert(zcreq_ids_knows(&ids, id, id));
			pending -= !oracle.proven[place(id)];
			prove(id);
		} else {
			ck_assert(!zcreq_ids_knows(&ids, id, id));
		}
		ck_assert_uint_eq(ids.pending, pending);
	}
	compare_all_ranges();
}
END_TEST

START_TEST(backwards_proofs_move_the_oldest_only_at_the_end)
{
	start_at(-(uint32_t)_i);
	for (int i = 0; i < 16; i++)
		push();
	for (int i = 15; i > 0; i--) {
		prove(i - _i);
		ck_assert_uint_eq(ids.oldest, -(uint32_t)_i);
	}
	prove(-_i);
	ck_assert_uint_eq(ids.oldest, ids.next);
	ck_assert_uint_eq(ids.pending, 0);
}
END_TEST

START_TEST(growth_across_the_wrap_loses_nothing)
{
	start_at(-(uint32_t)_i);
	for (int i = 0; i < 2 * EDGE; i++)
		push();
	for (int i = 0; i < 2 * EDGE; i++)
		prove(i - _i);
	ck_assert_uint_eq(ids.pending, 0);
}
END_TEST

START_TEST(a_steady_window_allocates_once)
{
	start_at(-100u);
	for (unsigned i = 0; i < 200; i++) {
		push();
		prove(ids.next - 1);
	}
	ck_assert_uint_eq(memory.calls, 1);
}
END_TEST

START_TEST(growth_that_fails_changes_nothing)
{
	start_at(-4u);
	for (int i = 0; i < 8; i++)
		push();
	memory.fail_at = memory.calls + 1;
	ck_assert_int_eq(zcreq_ids_reserve(&ids, &memory.allocator), -ENOMEM);
	ck_assert_uint_eq(ids.next, 4);
	for (int i = 0; i < 8; i++)
		prove(-4 + i);
}
END_TEST

START_TEST(the_window_has_an_end)
{
	start_at(-5u);
	push();
	ids.next = ids.oldest + ZCREQ_IDS_MAX;
	ck_assert_int_eq(zcreq_ids_grow(&ids, &memory.allocator, ZCREQ_IDS_LEAST), -ENOBUFS);
}
END_TEST

/* ---- the same through a stream -------------------------------------------- */

#define IN_FLIGHT 6

static struct zcreq_context *context;
static struct stub stub;
static struct zcreq_conn *conn;
static struct heard heards[IN_FLIGHT];
static const char data[100];

/* Ids first.., one request each, all finished. */
static void open_stream(uint32_t first)
{
	struct zcreq_stream_options options = stub_options(&stub);

	context = counting_context(&memory, 0);
	stub_init(&stub);
	stub.next_id = stub.unproven = options.first_id = first;
	options.flags = ZCREQ_STREAM_FIRST_ID;
	ck_assert_int_eq(zcreq_stream_open(context, &options, &conn), 0);
	for (unsigned i = 0; i < IN_FLIGHT; i++) {
		heard_begin(conn, &heards[i]);
		stub_send(conn, heards[i].id, data, sizeof(data));
		ck_assert_int_eq(zcreq_finish(context, heards[i].id, 0), 0);
	}
}

static void close_stream(void)
{
	ck_assert_int_eq(zcreq_conn_drain(conn, 0), 0);
	zcreq_turn(context, 0);
	for (unsigned i = 0; i < IN_FLIGHT; i++) {
		ck_assert_uint_eq(heards[i].released, 1);
		ck_assert_int_eq(heards[i].status, 0);
	}
	ck_assert_uint_eq(stub.closes, 1);
	zcreq_conn_free(conn);
	counting_end(&memory, context);
}

/* Ends at, starts after and straddles the wrap: the edge at every place. */
START_TEST(field_spdk_3600_ranges_across_the_wrap_release_each_once)
{
	uint32_t first = -(uint32_t)(_i / IN_FLIGHT);
	unsigned split = _i % IN_FLIGHT;

	open_stream(first);
	stub_notify(&stub, first + split, first + IN_FLIGHT - 1, false);
	zcreq_process(conn, POLLERR);
	zcreq_turn(context, 0);
	for (unsigned i = 0; i < IN_FLIGHT; i++)
		ck_assert_uint_eq(heards[i].released, i >= split);
	if (split)
		stub_notify(&stub, first, first + split - 1, true);
	zcreq_process(conn, POLLERR);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(stats_of(context).notifications, IN_FLIGHT);
	ck_assert_uint_eq(stats_of(context).notified_copied, split);
	ck_assert_uint_eq(stats_of(context).bogus_ranges, 0);
	close_stream();
}
END_TEST

START_TEST(overlapping_ranges_release_once_and_are_counted)
{
	uint32_t first = -3u;

	open_stream(first);
	stub_notify(&stub, first + 1, first + 3, false);
	stub_notify(&stub, first + 2, first + 4, false);
	stub_notify(&stub, first + 1, first + 1, false);
	zcreq_process(conn, POLLERR);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(stats_of(context).notifications, 4);
	ck_assert_uint_eq(stats_of(context).duplicate_ids, 3);
	stub_notify(&stub, first, first + 5, false);
	zcreq_process(conn, POLLERR);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(stats_of(context).notifications, 6);
	ck_assert_uint_eq(stats_of(context).duplicate_ids, 7);
	close_stream();
}
END_TEST

/* Each of these would be four billion steps if anybody counted them. */
START_TEST(i8_field_bogus_ranges_of_four_billion_ids_cost_nothing)
{
	const uint32_t first = 0xfffffffd;
	const uint32_t ranges[][2] = {
		{first + 1, first - 1}, /* 2^32 - 1 ids, the first of them known */
		{first, first - 1},     /* all 2^32 */
		{first + IN_FLIGHT, first + IN_FLIGHT - 1},
		{0, UINT32_MAX},
		{first - 1, first + IN_FLIGHT}, {first + 2, first + IN_FLIGHT},
		{first + IN_FLIGHT, first + IN_FLIGHT}, {first - 1, first - 1},
		{first + 3, first + 1}, {0x7fffffff, 0x80000000},
	};
	unsigned rounds = 20000;

	open_stream(first);
	for (unsigned round = 0; round < rounds; round++) {
		for (unsigned i = 0; i < COUNT(ranges); i++)
			stub_notify(&stub, ranges[i][0], ranges[i][1], false);
		zcreq_process(conn, POLLERR);
		zcreq_turn(context, 0);
	}
	ck_assert_uint_eq(stats_of(context).bogus_ranges, rounds * COUNT(ranges));
	ck_assert_uint_eq(stats_of(context).notifications, 0);
	for (unsigned i = 0; i < IN_FLIGHT; i++)
		ck_assert_uint_eq(heards[i].released, 0);
	stub_prove_all(&stub);
	zcreq_process(conn, POLLERR);
	zcreq_turn(context, 0);
	close_stream();
}
END_TEST

START_TEST(ranges_of_what_is_long_proven_are_refused)
{
	open_stream(-2u);
	stub_prove_all(&stub);
	zcreq_process(conn, POLLERR);
	zcreq_turn(context, 0);
	stub_notify(&stub, -2u, 3, false);
	stub_notify(&stub, 0, 0, false);
	zcreq_process(conn, POLLERR);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(stats_of(context).bogus_ranges, 2);
	ck_assert_uint_eq(stats_of(context).notifications, IN_FLIGHT);
	close_stream();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ids");
	TCase *inside = tcase_create("inside"), *stream = tcase_create("stream");

	tcase_add_checked_fixture(inside, setup, teardown);
	tcase_add_loop_test(inside, every_range_around_the_wrap_is_as_the_bitmap_says, 0,
			    2 * EDGE + 1);
	tcase_add_loop_test(inside, any_order_of_proofs_gives_each_batch_once, 0, 100);
	tcase_add_loop_test(inside, backwards_proofs_move_the_oldest_only_at_the_end, 0, 18);
	tcase_add_loop_test(inside, growth_across_the_wrap_loses_nothing, 0, EDGE);
	tcase_add_test(inside, a_steady_window_allocates_once);
	tcase_add_test(inside, growth_that_fails_changes_nothing);
	tcase_add_test(inside, the_window_has_an_end);
	tcase_add_loop_test(stream, field_spdk_3600_ranges_across_the_wrap_release_each_once, 0,
			    (IN_FLIGHT + 2) * IN_FLIGHT);
	tcase_add_test(stream, overlapping_ranges_release_once_and_are_counted);
	tcase_add_test(stream, i8_field_bogus_ranges_of_four_billion_ids_cost_nothing);
	tcase_add_test(stream, ranges_of_what_is_long_proven_are_refused);
	suite_add_tcase(s, inside);
	suite_add_tcase(s, stream);
	return suite_run(s);
}
