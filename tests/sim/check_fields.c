/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * check_fields.c - bugs that others shipped, one test per line of doc/field-cases.md
 *
 * Each is staged on the fake kernel as it happened there; doc/field-cases.md says what
 * went wrong and where else it is tested. Those about ids, ranges and the error queue
 * are in check_fields_errqueue.c.
 */
#include <errno.h>
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

/* The host vanishes in the middle of C2HData: nothing but the watchdog notices. */
START_TEST(field_spdk_3309)
{
	struct stage_request *requests[50];
	uint64_t gone_ms;
	int i;

	stage.options.stall_ms = 2000;
	stage.knobs.cwnd_bytes = 20000;
	stage.knobs.sndbuf_bytes = 100000;
	stage_open(&stage);
	fake_socket_vanish(stage.sock);
	for (i = 0; i < 50; i++)
		requests[i] = stage_sent(&stage, 4096);
	stage_tick(&stage);
	gone_ms = fake_kernel_now_ms(stage.kernel);
	while (!stage.aborts) {
		stage_wait_ms(&stage, 1);
		ck_assert_uint_le(fake_kernel_now_ms(stage.kernel) - gone_ms, 2050);
	}
	ck_assert_int_eq(stage.abort_status, -ETIMEDOUT);
	ck_assert_int_eq(stage.verdict, ZCREQ_STALL_VANISHED);
	/* No timer from here on: what is not released now is stuck. */
	for (i = 0; i < 50; i++)
		stage_expect_released(requests[i], -ETIMEDOUT);
	ck_assert_uint_eq(stage.closes, 1);
	ck_assert_uint_eq(stage_stats(&stage).connections_now, 0);
	ck_assert_uint_eq(fake_kernel_open_sockets(stage.kernel), 0);
}
END_TEST

/* The same, noticed by the caller (its keep-alive expires): no timer, no poll, no time. */
START_TEST(field_spdk_3309_keep_alive)
{
	struct stage_request *requests[50];
	unsigned before;
	int i;

	stage.knobs.cwnd_bytes = 20000;
	stage.knobs.sndbuf_bytes = 100000;
	stage_open(&stage);
	fake_socket_vanish(stage.sock);
	for (i = 0; i < 50; i++)
		requests[i] = stage_sent(&stage, 4096);
	ck_assert_int_eq(zcreq_conn_abort(stage.conn, -ETIMEDOUT), 0);
	before = stage.callbacks;
	stage_turn(&stage);
	ck_assert_uint_gt(stage.callbacks - before, 100);
	for (i = 0; i < 50; i++)
		stage_expect_released(requests[i], -ETIMEDOUT);
	ck_assert_uint_eq(fake_kernel_open_sockets(stage.kernel), 0);
}
END_TEST

/* The disconnect path completes the request, then the late write callback does. */
static void disconnect_then_late_callback(void)
{
	struct stage_request *request;
	zcreq_hold hold;

	stage_open(&stage);
	request = stage_begin(&stage);
	ck_assert_int_eq(zcreq_take(stage.context, request->id, &hold), 0);
	ck_assert_int_eq(zcreq_conn_abort(stage.conn, -ECONNRESET), 0);
	stage_run(&stage);
	ck_assert_uint_eq(request->settled, 1);
	stage_expect_unreleased(request);
	ck_assert_int_eq(zcreq_drop(stage.context, hold, -ECONNRESET), 0);
	stage_run(&stage);
	stage_expect_released(request, -ECONNRESET);
	ck_assert_int_eq(zcreq_drop(stage.context, hold, 0), -ESTALE);
	ck_assert_int_eq(zcreq_finish(stage.context, request->id, 0), -ESTALE);
	stage_run(&stage);
	ck_assert_uint_eq(stage_stats(&stage).stale_handles, 2);
	ck_assert_uint_eq(request->released, 1);
}

START_TEST(field_spdk_2445)
{
	disconnect_then_late_callback();
}
END_TEST

START_TEST(field_spdk_1685)
{
	struct stage_request *request;

	stage_open(&stage);
	request = stage_sent(&stage, 1000);
	ck_assert_int_eq(zcreq_finish(stage.context, request->id, 0), -ESTALE);
	ck_assert_int_eq(zcreq_finish(stage.context, request->id, -EIO), -ESTALE);
	stage_ack_all(&stage);
	stage_expect_released(request, 0);
	ck_assert_int_eq(zcreq_finish(stage.context, request->id, 0), -ESTALE);
	ck_assert_uint_eq(stage_stats(&stage).stale_handles, 3);
}
END_TEST

/* The last part of a request is below the threshold and copied. */
START_TEST(field_spdk_3610)
{
	struct stage_request *request;

	stage.options.mode = ZCREQ_MODE_AUTO;
	stage.options.threshold_bytes = 4096;
	stage_open(&stage);
	request = stage_begin(&stage);
	ck_assert_int_eq(stage_send(request, 8192), 0);
	stage_flush(&stage);
	ck_assert_int_eq(stage_send(request, 100), 0);
	stage_flush(&stage);
	stage_finish(request);
	stage_run(&stage);
	ck_assert_uint_eq(stage_report(&stage).zerocopy_sends, 1);
	ck_assert_uint_eq(stage_report(&stage).copied_sends, 1);
	stage_expect_unreleased(request);
	ck_assert_uint_eq(request->settled, 0);
	fake_socket_ack(stage.sock, 8191);
	stage_run(&stage);
	stage_expect_unreleased(request);
	stage_ack_all(&stage);
	stage_expect_released(request, 0);
}
END_TEST

/* A listener stops: whichever way a connection is closed, proof comes first. */
START_TEST(field_spdk_3760)
{
	struct stage_request *request;

	stage.knobs.qdisc_bytes = FAKE_NEVER;
	stage.knobs.qdisc_ms = 720;
	stage.options.user_timeout_ms = 1000;
	stage.options.stall_ms = 1000;
	stage_open(&stage);
	request = stage_sent(&stage, 5000);
	fake_socket_vanish(stage.sock);
	if (_i == 0) {
		zcreq_conn_free(stage.conn);
		stage.conn = NULL;
	} else if (_i == 1) {
		ck_assert_int_eq(zcreq_conn_abort(stage.conn, -ESHUTDOWN), 0);
	} else if (_i == 2) {
		ck_assert_int_eq(zcreq_conn_drain(stage.conn, 1), 0);
	} else if (_i == 3) {
		fake_socket_kill(stage.sock, ECONNRESET);
	}
	stage_wait_ms(&stage, 600);
	stage_expect_unreleased(request);
	ck_assert_uint_eq(fake_kernel_open_sockets(stage.kernel), 1);
	stage_wait_ms(&stage, 1500);
	ck_assert_uint_eq(request->released, 1);
	ck_assert_int_lt(request->released_status, 0);
	ck_assert_uint_eq(stage_report(&stage).closed_holding_bytes, 0);
	ck_assert_uint_eq(stage_report(&stage).closed_unproven_bytes, 0);
	ck_assert_uint_eq(fake_kernel_open_sockets(stage.kernel), 0);
}
END_TEST

/* Aborted sends reported as done: the notifications of a death are no success. */
START_TEST(field_spdk_3760_success)
{
	struct stage_request *request;

	stage_open(&stage);
	request = stage_sent(&stage, 5000);
	fake_socket_kill(stage.sock, ECONNRESET);
	stage_run(&stage);
	stage_expect_released(request, -ECONNRESET);
}
END_TEST

static void die_inside(struct fake_socket *sock, enum fake_call call, void *arg)
{
	(void)arg;
	if (call == FAKE_RECVMSG)
		fake_socket_kill(sock, ECONNRESET);
}

/* The same when the reset arrives after poll(2) has answered. */
START_TEST(field_spdk_3760_race)
{
	struct stage_request *first, *second;

	stage_open(&stage);
	first = stage_sent(&stage, 5000);
	second = stage_sent(&stage, 5000);
	fake_socket_ack(stage.sock, 5000);
	fake_socket_set_hook(stage.sock, die_inside, NULL);
	stage_run(&stage);
	ck_assert_uint_eq(first->released, 1);
	stage_expect_released(second, -ECONNRESET);
}
END_TEST

/* ECANCELED at once, the buffers when the kernel has let go, the descriptor last. */
START_TEST(field_spdk_abort_requests)
{
	struct stage_request *request;

	stage.knobs.qdisc_bytes = FAKE_NEVER;
	stage_open(&stage);
	request = stage_sent(&stage, 5000);
	ck_assert_int_eq(zcreq_conn_abort(stage.conn, -ECANCELED), 0);
	stage_run(&stage);
	ck_assert_uint_eq(request->settled, 1);
	ck_assert_int_eq(request->settled_status, -ECANCELED);
	stage_expect_unreleased(request);
	ck_assert_uint_eq(fake_kernel_open_sockets(stage.kernel), 1);
	fake_socket_let_go(stage.sock, 1);
	stage_wait_ms(&stage, 50);
	stage_expect_released(request, -ECANCELED);
	ck_assert_uint_eq(fake_kernel_open_sockets(stage.kernel), 0);
}
END_TEST

/* A flush that took a part is neither failure nor success: cut at every byte. */
START_TEST(field_spdk_3664)
{
	struct stage_request *requests[4];
	struct iovec iov[3];
	uint8_t memory[30];
	zcreq_id id;
	size_t len;
	int i;

	for (i = 0; i < 30; i++)
		memory[i] = (uint8_t)('a' + i);
	stage_open(&stage);
	for (i = 0; i < 4; i++)
		requests[i] = stage_request(&stage, 7);
	id = stage_begin(&stage)->id;
	iov[0] = (struct iovec){ memory, 10 };
	iov[1] = (struct iovec){ memory + 10, 0 };
	iov[2] = (struct iovec){ memory + 10, 20 };
	ck_assert_int_eq(zcreq_add(stage.context, id, iov, 3, 0),
			 0);
	ck_assert_int_eq(zcreq_finish(stage.context, id, 0), 0);
	fake_socket_knobs(stage.sock)->accept_once_bytes = (uint64_t)_i;
	stage_flush(&stage);
	ck_assert_int_eq(stage.aborts, 0);
	stage_ack_all(&stage);
	ck_assert_mem_eq(fake_socket_received(stage.sock, &len) + 28, memory, 30);
	ck_assert_uint_eq(len, 58);
	for (i = 0; i < 4; i++)
		stage_expect_released(requests[i], 0);
	ck_assert_uint_eq(stage_stats(&stage).released, 5);
}
END_TEST

/* ENOBUFS with nothing in flight (a small locked-memory limit): copy, do not wait. */
static void no_buffers_nothing_in_flight(void)
{
	struct stage_request *request;

	stage.knobs.locked_pages = 16;
	stage_open(&stage);
	request = stage_sent(&stage, 60 * 1024);
	ck_assert_uint_eq(stage_report(&stage).accepted_bytes, 60 * 1024);
	ck_assert_uint_eq(stage_report(&stage).zerocopy_sends, 0);
	stage_run(&stage);
	stage_expect_released(request, 0);
	ck_assert_uint_ge(stage_stats(&stage).no_buffers, 1);
	request = stage_sent(&stage, 50 * 1024);
	ck_assert_uint_eq(stage_report(&stage).zerocopy_sends, 1);
	stage_ack_all(&stage);
	stage_expect_released(request, 0);
}

/* ENOBUFS with something in flight: proof that is there already makes room. */
static void no_buffers_something_in_flight(void)
{
	struct stage_request *request = NULL;
	int i;

	stage.knobs.optmem_bytes = 20480;
	stage.knobs.coalesce = false; /* or 12 notifications take the memory of one */
	stage_open(&stage);
	for (i = 0; i < 24; i++)
		request = stage_sent(&stage, 100);
	ck_assert_uint_eq(stage_report(&stage).zerocopy_sends, 24);
	fake_socket_ack(stage.sock, 1200);
	request = stage_sent(&stage, 100);
	ck_assert_uint_eq(stage_report(&stage).zerocopy_sends, 25);
	for (i = 0; i < 30; i++)
		request = stage_sent(&stage, 100);
	ck_assert_uint_eq(stage_report(&stage).accepted_bytes, 5500);
	stage_ack_all(&stage);
	stage_expect_released(request, 0);
	ck_assert_uint_eq(stage_stats(&stage).requests_now, 0);
}

START_TEST(field_spdk_1592)
{
	no_buffers_nothing_in_flight();
}
END_TEST

START_TEST(field_grpc_29961)
{
	no_buffers_something_in_flight();
}
END_TEST

/* Every zero-copy send is refused, for ever: the stream goes on. */
START_TEST(field_grpc_30320)
{
	struct stage_request *request;
	int i;

	stage.knobs.zerocopy_error = ENOBUFS;
	stage_open(&stage);
	for (i = 0; i < 100; i++) {
		request = stage_sent(&stage, 1000);
		stage_run(&stage);
		stage_expect_released(request, 0);
	}
	ck_assert_uint_eq(stage_report(&stage).accepted_bytes, 100000);
}
END_TEST

/* The writer that met ENOBUFS is woken although no notification will ever come. */
START_TEST(field_grpc_31150)
{
	struct stage_request *request;

	stage_open(&stage);
	fake_socket_fail(stage.sock, FAKE_SENDMSG, 1, 2, ENOBUFS);
	request = stage_sent(&stage, 1000);
	stage_wait_ms(&stage, 100);
	stage_ack_all(&stage);
	stage_expect_released(request, 0);
	ck_assert_uint_eq(stage.aborts, 0);
}
END_TEST

START_TEST(field_kestrel_21)
{
	if (_i)
		no_buffers_nothing_in_flight();
	else
		no_buffers_something_in_flight();
}
END_TEST

/* Waiting for ever is wrong, and so is releasing after 5 minutes: quarantine. */
START_TEST(field_folly_drain)
{
	struct stage_request *request;

	stage.knobs.qdisc_bytes = FAKE_NEVER;
	stage.options.linger_ms = 3000;
	stage_open(&stage);
	request = stage_sent(&stage, 5000);
	fake_socket_vanish(stage.sock);
	ck_assert_int_eq(zcreq_conn_abort(stage.conn, -ETIMEDOUT), 0);
	stage_wait_ms(&stage, 2900);
	ck_assert_uint_eq(request->quarantined, 0);
	stage_wait_ms(&stage, 200);
	ck_assert_uint_eq(request->quarantined, 1);
	ck_assert_int_eq(zcreq_request_state(stage.context, request->id),
			 ZCREQ_STATE_QUARANTINED);
	ck_assert_int_eq(zcreq_conn_state(stage.conn), ZCREQ_CONN_QUARANTINED);
	ck_assert_uint_eq(stage_stats(&stage).quarantined_now, 1);
	ck_assert_uint_eq(stage_stats(&stage).quarantined_bytes_now, 5000);
	stage_wait_ms(&stage, 600000);
	stage_expect_unreleased(request);
	ck_assert_uint_eq(fake_kernel_open_sockets(stage.kernel), 1);
	fake_socket_let_go(stage.sock, 1);
	stage_wait_ms(&stage, 1100);
	stage_expect_released(request, -ETIMEDOUT);
	ck_assert_uint_eq(stage_stats(&stage).quarantined_now, 0);
	ck_assert_uint_eq(stage_stats(&stage).quarantined_bytes_now, 0);
}
END_TEST

/* The end has a deadline, and until then the loop sleeps. */
START_TEST(field_grpc_shutdown)
{
	struct stage_request *request;
	uint64_t calls;
	unsigned ticks;

	stage_open(&stage);
	request = stage_sent(&stage, 5000);
	fake_socket_vanish(stage.sock);
	stage_tick(&stage);
	ck_assert_int_eq(zcreq_conn_drain(stage.conn, 3000), 0);
	stage_tick(&stage);
	calls = stage_report(&stage).calls[FAKE_RECVMSG];
	ck_assert_uint_eq(stage.deadline_ns, stage.now_ns + 3000000000);
	ticks = stage.ticks;
	stage_wait_ms(&stage, 2990);
	ck_assert_uint_le(stage.ticks - ticks, 62); /* the stage itself wakes each 50 ms */
	ck_assert_uint_eq(stage_report(&stage).calls[FAKE_RECVMSG], calls);
	ck_assert_uint_eq(stage.aborts, 0);
	stage_wait_ms(&stage, 10);
	ck_assert_int_eq(stage.abort_status, -ETIMEDOUT);
	stage_expect_released(request, -ETIMEDOUT);
	ck_assert_uint_eq(stage.closes, 1);
}
END_TEST

/* The peer is gone behind a closed window: descriptor and slab are bounded in time. */
START_TEST(field_ioxide_245)
{
	struct stage_request *request;

	stage.options.stall_ms = 1000;
	stage_open(&stage);
	fake_socket_window(stage.sock, _i ? 0 : FAKE_NEVER);
	request = stage_sent(&stage, 5000);
	fake_socket_vanish(stage.sock);
	stage_wait_ms(&stage, _i ? 4000 : 1050);
	stage_expect_released(request, -ETIMEDOUT);
	ck_assert_uint_eq(fake_kernel_open_sockets(stage.kernel), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fields");
	TCase *tcase = tcase_create("field cases");

	tcase_set_timeout(tcase, 30);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, field_spdk_3309);
	tcase_add_test(tcase, field_spdk_3309_keep_alive);
	tcase_add_test(tcase, field_spdk_2445);
	tcase_add_test(tcase, field_spdk_1685);
	tcase_add_test(tcase, field_spdk_3610);
	tcase_add_loop_test(tcase, field_spdk_3760, 0, 5);
	tcase_add_test(tcase, field_spdk_3760_success);
	if (!stage_sends) /* poll(2) is not asked for a sender's proof */
		tcase_add_test(tcase, field_spdk_3760_race);
	tcase_add_test(tcase, field_spdk_abort_requests);
	tcase_add_loop_test(tcase, field_spdk_3664, 1, 59);
	tcase_add_test(tcase, field_spdk_1592);
	tcase_add_test(tcase, field_grpc_29961);
	tcase_add_test(tcase, field_grpc_30320);
	tcase_add_test(tcase, field_grpc_31150);
	tcase_add_loop_test(tcase, field_kestrel_21, 0, 2);
	tcase_add_test(tcase, field_folly_drain);
	tcase_add_test(tcase, field_grpc_shutdown);
	tcase_add_loop_test(tcase, field_ioxide_245, 0, 2);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
