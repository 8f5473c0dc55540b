/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_memory.c - rings that grow: sizes, the content's places, and the largest
 */
#include "support/suite.h"

#include <errno.h>
#include <string.h>

#include <zcreq/zcreq.h>

#include "support/counting.h"
#include "base/memory.h"

#define LARGEST ((uint32_t)1 << 30)

static struct counting memory;
static uint64_t asked; /* entries of the last allocation of ask() */

static void setup(void)
{
	counting_init(&memory);
}

static void teardown(void)
{
	ck_assert_int_eq(memory.live, 0);
}

/* Says how much was wanted, and has nothing. */
static void *ask(size_t count, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	asked = count;
	return NULL;
}

static void never(void *block, void *arg)
{
	(void)block;
	(void)arg;
	ck_abort_msg("freed");
}

static const struct zcreq_allocator asks = {.calloc = ask, .free = never};

START_TEST(a_first_ring_is_the_least_power_of_two)
{
	static const uint32_t rows[][2] = {
		{0, 1}, {1, 1}, {2, 2}, {3, 4}, {8, 8}, {9, 16}, {1000, 1024},
	};
	uint32_t mask = UINT32_MAX;
	uint32_t *fifo = zcreq_fifo_grow(&memory.allocator, NULL, &mask, sizeof(*fifo), 5, 5,
					 rows[_i][0]);

	ck_assert_ptr_nonnull(fifo);
	ck_assert_uint_eq(mask, rows[_i][1] - 1);
	zcreq_free(&memory.allocator, fifo);
}
END_TEST

/* Twice as large or more, and each entry where its counter says, also past 2^32. */
START_TEST(what_is_in_a_ring_stays_at_its_counter)
{
	const uint32_t head = _i % 2 ? UINT32_MAX - 2 : 3, least = _i < 2 ? 1 : 20;
	uint32_t mask = UINT32_MAX;
	uint32_t *fifo = zcreq_fifo_grow(&memory.allocator, NULL, &mask, sizeof(*fifo), head, head,
					 8);

	for (uint32_t i = head; i != head + 7; i++)
		fifo[i & mask] = i * 3;
	fifo = zcreq_fifo_grow(&memory.allocator, fifo, &mask, sizeof(*fifo), head, head + 7,
			       least);
	ck_assert_ptr_nonnull(fifo);
	ck_assert_uint_eq(mask, _i < 2 ? 15 : 31);
	for (uint32_t i = head; i != head + 7; i++)
		ck_assert_uint_eq(fifo[i & mask], i * 3);
	ck_assert_uint_eq(fifo[(head + 7) & mask], 0);
	ck_assert_int_eq(memory.live, 1);
	zcreq_free(&memory.allocator, fifo);
}
END_TEST

START_TEST(there_is_a_largest_ring)
{
	const struct {
		uint32_t old, least;
		uint64_t asked; /* 0: refused without asking */
	} rows[] = {
		{0, LARGEST, LARGEST},
		{0, LARGEST + 1, 0},
		{LARGEST / 2, 1, LARGEST},
		{LARGEST / 2, LARGEST, LARGEST},
		{LARGEST / 4, 1, LARGEST / 2},
		{LARGEST, 1, 0},
		{LARGEST, LARGEST, 0},
		{LARGEST, LARGEST + 1, 0},
	};
	char old[1];
	uint32_t mask = rows[_i].old - 1;

	asked = 0;
	ck_assert_ptr_null(zcreq_fifo_grow(&asks, rows[_i].old ? old : NULL, &mask, 1, 0, 0,
					   rows[_i].least));
	ck_assert_uint_eq(asked, rows[_i].asked);
	ck_assert_uint_eq(mask, rows[_i].old - 1);
}
END_TEST

START_TEST(nothing_is_freed_when_nothing_is_there)
{
	zcreq_free(&asks, NULL);
}
END_TEST

START_TEST(the_allocator_of_libc_gives_zeroes)
{
	char *block = zcreq_calloc(&zcreq_libc_allocator, 3, 100), zeroes[300] = {0};

	ck_assert_ptr_nonnull(block);
	ck_assert_int_eq(memcmp(block, zeroes, sizeof(zeroes)), 0);
	zcreq_free(&zcreq_libc_allocator, block);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("memory");
	TCase *rings = tcase_create("rings"), *blocks = tcase_create("blocks");

	tcase_add_checked_fixture(rings, setup, teardown);
	tcase_add_loop_test(rings, a_first_ring_is_the_least_power_of_two, 0, 7);
	tcase_add_loop_test(rings, what_is_in_a_ring_stays_at_its_counter, 0, 4);
	tcase_add_loop_test(rings, there_is_a_largest_ring, 0, 8);
	suite_add_tcase(s, rings);

	tcase_add_test(blocks, nothing_is_freed_when_nothing_is_there);
	tcase_add_test(blocks, the_allocator_of_libc_gives_zeroes);
	suite_add_tcase(s, blocks);
	return suite_run(s);
}
