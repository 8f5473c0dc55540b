/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fail_fast.c - a check program that stops at its first failure
 *
 * Check goes on after a failure, because it wants to say how many there are. For a
 * mutant one is enough. Linked into each program with --wrap=_ck_assert_failed. The
 * tests that Check forks stop the program that started them, and end with it.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <pthread.h>
#include <unistd.h>

static pid_t program;

static _Noreturn void stop(void)
{
	if (getpid() != program)
		kill(program, SIGKILL);
	_exit(1);
}

_Noreturn void __wrap__ck_assert_failed(const char *file, int line, const char *claim,
					const char *message, ...);

_Noreturn void __wrap__ck_assert_failed(const char *file, int line, const char *claim,
					const char *message, ...)
{
	(void)message;
	dprintf(STDERR_FILENO, "%s:%d: %s\n", file, line, claim);
	stop();
}

static void on_signal(int number)
{
	dprintf(STDERR_FILENO, "signal %d\n", number);
	stop();
}

static void in_child(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static __attribute__((constructor)) void begin(void)
{
	static const int deadly[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGXCPU};

	program = getpid();
	for (unsigned i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
		signal(deadly[i], on_signal);
	pthread_atfork(NULL, NULL, in_child);
}
