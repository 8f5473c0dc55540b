/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_poller.c - one descriptor for any loop: readable when a turn has something to do
 *
 * On real sockets of the loopback. The loop is the one that context.h prints: it sleeps for
 * exactly as long as it was told, and one that sleeps without an end, though there is
 * something to do, fails the test. So does one that does not sleep.
 */
#include "support/suite.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stream/poller_scene.h"
#include "support/emulated.h"

/* ---- when it is readable -------------------------------------------------------- */

START_TEST(streams_threads_and_sources_wake_whenever_it_was_asked_for)
{
	struct tick source = {.fd = eventfd(0, EFD_NONBLOCK)};
	struct call call = {.call.run = called};
	bool before = _i / WAITS;

	if (before)
		wait_by(_i % WAITS);
	open_end(&ends[0], &reads_all);
	ck_assert_int_eq(zcreq_threads_open(context, 0), 0);
	ck_assert_int_eq(zcreq_source_add(context, tick_source(&source)), 0);
	if (!before)
		wait_by(_i % WAITS);
	loop_until_quiet();
	ck_assert_int_eq(write(ends[0].peer, "x", 1), 1);
	loop_until(&ends[0].readable, 1);
	loop_until_quiet();
	ck_assert_int_eq(zcreq_post(context, &call.call), 0);
	loop_until(&call.calls, 1);
	loop_until_quiet();
	ck_assert_int_eq(eventfd_write(source.fd, 1), 0);
	loop_until(&source.ticks, 1);
	loop_until_quiet();
	ck_assert_int_eq(zcreq_source_remove(context, &source.source), 0);
	/* a source that has gone wakes nobody */
	ck_assert_int_eq(eventfd_write(source.fd, 1), 0);
	ck_assert(!due());
	close(source.fd);
}
END_TEST

START_TEST(it_is_readable_when_a_turn_has_something_to_do_and_not_otherwise)
{
	wait_by(_i);
	open_end(&ends[0], NULL);
	loop_until_quiet();
	ends[0].reader = true;
	send_from(&ends[0], 65536);
	loop_until(&ends[0].released, 1);
	loop_until_quiet();
	ck_assert_uint_eq(stats_of(context).proved_notified, 1);
}
END_TEST

START_TEST(room_is_waited_for_only_while_something_waits)
{
	wait_by(_i);
	open_end(&ends[0], NULL);
	loop_until_quiet();
	ck_assert_int_eq(ends[0].conn->told_events, POLLERR);
	send_from(&ends[0], sizeof(big));
	loop_until_quiet();
	ck_assert_int_eq(ends[0].conn->told_events, POLLERR | POLLOUT);
	ends[0].reader = true;
	loop_until(&ends[0].released, 1);
	loop_until_quiet();
	ck_assert_int_eq(ends[0].conn->told_events, POLLERR);
}
END_TEST

/* More than one call of epoll_wait(2) tells of. */
START_TEST(all_that_is_ready_is_served_in_one_turn)
{
	static struct end many[150];
	unsigned served = 0;

	wait_by(WAIT_POLL);
	for (unsigned i = 0; i < COUNT(many); i++) {
		open_end(&many[i], &reads_all);
		ck_assert_int_eq(write(many[i].peer, "x", 1), 1);
	}
	zcreq_turn(context, 0);
	zcreq_turn(context, 0);
	for (unsigned i = 0; i < COUNT(many); i++)
		served += many[i].readable;
	ck_assert_uint_eq(served, COUNT(many));
	loop_until_quiet();
	for (unsigned i = 0; i < COUNT(many); i++)
		close_end(&many[i]);
}
END_TEST

/* ---- loops that sleep for ever ---------------------------------------------------- */

START_TEST(a_loop_as_printed_does_not_sleep_on_what_was_queued_before_it)
{
	wait_by(_i % WAITS);
	stall_ms = _i / WAITS ? 500 : 0;
	open_end(&ends[0], NULL);
	ends[0].reader = true;
	send_from(&ends[0], 1000);
	loop_until(&ends[0].released, 1);
	loop_until_quiet();
}
END_TEST

START_TEST(a_loop_as_printed_does_not_sleep_on_what_a_callback_has_queued)
{
	wait_by(_i % WAITS);
	stall_ms = _i / WAITS ? 500 : 0;
	open_end(&ends[0], NULL);
	ends[0].reader = true;
	ends[0].again = 3;
	send_from(&ends[0], 1000);
	loop_until(&ends[0].released, 4);
	loop_until_quiet();
	ck_assert_uint_eq(ends[0].released, 4);
}
END_TEST

/* ---- loops that do not sleep ------------------------------------------------------- */

START_TEST(an_error_of_the_socket_with_nothing_in_its_queue_ends_it_once)
{
	wait_by(_i);
	open_end(&ends[0], NULL);
	loop_until_quiet();
	reset_peer(&ends[0]);
	loop_until(&ends[0].closed, 1);
	ck_assert_int_eq(ends[0].status, -ECONNRESET);
	loop_until_quiet();
	ck_assert_uint_le(turns, 6);
}
END_TEST

/* The kernel says POLLHUP without end, and somebody still has the request. */
START_TEST(an_abort_that_waits_for_an_owner_does_not_spin)
{
	zcreq_hold hold;
	zcreq_id id;

	wait_by(_i);
	open_end(&ends[0], &reads_all);
	ck_assert_int_eq(zcreq_begin(ends[0].conn, &released_only, &ends[0], 0, &id), 0);
	ck_assert_int_eq(zcreq_take(context, id, &hold), 0);
	ck_assert_int_eq(zcreq_finish(context, id, 0), 0);
	loop_until_quiet();
	ck_assert_int_eq(write(ends[0].peer, "x", 1), 1);
	ck_assert_int_eq(zcreq_conn_abort(ends[0].conn, -ECANCELED), 0);
	loop_until_quiet();
	ck_assert_uint_eq(ends[0].readable, 1);
	ck_assert_uint_eq(ends[0].closed, 0);
	ck_assert_int_eq(ends[0].conn->told_events, 0);
	ck_assert_int_eq(zcreq_drop(context, hold, 0), 0);
	loop_until(&ends[0].closed, 1);
	loop_until_quiet();
}
END_TEST

START_TEST(a_peer_that_closed_and_a_program_that_does_not_read_do_not_spin)
{
	wait_by(_i % WAITS);
	open_end(&ends[0], _i / WAITS ? &switches_off : NULL);
	loop_until_quiet();
	ck_assert_int_eq(write(ends[0].peer, "xyz", 3), 3);
	ck_assert_int_eq(shutdown(ends[0].peer, SHUT_WR), 0);
	if (_i / WAITS)
		loop_until(&ends[0].readable, 1);
	loop_until_quiet();
	ck_assert_uint_eq(ends[0].readable, _i / WAITS);
	ck_assert_uint_eq(ends[0].closed, 0);
}
END_TEST

/* ---- readable ---------------------------------------------------------------------- */

START_TEST(readable_is_told_again_while_something_is_left)
{
	wait_by(_i);
	open_end(&ends[0], &reads_one);
	ck_assert_int_eq(write(ends[0].peer, "0123456789abcdefghij", 20), 20);
	loop_until(&ends[0].read_bytes, 20);
	loop_until_quiet();
	ck_assert_uint_eq(ends[0].read_bytes, 20);
	ck_assert_uint_le(ends[0].readable, 21);
}
END_TEST

/* The peer has answered and ended before the answer is read, a part at a time: poll(2) says
 * POLLHUP from the beginning. Then nothing is left that would wake anybody. */
START_TEST(an_answer_after_the_end_is_read_to_its_end)
{
	wait_by(_i);
	open_end(&ends[0], &reads_all);
	ck_assert_int_eq(zcreq_conn_end(ends[0].conn), 0);
	loop_until_quiet();
	ck_assert_int_eq(write(ends[0].peer, big, 100000), 100000);
	ck_assert_int_eq(shutdown(ends[0].peer, SHUT_WR), 0);
	loop_until(&ends[0].read_bytes, 100000);
	loop_until_quiet();
	ck_assert_uint_eq(ends[0].read_bytes, 100000);
	ck_assert_int_eq(ends[0].conn->told_events, 0);
	ck_assert_int_eq(zcreq_conn_state(ends[0].conn), ZCREQ_CONN_OPEN);
	ck_assert_int_eq(zcreq_conn_drain(ends[0].conn, 0), 0);
	loop_until(&ends[0].closed, 1);
	ck_assert_int_eq(ends[0].status, 0);
}
END_TEST

START_TEST(readable_is_told_again_when_it_was_off)
{
	wait_by(_i);
	open_end(&ends[0], &reads_all);
	ck_assert_int_eq(zcreq_stream_reading(ends[0].conn, false), 0);
	ck_assert_int_eq(write(ends[0].peer, "x", 1), 1);
	loop_until_quiet();
	ck_assert_int_eq(zcreq_process(ends[0].conn, POLLIN), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(ends[0].readable, 0);
	ck_assert_int_eq(zcreq_stream_reading(ends[0].conn, true), 0);
	loop_until(&ends[0].read_bytes, 1);
	loop_until_quiet();
}
END_TEST

/* Between what was said of the descriptor and the turn that tells of it. @_i 1: after an abort. */
START_TEST(readable_is_not_told_when_it_was_switched_off_meanwhile)
{
	wait_by(WAIT_POLL);
	open_end(&ends[0], &reads_nothing);
	ck_assert_int_eq(zcreq_process(ends[0].conn, POLLIN), 0);
	if (_i)
		ck_assert_int_eq(zcreq_conn_abort(ends[0].conn, -ECANCELED), 0);
	ck_assert_int_eq(zcreq_stream_reading(ends[0].conn, false), 0);
	loop_until_quiet();
	ck_assert_uint_eq(ends[0].readable, 0);
	ck_assert_uint_eq(ends[0].closed, _i);
}
END_TEST

static void read_no_more(struct zcreq_conn *conn, int status, void *arg)
{
	(void)status;
	(void)arg;
	ck_assert_int_eq(zcreq_stream_reading(conn, false), 0);
}

static void read_again(struct zcreq_conn *conn, int status, void *arg)
{
	(void)status;
	(void)arg;
	ck_assert_int_eq(zcreq_stream_reading(conn, true), 0);
}

/* What counts is what was said last, in the abort hook too. */
START_TEST(the_abort_hook_says_whether_readable_follows)
{
	struct zcreq_conn_hooks hooks = reads_nothing;

	hooks.abort = _i ? read_again : read_no_more;
	open_end(&ends[0], &hooks);
	ck_assert_int_eq(zcreq_stream_reading(ends[0].conn, !_i), 0);
	ck_assert_int_eq(zcreq_conn_abort(ends[0].conn, -ECANCELED), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(ends[0].readable, _i);
	close_end(&ends[0]);
}
END_TEST

START_TEST(after_an_abort_readable_is_told_once)
{
	wait_by(_i);
	open_end(&ends[0], &reads_all);
	loop_until_quiet();
	ck_assert_int_eq(zcreq_process(ends[0].conn, POLLIN), 0);
	ck_assert_int_eq(zcreq_conn_abort(ends[0].conn, -ECANCELED), 0);
	ck_assert_int_eq(zcreq_process(ends[0].conn, POLLIN), 0);
	loop_until(&ends[0].closed, 1);
	ck_assert_uint_eq(ends[0].readable, 1);
}
END_TEST

/* What was heard, a letter each; and what a reader was told. */
static char heard_order[8];
static int read_errors[2], read_cause;

static void hear(char letter)
{
	heard_order[strlen(heard_order)] = letter;
}

static void hear_abort(struct zcreq_conn *conn, int status, void *arg)
{
	(void)conn;
	(void)status;
	(void)arg;
	hear('a');
}

static void read_twice(struct zcreq_conn *conn, void *arg)
{
	char byte;

	(void)arg;
	hear('r');
	for (unsigned i = 0; i < 2; i++)
		read_errors[i] = recv(zcreq_stream_fd(conn), &byte, 1, MSG_DONTWAIT) < 0 ? errno : 0;
	read_cause = zcreq_conn_cause(conn);
}

static void hear_closed(struct zcreq_conn *conn, int status, void *arg)
{
	(void)conn;
	(void)status;
	((struct end *)arg)->closed++;
	hear('c');
}

static const struct zcreq_conn_hooks waits_for_data = {
	.abort = hear_abort, .closed = hear_closed, .readable = read_twice,
};

/* A program that waits for data is told with the next turn, however long the end takes: here
 * its own request is not finished. The kernel does not say why; the connection does. */
START_TEST(who_waits_for_data_is_told_of_an_abort)
{
	zcreq_id id;

	wait_by(_i % WAITS);
	open_end(&ends[0], &waits_for_data);
	loop_until_quiet();
	if (_i / WAITS)
		ck_assert_int_eq(zcreq_stream_reading(ends[0].conn, false), 0);
	ck_assert_int_eq(zcreq_begin(ends[0].conn, &released_only, &ends[0], 0, &id), 0);
	ck_assert_int_eq(write(ends[0].peer, "lost", 4), 4);
	ck_assert_int_eq(zcreq_conn_abort(ends[0].conn, -ETIMEDOUT), 0);
	zcreq_turn(context, 0);
	ck_assert_str_eq(heard_order, _i / WAITS ? "a" : "ar");
	ck_assert_int_eq(read_errors[0], _i / WAITS ? 0 : ECONNRESET);
	ck_assert_int_eq(read_errors[1], _i / WAITS ? 0 : ENOTCONN);
	ck_assert_int_eq(read_cause, _i / WAITS ? 0 : ZCREQ_CAUSE_ABORTED);
	ck_assert_int_eq(zcreq_finish(context, id, 0), 0);
	loop_until(&ends[0].closed, 1);
	ck_assert_str_eq(heard_order, _i / WAITS ? "ac" : "arc");
}
END_TEST

/* A program that reads nothing, and does not say so, is told to come back at once. */
START_TEST(a_turn_ends_though_there_is_always_something_to_read)
{
	uint64_t now_ns = 1000;

	wait_by(WAIT_POLL);
	open_end(&ends[0], &reads_nothing);
	ck_assert_int_eq(write(ends[0].peer, "x", 1), 1);
	zcreq_turn(context, now_ns);
	ck_assert_uint_eq(zcreq_turn(context, now_ns), now_ns);
	ck_assert_uint_ge(ends[0].readable, 1);
	ck_assert_uint_le(ends[0].readable, 16);
}
END_TEST

/* ---- what closes -------------------------------------------------------------------- */

START_TEST(a_descriptor_with_a_duplicate_leaves_nothing_behind)
{
	bool first = _i;
	int copy;

	wait_by(WAIT_POLL);
	open_end(&ends[0], &reads_all);
	loop_until_quiet();
	copy = dup(zcreq_stream_fd(ends[0].conn));
	ck_assert_int_ge(copy, 0);
	ck_assert_int_eq(zcreq_conn_abort(ends[0].conn, -ECANCELED), 0);
	if (first)
		loop_until(&ends[0].closed, 1);
	zcreq_conn_free(ends[0].conn);
	ends[0].conn = NULL;
	loop_until_quiet();
	close(ends[0].peer);
	ends[0].peer = -1;
	for (int i = 0; i < 100; i++) {
		ck_assert(!due());
		ck_assert_uint_eq(zcreq_turn(context, 0), ZCREQ_NEVER);
	}
	close(copy);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("poller");
	TCase *cases = tcase_create("loops");

	if (emulated_tcp())
		return 77;
	tcase_set_timeout(cases, 60);
	tcase_add_checked_fixture(cases, poller_setup, poller_teardown);
	tcase_add_loop_test(cases, streams_threads_and_sources_wake_whenever_it_was_asked_for, 0,
			    2 * WAITS);
	tcase_add_loop_test(cases,
			    it_is_readable_when_a_turn_has_something_to_do_and_not_otherwise, 0,
			    WAITS);
	tcase_add_loop_test(cases, room_is_waited_for_only_while_something_waits, 0, WAITS);
	tcase_add_test(cases, all_that_is_ready_is_served_in_one_turn);
	tcase_add_loop_test(cases, a_loop_as_printed_does_not_sleep_on_what_was_queued_before_it,
			    0, 2 * WAITS);
	tcase_add_loop_test(cases, a_loop_as_printed_does_not_sleep_on_what_a_callback_has_queued,
			    0, 2 * WAITS);
	tcase_add_loop_test(cases, an_error_of_the_socket_with_nothing_in_its_queue_ends_it_once,
			    0, WAITS);
	tcase_add_loop_test(cases, an_abort_that_waits_for_an_owner_does_not_spin, 0, WAITS);
	tcase_add_loop_test(cases, a_peer_that_closed_and_a_program_that_does_not_read_do_not_spin,
			    0, 2 * WAITS);
	tcase_add_loop_test(cases, readable_is_told_again_while_something_is_left, 0, WAITS);
	tcase_add_loop_test(cases, an_answer_after_the_end_is_read_to_its_end, 0, WAITS);
	tcase_add_loop_test(cases, readable_is_told_again_when_it_was_off, 0, WAITS);
	tcase_add_loop_test(cases, readable_is_not_told_when_it_was_switched_off_meanwhile, 0, 2);
	tcase_add_loop_test(cases, the_abort_hook_says_whether_readable_follows, 0, 2);
	tcase_add_loop_test(cases, after_an_abort_readable_is_told_once, 0, WAITS);
	tcase_add_loop_test(cases, who_waits_for_data_is_told_of_an_abort, 0, 2 * WAITS);
	tcase_add_test(cases, a_turn_ends_though_there_is_always_something_to_read);
	tcase_add_loop_test(cases, a_descriptor_with_a_duplicate_leaves_nothing_behind, 0, 2);
	suite_add_tcase(suite, cases);
	return suite_run(suite);
}
