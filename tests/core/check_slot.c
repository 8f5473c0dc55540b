/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_slot.c - handles: good for one life, and for nothing else (I3)
 *
 * Everything but the generation's edge is asked through the public calls.
 */
#include "support/suite.h"

#include <errno.h>
#include <string.h>

#include <zcreq/zcreq.h>

#include "support/counting.h"
#include "support/recorder.h"
#include "core/slot.h"

static struct counting memory;
static struct zcreq_context *context;
static struct zcreq_conn *conn;
static struct heard heard;
static uint64_t stale;

static void open_with(uint32_t max_requests)
{
	context = counting_context(&memory, max_requests);
	ck_assert_int_eq(zcreq_conn_open(context, NULL, &conn), 0);
}

static void setup(void)
{
	open_with(0);
}

static void teardown(void)
{
	ck_assert_uint_eq(stats_of(context).stale_handles, stale);
	zcreq_conn_free(conn);
	zcreq_turn(context, 0);
	counting_end(&memory, context);
}

static void end(const struct heard *h)
{
	ck_assert_int_eq(zcreq_finish(context, h->id, 0), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(h->released, 1);
}

/* Every call that takes a request's handle refuses this one and counts it. */
static void assert_stale_id(uint64_t bits)
{
	const zcreq_id id = {bits};
	zcreq_hold hold = {7};
	char text[16] = "unchanged";

	CLAIM(zcreq_finish(context, id, -EIO) == -ESTALE);
	CLAIM(zcreq_take(context, id, &hold) == -ESTALE);
	CLAIM(zcreq_abort(context, id, -EIO) == -ESTALE);
	stale += 3;
	CLAIM(hold.bits == 7);
	CLAIM(zcreq_request_state(context, id) == -ESTALE);
	CLAIM(zcreq_request_explain(context, id, ZCREQ_TEXT, text, sizeof(text)) == -ESTALE);
	CLAIM(strcmp(text, "unchanged") == 0);
	CLAIM(stats_of(context).stale_handles == stale);
}

static void assert_stale_hold(uint64_t bits)
{
	const zcreq_hold hold = {bits};

	CLAIM(zcreq_drop(context, hold, -EIO) == -ESTALE);
	stale++;
	CLAIM(stats_of(context).stale_handles == stale);
}

START_TEST(i3_zero_is_never_valid)
{
	heard_begin(conn, &heard);
	ck_assert_uint_ne(heard.id.bits, 0);
	assert_stale_id(0);
	assert_stale_hold(0);
	end(&heard);
}
END_TEST

START_TEST(i3_every_flipped_bit_makes_a_handle_stale)
{
	uint64_t flip = (uint64_t)1 << _i;
	zcreq_hold hold;

	heard_begin(conn, &heard);
	hold = heard_take(context, &heard);
	assert_stale_id(heard.id.bits ^ flip);
	assert_stale_hold(hold.bits ^ flip);
	ck_assert_int_eq(zcreq_drop(context, hold, 0), 0);
	end(&heard);
	ck_assert_int_eq(heard.status, 0);
}
END_TEST

/* A flip of an index bit names a neighbour's slot, but not his life. */
START_TEST(i3_a_flipped_handle_names_no_neighbour)
{
	struct heard others[200] = {0};
	zcreq_hold holds[COUNT(others)];

	for (unsigned i = 0; i < COUNT(others); i++) {
		heard_begin(conn, &others[i]);
		holds[i] = heard_take(context, &others[i]);
	}
	for (unsigned i = 0; i < COUNT(others); i++) {
		assert_stale_id(others[i].id.bits ^ (uint64_t)1 << _i);
		assert_stale_hold(holds[i].bits ^ (uint64_t)1 << _i);
	}
	for (unsigned i = 0; i < COUNT(others); i++) {
		ck_assert_int_eq(zcreq_drop(context, holds[i], 0), 0);
		end(&others[i]);
		ck_assert_int_eq(others[i].status, 0);
	}
}
END_TEST

/* What a slot will be, once it is taken again, is no handle yet. */
START_TEST(i3_the_bits_of_a_free_slot_name_nobody)
{
	const uint64_t kind = (uint64_t)3 << 26, generation = (uint64_t)1 << 28;
	zcreq_hold hold;

	heard_begin(conn, &heard);
	hold = heard_take(context, &heard);
	ck_assert_int_eq(zcreq_drop(context, hold, 0), 0);
	end(&heard);
	for (uint64_t k = 0; k < 4; k++) {
		assert_stale_id(((heard.id.bits & ~kind) | k << 26) + generation);
		assert_stale_hold(((hold.bits & ~kind) | k << 26) + generation);
	}
}
END_TEST

START_TEST(i3_a_hold_is_no_request_and_a_request_no_hold)
{
	zcreq_hold hold;

	heard_begin(conn, &heard);
	hold = heard_take(context, &heard);
	assert_stale_id(hold.bits);
	assert_stale_hold(heard.id.bits);
	ck_assert_int_eq(zcreq_drop(context, hold, 0), 0);
	end(&heard);
}
END_TEST

START_TEST(i3_a_handle_of_another_context_is_stale)
{
	struct zcreq_context *other;
	struct zcreq_conn *other_conn;
	struct heard there = {0};
	zcreq_hold hold, hold_there;

	ck_assert_int_eq(zcreq_context_new(NULL, &other), 0);
	ck_assert_int_eq(zcreq_conn_open(other, NULL, &other_conn), 0);
	heard_begin(conn, &heard);
	heard_begin(other_conn, &there);
	hold = heard_take(context, &heard);
	hold_there = heard_take(other, &there);
	assert_stale_id(there.id.bits);
	assert_stale_hold(hold_there.bits);
	ck_assert_int_eq(zcreq_finish(other, heard.id, 0), -ESTALE);
	ck_assert_int_eq(zcreq_drop(other, hold, 0), -ESTALE);
	ck_assert_uint_eq(stats_of(other).stale_handles, 2);
	ck_assert_int_eq(zcreq_drop(context, hold, 0), 0);
	ck_assert_int_eq(zcreq_drop(other, hold_there, 0), 0);
	end(&heard);
	ck_assert_int_eq(zcreq_finish(other, there.id, 0), 0);
	zcreq_conn_free(other_conn);
	zcreq_turn(other, 0);
	ck_assert_int_eq(zcreq_context_free(other), 0);
}
END_TEST

/* Whatever they were made with: no option makes the handles of two contexts the same. */
START_TEST(i3_two_contexts_of_the_same_options_share_no_handle)
{
	const struct zcreq_context_options options = {.size = sizeof(options), .max_requests = 64};
	struct zcreq_context *two[2];
	struct zcreq_conn *conns[2];
	static struct heard there[2][64];

	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(zcreq_context_new(&options, &two[i]), 0);
		ck_assert_int_eq(zcreq_conn_open(two[i], NULL, &conns[i]), 0);
		for (unsigned k = 0; k < COUNT(there[i]); k++)
			heard_begin(conns[i], &there[i][k]);
	}
	for (unsigned k = 0; k < COUNT(there[0]); k++) {
		ck_assert_int_eq(zcreq_finish(two[0], there[1][k].id, 0), -ESTALE);
		ck_assert_int_eq(zcreq_finish(two[1], there[0][k].id, 0), -ESTALE);
	}
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned k = 0; k < COUNT(there[i]); k++)
			ck_assert_int_eq(zcreq_finish(two[i], there[i][k].id, 0), 0);
		zcreq_conn_free(conns[i]);
		zcreq_turn(two[i], 0);
		ck_assert_int_eq(zcreq_context_free(two[i]), 0);
	}
}
END_TEST

#define LIVES 2000

/* One slot, used again and again: no handle ever comes back to life (ABA). */
START_TEST(i3_a_slot_used_again_knows_no_old_handle)
{
	static zcreq_id old[LIVES];
	static zcreq_hold old_holds[LIVES];

	for (unsigned i = 0; i < LIVES; i++) {
		struct heard h = {0};

		old[i] = heard_begin(conn, &h);
		old_holds[i] = heard_take(context, &h);
		for (unsigned k = i > 20 ? i - 20 : 0; k < i; k++) {
			assert_stale_id(old[k].bits);
			assert_stale_hold(old_holds[k].bits);
		}
		ck_assert_int_eq(zcreq_drop(context, old_holds[i], 0), 0);
		end(&h);
	}
	for (unsigned i = 0; i < LIVES; i++) {
		assert_stale_id(old[i].bits);
		assert_stale_hold(old_holds[i].bits);
	}
}
END_TEST

START_TEST(max_requests_is_the_limit_and_gives_way)
{
	static const uint32_t limits[] = {1, 2, 63, 64, 65, 100, 128, 129, 1025};
	uint32_t limit = limits[_i];
	static struct heard all[1026];
	zcreq_id id = {5};

	open_with(limit);
	for (uint32_t i = 0; i < limit; i++)
		heard_begin(conn, &all[i]);
	ck_assert_int_eq(zcreq_begin(conn, &heard_ops, &heard, 0, &id), -EMFILE);
	ck_assert_uint_eq(id.bits, 5);
	ck_assert_uint_eq(stats_of(context).requests_now, limit);
	end(&all[limit / 2]);
	heard_begin(conn, &heard);
	ck_assert_int_eq(zcreq_begin(conn, &heard_ops, &all[limit], 0, &id), -EMFILE);
	end(&heard);
	for (uint32_t i = 0; i < limit; i++) {
		if (i != limit / 2)
			end(&all[i]);
	}
}
END_TEST

#define MANY 5000

/* All in flight at once, over many pages: every handle names its own. */
START_TEST(growth_moves_nobody)
{
	static struct heard all[MANY];
	static zcreq_hold holds[MANY];

	for (unsigned i = 0; i < MANY; i++) {
		heard_begin(conn, &all[i]);
		holds[i] = heard_take(context, &all[i]);
	}
	for (unsigned i = 0; i < MANY; i++) {
		unsigned at = i * 2741 % MANY;

		ck_assert_int_eq(zcreq_finish(context, all[at].id, at % 2 ? -EIO : 0), 0);
		ck_assert_int_eq(zcreq_drop(context, holds[at], 0), 0);
	}
	zcreq_turn(context, 0);
	for (unsigned i = 0; i < MANY; i++) {
		ck_assert_uint_eq(all[i].released, 1);
		ck_assert_int_eq(all[i].status, i % 2 ? -EIO : 0);
	}
	ck_assert_uint_eq(stats_of(context).holds_now, 0);
}
END_TEST

/* ---- the edge of the generation, which takes too long to reach from outside -- */

#define LOW_BITS 0xfffffffu /* kind and index */

/* How the table is used from inside; the first life is the last that there is. */
static struct zcreq_slot *take(struct zcreq_slots *table, size_t size)
{
	if (table->free == ZCREQ_SLOT_NONE) {
		ck_assert_int_eq(zcreq_slots_grow(table, size), 0);
		zcreq_slots_at(table, table->free, size)->bits |= ~(uint64_t)LOW_BITS;
	}
	return zcreq_slots_take(table, size);
}

static void cross_the_edge(struct zcreq_slots *table, size_t size)
{
	struct zcreq_slot *slot = take(table, size), *again;
	uint64_t old = slot->bits;

	ck_assert_uint_eq(old >> 28, ((uint64_t)1 << 36) - 1);
	ck_assert_ptr_eq(zcreq_slots_find(table, old, size), slot);
	zcreq_slots_give(table, slot);
	ck_assert_ptr_null(zcreq_slots_find(table, old, size));
	again = take(table, size);
	ck_assert_ptr_eq(again, slot);
	ck_assert_uint_eq(again->bits >> 28, 0);
	ck_assert_uint_ne(again->bits, 0);
	ck_assert_uint_eq(again->bits & LOW_BITS, old & LOW_BITS);
	ck_assert_ptr_null(zcreq_slots_find(table, old, size));
	ck_assert_ptr_eq(zcreq_slots_find(table, again->bits, size), slot);
	zcreq_slots_give(table, again);
}

START_TEST(the_generation_wraps_without_touching_kind_or_index)
{
	struct zcreq_slots table;

	counting_init(&memory);
	zcreq_slots_init(&table, &memory.allocator, _i ? ZCREQ_SLOT_HOLD : ZCREQ_SLOT_REQUEST,
			 100, 1);
	cross_the_edge(&table, sizeof(struct zcreq_slot) + 8);
	zcreq_slots_deinit(&table);
	ck_assert_int_eq(memory.live, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("slot");
	TCase *handles = tcase_create("handles"), *limits = tcase_create("limits"),
	      *edge = tcase_create("edge");

	tcase_add_checked_fixture(handles, setup, teardown);
	tcase_add_test(handles, i3_zero_is_never_valid);
	tcase_add_loop_test(handles, i3_every_flipped_bit_makes_a_handle_stale, 0, 64);
	tcase_add_loop_test(handles, i3_a_flipped_handle_names_no_neighbour, 0, 64);
	tcase_add_test(handles, i3_the_bits_of_a_free_slot_name_nobody);
	tcase_add_test(handles, i3_a_hold_is_no_request_and_a_request_no_hold);
	tcase_add_test(handles, i3_a_handle_of_another_context_is_stale);
	tcase_add_test(handles, i3_two_contexts_of_the_same_options_share_no_handle);
	tcase_add_test(handles, i3_a_slot_used_again_knows_no_old_handle);
	tcase_add_test(handles, growth_moves_nobody);
	tcase_add_checked_fixture(limits, NULL, teardown);
	tcase_add_loop_test(limits, max_requests_is_the_limit_and_gives_way, 0, 9);
	tcase_add_loop_test(edge, the_generation_wraps_without_touching_kind_or_index, 0, 2);
	suite_add_tcase(s, handles);
	suite_add_tcase(s, limits);
	suite_add_tcase(s, edge);
	return suite_run(s);
}
