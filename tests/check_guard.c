/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_guard.c - each crime that a guard knows is planted, and nothing else is found
 */
#include "suite.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zcreq/zcreq.h>

#include "counting.h"
#include "recorder.h"
#include "stub.h"

#define PAGE 4096
#define PAGES 8
#define BLOCK 256 /* as guard.h promises */

/* Every finding, in the order in which they came. */
struct findings {
	volatile unsigned count; /* of a signal handler, too */
	struct zcreq_guard_report last;
	char text[512];
};

struct scene {
	struct counting memory;
	struct stub stub;
	struct zcreq_context *context;
	struct zcreq_conn *conn;
	struct findings found;
	char *buffer; /* PAGES pages, and one before and behind that are not mapped */
};

static struct scene scene;

static void note(const struct zcreq_guard_report *report, void *arg)
{
	struct findings *found = arg;

	found->count++;
	found->last = *report;
	strncpy(found->text, report->text, sizeof(found->text) - 1);
}

static struct zcreq_context *guarded_context(unsigned flags)
{
	struct zcreq_guard_options guard = {
		.size = sizeof(guard),
		.flags = flags,
		.report = note,
		.arg = &scene.found,
	};
	struct zcreq_context_options options = {
		.size = sizeof(options),
		.allocator = &scene.memory.allocator,
		.guard = &guard,
	};
	struct zcreq_context *context = NULL;

	ck_assert_int_eq(zcreq_context_new(&options, &context), 0);
	return context;
}

static void open_scene(unsigned flags)
{
	char *mapped = mmap(NULL, (PAGES + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert(mapped != MAP_FAILED);
	scene.buffer = mapped + PAGE;
	ck_assert_int_eq(mprotect(scene.buffer, PAGES * PAGE, PROT_READ | PROT_WRITE), 0);
	memset(scene.buffer, 'a', PAGES * PAGE);
	counting_init(&scene.memory);
	stub_init(&scene.stub);
	scene.context = guarded_context(flags | ZCREQ_GUARD_CONTINUE);
	scene.conn = stub_open(&scene.stub, scene.context, NULL, NULL);
}

static void close_scene(void)
{
	zcreq_conn_free(scene.conn);
	zcreq_dispatch(scene.context);
	counting_end(&scene.memory, scene.context);
}

/* The proof for all that is in flight comes, and is heard. */
static void prove(void)
{
	stub_prove_all(&scene.stub);
	ck_assert_int_eq(zcreq_process(scene.conn, POLLERR), 0);
}

static void send_and_finish(struct heard *heard, const void *data, size_t len)
{
	zcreq_id id = heard_begin(scene.conn, heard);

	stub_send(scene.conn, id, data, len);
	ck_assert_int_eq(zcreq_finish(scene.context, id, 0), 0);
}

static bool can_write(char *address)
{
	int ends[2];
	bool can;

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(write(ends[1], "x", 1), 1);
	can = read(ends[0], address, 1) == 1;
	close(ends[0]);
	close(ends[1]);
	return can;
}

/* A write that stays where it is among the others. */
static void poke(char *address)
{
	*(volatile char *)address = 'b';
}

/* ---- crimes ---- */

START_TEST(a_change_in_flight_is_reported_with_its_place)
{
	struct heard heard = {0};

	open_scene(_i ? ZCREQ_GUARD_PROTECT : 0);
	/* an edge, which is compared in either mode */
	send_and_finish(&heard, scene.buffer + 100, PAGES * PAGE - 200);
	poke(scene.buffer + PAGES * PAGE - 101);
	ck_assert_uint_eq(scene.found.count, 0);
	prove();
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_uint_eq(scene.found.count, 1);
	ck_assert_int_eq(scene.found.last.crime, ZCREQ_GUARD_CHANGED);
	ck_assert(scene.found.last.id.bits == heard.id.bits);
	ck_assert_ptr_eq(scene.found.last.conn, scene.conn);
	ck_assert_uint_eq(scene.found.last.send, 0);
	ck_assert_uint_eq(scene.found.last.send_bytes, PAGES * PAGE - 200);
	ck_assert_uint_eq(scene.found.last.offset_bytes + scene.found.last.len_bytes,
			  PAGES * PAGE - 200);
	ck_assert_uint_le(scene.found.last.len_bytes, BLOCK);
	ck_assert_ptr_eq(scene.found.last.address,
			 scene.buffer + 100 + scene.found.last.offset_bytes);
	ck_assert_ptr_nonnull(strstr(scene.found.text, "memory in flight was changed"));
	ck_assert_int_eq(zcreq_guard_reports(scene.context), 1);
	close_scene();
}
END_TEST

START_TEST(a_change_before_an_abort_is_reported)
{
	struct heard heard = {0};

	open_scene(0);
	scene.stub.room_bytes = _i ? PAGE : 0; /* part of it in the kernel, or nothing */
	send_and_finish(&heard, scene.buffer, 2 * PAGE);
	poke(scene.buffer + PAGE + 1);
	ck_assert_int_eq(zcreq_conn_abort(scene.conn, -EIO), 0);
	zcreq_dispatch(scene.context);
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_uint_eq(scene.found.count, 1);
	ck_assert_int_eq(scene.found.last.crime, ZCREQ_GUARD_CHANGED);
	ck_assert_uint_eq(scene.found.last.offset_bytes, PAGE);
	close_scene();
}
END_TEST

START_TEST(memory_unmapped_in_flight_is_reported)
{
	struct heard heard = {0};

	open_scene(_i ? ZCREQ_GUARD_PROTECT : 0);
	send_and_finish(&heard, scene.buffer, PAGES * PAGE);
	ck_assert_int_eq(munmap(scene.buffer + PAGE, 2 * PAGE), 0);
	prove();
	ck_assert_uint_eq(scene.found.count, 1);
	ck_assert_int_eq(scene.found.last.crime, ZCREQ_GUARD_UNMAPPED);
	ck_assert_uint_eq(scene.found.last.offset_bytes, PAGE);
	ck_assert_uint_eq(scene.found.last.len_bytes, 2 * PAGE);
	/* what is left is the program's again */
	ck_assert(can_write(scene.buffer) && can_write(scene.buffer + 3 * PAGE));
	close_scene();
}
END_TEST

/* Somebody else's memory by now: its protection is not the guard's to change. */
START_TEST(memory_mapped_anew_keeps_its_own_protection)
{
	struct heard heard = {0};

	open_scene(ZCREQ_GUARD_PROTECT);
	send_and_finish(&heard, scene.buffer, PAGES * PAGE);
	ck_assert(mmap(scene.buffer, PAGE, PROT_READ | PROT_EXEC,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == scene.buffer);
	prove();
	ck_assert_int_eq(scene.found.last.crime, ZCREQ_GUARD_CHANGED);
	ck_assert(!can_write(scene.buffer) && can_write(scene.buffer + PAGE));
	close_scene();
}
END_TEST

/* Freed to the heap, which keeps the pages and writes to them. */
START_TEST(memory_freed_in_flight_is_reported)
{
	struct heard heard = {0};
	char *freed = malloc(2048), *neighbour = malloc(2048);

	open_scene(0);
	memset(freed, 'a', 2048);
	send_and_finish(&heard, freed, 2048);
	free(freed);
	freed = malloc(2048);
	memset(freed, 'b', 2048);
	prove();
	ck_assert_uint_eq(scene.found.count, 1);
	ck_assert_int_eq(scene.found.last.crime, ZCREQ_GUARD_CHANGED);
	free(freed);
	free(neighbour);
	close_scene();
}
END_TEST

START_TEST(a_write_to_a_protected_page_is_reported_at_its_instruction)
{
	struct heard heard = {0};

	open_scene(ZCREQ_GUARD_PROTECT);
	send_and_finish(&heard, scene.buffer + 100, PAGES * PAGE - 100);
	poke(scene.buffer + 3 * PAGE + 7);
	ck_assert_uint_eq(scene.found.count, 1);
	ck_assert_int_eq(scene.found.last.crime, ZCREQ_GUARD_WRITTEN);
	ck_assert_uint_eq(scene.found.last.offset_bytes, 3 * PAGE + 7 - 100);
	ck_assert_ptr_eq(scene.found.last.address, scene.buffer + 3 * PAGE + 7);
	ck_assert(scene.found.last.id.bits == heard.id.bits);
	ck_assert_int_eq(scene.buffer[3 * PAGE + 7], 'b'); /* it went on */
	poke(scene.buffer + 4 * PAGE);
	ck_assert_uint_eq(scene.found.count, 2);
	prove();
	ck_assert_uint_eq(scene.found.count, 3); /* and the sums say it too */
	poke(scene.buffer + 5 * PAGE);
	ck_assert_uint_eq(scene.found.count, 3);
	close_scene();
}
END_TEST

START_TEST(a_system_call_that_writes_to_a_protected_page_fails)
{
	struct heard heard = {0};

	open_scene(ZCREQ_GUARD_PROTECT);
	send_and_finish(&heard, scene.buffer, PAGES * PAGE);
	ck_assert(!can_write(scene.buffer + PAGE));
	prove();
	ck_assert(can_write(scene.buffer + PAGE));
	ck_assert_uint_eq(scene.found.count, 0);
	close_scene();
}
END_TEST

/* Two contexts, three sends: a page is protected until the last has gone. */
START_TEST(overlapping_sends_count_their_pages)
{
	struct zcreq_context *other;
	struct stub stub;
	struct zcreq_conn *conn;
	struct heard heard[3] = {{0}};
	zcreq_id id;

	open_scene(ZCREQ_GUARD_PROTECT);
	other = guarded_context(ZCREQ_GUARD_PROTECT | ZCREQ_GUARD_CONTINUE);
	stub_init(&stub);
	conn = stub_open(&stub, other, NULL, NULL);
	send_and_finish(&heard[0], scene.buffer, 4 * PAGE);
	send_and_finish(&heard[1], scene.buffer + 2 * PAGE, 4 * PAGE);
	id = heard_begin(conn, &heard[2]);
	stub_send(conn, id, scene.buffer + 3 * PAGE + 1, 4 * PAGE);
	ck_assert_int_eq(zcreq_finish(other, id, 0), 0);

	stub_notify(&scene.stub, 0, 0, false);
	ck_assert_int_eq(zcreq_process(scene.conn, POLLERR), 0);
	for (int page = 0; page < PAGES; page++)
		ck_assert_int_eq(can_write(scene.buffer + page * PAGE), page < 2 || page > 6);
	stub_notify(&scene.stub, 1, 1, false);
	ck_assert_int_eq(zcreq_process(scene.conn, POLLERR), 0);
	for (int page = 0; page < PAGES; page++)
		ck_assert_int_eq(can_write(scene.buffer + page * PAGE), page < 4 || page > 6);
	poke(scene.buffer + 5 * PAGE);
	ck_assert_uint_eq(scene.found.count, 1);
	ck_assert_ptr_eq(scene.found.last.conn, conn);
	stub_prove_all(&stub);
	ck_assert_int_eq(zcreq_process(conn, POLLERR), 0);
	zcreq_conn_free(conn);
	zcreq_dispatch(other);
	ck_assert_int_eq(zcreq_context_free(other), 0);
	close_scene();
}
END_TEST

START_TEST(both_owners_of_a_page_hear_of_a_write)
{
	struct heard heard[2] = {{0}};

	open_scene(ZCREQ_GUARD_PROTECT);
	send_and_finish(&heard[0], scene.buffer, 4 * PAGE);
	send_and_finish(&heard[1], scene.buffer + PAGE, 4 * PAGE);
	poke(scene.buffer + PAGE);
	ck_assert_uint_eq(scene.found.count, 2);
	ck_assert(scene.found.last.id.bits == heard[1].id.bits);
	prove();
	close_scene();
}
END_TEST

/* ---- what is left as it was ---- */

START_TEST(memory_that_was_read_only_stays_so)
{
	struct heard heard = {0};

	open_scene(ZCREQ_GUARD_PROTECT);
	ck_assert_int_eq(mprotect(scene.buffer + PAGE, PAGE, PROT_READ), 0);
	send_and_finish(&heard, scene.buffer, PAGES * PAGE);
	prove();
	ck_assert(!can_write(scene.buffer + PAGE));
	ck_assert(can_write(scene.buffer) && can_write(scene.buffer + 2 * PAGE));
	ck_assert_uint_eq(scene.found.count, 0);
	close_scene();
}
END_TEST

static char *expected; /* where a fault is the program's own */

static void exit_well(int number, siginfo_t *info, void *machine)
{
	(void)number;
	(void)machine;
	_exit(info->si_addr == expected ? 7 : 1);
}

/* The program's own handler is called for its own faults, and is back afterwards. */
START_TEST(other_faults_go_to_the_handler_that_was_there)
{
	struct sigaction mine = {.sa_sigaction = exit_well, .sa_flags = SA_SIGINFO}, now;
	int status;
	pid_t child;

	ck_assert_int_eq(sigaction(SIGSEGV, &mine, NULL), 0);
	open_scene(ZCREQ_GUARD_PROTECT);
	expected = _i ? scene.buffer - 1 : (char *)1; /* NULL a sanitizer would find */
	child = fork();
	if (!child)
		poke(expected);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 7);
	ck_assert_uint_eq(scene.found.count, 0);
	close_scene();
	ck_assert_int_eq(sigaction(SIGSEGV, NULL, &now), 0);
	ck_assert(now.sa_sigaction == exit_well);
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

START_TEST(a_child_may_write_to_its_copy)
{
	struct heard heard = {0};
	int status;
	pid_t child;

	open_scene(ZCREQ_GUARD_PROTECT);
	send_and_finish(&heard, scene.buffer, PAGES * PAGE);
	child = fork();
	if (!child) {
		memset(scene.buffer, 'b', PAGES * PAGE);
		_exit(scene.found.count != 0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert(!can_write(scene.buffer));
	prove();
	ck_assert_uint_eq(scene.found.count, 0);
	close_scene();
}
END_TEST

START_TEST(a_clean_run_reports_nothing)
{
	struct heard heard[50];
	uint64_t seed = _i + 1;

	open_scene(_i & 1 ? ZCREQ_GUARD_PROTECT : 0);
	for (int round = 0; round < 200; round++) {
		memset(heard, 0, sizeof(heard));
		memset(scene.buffer, round, PAGES * PAGE);
		for (size_t i = 0; i < COUNT(heard); i++) {
			size_t from = suite_random(&seed) % (PAGES * PAGE);
			size_t len = 1 + suite_random(&seed) % (PAGES * PAGE - from);

			send_and_finish(&heard[i], scene.buffer + from, len);
		}
		prove();
		for (size_t i = 0; i < COUNT(heard); i++)
			CLAIM(heard[i].released == 1);
	}
	ck_assert_uint_eq(scene.found.count, 0);
	ck_assert_int_eq(zcreq_guard_reports(scene.context), 0);
	close_scene();
}
END_TEST

/* A send that cannot be read was never as it was; that is for sendmsg to say. */
START_TEST(memory_that_was_never_readable_is_no_crime)
{
	struct heard heard = {0};

	open_scene(_i ? ZCREQ_GUARD_PROTECT : 0);
	send_and_finish(&heard, scene.buffer - 100, 200);
	prove();
	ck_assert_uint_eq(scene.found.count, 0);
	close_scene();
}
END_TEST

/* ---- how it is asked for ---- */

START_TEST(without_continue_a_report_aborts)
{
	struct heard heard = {0};
	struct zcreq_context *context;

	open_scene(0);
	context = guarded_context(0);
	scene.conn = stub_open(&scene.stub, context, NULL, NULL);
	scene.context = context;
	send_and_finish(&heard, scene.buffer, PAGE);
	poke(scene.buffer + 0);
	prove();
}
END_TEST

/* What handles SIGABRT may fork, as those do that start a debugger. */
static void fork_and_exit(int number)
{
	pid_t child = fork();
	int status;

	(void)number;
	if (!child)
		_exit(0);
	_exit(waitpid(child, &status, 0) == child ? 7 : 1);
}

START_TEST(a_write_aborts_with_nothing_locked)
{
	struct heard heard = {0};

	open_scene(0);
	scene.context = guarded_context(ZCREQ_GUARD_PROTECT);
	scene.conn = stub_open(&scene.stub, scene.context, NULL, NULL);
	send_and_finish(&heard, scene.buffer, PAGE);
	signal(SIGABRT, fork_and_exit);
	poke(scene.buffer);
}
END_TEST

static const struct {
	const char *words;
	int reports; /* of a context, or the error */
} environments[] = {
	{"", -ENOENT},        {"checksum", 0}, {"protect", 0},      {"protect,continue", 0},
	{"checksum,nonsense", -ENOENT}, {"no", -ENOENT}, {"continue", 0},
};

START_TEST(the_environment_asks_for_a_guard)
{
	struct counting memory;
	struct zcreq_context *context;

	ck_assert_int_eq(setenv("ZCREQ_GUARD", environments[_i].words, 1), 0);
	context = counting_context(&memory, 0);
	ck_assert_int_eq(zcreq_guard_reports(context), environments[_i].reports);
	counting_end(&memory, context);
}
END_TEST

START_TEST(bad_options_are_refused)
{
	struct zcreq_guard_options guard = {.size = sizeof(guard), .flags = 4};
	struct zcreq_context_options options = {.size = sizeof(options), .guard = &guard};
	struct zcreq_context *context;

	ck_assert_int_eq(zcreq_context_new(&options, &context), -EINVAL);
	guard.flags = 0;
	guard.size = 1;
	ck_assert_int_eq(zcreq_context_new(&options, &context), -EINVAL);
	ck_assert_int_eq(zcreq_guard_reports(NULL), -EINVAL);
}
END_TEST

START_TEST(a_send_without_memory_to_watch_it_is_sent_and_said)
{
	struct heard heard[2] = {{0}};

	open_scene(0);
	send_and_finish(&heard[0], scene.buffer, PAGE); /* tables and rings are there now */
	scene.memory.fail_at = scene.memory.calls + 1;
	send_and_finish(&heard[1], scene.buffer, PAGE);
	ck_assert_uint_eq(scene.found.count, 1);
	ck_assert_int_eq(scene.found.last.crime, ZCREQ_GUARD_BLIND);
	ck_assert_int_eq(zcreq_guard_reports(scene.context), 0);
	prove();
	ck_assert_uint_eq(scene.found.count, 1);
	close_scene();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("guard");
	TCase *crimes = tcase_create("crimes");
	TCase *clean = tcase_create("clean"), *asked = tcase_create("asked");

	tcase_add_loop_test(crimes, a_change_in_flight_is_reported_with_its_place, 0, 2);
	tcase_add_loop_test(crimes, a_change_before_an_abort_is_reported, 0, 2);
	tcase_add_loop_test(crimes, memory_unmapped_in_flight_is_reported, 0, 2);
	tcase_add_test(crimes, memory_mapped_anew_keeps_its_own_protection);
	tcase_add_test(crimes, memory_freed_in_flight_is_reported);
	tcase_add_test(crimes, a_write_to_a_protected_page_is_reported_at_its_instruction);
	tcase_add_test(crimes, a_system_call_that_writes_to_a_protected_page_fails);
	tcase_add_test(crimes, overlapping_sends_count_their_pages);
	tcase_add_test(crimes, both_owners_of_a_page_hear_of_a_write);
	suite_add_tcase(s, crimes);

	tcase_add_test(clean, memory_that_was_read_only_stays_so);
	tcase_add_loop_test(clean, other_faults_go_to_the_handler_that_was_there, 0, 2);
	tcase_add_test_raise_signal(clean, other_faults_end_the_program_as_before, SIGSEGV);
	tcase_add_test(clean, a_child_may_write_to_its_copy);
	tcase_add_loop_test(clean, a_clean_run_reports_nothing, 0, 4);
	tcase_add_loop_test(clean, memory_that_was_never_readable_is_no_crime, 0, 2);
	suite_add_tcase(s, clean);

	tcase_add_test_raise_signal(asked, without_continue_a_report_aborts, SIGABRT);
	tcase_add_exit_test(asked, a_write_aborts_with_nothing_locked, 7);
	tcase_add_loop_test(asked, the_environment_asks_for_a_guard, 0, COUNT(environments));
	tcase_add_test(asked, bad_options_are_refused);
	tcase_add_test(asked, a_send_without_memory_to_watch_it_is_sent_and_said);
	suite_add_tcase(s, asked);
	return suite_run(s);
}
