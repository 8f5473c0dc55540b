/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * check_limits.c - floods, limits, the watchdog, old kernels, options, and what size must not change
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/tcp.h>

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

static const unsigned floods[] = { 1, 3, 64, 1023, 1024, 1025, 5000 };

/* Whatever is queued in front of it, the proof is found by the abort itself. */
START_TEST(abort_reads_past_any_number_of_messages)
{
	struct stage_request *request;
	unsigned i;

	stage_open(&stage);
	request = stage_sent(&stage, 100);
	for (i = 0; i < floods[_i]; i++)
		fake_socket_post_timestamp(stage.sock, 20);
	ck_assert_int_eq(zcreq_conn_abort(stage.conn, -EIO), 0);
	stage_run(&stage);
	stage_expect_released(request, -EIO);
	/* a sender's proof is not behind them */
	if (!stage_sends)
		ck_assert_uint_eq(stage_stats(&stage).foreign_messages, floods[_i]);
}
END_TEST

START_TEST(a_flood_of_messages_delays_nobody_for_ever)
{
	struct stage_request *request;
	struct zcreq_stats stats;
	unsigned i;

	stage_open(&stage);
	request = stage_sent(&stage, 100);
	for (i = 0; i < floods[_i]; i++)
		fake_socket_post_icmp(stage.sock, 300, 0);
	fake_socket_ack(stage.sock, FAKE_NEVER);
	stage_run(&stage);
	stage_expect_released(request, 0);
	stats = stage_stats(&stage);
	ck_assert_uint_eq(stats.foreign_messages, floods[_i]);
	ck_assert_uint_eq(stats.foreign_lost + stage.messages, floods[_i]);
}
END_TEST

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Generous: this runs under sanitizers too, and only shows what is not linear. */
START_TEST(abort_of_100000_sends_is_linear)
{
	static uint8_t memory[64];
	struct stage_request *request;
	struct iovec iov = { memory, sizeof(memory) };
	int i, count = _i ? 20000 : 100000;
	double start;

	stage.knobs.sndbuf_bytes = 1 << 30;
	stage.knobs.death_order = (enum fake_death_order)_i;
	stage.knobs.cwnd_bytes = (uint64_t)count / 2 * 64;
	stage.knobs.coalesce = _i % 2;
	stage_open(&stage);
	request = stage_begin(&stage);
	for (i = 0; i < count; i++) {
		ck_assert_int_eq(zcreq_add(zcreq_conn_context(stage.conn), request->id, &iov, 1, 0),
				 0);
		stage_flush(&stage);
	}
	ck_assert_uint_eq(stage_report(&stage).records_held, (unsigned)count);
	stage_finish(request);
	start = seconds();
	ck_assert_int_eq(zcreq_conn_abort(stage.conn, -EIO), 0);
	stage_run(&stage);
	stage_expect_released(request, -EIO);
	ck_assert(seconds() - start < 3);
}
END_TEST

START_TEST(the_steady_state_allocates_nothing)
{
	uint64_t before = 0;
	int i, j;

	stage.options.mode = _i ? ZCREQ_MODE_AUTO : ZCREQ_MODE_ALWAYS;
	stage_open(&stage);
	for (i = 0; i < 200; i++) {
		if (i == 20)
			before = stage.fault.calls;
		for (j = 0; j < 30; j++) {
			stage_request(&stage, 50);
			ck_assert_int_eq(zcreq_write(stage.conn, "header", 6), 0);
		}
		stage_flush(&stage);
		stage_ack_all(&stage);
	}
	ck_assert_uint_eq(stage.fault.calls, before);
}
END_TEST

/* The library's own memory of writes is borrowed by the kernel just the same. */
START_TEST(writes_in_flight_keep_their_bytes)
{
	uint8_t bytes[700];
	size_t len;
	int i;

	stage.knobs.sndbuf_bytes = 1 << 20;
	stage_open(&stage);
	for (i = 0; i < 3000; i++) {
		len = 1 + (size_t)(i * 37 % (i % 50 ? 200 : 700));
		memset(bytes, i, len);
		ck_assert_int_eq(zcreq_write(stage.conn, bytes, len), 0);
		if (i % 3 == 0)
			stage_flush(&stage);
		if (i % 7 == 0)
			fake_socket_ack(stage.sock, (uint64_t)(i % 900));
		if (i % 100 == 0)
			fake_kernel_audit(stage.kernel);
		stage_run(&stage);
	}
	stage_flush(&stage);
	stage_ack_all(&stage);
	ck_assert_uint_eq(stage_report(&stage).acked_bytes, stage_report(&stage).accepted_bytes);
	ck_assert_uint_eq(stage_report(&stage).foreign_bytes, 0);
}
END_TEST

START_TEST(a_send_larger_than_the_limit_fits_alone)
{
	struct stage_request *first, *second;

	stage.options.limit_bytes = 10;
	stage_open(&stage);
	first = stage_sent(&stage, 1000);
	second = stage_begin(&stage);
	ck_assert_int_eq(stage_send(second, 1), -EAGAIN);
	ck_assert_int_eq(zcreq_write(stage.conn, "x", 1), -EAGAIN);
	stage_run(&stage);
	ck_assert_uint_eq(stage.rooms, 0);
	stage_ack_all(&stage);
	stage_expect_released(first, 0);
	ck_assert_uint_eq(stage.rooms, 1);
	ck_assert_int_eq(stage_send(second, 1), 0);
	stage_finish(second);
	stage_flush(&stage);
	stage_ack_all(&stage);
	stage_expect_released(second, 0);
	ck_assert_uint_eq(stage.rooms, 1);
}
END_TEST

/* The kernel is out of memory for a second: tried again in measured steps. */
START_TEST(shortage_of_memory_does_not_spin)
{
	struct stage_request *request;

	stage_open(&stage);
	fake_socket_fail(stage.sock, FAKE_SENDMSG, 1, 1000000, _i ? ENOMEM : ENOBUFS);
	request = stage_sent(&stage, 100);
	stage_wait_ms(&stage, 1000);
	ck_assert_uint_le(stage_report(&stage).calls[FAKE_SENDMSG], 450);
	ck_assert_uint_ge(stage_report(&stage).calls[FAKE_SENDMSG], 10);
	stage_expect_unreleased(request);
	ck_assert_uint_eq(stage.aborts, 0);
	ck_assert_int_eq(zcreq_conn_abort(stage.conn, -EIO), 0);
	stage_run(&stage);
	stage_expect_released(request, -EIO);
}
END_TEST

START_TEST(a_peer_that_has_ended_its_direction_still_gets_all)
{
	struct stage_request *request;

	stage_open(&stage);
	fake_socket_peer_fin(stage.sock);
	request = stage_sent(&stage, 100);
	ck_assert_int_eq(zcreq_process(stage.conn, POLLIN | 0x2000), 0);
	stage_turn(&stage);
	stage_ack_all(&stage);
	stage_expect_released(request, 0);
	ck_assert_int_eq(zcreq_conn_drain(stage.conn, 0), 0);
	stage_run(&stage);
	ck_assert_uint_eq(stage.closes, 0); /* it owes the acknowledgement of our end */
	stage_ack_all(&stage);
	stage_wait_ms(&stage, 1);
	ck_assert_uint_eq(stage.closes, 1);
	ck_assert_int_eq(stage.closed_status, 0);
	ck_assert(!stage_report(&stage).reset_sent);
}
END_TEST

START_TEST(the_user_timeout_is_handed_to_the_kernel)
{
	struct stage_request *request;

	stage.options.user_timeout_ms = 3000;
	stage_open(&stage);
	ck_assert_uint_eq(stage_report(&stage).user_timeout_ms, 3000);
	request = stage_sent(&stage, 100);
	fake_socket_vanish(stage.sock);
	stage_wait_ms(&stage, 2800);
	stage_expect_unreleased(request);
	stage_wait_ms(&stage, 500);
	stage_expect_released(request, -ETIMEDOUT);
}
END_TEST

/* A kernel before 5.4 does not tell its peer's window; one before 4.6 much less. */
START_TEST(old_kernels_are_judged_right)
{
	static const size_t known[] = { 104, 148, 192, 224, sizeof(struct tcp_info) };
	struct stage_request *request;
	bool vanished = _i % 2;

	stage.knobs.tcp_info_bytes = known[_i / 2];
	stage.options.stall_ms = 1000;
	stage_open(&stage);
	fake_socket_window(stage.sock, vanished ? FAKE_NEVER : 0);
	if (vanished)
		fake_socket_vanish(stage.sock);
	request = stage_sent(&stage, 100);
	stage_wait_ms(&stage, 1100);
	ck_assert_uint_eq(stage.aborts, vanished);
	stage_wait_ms(&stage, 600000);
	ck_assert_uint_eq(stage.aborts, vanished);
	ck_assert_uint_eq(request->released, vanished);
}
END_TEST

/* A peer that does not read but answers is alive: for as long as it takes, also if
 * an answer is a round trip away, or is left out for coming too soon. */
START_TEST(not_reading_is_never_taken_for_vanished)
{
	static const uint64_t rtts_ms[] = { 0, 1, 30, 150 };
	struct stage_request *request;

	stage.options.stall_ms = 500 + 1000 * (uint32_t)(_i % 4);
	stage.knobs.rtt_ms = rtts_ms[_i / 4 % 4];
	stage.knobs.probe_limit_ms = _i < 16 ? 0 : 500;
	stage_open(&stage);
	fake_socket_window(stage.sock, 0);
	request = stage_sent(&stage, 1000);
	stage_wait_ms(&stage, 400000);
	ck_assert_uint_eq(stage.aborts, 0);
	ck_assert_int_eq(stage.verdict, ZCREQ_STALL_NOT_READING);
	ck_assert_uint_eq(stage_stats(&stage).stalled_not_reading, 1);
	fake_socket_window(stage.sock, FAKE_NEVER);
	stage_ack_all(&stage);
	stage_expect_released(request, 0);
}
END_TEST

START_TEST(not_reading_has_a_limit_of_its_own)
{
	struct stage_request *request;

	stage.options.stall_ms = 1000;
	stage.options.not_reading_ms = 30000;
	stage_open(&stage);
	fake_socket_window(stage.sock, 0);
	request = stage_sent(&stage, 1000);
	stage_wait_ms(&stage, 29900);
	ck_assert_uint_eq(stage.aborts, 0);
	/* The first look has nothing to compare with: one stall_ms more at most. */
	stage_wait_ms(&stage, 1200);
	ck_assert_int_eq(stage.abort_status, -ETIME);
	stage_expect_released(request, -ETIME);
}
END_TEST

/* Slow but alive: what moves, or is heard, is left alone. */
START_TEST(slow_is_not_vanished)
{
	struct stage_request *request;
	int i;

	stage.options.stall_ms = 1000;
	stage_open(&stage);
	request = stage_sent(&stage, 10000);
	for (i = 0; i < 100; i++) {
		stage_wait_ms(&stage, 900);
		if (_i)
			fake_socket_ack(stage.sock, 1);
		else
			fake_socket_hear(stage.sock);
	}
	ck_assert_uint_eq(stage.aborts, 0);
	stage_ack_all(&stage);
	stage_expect_released(request, 0);
}
END_TEST

/* A little is read each second: that is neither not reading nor vanished. */
START_TEST(slow_readers_are_left_alone)
{
	struct stage_request *request;
	int i;

	stage.options.mode = _i ? ZCREQ_MODE_NEVER : ZCREQ_MODE_ALWAYS;
	stage.options.stall_ms = 500;
	stage.options.not_reading_ms = 3000;
	stage.knobs.sndbuf_bytes = 20000;
	stage_open(&stage);
	fake_socket_window(stage.sock, 0);
	request = stage_sent(&stage, 200000);
	for (i = 0; i < 60; i++) {
		fake_socket_window(stage.sock, 2000);
		fake_socket_window(stage.sock, 0);
		fake_socket_ack(stage.sock, 2000);
		stage_wait_ms(&stage, 900);
	}
	ck_assert_uint_eq(stage.aborts, 0);
	fake_socket_window(stage.sock, FAKE_NEVER);
	stage_ack_all(&stage);
	stage_expect_released(request, 0);
}
END_TEST

/* An idle connection to a vanished peer costs nothing and is nobody's business. */
START_TEST(idle_connections_are_not_watched)
{
	stage.options.stall_ms = 1000;
	stage_open(&stage);
	stage_sent(&stage, 100);
	stage_ack_all(&stage);
	fake_socket_vanish(stage.sock);
	stage_wait_ms(&stage, 3000);
	ck_assert_uint_eq(stage.deadline_ns, ZCREQ_NEVER);
	ck_assert_uint_eq(stage.aborts + stage.stalls, 0);
}
END_TEST

/* The watchdog costs nothing per send and little per look. */
START_TEST(the_watchdog_asks_seldom)
{
	uint64_t before;

	stage.options.stall_ms = 1000;
	stage_open(&stage);
	fake_socket_window(stage.sock, 0);
	stage_sent(&stage, 100);
	before = stage_report(&stage).calls[FAKE_GETSOCKOPT];
	stage_wait_ms(&stage, 60000);
	ck_assert_uint_le(stage_report(&stage).calls[FAKE_GETSOCKOPT] - before, 200);
}
END_TEST

struct refusal {
	int type;
	int protocol;
	int open_error;
	int zerocopy_refused;
	bool unconnected;
	int expected;
};

static const struct refusal refusals[] = {
	{ .open_error = EBADF, .expected = -EBADF },
	{ .open_error = ENOTSOCK, .expected = -ENOTSOCK },
	{ .type = SOCK_DGRAM, .protocol = IPPROTO_UDP, .expected = -EPROTOTYPE },
	{ .type = SOCK_STREAM, .protocol = 262, .expected = -EPROTONOSUPPORT },
	{ .type = SOCK_STREAM, .protocol = 0, .expected = -EPROTONOSUPPORT },
	{ .unconnected = true, .expected = -ENOTCONN },
	{ .zerocopy_refused = EOPNOTSUPP, .expected = -EOPNOTSUPP },
};
#define REFUSALS (int)(sizeof(refusals) / sizeof(refusals[0]))

/* And the descriptor stays the caller's. */
START_TEST(open_refuses_what_is_no_connected_tcp_socket)
{
	const struct refusal *refusal = &refusals[_i];
	struct zcreq_conn *none = NULL;

	stage_open(&stage);
	if (refusal->type) {
		stage.knobs.type = refusal->type;
		stage.knobs.protocol = refusal->protocol;
	}
	stage.knobs.open_error = refusal->open_error;
	stage.knobs.zerocopy_refused = refusal->zerocopy_refused;
	stage.knobs.connected = !refusal->unconnected;
	stage.sock = fake_socket_new(stage.kernel, &stage.knobs);
	stage.options.fd = fake_socket_fd(stage.sock);
	stage.options.socket_arg = stage.sock;
	if (refusal->zerocopy_refused) /* a sender does without */
		stage.options.sender = NULL;
	ck_assert_int_eq(zcreq_stream_open(stage.context, &stage.options, &none),
			 refusal->expected);
	ck_assert_ptr_null(none);
	ck_assert(!stage_report(&stage).closed);
	ck_assert_int_eq(fake_socket_ops.close(fake_socket_fd(stage.sock), stage.sock), 0);
}
END_TEST

START_TEST(auto_copies_where_zerocopy_is_refused)
{
	struct stage_request *request;

	stage.options.mode = ZCREQ_MODE_AUTO;
	stage.knobs.zerocopy_refused = EOPNOTSUPP;
	stage_open(&stage);
	request = stage_sent(&stage, 50000);
	stage_run(&stage);
	stage_expect_released(request, 0);
	ck_assert_uint_eq(stage_report(&stage).zerocopy_sends, 0);
}
END_TEST

/* What does not fit a kernel's record of ids, and what does, in every mode. */
START_TEST(the_threshold_is_exact)
{
	stage.options.mode = ZCREQ_MODE_AUTO;
	stage.options.threshold_bytes = _i ? 5000 : 0;
	stage_open(&stage);
	stage_sent(&stage, _i ? 4999 : 65535);
	ck_assert_uint_eq(stage_report(&stage).zerocopy_sends, 0);
	stage_sent(&stage, _i ? 5000 : 65536);
	ck_assert_uint_eq(stage_report(&stage).zerocopy_sends, 1);
	stage_ack_all(&stage);
}
END_TEST

/* A drain closes in order: no reset, all bytes there, and no sooner. */
START_TEST(drain_sends_all_that_is_queued)
{
	struct stage_request *request;

	stage.knobs.sndbuf_bytes = 1000;
	stage_open(&stage);
	request = stage_request(&stage, 100000);
	ck_assert_int_eq(zcreq_write(stage.conn, "the end", 7), 0);
	ck_assert_int_eq(zcreq_conn_drain(stage.conn, 0), 0);
	stage_flush(&stage);
	ck_assert_uint_eq(stage.closes, 0);
	stage_ack_all(&stage);
	stage_expect_released(request, 0);
	ck_assert_uint_eq(stage.closes, 1);
	ck_assert_int_eq(stage.closed_status, 0);
	ck_assert_uint_eq(stage_report(&stage).acked_bytes, 100007);
	ck_assert(!stage_report(&stage).reset_sent);
	ck_assert_uint_eq(stage_report(&stage).calls[FAKE_DISCONNECT], 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("limits");
	TCase *tcase = tcase_create("claims");

	tcase_set_timeout(tcase, 30);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, abort_reads_past_any_number_of_messages, 0, 7);
	tcase_add_loop_test(tcase, a_flood_of_messages_delays_nobody_for_ever, 0, 7);
	tcase_add_loop_test(tcase, abort_of_100000_sends_is_linear, 0, 4);
	tcase_add_loop_test(tcase, the_steady_state_allocates_nothing, 0, 2);
	tcase_add_test(tcase, writes_in_flight_keep_their_bytes);
	tcase_add_test(tcase, a_send_larger_than_the_limit_fits_alone);
	tcase_add_loop_test(tcase, shortage_of_memory_does_not_spin, 0, 2);
	tcase_add_test(tcase, a_peer_that_has_ended_its_direction_still_gets_all);
	tcase_add_test(tcase, the_user_timeout_is_handed_to_the_kernel);
	tcase_add_loop_test(tcase, old_kernels_are_judged_right, 0, 10);
	tcase_add_test(tcase, the_watchdog_asks_seldom);
	tcase_add_loop_test(tcase, not_reading_is_never_taken_for_vanished, 0, 32);
	tcase_add_test(tcase, not_reading_has_a_limit_of_its_own);
	tcase_add_loop_test(tcase, slow_is_not_vanished, 0, 2);
	tcase_add_test(tcase, idle_connections_are_not_watched);
	tcase_add_loop_test(tcase, slow_readers_are_left_alone, 0, 2);
	tcase_add_loop_test(tcase, open_refuses_what_is_no_connected_tcp_socket, 0, REFUSALS);
	if (!stage_sends) /* a sender needs no SO_ZEROCOPY */
		tcase_add_test(tcase, auto_copies_where_zerocopy_is_refused);
	tcase_add_loop_test(tcase, the_threshold_is_exact, 0, 2);
	tcase_add_test(tcase, drain_sends_all_that_is_queued);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
