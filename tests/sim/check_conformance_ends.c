/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * check_conformance_ends.c - the list below the table of doc/field-cases.md: ends and reuse
 *
 * The other half of check_conformance.c, which see.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "sim/stage.h"
#include "support/suite.h"

static struct stage stage;

static void setup(void)
{
	stage_init(&stage);
}

static void teardown(void)
{
	stage_deinit(&stage);
}

START_TEST(a_hang_up_without_an_error_is_epipe)
{
	struct stage_request *request;

	stage_open(&stage);
	request = stage_sent(&stage, 100);
	fake_socket_kill(stage.sock, 0);
	stage_run(&stage);
	/* a sender's proof comes before poll(2) is asked */
	ck_assert_int_eq(stage.abort_status, stage_sends ? -ECONNRESET : -EPIPE);
	stage_expect_released(request, stage.abort_status);
}
END_TEST

START_TEST(conform_completion_before_sendmsg_returned_is_taken)
{
	struct stage_request *requests[10];
	int i;

	stage.knobs.auto_ack = true;
	stage.knobs.accept_bytes = 33;
	stage_open(&stage);
	for (i = 0; i < 10; i++)
		requests[i] = stage_sent(&stage, 100);
	stage_run(&stage);
	for (i = 0; i < 10; i++)
		stage_expect_released(requests[i], 0);
}
END_TEST

START_TEST(conform_peer_reset_releases_all)
{
	struct stage_request *requests[6];
	int i;

	stage.knobs.death_order = (enum fake_death_order)_i;
	stage.knobs.cwnd_bytes = 150;
	stage.knobs.sndbuf_bytes = 450;
	stage_open(&stage);
	for (i = 0; i < 6; i++)
		requests[i] = stage_sent(&stage, 100);
	fake_socket_ack(stage.sock, 100);
	stage_run(&stage);
	stage_expect_released(requests[0], 0);
	fake_socket_kill(stage.sock, ECONNRESET);
	ck_assert_int_eq(fake_socket_poll(stage.sock, POLLIN | POLLOUT), 0x1d);
	stage_run(&stage);
	ck_assert_int_eq(stage.abort_status, -ECONNRESET);
	for (i = 1; i < 6; i++)
		stage_expect_released(requests[i], -ECONNRESET);
	ck_assert_uint_eq(stage.closes, 1);
}
END_TEST

/* A peer that does not read holds what it holds; one that reads again gets all of it. */
START_TEST(conform_not_reading_peer_is_waited_for)
{
	struct stage_request *requests[4];
	int i;

	stage.knobs.probe_limit_ms = 500;
	stage.options.stall_ms = _i ? 1000 : 0;
	stage_open(&stage);
	fake_socket_window(stage.sock, 150);
	for (i = 0; i < 4; i++)
		requests[i] = stage_sent(&stage, 100);
	fake_socket_window(stage.sock, 0);
	fake_socket_ack(stage.sock, 150);
	stage_wait_ms(&stage, 3600000);
	ck_assert_uint_eq(stage.aborts, 0);
	ck_assert_uint_eq(stage_stats(&stage).stalled_not_reading, _i ? 1 : 0);
	fake_socket_window(stage.sock, FAKE_NEVER);
	stage_ack_all(&stage);
	for (i = 0; i < 4; i++)
		stage_expect_released(requests[i], 0);
}
END_TEST

/* The peer is reset before the descriptor is closed: a duplicate of it weakens nothing. */
START_TEST(conform_duplicated_descriptor_abort_resets_before_it_closes)
{
	stage_open(&stage);
	stage_sent(&stage, 100);
	ck_assert_int_eq(zcreq_conn_abort(stage.conn, -EIO), 0);
	ck_assert(stage_report(&stage).reset_sent);
	ck_assert(!stage_report(&stage).closed);
	ck_assert_uint_eq(stage_report(&stage).held_bytes, 0);
	stage_run(&stage);
	ck_assert(stage_report(&stage).closed);
}
END_TEST

static void ack_inside(struct fake_socket *sock, enum fake_call call, void *arg)
{
	const enum fake_call *when = arg;

	if (call == *when)
		fake_socket_ack(sock, 150);
}

/* The peer acknowledges while the abort is on its way. */
START_TEST(conform_abort_racing_completion_releases_once)
{
	static const enum fake_call calls[] = { FAKE_RECVMSG, FAKE_DISCONNECT, FAKE_CLOSE };
	enum fake_call when = calls[_i];
	struct stage_request *requests[4];
	int i;

	stage_open(&stage);
	for (i = 0; i < 4; i++)
		requests[i] = stage_sent(&stage, 100);
	fake_socket_set_hook(stage.sock, ack_inside, &when);
	ck_assert_int_eq(zcreq_conn_abort(stage.conn, -EIO), 0);
	stage_run(&stage);
	for (i = 0; i < 4; i++)
		stage_expect_released(requests[i], -EIO);
	ck_assert_uint_eq(stage.closes, 1);
}
END_TEST

/* Late by any time below linger_ms: released; above: quarantined first. */
START_TEST(conform_late_notification_after_abort_releases)
{
	struct stage_request *request;

	stage.knobs.qdisc_bytes = FAKE_NEVER;
	stage.knobs.qdisc_ms = (uint64_t)_i * 250 + 1;
	stage.options.linger_ms = 1000;
	stage_open(&stage);
	request = stage_sent(&stage, 100);
	ck_assert_int_eq(zcreq_conn_abort(stage.conn, -EIO), 0);
	stage_wait_ms(&stage, stage.knobs.qdisc_ms - 1);
	stage_expect_unreleased(request);
	stage_wait_ms(&stage, 1000 + 50);
	stage_expect_released(request, -EIO);
	ck_assert_uint_eq(request->quarantined, stage.knobs.qdisc_ms > 1000);
	ck_assert_uint_eq(stage.closes, 1);
}
END_TEST

START_TEST(conform_slot_reuse_leaves_old_handles_stale)
{
	struct stage_request *request;
	zcreq_id first, ids[300];
	int i, j;

	stage_open(&stage);
	request = stage_request(&stage, 1);
	first = request->id;
	stage_flush(&stage);
	stage_ack_all(&stage);
	for (i = 0; i < 300; i++) {
		request = stage_sent(&stage, 1);
		ids[i] = request->id;
		ck_assert_uint_ne(request->id.bits, first.bits);
		for (j = 0; j < i; j++)
			ck_assert_uint_ne(ids[i].bits, ids[j].bits);
		ck_assert_int_eq(zcreq_finish(stage.context, first, 0), -ESTALE);
		stage_ack_all(&stage);
	}
	ck_assert_uint_eq(stage_stats(&stage).stale_handles, 300);
}
END_TEST

/* The descriptor number of a closed connection is used again while it is remembered. */
START_TEST(conform_descriptor_reuse_is_kept_apart)
{
	struct zcreq_conn *old;
	struct stage_request *request;
	int fd;

	stage_open(&stage);
	old = stage.conn;
	fd = fake_socket_fd(stage.sock);
	ck_assert_int_eq(zcreq_conn_abort(old, -EIO), 0);
	stage_run(&stage);
	stage_open_another(&stage);
	ck_assert_int_eq(fake_socket_fd(stage.sock), fd);
	request = stage_sent(&stage, 100);
	ck_assert_int_eq(zcreq_process(old, POLLERR | POLLHUP | POLLOUT), 0);
	stage_turn(&stage);
	ck_assert_int_eq(zcreq_stream_fd(old), -EBADF);
	ck_assert_int_eq(zcreq_events(old), 0);
	zcreq_conn_free(old);
	ck_assert_int_eq(zcreq_conn_state(stage.conn), ZCREQ_CONN_OPEN);
	stage_ack_all(&stage);
	stage_expect_released(request, 0);
}
END_TEST

/* A kernel that refuses to disconnect is asked again, and shut down in between. */
START_TEST(busy_disconnect_is_tried_again)
{
	struct stage_request *request;

	stage.knobs.disconnect_busy = (unsigned)_i;
	stage_open(&stage);
	request = stage_sent(&stage, 100);
	ck_assert_int_eq(zcreq_conn_abort(stage.conn, -EIO), 0);
	stage_run(&stage);
	ck_assert_uint_eq(request->settled, 1);
	stage_wait_ms(&stage, 500);
	stage_expect_released(request, -EIO);
	ck_assert_uint_eq(stage_report(&stage).disconnects, 1);
	ck_assert_uint_eq(stage.closes, 1);
	ck_assert_uint_eq(request->quarantined, 0);
}
END_TEST

/* All queued bytes leave, in the order of the calls, whatever the socket takes. */
START_TEST(sends_and_writes_keep_their_order)
{
	uint8_t expected[20 * 15], *at = expected;
	struct stage_request *request;
	const uint8_t *got;
	size_t len;
	int i;

	stage.options.mode = ZCREQ_MODE_AUTO;
	stage.options.threshold_bytes = 1 + (uint32_t)_i;
	stage.knobs.accept_bytes = 1 + (uint64_t)_i;
	stage.knobs.sndbuf_bytes = 23;
	stage_open(&stage);
	for (i = 0; i < 20; i++) {
		request = stage_request(&stage, 10);
		memcpy(at, request->memory, 10);
		memset(at + 10, 'A' + i, 5);
		ck_assert_int_eq(zcreq_write(stage.conn, at + 10, 5), 0);
		at += 15;
	}
	stage_flush(&stage);
	stage_ack_all(&stage);
	got = fake_socket_received(stage.sock, &len);
	ck_assert_uint_eq(len, sizeof(expected));
	ck_assert_mem_eq(got, expected, len);
	ck_assert_uint_eq(stage_stats(&stage).released, 20);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_test(tcase, a_hang_up_without_an_error_is_epipe);
	tcase_add_test(tcase, conform_completion_before_sendmsg_returned_is_taken);
	tcase_add_loop_test(tcase, conform_peer_reset_releases_all, 0, 4);
	tcase_add_loop_test(tcase, conform_not_reading_peer_is_waited_for, 0, 2);
	tcase_add_test(tcase, conform_duplicated_descriptor_abort_resets_before_it_closes);
	tcase_add_loop_test(tcase, conform_abort_racing_completion_releases_once, 0, 3);
	tcase_add_loop_test(tcase, conform_late_notification_after_abort_releases, 0, 8);
	tcase_add_test(tcase, conform_slot_reuse_leaves_old_handles_stale);
	tcase_add_test(tcase, conform_descriptor_reuse_is_kept_apart);
	tcase_add_loop_test(tcase, busy_disconnect_is_tried_again, 0, 8);
	tcase_add_loop_test(tcase, sends_and_writes_keep_their_order, 0, 12);
}

int main(void)
{
	Suite *suite = suite_create("conformance, ends");
	TCase *tcase = tcase_create("claims");

	tcase_set_timeout(tcase, 30);
	tcase_add_checked_fixture(tcase, setup, teardown);
	add_tests(tcase);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
