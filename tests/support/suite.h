/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * suite.h - what every check program shares: how a suite is run
 *
 * Check forks for each test (CK_FORK), so a crash is one failure, and the names
 * that it prints are the claims.
 */
#ifndef ZCREQ_TESTS_SUITE_H
#define ZCREQ_TESTS_SUITE_H

#include <check.h>
#include <stdint.h>

/* For inner loops: Check's own assertions make a system call each. */
#define CLAIM(claim) \
	do { \
		if (!(claim)) \
			ck_abort_msg("not so: %s", #claim); \
	} while (0)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Runs a suite; the exit status of the program. */
static inline int suite_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

/* A small generator, so that a seed is a test case (xorshift64*). */
static inline uint64_t suite_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1du;
}

#endif
