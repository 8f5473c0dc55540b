/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_calls.c - calls from elsewhere, and on connections that were freed
 *
 * Each call of the interface is made where it must not be, and found once; and each way in
 * which it may be made from there is none.
 */
#include "support/suite.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard/guard_scene.h"
#include "support/emulated.h"

/* As in check_signals.c. */
static pid_t (*const volatile fork_itself)(void) = fork;

static struct heard heard, more_heard, sent_heard;
static struct zcreq_conn *made;
static zcreq_hold hold, more_hold;
static char text[4096];

static const struct iovec iov = {text, 100};

/* ---- what is called ---- */

static void turn(void)
{
	zcreq_turn(scene.context, 0);
}

static void context_fd(void)
{
	ck_assert_int_ge(zcreq_context_fd(scene.context), 0);
}

static void context_stats(void)
{
	struct zcreq_stats stats;

	ck_assert_int_eq(zcreq_context_stats(scene.context, &stats, sizeof(stats)), 0);
}

static void context_explain(void)
{
	ck_assert_int_gt(zcreq_context_explain(scene.context, ZCREQ_TEXT, text, sizeof(text)), 0);
}

static void request_explain(void)
{
	(void)!zcreq_request_explain(scene.context, heard.id, ZCREQ_TEXT, text, sizeof(text));
}

static void request_state(void)
{
	(void)!zcreq_request_state(scene.context, heard.id);
}

static void begin(void)
{
	(void)!zcreq_begin(scene.conn, &heard_ops, &more_heard, 0, &more_heard.id);
}

static void one_send(void)
{
	(void)!zcreq_send(scene.conn, &heard_ops, &sent_heard, &iov, 1, 0, &sent_heard.id);
}

static void add(void)
{
	(void)!zcreq_add(scene.context, heard.id, &iov, 1, 0);
}

static void finish(void)
{
	(void)!zcreq_finish(scene.context, heard.id, 0);
}

static void take(void)
{
	(void)!zcreq_take(scene.context, heard.id, &more_hold);
}

static void drop(void)
{
	(void)!zcreq_drop(scene.context, hold, 0);
}

static void abort_request(void)
{
	(void)!zcreq_abort(scene.context, heard.id, -EIO);
}

static void conn_open(void)
{
	ck_assert_int_eq(zcreq_conn_open(scene.context, NULL, &made), 0);
}

static void stream_open(void)
{
	struct zcreq_stream_options options = {.size = sizeof(options), .fd = -1};

	ck_assert_int_lt(zcreq_stream_open(scene.context, &options, &made), 0);
}

static void conn_write(void)
{
	(void)!zcreq_write(scene.conn, "x", 1);
}

static void events(void)
{
	zcreq_events(scene.conn);
}

static void process(void)
{
	(void)!zcreq_process(scene.conn, POLLOUT);
}

static void reading(void)
{
	(void)!zcreq_stream_reading(scene.conn, false);
}

static void conn_end(void)
{
	zcreq_conn_end(scene.conn);
}

static void drain(void)
{
	zcreq_conn_drain(scene.conn, 1000);
}

static void conn_abort(void)
{
	zcreq_conn_abort(scene.conn, -EIO);
}

static void conn_free(void)
{
	zcreq_conn_free(scene.conn);
}

static void conn_state(void)
{
	ck_assert_int_gt(zcreq_conn_state(scene.conn), 0);
}

static void conn_cause(void)
{
	ck_assert_int_gt(zcreq_conn_cause(scene.conn), 0);
}

static void conn_arg(void)
{
	ck_assert_ptr_null(zcreq_conn_arg(scene.conn));
}

static void conn_context(void)
{
	ck_assert_ptr_eq(zcreq_conn_context(scene.conn), scene.context);
}

static void conn_stats(void)
{
	struct zcreq_stats stats;

	ck_assert_int_eq(zcreq_conn_stats(scene.conn, &stats, sizeof(stats)), 0);
}

static void conn_explain(void)
{
	ck_assert_int_gt(zcreq_conn_explain(scene.conn, ZCREQ_TEXT, text, sizeof(text)), 0);
}

static void stream_fd(void)
{
	(void)!zcreq_stream_fd(scene.conn);
}

/* On whose account is it? And of a connection: may it be looked at until it is gone? */
enum account { CONTEXTS, CONNS, LOOKS };

static const struct {
	void (*call)(void);
	enum account account;
} deeds[] = {
	{turn, CONTEXTS}, {context_fd, CONTEXTS}, {context_stats, CONTEXTS},
	{context_explain, CONTEXTS}, {request_explain, CONTEXTS}, {request_state, CONTEXTS},
	{add, CONTEXTS}, {finish, CONTEXTS}, {take, CONTEXTS}, {drop, CONTEXTS},
	{abort_request, CONTEXTS}, {conn_open, CONTEXTS}, {stream_open, CONTEXTS},
	{begin, CONNS}, {one_send, CONNS}, {conn_write, CONNS}, {events, CONNS},
	{process, CONNS}, {reading, CONNS}, {conn_end, CONNS}, {drain, CONNS},
	{conn_abort, CONNS}, {conn_free, CONNS},
	{conn_state, LOOKS}, {conn_cause, LOOKS}, {conn_arg, LOOKS}, {conn_context, LOOKS},
	{conn_stats, LOOKS}, {conn_explain, LOOKS}, {stream_fd, LOOKS},
};

#define DEEDS (int)COUNT(deeds)

/* ---- scenes ---- */

/* A context that has had its turn, with a request that has a hold. */
static void open_busy_scene(void)
{
	open_scene(0);
	heard_begin(scene.conn, &heard);
	hold = heard_take(scene.context, &heard);
	zcreq_turn(scene.context, 0);
}

/* Everything is given back, whatever has become of it. */
static void close_busy_scene(void)
{
	zcreq_conn_free(made);
	if (zcreq_conn_state(scene.conn) < ZCREQ_CONN_CLOSED)
		zcreq_conn_abort(scene.conn, -EIO);
	(void)!zcreq_drop(scene.context, hold, 0);
	if (more_hold.bits)
		(void)!zcreq_drop(scene.context, more_hold, 0);
	(void)!zcreq_finish(scene.context, heard.id, 0);
	if (more_heard.id.bits)
		(void)!zcreq_finish(scene.context, more_heard.id, 0);
	zcreq_turn(scene.context, 0);
	ck_assert_uint_eq(heard.released, 1);
}

static void *do_deed(void *arg)
{
	deeds[*(int *)arg].call();
	return NULL;
}

static void do_in_a_thread(int deed)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, do_deed, &deed), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

/* ---- threads ---- */

START_TEST(a_call_from_another_thread_is_reported_once)
{
	char words[200];

	open_busy_scene();
	do_in_a_thread(_i);
	ck_assert_uint_eq(scene.found.count, 1);
	ck_assert_int_eq(scene.found.last.crime, ZCREQ_GUARD_THREAD);
	ck_assert(!scene.found.last.conn || scene.found.last.conn == scene.conn);
	ck_assert_int_eq(scene.found.last.fd, -1);
	ck_assert(scene.found.last.id.bits == 0);
	snprintf(words, sizeof(words), ", the context is thread %d's", getpid());
	ck_assert_ptr_nonnull(strstr(scene.found.text, "zcreq guard: a call from a thread that "
						       "does not have the context: thread "));
	ck_assert_ptr_nonnull(strstr(scene.found.text, words));
	/* its own thread goes on, and is not to blame */
	if (deeds[_i].call != conn_free)
		close_busy_scene();
	ck_assert_uint_eq(scene.found.count, 1);
}
END_TEST

static void *do_two(void *arg)
{
	(void)arg;
	context_stats();
	conn_state();
	return NULL;
}

/* The same thread is told of once, and each of two. */
START_TEST(each_thread_is_reported_once)
{
	pthread_t thread;

	open_busy_scene();
	for (unsigned i = 1; i <= 2; i++) {
		ck_assert_int_eq(pthread_create(&thread, NULL, do_two, NULL), 0);
		ck_assert_int_eq(pthread_join(thread, NULL), 0);
		ck_assert_uint_eq(scene.found.count, i);
	}
	ck_assert_int_eq(zcreq_guard_reports(scene.context), 2);
	close_busy_scene();
	close_scene();
}
END_TEST

/* Until the first turn, whoever sets it up; then by the two calls that are for that. */
START_TEST(other_threads_may_set_up_and_post)
{
	open_scene(0);
	do_in_a_thread(_i); /* makes the first turn, if it is that: then this one has lost it */
	ck_assert_uint_eq(scene.found.count, 0);
}
END_TEST

static void *post_the_drop(void *arg)
{
	(void)arg;
	ck_assert_int_eq(zcreq_post_drop(scene.context, hold, 0), 0);
	return NULL;
}

START_TEST(a_posted_drop_is_no_crime)
{
	pthread_t thread;

	open_busy_scene();
	ck_assert_int_eq(zcreq_threads_open(scene.context, 0), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, post_the_drop, NULL), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(zcreq_finish(scene.context, heard.id, 0), 0);
	zcreq_turn(scene.context, 0);
	ck_assert_uint_eq(heard.released, 1);
	close_scene();
	ck_assert_uint_eq(scene.found.count, 0);
}
END_TEST

static void *adopt_and_call(void *arg)
{
	zcreq_guard_adopt(scene.context);
	for (int i = 0; i < DEEDS; i++) {
		if (deeds[i].call != conn_free)
			deeds[i].call();
	}
	return arg;
}

START_TEST(a_context_may_be_handed_over)
{
	pthread_t thread;

	zcreq_guard_adopt(NULL);
	open_busy_scene();
	ck_assert_int_eq(pthread_create(&thread, NULL, adopt_and_call, NULL), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_eq(scene.found.count, 0);
	conn_state(); /* this thread has it no longer */
	ck_assert_uint_eq(scene.found.count, 1);
	zcreq_guard_adopt(scene.context);
	close_busy_scene();
	close_scene();
	ck_assert_uint_eq(scene.found.count, 1);
}
END_TEST

START_TEST(a_context_without_a_guard_may_be_handed_over)
{
	struct counting memory;
	struct zcreq_context *context = counting_context(&memory, 0);

	zcreq_guard_adopt(context);
	ck_assert_int_eq(zcreq_guard_reports(context), -ENOENT);
	counting_end(&memory, context);
}
END_TEST

/* ---- processes ---- */

/* What the child's guard has found, as its status; a child of its own says nothing new. */
static int status_of_child(void (*child)(int), int arg)
{
	int status;
	pid_t pid = fork_itself();

	if (!pid)
		child(arg);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void do_twice(int deed)
{
	char words[200];

	deeds[deed].call();
	conn_state();
	snprintf(words, sizeof(words),
		 "zcreq guard: a call in a child of the process that has the context: process %d "
		 "calls, the context is process %d's", getpid(), getppid());
	if (strcmp(scene.found.text, words) != 0 ||
	    scene.found.last.crime != ZCREQ_GUARD_PROCESS || scene.found.last.fd != -1)
		exit(99);
	exit((int)scene.found.count);
}

START_TEST(a_call_in_a_child_is_reported_once)
{
	open_busy_scene();
	ck_assert_int_eq(status_of_child(do_twice, _i), 1);
	ck_assert_uint_eq(scene.found.count, 0);
	close_busy_scene();
	close_scene();
	ck_assert_uint_eq(scene.found.count, 0);
}
END_TEST

static void adopt_and_end(int arg)
{
	if (arg)
		zcreq_guard_adopt(scene.context);
	close_busy_scene();
	close_scene();
	exit((int)scene.found.count);
}

/* With a word, or before the first turn. */
START_TEST(a_child_may_go_on_alone)
{
	if (_i) {
		open_busy_scene();
	} else {
		open_scene(0);
		heard_begin(scene.conn, &heard);
		hold = heard_take(scene.context, &heard);
	}
	ck_assert_int_eq(status_of_child(adopt_and_end, _i), 0);
}
END_TEST

/* ---- connections that were freed ---- */

#define FIRST_OF_CONNS 13

static void check_freed(const char *how)
{
	char words[200];

	ck_assert_uint_eq(scene.found.count, 1);
	ck_assert_int_eq(scene.found.last.crime, ZCREQ_GUARD_FREED);
	ck_assert_ptr_eq(scene.found.last.conn, scene.conn);
	ck_assert_int_eq(scene.found.last.fd, -1);
	snprintf(words, sizeof(words),
		 "zcreq guard: a connection is used after it was freed: connection %p, %s",
		 (void *)scene.conn, how);
	ck_assert_str_eq(scene.found.text, words);
}

/* It is gone; what its memory would be by now, nobody knows. */
START_TEST(a_call_on_a_connection_that_is_gone_is_reported_once)
{
	open_scene(0);
	zcreq_conn_free(scene.conn);
	zcreq_turn(scene.context, 0);
	ck_assert_uint_eq(stats_of(scene.context).connections_now, 0);
	deeds[_i].call();
	check_freed("which is gone");
	deeds[_i].call();
	ck_assert_uint_eq(scene.found.count, 1);
	zcreq_turn(scene.context, 0);
	counting_end(&scene.memory, scene.context);
}
END_TEST

/* The kernel still has something: it may be looked at, and no more. */
START_TEST(a_call_on_a_connection_that_was_freed_is_reported_once)
{
	open_scene(0);
	scene.stub.keeps = true;
	send_and_finish(&heard, scene.buffer, PAGE);
	zcreq_conn_free(scene.conn);
	deeds[_i].call();
	if (deeds[_i].account == LOOKS)
		ck_assert_uint_eq(scene.found.count, 0);
	else
		check_freed("which has yet to close");
	stub_prove_all(&scene.stub);
	zcreq_turn(scene.context, 10000000000);
	ck_assert_uint_eq(heard.released, 1);
	zcreq_turn(scene.context, 10000000000);
	counting_end(&scene.memory, scene.context);
	ck_assert_uint_eq(scene.found.count, deeds[_i].account != LOOKS);
}
END_TEST

/* A program that opens and frees for ever: no more than 256 are kept, and one at the place
 * of another is not taken for it. */
START_TEST(memory_is_kept_for_a_while)
{
	struct zcreq_conn *lingers;
	long live;

	open_scene(0);
	zcreq_turn(scene.context, 0);
	/* one that is not gone is passed over */
	ck_assert_int_eq(zcreq_conn_open(scene.context, NULL, &lingers), 0);
	heard_begin(lingers, &heard);
	zcreq_conn_free(lingers);
	live = scene.memory.live;
	for (unsigned i = 1; i <= 700; i++) {
		struct zcreq_conn *conn;

		ck_assert_int_eq(zcreq_conn_open(scene.context, NULL, &conn), 0);
		ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_OPEN);
		zcreq_conn_free(conn);
		zcreq_turn(scene.context, 0);
		ck_assert_int_eq(scene.memory.live, live + (long)(i < 256 ? i : 256) * 2);
	}
	ck_assert_int_eq(zcreq_finish(scene.context, heard.id, 0), 0);
	close_scene();
	ck_assert_uint_eq(scene.found.count, 0);
}
END_TEST

/* Not kept, and not known: then it is freed as it would be without a guard. */
START_TEST(without_memory_a_connection_is_freed_as_ever)
{
	long live;

	open_scene(0);
	live = scene.memory.live;
	scene.memory.fail_at = scene.memory.calls + 1;
	zcreq_conn_free(scene.conn);
	ck_assert_uint_eq(scene.memory.failed, 1);
	zcreq_turn(scene.context, 0);
	ck_assert_int_lt(scene.memory.live, live);
	counting_end(&scene.memory, scene.context);
	ck_assert_uint_eq(scene.found.count, 0);
}
END_TEST

/* ---- the end of the program ---- */

static void exit_well(int number)
{
	exit(number == SIGABRT ? 7 : 1);
}

enum last { IN_A_THREAD, ON_A_FREED, LASTS };

START_TEST(without_continue_a_call_aborts)
{
	open_scene_that_aborts(0);
	zcreq_turn(scene.context, 0);
	signal(SIGABRT, exit_well);
	if (_i == IN_A_THREAD)
		do_in_a_thread(0);
	zcreq_conn_free(scene.conn);
	zcreq_conn_free(scene.conn);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("guard_calls");
	TCase *threads = tcase_create("threads"), *processes = tcase_create("processes");
	TCase *freed = tcase_create("freed"), *ends = tcase_create("ends");

	if (emulated_memory())
		return 77;
	tcase_add_loop_test(threads, a_call_from_another_thread_is_reported_once, 0, DEEDS);
	tcase_add_test(threads, each_thread_is_reported_once);
	tcase_add_loop_test(threads, other_threads_may_set_up_and_post, 0, DEEDS);
	tcase_add_test(threads, a_posted_drop_is_no_crime);
	tcase_add_test(threads, a_context_may_be_handed_over);
	tcase_add_test(threads, a_context_without_a_guard_may_be_handed_over);
	suite_add_tcase(s, threads);

	tcase_add_loop_test(processes, a_call_in_a_child_is_reported_once, 0, DEEDS);
	tcase_add_loop_test(processes, a_child_may_go_on_alone, 0, 2);
	suite_add_tcase(s, processes);

	tcase_add_loop_test(freed, a_call_on_a_connection_that_is_gone_is_reported_once,
			    FIRST_OF_CONNS, DEEDS);
	tcase_add_loop_test(freed, a_call_on_a_connection_that_was_freed_is_reported_once,
			    FIRST_OF_CONNS, DEEDS);
	tcase_add_test(freed, memory_is_kept_for_a_while);
	tcase_add_test(freed, without_memory_a_connection_is_freed_as_ever);
	suite_add_tcase(s, freed);

	tcase_add_loop_exit_test(ends, without_continue_a_call_aborts, 7, 0, LASTS);
	suite_add_tcase(s, ends);
	return suite_run(s);
}
