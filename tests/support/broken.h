/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broken.h - a test that breaks an invariant and is to be stopped for it
 *
 * Not by the signal itself, so that a build that counts what has run may write its
 * counts: the test has to end with BROKEN_NOTICED (tcase_add_loop_exit_test).
 */
#ifndef ZCREQ_TESTS_BROKEN_H
#define ZCREQ_TESTS_BROKEN_H

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define BROKEN_NOTICED 3

static inline void broken_on_abort(int number)
{
	(void)number;
	exit(BROKEN_NOTICED);
}

/* From here on an assertion that does not hold is what the test expects; it says nothing. */
static inline void broken_expected(void)
{
	int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

	dup2(nowhere, STDERR_FILENO);
	signal(SIGABRT, broken_on_abort);
}

#endif
