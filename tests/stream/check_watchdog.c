/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_watchdog.c - one look at a connection that has stopped: verdict, and what next
 *
 * The rows are worked out by hand from the text at the top of lib/stream/watchdog.c; at each
 * limit there is one on either side of it. The stub says what TCP_INFO says.
 */
#include "support/suite.h"

#include <errno.h>
#include <linux/tcp.h>
#include <poll.h>
#include <stddef.h>

#include "support/scene.h"

#define STALL_MS 500
#define START (1000 * MS)
#define MSS 1448

static struct tcp_info info;

static void setup(void)
{
	scene_setup();
	stub.info = &info;
	info = (struct tcp_info){.tcpi_state = 1};
}

static void teardown(void)
{
	if (zcreq_request_state(context, heard.id) == ZCREQ_STATE_OPEN ||
	    zcreq_request_state(context, heard.id) == ZCREQ_STATE_ABORTING)
		scene_finish(0);
	scene_teardown();
}

/* A stream with one batch in the kernel, and the tick at which its quiet begins. */
static void open_quiet(uint32_t stall_ms, uint32_t not_reading_ms)
{
	options.stall_ms = stall_ms;
	options.not_reading_ms = not_reading_ms;
	scene_open();
	stub.getsockopts = COUNT(stub.getsockopt_error);
	scene_begin();
	ck_assert_uint_eq(zcreq_tick(context, START),
			  stall_ms ? START + stall_ms * MS : ZCREQ_NEVER);
}

#define ALL sizeof(struct tcp_info)
#define NO_WINDOW offsetof(struct tcp_info, tcpi_snd_wnd)

/* One look. Times are milliseconds, rto and rtt too; @again 0: aborted. */
struct row {
	uint32_t bytes, unacked, notsent, window, ack, heard_data;
	uint8_t probes, backoff;
	uint32_t rto, rtt;
	enum zcreq_stall verdict;
	uint64_t again;
};

#define OK ZCREQ_STALL_CONGESTED
#define GONE ZCREQ_STALL_VANISHED
#define FULL ZCREQ_STALL_NOT_READING

static const struct row rows[] = {
	/* all acknowledged: not the peer's fault, however quiet it is */
	{ALL, 0, 0, 9000, 9999, 9999, 0, 0, 200, 0, OK, STALL_MS},
	{ALL, 0, 0, 9000, 300, 9999, 0, 0, 200, 0, OK, STALL_MS - 300},
	{ALL, 0, 0, 0, 9999, 9999, 5, 5, 200, 0, OK, STALL_MS},
	/* window open: quiet for the stall limit is vanished */
	{ALL, 1, 0, MSS, 500, 500, 0, 0, 200, 0, GONE, 0},
	{ALL, 1, 0, MSS, 499, 500, 0, 0, 200, 0, OK, 10},
	{ALL, 1, 0, MSS, 500, 499, 0, 0, 200, 0, OK, 10},
	{ALL, 1, 0, MSS, 490, 500, 0, 0, 200, 0, OK, 10},
	{ALL, 1, 0, MSS, 489, 500, 0, 0, 200, 0, OK, 11},
	{ALL, 1, 0, MSS, 0, 500, 0, 0, 200, 0, OK, STALL_MS},
	/* closed: the window has no room for the next segment, or for all that is left */
	{ALL, 1, 0, MSS - 1, 500, 500, 0, 0, 200, 0, FULL, 25},
	{ALL, 0, 100, 99, 500, 500, 0, 0, 200, 0, FULL, STALL_MS},
	{ALL, 0, 100, 100, 500, 500, 0, 0, 200, 0, GONE, 0},
	{ALL, 0, 5000, MSS - 1, 500, 500, 0, 0, 200, 0, FULL, STALL_MS},
	{ALL, 0, 5000, MSS, 500, 500, 0, 0, 200, 0, GONE, 0},
	{ALL, 1, 100, 100, 500, 500, 0, 0, 200, 0, FULL, 25},
	{ALL, 0, 100, 0, 499, 500, 1, 1, 200, 0, FULL, 10},
	{ALL, 0, 100, 0, 500, 500, 1, 1, 200, 0, FULL, 25},
	/* closed and asked by probes at 200, 200 + 400, ...: the one that counts left at
	 * 500 or later, and had 100 or twice the round trip to be answered */
	{ALL, 0, 100, 0, 9999, 9999, 1, 1, 200, 0, FULL, 25},
	{ALL, 0, 100, 0, 699, 9999, 2, 2, 200, 0, FULL, 25},
	{ALL, 0, 100, 0, 700, 9999, 2, 2, 200, 0, GONE, 0},
	{ALL, 0, 100, 0, 699, 9999, 3, 3, 200, 0, FULL, 25},
	{ALL, 0, 100, 0, 700, 9999, 3, 3, 200, 0, GONE, 0},
	{ALL, 0, 100, 0, 699, 9999, 2, 1, 200, 0, FULL, 25},
	{ALL, 0, 100, 0, 700, 9999, 2, 1, 200, 0, GONE, 0},
	{ALL, 0, 100, 0, 599, 9999, 1, 1, 500, 0, FULL, 25},
	{ALL, 0, 100, 0, 600, 9999, 1, 1, 500, 0, GONE, 0},
	{ALL, 0, 100, 0, 9999, 9999, 1, 1, 499, 0, FULL, 25},
	{ALL, 0, 100, 0, 700, 9999, 2, 2, 50, 0, GONE, 0},
	{ALL, 0, 100, 0, 599, 9999, 1, 1, 500, 50, FULL, 25},
	{ALL, 0, 100, 0, 601, 9999, 1, 1, 500, 51, FULL, 25},
	{ALL, 0, 100, 0, 602, 9999, 1, 1, 500, 51, GONE, 0},
	/* backed off further than the probes tell: earlier ones were answered */
	{ALL, 0, 100, 0, 1299, 9999, 2, 3, 200, 0, FULL, 25},
	{ALL, 0, 100, 0, 1300, 9999, 2, 3, 200, 0, GONE, 0},
	{ALL, 0, 100, 0, (200 << 16) + 99, UINT32_MAX, 1, 18, 200, 0, FULL, 25},
	{ALL, 0, 100, 0, (200 << 16) + 100, UINT32_MAX, 1, 18, 200, 0, GONE, 0},
	{ALL, 0, 100, 0, (200 << 15) + 100, UINT32_MAX, 1, 16, 200, 0, GONE, 0},
	/* closed and asked by retransmissions: 500 and one and a half intervals */
	{ALL, 1, 0, 0, 799, 9999, 0, 0, 200, 0, FULL, 25},
	{ALL, 1, 0, 0, 800, 9999, 0, 0, 200, 0, GONE, 0},
	{ALL, 1, 0, 0, 2000, 9999, 0, 0, 1001, 0, FULL, 25},
	{ALL, 1, 0, 0, 2001, 9999, 0, 0, 1001, 0, GONE, 0},
	/* a kernel that does not tell the window: nothing on the way is closed */
	{NO_WINDOW, 1, 0, 0, 500, 500, 0, 0, 200, 0, GONE, 0},
	{NO_WINDOW, 0, 100, 0, 9999, 9999, 1, 1, 200, 0, FULL, 25},
	{NO_WINDOW + 3, 1, 0, 0, 500, 500, 0, 0, 200, 0, GONE, 0},
	{NO_WINDOW + 4, 1, 0, 0, 500, 500, 0, 0, 200, 0, FULL, 25},
};

static void say(const struct row *row)
{
	stub.info_bytes = row->bytes;
	info.tcpi_snd_mss = MSS;
	info.tcpi_unacked = row->unacked;
	info.tcpi_notsent_bytes = row->notsent;
	info.tcpi_snd_wnd = row->window;
	info.tcpi_last_ack_recv = row->ack;
	info.tcpi_last_data_recv = row->heard_data;
	info.tcpi_probes = row->probes;
	info.tcpi_backoff = row->backoff;
	info.tcpi_rto = row->rto * 1000;
	info.tcpi_rtt = row->rtt * 1000;
}

START_TEST(one_look_is_as_the_text_says)
{
	const struct row *row = &rows[_i];
	const uint64_t at = START + STALL_MS * MS;
	struct zcreq_stats stats;
	uint64_t next_ns;

	say(row);
	open_quiet(STALL_MS, 0);
	next_ns = zcreq_tick(context, at);
	stats = stats_of(context);
	ck_assert_uint_eq(stats.stalled_vanished, row->verdict == ZCREQ_STALL_VANISHED);
	ck_assert_uint_eq(stats.stalled_not_reading, row->verdict == ZCREQ_STALL_NOT_READING);
	ck_assert_uint_eq(stats.stalled_congested, row->verdict == ZCREQ_STALL_CONGESTED);
	ck_assert_uint_eq(hooks.stalled, 1);
	ck_assert_uint_eq(hooks.abort, row->again == 0);
	if (row->again)
		ck_assert_uint_eq(next_ns, at + row->again * MS);
	else
		ck_assert_int_eq(hooks.abort_status, -ETIMEDOUT);
}
END_TEST

START_TEST(a_look_comes_at_the_limit_and_not_before)
{
	say(&(struct row){ALL, 1, 0, MSS, 9999, 9999, 0, 0, 200, 0, GONE, 0});
	open_quiet(STALL_MS, 0);
	ck_assert_uint_eq(zcreq_tick(context, START + STALL_MS * MS - 1), START + STALL_MS * MS);
	ck_assert_uint_eq(hooks.abort, 0);
	zcreq_tick(context, START + STALL_MS * MS);
	ck_assert_uint_eq(hooks.abort, 1);
}
END_TEST

START_TEST(the_same_verdict_is_told_once_and_again_after_progress)
{
	const uint64_t at = START + STALL_MS * MS;

	say(&(struct row){ALL, 1, 0, 0, 500, 500, 0, 0, 200, 0, FULL, 25});
	open_quiet(STALL_MS, 0);
	zcreq_tick(context, at);
	zcreq_tick(context, at + 25 * MS);
	ck_assert_uint_eq(hooks.stalled, 1);
	stub_send(conn, heard.id, data, sizeof(data));
	zcreq_tick(context, at + 30 * MS);
	/* an alarm that was put off is looked at once more, and not before its time */
	ck_assert_uint_eq(zcreq_tick(context, at + 50 * MS), at + 30 * MS + STALL_MS * MS);
	ck_assert_uint_eq(hooks.stalled, 1);
	zcreq_tick(context, at + 30 * MS + STALL_MS * MS);
	ck_assert_uint_eq(hooks.stalled, 2);
	ck_assert_uint_eq(stats_of(context).stalled_not_reading, 2);
}
END_TEST

/* What a peer has read shows as acknowledged bytes: it is slow, and does read. */
START_TEST(a_peer_that_took_some_is_reading)
{
	const uint64_t at = START + STALL_MS * MS;

	say(&(struct row){ALL, 1, 0, 0, 500, 500, 0, 0, 200, 0, FULL, 25});
	open_quiet(STALL_MS, 1000);
	info.tcpi_bytes_acked = 1;
	zcreq_tick(context, at);
	ck_assert_uint_eq(stats_of(context).stalled_congested, 1);
	/* from now on it takes nothing: its limit counts from the look that saw it take */
	ck_assert_uint_eq(zcreq_tick(context, at + 25 * MS), at + 50 * MS);
	ck_assert_uint_eq(stats_of(context).stalled_not_reading, 1);
	ck_assert_uint_eq(zcreq_tick(context, at + 999 * MS), at + 1000 * MS);
	ck_assert_uint_eq(hooks.abort, 0);
	zcreq_tick(context, at + 1000 * MS);
	ck_assert_int_eq(hooks.abort_status, -ETIME);
}
END_TEST

START_TEST(not_reading_is_counted_from_the_last_progress)
{
	say(&(struct row){ALL, 1, 0, 0, 500, 500, 0, 0, 200, 0, FULL, 25});
	open_quiet(STALL_MS, 2000);
	ck_assert_uint_eq(zcreq_tick(context, START + 1999 * MS), START + 2000 * MS);
	ck_assert_uint_eq(hooks.abort, 0);
	zcreq_tick(context, START + 2000 * MS);
	ck_assert_int_eq(hooks.abort_status, -ETIME);
}
END_TEST

START_TEST(a_socket_that_cannot_be_asked_is_aborted_with_its_error)
{
	open_quiet(STALL_MS, 0);
	stub.getsockopts = 0;
	stub.getsockopt_error[0] = -EIO;
	zcreq_tick(context, START + STALL_MS * MS);
	ck_assert_int_eq(hooks.abort_status, -EIO);
	ck_assert_uint_eq(hooks.stalled, 0);
}
END_TEST

/* Queued is enough, and each connection counts. */
START_TEST(what_is_only_queued_is_watched_on_every_connection)
{
	struct zcreq_conn *another;

	say(&(struct row){ALL, 1, 0, MSS, 500, 500, 0, 0, 200, 0, GONE, 0});
	options.hooks = NULL; /* they are of one connection */
	options.stall_ms = STALL_MS;
	scene_open();
	another = scene_open_another(&options);
	heard_begin(conn, &heard);
	zcreq_tick(context, START);
	scene_queue(&heard);
	ck_assert_int_eq(zcreq_write(another, data, 1), 0);
	ck_assert_uint_eq(zcreq_tick(context, START + MS), START + MS + STALL_MS * MS);
	zcreq_tick(context, START + MS + STALL_MS * MS);
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
	say(&(struct row){ALL, 1, 0, MSS, 500, 500, 0, 0, 200, 0, GONE, 0});
	scene_begin();
	zcreq_tick(context, START);
	zcreq_tick(context, START + STALL_MS * MS);
	ck_assert_uint_eq(stats_of(context).stalled_vanished, 1);
	ck_assert_int_eq(heard.status, -ETIMEDOUT);
}
END_TEST

START_TEST(nobody_watches_without_a_limit)
{
	open_quiet(0, 0);
	stub.getsockopts = 0;
	ck_assert_uint_eq(zcreq_tick(context, START + 900000 * MS), ZCREQ_NEVER);
	ck_assert_uint_eq(stub.getsockopts, 0);
}
END_TEST

/* No memory for sending: 10 ms from the next tick, and from each try that fails. */
START_TEST(sending_rests_for_ten_milliseconds)
{
	const uint64_t rest_ns = 10 * MS;
	unsigned refused;

	open_quiet(0, 0);
	stub.send_error = -ENOMEM;
	stub_send(conn, heard.id, data, sizeof(data));
	refused = stub.refused_sends;
	ck_assert_int_eq(zcreq_events(conn), POLLERR);
	ck_assert_uint_eq(zcreq_tick(context, START), START + rest_ns);
	ck_assert_uint_eq(zcreq_tick(context, START + rest_ns - 1), START + rest_ns);
	ck_assert_uint_eq(stub.refused_sends, refused);
	ck_assert_uint_eq(zcreq_tick(context, START + rest_ns), START + 2 * rest_ns);
	ck_assert_uint_gt(stub.refused_sends, refused);
	stub.send_error = 0;
	ck_assert_uint_eq(zcreq_tick(context, START + 2 * rest_ns), ZCREQ_NEVER);
	ck_assert_uint_eq(stub.zerocopy_bytes, 2 * sizeof(data));
	ck_assert_int_eq(zcreq_events(conn), POLLERR);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("watchdog");
	TCase *looks = tcase_create("looks"), *times = tcase_create("times");

	tcase_add_checked_fixture(looks, setup, teardown);
	tcase_add_loop_test(looks, one_look_is_as_the_text_says, 0, COUNT(rows));
	suite_add_tcase(s, looks);

	tcase_add_checked_fixture(times, setup, teardown);
	tcase_add_test(times, a_look_comes_at_the_limit_and_not_before);
	tcase_add_test(times, the_same_verdict_is_told_once_and_again_after_progress);
	tcase_add_test(times, a_peer_that_took_some_is_reading);
	tcase_add_test(times, not_reading_is_counted_from_the_last_progress);
	tcase_add_test(times, a_socket_that_cannot_be_asked_is_aborted_with_its_error);
	tcase_add_test(times, what_is_only_queued_is_watched_on_every_connection);
	tcase_add_test(times, a_stall_needs_nobody_to_listen);
	tcase_add_test(times, nobody_watches_without_a_limit);
	tcase_add_test(times, sending_rests_for_ten_milliseconds);
	suite_add_tcase(s, times);
	return suite_run(s);
}
