/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_text.c - strings of anybody's in JSON
 *
 * What else text.h writes is tested with the stories of check_explain.
 */
#include "suite.h"

#include <stdio.h>
#include <string.h>

#include "text.h"
#include "wellformed.h"

START_TEST(any_string_is_wellformed)
{
	const char string[] = {(char)(_i + 1), '\0'};
	char said[16], expected[16] = "\"?\"";
	struct zcreq_text t = {.text = said, .size = sizeof(said), .format = ZCREQ_JSON};

	if (string[0] == '"' || string[0] == '\\')
		snprintf(expected, sizeof(expected), "\"\\%c\"", string[0]);
	else if (string[0] >= 32 && string[0] < 127)
		snprintf(expected, sizeof(expected), "\"%c\"", string[0]);
	zcreq_text_string(&t, string);
	ck_assert_int_eq(zcreq_text_end(&t), (int)strlen(expected));
	ck_assert_str_eq(said, expected);
	ck_assert(wellformed_json(said, strlen(said)));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("text");
	TCase *strings = tcase_create("strings");

	tcase_add_loop_test(strings, any_string_is_wellformed, 0, 255);
	suite_add_tcase(s, strings);
	return suite_run(s);
}
