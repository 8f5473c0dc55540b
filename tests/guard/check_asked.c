/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_asked.c - how a guard is asked for, and how its reports come
 */
#include "support/suite.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guard/guard_scene.h"
#include "support/emulated.h"

/* Whatever is written to stderr, until it is read. */
static FILE *said;
static int stderr_before;

static void listen_to_stderr(void)
{
	said = tmpfile();
	stderr_before = dup(STDERR_FILENO);
	ck_assert_int_eq(dup2(fileno(said), STDERR_FILENO), STDERR_FILENO);
}

/* The next line that was said, or "". */
static const char *line_said(void)
{
	static char line[1024];

	if (stderr_before >= 0) {
		dup2(stderr_before, STDERR_FILENO);
		close(stderr_before);
		stderr_before = -1;
		rewind(said);
	}
	if (!fgets(line, sizeof(line), said))
		line[0] = '\0';
	return line;
}

/* ---- reports ---- */

static void exit_well(int number)
{
	exit(number == SIGABRT ? 7 : 1);
}

START_TEST(without_continue_a_report_aborts)
{
	struct heard heard = {0};

	open_scene_that_aborts(0);
	send_and_finish(&heard, scene.buffer, PAGE);
	poke(scene.buffer + 0);
	signal(SIGABRT, exit_well);
	prove();
}
END_TEST

START_TEST(without_a_callback_reports_go_to_stderr)
{
	struct heard heard[2] = {{0}};
	const char *line;

	open_scene_that_prints(_i ? ZCREQ_GUARD_PROTECT : 0);
	send_and_finish(&heard[0], scene.buffer, PAGE);
	send_and_finish(&heard[1], scene.buffer + PAGE, PAGE);
	listen_to_stderr();
	poke(scene.buffer + PAGE + 300);
	if (!_i)
		prove();
	line = line_said();
	ck_assert_ptr_eq(strstr(line, "zcreq guard: memory in flight "), line);
	ck_assert_ptr_nonnull(strstr(line, _i ? " byte 300 of 4096" : " byte 256 of 4096"));
	ck_assert_int_eq(line[strlen(line) - 1], '\n');
	/* an instruction, and the way to it */
	line = line_said();
	ck_assert(!*line == !_i);
	while (*line && !strstr(line, "check_asked"))
		line = line_said();
	ck_assert(!*line == !_i);
	ck_assert_int_eq(zcreq_guard_reports(scene.context), 1);
	prove();
	close_scene();
}
END_TEST

/* ---- the environment ---- */

static const struct {
	const char *words;
	int reports; /* of a context, or the error */
	bool protects, continues;
	const char *unknown;
} environments[] = {
	{"", -ENOENT, false, false, NULL},
	{"checksum", 0, false, false, NULL},
	{"protect", 0, true, false, NULL},
	{"protect,continue", 0, true, true, NULL},
	{"continue,protect,checksum,", 0, true, true, NULL},
	{"continue", 0, false, true, NULL},
	{"checksum,nonsense", -ENOENT, false, false, "nonsense"},
	{"no,checksum", -ENOENT, false, false, "no"},
	{"checksu", -ENOENT, false, false, "checksu"},
	{"protect,checksums", -ENOENT, false, false, "checksums"},
	{",protect", -ENOENT, false, false, ""},
};

/* A context that is guarded as the environment says. */
static struct zcreq_context *environments_context(struct counting *memory)
{
	struct zcreq_context *context = counting_context(memory, 0);

	ck_assert_int_eq(zcreq_guard_attach(context, NULL), 0);
	return context;
}

static const struct sigaction *action_of(struct sigaction *now)
{
	ck_assert_int_eq(sigaction(SIGSEGV, NULL, now), 0);
	return now;
}

START_TEST(the_environment_asks_for_a_guard)
{
	struct sigaction before, now;
	struct counting memory;
	struct zcreq_context *context;
	char words[80] = "";

	action_of(&before);
	ck_assert_int_eq(setenv("ZCREQ_GUARD", environments[_i].words, 1), 0);
	listen_to_stderr();
	context = environments_context(&memory);
	ck_assert_int_eq(zcreq_guard_reports(context), environments[_i].reports);
	ck_assert((action_of(&now)->sa_sigaction != before.sa_sigaction) ==
		  environments[_i].protects);
	if (environments[_i].unknown)
		snprintf(words, sizeof(words), "zcreq guard: ZCREQ_GUARD: what is \"%s\"?\n",
			 environments[_i].unknown);
	ck_assert_str_eq(line_said(), words);
	counting_end(&memory, context);
}
END_TEST

START_TEST(without_the_environment_there_is_no_guard)
{
	struct counting memory;
	struct zcreq_context *context;

	ck_assert_int_eq(unsetenv("ZCREQ_GUARD"), 0);
	context = environments_context(&memory);
	ck_assert_int_eq(zcreq_guard_reports(context), -ENOENT);
	counting_end(&memory, context);
}
END_TEST

/* A report ends the program unless it is to go on. */
START_TEST(the_environments_guard_does_what_its_words_say)
{
	struct heard heard = {0};

	open_scene(0);
	close_scene();
	ck_assert_int_eq(setenv("ZCREQ_GUARD", environments[_i].words, 1), 0);
	scene.context = environments_context(&scene.memory);
	scene.conn = stub_open(&scene.stub, scene.context, NULL, NULL);
	send_and_finish(&heard, scene.buffer + 1, 100);
	poke(scene.buffer + 1);
	signal(SIGABRT, environments[_i].continues ? SIG_DFL : exit_well);
	prove();
	ck_assert_int_eq(zcreq_guard_reports(scene.context), 1);
	exit(environments[_i].continues ? 7 : 1);
}
END_TEST

/* ---- options ---- */

START_TEST(bad_options_are_refused)
{
	struct zcreq_guard_options guard = {.size = sizeof(guard), .flags = 4};
	struct counting memory;
	struct zcreq_context *context = counting_context(&memory, 0);

	ck_assert_int_eq(zcreq_guard_attach(context, &guard), -EINVAL);
	guard.flags = 0;
	guard.size = 1;
	ck_assert_int_eq(zcreq_guard_attach(context, &guard), -EINVAL);
	guard.size = sizeof(guard);
	ck_assert_int_eq(zcreq_guard_attach(NULL, &guard), -EINVAL);
	ck_assert_int_eq(zcreq_guard_attach(NULL, NULL), -EINVAL);
	ck_assert_int_eq(zcreq_guard_reports(NULL), -EINVAL);
	ck_assert_int_eq(zcreq_guard_reports(context), -ENOENT);
	counting_end(&memory, context);
}
END_TEST

/* Of a newer library: what this one does not know has to be zero. */
START_TEST(options_of_a_newer_library)
{
	struct {
		struct zcreq_guard_options guard;
		uint64_t later;
	} options = {.guard.size = sizeof(options), .later = 1};
	struct counting memory;
	struct zcreq_context *context = counting_context(&memory, 0);

	ck_assert_int_eq(zcreq_guard_attach(context, &options.guard), -E2BIG);
	options.later = 0;
	ck_assert_int_eq(zcreq_guard_attach(context, &options.guard), 0);
	ck_assert_int_eq(zcreq_guard_reports(context), 0);
	counting_end(&memory, context);
}
END_TEST

/* What a second guard asks for is not looked at, the environment's neither. */
START_TEST(a_context_has_one_guard)
{
	static const struct zcreq_guard_options second = {
		.size = sizeof(second), .flags = ZCREQ_GUARD_PROTECT,
	};
	struct sigaction before, now;

	open_scene(0);
	action_of(&before);
	ck_assert_int_eq(setenv("ZCREQ_GUARD", "protect", 1), 0);
	ck_assert_int_eq(zcreq_guard_attach(scene.context, &second), -EALREADY);
	ck_assert_int_eq(zcreq_guard_attach(scene.context, NULL), -EALREADY);
	ck_assert(action_of(&now)->sa_sigaction == before.sa_sigaction);
	ck_assert_int_eq(unsetenv("ZCREQ_GUARD"), 0);
	ck_assert_int_eq(zcreq_guard_attach(scene.context, NULL), 0); /* nothing is asked for */
	close_scene();
}
END_TEST

/* It would know a part of what is in flight only. */
START_TEST(a_context_with_connections_gets_no_guard)
{
	static const struct zcreq_guard_options guard = {.size = sizeof(guard)};
	struct counting memory;
	struct zcreq_context *context = counting_context(&memory, 0);
	struct stub stub;
	struct zcreq_conn *conn;

	stub_init(&stub);
	conn = stub_open(&stub, context, NULL, NULL);
	ck_assert_int_eq(zcreq_guard_attach(context, &guard), -EBUSY);
	ck_assert_int_eq(zcreq_guard_reports(context), -ENOENT);
	zcreq_conn_free(conn);
	zcreq_turn(context, 0);
	ck_assert_int_eq(zcreq_guard_attach(context, &guard), 0);
	counting_end(&memory, context);
}
END_TEST

/* ---- no memory ---- */

/* Makes a guarded context, of which the @n-th allocation fails: it, or an error. */
static int make_guarded(struct counting *memory, unsigned n, struct zcreq_context **context)
{
	static const struct zcreq_guard_options guard = {
		.size = sizeof(guard), .flags = ZCREQ_GUARD_PROTECT,
	};
	const struct zcreq_context_options options = {
		.size = sizeof(options), .allocator = &memory->allocator,
	};
	int ret;

	counting_init(memory);
	memory->fail_at = n;
	ret = zcreq_context_new(&options, context);
	if (ret)
		return ret;
	ret = zcreq_guard_attach(*context, &guard);
	if (ret) {
		ck_assert_int_eq(zcreq_guard_reports(*context), -ENOENT);
		ck_assert_int_eq(zcreq_context_free(*context), 0);
	}
	return ret;
}

START_TEST(without_memory_there_is_no_context)
{
	struct counting memory;
	struct zcreq_context *context = NULL;
	struct sigaction before, now;
	int ret = -ENOMEM;

	action_of(&before);
	for (unsigned n = 1; ret; n++) {
		ret = make_guarded(&memory, n, &context);
		if (ret) {
			ck_assert_int_eq(ret, -ENOMEM);
			ck_assert_int_eq(memory.live, 0);
			ck_assert(action_of(&now)->sa_sigaction == before.sa_sigaction);
		} else {
			ck_assert_uint_ge(n, 3); /* it has parts */
		}
	}
	counting_end(&memory, context);
}
END_TEST

START_TEST(a_send_without_memory_to_watch_it_is_sent_and_said)
{
	struct heard heard[2] = {{0}};
	char words[200];

	open_scene(0);
	send_and_finish(&heard[0], scene.buffer, PAGE); /* tables and rings are there now */
	scene.memory.fail_at = scene.memory.calls + 1;
	send_and_finish(&heard[1], scene.buffer, PAGE);
	ck_assert_uint_eq(scene.found.count, 1);
	ck_assert_int_eq(scene.found.last.crime, ZCREQ_GUARD_BLIND);
	ck_assert_ptr_eq(scene.found.last.conn, scene.conn);
	ck_assert_int_eq(scene.found.last.fd, STUB_FD);
	ck_assert(scene.found.last.id.bits == heard[1].id.bits);
	ck_assert_uint_eq(scene.found.last.send, 1);
	snprintf(words, sizeof(words),
		 "zcreq guard: no memory to watch this send: request %016llx, send 1 on "
		 "descriptor %d", (unsigned long long)heard[1].id.bits, STUB_FD);
	ck_assert_str_eq(scene.found.text, words);
	ck_assert_int_eq(zcreq_guard_reports(scene.context), 0);
	poke(scene.buffer); /* the first hears of it, the second is not watched */
	prove();
	ck_assert_uint_eq(scene.found.count, 2);
	ck_assert(scene.found.last.id.bits == heard[0].id.bits);
	close_scene();
}
END_TEST

/* Whichever allocation of the first send fails: refused, or said, or nothing. */
START_TEST(every_allocation_of_a_guarded_send)
{
	unsigned said_blind = 0;
	bool failed = true;

	for (unsigned n = 1; failed; n++) {
		struct iovec page;
		struct heard heard = {0};
		int ret;

		open_scene(ZCREQ_GUARD_PROTECT);
		scene.buffer[0] = 'x'; /* as can_write() leaves it */
		heard_begin(scene.conn, &heard);
		page = (struct iovec){scene.buffer, PAGE};
		scene.memory.fail_at = scene.memory.calls + n;
		ret = zcreq_add(scene.context, heard.id,
				&page, 1, 0);
		ck_assert(ret == 0 || (ret == -ENOMEM && scene.memory.failed));
		ck_assert(can_write(scene.buffer) == (ret || scene.found.count));
		zcreq_turn(scene.context, 0);
		failed = scene.memory.failed;
		said_blind += scene.found.count;
		ck_assert_int_eq(zcreq_finish(scene.context, heard.id, 0), 0);
		prove();
		zcreq_turn(scene.context, 0);
		ck_assert_uint_eq(heard.released, 1);
		close_scene();
	}
	ck_assert_uint_eq(said_blind, 3); /* what is kept of it, and the two parts of the table */
}
END_TEST

int main(void)
{
	Suite *s = suite_create("guard_asked");
	TCase *reports = tcase_create("reports"), *environment = tcase_create("environment");
	TCase *options = tcase_create("options"), *memory = tcase_create("memory");

	if (emulated_memory())
		return 77;
	tcase_add_exit_test(reports, without_continue_a_report_aborts, 7);
	tcase_add_loop_test(reports, without_a_callback_reports_go_to_stderr, 0, 2);
	suite_add_tcase(s, reports);

	tcase_add_loop_test(environment, the_environment_asks_for_a_guard, 0, COUNT(environments));
	tcase_add_test(environment, without_the_environment_there_is_no_guard);
	tcase_add_loop_exit_test(environment, the_environments_guard_does_what_its_words_say, 7, 1,
				 6);
	suite_add_tcase(s, environment);

	tcase_add_test(options, bad_options_are_refused);
	tcase_add_test(options, options_of_a_newer_library);
	tcase_add_test(options, a_context_has_one_guard);
	tcase_add_test(options, a_context_with_connections_gets_no_guard);
	suite_add_tcase(s, options);

	tcase_add_test(memory, without_memory_there_is_no_context);
	tcase_add_test(memory, a_send_without_memory_to_watch_it_is_sent_and_said);
	tcase_add_test(memory, every_allocation_of_a_guarded_send);
	suite_add_tcase(s, memory);
	return suite_run(s);
}
