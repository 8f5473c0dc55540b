/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_bug.c - a broken invariant says where it is, and stops the program
 */
#include "support/suite.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bug.h"

#define ABORTED 3

/* Not by the signal, so that a test that counts what has run may write its counts. */
static void on_abort(int number)
{
	(void)number;
	exit(ABORTED);
}

/* What a child process says on standard error, and its exit status. */
static int said_by(void (*child)(void), char *text, size_t size)
{
	int fd[2], status;
	size_t len = 0;
	ssize_t got;
	pid_t pid;

	ck_assert_int_eq(pipe(fd), 0);
	pid = fork();
	if (pid == 0) {
		dup2(fd[1], STDERR_FILENO);
		signal(SIGABRT, on_abort);
		child();
		exit(0);
	}
	close(fd[1]);
	while (len < size - 1 && (got = read(fd[0], text + len, size - 1 - len)) > 0)
		len += got;
	text[len] = '\0';
	close(fd[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void break_one(void)
{
	zcreq_bug_at("here.c", 42, "two is one");
}

static void claim_what_is_not(void)
{
	volatile int two = 2;

	zcreq_assert(two == 1);
}

static void claim_what_is(void)
{
	volatile int two = 2;

	zcreq_assert(two == 2);
}

START_TEST(it_says_where_and_what_and_stops)
{
	char text[256];

	ck_assert_int_eq(said_by(break_one, text, sizeof(text)), ABORTED);
	ck_assert_str_eq(text, "zcreq: here.c:42: broken invariant: two is one\n");
}
END_TEST

START_TEST(a_claim_that_does_not_hold_is_one)
{
	char text[256];

	ck_assert_int_eq(said_by(claim_what_is_not, text, sizeof(text)), ABORTED);
	ck_assert_ptr_nonnull(strstr(text, "check_bug.c:"));
	ck_assert_ptr_nonnull(strstr(text, "two == 1"));
}
END_TEST

START_TEST(a_claim_that_holds_says_nothing)
{
	char text[256];

	ck_assert_int_eq(said_by(claim_what_is, text, sizeof(text)), 0);
	ck_assert_str_eq(text, "");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("bug");
	TCase *stops = tcase_create("stops");

	tcase_add_test(stops, it_says_where_and_what_and_stops);
	tcase_add_test(stops, a_claim_that_does_not_hold_is_one);
	tcase_add_test(stops, a_claim_that_holds_says_nothing);
	suite_add_tcase(s, stops);
	return suite_run(s);
}
