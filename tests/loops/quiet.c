/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * quiet.c - what a poll(2) of the socket would report without end, and no loop spins on
 *
 * Idle connections; data and an end of the peer's that nobody reads; a socket whose error
 * nobody has read, with nothing in its error queue; a connection that was reset and has to
 * stay. Each rests for a while, and its wake-ups are counted.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "loops/scenes.h"
#include "real/real.h"

#define REST_MS 300
#define RARELY 4 /* wake-ups in such a rest: its end is one, and a look or two by time */

static const struct net_pair roomy = {.near_sndbuf = 8 << 20};
static const struct net_pair unread = {.near_sndbuf = 8 << 20, .far_rcvbuf = 16384};

static void send_some(void)
{
	for (int i = 0; i < 8; i++)
		load_finish(load_begin(&load, 20000), 0);
	scene_until(scene_released, 10000);
}

static void end_in_order(void)
{
	ck_ok(load_drain(&load, 0));
	scene_until(scene_over, 10000);
	scene_expect(30, 15, "the end");
	ck_assert_int_eq(load.close_status, 0);
	ck_assert_uint_eq(load.received_bytes, load.queued_bytes);
	load_check_ledger(&load);
}

START_TEST(idle_connections_wake_nobody)
{
	scene_pick(_i);
	scene_open(&roomy, NULL);
	scene_open_extra(SCENE_EXTRA);
	scene_reading(true);
	send_some();
	scene_rest(50);
	ck_assert_uint_le(scene_rest(REST_MS), RARELY);
	end_in_order();
}
END_TEST

/* ---- what the peer has sent, and nobody reads ---- */

static unsigned reads;

/* As a program does that has read the end of the stream. */
static void read_near(struct load *l)
{
	char bytes[64];
	ssize_t len = recv(l->near, bytes, sizeof(bytes), MSG_DONTWAIT);

	reads++;
	if (!len)
		ck_ok(zcreq_stream_reading(l->conn, false));
}

/* @_i: no hook; one that is switched off; one that reads the end. */
START_TEST(the_end_of_the_peers_stream_wakes_nobody_who_does_not_read)
{
	const int variant = scene_pick(_i);

	load.on_readable = variant ? read_near : NULL;
	scene_open(&roomy, NULL);
	scene_reading(true);
	if (variant == 1)
		ck_ok(zcreq_stream_reading(load.conn, false));
	send_some();
	ck_ok(shutdown(load.far, SHUT_WR));
	ck_assert_uint_le(scene_rest(REST_MS), RARELY + (variant == 2));
	ck_assert_uint_eq(reads, variant == 2);
	send_some(); /* what goes out is none the worse for it */
	ck_assert_uint_le(scene_rest(REST_MS), RARELY);
	end_in_order();
}
END_TEST

START_TEST(data_that_nobody_reads_wake_nobody)
{
	const int variant = scene_pick(_i);

	load.on_readable = variant ? read_near : NULL;
	scene_open(&roomy, NULL);
	scene_reading(true);
	if (variant)
		ck_ok(zcreq_stream_reading(load.conn, false));
	ck_assert_int_eq(send(load.far, "unread", 6, 0), 6);
	ck_assert_uint_le(scene_rest(REST_MS), RARELY);
	send_some();
	ck_assert_uint_le(scene_rest(REST_MS), RARELY);
	if (variant) {
		/* what waits is told when somebody wants it, once */
		ck_ok(zcreq_stream_reading(load.conn, true));
		ck_assert_uint_le(scene_rest(REST_MS), RARELY + 2);
		ck_assert_uint_ge(reads, 1);
		ck_assert_uint_le(reads, 2);
	}
	end_in_order();
}
END_TEST

/* Both ends have ended, and poll(2) says POLLHUP; a request is still open. */
START_TEST(two_ends_and_an_open_request_wake_nobody)
{
	struct load_request *request;

	scene_pick(_i);
	scene_open(&roomy, NULL);
	scene_reading(true);
	request = load_begin(&load, 1000);
	ck_ok(zcreq_conn_end(load.conn));
	ck_ok(shutdown(load.far, SHUT_WR));
	scene_rest(REST_MS);
	ck_assert_uint_le(scene_rest(REST_MS), RARELY + 1);
	load_finish(request, 0);
	end_in_order();
}
END_TEST

/* ---- errors ---- */

/* The connection is reset, and a hold keeps it: poll(2) would say POLLHUP and POLLERR
 * from now on. @_i: without a hook for reading, or with one that never comes to read. */
START_TEST(a_reset_connection_that_has_to_stay_wakes_nobody)
{
	const int variant = scene_pick(_i);
	struct load_request *request;
	zcreq_hold hold;

	load.on_readable = variant ? read_near : NULL;
	scene_open(&unread, NULL);
	request = load_begin(&load, 400000);
	ck_ok(zcreq_take(load.context, request->id, &hold));
	load_finish(request, 0);
	scene_rest(50);
	scene_reset();
	scene_rest(REST_MS);
	ck_assert_uint_eq(load.aborts, 1);
	ck_assert_uint_eq(load.closes, 0);
	ck_assert_uint_le(scene_rest(REST_MS), RARELY);
	ck_ok(zcreq_drop(load.context, hold, 0));
	scene_until(scene_is_closed, 5000);
	scene_expect(3, 1, "the last hold");
	ck_assert_int_eq(load.close_status, -ECONNRESET);
	ck_assert_int_eq(zcreq_conn_cause(load.conn), ZCREQ_CAUSE_RESET);
	load_check_ledger(&load);
}
END_TEST

/* The reset meets a drain, with data on their way. */
START_TEST(a_reset_ends_a_drain_with_its_error)
{
	scene_pick(_i);
	scene_open(&unread, NULL);
	load_finish(load_begin(&load, 400000), 0);
	ck_ok(load_drain(&load, 0));
	ck_assert_uint_le(scene_rest(REST_MS), 40);
	scene_reset();
	scene_until(scene_is_closed, 5000);
	scene_expect(4, 1, "a reset");
	ck_assert_int_eq(load.close_status, -ECONNRESET);
	load_check_ledger(&load);
}
END_TEST

static bool is_aborted(void)
{
	return load.aborts;
}

/*
 * A program has asked for IP_RECVERR, and a router says that there is no way: POLLERR with
 * an empty error queue, on a connection that is established, until SO_ERROR is read. It
 * is the end of the connection, as it would be for any send.
 */
START_TEST(an_unread_error_with_an_empty_error_queue_ends_it_once)
{
	const int on = 1;

	scene_pick(_i);
	scene_open(&roomy, NULL);
	ck_ok(setsockopt(load.near, IPPROTO_IP, IP_RECVERR, &on, sizeof(on)));
	scene_reading(true);
	send_some();
	ck_ok(net_forget(&load.net));
	load_finish(load_begin(&load, 20000), 0);
	scene_until(is_aborted, 10000);
	scene_expect(6, 2, "no route");
	/* packets wait for the address once more, and are looked for every 20 ms */
	scene_until(scene_is_closed, 3000);
	scene_expect(3000 / 20 + 10, 3000 / 20 + 10, "proof");
	ck_assert_int_eq(load.close_status, -EHOSTUNREACH);
	ck_assert_int_eq(zcreq_conn_cause(load.conn), ZCREQ_CAUSE_SOCKET);
	load_check_ledger(&load);
}
END_TEST

void quiet_add(TCase *group)
{
	const int loops = scene_loops();

	tcase_add_loop_test(group, idle_connections_wake_nobody, 0, loops);
	tcase_add_loop_test(group, the_end_of_the_peers_stream_wakes_nobody_who_does_not_read, 0,
			    3 * loops);
	tcase_add_loop_test(group, data_that_nobody_reads_wake_nobody, 0, 2 * loops);
	tcase_add_loop_test(group, two_ends_and_an_open_request_wake_nobody, 0, loops);
	tcase_add_loop_test(group, a_reset_connection_that_has_to_stay_wakes_nobody, 0, 2 * loops);
	tcase_add_loop_test(group, a_reset_ends_a_drain_with_its_error, 0, loops);
	tcase_add_loop_test(group, an_unread_error_with_an_empty_error_queue_ends_it_once, 0, loops);
}
