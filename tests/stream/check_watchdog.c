/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_watchdog.c - one look at a connection that has stopped: verdict, and what next
 *
 * The rows are worked out by hand from the text at the top of lib/stream/watchdog.c; at each
 * limit there is one on either side of it. The stub says what TCP_INFO says.
 */
#include "support/suite.h"

#include <errno.h>
#include <poll.h>

#include "stream/watch_scene.h"

static const struct row rows[] = {
	/* all acknowledged: not the peer's fault, however quiet it is */
	{ALL, 0, 0, 9000, 9999, 9999, 0, 0, 200, 0, OK, STALL_MS, 0, 0, 0},
	{ALL, 0, 0, 9000, 300, 9999, 0, 0, 200, 0, OK, STALL_MS - 300, 0, 0, 0},
	{ALL, 0, 0, 0, 9999, 9999, 5, 5, 200, 0, OK, STALL_MS, 0, 0, 0},
	/* window open: quiet for the stall limit is vanished */
	{ALL, 1, 0, MSS, 500, 500, 0, 0, 200, 0, GONE, 0, 2, 0, 0},
	{ALL, 1, 0, MSS, 499, 500, 0, 0, 200, 0, OK, 10, 0, 0, 0},
	{ALL, 1, 0, MSS, 500, 499, 0, 0, 200, 0, OK, 10, 0, 0, 0},
	{ALL, 1, 0, MSS, 490, 500, 0, 0, 200, 0, OK, 10, 0, 0, 0},
	{ALL, 1, 0, MSS, 489, 500, 0, 0, 200, 0, OK, 11, 0, 0, 0},
	{ALL, 1, 0, MSS, 0, 500, 0, 0, 200, 0, OK, STALL_MS, 0, 0, 0},
	/* closed: the window has no room for the next segment, or for all that is left */
	{ALL, 1, 0, MSS - 1, 500, 500, 0, 0, 200, 0, FULL, 25, 0, 0, 0},
	{ALL, 0, 100, 99, 500, 500, 0, 0, 200, 0, FULL, STALL_MS, 0, 0, 0},
	{ALL, 0, 100, 100, 500, 500, 0, 0, 200, 0, DOUBT, 100, 0, 0, 0},
	{ALL, 0, 5000, MSS - 1, 500, 500, 0, 0, 200, 0, FULL, STALL_MS, 0, 0, 0},
	{ALL, 0, 5000, MSS, 500, 500, 0, 0, 200, 0, DOUBT, 100, 0, 0, 0},
	{ALL, 1, 100, 100, 500, 500, 0, 0, 200, 0, FULL, 25, 0, 0, 0},
	{ALL, 0, 100, 0, 499, 500, 1, 1, 200, 0, FULL, 10, 0, 0, 0},
	{ALL, 0, 100, 0, 500, 500, 1, 1, 200, 0, FULL, 25, 0, 0, 0},
	/* closed and asked by probes at 200, 200 + 400, ...: the one that counts left at
	 * 500 or later, and had the round trip and 100 to be answered */
	{ALL, 0, 100, 0, 9999, 9999, 1, 1, 200, 0, FULL, 25, 0, 0, 0},
	{ALL, 0, 100, 0, 699, 9999, 2, 2, 200, 0, FULL, 25, 0, 0, 0},
	{ALL, 0, 100, 0, 700, 9999, 2, 2, 200, 0, GONE, 0, 0, 0, 0},
	{ALL, 0, 100, 0, 699, 9999, 3, 3, 200, 0, FULL, 25, 0, 0, 0},
	{ALL, 0, 100, 0, 700, 9999, 3, 3, 200, 0, GONE, 0, 0, 0, 0},
	{ALL, 0, 100, 0, 699, 9999, 2, 1, 200, 0, FULL, 25, 0, 0, 0},
	{ALL, 0, 100, 0, 700, 9999, 2, 1, 200, 0, GONE, 0, 0, 0, 0},
	{ALL, 0, 100, 0, 599, 9999, 1, 1, 500, 0, FULL, 25, 0, 0, 0},
	{ALL, 0, 100, 0, 600, 9999, 1, 1, 500, 0, GONE, 0, 0, 0, 0},
	{ALL, 0, 100, 0, 9999, 9999, 1, 1, 499, 0, FULL, 25, 0, 0, 0},
	{ALL, 0, 100, 0, 700, 9999, 2, 2, 50, 0, GONE, 0, 0, 0, 0},
	{ALL, 0, 100, 0, 599, 9999, 1, 1, 500, 50, FULL, 25, 0, 0, 0},
	{ALL, 0, 100, 0, 650, 9999, 1, 1, 500, 51, FULL, 25, 0, 0, 0},
	{ALL, 0, 100, 0, 651, 9999, 1, 1, 500, 51, GONE, 0, 0, 0, 0},
	/* backed off further than the probes tell: earlier ones were answered */
	{ALL, 0, 100, 0, 1299, 9999, 2, 3, 200, 0, FULL, 25, 0, 0, 0},
	{ALL, 0, 100, 0, 1300, 9999, 2, 3, 200, 0, GONE, 0, 0, 0, 0},
	{ALL, 0, 100, 0, (200 << 16) + 99, UINT32_MAX, 1, 18, 200, 0, FULL, 25, 0, 0, 0},
	{ALL, 0, 100, 0, (200 << 16) + 100, UINT32_MAX, 1, 18, 200, 0, GONE, 0, 0, 0, 0},
	{ALL, 0, 100, 0, (200 << 15) + 100, UINT32_MAX, 1, 16, 200, 0, GONE, 0, 0, 0, 0},
	/* closed and asked by retransmissions: 500 and one and a half intervals */
	{ALL, 1, 0, 0, 799, 9999, 0, 0, 200, 0, FULL, 25, 0, 0, 0},
	{ALL, 1, 0, 0, 800, 9999, 0, 0, 200, 0, GONE, 0, 0, 0, 0},
	{ALL, 1, 0, 0, 2000, 9999, 0, 0, 1001, 0, FULL, 25, 0, 0, 0},
	{ALL, 1, 0, 0, 2001, 9999, 0, 0, 1001, 0, GONE, 0, 0, 0, 0},
	/* the last one left 500 after the peer was heard, and had 100 to be answered */
	{ALL, 1, 0, 0, 599, 9999, 0, 0, 200, 0, FULL, 25, 0, 100, 0},
	{ALL, 1, 0, 0, 600, 9999, 0, 0, 200, 0, GONE, 0, 0, 100, 0},
	{ALL, 1, 0, 0, 700, 9999, 0, 0, 200, 0, FULL, 25, 0, 99, 0},
	{ALL, 1, 0, 0, 7000, 9999, 0, 0, 120000, 0, GONE, 0, 0, 100, 0},
	{ALL, 1, 0, 1, 700, 9999, 0, 0, 200, 0, FULL, 25, 0, 100, 0},
	{ALL, 1, 0, 1, 700, 9999, 0, 0, 200, 0, GONE, 0, 1, 100, 0},
	/* open: the kernel has to have sent again, and that to have had the way and 100 */
	{ALL, 1, 0, MSS, 500, 500, 0, 0, 200, 0, DOUBT, 300, 0, 0, 0},
	{ALL, 1, 0, MSS, 500, 500, 0, 0, 200, 0, DOUBT, 10, 0, 299, 0},
	{ALL, 1, 0, MSS, 500, 500, 0, 0, 200, 0, GONE, 0, 0, 300, 0},
	{ALL, 1, 0, MSS, 500, 500, 0, 0, 400, 0, DOUBT, 40, 1, 60, 0},
	{ALL, 1, 0, MSS, 500, 500, 0, 0, 400, 0, GONE, 0, 1, 100, 0},
	/* a path of 700: its own timeout is 900 and more */
	{ALL, 1, 0, MSS, 9999, 9999, 0, 0, 900, 700, DOUBT, 1200, 0, 500, 0},
	{ALL, 1, 0, MSS, 9999, 9999, 0, 0, 1800, 700, DOUBT, 500, 1, 300, 0},
	{ALL, 1, 0, MSS, 9999, 9999, 0, 0, 1800, 700, GONE, 0, 1, 800, 0},
	{ALL, 1, 0, MSS, 9999, 9999, 0, 0, 1800, 700, DOUBT, 20, 1, 800, 30},
	{ALL, 1, 0, MSS, 9999, 9999, 0, 0, 1800, 700, GONE, 0, 1, 820, 30},
	/* timeouts that doubled, and a round trip of a minute, make nobody wait */
	{ALL, 1, 0, MSS, 9999, 9999, 0, 9, 120000, 700, GONE, 0, 2, 0, 0},
	{ALL, 1, 0, MSS, 20000, 20000, 0, 1, 120000, 60000, DOUBT, 10, 1, 9999, 0},
	{ALL, 1, 0, MSS, 20000, 20000, 0, 1, 120000, 60000, GONE, 0, 1, 10000, 0},
	/* a kernel that does not tell the window: nothing on the way is closed */
	{NO_WINDOW, 1, 0, 0, 500, 500, 0, 0, 200, 0, GONE, 0, 2, 0, 0},
	{NO_WINDOW, 0, 100, 0, 9999, 9999, 1, 1, 200, 0, FULL, 25, 0, 0, 0},
	{NO_WINDOW + 3, 1, 0, 0, 500, 500, 0, 0, 200, 0, GONE, 0, 2, 0, 0},
	{NO_WINDOW + 4, 1, 0, 0, 500, 500, 0, 0, 200, 0, FULL, 25, 0, 0, 0},
};

START_TEST(one_look_is_as_the_text_says)
{
	const struct row *row = &rows[_i];
	const uint64_t at = START + STALL_MS * MS;
	struct zcreq_stats stats;
	uint64_t next_ns;

	say(row);
	open_quiet(STALL_MS, 0);
	next_ns = zcreq_turn(context, at);
	stats = stats_of(context);
	ck_assert_uint_eq(stats.stalled_vanished, row->verdict == ZCREQ_STALL_VANISHED);
	ck_assert_uint_eq(stats.stalled_not_reading, row->verdict == ZCREQ_STALL_NOT_READING);
	ck_assert_uint_eq(stats.stalled_congested, row->verdict == ZCREQ_STALL_CONGESTED);
	ck_assert_uint_eq(hooks.stalled, row->verdict != DOUBT);
	ck_assert_uint_eq(hooks.abort, row->again == 0);
	if (row->again)
		ck_assert_uint_eq(next_ns, at + row->again * MS);
	else
		ck_assert_int_eq(hooks.abort_status, -ETIMEDOUT);
}
END_TEST

START_TEST(a_look_comes_at_the_limit_and_not_before)
{
	say(&SILENT);
	open_quiet(STALL_MS, 0);
	ck_assert_uint_eq(zcreq_turn(context, START + STALL_MS * MS - 1), START + STALL_MS * MS);
	ck_assert_uint_eq(hooks.abort, 0);
	zcreq_turn(context, START + STALL_MS * MS);
	ck_assert_uint_eq(hooks.abort, 1);
}
END_TEST

START_TEST(the_same_verdict_is_told_once_and_again_after_progress)
{
	const uint64_t at = START + STALL_MS * MS;

	say(&CLOSED);
	open_quiet(STALL_MS, 0);
	zcreq_turn(context, at);
	zcreq_turn(context, at + 25 * MS);
	ck_assert_uint_eq(hooks.stalled, 1);
	zcreq_turn(context, at + 30 * MS);
	stub_send(conn, heard.id, data, sizeof(data));
	/* an alarm that was put off is looked at once more, and not before its time */
	ck_assert_uint_eq(zcreq_turn(context, at + 50 * MS), at + 30 * MS + STALL_MS * MS);
	ck_assert_uint_eq(hooks.stalled, 1);
	zcreq_turn(context, at + 30 * MS + STALL_MS * MS);
	ck_assert_uint_eq(hooks.stalled, 2);
	ck_assert_uint_eq(stats_of(context).stalled_not_reading, 2);
}
END_TEST

/* What a peer has read shows as acknowledged bytes: it is slow, and does read. */
START_TEST(a_peer_that_took_some_is_reading)
{
	const uint64_t at = START + STALL_MS * MS;

	say(&CLOSED);
	open_quiet(STALL_MS, 1000);
	info.tcpi_bytes_acked = 1;
	zcreq_turn(context, at);
	ck_assert_uint_eq(stats_of(context).stalled_congested, 1);
	/* from now on it takes nothing: its limit counts from the look that saw it take */
	ck_assert_uint_eq(zcreq_turn(context, at + 25 * MS), at + 50 * MS);
	ck_assert_uint_eq(stats_of(context).stalled_not_reading, 1);
	ck_assert_uint_eq(zcreq_turn(context, at + 999 * MS), at + 1000 * MS);
	ck_assert_uint_eq(hooks.abort, 0);
	zcreq_turn(context, at + 1000 * MS);
	ck_assert_int_eq(hooks.abort_status, -ETIME);
}
END_TEST

START_TEST(not_reading_is_counted_from_the_last_progress)
{
	say(&CLOSED);
	open_quiet(STALL_MS, 2000);
	ck_assert_uint_eq(zcreq_turn(context, START + 1999 * MS), START + 2000 * MS);
	ck_assert_uint_eq(hooks.abort, 0);
	zcreq_turn(context, START + 2000 * MS);
	ck_assert_int_eq(hooks.abort_status, -ETIME);
}
END_TEST

START_TEST(a_socket_that_cannot_be_asked_is_aborted_with_its_error)
{
	open_quiet(STALL_MS, 0);
	stub.getsockopts = 0;
	stub.getsockopt_error[0] = -EIO;
	zcreq_turn(context, START + STALL_MS * MS);
	ck_assert_int_eq(hooks.abort_status, -EIO);
	ck_assert_uint_eq(hooks.stalled, 0);
}
END_TEST

/* Queued is enough, and each connection counts. */
START_TEST(what_is_only_queued_is_watched_on_every_connection)
{
	struct zcreq_conn *another;

	say(&SILENT);
	options.hooks = NULL; /* they are of one connection */
	options.stall_ms = STALL_MS;
	scene_open();
	another = scene_open_another(&options);
	heard_begin(conn, &heard);
	zcreq_turn(context, START);
	stub.room_bytes = 0;
	scene_queue(&heard);
	ck_assert_int_eq(zcreq_write(another, data, 1), 0);
	ck_assert_uint_eq(zcreq_turn(context, START + MS), START + MS + STALL_MS * MS);
	zcreq_turn(context, START + MS + STALL_MS * MS);
	ck_assert_uint_eq(stats_of(context).stalled_vanished, 2);
	ck_assert_int_eq(heard.status, -ETIMEDOUT);
	zcreq_conn_free(another);
}
END_TEST

START_TEST(a_stall_needs_nobody_to_listen)
{
	options.hooks = NULL;
	options.stall_ms = STALL_MS;
	scene_open();
	say(&SILENT);
	scene_begin();
	zcreq_turn(context, START);
	zcreq_turn(context, START + STALL_MS * MS);
	ck_assert_uint_eq(stats_of(context).stalled_vanished, 1);
	ck_assert_int_eq(heard.status, -ETIMEDOUT);
}
END_TEST

START_TEST(nobody_watches_without_a_limit)
{
	open_quiet(0, 0);
	stub.getsockopts = 0;
	ck_assert_uint_eq(zcreq_turn(context, START + 900000 * MS), ZCREQ_NEVER);
	ck_assert_uint_eq(stub.getsockopts, 0);
}
END_TEST

START_TEST(what_is_proven_in_time_needs_no_look)
{
	uint64_t now = START;

	say(&SILENT);
	open_quiet(STALL_MS, 0);
	for (unsigned i = 0; i < 20; i++) {
		now += 400 * MS;
		stub_prove_all(&stub);
		ck_assert_int_eq(zcreq_process(conn, POLLERR), 0);
		stub.looks = 0; /* proof is believed after a look at the socket */
		zcreq_turn(context, now);
		ck_assert_uint_eq(zcreq_turn(context, now + 100 * MS), now + STALL_MS * MS);
		ck_assert_uint_eq(stub.looks, 0);
		stub_send(conn, heard.id, data, sizeof(data));
	}
	scene_prove();
}
END_TEST

/* ---- a look that comes too late ---- */

#define LATE (START + (STALL_MS + 100) * MS) /* by 100 ms */

START_TEST(one_late_look_condemns_nobody_and_two_do)
{
	const uint64_t at = LATE + 3600 * SECOND;

	say(&SILENT);
	info.tcpi_rtt = 30000;
	open_quiet(STALL_MS, 0);
	ck_assert_uint_eq(zcreq_turn(context, at), at + 130 * MS);
	ck_assert_uint_eq(hooks.abort + hooks.stalled, 0);
	/* as late again: a loop that is always late does not protect the vanished */
	zcreq_turn(context, at + 900 * MS);
	ck_assert_int_eq(hooks.abort_status, -ETIMEDOUT);
}
END_TEST

START_TEST(a_look_in_time_needs_no_second_one)
{
	say(&SILENT);
	open_quiet(STALL_MS, 0);
	zcreq_turn(context, LATE - _i);
	ck_assert_uint_eq(hooks.abort, _i);
}
END_TEST

START_TEST(who_answers_after_a_pause_is_as_before)
{
	const uint64_t at = LATE + 3600 * SECOND;

	say(&SILENT);
	open_quiet(STALL_MS, 0);
	zcreq_turn(context, at);
	say(&MOVING);
	ck_assert_uint_eq(zcreq_turn(context, at + 100 * MS), at + (100 + STALL_MS) * MS);
	/* and it is doubted anew, in the next pause */
	say(&SILENT);
	zcreq_turn(context, at + 3600 * SECOND);
	ck_assert_uint_eq(hooks.abort, 0);
}
END_TEST

/* What the socket takes meanwhile neither ends the doubt nor puts the second look off. */
START_TEST(who_is_doubted_is_looked_at_whatever_is_sent)
{
	const uint64_t at = LATE + 3600 * SECOND;

	say(&SILENT);
	open_quiet(STALL_MS, 0);
	zcreq_turn(context, at);
	stub_send(conn, heard.id, data, sizeof(data));
	ck_assert_uint_eq(zcreq_turn(context, at + 50 * MS), at + 100 * MS);
	zcreq_turn(context, at + 3600 * SECOND);
	ck_assert_uint_eq(hooks.abort, 1);
}
END_TEST

START_TEST(not_reading_during_a_pause_is_no_reason)
{
	const uint64_t at = LATE + 3600 * SECOND;

	say(&CLOSED);
	open_quiet(STALL_MS, 1000);
	ck_assert_uint_eq(zcreq_turn(context, at), at + 100 * MS);
	ck_assert_uint_eq(hooks.abort, 0);
	zcreq_turn(context, at + 100 * MS);
	ck_assert_int_eq(hooks.abort_status, -ETIME);
}
END_TEST

/* ---- limits beside the watchdog's ---- */

/* The drain's deadline is earlier than the first look, with data outstanding. */
START_TEST(a_drain_shorter_than_the_limit_ends_in_its_own_time)
{
	const uint64_t deadline = START + (STALL_MS - 400) * MS;

	say(&MOVING);
	open_quiet(STALL_MS, 0);
	stub.looks = 0;
	ck_assert_int_eq(zcreq_finish(context, heard.id, 0), 0);
	ck_assert_int_eq(zcreq_conn_drain(conn, STALL_MS - 400), 0);
	ck_assert_uint_eq(zcreq_turn(context, START), deadline);
	ck_assert_uint_eq(zcreq_turn(context, deadline - 1), deadline);
	ck_assert_uint_eq(hooks.abort, 0);
	zcreq_turn(context, deadline);
	ck_assert_int_eq(hooks.abort_status, -ETIMEDOUT);
	ck_assert_uint_eq(stats_of(context).stalled_vanished, 0);
	ck_assert_int_eq(heard.status, -ETIMEDOUT);
}
END_TEST

/* Its window opens now and then, by less than a segment: nothing is acknowledged, because
 * nothing is sent into it, and all the same it reads. */
START_TEST(a_slow_reader_is_not_one_that_does_not_read)
{
	uint64_t now = START;

	say(&CLOSED);
	open_quiet(STALL_MS, 1000);
	for (uint32_t window = 100; window < MSS; window += 100) {
		now += 900 * MS;
		info.tcpi_snd_wnd = window;
		zcreq_turn(context, now);
		ck_assert_uint_eq(hooks.abort, 0);
	}
	/* from here on it does not, and is given its limit from the last that it read */
	ck_assert_uint_eq(zcreq_turn(context, now + 975 * MS), now + 1000 * MS);
	info.tcpi_snd_wnd = 0;
	ck_assert_uint_eq(zcreq_turn(context, now + 999 * MS), now + 1000 * MS);
	ck_assert_uint_eq(hooks.abort, 0);
	zcreq_turn(context, now + 1000 * MS);
	ck_assert_int_eq(hooks.abort_status, -ETIME);
}
END_TEST

/* ---- idle ---- */

#define IDLE_MS 5000

static void open_idle(void)
{
	say(&ACKED);
	options.stall_ms = STALL_MS;
	options.idle_ms = IDLE_MS;
	scene_open();
	stub.looks = 0;
	ck_assert_uint_eq(zcreq_turn(context, START), START + IDLE_MS * MS);
}

START_TEST(i12_an_idle_peer_that_is_not_heard_is_aborted)
{
	const uint64_t at = START + IDLE_MS * MS;

	open_idle();
	quiet_for(9999, IDLE_MS - 1);
	ck_assert_uint_eq(zcreq_turn(context, at), at + MS);
	quiet_for(IDLE_MS - 200, 9999);
	ck_assert_uint_eq(zcreq_turn(context, at + MS), at + 201 * MS);
	ck_assert_uint_eq(hooks.abort, 0);
	quiet_for(IDLE_MS, IDLE_MS);
	zcreq_turn(context, at + 201 * MS);
	ck_assert_int_eq(hooks.abort_status, -ETIMEDOUT);
	ck_assert_uint_eq(hooks.stalled, 0);
	ck_assert_uint_eq(stub.looks, 3);
}
END_TEST

START_TEST(an_idle_connection_that_sends_is_watched_as_any_other)
{
	open_idle();
	scene_begin();
	ck_assert_uint_eq(zcreq_turn(context, START + MS), START + STALL_MS * MS);
	scene_prove();
	zcreq_turn(context, START + MS);
	/* acknowledged: idle again, and a request that waits for us is no reason */
	quiet_for(9999, 9999);
	ck_assert_uint_eq(zcreq_turn(context, START + MS + STALL_MS * MS),
			  START + MS + (STALL_MS + IDLE_MS) * MS);
	scene_finish(0);
	zcreq_turn(context, 0);
	zcreq_turn(context, START + MS + (STALL_MS + IDLE_MS) * MS);
	ck_assert_int_eq(hooks.abort_status, -ETIMEDOUT);
}
END_TEST

START_TEST(an_idle_peer_gets_a_second_look_after_a_pause)
{
	const uint64_t at = START + 3600 * SECOND;

	open_idle();
	quiet_for(9999999, 9999999);
	ck_assert_uint_eq(zcreq_turn(context, at), at + IDLE_MS * MS);
	ck_assert_uint_eq(hooks.abort, 0);
	if (_i)
		quiet_for(0, 9999);
	zcreq_turn(context, at + 3600 * SECOND);
	ck_assert_uint_eq(hooks.abort, !_i);
	if (_i) { /* heard again: the next pause is another one */
		quiet_for(9999999, 9999999);
		zcreq_turn(context, at + 2 * 3600 * SECOND);
		ck_assert_uint_eq(hooks.abort, 0);
	}
}
END_TEST

/* What was sent before the stream was opened, and nobody has acknowledged: a peer that owes
 * something is not idle, and is doubted once as any other. @_i 0: this machine does not let it
 * out. 1: each look comes late. 2, 3: the same, and it is acknowledged before the second. */
START_TEST(i12_an_idle_peer_may_owe_what_is_older_than_the_stream)
{
	const uint64_t at = START + IDLE_MS * MS + (_i % 2 ? 3600 * SECOND : 0);
	uint64_t next_ns, second_ns;

	if (_i % 2)
		say(&SILENT);
	else
		say(&(struct row){ALL, 0, 100, MSS, 9999, 9999, 0, 0, 200, 0, GONE, 0, 0, 0, 0});
	options.stall_ms = STALL_MS;
	options.idle_ms = IDLE_MS;
	scene_open();
	ck_assert_uint_eq(zcreq_turn(context, START), START + IDLE_MS * MS);
	next_ns = zcreq_turn(context, at);
	ck_assert_uint_eq(next_ns, at + 100 * MS);
	ck_assert_uint_eq(hooks.abort, 0);
	second_ns = next_ns + (_i % 2 ? 3600 * SECOND : 0);
	if (_i >= 2) {
		say(&ACKED);
		ck_assert_uint_eq(zcreq_turn(context, second_ns), second_ns + IDLE_MS * MS);
		ck_assert_uint_eq(hooks.abort, 0);
		return;
	}
	zcreq_turn(context, second_ns);
	ck_assert_int_eq(hooks.abort_status, -ETIMEDOUT);
	ck_assert_int_eq(zcreq_conn_cause(conn), ZCREQ_CAUSE_VANISHED);
}
END_TEST

/* The same, and it does not read: its limit begins with the first look at what it owes. */
START_TEST(who_does_not_read_what_is_older_has_its_whole_limit)
{
	const uint64_t at = START + IDLE_MS * MS;

	say(&CLOSED);
	options.stall_ms = STALL_MS;
	options.idle_ms = IDLE_MS;
	options.not_reading_ms = 1000;
	scene_open();
	ck_assert_uint_eq(zcreq_turn(context, START), at);
	zcreq_turn(context, at);
	ck_assert_uint_eq(hooks.abort + hooks.stalled, 0);
	ck_assert_uint_eq(zcreq_turn(context, at + 999 * MS), at + 1000 * MS);
	ck_assert_uint_eq(hooks.abort, 0);
	ck_assert_uint_eq(hooks.stalled, 1);
	zcreq_turn(context, at + 1000 * MS);
	ck_assert_int_eq(hooks.abort_status, -ETIME);
}
END_TEST

START_TEST(an_idle_limit_needs_the_watchdog)
{
	options.idle_ms = 1;
	ck_assert_int_eq(zcreq_stream_open(context, &options, &conn), -EINVAL);
	options.stall_ms = 1;
	scene_open();
}
END_TEST

/* No memory for sending: 10 ms from the next turn, and from each try that fails. */
START_TEST(sending_rests_for_ten_milliseconds)
{
	const uint64_t rest_ns = 10 * MS;
	unsigned refused;

	open_quiet(0, 0);
	stub.send_error = -ENOMEM;
	stub_send(conn, heard.id, data, sizeof(data));
	refused = stub.refused_sends;
	ck_assert_int_eq(zcreq_events(conn), POLLERR);
	ck_assert_uint_eq(zcreq_turn(context, START), START + rest_ns);
	ck_assert_uint_eq(zcreq_turn(context, START + rest_ns - 1), START + rest_ns);
	ck_assert_uint_eq(stub.refused_sends, refused);
	ck_assert_uint_eq(zcreq_turn(context, START + rest_ns), START + 2 * rest_ns);
	ck_assert_uint_gt(stub.refused_sends, refused);
	stub.send_error = 0;
	ck_assert_uint_eq(zcreq_turn(context, START + 2 * rest_ns), ZCREQ_NEVER);
	ck_assert_uint_eq(stub.zerocopy_bytes, 2 * sizeof(data));
	ck_assert_int_eq(zcreq_events(conn), POLLERR);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("watchdog");
	TCase *looks = tcase_create("looks"), *times = tcase_create("times");
	TCase *late = tcase_create("late"), *idle = tcase_create("idle");

	tcase_add_checked_fixture(looks, watch_setup, watch_teardown);
	tcase_add_loop_test(looks, one_look_is_as_the_text_says, 0, COUNT(rows));
	suite_add_tcase(s, looks);

	tcase_add_checked_fixture(times, watch_setup, watch_teardown);
	tcase_add_test(times, a_look_comes_at_the_limit_and_not_before);
	tcase_add_test(times, the_same_verdict_is_told_once_and_again_after_progress);
	tcase_add_test(times, a_peer_that_took_some_is_reading);
	tcase_add_test(times, not_reading_is_counted_from_the_last_progress);
	tcase_add_test(times, a_socket_that_cannot_be_asked_is_aborted_with_its_error);
	tcase_add_test(times, what_is_only_queued_is_watched_on_every_connection);
	tcase_add_test(times, a_stall_needs_nobody_to_listen);
	tcase_add_test(times, nobody_watches_without_a_limit);
	tcase_add_test(times, what_is_proven_in_time_needs_no_look);
	tcase_add_test(times, sending_rests_for_ten_milliseconds);
	tcase_add_test(times, a_drain_shorter_than_the_limit_ends_in_its_own_time);
	tcase_add_test(times, a_slow_reader_is_not_one_that_does_not_read);
	suite_add_tcase(s, times);

	tcase_add_checked_fixture(late, watch_setup, watch_teardown);
	tcase_add_test(late, one_late_look_condemns_nobody_and_two_do);
	tcase_add_loop_test(late, a_look_in_time_needs_no_second_one, 0, 2);
	tcase_add_test(late, who_answers_after_a_pause_is_as_before);
	tcase_add_test(late, who_is_doubted_is_looked_at_whatever_is_sent);
	tcase_add_test(late, not_reading_during_a_pause_is_no_reason);
	suite_add_tcase(s, late);

	tcase_add_checked_fixture(idle, watch_setup, watch_teardown);
	tcase_add_test(idle, i12_an_idle_peer_that_is_not_heard_is_aborted);
	tcase_add_test(idle, an_idle_connection_that_sends_is_watched_as_any_other);
	tcase_add_loop_test(idle, an_idle_peer_gets_a_second_look_after_a_pause, 0, 2);
	tcase_add_loop_test(idle, i12_an_idle_peer_may_owe_what_is_older_than_the_stream, 0, 4);
	tcase_add_test(idle, who_does_not_read_what_is_older_has_its_whole_limit);
	tcase_add_test(idle, an_idle_limit_needs_the_watchdog);
	suite_add_tcase(s, idle);
	return suite_run(s);
}
