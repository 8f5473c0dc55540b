/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_request.c - the life of a request, every state by every event
 *
 * The oracle does not know the library's table. It knows four facts about a
 * request (begun, finished by its owner, aborted, given up waiting for proof) and
 * what each event does to them, as doc/architecture.md and request.h tell it; the
 * names of the states are read off the facts.
 */
#include "support/suite.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>

#include <zcreq/zcreq.h>

#include "core/core.h"
#include "support/counting.h"
#include "support/recorder.h"
#include "support/stub.h"

struct facts {
	bool begun, finished, aborted, late, over;
};

static const struct facts facts_of[] = {
	[ZCREQ_STATE_FREE] = {0},
	[ZCREQ_STATE_OPEN] = {.begun = true},
	[ZCREQ_STATE_FINISHED] = {.begun = true, .finished = true},
	[ZCREQ_STATE_ABORTING] = {.begun = true, .aborted = true},
	[ZCREQ_STATE_ABORTED_FINISHED] = {.begun = true, .finished = true, .aborted = true},
	[ZCREQ_STATE_QUARANTINED] = {.begun = true, .finished = true, .aborted = true,
				     .late = true},
	[ZCREQ_STATE_DONE] = {.over = true},
};

static int name_of(struct facts facts)
{
	if (facts.over)
		return ZCREQ_STATE_DONE;
	if (!facts.begun)
		return ZCREQ_STATE_FREE;
	if (facts.late)
		return ZCREQ_STATE_QUARANTINED;
	if (facts.aborted)
		return facts.finished ? ZCREQ_STATE_ABORTED_FINISHED : ZCREQ_STATE_ABORTING;
	return facts.finished ? ZCREQ_STATE_FINISHED : ZCREQ_STATE_OPEN;
}

/* What request.h answers to a handle whose request is in this state. */
static int public_answer(struct facts facts, enum zcreq_event event)
{
	if (!facts.begun || facts.over)
		return -ESTALE;
	if (event == ZCREQ_EVENT_ABORT)
		return facts.aborted ? -EALREADY : 0;
	if (facts.finished)
		return -ESTALE;
	return event == ZCREQ_EVENT_HOLD && facts.aborted ? -ECANCELED : 0;
}

/* Any refusal will do where only the library itself could ask. */
#define REFUSED 1

static int answer(struct facts *facts, enum zcreq_event event)
{
	switch (event) {
	case ZCREQ_EVENT_BEGIN:
		if (facts->begun || facts->over)
			return REFUSED;
		facts->begun = true;
		return 0;
	case ZCREQ_EVENT_HOLD:
	case ZCREQ_EVENT_FINISH:
	case ZCREQ_EVENT_ABORT:
		if (public_answer(*facts, event))
			return public_answer(*facts, event);
		facts->finished |= event == ZCREQ_EVENT_FINISH;
		facts->aborted |= event == ZCREQ_EVENT_ABORT;
		return 0;
	case ZCREQ_EVENT_DEADLINE:
		facts->late |= facts->finished && facts->aborted && !facts->over;
		return facts->begun || facts->over ? 0 : REFUSED;
	case ZCREQ_EVENT_PROVEN:
		if (!facts->late)
			return REFUSED;
		facts->late = false;
		return 0;
	case ZCREQ_EVENT_LAST:
		if (!facts->begun || facts->late) /* something is left */
			return REFUSED;
		facts->over |= facts->finished;
		return 0;
	default:
		if (!facts->over)
			return REFUSED;
		*facts = (struct facts){0};
		return 0;
	}
}

#define EVENTS ZCREQ_EVENT_REPORTED

START_TEST(every_cell_is_what_the_diagram_says)
{
	enum zcreq_state state = _i / EVENTS + 1;
	enum zcreq_event event = _i % EVENTS + 1;
	struct zcreq_request request = {.state = state};
	struct facts facts = facts_of[state];
	int expected = answer(&facts, event), ret = zcreq_request_event(&request, event);

	if (expected == REFUSED)
		ck_assert_int_lt(ret, 0);
	else
		ck_assert_int_eq(ret, expected);
	ck_assert_int_eq(request.state, expected ? (int)state : name_of(facts));
}
END_TEST

/* ---- the same through the public calls ------------------------------------ */

static struct counting memory;
static struct zcreq_context *context;
static struct stub stub;
static struct zcreq_conn *conn;
static struct heard heard;
static zcreq_hold hold;
static const char data[64];

static void setup(void)
{
	context = counting_context(&memory, 0);
	stub_init(&stub);
	conn = stub_open(&stub, context, NULL, NULL);
	heard = (struct heard){0};
	hold.bits = 0;
}

/* Whatever the test has left over ends; the request was released once. */
static void teardown(void)
{
	if (zcreq_request_state(context, heard.id) > 0) {
		(void)!zcreq_finish(context, heard.id, 0);
		(void)!zcreq_drop(context, hold, 0);
	}
	zcreq_conn_free(conn);
	stub_prove_all(&stub);
	for (uint64_t s = 10; s < 20; s++)
		zcreq_turn(context, s * 1000000000);
	ck_assert_uint_eq(heard.released, heard.id.bits != 0);
	ck_assert_uint_eq(stats_of(context).requests_now, 0);
	ck_assert_uint_eq(stats_of(context).quarantined_now, 0);
	ck_assert_uint_eq(stats_of(context).quarantined_bytes_now, 0);
	counting_end(&memory, context);
}

static void finish(int status)
{
	ck_assert_int_eq(zcreq_finish(context, heard.id, status), 0);
}

/* The kernel keeps what it has, and the linger time is over. */
static void quarantine(void)
{
	stub.keeps = true;
	stub_send(conn, heard.id, data, sizeof(data));
	finish(0);
	ck_assert_int_eq(zcreq_conn_abort(conn, -ECONNRESET), 0);
	zcreq_turn(context, 1);
	zcreq_turn(context, 6000000000);
}

static void bring_to(enum zcreq_state state)
{
	const struct facts facts = facts_of[state];

	heard_begin(conn, &heard);
	if (facts.late) {
		quarantine();
	} else if (facts.over || !facts.begun) {
		finish(0);
		if (!facts.over)
			zcreq_turn(context, 0);
	} else {
		hold = heard_take(context, &heard);
		if (facts.aborted)
			ck_assert_int_eq(zcreq_abort(context, heard.id, -EPERM), 0);
		if (facts.finished)
			finish(0);
	}
	ck_assert_int_eq(zcreq_request_state(context, heard.id),
			 state == ZCREQ_STATE_FREE ? -ESTALE : (int)state);
}

enum call { CALL_FINISH, CALL_FINISH_ERROR, CALL_TAKE, CALL_SEND, CALL_ABORT, CALLS };

static int make_call(enum call call)
{
	const struct iovec iov = {.iov_base = (void *)data, .iov_len = sizeof(data)};
	zcreq_hold more = {0};
	int ret;

	if (call == CALL_FINISH || call == CALL_FINISH_ERROR)
		return zcreq_finish(context, heard.id, call == CALL_FINISH ? 0 : -EIO);
	if (call == CALL_ABORT)
		return zcreq_abort(context, heard.id, -ENODEV);
	if (call == CALL_SEND)
		return zcreq_add(context, heard.id, &iov, 1, 0);
	ret = zcreq_take(context, heard.id, &more);
	if (ret)
		ck_assert_uint_eq(more.bits, 0);
	else
		ck_assert_int_eq(zcreq_drop(context, more, 0), 0);
	return ret;
}

START_TEST(every_call_in_every_state_answers_as_documented)
{
	static const enum zcreq_event events[CALLS] = {
		ZCREQ_EVENT_FINISH, ZCREQ_EVENT_FINISH, ZCREQ_EVENT_HOLD, ZCREQ_EVENT_HOLD,
		ZCREQ_EVENT_ABORT,
	};
	enum zcreq_state state = _i / CALLS + 1;
	enum call call = _i % CALLS;
	struct facts facts = facts_of[state];
	uint64_t stale;
	int expected = answer(&facts, events[call]);

	bring_to(state);
	stale = stats_of(context).stale_handles;
	ck_assert_int_eq(make_call(call), expected);
	ck_assert_uint_eq(stats_of(context).stale_handles, stale + (expected == -ESTALE));
	ck_assert_int_eq(zcreq_request_state(context, heard.id),
			 name_of(facts) == ZCREQ_STATE_FREE ? -ESTALE : name_of(facts));
	ck_assert_uint_eq(stats_of(context).stale_handles, stale + (expected == -ESTALE));
}
END_TEST

START_TEST(every_state_has_words)
{
	enum zcreq_state state = _i;
	char text[1024] = "", cut[8];
	int len;

	bring_to(state);
	len = zcreq_request_explain(context, heard.id, ZCREQ_TEXT, text, sizeof(text));
	if (state == ZCREQ_STATE_FREE) {
		ck_assert_int_eq(len, -ESTALE);
		return;
	}
	ck_assert_int_eq(len, (int)strlen(text));
	ck_assert_int_eq(zcreq_request_explain(context, heard.id, ZCREQ_TEXT, NULL, 0), len);
	ck_assert_int_eq(zcreq_request_explain(context, heard.id, ZCREQ_TEXT, cut, sizeof(cut)), len);
	ck_assert_int_eq(strncmp(cut, text, sizeof(cut) - 1), 0);
	ck_assert_uint_eq(strlen(cut), sizeof(cut) - 1);
}
END_TEST

/* Not by chance of two generations: they differ in a field of their own. */
START_TEST(i3_a_hold_is_no_request_and_a_request_no_hold)
{
	zcreq_hold taken;
	zcreq_id id;

	heard_begin(conn, &heard);
	taken = heard_take(context, &heard);
	ck_assert_uint_ne(taken.bits & ZCREQ_SLOT_KIND_MASK, heard.id.bits & ZCREQ_SLOT_KIND_MASK);
	ck_assert_int_eq(zcreq_drop(context, (zcreq_hold){heard.id.bits}, 0), -ESTALE);
	id.bits = taken.bits;
	ck_assert_int_eq(zcreq_finish(context, id, 0), -ESTALE);
	ck_assert_uint_eq(stats_of(context).stale_handles, 2);
	ck_assert_int_eq(zcreq_drop(context, taken, 0), 0);
	ck_assert_int_eq(zcreq_finish(context, heard.id, 0), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.released, 1);
}
END_TEST

START_TEST(i3_second_finish_is_stale_and_counted)
{
	heard_begin(conn, &heard);
	finish(0);
	ck_assert_int_eq(zcreq_finish(context, heard.id, -EIO), -ESTALE);
	zcreq_turn(context, 0);
	ck_assert_int_eq(zcreq_finish(context, heard.id, -EIO), -ESTALE);
	ck_assert_int_eq(heard.status, 0);
	ck_assert_uint_eq(stats_of(context).stale_handles, 2);
}
END_TEST

START_TEST(i3_second_drop_is_stale_and_counted)
{
	zcreq_hold first, second;

	heard_begin(conn, &heard);
	first = heard_take(context, &heard);
	second = heard_take(context, &heard);
	finish(0);
	ck_assert_int_eq(zcreq_drop(context, first, 0), 0);
	ck_assert_int_eq(zcreq_drop(context, first, -EIO), -ESTALE);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.released, 0);
	ck_assert_int_eq(zcreq_drop(context, second, 0), 0);
	zcreq_turn(context, 0);
	ck_assert_int_eq(zcreq_drop(context, second, 0), -ESTALE);
	ck_assert_int_eq(heard.status, 0);
	ck_assert_uint_eq(stats_of(context).stale_handles, 2);
}
END_TEST

START_TEST(i3_second_abort_changes_nothing)
{
	heard_begin(conn, &heard);
	ck_assert_int_eq(zcreq_abort(context, heard.id, -EPERM), 0);
	ck_assert_int_eq(zcreq_abort(context, heard.id, -EIO), -EALREADY);
	finish(-ENODEV);
	ck_assert_int_eq(zcreq_abort(context, heard.id, -EIO), -ESTALE);
	zcreq_turn(context, 0);
	ck_assert_int_eq(zcreq_abort(context, heard.id, -EIO), -ESTALE);
	ck_assert_int_eq(heard.status, -EPERM);
	ck_assert_uint_eq(stats_of(context).aborted, 1);
	ck_assert_uint_eq(stats_of(context).stale_handles, 2);
}
END_TEST

START_TEST(i1_released_waits_for_the_last_hold)
{
	heard_begin(conn, &heard);
	hold = heard_take(context, &heard);
	finish(0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard_calls(&heard), 0);
	ck_assert_int_eq(zcreq_drop(context, hold, 0), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.settled, 1);
	ck_assert_uint_eq(heard.released, 1);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard_calls(&heard), 2);
}
END_TEST

START_TEST(released_waits_for_the_owner_also_without_holds)
{
	heard_begin(conn, &heard);
	hold = heard_take(context, &heard);
	ck_assert_int_eq(zcreq_drop(context, hold, 0), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard_calls(&heard), 0);
	ck_assert_int_eq(zcreq_abort(context, heard.id, -EPERM), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard_calls(&heard), 2);
	ck_assert_uint_eq(heard.aborting, 1);
	ck_assert_uint_eq(heard.released, 0);
	finish(0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard_calls(&heard), 3);
}
END_TEST

START_TEST(an_error_settles_at_once_and_releases_later)
{
	heard_begin(conn, &heard);
	hold = heard_take(context, &heard);
	finish(-EIO);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.settled, 1);
	ck_assert_int_eq(heard.status, -EIO);
	ck_assert_uint_eq(heard.released, 0);
}
END_TEST

START_TEST(success_is_not_settled_before_the_release)
{
	heard_begin(conn, &heard);
	hold = heard_take(context, &heard);
	finish(0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.settled, 0);
	ck_assert_int_eq(zcreq_drop(context, hold, -ENOSPC), 0);
	zcreq_turn(context, 0);
	ck_assert_int_eq(heard.status, -ENOSPC);
}
END_TEST

/* drop, finish and abort each bring an error, in all orders; the first is told. */
START_TEST(the_first_error_wins_in_every_order)
{
	static const char *const orders[] = {"dfa", "daf", "fda", "fad", "adf", "afd"};
	const char *order = orders[_i];

	heard_begin(conn, &heard);
	hold = heard_take(context, &heard);
	/* a second hold keeps it alive to the end */
	zcreq_hold last = heard_take(context, &heard);

	for (; *order; order++) {
		if (*order == 'd')
			ck_assert_int_eq(zcreq_drop(context, hold, -'d'), 0);
		else if (*order == 'f')
			finish(-'f');
		else
			ck_assert_int_eq(zcreq_abort(context, heard.id, -'a'), 0);
	}
	ck_assert_int_eq(zcreq_drop(context, last, -EIO), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_int_eq(heard.status, -orders[_i][0]);
}
END_TEST

START_TEST(aborting_is_not_told_to_an_owner_who_has_finished)
{
	heard_begin(conn, &heard);
	hold = heard_take(context, &heard);
	if (_i)
		ck_assert_int_eq(zcreq_abort(context, heard.id, -EPERM), 0);
	finish(0);
	if (!_i)
		ck_assert_int_eq(zcreq_abort(context, heard.id, -EPERM), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.settled, 1);
	ck_assert_uint_eq(heard.aborting, 0);
}
END_TEST

START_TEST(abort_after_a_byte_was_accepted_is_busy_and_changes_nothing)
{
	stub.most_bytes = 1;
	stub.room_bytes = 1;
	heard_begin(conn, &heard);
	stub_send(conn, heard.id, data, sizeof(data));
	if (_i)
		finish(0);
	ck_assert_int_eq(zcreq_abort(context, heard.id, -EPERM), -EBUSY);
	ck_assert_int_eq(zcreq_request_state(context, heard.id),
			 _i ? ZCREQ_STATE_FINISHED : ZCREQ_STATE_OPEN);
	ck_assert_uint_eq(stats_of(context).aborted, 0);
	stub.most_bytes = 0;
	stub.room_bytes = UINT64_MAX;
	ck_assert_int_eq(zcreq_process(conn, POLLOUT), 0);
	ck_assert_uint_eq(stub.zerocopy_bytes, sizeof(data));
}
END_TEST

START_TEST(abort_of_an_unsent_request_releases_without_a_byte_on_the_wire)
{
	stub.room_bytes = 0;
	heard_begin(conn, &heard);
	stub_send(conn, heard.id, data, sizeof(data));
	finish(0);
	ck_assert_int_eq(zcreq_abort(context, heard.id, -EPERM), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_int_eq(heard.status, -EPERM);
	stub.room_bytes = UINT64_MAX;
	ck_assert_int_eq(zcreq_process(conn, POLLOUT), 0);
	ck_assert_uint_eq(stub.zerocopy_bytes + stub.copied_bytes, 0);
}
END_TEST

START_TEST(i2_released_waits_for_the_proof_of_a_send)
{
	heard_begin(conn, &heard);
	stub_send(conn, heard.id, data, sizeof(data));
	finish(0);
	zcreq_process(conn, POLLERR);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.released, 0);
	stub_prove_all(&stub);
	zcreq_process(conn, POLLERR);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_int_eq(heard.status, 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("request");
	TCase *table = tcase_create("table"), *calls = tcase_create("calls"),
	      *life = tcase_create("life");

	tcase_add_loop_test(table, every_cell_is_what_the_diagram_says, 0,
			    ZCREQ_STATE_DONE * EVENTS);
	tcase_add_checked_fixture(calls, setup, teardown);
	tcase_add_loop_test(calls, every_call_in_every_state_answers_as_documented, 0,
			    ZCREQ_STATE_DONE * CALLS);
	tcase_add_loop_test(calls, every_state_has_words, ZCREQ_STATE_FREE, ZCREQ_STATE_DONE + 1);
	tcase_add_test(calls, i3_a_hold_is_no_request_and_a_request_no_hold);
	tcase_add_test(calls, i3_second_finish_is_stale_and_counted);
	tcase_add_test(calls, i3_second_drop_is_stale_and_counted);
	tcase_add_test(calls, i3_second_abort_changes_nothing);
	tcase_add_checked_fixture(life, setup, teardown);
	tcase_add_test(life, i1_released_waits_for_the_last_hold);
	tcase_add_test(life, released_waits_for_the_owner_also_without_holds);
	tcase_add_test(life, an_error_settles_at_once_and_releases_later);
	tcase_add_test(life, success_is_not_settled_before_the_release);
	tcase_add_loop_test(life, the_first_error_wins_in_every_order, 0, 6);
	tcase_add_loop_test(life, aborting_is_not_told_to_an_owner_who_has_finished, 0, 2);
	tcase_add_loop_test(life, abort_after_a_byte_was_accepted_is_busy_and_changes_nothing, 0,
			    2);
	tcase_add_test(life, abort_of_an_unsent_request_releases_without_a_byte_on_the_wire);
	tcase_add_test(life, i2_released_waits_for_the_proof_of_a_send);
	suite_add_tcase(s, table);
	suite_add_tcase(s, calls);
	suite_add_tcase(s, life);
	return s;
}

int main(void)
{
	return suite_run(suite());
}
