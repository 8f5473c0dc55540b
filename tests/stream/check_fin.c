/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_fin.c - the end of the stream: asked for, sent, acknowledged, or not
 *
 * The stub acknowledges the end at once, unless acks_late; TCP_INFO is then what the test
 * says. What Linux says in these states is in tests/real/check_fin.c.
 */
#include "support/suite.h"

#include <errno.h>
#include <linux/tcp.h>
#include <poll.h>

#include "stream/watcher.h"
#include "support/scene.h"

static const struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};

static void drain(uint32_t timeout_ms)
{
	ck_assert_int_eq(zcreq_conn_drain(conn, timeout_ms), 0);
}

START_TEST(i11_a_drain_ends_the_stream_and_waits_for_the_acknowledgement)
{
	stub.acks_late = true;
	drain(0);
	ck_assert_uint_eq(stub.shutdowns, 1);
	zcreq_turn(context, SECOND);
	ck_assert_uint_eq(hooks.closed, 0);
	ck_assert_int_eq(zcreq_conn_cause(conn), ZCREQ_CAUSE_NONE);
	stub_ack(&stub);
	zcreq_turn(context, SECOND + 1 * MS);
	ck_assert_uint_eq(hooks.closed, 1);
	ck_assert_int_eq(hooks.closed_status, 0);
	ck_assert_int_eq(zcreq_conn_cause(conn), ZCREQ_CAUSE_DRAINED);
	ck_assert_uint_eq(stub.closes, 1);
}
END_TEST

START_TEST(any_event_looks_for_the_acknowledgement)
{
	stub.acks_late = true;
	drain(0);
	stub_ack(&stub);
	zcreq_process(conn, POLLERR);
	zcreq_turn(zcreq_conn_context(conn), 0);
	ck_assert_uint_eq(hooks.closed, 1);
	ck_assert_int_eq(hooks.closed_status, 0);
}
END_TEST

/* No event tells, so it is looked for at growing intervals, and not in each turn. */
START_TEST(it_is_looked_for_at_growing_intervals)
{
	uint64_t now = SECOND, next, gap = 0;
	unsigned looks;

	stub.acks_late = true;
	drain(0);
	for (unsigned i = 0; i < 12; i++) {
		next = zcreq_turn(context, now);
		ck_assert_uint_le(next - now, 100 * MS);
		ck_assert_uint_ge(next - now, gap);
		gap = next - now;
		looks = stub.looks;
		ck_assert_uint_eq(zcreq_turn(context, next - 1), next);
		ck_assert_uint_eq(stub.looks, looks);
		now = next;
	}
	ck_assert_uint_eq(gap, 100 * MS);
}
END_TEST

/* With both ends on their way poll(2) says POLLHUP without end. */
START_TEST(after_a_hangup_nobody_polls)
{
	stub.acks_late = true;
	drain(0);
	ck_assert_int_eq(zcreq_events(conn), POLLERR);
	zcreq_process(conn, POLLHUP);
	zcreq_turn(zcreq_conn_context(conn), 0);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_DRAINING);
	ck_assert_int_eq(zcreq_events(conn), 0);
	zcreq_process(conn, POLLHUP);
	zcreq_turn(zcreq_conn_context(conn), 0);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_DRAINING);
	ck_assert_uint_eq(zcreq_turn(context, SECOND), SECOND + 2 * MS);
	stub_ack(&stub);
	zcreq_turn(context, SECOND + 2 * MS);
	ck_assert_int_eq(hooks.closed_status, 0);
	ck_assert_uint_eq(hooks.closed, 1);
}
END_TEST

static unsigned readable;

static void on_readable(struct zcreq_conn *c, void *arg)
{
	(void)c;
	(void)arg;
	readable++;
}

static const struct zcreq_conn_hooks reader = {.readable = on_readable};

/* But for who reads: there may be more of the answer, and its end. @_i: acknowledged or not. */
START_TEST(after_a_hangup_who_reads_polls_on)
{
	const short reads = POLLIN | POLLERR;

	options.hooks = &reader;
	stub.acks_late = !_i;
	scene_open();
	watcher_open(context);
	zcreq_conn_watch(conn, true);
	heard_begin(conn, &heard);
	ck_assert_int_eq(zcreq_conn_end(conn), 0);
	for (unsigned i = 1; i <= 3; i++) {
		zcreq_process(conn, POLLHUP | POLLIN);
		zcreq_turn(context, SECOND);
		ck_assert_uint_eq(readable, i);
		ck_assert_int_eq(zcreq_events(conn), reads);
	}
	/* it has read the end: nothing is left to be polled for */
	ck_assert_int_eq(zcreq_stream_reading(conn, false), 0);
	ck_assert_int_eq(zcreq_events(conn), 0);
	zcreq_turn(context, SECOND);
	ck_assert_int_eq(conn->told_events, 0);
	ck_assert_int_eq(zcreq_stream_reading(conn, true), 0);
	zcreq_turn(context, SECOND);
	ck_assert_int_eq(conn->told_events, reads);
	/* nor is a drain, which has a request to wait for, but nothing of the peer's */
	drain(0);
	ck_assert_int_eq(zcreq_events(conn), 0);
	zcreq_turn(context, SECOND);
	ck_assert_int_eq(conn->told_events, 0);
	stub_ack(&stub);
	scene_finish(0);
	zcreq_turn(context, 2 * SECOND);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_CLOSED);
	ck_assert_int_eq(heard.status, 0);
}
END_TEST

/* The end is acknowledged before what it follows is proven, and then nobody polls. */
START_TEST(proof_that_comes_after_a_hangup_is_looked_for_by_time)
{
	scene_sent();
	ck_assert_int_eq(zcreq_conn_end(conn), 0);
	zcreq_turn(context, SECOND);
	zcreq_process(conn, POLLHUP);
	ck_assert_int_eq(zcreq_events(conn), 0);
	ck_assert_uint_le(zcreq_turn(context, SECOND), SECOND + 100 * MS);
	stub_prove_all(&stub);
	zcreq_turn(context, SECOND + 100 * MS);
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_int_eq(heard.status, 0);
}
END_TEST

/* As linux/tcp.h numbers them. */
static const struct {
	uint8_t state;
	bool acked;
} tcp_states[] = {
	{4, false},  /* FIN_WAIT1 */
	{5, true},   /* FIN_WAIT2 */
	{6, true},   /* TIME_WAIT */
	{9, false},  /* LAST_ACK */
	{11, false}, /* CLOSING */
};

START_TEST(the_state_of_the_socket_tells_whether_it_was_acknowledged)
{
	stub.acks_late = true;
	drain(0);
	stub.state = tcp_states[_i].state;
	zcreq_process(conn, POLLERR);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(hooks.closed, tcp_states[_i].acked);
	ck_assert_int_eq(zcreq_conn_cause(conn),
			 tcp_states[_i].acked ? ZCREQ_CAUSE_DRAINED : ZCREQ_CAUSE_NONE);
}
END_TEST

/* CLOSE is both: the peer has ended as well, or the connection has died; and SO_ERROR may
 * have been read by the program. What was acknowledged tells. */
static const struct {
	uint64_t acked;
	int so_error, status;
} closes[] = {
	{1 + 64 + 1, 0, 0},
	{1 + 64 + 1, ECONNRESET, 0}, /* after it had all */
	{1 + 64, 0, -ECONNRESET},
	{1 + 64, ETIMEDOUT, -ETIMEDOUT},
	{1, EPIPE, -EPIPE},
};

START_TEST(what_was_acknowledged_tells_an_end_from_a_death)
{
	struct tcp_info info = {.tcpi_state = 1, .tcpi_bytes_acked = 1};

	stub.info = &info;
	stub.acks_late = true;
	scene_open();
	ck_assert_int_eq(zcreq_write(conn, data, sizeof(data)), 0);
	drain(0);
	zcreq_turn(zcreq_conn_context(conn), 0);
	stub_prove_all(&stub);
	info.tcpi_state = 4;
	zcreq_process(conn, POLLERR);
	zcreq_turn(zcreq_conn_context(conn), 0);
	ck_assert_uint_eq(stub.shutdowns, 1);
	info.tcpi_state = 7;
	info.tcpi_bytes_acked = closes[_i].acked;
	stub.so_error = closes[_i].so_error;
	zcreq_process(conn, POLLHUP);
	zcreq_turn(zcreq_conn_context(conn), 0);
	ck_assert_uint_eq(hooks.closed, 1);
	ck_assert_int_eq(hooks.closed_status, closes[_i].status);
}
END_TEST

/* Something was on its way when the stream was opened: what of it had been acknowledged
 * is known when all has been, and not before. */
START_TEST(a_socket_with_a_past_ends_when_all_was_acknowledged_once)
{
	struct tcp_info info = {.tcpi_state = 1, .tcpi_bytes_acked = 1000, .tcpi_unacked = 3};

	stub.info = &info;
	scene_open();
	ck_assert_int_eq(zcreq_write(conn, data, 10), 0);
	zcreq_turn(zcreq_conn_context(conn), 0);
	stub_prove_all(&stub);
	drain(0);
	zcreq_process(conn, POLLERR);
	zcreq_turn(zcreq_conn_context(conn), 0);
	zcreq_turn(context, SECOND);
	info.tcpi_unacked = 0;
	info.tcpi_notsent_bytes = 1;
	zcreq_turn(context, 2 * SECOND);
	ck_assert_uint_eq(stub.shutdowns, 0);
	info.tcpi_notsent_bytes = 0;
	info.tcpi_bytes_acked = 4010;
	zcreq_turn(context, 3 * SECOND);
	ck_assert_uint_eq(stub.shutdowns, 1);
	info.tcpi_state = 7;
	info.tcpi_bytes_acked = _i ? 4010 : 4011;
	zcreq_turn(context, 4 * SECOND);
	ck_assert_int_eq(hooks.closed_status, _i ? -ECONNRESET : 0);
}
END_TEST

START_TEST(a_socket_with_a_past_that_dies_first_is_an_error)
{
	struct tcp_info info = {.tcpi_state = 1, .tcpi_unacked = 3};

	stub.info = &info;
	scene_open();
	drain(0);
	info.tcpi_state = 7;
	zcreq_turn(context, SECOND);
	zcreq_turn(context, 2 * SECOND);
	ck_assert_int_eq(hooks.closed_status, -ECONNRESET);
	ck_assert_uint_eq(stub.shutdowns, 0);
}
END_TEST

START_TEST(an_error_of_the_end_is_one_of_the_connection)
{
	static const int status[] = {-ECONNRESET, -EBADF, -EIO};

	stub.getsockopts = 0;
	stub.shutdown_error = _i == 0 ? -ENOTCONN : _i == 1 ? 0 : -EIO;
	if (_i == 1)
		stub.getsockopt_error[0] = -EBADF;
	drain(0);
	zcreq_turn(context, 0);
	ck_assert_int_eq(hooks.closed_status, status[_i]);
}
END_TEST

/* As often as any call, and then by time. */
START_TEST(an_end_that_is_interrupted_is_tried_again)
{
	stub.shutdown_error = -EINTR;
	drain(0);
	zcreq_turn(context, SECOND);
	ck_assert_uint_ge(stub.shutdowns, 16);
	ck_assert_uint_eq(hooks.closed, 0);
	stub.shutdown_error = 0;
	zcreq_turn(context, 2 * SECOND);
	zcreq_turn(context, 3 * SECOND);
	ck_assert_uint_eq(hooks.closed, 1);
	ck_assert_int_eq(hooks.closed_status, 0);
}
END_TEST

START_TEST(errors_of_the_socket_while_it_waits)
{
	static const int status[] = {-ECONNRESET, -EIO, -EBADF};

	stub.acks_late = true;
	drain(0);
	if (_i == 0)
		stub.so_error = ECONNRESET;
	if (_i == 1)
		stub.recv_error = -EIO;
	zcreq_process(conn, _i == 2 ? POLLNVAL : POLLERR);
	zcreq_turn(zcreq_conn_context(conn), 0);
	ck_assert_int_eq(hooks.closed_status, status[_i]);
}
END_TEST

/* A message is no end, and what is in the error queue tells that it was not asked. */
START_TEST(a_message_while_it_waits_is_told)
{
	stub.acks_late = true;
	drain(0);
	stub_foreign(&stub);
	stub.so_error = ECONNRESET;
	zcreq_process(conn, POLLERR);
	zcreq_turn(zcreq_conn_context(conn), 0);
	ck_assert_uint_eq(hooks.message, 1);
	ck_assert_uint_eq(hooks.closed, 0);
	stub_notify(&stub, 99, 99, false); /* and a claim looks whether it has died */
	zcreq_process(conn, POLLERR);
	zcreq_turn(zcreq_conn_context(conn), 0);
	ck_assert_uint_eq(hooks.closed, 0);
}
END_TEST

START_TEST(the_deadline_of_a_drain_holds_for_the_end)
{
	stub.acks_late = true;
	drain(400);
	zcreq_turn(context, SECOND);
	zcreq_turn(context, SECOND + 399 * MS);
	ck_assert_uint_eq(hooks.closed, 0);
	zcreq_turn(context, SECOND + 400 * MS);
	ck_assert_uint_eq(hooks.closed, 1);
	ck_assert_int_eq(hooks.closed_status, -ETIMEDOUT);
	ck_assert_int_eq(zcreq_conn_cause(conn), ZCREQ_CAUSE_DRAIN_DEADLINE);
}
END_TEST

START_TEST(the_watchdog_finds_a_peer_that_vanishes_at_the_end)
{
	struct tcp_info info = {.tcpi_state = 1, .tcpi_snd_wnd = 65536, .tcpi_snd_mss = 1448};

	stub.info = &info;
	options.stall_ms = 500;
	scene_open();
	drain(0);
	info.tcpi_state = 4;
	info.tcpi_unacked = 1;
	info.tcpi_retransmits = 2;
	info.tcpi_last_ack_recv = info.tcpi_last_data_recv = 600;
	zcreq_turn(context, SECOND);
	zcreq_turn(context, SECOND + 499 * MS);
	ck_assert_uint_eq(hooks.closed, 0);
	zcreq_turn(context, SECOND + 500 * MS);
	ck_assert_int_eq(hooks.closed_status, -ETIMEDOUT);
	ck_assert_int_eq(zcreq_conn_cause(conn), ZCREQ_CAUSE_VANISHED);
}
END_TEST

/* ---- end ---- */

START_TEST(end_follows_what_is_queued_and_refuses_more)
{
	struct heard more = {0};

	stub.room_bytes = 0;
	heard_begin(conn, &heard);
	scene_queue(&heard);
	ck_assert_int_eq(zcreq_conn_end(conn), 0);
	zcreq_turn(zcreq_conn_context(conn), 0);
	ck_assert_uint_eq(stub.shutdowns, 0);
	ck_assert_int_eq(zcreq_add(context, heard.id, &iov, 1, 0), -ESHUTDOWN);
	ck_assert_int_eq(zcreq_write(conn, data, 1), -ESHUTDOWN);
	ck_assert_int_eq(zcreq_send(conn, &heard_ops, &more, &iov, 1, 0, NULL), -ESHUTDOWN);
	ck_assert_int_eq(zcreq_begin(conn, &heard_ops, &more, 0, &more.id), 0);
	ck_assert_int_eq(zcreq_finish(context, more.id, 0), 0);
	stub.room_bytes = UINT64_MAX;
	zcreq_process(conn, POLLOUT);
	zcreq_turn(zcreq_conn_context(conn), 0);
	ck_assert_uint_eq(stub.shutdowns, 1);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_OPEN);
	scene_finish(0);
	scene_prove();
	ck_assert_int_eq(heard.status, 0);
	ck_assert_uint_eq(hooks.closed, 0);
	ck_assert_uint_eq(more.released, 1);
}
END_TEST

START_TEST(drain_after_the_end_closes)
{
	stub.acks_late = _i;
	ck_assert_int_eq(zcreq_conn_end(conn), 0);
	ck_assert_int_eq(zcreq_conn_end(conn), -EALREADY);
	drain(0);
	ck_assert_int_eq(zcreq_conn_end(conn), -EALREADY);
	zcreq_turn(context, SECOND);
	ck_assert_uint_eq(hooks.closed, !_i);
	stub_ack(&stub);
	zcreq_turn(context, 2 * SECOND);
	ck_assert_uint_eq(stub.shutdowns, 1);
	ck_assert_uint_eq(hooks.closed, 1);
	ck_assert_int_eq(hooks.closed_status, 0);
	ck_assert_int_eq(zcreq_conn_end(conn), -EALREADY);
}
END_TEST

START_TEST(end_is_refused_where_it_has_no_meaning)
{
	struct zcreq_conn *bare;

	ck_assert_int_eq(zcreq_conn_end(NULL), -EINVAL);
	ck_assert_int_eq(zcreq_conn_cause(NULL), -EINVAL);
	ck_assert_int_eq(zcreq_conn_open(context, NULL, &bare), 0);
	ck_assert_int_eq(zcreq_conn_end(bare), -EINVAL);
	ck_assert_int_eq(zcreq_conn_drain(bare, 0), 0);
	zcreq_turn(context, 0);
	ck_assert_int_eq(zcreq_conn_cause(bare), ZCREQ_CAUSE_DRAINED);
	zcreq_conn_free(bare);
}
END_TEST

/* All is acknowledged, and then the connection fails. @message: something of others' is in the
 * error queue as well. A hang-up alone is the peer's own end, whatever happened before it. */
static const struct {
	short revents;
	int so_error, recv_error;
	bool message;
	int status;
} failures[] = {
	{POLLERR | POLLHUP, ECONNRESET, 0, false, -ECONNRESET},
	{POLLERR | POLLHUP, ECONNRESET, 0, true, -ECONNRESET},
	{POLLERR, ETIMEDOUT, 0, false, -ETIMEDOUT},
	{POLLERR, 0, -EIO, false, -EIO},
	{POLLERR | POLLHUP, 0, 0, false, 0},
	{POLLERR, EHOSTUNREACH, 0, true, 0},
	{POLLHUP, EHOSTUNREACH, 0, false, 0},
};

START_TEST(an_error_after_the_acknowledgement_is_one_of_who_stays_open)
{
	scene_begin();
	scene_prove();
	ck_assert_int_eq(zcreq_conn_end(conn), 0);
	zcreq_turn(context, SECOND);
	ck_assert_uint_eq(stub.shutdowns, 1);
	stub.so_error = failures[_i].so_error;
	stub.recv_error = failures[_i].recv_error;
	if (failures[_i].message)
		stub_foreign(&stub);
	zcreq_process(conn, failures[_i].revents);
	zcreq_turn(context, SECOND);
	ck_assert_uint_eq(hooks.message, failures[_i].message);
	ck_assert_uint_eq(hooks.abort, failures[_i].status != 0);
	ck_assert_int_eq(hooks.abort_status, failures[_i].status);
	ck_assert_int_eq(heard.status, failures[_i].status);
	stub.so_error = stub.recv_error = 0;
}
END_TEST

/* A drain has what it waits for, and closes when its last request does. */
START_TEST(an_error_after_the_acknowledgement_is_none_of_a_drain)
{
	scene_begin();
	scene_prove();
	ck_assert_int_eq(zcreq_conn_end(conn), 0);
	drain(0);
	stub.so_error = ECONNRESET;
	zcreq_process(conn, POLLERR | POLLHUP);
	zcreq_turn(context, SECOND);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_DRAINING);
	scene_finish(0);
	zcreq_turn(context, SECOND);
	ck_assert_int_eq(heard.status, 0);
	ck_assert_uint_eq(hooks.closed, 1);
	ck_assert_int_eq(hooks.closed_status, 0);
}
END_TEST

/* The peer has ended as well: what is not proven yet is looked for by time. */
START_TEST(proof_after_both_ends_is_found_by_time)
{
	struct tcp_info info = {.tcpi_state = 1};

	stub.info = &info;
	scene_open();
	scene_sent();
	info.tcpi_state = 4;
	ck_assert_int_eq(zcreq_conn_end(conn), 0);
	info.tcpi_state = 5;
	zcreq_process(conn, POLLHUP);
	zcreq_turn(zcreq_conn_context(conn), 0);
	ck_assert_int_eq(zcreq_events(conn), 0);
	info.tcpi_state = 7;
	info.tcpi_bytes_acked = sizeof(data) + 1;
	zcreq_process(conn, POLLHUP);
	zcreq_turn(zcreq_conn_context(conn), 0);
	zcreq_turn(context, SECOND);
	ck_assert_uint_eq(heard.released, 0);
	stub_prove_all(&stub);
	zcreq_turn(context, SECOND + 2 * MS);
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_int_eq(heard.status, 0);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_OPEN);
	ck_assert_uint_eq(zcreq_turn(context, SECOND + 9 * MS), ZCREQ_NEVER);
}
END_TEST

/* A kernel that does not tell what was acknowledged: then nothing is known to have been,
 * whatever stood in the memory where it would have said so. */
START_TEST(an_end_of_which_too_little_is_told_is_a_death)
{
	struct tcp_info info = {.tcpi_state = 1, .tcpi_bytes_acked = UINT64_MAX / 2};

	stub.info = &info;
	stub.info_bytes = offsetof(struct tcp_info, tcpi_bytes_acked);
	scene_open();
	scene_sent();
	info.tcpi_state = 4;
	ck_assert_int_eq(zcreq_conn_end(conn), 0);
	info.tcpi_state = 7;
	stub_prove_all(&stub);
	zcreq_process(conn, POLLERR);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_int_eq(heard.status, -ECONNRESET);
	ck_assert_int_eq(hooks.closed_status, -ECONNRESET);
}
END_TEST

/* ---- SO_LINGER ---- */

START_TEST(close_never_waits)
{
	stub.linger = (struct linger){.l_onoff = 1, .l_linger = 3};
	if (_i)
		ck_assert_int_eq(zcreq_conn_abort(conn, -EPIPE), 0);
	else
		drain(0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(hooks.closed, 1);
	ck_assert_int_eq(stub.linger.l_onoff, 0);
	ck_assert_int_eq(stub.linger.l_linger, 0);
}
END_TEST

/* ---- why ---- */

static const struct {
	int so_error;
	enum zcreq_cause cause;
} errors[] = {
	{ECONNRESET, ZCREQ_CAUSE_RESET},      {EPIPE, ZCREQ_CAUSE_RESET},
	{ENOTCONN, ZCREQ_CAUSE_RESET},        {ETIMEDOUT, ZCREQ_CAUSE_KERNEL_TIMEOUT},
	{EFAULT, ZCREQ_CAUSE_MEMORY},         {EBADF, ZCREQ_CAUSE_DESCRIPTOR},
	{ENOTSOCK, ZCREQ_CAUSE_DESCRIPTOR},   {ERANGE, ZCREQ_CAUSE_SENDER},
	{EHOSTUNREACH, ZCREQ_CAUSE_SOCKET},
};

START_TEST(an_error_of_the_socket_is_a_cause)
{
	scene_begin();
	stub.so_error = errors[_i].so_error;
	ck_assert_int_eq(zcreq_conn_cause(conn), ZCREQ_CAUSE_NONE);
	zcreq_process(conn, POLLERR);
	zcreq_turn(zcreq_conn_context(conn), 0);
	ck_assert_int_eq(zcreq_conn_cause(conn), errors[_i].cause);
	ck_assert_int_eq(hooks.abort_status, -errors[_i].so_error);
}
END_TEST

START_TEST(abort_and_free_are_causes)
{
	scene_begin();
	if (_i)
		zcreq_conn_free(conn);
	else
		ck_assert_int_eq(zcreq_conn_abort(conn, -ETIMEDOUT), 0);
	/* its request is not finished, so it is still there */
	ck_assert_int_eq(zcreq_conn_cause(conn), _i ? ZCREQ_CAUSE_FREED : ZCREQ_CAUSE_ABORTED);
	if (_i)
		conn = NULL;
}
END_TEST

START_TEST(a_peer_that_does_not_read_is_a_cause)
{
	struct tcp_info info = {.tcpi_state = 1, .tcpi_snd_wnd = 0, .tcpi_snd_mss = 1448,
				.tcpi_notsent_bytes = 64};

	stub.info = &info;
	options.stall_ms = 500;
	options.not_reading_ms = 500;
	scene_open();
	scene_begin();
	for (uint64_t ms = 1; ms < 3000; ms += 100)
		zcreq_turn(context, ms * MS);
	ck_assert_int_eq(hooks.abort_status, -ETIME);
	ck_assert_int_eq(zcreq_conn_cause(conn), ZCREQ_CAUSE_NOT_READING);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fin");
	TCase *open = tcase_create("open"), *later = tcase_create("opened by the test");

	tcase_add_checked_fixture(open, scene_setup_open, scene_teardown_late);
	tcase_add_test(open, i11_a_drain_ends_the_stream_and_waits_for_the_acknowledgement);
	tcase_add_test(open, any_event_looks_for_the_acknowledgement);
	tcase_add_test(open, it_is_looked_for_at_growing_intervals);
	tcase_add_test(open, after_a_hangup_nobody_polls);
	tcase_add_test(open, proof_that_comes_after_a_hangup_is_looked_for_by_time);
	tcase_add_loop_test(open, the_state_of_the_socket_tells_whether_it_was_acknowledged, 0,
			    (int)COUNT(tcp_states));
	tcase_add_loop_test(open, an_error_of_the_end_is_one_of_the_connection, 0, 3);
	tcase_add_test(open, an_end_that_is_interrupted_is_tried_again);
	tcase_add_loop_test(open, errors_of_the_socket_while_it_waits, 0, 3);
	tcase_add_test(open, a_message_while_it_waits_is_told);
	tcase_add_test(open, the_deadline_of_a_drain_holds_for_the_end);
	tcase_add_test(open, end_follows_what_is_queued_and_refuses_more);
	tcase_add_loop_test(open, drain_after_the_end_closes, 0, 2);
	tcase_add_test(open, end_is_refused_where_it_has_no_meaning);
	tcase_add_loop_test(open, an_error_after_the_acknowledgement_is_one_of_who_stays_open, 0,
			    (int)COUNT(failures));
	tcase_add_test(open, an_error_after_the_acknowledgement_is_none_of_a_drain);
	tcase_add_loop_test(open, close_never_waits, 0, 2);
	tcase_add_loop_test(open, an_error_of_the_socket_is_a_cause, 0, (int)COUNT(errors));
	tcase_add_loop_test(open, abort_and_free_are_causes, 0, 2);
	suite_add_tcase(s, open);
	tcase_add_checked_fixture(later, scene_setup, scene_teardown_late);
	tcase_add_loop_test(later, what_was_acknowledged_tells_an_end_from_a_death, 0,
			    (int)COUNT(closes));
	tcase_add_loop_test(later, a_socket_with_a_past_ends_when_all_was_acknowledged_once, 0, 2);
	tcase_add_loop_test(later, after_a_hangup_who_reads_polls_on, 0, 2);
	tcase_add_test(later, a_socket_with_a_past_that_dies_first_is_an_error);
	tcase_add_test(later, the_watchdog_finds_a_peer_that_vanishes_at_the_end);
	tcase_add_test(later, proof_after_both_ends_is_found_by_time);
	tcase_add_test(later, an_end_of_which_too_little_is_told_is_a_death);
	tcase_add_test(later, a_peer_that_does_not_read_is_a_cause);
	suite_add_tcase(s, later);
	return suite_run(s);
}
