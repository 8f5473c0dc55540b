/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_sender_ends.c - how connections end whose batches somebody else sends
 *
 * Abort, drain and free at every point between submit() and the last proof; a
 * socket that has died; a sender that never answers.
 */
#include "support/suite.h"

#include <errno.h>
#include <linux/tcp.h>
#include <poll.h>
#include <string.h>

#include <zcreq/zcreq.h>

#include "support/sender_scene.h"

#define LINGER_NS (10 * (uint64_t)1000000)

static const struct tcp_info over = {.tcpi_state = 7}; /* TCP_CLOSE */

/* The ways in which a submission that was cancelled can end. */
static const struct {
	int64_t result;
	bool more;
} endings[] = {{-ECANCELED, false}, {-ECANCELED, true}, {4, true}, {4, false}, {20, true},
	       {20, false}, {0, false}, {-ENOBUFS, true}, {-EAGAIN, true}, {-EAGAIN, false}};

static unsigned ending;

static void answer(struct script *s)
{
	if (s->under_way)
		script_result(s, endings[ending].result, endings[ending].more);
	if (s->awaited)
		script_proof(s, s->id);
}

static void answer_result(struct script *s)
{
	if (s->under_way)
		script_result(s, endings[ending].result, endings[ending].more);
}

/* I4: the outcome is known at once. I2, I9: nothing goes before the sender's word. */
START_TEST(abort_cancels_and_waits_for_result_and_proof)
{
	struct heard *lent, *behind;

	ending = _i / 2;
	if (_i % 2)
		options.sender = &script_submit_only;
	open_stream();
	lent = sent(0, 20);
	behind = sent(1, 20);
	ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	ck_assert_uint_eq(script.cancels, !(_i % 2));
	zcreq_turn(context, 0);
	ck_assert_uint_eq(lent->settled, 1);
	ck_assert_uint_eq(behind->released, 1);
	ck_assert_uint_eq(lent->released, 0);
	ck_assert_uint_eq(script.stub.disconnects, 1);
	answer_result(&script);
	ck_assert_uint_eq(released(lent), !endings[ending].more);
	ck_assert_uint_eq(script.stub.closes, !endings[ending].more);
	answer(&script);
	ck_assert_uint_eq(released(lent), 1);
	ck_assert_int_eq(lent->status, -EIO);
	ck_assert_uint_eq(script.submits, 1);
	ck_assert_uint_eq(script.closes, !(_i % 2));
	ck_assert_uint_eq(heard_conn.closed, 1);
}
END_TEST

/* I5: a sender that answers from inside cancel or reap needs no timer. */
START_TEST(answers_from_inside_the_abort_release_without_a_timer)
{
	struct heard *lent;

	ending = _i / 3;
	script.cancelling = _i % 3 == 0 ? answer : _i % 3 == 1 ? answer_result : NULL;
	script.reaping = _i % 3 ? answer : NULL;
	open_stream();
	lent = sent(0, 20);
	ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	ck_assert_uint_eq(released(lent), 1);
	ck_assert_int_eq(lent->status, -EIO);
	ck_assert_uint_eq(heard_conn.closed, 1);
	ck_assert_uint_eq(script.stub.closes, 1);
}
END_TEST

/* The ladder has made its step, so nothing keeps the connection but this. */
static void answer_disconnected(struct script *s)
{
	if (s->stub.disconnects)
		answer(s);
}

static unsigned readable;

static void on_readable(struct zcreq_conn *c, void *arg)
{
	(void)c;
	(void)arg;
	ck_assert_uint_eq(heard_conn.closed, 0);
	readable++;
}

/* Who waits for data is told of the abort, though all is over inside it: here no request
 * waits for its callbacks, only a write for its proof. */
START_TEST(an_abort_that_is_over_at_once_tells_who_waits_for_data)
{
	struct zcreq_conn_hooks hooks = heard_hooks;

	hooks.readable = on_readable;
	options.hooks = &hooks;
	script.cancelling = _i ? NULL : answer;
	script.reaping = _i ? answer_disconnected : NULL;
	open_stream();
	ck_assert_int_eq(zcreq_write(conn, "x", 1), 0);
	zcreq_turn(context, 0);
	ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_CLOSED);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard_conn.abort, 1);
	ck_assert_uint_eq(readable, 1);
	ck_assert_uint_eq(heard_conn.closed, 1);
	zcreq_conn_free(conn); /* the hooks go before the end of the scene */
	conn = NULL;
}
END_TEST

START_TEST(nothing_is_cancelled_that_is_not_under_way)
{
	open_stream();
	sent(0, 20);
	script_result(&script, 20, true);
	ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	ck_assert_uint_eq(script.cancels, 0);
	ck_assert_uint_eq(released(&heard[0]), 0);
	script_proof(&script, 0);
	ck_assert_uint_eq(released(&heard[0]), 1);
}
END_TEST

/* Never answered: quarantine at the deadline, and late words still release. */
START_TEST(a_sender_that_never_answers_is_quarantined)
{
	struct heard *lent, *unproven;

	ending = _i / 2;
	options.linger_ms = LINGER_NS / 1000000;
	if (_i % 2)
		options.sender = &script_submit_only;
	open_stream();
	unproven = sent(0, 20);
	script_result(&script, 20, true);
	lent = sent(1, 20);
	zcreq_turn(context, 1);
	ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	for (uint64_t ns = 1; ns < LINGER_NS; ns += LINGER_NS / 8) {
		zcreq_turn(context, ns);
		ck_assert_uint_eq(lent->quarantined + unproven->quarantined, 0);
	}
	zcreq_turn(context, 1 + LINGER_NS);
	ck_assert_uint_eq(lent->quarantined + unproven->quarantined, 2);
	ck_assert_uint_eq(stats().quarantined_bytes_now, 40);
	ck_assert_uint_eq(script.stub.closes, 0); /* I9 */
	script_proof(&script, 0);
	ck_assert_uint_eq(released(unproven), 1);
	ck_assert_uint_eq(stats().quarantined_bytes_now, 20);
	answer(&script);
	ck_assert_uint_eq(released(lent), 1);
	ck_assert_uint_eq(stats().quarantined_bytes_now, 0);
	ck_assert_uint_eq(script.stub.closes, 1);
}
END_TEST

/* With reap the library looks for itself, in quarantine too. */
START_TEST(the_look_in_quarantine_reaps)
{
	unsigned reaps;

	options.linger_ms = LINGER_NS / 1000000;
	open_stream();
	sent(0, 20);
	zcreq_turn(context, 1);
	ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	zcreq_turn(context, 1);
	zcreq_turn(context, 1 + LINGER_NS);
	ck_assert_uint_eq(heard[0].quarantined, 1);
	reaps = script.reaps;
	script.reaping = answer;
	zcreq_turn(context, 1 + LINGER_NS + 2000 * (uint64_t)1000000);
	ck_assert_uint_eq(script.reaps, reaps + 1);
	ck_assert_uint_eq(released(&heard[0]), 1);
	ck_assert_uint_eq(script.stub.closes, 1);
}
END_TEST

/* What a death gives back looks like success: the socket is asked before. */
START_TEST(proof_from_a_dead_socket_is_not_success)
{
	struct zcreq_proof proofs[3] = {{.id = 2}, {.id = 0}, {.id = 1}};

	open_stream();
	for (unsigned i = 0; i < 3; i++) {
		sent(i, 20);
		script_result(&script, 20, true);
	}
	if (_i)
		sent(3, 20);
	script.stub.info = &over;
	script.stub.so_error = ECONNRESET;
	script.awaited = 0;
	ck_assert_int_eq(zcreq_sender_proof(conn, proofs, 3), 3);
	zcreq_turn(context, 0);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_uint_eq(heard[i].released, 1);
		ck_assert_int_eq(heard[i].status, -ECONNRESET);
	}
	ck_assert_uint_eq(script.stub.looks, 2);
	ck_assert_uint_eq(script.cancels, _i);
	ck_assert_uint_eq(heard_conn.closed, !_i);
	if (_i)
		script_result(&script, -EPIPE, false);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard_conn.closed, 1);
}
END_TEST

/* The sender is asked first: what it says can be the end, and the queue is not read then. */
START_TEST(a_message_behind_the_end_is_not_read)
{
	open_stream();
	ck_assert_int_eq(zcreq_write(conn, memory[0], 20), 0);
	zcreq_turn(context, 0);
	ck_assert_int_eq(zcreq_conn_drain(conn, 0), 0);
	ending = 5;
	script.reaping = answer;
	stub_foreign(&script.stub);
	zcreq_process(conn, POLLERR);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard_conn.closed, 1);
	ck_assert_uint_eq(heard_conn.message, 0);
	ck_assert_uint_eq(stats().foreign_messages, 0);
}
END_TEST

/* The end makes somebody say something, as a filter on the way may do. */
static int disconnects_with_a_message(int fd, void *arg)
{
	int ret = stub_ops.disconnect(fd, arg);

	stub_foreign(arg);
	return ret;
}

/* Nor one behind as many notifications as are believed at a time, if they end it. */
START_TEST(a_message_behind_notifications_that_end_it_is_not_read)
{
	struct zcreq_socket_ops talks = stub_ops;

	talks.disconnect = disconnects_with_a_message;
	options.socket_ops = &talks;
	open_stream();
	for (uint32_t i = 0; i < 64; i++)
		stub_notify(&script.stub, 5000 + i, 5000 + i, false);
	script.stub.info = &over;
	script.stub.so_error = ECONNRESET;
	ck_assert_int_eq(zcreq_process(conn, POLLERR), 0);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_CLOSED);
	zcreq_turn(context, 0);
	ck_assert_int_eq(heard_conn.abort_status, -ECONNRESET);
	ck_assert_uint_eq(heard_conn.closed, 1);
	ck_assert_uint_eq(heard_conn.message, 0);
	ck_assert_uint_eq(stats().foreign_messages, 0);
	ck_assert_uint_eq(stats().bogus_ranges, 64);
}
END_TEST

START_TEST(a_descriptor_that_is_not_open_ends_it)
{
	options.sender = _i ? &script_submit_only : &script_ops;
	open_stream();
	sent(0, 20);
	ck_assert_int_eq(zcreq_process(conn, POLLNVAL), 0);
	zcreq_turn(context, 0);
	ck_assert_int_eq(heard_conn.abort_status, -EBADF);
}
END_TEST

START_TEST(a_socket_that_does_not_say_whether_it_is_alive_is_dead)
{
	open_stream();
	script.stub.getsockopts = 0;
	script.stub.getsockopt_error[0] = -EIO;
	stub_notify(&script.stub, 5000, 5000, false);
	ck_assert_int_eq(zcreq_process(conn, POLLERR), 0);
	zcreq_turn(context, 0);
	ck_assert_int_eq(heard_conn.abort_status, -ECONNRESET);
}
END_TEST

static int find_it_dead(struct script *s)
{
	s->submitting = NULL;
	s->stub.info = &over;
	s->stub.so_error = ECONNRESET;
	script_proof(s, 0);
	if (!ending)
		return -ECANCELED;
	if (ending == 1)
		script_result(s, 4, true);
	return 0;
}

/* The abort comes in the middle of submit(), which the cancel then speaks of. */
START_TEST(a_death_that_is_found_inside_submit)
{
	open_stream();
	sent(0, 20);
	script_result(&script, 20, true);
	ending = _i;
	script.submitting = find_it_dead;
	sent(1, 20);
	ck_assert_uint_eq(script.cancels, 1);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard[0].released, 1);
	ck_assert_int_eq(heard[0].status, -ECONNRESET);
	ck_assert_int_eq(heard[1].status, -ECONNRESET);
	ck_assert_uint_eq(heard[1].released, _i == 0);
	if (_i == 1)
		script_proof(&script, 1);
	if (_i == 2)
		script_result(&script, -ECANCELED, false);
	ck_assert_uint_eq(released(&heard[1]), 1);
	ck_assert_uint_eq(heard_conn.closed, 1);
}
END_TEST

/* The end of the socket comes by poll: nothing is believed from before. */
START_TEST(a_hang_up_ends_what_is_under_way)
{
	open_stream();
	sent(0, 20);
	script.stub.info = &over;
	script.stub.so_error = _i ? ECONNRESET : 0;
	zcreq_process(conn, POLLERR | POLLHUP);
	zcreq_turn(context, 0);
	ck_assert_int_eq(heard[0].status, _i ? -ECONNRESET : -EPIPE);
	ck_assert_uint_eq(heard[0].released, 0);
	script_result(&script, 20, true);
	ck_assert_uint_eq(released(&heard[0]), 0);
	script_proof(&script, 0);
	ck_assert_uint_eq(released(&heard[0]), 1);
}
END_TEST

/* Everything goes out, everything is proven, then it is closed as a success. */
START_TEST(drain_waits_for_what_is_under_way_and_for_proof)
{
	open_stream();
	sent(0, 20);
	sent(1, 20);
	ck_assert_int_eq(zcreq_conn_drain(conn, 0), 0);
	script_result(&script, 20, true);
	zcreq_turn(context, 0);
	ck_assert(script.under_way);
	script_result(&script, 20, true);
	script_proof(&script, 1);
	ck_assert_uint_eq(released(&heard[1]), 1);
	ck_assert_uint_eq(heard_conn.closed, 0);
	script_proof(&script, 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard_conn.closed, 1);
	ck_assert_int_eq(heard_conn.closed_status, 0);
	ck_assert_uint_eq(script.closes, 1);
	ck_assert_uint_eq(script.stub.disconnects, 0);
}
END_TEST

START_TEST(drain_that_meets_its_deadline_cancels)
{
	open_stream();
	sent(0, 20);
	zcreq_turn(context, 1);
	ck_assert_int_eq(zcreq_conn_drain(conn, 1), 0);
	zcreq_turn(context, 1);
	zcreq_turn(context, 1000000);
	ck_assert_uint_eq(script.cancels, 0);
	zcreq_turn(context, 1000001);
	ck_assert_uint_eq(script.cancels, 1);
	ck_assert_int_eq(heard[0].status, -ETIMEDOUT);
	ck_assert_uint_eq(heard[0].released, 0);
	script_result(&script, -ECANCELED, false);
	ck_assert_uint_eq(released(&heard[0]), 1);
}
END_TEST

enum freed {
	FREED_IDLE,
	FREED_QUEUED,
	FREED_UNDER_WAY,
	FREED_UNPROVEN,
	FREED_FULL,
	FREED_RESTING,
	FREED_DRAINING,
	FREED_ABORTING,
	FREED_QUARANTINED,
	FREED_CLOSED,
	FREED_STATES,
};

static void bring_to(enum freed state)
{
	switch (state) {
	case FREED_IDLE:
		break;
	case FREED_QUEUED:
		request_of(0, 20);
		break;
	case FREED_UNPROVEN:
		sent(0, 20);
		script_result(&script, 20, true);
		break;
	case FREED_FULL:
		sent(0, 20);
		script_result(&script, -EAGAIN, true);
		break;
	case FREED_RESTING:
		sent(0, 20);
		script_result(&script, -ENOBUFS, false);
		script_result(&script, -ENOBUFS, false);
		break;
	default:
		sent(0, 20);
	}
	if (state == FREED_DRAINING)
		ck_assert_int_eq(zcreq_conn_drain(conn, 0), 0);
	if (state >= FREED_ABORTING)
		ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	if (state >= FREED_QUARANTINED) {
		zcreq_turn(context, 1);
		zcreq_turn(context, 1 + LINGER_NS);
	}
	if (state == FREED_CLOSED)
		answer(&script);
	zcreq_turn(context, 0);
}

/* The sender may speak until closed, also of a connection that nobody has any more. */
START_TEST(free_in_every_state_and_words_afterwards)
{
	enum freed state = _i / COUNT(endings);

	ending = _i % COUNT(endings);
	options.linger_ms = LINGER_NS / 1000000;
	open_stream();
	bring_to(state);
	zcreq_conn_free(conn);
	conn = NULL;
	zcreq_turn(context, 0);
	ck_assert_uint_eq(script.closes, !script.under_way && !script.awaited);
	while (script.under_way || script.awaited) {
		ck_assert_uint_eq(heard[0].released, 0);
		ck_assert_uint_eq(script.closes, 0);
		answer(&script);
		zcreq_turn(context, 0);
	}
	if (state != FREED_IDLE)
		ck_assert_uint_eq(heard[0].released, 1);
	ck_assert_uint_eq(script.closes, 1);
	ck_assert_uint_eq(script.stub.closes, 1);
	ck_assert_uint_eq(script.stub.reads_when_closed, 0);
}
END_TEST

static void speak(struct zcreq_conn *closed, enum heard_callback callback)
{
	const struct zcreq_proof proof = {.id = 0};

	if (callback != HEARD_CONN_CLOSED)
		return;
	ck_assert_int_eq(zcreq_conn_state(closed), ZCREQ_CONN_CLOSED);
	ck_assert_int_eq(zcreq_sender_result(closed, 0, 20, false), -ESTALE);
	ck_assert_int_eq(zcreq_sender_proof(closed, &proof, 1), 0);
	ck_assert_int_eq(zcreq_events(closed), 0);
}

/* From inside the closed hook, and after it: a mistake, counted. */
START_TEST(words_after_closed_are_survived)
{
	open_stream();
	heard_conn.inside = speak;
	sent(0, 20);
	ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	script_result(&script, -ECANCELED, false);
	zcreq_turn(context, 0);
	speak(conn, HEARD_CONN_CLOSED);
	ck_assert_uint_eq(stats().stale_handles, 2);
	ck_assert_uint_eq(stats().bogus_ranges, 2);
}
END_TEST

/* The watchdog's period begins again with a result and with a proof. */
START_TEST(a_result_and_a_proof_are_progress)
{
	uint64_t now_ns = 1;

	options.stall_ms = 10;
	open_stream();
	sent(0, 20);
	zcreq_turn(context, now_ns);
	now_ns += 9 * (uint64_t)1000000;
	script_result(&script, 20, true);
	zcreq_turn(context, now_ns);
	now_ns += 9 * (uint64_t)1000000;
	zcreq_turn(context, now_ns);
	ck_assert_uint_eq(heard_conn.stalled, 0);
	sent(1, 20);
	script_proof(&script, 0);
	zcreq_turn(context, now_ns);
	now_ns += 9 * (uint64_t)1000000;
	zcreq_turn(context, now_ns);
	ck_assert_uint_eq(heard_conn.stalled, 0);
	/* one told before is none */
	script_no_proof(&script, 0);
	now_ns += 1 * (uint64_t)1000000;
	zcreq_turn(context, now_ns);
	ck_assert_uint_eq(heard_conn.stalled, 1);
}
END_TEST

/* A copy is done at once, and all the same nobody has it. */
START_TEST(i12_copies_do_not_put_off_the_look)
{
	const struct tcp_info silent = {
		.tcpi_state = 1,
		.tcpi_unacked = 1,
		.tcpi_snd_mss = 1448,
		.tcpi_snd_wnd = 1448,
		.tcpi_retransmits = 2,
		.tcpi_rto = 200000,
		.tcpi_last_ack_recv = 9999,
		.tcpi_last_data_recv = 9999,
	};
	uint64_t now_ns = 0;

	options.stall_ms = 500;
	open_stream();
	script.stub.info = &silent;
	while (!heard_conn.abort && now_ns < 2000 * (uint64_t)1000000) {
		heard[0] = (struct heard){0};
		request_of(0, 20);
		zcreq_turn(context, now_ns);
		script_result(&script, 20, false);
		now_ns += 10 * (uint64_t)1000000;
		zcreq_turn(context, now_ns);
	}
	ck_assert_uint_eq(heard_conn.abort, 1);
	ck_assert_int_eq(heard_conn.abort_status, -ETIMEDOUT);
	ck_assert_uint_eq(now_ns, 500 * (uint64_t)1000000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sender_ends");
	TCase *tcase = tcase_create("claims");

	tcase_add_checked_fixture(tcase, scene_setup, scene_teardown);
	tcase_add_loop_test(tcase, abort_cancels_and_waits_for_result_and_proof, 0,
			    2 * COUNT(endings));
	tcase_add_loop_test(tcase, answers_from_inside_the_abort_release_without_a_timer, 0,
			    3 * COUNT(endings));
	tcase_add_loop_test(tcase, an_abort_that_is_over_at_once_tells_who_waits_for_data, 0, 2);
	tcase_add_test(tcase, nothing_is_cancelled_that_is_not_under_way);
	tcase_add_loop_test(tcase, a_sender_that_never_answers_is_quarantined, 0,
			    2 * COUNT(endings));
	tcase_add_test(tcase, the_look_in_quarantine_reaps);
	tcase_add_loop_test(tcase, proof_from_a_dead_socket_is_not_success, 0, 2);
	tcase_add_test(tcase, a_message_behind_the_end_is_not_read);
	tcase_add_test(tcase, a_message_behind_notifications_that_end_it_is_not_read);
	tcase_add_loop_test(tcase, a_descriptor_that_is_not_open_ends_it, 0, 2);
	tcase_add_test(tcase, a_socket_that_does_not_say_whether_it_is_alive_is_dead);
	tcase_add_loop_test(tcase, a_death_that_is_found_inside_submit, 0, 3);
	tcase_add_loop_test(tcase, a_hang_up_ends_what_is_under_way, 0, 2);
	tcase_add_test(tcase, drain_waits_for_what_is_under_way_and_for_proof);
	tcase_add_test(tcase, drain_that_meets_its_deadline_cancels);
	tcase_add_loop_test(tcase, free_in_every_state_and_words_afterwards, 0,
			    FREED_STATES * COUNT(endings));
	tcase_add_test(tcase, words_after_closed_are_survived);
	tcase_add_test(tcase, a_result_and_a_proof_are_progress);
	tcase_add_test(tcase, i12_copies_do_not_put_off_the_look);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
