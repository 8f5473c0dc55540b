/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_poller_refused.c - where epoll, eventfd or memory refuse
 *
 * The calls are wrapped. What is refused for a stream is tried again after 10 ms, and
 * nobody else waits for it; what is refused to the program leaves nothing behind.
 */
#include "support/suite.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stream/poller_scene.h"
#include "support/emulated.h"
#include "support/stub.h"

#define OTHER_ERRNO 7777
#define SECOND ((uint64_t)1000000000)
#define RETRY (SECOND / 100)

/* ---- calls that fail --------------------------------------------------------------- */

static int refused_fd[2] = {-1, -1}; /* which epoll_ctl() refuses */
static unsigned refusals, calls_until_failure; /* 0: none fails */

int __real_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);
int __real_epoll_create1(int flags);
int __real_eventfd(unsigned count, int flags);
int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);
int __wrap_epoll_create1(int flags);
int __wrap_eventfd(unsigned count, int flags);

static bool fails_now(void)
{
	if (!calls_until_failure || --calls_until_failure)
		return false;
	errno = EMFILE;
	return true;
}

int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
	if (fails_now())
		return -1;
	if (fd == refused_fd[0] || fd == refused_fd[1]) {
		refusals++;
		errno = ENOSPC;
		return -1;
	}
	return __real_epoll_ctl(epoll, op, fd, event);
}

int __wrap_epoll_create1(int flags)
{
	return fails_now() ? -1 : __real_epoll_create1(flags);
}

int __wrap_eventfd(unsigned count, int flags)
{
	return fails_now() ? -1 : __real_eventfd(count, flags);
}

static unsigned open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* ---- a stream that is refused --------------------------------------------------------- */

START_TEST(what_epoll_refuses_is_tried_again_after_ten_milliseconds)
{
	const uint64_t start = 1000 * SECOND;

	wait_by(WAIT_POLL);
	for (int i = 0; i < 3; i++)
		open_end(&ends[i], &reads_all);
	for (int i = 0; i <= _i; i++)
		refused_fd[i] = zcreq_stream_fd(ends[i].conn);
	for (int i = 0; i < 100; i++) {
		errno = OTHER_ERRNO;
		ck_assert_uint_eq(zcreq_turn(context, start + i * RETRY),
				  start + (i + 1) * RETRY);
		ck_assert_int_eq(errno, OTHER_ERRNO);
		/* once for each in a turn */
		ck_assert_uint_eq(refusals, (unsigned)(i + 1) * (unsigned)(_i + 1));
		ck_assert(!due());
	}
	/* others do not wait for it */
	ck_assert_int_eq(write(ends[2].peer, "x", 1), 1);
	ck_assert(due());
	ck_assert_uint_eq(zcreq_turn(context, start + 100 * RETRY), start + 101 * RETRY);
	ck_assert_uint_eq(ends[2].read_bytes, 1);
	refused_fd[0] = refused_fd[1] = -1;
	ck_assert_int_eq(write(ends[0].peer, "x", 1), 1);
	ck_assert_uint_eq(zcreq_turn(context, start + 101 * RETRY), ZCREQ_NEVER);
	ck_assert(due());
	zcreq_turn(context, start + 101 * RETRY);
	ck_assert_uint_eq(ends[0].read_bytes, 1);
}
END_TEST

/* A change, and the end, as the beginning. */
START_TEST(a_change_that_is_refused_is_tried_again)
{
	const uint64_t start = 1000 * SECOND;
	zcreq_hold hold;
	zcreq_id id;

	wait_by(WAIT_POLL);
	open_end(&ends[0], NULL);
	zcreq_turn(context, start);
	ck_assert_int_eq(zcreq_begin(ends[0].conn, &released_only, &ends[0], 0, &id), 0);
	ck_assert_int_eq(zcreq_take(context, id, &hold), 0);
	ck_assert_int_eq(zcreq_finish(context, id, 0), 0);
	refused_fd[0] = zcreq_stream_fd(ends[0].conn);
	if (_i)
		ck_assert_int_eq(zcreq_conn_abort(ends[0].conn, -ECANCELED), 0);
	else
		send_from(&ends[0], sizeof(big));
	ck_assert_uint_le(zcreq_turn(context, start), start + RETRY);
	ck_assert_uint_eq(refusals, 1);
	ck_assert_int_ne(ends[0].conn->told_events, zcreq_events(ends[0].conn));
	refused_fd[0] = -1;
	zcreq_turn(context, start + RETRY);
	ck_assert_int_eq(ends[0].conn->told_events, _i ? 0 : POLLERR | POLLOUT);
	ck_assert_int_eq(zcreq_drop(context, hold, 0), 0);
}
END_TEST

START_TEST(one_that_was_refused_to_the_end_is_closed_as_any_other)
{
	wait_by(WAIT_POLL);
	open_end(&ends[0], NULL);
	refused_fd[0] = zcreq_stream_fd(ends[0].conn);
	zcreq_turn(context, SECOND);
	ck_assert_uint_eq(refusals, 1);
	ck_assert_int_eq(zcreq_conn_abort(ends[0].conn, -ECANCELED), 0);
	ck_assert_uint_eq(zcreq_turn(context, SECOND), ZCREQ_NEVER);
	ck_assert_uint_eq(ends[0].closed, 1);
	ck_assert_uint_eq(refusals, 1); /* it never stood in it */
}
END_TEST

/* ---- a program that is refused --------------------------------------------------------- */

/* All that may be in a context before its descriptor is asked for. */
static struct tick ticks[3];

static void fill(void)
{
	struct zcreq_conn *bare;

	for (unsigned i = 0; i < COUNT(ticks); i++) {
		ticks[i].fd = i ? -ENXIO : __real_eventfd(0, EFD_NONBLOCK);
		ck_assert_int_eq(zcreq_source_add(context, tick_source(&ticks[i])), 0);
	}
	ticks[2].source.fd = NULL;
	open_end(&ends[0], &reads_all);
	open_end(&ends[1], NULL);
	ck_assert_int_eq(zcreq_conn_abort(ends[1].conn, -ECANCELED), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(ends[1].closed, 1); /* it is closed, and not freed */
	ck_assert_int_eq(zcreq_conn_open(context, NULL, &bare), 0);
	ck_assert_int_eq(zcreq_threads_open(context, 0), 0);
	ends[2].conn = bare;
}

static void empty(void)
{
	for (unsigned i = 0; i < COUNT(ticks); i++)
		ck_assert_int_eq(zcreq_source_remove(context, &ticks[i].source), 0);
	close(ticks[0].fd);
}

/* epoll_create1(), the source's and the threads' epoll_ctl(), eventfd() between them. */
#define CALLS_FOR_A_DESCRIPTOR 4

START_TEST(a_call_that_fails_leaves_nothing_behind)
{
	unsigned descriptors;
	long live;

	fill();
	descriptors = open_descriptors();
	live = memory.live;
	errno = OTHER_ERRNO;
	if (_i) {
		calls_until_failure = (unsigned)_i;
		ck_assert_int_eq(zcreq_context_fd(context), -EMFILE);
	} else {
		memory.fail_at = memory.calls + 1;
		ck_assert_int_eq(zcreq_context_fd(context), -ENOMEM);
	}
	ck_assert_uint_eq(calls_until_failure, 0);
	ck_assert_int_eq(errno, OTHER_ERRNO);
	ck_assert_uint_eq(open_descriptors(), descriptors);
	ck_assert_int_eq(memory.live, live);
	ck_assert_ptr_null(context->poller);
	ck_assert_uint_eq(zcreq_turn(context, 0), ZCREQ_NEVER);
	/* and as many calls as are counted here succeed */
	calls_until_failure = CALLS_FOR_A_DESCRIPTOR + 1;
	ck_assert_int_ge(zcreq_context_fd(context), 0);
	ck_assert_uint_eq(calls_until_failure, 1);
	ck_assert_int_eq(errno, OTHER_ERRNO);
	calls_until_failure = 0;
	ck_assert_int_eq(ends[0].conn->watch, ZCREQ_WATCH_CHANGED);
	ck_assert_int_eq(ends[1].conn->watch, ZCREQ_WATCH_NONE);
	ck_assert_int_eq(ends[2].conn->watch, ZCREQ_WATCH_NONE);
	loop_until_quiet();
	ck_assert_int_eq(eventfd_write(ticks[0].fd, 1), 0);
	loop_until(&ticks[0].ticks, 1);
	empty();
}
END_TEST

START_TEST(a_program_without_descriptors_left_is_told)
{
	struct rlimit few, before;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	ck_assert_int_eq(zcreq_context_fd(context), -EMFILE);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert_int_ge(zcreq_context_fd(context), 0);
}
END_TEST

/* Threads that are opened in a context with a descriptor: eventfd(), epoll_ctl(). */
START_TEST(threads_that_cannot_wake_are_not_opened)
{
	unsigned descriptors;
	long live;

	wait_by(WAIT_POLL);
	descriptors = open_descriptors();
	live = memory.live;
	errno = OTHER_ERRNO;
	ck_assert_int_eq(zcreq_threads_open(NULL, 0), -EINVAL);
	ck_assert_int_eq(zcreq_threads_open(context, 1), -EINVAL);
	calls_until_failure = (unsigned)_i;
	if (!_i)
		memory.fail_at = memory.calls + 1;
	ck_assert_int_eq(zcreq_threads_open(context, 0), _i ? -EMFILE : -ENOMEM);
	ck_assert_uint_eq(open_descriptors(), descriptors);
	ck_assert_int_eq(memory.live, live);
	ck_assert_int_eq(zcreq_threads_open(context, 0), 0);
	ck_assert_int_eq(zcreq_threads_open(context, 0), -EALREADY);
	ck_assert_int_eq(errno, OTHER_ERRNO);
}
END_TEST

START_TEST(a_source_that_cannot_wake_takes_no_part)
{
	struct tick broken = {.fd = -EIO}, fine = {.fd = __real_eventfd(0, EFD_NONBLOCK)};
	struct zcreq_source nothing = {0};

	ck_assert_int_eq(zcreq_source_add(context, NULL), -EINVAL);
	ck_assert_int_eq(zcreq_source_add(context, &nothing), -EINVAL);
	ck_assert_int_eq(zcreq_source_remove(context, NULL), -EINVAL);
	ck_assert_int_eq(zcreq_source_remove(context, &nothing), -ENOENT);
	/* nobody asks it before there is a descriptor, and then all is refused */
	ck_assert_int_eq(zcreq_source_add(context, tick_source(&fine)), 0);
	ck_assert_int_eq(zcreq_source_add(context, tick_source(&broken)), 0);
	ck_assert_int_eq(zcreq_context_fd(context), -EIO);
	ck_assert_int_eq(zcreq_source_remove(context, &broken.source), 0);
	ck_assert_int_eq(zcreq_source_remove(context, &fine.source), 0);
	wait_by(WAIT_POLL);
	errno = OTHER_ERRNO;
	ck_assert_int_eq(zcreq_source_add(context, tick_source(&broken)), -EIO);
	ck_assert_int_eq(zcreq_source_remove(context, &broken.source), -ENOENT);
	calls_until_failure = 1;
	ck_assert_int_eq(zcreq_source_add(context, tick_source(&fine)), -EMFILE);
	ck_assert_int_eq(zcreq_source_remove(context, &fine.source), -ENOENT);
	ck_assert_int_eq(zcreq_source_add(context, &fine.source), 0);
	ck_assert_int_eq(zcreq_context_free(context), -EBUSY);
	/* one that nobody can sleep on takes part in each turn */
	broken.fd = -ENXIO;
	ck_assert_int_eq(zcreq_source_add(context, &broken.source), 0);
	ck_assert_int_eq(eventfd_write(fine.fd, 1), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(fine.ticks, 1);
	ck_assert_int_eq(zcreq_source_remove(context, &fine.source), 0);
	ck_assert_int_eq(zcreq_source_remove(context, &broken.source), 0);
	ck_assert_int_eq(errno, OTHER_ERRNO);
	close(fine.fd);
}
END_TEST

static struct stub stub_below;

START_TEST(a_stream_on_functions_of_others_is_not_behind_it)
{
	wait_by(WAIT_POLL);
	stub_init(&stub_below);
	ends[0].conn = stub_open(&stub_below, context, NULL, NULL);
	ck_assert_int_eq(ends[0].conn->watch, ZCREQ_WATCH_NONE);
	ck_assert_uint_eq(zcreq_turn(context, 0), ZCREQ_NEVER);
}
END_TEST

/* A loop that is woken by a signal: nothing is lost, nothing is changed. */
START_TEST(the_descriptor_is_asked_without_touching_errno)
{
	wait_by(WAIT_POLL);
	open_end(&ends[0], &reads_nothing);
	ck_assert_int_eq(zcreq_threads_open(context, 0), 0);
	errno = OTHER_ERRNO;
	zcreq_turn(context, 0);
	zcreq_conn_abort(ends[0].conn, -ECANCELED);
	zcreq_turn(context, 0);
	ck_assert_int_eq(errno, OTHER_ERRNO);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("poller_refused");
	TCase *cases = tcase_create("refused");

	if (emulated_tcp())
		return 77;
	tcase_set_timeout(cases, 60);
	tcase_add_checked_fixture(cases, poller_setup, poller_teardown);
	tcase_add_loop_test(cases, what_epoll_refuses_is_tried_again_after_ten_milliseconds, 0, 2);
	tcase_add_loop_test(cases, a_change_that_is_refused_is_tried_again, 0, 2);
	tcase_add_test(cases, one_that_was_refused_to_the_end_is_closed_as_any_other);
	tcase_add_loop_test(cases, a_call_that_fails_leaves_nothing_behind, 0,
			    CALLS_FOR_A_DESCRIPTOR + 1);
	tcase_add_test(cases, a_program_without_descriptors_left_is_told);
	tcase_add_loop_test(cases, threads_that_cannot_wake_are_not_opened, 0, 3);
	tcase_add_test(cases, a_source_that_cannot_wake_takes_no_part);
	tcase_add_test(cases, a_stream_on_functions_of_others_is_not_behind_it);
	tcase_add_test(cases, the_descriptor_is_asked_without_touching_errno);
	suite_add_tcase(suite, cases);
	return suite_run(suite);
}
