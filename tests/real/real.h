/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * real.h - how the tests on the real kernel are run, and when they are not
 *
 * Check forks for each test, so each has a network, a context and capabilities of
 * its own, and one that hangs is killed with everything that it made.
 *
 * What a machine cannot do is found out first, and said. A program of which
 * nothing can run exits with 77; a single group of tests that needs more than the
 * rest is left out, with its reason, and is not among those that passed.
 */
#ifndef ZCREQ_TESTS_REAL_H
#define ZCREQ_TESTS_REAL_H

#include <check.h>
#include <stdbool.h>
#include <stdio.h>

/* Tests print what they have measured; nothing is asserted on a clock's word. */
#define say(...) (printf("    " __VA_ARGS__), fflush(stdout))

#define ck_ok(expression) ck_assert_int_eq((expression), 0)

/* As ck_assert, for what is asked 100 000 times: Check writes a line to a file for
 * each of its own, whether it holds or not. */
#define expect(condition) \
	do { \
		if (!(condition)) \
			ck_abort_msg("%s", #condition); \
	} while (0)

/* A group of tests, each with the fixture around it. @missing: NULL, or why the
 * machine cannot run them. */
TCase *real_group(Suite *suite, const char *name, SFun setup, SFun teardown,
		  const char *missing);

/* Is this Linux older than @major.@minor? For what doc/kernel.md says of versions: the test
 * then claims what the older one does, or says why it is left out. */
bool real_linux_before(unsigned major, unsigned minor);

/* Runs them: what main() returns. @missing: NULL, or why nothing of it can run here. */
int real_run(Suite *suite, const char *missing);

#endif
