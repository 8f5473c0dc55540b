/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_conn.c - the life of a connection: every call in every state, every end
 *
 * The oracle is the text of conn.h and stream.h: what each call answers, and where
 * the connection is afterwards.
 */
#include "support/suite.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>

#include <zcreq/zcreq.h>

#include "support/counting.h"
#include "support/recorder.h"
#include "support/stub.h"

#define SECOND ((uint64_t)1000000000)

static struct counting memory;
static struct zcreq_context *context;
static struct stub stub;
static struct zcreq_conn *conn;
static struct heard heard;
static struct heard_conn hooks;
static const char data[64];

static void setup(void)
{
	context = counting_context(&memory, 0);
	stub_init(&stub);
	conn = stub_open(&stub, context, &heard_hooks, &hooks);
}

static void setup_bare(void)
{
	const struct zcreq_conn_options options = {
		.size = sizeof(options), .hooks = &heard_hooks, .arg = &hooks,
	};

	context = counting_context(&memory, 0);
	ck_assert_int_eq(zcreq_conn_open(context, &options, &conn), 0);
}

static void teardown(void)
{
	if (heard.id.bits && !heard.released)
		(void)!zcreq_finish(context, heard.id, 0);
	zcreq_conn_free(conn);
	stub_prove_all(&stub);
	for (uint64_t s = 100; s < 110; s++)
		zcreq_turn(context, s * SECOND);
	ck_assert_uint_eq(heard.released, heard.id.bits != 0);
	ck_assert_uint_eq(stats_of(context).connections_now, 0);
	ck_assert_uint_eq(stub.reads_when_closed, 0);
	counting_end(&memory, context);
}

/* A stream's request has one byte run with the kernel; its owner has not finished. */
static void begin(bool bare)
{
	heard_begin(conn, &heard);
	if (!bare)
		stub_send(conn, heard.id, data, sizeof(data));
}

static void bring_to(enum zcreq_conn_state state, bool bare)
{
	stub.keeps = state == ZCREQ_CONN_QUARANTINED;
	if (state != ZCREQ_CONN_CLOSED)
		begin(bare);
	if (state == ZCREQ_CONN_DRAINING || state == ZCREQ_CONN_CLOSED)
		ck_assert_int_eq(zcreq_conn_drain(conn, 0), 0);
	if (state == ZCREQ_CONN_ABORTING || state == ZCREQ_CONN_QUARANTINED)
		ck_assert_int_eq(zcreq_conn_abort(conn, -ECONNRESET), 0);
	zcreq_turn(context, SECOND);
	if (state == ZCREQ_CONN_QUARANTINED)
		zcreq_turn(context, 7 * SECOND);
	ck_assert_int_eq(zcreq_conn_state(conn), state);
}

enum call {
	CALL_BEGIN, CALL_SEND, CALL_WRITE, CALL_READING, CALL_PROCESS, CALL_DRAIN, CALL_ABORT,
	CALL_FD, CALL_EVENTS, CALL_CONTEXT, CALLS,
};

static int make_call(enum call call)
{
	const struct iovec iov = {.iov_base = (void *)data, .iov_len = sizeof(data)};
	struct heard more = {0};

	switch (call) {
	case CALL_BEGIN:
		if (zcreq_begin(conn, &heard_ops, &more, 0, &more.id))
			return zcreq_begin(conn, &heard_ops, &more, 0, &more.id);
		ck_assert_int_eq(zcreq_finish(context, more.id, 0), 0);
		zcreq_turn(context, 0);
		ck_assert_uint_eq(more.released, 1);
		return 0;
	case CALL_SEND:
		return zcreq_add(context, heard.id, &iov, 1, 0);
	case CALL_WRITE:
		return zcreq_write(conn, data, 1);
	case CALL_READING:
		return zcreq_stream_reading(conn, true);
	case CALL_PROCESS:
		return zcreq_process(conn, POLLERR | POLLOUT | POLLIN);
	case CALL_DRAIN:
		return zcreq_conn_drain(conn, 1000000);
	case CALL_ABORT:
		return zcreq_conn_abort(conn, -EPIPE);
	case CALL_FD:
		return zcreq_stream_fd(conn);
	case CALL_EVENTS:
		return zcreq_events(conn);
	default:
		return zcreq_conn_context(conn) == context ? 0 : -1;
	}
}

static int expected_answer(enum zcreq_conn_state state, enum call call)
{
	bool sends = state == ZCREQ_CONN_OPEN || state == ZCREQ_CONN_DRAINING;
	bool closed = state == ZCREQ_CONN_CLOSED;

	switch (call) {
	case CALL_BEGIN:
		return state == ZCREQ_CONN_OPEN ? 0 : -ESHUTDOWN;
	case CALL_SEND:
		return sends ? 0 : closed ? -ESTALE : -ECANCELED;
	case CALL_WRITE:
		return sends ? 0 : -ESHUTDOWN;
	case CALL_DRAIN:
		return state == ZCREQ_CONN_OPEN ? 0 : -EALREADY;
	case CALL_ABORT:
		return sends ? 0 : -EALREADY;
	case CALL_FD:
		return closed ? -EBADF : STUB_FD;
	case CALL_EVENTS:
		return sends ? POLLERR : 0;
	default:
		return 0;
	}
}

static enum zcreq_conn_state expected_state(enum zcreq_conn_state state, enum call call)
{
	if (expected_answer(state, call))
		return state;
	return call == CALL_DRAIN   ? ZCREQ_CONN_DRAINING
	       : call == CALL_ABORT ? ZCREQ_CONN_ABORTING
				    : state;
}

START_TEST(every_call_in_every_state_of_a_stream)
{
	enum zcreq_conn_state state = _i / CALLS + 1;
	enum call call = _i % CALLS;

	bring_to(state, false);
	ck_assert_int_eq(make_call(call), expected_answer(state, call));
	ck_assert_int_eq(zcreq_conn_state(conn), expected_state(state, call));
}
END_TEST

START_TEST(every_call_in_every_state_without_a_socket)
{
	static const enum zcreq_conn_state states[] = {
		ZCREQ_CONN_OPEN, ZCREQ_CONN_DRAINING, ZCREQ_CONN_ABORTING, ZCREQ_CONN_CLOSED,
	};
	enum zcreq_conn_state state = states[_i / CALLS];
	enum call call = _i % CALLS;
	int expected = expected_answer(state, call);

	if (call == CALL_SEND) /* of a request that is not there the room is not known */
		expected = state == ZCREQ_CONN_CLOSED ? -ESTALE : -EINVAL;
	if (call == CALL_WRITE || call == CALL_READING ||
	    call == CALL_PROCESS || call == CALL_FD)
		expected = -EINVAL;
	if (call == CALL_EVENTS)
		expected = 0;
	bring_to(state, true);
	ck_assert_int_eq(make_call(call), expected);
	ck_assert_int_eq(zcreq_conn_state(conn), expected_state(state, call));
}
END_TEST

START_TEST(every_state_has_words)
{
	char text[1024] = "", cut[8];
	int len;

	bring_to(_i, false);
	len = zcreq_conn_explain(conn, ZCREQ_TEXT, text, sizeof(text));
	ck_assert_int_eq(len, (int)strlen(text));
	ck_assert_int_eq(zcreq_conn_explain(conn, ZCREQ_TEXT, NULL, 0), len);
	ck_assert_int_eq(zcreq_conn_explain(conn, ZCREQ_TEXT, cut, sizeof(cut)), len);
	ck_assert_int_eq(strncmp(cut, text, sizeof(cut) - 1), 0);
	for (size_t size = 1; size <= sizeof(text); size++) {
		ck_assert_int_eq(zcreq_conn_explain(conn, ZCREQ_TEXT, text, size), len);
		ck_assert_uint_eq(strlen(text), size <= (size_t)len ? size - 1 : (size_t)len);
	}
}
END_TEST

START_TEST(free_in_every_state_ends_every_request_and_calls_no_hook)
{
	enum zcreq_conn_state state = _i;
	struct heard_conn before;

	bring_to(state, false);
	before = hooks;
	zcreq_conn_free(conn);
	conn = NULL;
	if (heard.id.bits) {
		zcreq_turn(context, 0);
		ck_assert_uint_eq(heard.settled, 1);
		ck_assert_int_eq(heard.status, state <= ZCREQ_CONN_DRAINING ? -ECANCELED
									    : -ECONNRESET);
		ck_assert_int_eq(zcreq_context_free(context), -EBUSY);
		ck_assert_int_eq(zcreq_finish(context, heard.id, 0), 0);
	}
	stub_prove_all(&stub);
	zcreq_turn(context, 90 * SECOND);
	ck_assert_uint_eq(heard.released, heard.id.bits != 0);
	ck_assert_uint_eq(stub.closes, 1);
	ck_assert_int_eq(memcmp(&before, &hooks, sizeof(hooks)), 0);
}
END_TEST

/* ---- abort ---------------------------------------------------------------- */

START_TEST(i4_outcomes_come_in_the_next_turn_whatever_the_kernel_does)
{
	static const int refusals[] = {0, -EBUSY, -EOPNOTSUPP};

	begin(false);
	stub.keeps = true;
	stub.disconnect_error = refusals[_i];
	ck_assert_int_eq(zcreq_conn_abort(conn, -ETIMEDOUT), 0);
	zcreq_turn(context, 0);
	ck_assert_int_eq(heard.status, -ETIMEDOUT);
	ck_assert_uint_eq(heard.settled, 1);
	ck_assert_uint_eq(heard.aborting, 1);
	ck_assert_uint_eq(heard.released, 0);
	ck_assert_int_eq(hooks.abort_status, -ETIMEDOUT);
	stub.disconnect_error = 0;
}
END_TEST

START_TEST(i5_release_after_abort_needs_no_timer)
{
	begin(false);
	ck_assert_int_eq(zcreq_finish(context, heard.id, 0), 0);
	ck_assert_int_eq(zcreq_conn_abort(conn, -ECONNRESET), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_uint_eq(hooks.closed, 1);
	ck_assert_int_eq(hooks.closed_status, -ECONNRESET);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_CLOSED);
	ck_assert_uint_eq(stub.closes, 1);
}
END_TEST

START_TEST(i9_descriptor_stays_open_until_the_last_proof)
{
	begin(false);
	ck_assert_int_eq(zcreq_finish(context, heard.id, 0), 0);
	stub.keeps = true;
	ck_assert_int_eq(zcreq_conn_abort(conn, -ECONNRESET), 0);
	if (_i) {
		zcreq_conn_free(conn);
		conn = NULL;
	}
	for (uint64_t s = 1; s < 50; s++)
		zcreq_turn(context, s * SECOND);
	ck_assert_uint_eq(stub.closes, 0);
	ck_assert_uint_eq(heard.quarantined, 1);
	ck_assert_int_eq(zcreq_context_free(context), -EBUSY);
	stub_prove_all(&stub);
	zcreq_turn(context, 60 * SECOND);
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_uint_eq(stub.closes, 1);
	ck_assert_uint_eq(hooks.closed, !_i);
}
END_TEST

START_TEST(abort_with_nothing_outstanding_closes_at_the_next_turn)
{
	ck_assert_int_eq(zcreq_conn_abort(conn, -EPIPE), 0);
	ck_assert_uint_eq(hooks.abort + hooks.closed, 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(hooks.abort, 1);
	ck_assert_int_eq(hooks.abort_status, -EPIPE);
	ck_assert_int_eq(hooks.closed_status, -EPIPE);
	ck_assert_uint_eq(hooks.closed, 1);
}
END_TEST

START_TEST(abort_drops_what_is_unsent)
{
	stub.room_bytes = 10;
	begin(false);
	ck_assert_int_eq(zcreq_write(conn, data, 5), 0);
	ck_assert_int_eq(zcreq_finish(context, heard.id, 0), 0);
	ck_assert_int_eq(zcreq_conn_abort(conn, -EPIPE), 0);
	stub.room_bytes = UINT64_MAX;
	ck_assert_int_eq(zcreq_process(conn, POLLOUT), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(stub.zerocopy_bytes + stub.copied_bytes, 10);
	ck_assert_uint_eq(heard.released, 1);
}
END_TEST

START_TEST(i2_abort_that_the_kernel_refuses_is_tried_again)
{
	begin(false);
	ck_assert_int_eq(zcreq_finish(context, heard.id, 0), 0);
	stub.disconnect_error = -EBUSY;
	ck_assert_int_eq(zcreq_conn_abort(conn, -ECONNRESET), 0);
	ck_assert_uint_eq(stub.shutdowns, 1);
	zcreq_turn(context, SECOND);
	ck_assert_uint_eq(heard.released, 0);
	stub.disconnect_error = 0;
	zcreq_turn(context, SECOND + 100000000);
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_uint_eq(stub.closes, 1);
}
END_TEST

START_TEST(an_error_of_the_socket_aborts_with_it)
{
	static const int errors[] = {-EPIPE, -ECONNRESET, -EFAULT, -EBADF, -ETIMEDOUT};

	stub.send_error = errors[_i];
	begin(false);
	zcreq_process(conn, 0);
	zcreq_turn(context, 0);
	ck_assert_int_eq(hooks.abort_status, errors[_i]);
	ck_assert_int_eq(heard.status, errors[_i]);
	ck_assert_uint_eq(stub.zerocopy_bytes + stub.copied_bytes, 0);
}
END_TEST

START_TEST(a_socket_that_is_only_busy_is_not_in_error)
{
	static const int errors[] = {-EAGAIN, -EINTR};

	stub.send_error = errors[_i];
	begin(false);
	zcreq_process(conn, POLLOUT);
	zcreq_turn(context, 0);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_OPEN);
	ck_assert_int_eq(zcreq_events(conn), POLLERR | POLLOUT);
	ck_assert_uint_lt(stub.refused_sends, 100);
	stub.send_error = 0;
	zcreq_process(conn, POLLOUT);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(stub.zerocopy_bytes, sizeof(data));
}
END_TEST

START_TEST(poll_bits_that_end_a_connection_abort_it)
{
	static const struct {
		short revents;
		int so_error, status;
	} rows[] = {
		{POLLERR, ECONNRESET, -ECONNRESET},
		{POLLHUP, ECONNRESET, -ECONNRESET},
		{POLLERR | POLLHUP, ETIMEDOUT, -ETIMEDOUT},
		{POLLNVAL, 0, -EBADF},
		{POLLHUP, 0, 0}, /* -ECONNRESET or -EPIPE */
	};

	begin(false);
	stub.so_error = rows[_i].so_error;
	zcreq_process(conn, rows[_i].revents);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(hooks.abort, 1);
	if (rows[_i].status)
		ck_assert_int_eq(hooks.abort_status, rows[_i].status);
	ck_assert_int_eq(heard.status, hooks.abort_status);
}
END_TEST

START_TEST(poll_bits_of_others_are_ignored)
{
	begin(false);
	zcreq_process(conn, POLLIN | POLLPRI | POLLRDHUP);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(stub.recvs, 0);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_OPEN);
	ck_assert_uint_eq(hooks.abort, 0);
}
END_TEST

/* ---- many ----------------------------------------------------------------- */

START_TEST(one_connection_ends_and_its_neighbour_does_not_notice)
{
	struct stub other_stub;
	struct heard_conn other_hooks = {0};
	struct heard other_heard = {0};
	struct zcreq_conn *other;

	stub_init(&other_stub);
	other = stub_open(&other_stub, context, &heard_hooks, &other_hooks);
	begin(false);
	heard_begin(other, &other_heard);
	stub_send(other, other_heard.id, data, sizeof(data));
	ck_assert_int_eq(zcreq_conn_abort(conn, -EPIPE), 0);
	zcreq_turn(context, SECOND);
	ck_assert_uint_eq(heard_calls(&other_heard), 0);
	ck_assert_uint_eq(other_hooks.abort, 0);
	ck_assert_int_eq(zcreq_conn_state(other), ZCREQ_CONN_OPEN);
	stub_prove_all(&other_stub);
	zcreq_process(other, POLLERR);
	zcreq_turn(context, 0);
	ck_assert_int_eq(zcreq_finish(context, other_heard.id, 0), 0);
	zcreq_conn_free(other);
	zcreq_turn(context, 0);
	ck_assert_int_eq(other_heard.status, 0);
	ck_assert_uint_eq(other_heard.released, 1);
}
END_TEST

START_TEST(room_is_told_once_after_a_refusal_and_not_without)
{
	const struct iovec iov = {.iov_base = (void *)data, .iov_len = sizeof(data)};
	struct zcreq_stream_options options = stub_options(&stub);

	zcreq_conn_free(conn);
	zcreq_turn(context, 0);
	options.hooks = &heard_hooks;
	options.arg = &hooks;
	options.limit_bytes = sizeof(data);
	stub_init(&stub);
	ck_assert_int_eq(zcreq_stream_open(context, &options, &conn), 0);
	begin(false);
	stub_prove_all(&stub);
	zcreq_process(conn, POLLERR);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(hooks.room, 0);
	stub_send(conn, heard.id, data, sizeof(data));
	ck_assert_int_eq(zcreq_add(context, heard.id, &iov, 1, 0), -EAGAIN);
	ck_assert_int_eq(zcreq_write(conn, data, 1), -EAGAIN);
	zcreq_process(conn, POLLERR | POLLOUT);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(hooks.room, 0);
	stub_prove_all(&stub);
	zcreq_process(conn, POLLERR);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(hooks.room, 1);
	ck_assert_int_eq(zcreq_finish(context, heard.id, 0), 0);
	zcreq_process(conn, POLLERR);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(hooks.room, 1);
}
END_TEST

/* There is room again at half of the limit, and not a byte above. */
START_TEST(room_is_told_at_half_of_the_limit)
{
	struct zcreq_stream_options options = stub_options(&stub);

	zcreq_conn_free(conn);
	zcreq_turn(context, 0);
	options.hooks = &heard_hooks;
	options.arg = &hooks;
	options.limit_bytes = 128;
	stub_init(&stub);
	ck_assert_int_eq(zcreq_stream_open(context, &options, &conn), 0);
	heard_begin(conn, &heard);
	stub_send(conn, heard.id, data, 1);
	stub_send(conn, heard.id, data, 64);
	stub_send(conn, heard.id, data, 63);
	ck_assert_int_eq(zcreq_write(conn, data, 1), -EAGAIN);
	stub_notify(&stub, 2, 2, false);
	zcreq_process(conn, POLLERR);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(hooks.room, 0);
	stub_notify(&stub, 0, 0, false);
	zcreq_process(conn, POLLERR);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(hooks.room, 1);
	stub.unproven = 1;
}
END_TEST

START_TEST(a_full_connection_still_says_what_else_is_wrong)
{
	const struct iovec iov = {.iov_base = (void *)data, .iov_len = sizeof(data)};
	struct zcreq_stream_options options = stub_options(&stub);
	struct stub full_stub;
	struct zcreq_conn *full;
	struct heard done = {0}, gone = {0};

	stub_init(&full_stub);
	options.socket_arg = &full_stub;
	options.limit_bytes = 1;
	ck_assert_int_eq(zcreq_stream_open(context, &options, &full), 0);
	heard_begin(full, &done);
	heard_begin(full, &gone);
	stub_send(full, done.id, data, sizeof(data));
	ck_assert_int_eq(zcreq_finish(context, done.id, 0), 0);
	ck_assert_int_eq(zcreq_add(context, done.id, &iov, 1, 0), -ESTALE);
	ck_assert_int_eq(zcreq_add(context, gone.id, &iov, 1, 0), -EAGAIN);
	ck_assert_int_eq(zcreq_abort(context, gone.id, -EPERM), 0);
	ck_assert_int_eq(zcreq_add(context, gone.id, &iov, 1, 0), -ECANCELED);
	ck_assert_int_eq(zcreq_finish(context, gone.id, 0), 0);
	zcreq_conn_free(full);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(done.released + gone.released, 2);
}
END_TEST

START_TEST(a_closed_connection_that_is_not_freed_keeps_the_context)
{
	ck_assert_int_eq(zcreq_conn_abort(conn, -EPIPE), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(hooks.closed, 1);
	ck_assert_int_eq(zcreq_context_free(context), -EBUSY);
}
END_TEST

static void add_states(Suite *s)
{
	TCase *states = tcase_create("states"), *bare = tcase_create("bare");

	tcase_add_checked_fixture(states, setup, teardown);
	tcase_add_loop_test(states, every_call_in_every_state_of_a_stream, 0,
			    ZCREQ_CONN_CLOSED * CALLS);
	tcase_add_loop_test(states, every_state_has_words, 1, ZCREQ_CONN_CLOSED + 1);
	tcase_add_loop_test(states, free_in_every_state_ends_every_request_and_calls_no_hook, 1,
			    ZCREQ_CONN_CLOSED + 1);
	tcase_add_checked_fixture(bare, setup_bare, teardown);
	tcase_add_loop_test(bare, every_call_in_every_state_without_a_socket, 0, 4 * CALLS);
	suite_add_tcase(s, states);
	suite_add_tcase(s, bare);
}

static void add_ends(Suite *s)
{
	TCase *ends = tcase_create("ends");

	tcase_add_checked_fixture(ends, setup, teardown);
	tcase_add_loop_test(ends, i4_outcomes_come_in_the_next_turn_whatever_the_kernel_does,
			    0, 3);
	tcase_add_test(ends, i5_release_after_abort_needs_no_timer);
	tcase_add_loop_test(ends, i9_descriptor_stays_open_until_the_last_proof, 0, 2);
	tcase_add_test(ends, abort_with_nothing_outstanding_closes_at_the_next_turn);
	tcase_add_test(ends, abort_drops_what_is_unsent);
	tcase_add_test(ends, i2_abort_that_the_kernel_refuses_is_tried_again);
	tcase_add_loop_test(ends, an_error_of_the_socket_aborts_with_it, 0, 5);
	tcase_add_loop_test(ends, a_socket_that_is_only_busy_is_not_in_error, 0, 2);
	tcase_add_loop_test(ends, poll_bits_that_end_a_connection_abort_it, 0, 5);
	tcase_add_test(ends, poll_bits_of_others_are_ignored);
	tcase_add_test(ends, one_connection_ends_and_its_neighbour_does_not_notice);
	tcase_add_test(ends, room_is_told_once_after_a_refusal_and_not_without);
	tcase_add_test(ends, room_is_told_at_half_of_the_limit);
	tcase_add_test(ends, a_full_connection_still_says_what_else_is_wrong);
	tcase_add_test(ends, a_closed_connection_that_is_not_freed_keeps_the_context);
	suite_add_tcase(s, ends);
}

int main(void)
{
	Suite *s = suite_create("conn");

	add_states(s);
	add_ends(s);
	return suite_run(s);
}
