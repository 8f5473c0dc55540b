/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_text.c - strings of anybody's in JSON, and how long things take
 *
 * What else the renderers write is tested with the stories of check_explain.
 */
#include "support/suite.h"

#include <stdio.h>
#include <string.h>

#include "explain/render.h"
#include "support/wellformed.h"

START_TEST(any_string_is_wellformed)
{
	const char string[] = {(char)(_i + 1), '\0'};
	char said[16], expected[16] = "\"?\"";
	struct zcreq_writer w = {.text = said, .size = sizeof(said)};

	if (string[0] == '"' || string[0] == '\\')
		snprintf(expected, sizeof(expected), "\"\\%c\"", string[0]);
	else if (string[0] >= 32 && string[0] < 127)
		snprintf(expected, sizeof(expected), "\"%c\"", string[0]);
	zcreq_json_string(&w, string);
	ck_assert_int_eq(zcreq_writer_end(&w, "{}"), (int)strlen(expected));
	ck_assert_str_eq(said, expected);
	ck_assert(wellformed_json(said, strlen(said)));
}
END_TEST

START_TEST(durations_have_the_unit_that_people_would_use)
{
	static const struct {
		uint64_t ms;
		const char *words;
	} rows[] = {
		{0, "0 ms"}, {999, "999 ms"}, {1000, "1.0 s"}, {1050, "1.0 s"},
		{99999, "99.9 s"}, {100000, "1 min"}, {3600000, "60 min"},
	};
	char said[32], number[32];
	struct zcreq_writer w = {.text = said, .size = sizeof(said)};

	zcreq_text_duration(&w, rows[_i].ms * 1000000 + 999999);
	zcreq_writer_end(&w, NULL);
	ck_assert_str_eq(said, rows[_i].words);
	w.len = 0;
	zcreq_json_ms(&w, rows[_i].ms * 1000000 + 999999);
	zcreq_writer_end(&w, NULL);
	snprintf(number, sizeof(number), "%u", (unsigned)rows[_i].ms);
	ck_assert_str_eq(said, number);
}
END_TEST

START_TEST(nothing_adds_nothing)
{
	char said[8] = "";
	struct zcreq_writer w = {.text = said, .size = sizeof(said)};

	zcreq_writer_add(&w, "%s", "");
	ck_assert_uint_eq(w.len, 0);
	ck_assert_int_eq(zcreq_writer_end(&w, NULL), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("text");
	TCase *strings = tcase_create("strings");

	tcase_add_loop_test(strings, any_string_is_wellformed, 0, 255);
	tcase_add_loop_test(strings, durations_have_the_unit_that_people_would_use, 0, 7);
	tcase_add_test(strings, nothing_adds_nothing);
	suite_add_tcase(s, strings);
	return suite_run(s);
}
