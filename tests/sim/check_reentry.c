/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * check_reentry.c - anything from inside any callback; anything failing at any step
 *
 * One story that brings every callback there is; in each of them, in turn, each
 * thing that a caller may do. Then a plain story in which one system call, or one
 * allocation, fails: for every call and every n. What must hold afterwards is
 * always the same, and stage_deinit() checks it.
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

static const char *const events[] = { "settled", "released", "aborting", "quarantined", "abort",
				      "closed",  "room",     "stalled",  "message" };
#define EVENTS (int)(sizeof(events) / sizeof(events[0]))

static bool is_open(void)
{
	return stage.conn && zcreq_conn_state(stage.conn) == ZCREQ_CONN_OPEN;
}

static void act_abort(struct stage_request *request)
{
	(void)request;
	(void)zcreq_conn_abort(stage.conn, -EINTR);
}

static void act_free(struct stage_request *request)
{
	struct zcreq_conn *conn = stage.conn;

	(void)request;
	stage.conn = NULL;
	zcreq_conn_free(conn);
}

static void act_begin_send(struct stage_request *request)
{
	struct stage_request *another;

	(void)request;
	if (!is_open())
		return;
	another = stage_begin(&stage);
	(void)!stage_send(another, 30);
	stage_finish(another);
}

static void act_flush(struct stage_request *request)
{
	act_begin_send(request);
	zcreq_turn(stage.context, 0);
}

static void act_process(struct stage_request *request)
{
	(void)request;
	(void)zcreq_process(stage.conn, POLLERR | POLLOUT);
}

static void act_hang_up(struct stage_request *request)
{
	(void)request;
	fake_socket_kill(stage.sock, ECONNRESET);
	(void)zcreq_process(stage.conn, POLLERR | POLLHUP | POLLOUT);
}

static void act_tick(struct stage_request *request)
{
	(void)request;
	fake_kernel_advance_ms(stage.kernel, 10000);
	zcreq_turn(stage.context, fake_kernel_now_ms(stage.kernel) * 1000000);
}

/* Makes everything due that can be, and then takes the connection away. */
static void act_stir_and_free(struct stage_request *request)
{
	fake_socket_post_icmp(stage.sock, 10, 0);
	act_process(request);
	act_flush(request);
	act_free(request);
}

static void act_turn(struct stage_request *request)
{
	unsigned before = stage.callbacks;

	(void)request;
	zcreq_turn(stage.context, 0);
	ck_assert_uint_eq(stage.callbacks, before);
}

static void act_drain(struct stage_request *request)
{
	(void)request;
	(void)zcreq_conn_drain(stage.conn, 0);
}

static void act_context_free(struct stage_request *request)
{
	(void)request;
	ck_assert_int_eq(zcreq_context_free(stage.context), -EBUSY);
}

static void act_abort_request(struct stage_request *request)
{
	struct stage_request *each;

	(void)request;
	for (each = stage.requests; each; each = each->next)
		(void)!zcreq_abort(stage.context, each->id, -EINTR);
}

static void act_use_handle(struct stage_request *request)
{
	char text[64];
	zcreq_hold hold;

	if (!request)
		return;
	(void)zcreq_request_explain(stage.context, request->id, ZCREQ_TEXT, text, sizeof(text));
	if (zcreq_take(stage.context, request->id, &hold) == 0)
		ck_assert_int_eq(zcreq_drop(stage.context, hold, -EIO), 0);
	if (request->released) {
		ck_assert_int_eq(zcreq_finish(stage.context, request->id, 0), -ESTALE);
		ck_assert_int_eq(zcreq_request_state(stage.context, request->id), -ESTALE);
	}
}

static void (*const actions[])(struct stage_request *request) = {
	act_abort,   act_free,     act_begin_send, act_flush,        act_process,       act_hang_up,
	act_tick,    act_turn,     act_drain,      act_context_free, act_abort_request, act_use_handle,
	act_stir_and_free,
};
#define ACTIONS (int)(sizeof(actions) / sizeof(actions[0]))

static int wanted_event, wanted_action;
static unsigned acted;

static void on_event(struct stage *on, const char *name, struct stage_request *request)
{
	(void)on;
	ck_assert_msg(request || stage.conn, "%s after free", name);
	if (strcmp(name, events[wanted_event]) || acted >= 3)
		return;
	acted++;
	actions[wanted_action](request);
}

static void send_if_open(size_t len, bool finish)
{
	struct stage_request *request;

	if (!is_open())
		return;
	request = stage_begin(&stage);
	(void)!stage_send(request, len);
	if (finish)
		stage_finish(request);
	stage_turn(&stage);
}

/* Brings every callback, if nobody ends it before. */
static void story(void)
{
	stage.knobs.qdisc_bytes = FAKE_NEVER;
	stage.options.limit_bytes = 300;
	stage.options.stall_ms = 500;
	stage.options.linger_ms = 300;
	stage_open(&stage);
	stage.on_event = on_event;
	send_if_open(100, true);
	send_if_open(100, false);
	send_if_open(200, true);
	fake_socket_post_icmp(stage.sock, 10, 0);
	stage_run(&stage);
	fake_socket_ack(stage.sock, FAKE_NEVER);
	stage_run(&stage);
	fake_socket_window(stage.sock, 0);
	send_if_open(50, true);
	stage_wait_ms(&stage, 600);
	fake_socket_window(stage.sock, 20);
	if (stage.conn)
		(void)zcreq_conn_abort(stage.conn, -ECONNABORTED);
	stage_wait_ms(&stage, 400);
	fake_socket_let_go(stage.sock, 100);
	stage_wait_ms(&stage, 1200);
}

START_TEST(conform_callbacks_may_do_anything)
{
	wanted_event = _i / ACTIONS;
	wanted_action = _i % ACTIONS;
	acted = 0;
	story();
	ck_assert_msg(acted, "the story has no %s", events[wanted_event]);
}
END_TEST

/* A callback that always begins new work cannot keep the program in a turn. */
static void begin_again(struct stage *on, const char *name, struct stage_request *request)
{
	struct stage_request *another;

	(void)request;
	if (strcmp(name, "released") || acted++ > 100000)
		return;
	another = stage_begin(on);
	stage_finish(another);
}

START_TEST(a_turn_is_bounded)
{
	acted = 0;
	stage_open(&stage);
	stage.on_event = begin_again;
	stage_finish(stage_begin(&stage));
	ck_assert(stage_turn(&stage));
	ck_assert_uint_lt(acted, 10000);
	stage_tick(&stage);
	ck_assert_uint_le(stage.deadline_ns, stage.now_ns);
	stage.on_event = NULL;
	stage_run(&stage);
}
END_TEST

static void turn_inside(struct stage *on, const char *name, struct stage_request *request)
{
	unsigned before = on->callbacks;

	(void)request;
	if (strcmp(name, "released") || acted++)
		return;
	stage_finish(stage_begin(on));
	zcreq_turn(on->context, 0);
	ck_assert_int_eq(zcreq_process(on->conn, POLLERR), 0);
	zcreq_turn(on->context, on->now_ns);
	ck_assert_uint_eq(on->callbacks, before);
}

START_TEST(callbacks_are_one_level_deep)
{
	int i;

	acted = 0;
	stage_open(&stage);
	stage.on_event = turn_inside;
	for (i = 0; i < 10; i++)
		stage_finish(stage_begin(&stage));
	ck_assert(!stage_turn(&stage));
	ck_assert_uint_eq(stage_stats(&stage).released, 11);
}
END_TEST

/* An owner that finishes after the deadline finds its request in quarantine too. */
START_TEST(a_late_finish_goes_to_quarantine)
{
	struct stage_request *request;

	stage.knobs.qdisc_bytes = FAKE_NEVER;
	stage.options.linger_ms = 300;
	stage_open(&stage);
	request = stage_begin(&stage);
	request->finish_when_aborting = false;
	ck_assert_int_eq(stage_send(request, 100), 0);
	stage_flush(&stage);
	ck_assert_int_eq(zcreq_conn_abort(stage.conn, -EIO), 0);
	stage_wait_ms(&stage, 400);
	ck_assert_uint_eq(request->quarantined, 0);
	ck_assert_int_eq(zcreq_request_state(stage.context, request->id), ZCREQ_STATE_ABORTING);
	stage_finish(request);
	stage_run(&stage);
	ck_assert_uint_eq(request->quarantined, 1);
	ck_assert_uint_eq(stage_stats(&stage).quarantined_bytes_now, 100);
	fake_socket_let_go(stage.sock, 1);
	stage_wait_ms(&stage, 1100);
	stage_expect_released(request, -EIO);
}
END_TEST

/* Sends, partial sends, proof, an end; the end is an abort or a drain. */
static void plain_story(bool drain)
{
	int i;

	stage.knobs.accept_bytes = 70;
	stage.knobs.sndbuf_bytes = 400;
	stage.options.user_timeout_ms = 3000;
	stage.options.stall_ms = 1000;
	for (i = 0; i < 6; i++) {
		send_if_open(100, true);
		if (stage.conn)
			(void)!zcreq_write(stage.conn, "text", 4);
		stage_run(&stage);
		fake_socket_ack(stage.sock, 90);
		stage_wait_ms(&stage, 30);
	}
	if (!stage.conn)
		return;
	if (drain)
		(void)zcreq_conn_drain(stage.conn, 2000);
	else
		(void)zcreq_conn_abort(stage.conn, -ECONNABORTED);
	for (i = 0; i < 100 && !stage.closes; i++) {
		fake_socket_ack(stage.sock, 90);
		stage_wait_ms(&stage, 30);
	}
}

static const int errnos[] = { EINTR, ENOMEM, EAGAIN, EBUSY, ENOBUFS, EPIPE };
#define ERRNOS (int)(sizeof(errnos) / sizeof(errnos[0]))
#define NTH 9

static void expect_all_over(void)
{
	struct stage_request *request;

	for (request = stage.requests; request; request = request->next)
		ck_assert_uint_eq(request->released, 1);
	ck_assert_uint_eq(stage.closes, 1);
	ck_assert_uint_eq(stage_report(&stage).closed_unproven_bytes, 0);
}

START_TEST(any_failing_call_is_survived)
{
	enum fake_call call = (enum fake_call)(_i % FAKE_CALLS);
	int error = errnos[_i / FAKE_CALLS % ERRNOS];
	unsigned nth = 1 + (unsigned)(_i / FAKE_CALLS / ERRNOS);

	stage_open(&stage);
	fake_socket_fail(stage.sock, call, nth, 1, error);
	plain_story(nth % 2);
	expect_all_over();
}
END_TEST

/* EINTR wherever Linux has it, a few times in a row, changes nothing that can be seen. */
START_TEST(conform_interrupted_calls_are_made_again)
{
	static const enum fake_call calls[] = { FAKE_SENDMSG, FAKE_RECVMSG, FAKE_SHUTDOWN,
						FAKE_CLOSE };
	unsigned i;

	stage_open(&stage);
	for (i = 0; i < 5; i++)
		fake_socket_fail(stage.sock, calls[_i % 4], 1 + (unsigned)(_i / 4) + 3 * i, 2,
				 EINTR);
	plain_story(true);
	expect_all_over();
	ck_assert_int_eq(stage.closed_status, 0);
	ck_assert_uint_eq(stage.aborts, 0);
}
END_TEST

/* In the middle of an abort as well: no timer is needed to find the proof. */
START_TEST(an_interrupted_abort_needs_no_timer)
{
	static const enum fake_call calls[] = { FAKE_RECVMSG, FAKE_DISCONNECT };
	struct stage_request *first, *second;

	stage.knobs.coalesce = false;
	stage_open(&stage);
	first = stage_sent(&stage, 100);
	second = stage_sent(&stage, 100);
	fake_socket_ack(stage.sock, 100);
	fake_socket_fail(stage.sock, calls[_i % 2], 1 + (unsigned)_i / 2,
			 _i % 2 ? 1 : 3, EINTR);
	ck_assert_int_eq(zcreq_conn_abort(stage.conn, -EIO), 0);
	stage_run(&stage);
	ck_assert_uint_eq(first->released, 1);
	stage_expect_released(second, -EIO);
}
END_TEST

/* The n-th allocation fails, for every n; the caller sees -ENOMEM and loses nothing. */
START_TEST(conform_any_failing_allocation_is_survived)
{
	struct zcreq_context_options options = { .size = sizeof(options) };
	unsigned nth = 1 + (unsigned)_i / 2;
	int ret;

	options.allocator = &stage.fault.allocator;
	alloc_fault_arm(&stage.fault, nth, _i % 2 ? 1 : 3);
	while ((ret = zcreq_context_new(&options, &stage.context)))
		ck_assert_int_eq(ret, -ENOMEM);
	stage.sock = fake_socket_new(stage.kernel, &stage.knobs);
	stage.options.fd = fake_socket_fd(stage.sock);
	stage.options.socket_ops = &fake_socket_ops;
	stage.options.socket_arg = stage.sock;
	while ((ret = zcreq_stream_open(stage.context, &stage.options, &stage.conn)))
		ck_assert_int_eq(ret, -ENOMEM);
	for (int i = 0; i < 300; i++) {
		struct stage_request *request = calloc(1, sizeof(*request));

		ck_assert_ptr_nonnull(request);
		request->stage = &stage;
		request->conn = stage.conn;
		request->next = stage.requests;
		while ((ret = zcreq_begin(stage.conn, &stage_ops, request, 0, &request->id)))
			ck_assert_int_eq(ret, -ENOMEM);
		stage.requests = request;
		while ((ret = stage_send(request, 10)))
			ck_assert_int_eq(ret, -ENOMEM);
		while ((ret = zcreq_write(stage.conn, "write", 5)))
			ck_assert_int_eq(ret, -ENOMEM);
		stage_finish(request);
		if (i % 16 == 0)
			stage_flush(&stage);
	}
	fake_socket_post_timestamp(stage.sock, 10);
	stage_flush(&stage);
	stage_wait_ms(&stage, 100);
	stage_ack_all(&stage);
	ck_assert_uint_eq(stage_stats(&stage).released, 300);
	ck_assert_uint_eq(stage_report(&stage).acked_bytes, 300 * 15);
	ck_assert_uint_eq(stage.aborts, 0);
}
END_TEST

/* A transport of the caller's own, without a socket: one write of a framework. */
enum framework { COMPLETES_AT_ONCE, COMPLETES_LATE, COMPLETES_TWICE, COMPLETES_NEVER };

START_TEST(conform_framework_may_complete_at_any_time)
{
	struct zcreq_conn_options options = { .size = sizeof(options), .hooks = &stage_hooks,
					      .arg = &stage };
	struct stage_request *request;
	struct zcreq_conn *conn;
	zcreq_hold hold;
	char text[200];
	bool dead = _i >= 4;

	stage_open(&stage);
	zcreq_conn_free(stage.conn);
	stage_run(&stage);
	ck_assert_int_eq(zcreq_conn_open(stage.context, &options, &conn), 0);
	stage.conn = conn;
	request = stage_begin(&stage);
	ck_assert_int_eq(zcreq_add(stage.context, request->id, &(struct iovec){
					      				      				      text,
					      				      				      1,
				      				      				      }, 1, 0),
			 -EINVAL);
	ck_assert_int_eq(zcreq_take(stage.context, request->id, &hold), 0);
	if (_i % 4 == COMPLETES_AT_ONCE)
		ck_assert_int_eq(zcreq_drop(stage.context, hold, 0), 0);
	stage_finish(request);
	if (dead)
		ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	stage_tick(&stage);
	if (_i % 4 == COMPLETES_AT_ONCE) {
		stage_expect_released(request, 0);
		return;
	}
	fake_kernel_advance_ms(stage.kernel, 3600000);
	stage_tick(&stage);
	stage_expect_unreleased(request);
	ck_assert_uint_eq(request->quarantined, 0);
	ck_assert_uint_eq(request->settled, dead);
	ck_assert_int_gt(zcreq_request_explain(stage.context, request->id, ZCREQ_TEXT, text,
					       sizeof(text)), 0);
	ck_assert_ptr_nonnull(strstr(text, "hold"));
	ck_assert_int_eq(zcreq_drop(stage.context, hold, 0), 0);
	if (_i % 4 == COMPLETES_TWICE)
		ck_assert_int_eq(zcreq_drop(stage.context, hold, -EIO), -ESTALE);
	stage_tick(&stage);
	stage_expect_released(request, dead ? -EIO : 0);
}
END_TEST

/* A socket whose transport can prove nothing: quarantine, and the descriptor stays. */
START_TEST(without_proof_there_is_quarantine)
{
	struct stage_request *request;

	stage.knobs.disconnect_error = EOPNOTSUPP;
	stage.options.linger_ms = 500;
	stage_open(&stage);
	fake_socket_fail(stage.sock, FAKE_SETSOCKOPT, 1, 1000000, EOPNOTSUPP);
	request = stage_sent(&stage, 100);
	fake_socket_vanish(stage.sock);
	zcreq_conn_free(stage.conn);
	stage.conn = NULL;
	stage_wait_ms(&stage, 490);
	ck_assert_uint_eq(request->quarantined, 0);
	ck_assert_uint_eq(request->settled, 1);
	stage_wait_ms(&stage, 20);
	ck_assert_uint_eq(request->quarantined, 1);
	stage_wait_ms(&stage, 60000);
	stage_expect_unreleased(request);
	ck_assert_int_eq(zcreq_context_free(stage.context), -EBUSY);
	ck_assert_uint_eq(fake_kernel_open_sockets(stage.kernel), 1);
}
END_TEST

/* Kernel refuses to disconnect, but its own timer can still be set: no quarantine. */
START_TEST(a_refused_disconnect_falls_back_to_the_kernels_timer)
{
	struct stage_request *request;

	stage.knobs.disconnect_error = EBUSY;
	stage_open(&stage);
	request = stage_sent(&stage, 100);
	fake_socket_vanish(stage.sock);
	ck_assert_int_eq(zcreq_conn_abort(stage.conn, -ETIMEDOUT), 0);
	stage_wait_ms(&stage, 1000);
	stage_expect_released(request, -ETIMEDOUT);
	ck_assert_uint_eq(request->quarantined, 0);
}
END_TEST

/* Its peer must not take a stream that was cut off for one that has ended. */
START_TEST(a_stream_that_is_cut_off_ends_with_a_reset)
{
	stage.options.mode = _i % 2 ? ZCREQ_MODE_ALWAYS : ZCREQ_MODE_NEVER;
	stage.knobs.disconnect_error = _i / 2 ? EBUSY : 0;
	stage_open(&stage);
	stage_sent(&stage, 100);
	fake_socket_ack(stage.sock, 50);
	ck_assert_int_eq(zcreq_conn_abort(stage.conn, -EIO), 0);
	fake_socket_vanish(stage.sock);
	stage_run(&stage);
	if (_i == 2)
		ck_assert_uint_eq(stage.closes, 1);
	if (stage.closes)
		ck_assert(stage_report(&stage).reset_sent);
	stage_wait_ms(&stage, 1000);
	ck_assert_uint_eq(stage.closes, 1);
	ck_assert(stage_report(&stage).reset_sent || stage_report(&stage).died);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reentry");
	TCase *tcase = tcase_create("claims");

	tcase_set_timeout(tcase, 30);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, conform_callbacks_may_do_anything, 0, EVENTS * ACTIONS);
	tcase_add_test(tcase, a_turn_is_bounded);
	tcase_add_test(tcase, callbacks_are_one_level_deep);
	tcase_add_test(tcase, a_late_finish_goes_to_quarantine);
	tcase_add_loop_test(tcase, any_failing_call_is_survived, 0, FAKE_CALLS * ERRNOS * NTH);
	tcase_add_loop_test(tcase, conform_interrupted_calls_are_made_again, 0, 4 * 3);
	tcase_add_loop_test(tcase, an_interrupted_abort_needs_no_timer, 0, 10);
	tcase_add_loop_test(tcase, conform_any_failing_allocation_is_survived, 0, 60);
	tcase_add_loop_test(tcase, conform_framework_may_complete_at_any_time, 0, 8);
	tcase_add_test(tcase, without_proof_there_is_quarantine);
	tcase_add_loop_test(tcase, a_stream_that_is_cut_off_ends_with_a_reset, 0, 4);
	tcase_add_test(tcase, a_refused_disconnect_falls_back_to_the_kernels_timer);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
