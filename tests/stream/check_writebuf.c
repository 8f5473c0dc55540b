/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_writebuf.c - the memory of small writes: used again, or freed, never early
 */
#include "support/suite.h"

#include <string.h>

#include "support/counting.h"
#include "stream/writebuf.h"

#define USUAL 4032 /* bytes of a chunk */

static struct counting memory;
static struct zcreq_writebuf buf;
static struct zcreq_chunk *chunks[4];
static char data[3 * USUAL];

static void setup(void)
{
	counting_init(&memory);
	buf = (struct zcreq_writebuf){0};
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 7);
}

static void teardown(void)
{
	zcreq_writebuf_deinit(&buf, &memory.allocator);
	ck_assert_ptr_null(buf.filling);
	ck_assert_ptr_null(buf.spare);
	ck_assert_int_eq(memory.live, 0);
}

static char *put(unsigned n, uint32_t len)
{
	char *at = zcreq_writebuf_put(&buf, &memory.allocator, data, len, &chunks[n]);

	ck_assert_ptr_nonnull(at);
	ck_assert_int_eq(memcmp(at, data, len), 0);
	return at;
}

static void gone(unsigned n)
{
	zcreq_writebuf_gone(&buf, &memory.allocator, chunks[n]);
}

START_TEST(writes_stand_one_behind_the_other)
{
	char *first = put(0, 100), *second = put(1, 24);

	ck_assert_ptr_eq(second, first + 100);
	ck_assert_ptr_eq(chunks[0], chunks[1]);
	gone(0);
	ck_assert_int_eq(memcmp(second, data, 24), 0);
	gone(1);
	ck_assert_ptr_eq(put(0, 50), first);
	gone(0);
	ck_assert_uint_eq(memory.calls, 1);
}
END_TEST

START_TEST(a_chunk_is_filled_to_its_last_byte)
{
	char *first = put(0, 32), *second = put(1, USUAL - 32);

	ck_assert_ptr_eq(second, first + 32);
	put(2, 1);
	ck_assert_ptr_ne(chunks[2], chunks[1]);
	ck_assert_uint_eq(memory.calls, 2);
	for (unsigned i = 0; i < 3; i++)
		gone(i);
}
END_TEST

/* Of those that are empty, one of the usual size is kept. */
START_TEST(a_steady_flow_allocates_nothing)
{
	unsigned calls;

	put(0, USUAL);
	put(1, USUAL);
	gone(0);
	calls = memory.calls;
	for (unsigned i = 0; i < 100; i++) {
		put(i % 2, USUAL);
		gone(!(i % 2));
	}
	ck_assert_uint_eq(memory.calls, calls);
	ck_assert_int_eq(memory.live, 2);
	gone(1);
}
END_TEST

START_TEST(more_than_one_that_is_empty_is_freed)
{
	for (unsigned i = 0; i < 4; i++)
		put(i, USUAL);
	for (unsigned i = 0; i < 3; i++)
		gone(i);
	ck_assert_int_eq(memory.live, 2);
	gone(3);
	ck_assert_int_eq(memory.live, 2);
}
END_TEST

START_TEST(a_large_write_has_a_chunk_of_its_size)
{
	char *small = put(0, 10);

	gone(0);
	put(1, USUAL + 1);
	ck_assert_ptr_ne(chunks[1], chunks[0]);
	ck_assert_ptr_eq(buf.spare, chunks[0]);
	ck_assert_int_eq(memory.live, 2);
	/* the next one does not fit behind it, and finds the spare, empty */
	ck_assert_ptr_eq(put(2, 1), small);
	ck_assert_ptr_null(buf.spare);
	gone(1);
	ck_assert_int_eq(memory.live, 1);
	gone(2);
}
END_TEST

START_TEST(a_spare_is_not_for_large_writes)
{
	put(0, USUAL);
	put(1, USUAL);
	gone(0);
	put(2, 2 * USUAL);
	ck_assert_ptr_eq(buf.spare, chunks[0]);
	gone(1);
	gone(2);
}
END_TEST

START_TEST(no_memory_changes_nothing)
{
	char *first = put(0, 100);

	memory.fail_at = memory.calls + 1;
	ck_assert_ptr_null(zcreq_writebuf_put(&buf, &memory.allocator, data, USUAL, &chunks[1]));
	ck_assert_ptr_eq(put(1, 10), first + 100);
	gone(0);
	gone(1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("writebuf");
	TCase *chunk = tcase_create("chunks");

	tcase_add_checked_fixture(chunk, setup, teardown);
	tcase_add_test(chunk, writes_stand_one_behind_the_other);
	tcase_add_test(chunk, a_chunk_is_filled_to_its_last_byte);
	tcase_add_test(chunk, a_steady_flow_allocates_nothing);
	tcase_add_test(chunk, more_than_one_that_is_empty_is_freed);
	tcase_add_test(chunk, a_large_write_has_a_chunk_of_its_size);
	tcase_add_test(chunk, a_spare_is_not_for_large_writes);
	tcase_add_test(chunk, no_memory_changes_nothing);
	suite_add_tcase(s, chunk);
	return suite_run(s);
}
