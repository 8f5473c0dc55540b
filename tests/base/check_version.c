/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_version.c - what a program can ask without a context: version, timeouts
 *
 * Linked against the shared library, not its inside.
 */
#include "support/suite.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <zcreq/zcreq.h>

START_TEST(the_library_is_the_version_of_its_headers)
{
	char begin[32];

	ck_assert_str_eq(zcreq_version(), ZCREQ_VERSION);
	snprintf(begin, sizeof(begin), "%d.%d.", ZCREQ_VERSION_MAJOR, ZCREQ_VERSION_MINOR);
	ck_assert_int_eq(strncmp(ZCREQ_VERSION, begin, strlen(begin)), 0);
}
END_TEST

#if ZCREQ_VERSION_NUMBER < 100
#error "the preprocessor cannot compare it"
#endif

START_TEST(the_number_has_the_three_parts)
{
	char whole[32];

	snprintf(whole, sizeof(whole), "%d.%d.%d", ZCREQ_VERSION_NUMBER / 10000,
		 ZCREQ_VERSION_NUMBER / 100 % 100, ZCREQ_VERSION_NUMBER % 100);
	ck_assert_str_eq(whole, ZCREQ_VERSION);
}
END_TEST

START_TEST(the_clock_goes_forward)
{
	uint64_t first = zcreq_now_ns(), second = zcreq_now_ns();

	ck_assert_uint_gt(first, 0);
	ck_assert_uint_ge(second, first);
	ck_assert_uint_lt(second - first, 1000000000);
}
END_TEST

/* Rounded up, so that the deadline has passed when poll returns. */
START_TEST(a_timeout_is_never_too_short_and_less_than_one_too_long)
{
	static const struct {
		uint64_t deadline_ns, now_ns;
		int ms;
	} rows[] = {
		{ZCREQ_NEVER, 0, -1},
		{ZCREQ_NEVER, ZCREQ_NEVER - 1, -1},
		{0, 0, 0},
		{5, 5, 0},
		{5, 6, 0},
		{0, ZCREQ_NEVER, 0},
		{6, 5, 1},
		{1000000, 0, 1},
		{1000001, 0, 2},
		{999999, 0, 1},
		{7000000, 1000000, 6},
		{7000000, 999999, 7},
		{(uint64_t)INT_MAX * 1000000, 0, INT_MAX},
		{(uint64_t)INT_MAX * 1000000 + 1, 0, INT_MAX},
		{ZCREQ_NEVER - 1, 0, INT_MAX},
		{ZCREQ_NEVER - 1, ZCREQ_NEVER - 2, 1},
	};

	for (unsigned i = 0; i < COUNT(rows); i++)
		ck_assert_int_eq(zcreq_timeout_ms(rows[i].deadline_ns, rows[i].now_ns),
				 rows[i].ms);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("version");
	TCase *asked = tcase_create("asked");

	tcase_add_test(asked, the_library_is_the_version_of_its_headers);
	tcase_add_test(asked, the_number_has_the_three_parts);
	tcase_add_test(asked, the_clock_goes_forward);
	tcase_add_test(asked, a_timeout_is_never_too_short_and_less_than_one_too_long);
	suite_add_tcase(s, asked);
	return suite_run(s);
}
