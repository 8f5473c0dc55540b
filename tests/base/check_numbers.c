/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_numbers.c - a set of small numbers: in once, out again, of any size
 */
#include "support/suite.h"

#include <errno.h>

#include "base/numbers.h"
#include "support/counting.h"

static struct counting memory;
static struct zcreq_numbers set;

static void setup(void)
{
	counting_init(&memory);
	set = (struct zcreq_numbers){0};
}

static void teardown(void)
{
	zcreq_numbers_deinit(&set, &memory.allocator);
	ck_assert_int_eq(memory.live, 0);
}

static int put(uint32_t number)
{
	return zcreq_numbers_put(&set, &memory.allocator, number);
}

START_TEST(a_number_is_in_once_until_it_is_out)
{
	static const uint32_t numbers[] = {0, 1, 63, 64, 255, 256, 1023, 100000};

	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < COUNT(numbers); i++)
			ck_assert_int_eq(put(numbers[i]), 0);
		for (unsigned i = 0; i < COUNT(numbers); i++)
			ck_assert_int_eq(put(numbers[i]), -EEXIST);
		for (unsigned i = 0; i < COUNT(numbers); i++)
			zcreq_numbers_drop(&set, numbers[i]);
	}
}
END_TEST

START_TEST(it_grows_with_the_largest_number_only)
{
	unsigned calls;

	ck_assert_int_eq(put(900), 0);
	calls = memory.calls;
	for (uint32_t number = 0; number < 900; number++)
		ck_assert_int_eq(put(number), 0);
	ck_assert_uint_eq(memory.calls, calls);
}
END_TEST

START_TEST(without_memory_nothing_changes)
{
	ck_assert_int_eq(put(3), 0);
	memory.fail_at = memory.calls + 1;
	ck_assert_int_eq(put(300), -ENOMEM);
	ck_assert_int_eq(put(3), -EEXIST);
	ck_assert_int_eq(put(300), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("numbers");
	TCase *group = tcase_create("numbers");

	tcase_add_checked_fixture(group, setup, teardown);
	tcase_add_test(group, a_number_is_in_once_until_it_is_out);
	tcase_add_test(group, it_grows_with_the_largest_number_only);
	tcase_add_test(group, without_memory_nothing_changes);
	suite_add_tcase(suite, group);
	return suite_run(suite);
}
