/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_signals.c - the guard among others: their faults, children and threads
 *
 * A child ends by exit(3) and not by _exit(2), so that what it executed is counted.
 */
#include "support/suite.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard/pages.h"
#include "guard/guard_scene.h"
#include "support/emulated.h"

/* What gcc makes of fork() when it counts begins anew in the child, after the handlers
 * of pthread_atfork(3). */
static pid_t (*const volatile fork_itself)(void) = fork;

static struct sigaction action_now(void)
{
	struct sigaction now;

	ck_assert_int_eq(sigaction(SIGSEGV, NULL, &now), 0);
	return now;
}

/* As a handler does that was put in front of the guard's, and goes on calling it. */
static void hand_on(int code, void *address)
{
	siginfo_t info = {.si_signo = SIGSEGV, .si_code = code, .si_addr = address};

	action_now().sa_sigaction(SIGSEGV, &info, NULL);
}

/* ---- other faults ---- */

static char *expected; /* where a fault is the program's own */

static void exit_well(int number, siginfo_t *info, void *machine)
{
	(void)machine;
	exit(number == SIGSEGV && info->si_addr == expected ? 7 : 1);
}

static void exit_plainly(int number)
{
	exit(number == SIGSEGV ? 7 : 1);
}

/* The program's own handler is called for its own faults, and is back afterwards. */
START_TEST(other_faults_go_to_the_handler_that_was_there)
{
	struct sigaction mine = {.sa_sigaction = exit_well, .sa_flags = SA_SIGINFO};
	bool plain = _i & 2;
	int status;
	pid_t child;

	if (plain)
		mine = (struct sigaction){.sa_handler = exit_plainly};
	if (_i & 1) /* it may be entered again, and says so */
		mine.sa_flags |= SA_NODEFER;
	ck_assert_int_eq(sigaction(SIGSEGV, &mine, NULL), 0);
	open_scene(ZCREQ_GUARD_PROTECT);
	expected = _i & 1 ? scene.buffer - 1 : (char *)1; /* NULL a sanitizer would find */
	child = fork_itself();
	if (!child)
		poke(expected);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 7);
	ck_assert_uint_eq(scene.found.count, 0);
	close_scene();
	ck_assert(action_now().sa_sigaction == mine.sa_sigaction);
	ck_assert_int_eq(action_now().sa_flags & SA_SIGINFO, plain ? 0 : SA_SIGINFO);
}
END_TEST

/* And without one the process ends by that signal. */
START_TEST(other_faults_end_the_program_as_before)
{
	signal(SIGSEGV, SIG_DFL); /* Check has none either */
	open_scene(ZCREQ_GUARD_PROTECT);
	poke(scene.buffer - 1);
}
END_TEST

/* A fault that no handler wants comes again, when the guard's is out of the way. */
START_TEST(a_fault_that_nobody_handles_is_left_to_the_kernel)
{
	signal(SIGSEGV, _i ? SIG_IGN : SIG_DFL);
	open_scene(ZCREQ_GUARD_PROTECT);
	hand_on(SEGV_MAPERR, scene.buffer - 1);
	ck_assert(action_now().sa_handler == (_i ? SIG_IGN : SIG_DFL));
	close_scene();
	ck_assert(action_now().sa_handler == (_i ? SIG_IGN : SIG_DFL));
}
END_TEST

/* Nothing faults again when somebody has sent it. */
START_TEST(a_signal_that_is_sent_ends_the_program_at_once)
{
	signal(SIGSEGV, SIG_DFL);
	open_scene(ZCREQ_GUARD_PROTECT);
	raise(SIGSEGV);
}
END_TEST

/* The same, stopped before it dies. */
START_TEST(a_signal_that_is_sent_is_sent_again)
{
	sigset_t set;

	signal(SIGSEGV, SIG_DFL);
	open_scene(ZCREQ_GUARD_PROTECT);
	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	ck_assert_int_eq(sigprocmask(SIG_BLOCK, &set, NULL), 0);
	hand_on(SI_USER, NULL);
	ck_assert_int_eq(sigpending(&set), 0);
	ck_assert_int_eq(sigismember(&set, SIGSEGV), 1);
	ck_assert(action_now().sa_handler == SIG_DFL);
	signal(SIGSEGV, SIG_IGN); /* which takes it away */
	close_scene();
}
END_TEST

START_TEST(a_signal_that_is_sent_is_ignored_as_before)
{
	struct heard heard = {0};

	signal(SIGSEGV, SIG_IGN);
	open_scene(ZCREQ_GUARD_PROTECT);
	send_and_finish(&heard, scene.buffer, PAGE);
	raise(SIGSEGV);
	poke(scene.buffer); /* and the guard is still there */
	ck_assert_uint_eq(scene.found.count, 1);
	prove();
	close_scene();
	ck_assert(action_now().sa_handler == SIG_IGN);
}
END_TEST

static unsigned handled;

static void count(int number, siginfo_t *info, void *machine)
{
	(void)number;
	(void)info;
	(void)machine;
	handled++;
}

/* Its page may have been given back since: once more, and then it is somebody else's. */
START_TEST(a_fault_of_no_page_is_tried_again_once)
{
	const struct sigaction mine = {.sa_sigaction = count, .sa_flags = SA_SIGINFO};
	struct heard heard = {0};

	ck_assert_int_eq(sigaction(SIGSEGV, &mine, NULL), 0);
	open_scene(ZCREQ_GUARD_PROTECT);
	if (_i) /* there are pages, but not this one */
		send_and_finish(&heard, scene.buffer + PAGE, PAGE);
	for (unsigned round = 0; round < 3; round++) {
		hand_on(SEGV_ACCERR, scene.buffer);
		ck_assert_uint_eq(handled, round);
		hand_on(SEGV_ACCERR, scene.buffer);
		ck_assert_uint_eq(handled, round + 1);
	}
	hand_on(SEGV_ACCERR, scene.buffer);
	hand_on(SEGV_ACCERR, scene.buffer + 1);
	ck_assert_uint_eq(handled, 3);
	hand_on(SEGV_MAPERR, scene.buffer + 2);
	ck_assert_uint_eq(handled, 4);
	ck_assert_uint_eq(scene.found.count, 0);
	prove();
	close_scene();
}
END_TEST

/* ---- in front of it, and behind it ---- */

START_TEST(the_handler_stays_until_the_last_context_has_gone)
{
	struct sigaction before = action_now();
	struct zcreq_context *other;

	open_scene(ZCREQ_GUARD_PROTECT);
	ck_assert(action_now().sa_sigaction != before.sa_sigaction);
	other = guarded_context(ZCREQ_GUARD_PROTECT);
	ck_assert_int_eq(zcreq_context_free(other), 0);
	ck_assert(action_now().sa_sigaction != before.sa_sigaction);
	close_scene();
	ck_assert(action_now().sa_sigaction == before.sa_sigaction);
	open_scene(0); /* which needs none */
	ck_assert(action_now().sa_sigaction == before.sa_sigaction);
	close_scene();
}
END_TEST

START_TEST(a_handler_in_front_is_left_there)
{
	const struct sigaction mine = {.sa_sigaction = count, .sa_flags = SA_SIGINFO};

	open_scene(ZCREQ_GUARD_PROTECT);
	if (_i)
		signal(SIGSEGV, exit_plainly);
	else
		ck_assert_int_eq(sigaction(SIGSEGV, &mine, NULL), 0);
	close_scene();
	if (_i)
		ck_assert(action_now().sa_handler == exit_plainly);
	else
		ck_assert(action_now().sa_sigaction == count);
}
END_TEST

static char other_stack[1 << 17];
static bool on_other_stack;

static void look_at_stack(void)
{
	const char *here = __builtin_frame_address(0);

	on_other_stack = here >= other_stack && here < other_stack + sizeof(other_stack);
	errno = EDOM;
}

/* On the stack that the program has set aside for it, and errno is the program's. */
START_TEST(the_handler_is_a_guest)
{
	const stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof(other_stack)};
	struct heard heard = {0};

	ck_assert_int_eq(sigaltstack(&stack, NULL), 0);
	open_scene(ZCREQ_GUARD_PROTECT);
	errno = ERANGE;
	send_and_finish(&heard, scene.buffer, PAGE);
	ck_assert_int_eq(errno, ERANGE);
	scene.found.inside = look_at_stack;
	poke(scene.buffer);
	ck_assert_int_eq(errno, ERANGE);
	ck_assert_uint_eq(scene.found.count, 1);
	ck_assert(on_other_stack);
	scene.found.inside = NULL;
	prove();
	ck_assert_int_eq(errno, ERANGE);
	close_scene();
}
END_TEST

/* ---- children and threads ---- */

/* It may also go on with its copy of the connection, though that is no use. */
START_TEST(a_child_may_write_to_its_copy)
{
	struct heard heard = {0};
	int status;
	pid_t child;

	open_scene(ZCREQ_GUARD_PROTECT);
	send_and_finish(&heard, scene.buffer, PAGES * PAGE);
	child = fork_itself();
	if (!child) {
		memset(scene.buffer, 'b', PAGES * PAGE);
		if (scene.found.count)
			exit(1);
		send_and_finish(&heard, scene.buffer, PAGE);
		exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert(!can_write(scene.buffer));
	prove();
	ck_assert_uint_eq(scene.found.count, 0);
	close_scene();
}
END_TEST

/* What was not writable before is not so in the child either, nor what the program has
 * closed again since a write. */
START_TEST(a_child_gets_what_was_there)
{
	struct heard heard = {0};
	int status;
	pid_t child;

	open_scene(ZCREQ_GUARD_PROTECT);
	ck_assert_int_eq(mprotect(scene.buffer, PAGE, PROT_READ), 0);
	send_and_finish(&heard, scene.buffer, 3 * PAGE);
	poke(scene.buffer + PAGE);
	ck_assert_int_eq(mprotect(scene.buffer + PAGE, PAGE, PROT_READ), 0);
	child = fork_itself();
	if (!child)
		exit(can_write(scene.buffer) || can_write(scene.buffer + PAGE) ||
		     !can_write(scene.buffer + 2 * PAGE));
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	prove();
	close_scene();
}
END_TEST

/* What handles SIGABRT may fork, as those do that start a debugger. */
static void fork_and_exit(int number)
{
	pid_t child = fork_itself();
	int status;

	(void)number;
	if (!child)
		exit(0);
	exit(waitpid(child, &status, 0) == child ? 7 : 1);
}

START_TEST(a_write_aborts_with_nothing_locked)
{
	struct heard heard = {0};

	open_scene_that_aborts(ZCREQ_GUARD_PROTECT);
	send_and_finish(&heard, scene.buffer, PAGE);
	signal(SIGABRT, fork_and_exit);
	poke(scene.buffer);
}
END_TEST

static atomic_bool go, begun, taken; /* taken, or given */
static bool taken_inside;
static struct iovec others_memory;
static struct zcreq_guard_area others_area = {.iov = &others_memory, .iovcnt = 1};

static void *take_area(void *arg)
{
	while (!go)
		;
	begun = true;
	zcreq_guard_pages_take(&others_area);
	taken = true;
	return arg;
}

static void *give_area(void *arg)
{
	while (!go)
		;
	begun = true;
	zcreq_guard_pages_give(&others_area, false);
	taken = true;
	return arg;
}

static void let_the_other_try(void)
{
	go = true;
	while (!begun)
		;
	usleep(50000);
	taken_inside = taken;
}

/* While a write is judged, what is in flight does not change. */
START_TEST(a_thread_waits_for_another_ones_fault)
{
	struct heard heard = {0};
	pthread_t thread;

	open_scene(ZCREQ_GUARD_PROTECT);
	others_memory = (struct iovec){scene.buffer + PAGE, PAGE};
	scene.found.inside = let_the_other_try;
	send_and_finish(&heard, scene.buffer, PAGE);
	if (_i)
		zcreq_guard_pages_take(&others_area);
	ck_assert_int_eq(pthread_create(&thread, NULL, _i ? give_area : take_area, NULL), 0);
	poke(scene.buffer);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert(!taken_inside);
	ck_assert(taken);
	ck_assert(can_write(scene.buffer + PAGE) == _i);
	if (!_i)
		zcreq_guard_pages_give(&others_area, false);
	ck_assert(can_write(scene.buffer + PAGE));
	prove();
	close_scene();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("guard_signals");
	TCase *faults = tcase_create("faults"), *guests = tcase_create("guests");
	TCase *others = tcase_create("others");

	if (emulated_memory())
		return 77;
	tcase_add_loop_test(faults, other_faults_go_to_the_handler_that_was_there, 0, 4);
	tcase_add_test_raise_signal(faults, other_faults_end_the_program_as_before, SIGSEGV);
	tcase_add_loop_test(faults, a_fault_that_nobody_handles_is_left_to_the_kernel, 0, 2);
	tcase_add_test_raise_signal(faults, a_signal_that_is_sent_ends_the_program_at_once,
				    SIGSEGV);
	tcase_add_test(faults, a_signal_that_is_sent_is_sent_again);
	tcase_add_test(faults, a_signal_that_is_sent_is_ignored_as_before);
	tcase_add_loop_test(faults, a_fault_of_no_page_is_tried_again_once, 0, 2);
	suite_add_tcase(s, faults);

	tcase_add_test(guests, the_handler_stays_until_the_last_context_has_gone);
	tcase_add_loop_test(guests, a_handler_in_front_is_left_there, 0, 2);
	tcase_add_test(guests, the_handler_is_a_guest);
	suite_add_tcase(s, guests);

	tcase_add_test(others, a_child_may_write_to_its_copy);
	tcase_add_test(others, a_child_gets_what_was_there);
	tcase_add_exit_test(others, a_write_aborts_with_nothing_locked, 7);
	tcase_add_loop_test(others, a_thread_waits_for_another_ones_fault, 0, 2);
	suite_add_tcase(s, others);
	return suite_run(s);
}
