/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_turn.c - a turn does everything that is due, and comes to an end
 *
 * On streams that answer as they are told, with time by hand: what one call does in which
 * order, what its deadline says, that no alarm is lost, and other sources. What callbacks
 * may do is in check_dispatch.c, the descriptor in tests/stream.
 */
#include "support/suite.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "support/scene.h"
#include "support/script.h"

/* More than the rounds of any turn. */
#define MANY 20

/* ---- one call ---- */

START_TEST(a_null_context_never_wants_a_turn)
{
	ck_assert_uint_eq(zcreq_turn(NULL, 1), ZCREQ_NEVER);
}
END_TEST

/* Queued, sent, proven and heard, without another call; then nothing waits for time. */
START_TEST(what_was_queued_is_sent_and_what_is_due_is_heard_in_one_call)
{
	options.mode = ZCREQ_MODE_NEVER; /* a copy is its own proof */
	scene_open();
	heard_begin(conn, &heard);
	scene_queue(&heard);
	scene_finish(0);
	ck_assert_uint_eq(stub.copied_sends + heard_calls(&heard), 0);
	ck_assert_uint_eq(zcreq_turn(context, 5), ZCREQ_NEVER);
	ck_assert_uint_eq(stub.copied_bytes, sizeof(data));
	ck_assert_uint_eq(heard.settled, 1);
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_int_eq(heard.status, 0);
}
END_TEST

/* ---- the order of an abort ---- */

static char order[16]; /* the first letters of what was called */
static struct zcreq_conn *doomed;

static void note(char letter)
{
	ck_assert_uint_lt(strlen(order), sizeof(order) - 1);
	order[strlen(order)] = letter;
}

static void settled(zcreq_id id, int status, void *arg)
{
	(void)id;
	(void)arg;
	ck_assert_int_eq(status, -EIO);
	note('s');
}

static void aborting(zcreq_id id, int status, void *arg)
{
	(void)arg;
	ck_assert_int_eq(status, -EIO);
	note('a');
	ck_assert_int_eq(zcreq_finish(context, id, 0), 0);
}

static void released(zcreq_id id, int status, void *arg)
{
	(void)id;
	(void)arg;
	ck_assert_int_eq(status, -EIO);
	note('r');
}

static void abort_hook(struct zcreq_conn *of, int status, void *arg)
{
	(void)arg;
	ck_assert_int_eq(status, -EIO);
	if (of == doomed)
		note('A');
	else
		ck_assert_int_eq(zcreq_conn_abort(doomed, -EIO), 0);
}

static void closed_hook(struct zcreq_conn *of, int status, void *arg)
{
	(void)status;
	(void)arg;
	if (of == doomed)
		note('C');
}

/* As conn.h has it: from outside (0), and from a hook (1). */
START_TEST(an_abort_is_told_to_the_connection_then_to_its_requests)
{
	static const struct zcreq_conn_hooks of_conns = {
		.abort = abort_hook, .closed = closed_hook,
	};
	static const struct zcreq_request_hooks of_requests = {
		.settled = settled, .aborting = aborting, .released = released,
	};
	const struct zcreq_conn_options with = {.size = sizeof(with), .hooks = &of_conns};
	struct zcreq_conn *another;
	zcreq_id id;

	ck_assert_int_eq(zcreq_conn_open(context, &with, &another), 0);
	ck_assert_int_eq(zcreq_conn_open(context, &with, &doomed), 0);
	ck_assert_int_eq(zcreq_begin(doomed, &of_requests, NULL, 0, &id), 0);
	ck_assert_int_eq(zcreq_conn_abort(_i ? another : doomed, -EIO), 0);
	ck_assert_str_eq(order, "");
	zcreq_turn(context, 0);
	ck_assert_str_eq(order, _i ? "saArC" : "AsarC");
	zcreq_conn_free(another);
	zcreq_conn_free(doomed);
	zcreq_turn(context, 0);
}
END_TEST

static void queue_another(struct heard *request, enum heard_callback callback)
{
	if (callback == HEARD_RELEASED && request != &heard) {
		heard_begin(conn, &heard);
		scene_queue(&heard);
		scene_finish(0);
	}
}

/* What a callback queues is with the kernel when the turn returns. */
START_TEST(what_a_callback_queues_is_sent_in_the_same_call)
{
	struct heard first = {.inside = queue_another};

	heard_begin(conn, &first);
	ck_assert_int_eq(zcreq_finish(context, first.id, 0), 0);
	zcreq_turn(context, 5);
	ck_assert_uint_eq(first.released, 1);
	ck_assert_uint_eq(stub.zerocopy_bytes, sizeof(data));
	scene_prove();
}
END_TEST

static struct heard endless[MANY];

/* Each that is released begins the next. */
static void begin_next(struct heard *request, enum heard_callback callback)
{
	struct heard *next = request + 1;

	if (callback != HEARD_RELEASED || next == endless + MANY)
		return;
	next->inside = begin_next;
	heard_begin(conn, next);
	CLAIM(zcreq_finish(context, next->id, 0) == 0);
}

static unsigned released_of_endless(void)
{
	unsigned released = 0;

	for (unsigned i = 0; i < MANY; i++)
		released += endless[i].released;
	return released;
}

/* And goes on in the next, until there is nothing more. */
START_TEST(callbacks_that_always_make_work_make_the_deadline_at_once)
{
	unsigned before;

	endless[0].inside = begin_next;
	heard_begin(conn, &endless[0]);
	ck_assert_int_eq(zcreq_finish(context, endless[0].id, 0), 0);
	ck_assert_uint_le(zcreq_turn(context, 5), 5);
	before = released_of_endless();
	ck_assert_uint_ge(before, 2);
	ck_assert_uint_lt(before, MANY);
	ck_assert_uint_le(zcreq_turn(context, 6), 6);
	ck_assert_uint_gt(released_of_endless(), before);
	while (zcreq_turn(context, 7) != ZCREQ_NEVER)
		ck_assert_uint_lt(released_of_endless(), MANY);
	ck_assert_uint_eq(released_of_endless(), MANY);
}
END_TEST

static uint64_t inner_deadline_ns;

static void turn_inside(struct heard *request, enum heard_callback callback)
{
	if (callback != HEARD_SETTLED)
		return;
	scene_queue(request);
	inner_deadline_ns = zcreq_turn(context, 100 * SECOND);
	CLAIM(stub.zerocopy_sends == 0);
	CLAIM(request->released == 0);
	CLAIM(hooks.abort == 0);
}

/* Nothing is sent, no time passes (the drain would be over), nobody is called. */
START_TEST(inside_a_callback_a_turn_does_nothing)
{
	struct zcreq_conn *draining = scene_open_another(&options);
	zcreq_hold hold;

	heard.inside = turn_inside;
	heard_begin(conn, &heard);
	hold = heard_take(context, &heard);
	ck_assert_int_eq(zcreq_drop(context, hold, -EIO), 0);
	heard_begin(draining, &endless[0]);
	ck_assert_int_eq(zcreq_conn_drain(draining, 50000), 0);
	ck_assert_uint_eq(zcreq_turn(context, 10 * SECOND), 60 * SECOND);
	ck_assert_uint_eq(inner_deadline_ns, 10 * SECOND); /* at once */
	ck_assert_uint_eq(heard.settled, 1);
	ck_assert_uint_eq(stub.zerocopy_sends, 1);
	ck_assert_int_eq(zcreq_conn_state(draining), ZCREQ_CONN_DRAINING);
	scene_finish(0);
	scene_prove();
	ck_assert_int_eq(zcreq_finish(context, endless[0].id, 0), 0);
	zcreq_conn_free(draining);
}
END_TEST

/* A clock that jumps back makes no time pass, and none begin again. */
START_TEST(an_earlier_time_stands_still)
{
	heard_begin(conn, &heard);
	zcreq_turn(context, 0); /* its age begins */
	ck_assert_int_eq(zcreq_conn_drain(conn, 5000), 0);
	ck_assert_uint_eq(zcreq_turn(context, 3 * SECOND), 8 * SECOND);
	ck_assert_uint_eq(zcreq_turn(context, 1 * SECOND), 8 * SECOND);
	ck_assert_uint_eq(zcreq_turn(context, 0), 8 * SECOND);
	ck_assert_uint_ge(stats_of(context).oldest_age_ns, 2990 * MS);
	ck_assert_uint_eq(hooks.abort, 0);
	zcreq_turn(context, 8 * SECOND);
	ck_assert_uint_eq(hooks.abort, 1);
	ck_assert_int_eq(hooks.abort_status, -ETIMEDOUT);
	scene_finish(0);
}
END_TEST

/* As doc/frameworks.md has it. */
static uint64_t ns_of_ticks(uint64_t ticks, uint64_t hz)
{
	return ticks / hz * 1000000000 + ticks % hz * 1000000000 / hz;
}

/* In one multiplication, what a clock of 2 GHz says after ten seconds is less than what it
 * said after nine. */
START_TEST(ticks_become_nanoseconds_without_overflow)
{
	static const uint64_t hz[] = {1, 1000, 1000000000, 2000000000, 2399999999, 18000000000};
	const uint64_t year_s = 365 * 24 * 3600;

	for (uint64_t s = 1; s < 30 * year_s && s < UINT64_MAX / hz[_i] - 1; s = s * 3 + 1) {
		ck_assert_uint_eq(ns_of_ticks(s * hz[_i], hz[_i]), s * SECOND);
		ck_assert_uint_eq(ns_of_ticks(s * hz[_i] + hz[_i] / 2, hz[_i]),
				  s * SECOND + hz[_i] / 2 * SECOND / hz[_i]);
		ck_assert_uint_lt(ns_of_ticks(s * hz[_i] + hz[_i] - 1, hz[_i]), (s + 1) * SECOND);
	}
	ck_assert_uint_lt(UINT64_C(20000000000) * 1000000000 / 2000000000,
			  UINT64_C(18000000000) * 1000000000 / 2000000000);
	ck_assert_uint_eq(zcreq_turn(context, ns_of_ticks(10 * hz[_i], hz[_i])), ZCREQ_NEVER);
}
END_TEST

/* Nothing is to be polled, and the program has no connection: time alone brings it. */
START_TEST(a_freed_connection_that_lingers_needs_turns_until_it_is_gone)
{
	uint64_t next_ns;

	stub.keeps = true;
	scene_sent();
	zcreq_conn_free(conn);
	conn = NULL;
	next_ns = zcreq_turn(context, SECOND);
	ck_assert_uint_eq(heard.released, 0);
	ck_assert_int_eq(zcreq_context_free(context), -EBUSY);
	ck_assert_uint_lt(next_ns, 2 * SECOND);
	stub_prove_all(&stub);
	next_ns = zcreq_turn(context, next_ns);
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_uint_eq(hooks.closed, 0);
	ck_assert_uint_eq(next_ns, ZCREQ_NEVER);
	ck_assert_uint_eq(stats_of(context).connections_now, 0);
}
END_TEST

/* ---- alarms ---- */

#define CONNS 4

static struct script scripts[CONNS];
static struct zcreq_conn *conns[CONNS];
static struct heard_conn conn_hooks[CONNS];
static struct heard waiting[CONNS];

static void open_scripts(uint32_t stall_ms)
{
	for (unsigned i = 0; i < CONNS; i++) {
		struct zcreq_stream_options o = script_options(&scripts[i]);

		o.hooks = &heard_hooks;
		o.arg = &conn_hooks[i];
		o.stall_ms = stall_ms;
		script_open(&scripts[i], context, &o);
		conns[i] = scripts[i].conn;
		heard_begin(conns[i], &waiting[i]);
		stub_send(conns[i], waiting[i].id, data, sizeof(data));
		ck_assert_int_eq(zcreq_finish(context, waiting[i].id, 0), 0);
	}
}

static void close_scripts(void)
{
	for (unsigned i = 0; i < CONNS; i++) {
		scripts[i].reaping = NULL;
		if (scripts[i].under_way)
			script_result(&scripts[i], -ECANCELED, false);
		zcreq_conn_free(conns[i]);
	}
	zcreq_turn(context, 0);
	for (unsigned i = 0; i < CONNS; i++)
		ck_assert_uint_eq(waiting[i].released, 1);
	counting_end(&memory, context);
}

/* As a ring whose completions are of all its connections: its own submission has ended, so
 * that it is over and wants no more alarms, and one for the next is among them. */
static void answer_for_the_next(struct script *script)
{
	script->reaping = NULL;
	script_result(script, -ECANCELED, false);
	script_result(script + 1, 1, false);
}

/* The abort of the first, whose drain is over, brings a result for the second, on which
 * something happens while alarms are being looked at. Those behind it are on time. */
START_TEST(no_alarm_is_lost_when_an_abort_stirs_others)
{
	static const uint32_t drain_s[CONNS] = {1, 50, 2, 3};

	open_scripts(100000);
	for (unsigned i = 0; i < CONNS; i++)
		ck_assert_int_eq(zcreq_conn_drain(conns[i], drain_s[i] * 1000), 0);
	scripts[0].reaping = answer_for_the_next;
	ck_assert_uint_eq(zcreq_turn(context, MS), MS + SECOND);
	ck_assert_uint_le(zcreq_turn(context, MS + SECOND), MS + 2 * SECOND);
	ck_assert_uint_eq(scripts[1].taken, 1);
	for (unsigned s = 1; s <= 4; s++) {
		zcreq_turn(context, MS + s * SECOND);
		for (unsigned i = 0; i < CONNS; i++)
			ck_assert_uint_eq(conn_hooks[i].abort, drain_s[i] <= s);
	}
	close_scripts();
}
END_TEST

/* ---- sources ---- */

static struct spring {
	struct zcreq_source source;
	unsigned left; /* turns in which it still does something */
	unsigned turns, seen_sends;
} springs[3];

static int spring_turn(void *arg)
{
	struct spring *spring = arg;

	spring->turns++;
	spring->seen_sends = stub.zerocopy_sends;
	if (!spring->left)
		return 0;
	spring->left--;
	return 1;
}

static void add_spring(struct spring *spring, unsigned left)
{
	*spring = (struct spring){.source = {.turn = spring_turn, .arg = spring}, .left = left};
	ck_assert_int_eq(zcreq_source_add(context, &spring->source), 0);
}

static void remove_spring(struct spring *spring)
{
	ck_assert_int_eq(zcreq_source_remove(context, &spring->source), 0);
}

/* All of them, and one that does nothing is asked again when another did something. */
START_TEST(a_source_is_asked_until_none_does_anything)
{
	add_spring(&springs[0], 0);
	add_spring(&springs[1], 3);
	ck_assert_uint_eq(zcreq_turn(context, 5), ZCREQ_NEVER);
	ck_assert_uint_eq(springs[0].turns, 1 + 3);
	ck_assert_uint_eq(springs[1].turns, 1 + 3);
	ck_assert_uint_eq(zcreq_turn(context, 6), ZCREQ_NEVER);
	ck_assert_uint_eq(springs[0].turns, 1 + 3 + 1);
	remove_spring(&springs[0]);
	remove_spring(&springs[1]);
}
END_TEST

START_TEST(a_source_without_end_does_not_keep_a_turn)
{
	unsigned before;

	add_spring(&springs[0], MANY);
	ck_assert_uint_le(zcreq_turn(context, 5), 5);
	ck_assert_uint_ge(springs[0].turns, 2);
	ck_assert_uint_lt(springs[0].turns, MANY);
	do {
		before = springs[0].turns;
	} while (zcreq_turn(context, 5) != ZCREQ_NEVER);
	ck_assert_uint_gt(springs[0].turns, before);
	ck_assert_uint_eq(springs[0].turns, MANY + 1);
	remove_spring(&springs[0]);
}
END_TEST

/* So that what the flush prepared is submitted with it. */
START_TEST(a_source_is_asked_after_the_flush)
{
	add_spring(&springs[0], 0);
	heard_begin(conn, &heard);
	scene_queue(&heard);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(springs[0].seen_sends, 1);
	scene_finish(0);
	scene_prove();
	remove_spring(&springs[0]);
}
END_TEST

/* In any order; it is asked no more, and the others still are. */
START_TEST(a_source_that_was_removed_is_not_asked)
{
	static const unsigned orders[][COUNT(springs)] = {{0, 1, 2}, {1, 0, 2}, {2, 1, 0}};

	for (unsigned i = 0; i < COUNT(springs); i++)
		add_spring(&springs[i], 0);
	for (unsigned gone = 0; gone <= COUNT(springs); gone++) {
		for (unsigned i = 0; i < COUNT(springs); i++)
			springs[i].turns = 0;
		zcreq_turn(context, 0);
		for (unsigned i = 0; i < COUNT(springs); i++)
			ck_assert_uint_eq(springs[orders[_i][i]].turns, i >= gone);
		if (gone < COUNT(springs))
			remove_spring(&springs[orders[_i][gone]]);
	}
}
END_TEST

START_TEST(a_source_that_cannot_be_is_an_error)
{
	struct zcreq_source without = {.fd = NULL};

	ck_assert_int_eq(zcreq_source_add(NULL, &springs[0].source), -EINVAL);
	ck_assert_int_eq(zcreq_source_add(context, NULL), -EINVAL);
	ck_assert_int_eq(zcreq_source_add(context, &without), -EINVAL);
	ck_assert_int_eq(zcreq_source_remove(NULL, &springs[0].source), -EINVAL);
	ck_assert_int_eq(zcreq_source_remove(context, NULL), -EINVAL);
	ck_assert_int_eq(zcreq_source_remove(context, &without), -ENOENT);
	add_spring(&springs[0], 0);
	ck_assert_int_eq(zcreq_source_remove(context, &springs[1].source), -ENOENT);
	remove_spring(&springs[0]);
	ck_assert_int_eq(zcreq_source_remove(context, &springs[0].source), -ENOENT);
}
END_TEST

/* It is in the list once, and so is everything behind it. */
START_TEST(a_source_that_is_there_already_is_refused)
{
	for (unsigned i = 0; i < COUNT(springs); i++)
		add_spring(&springs[i], 0);
	for (unsigned i = 0; i < COUNT(springs); i++)
		ck_assert_int_eq(zcreq_source_add(context, &springs[i].source), -EEXIST);
	zcreq_turn(context, 0);
	for (unsigned i = 0; i < COUNT(springs); i++)
		ck_assert_uint_eq(springs[i].turns, 1);
	for (unsigned i = 0; i < COUNT(springs); i++)
		remove_spring(&springs[i]);
	add_spring(&springs[0], 0); /* it may come again */
	remove_spring(&springs[0]);
}
END_TEST

START_TEST(a_context_is_not_freed_with_a_source)
{
	add_spring(&springs[0], 0);
	zcreq_conn_free(conn);
	conn = NULL;
	zcreq_turn(context, 0);
	ck_assert_int_eq(zcreq_context_free(context), -EBUSY);
	remove_spring(&springs[0]); /* and then it is */
}
END_TEST

int main(void)
{
	Suite *s = suite_create("turn");
	TCase *call = tcase_create("call"), *plain = tcase_create("plain");
	TCase *alarms = tcase_create("alarms"), *sources = tcase_create("sources");

	tcase_add_checked_fixture(plain, scene_setup, scene_teardown);
	tcase_add_test(plain, a_null_context_never_wants_a_turn);
	tcase_add_test(plain, what_was_queued_is_sent_and_what_is_due_is_heard_in_one_call);
	tcase_add_loop_test(plain, an_abort_is_told_to_the_connection_then_to_its_requests, 0, 2);
	suite_add_tcase(s, plain);
	tcase_add_checked_fixture(call, scene_setup_open, scene_teardown);
	tcase_add_test(call, what_a_callback_queues_is_sent_in_the_same_call);
	tcase_add_test(call, callbacks_that_always_make_work_make_the_deadline_at_once);
	tcase_add_test(call, inside_a_callback_a_turn_does_nothing);
	tcase_add_loop_test(call, ticks_become_nanoseconds_without_overflow, 0, 6);
	tcase_add_test(call, a_freed_connection_that_lingers_needs_turns_until_it_is_gone);
	tcase_add_test(call, an_earlier_time_stands_still);
	suite_add_tcase(s, call);
	tcase_add_checked_fixture(alarms, scene_setup, NULL);
	tcase_add_test(alarms, no_alarm_is_lost_when_an_abort_stirs_others);
	suite_add_tcase(s, alarms);
	tcase_add_checked_fixture(sources, scene_setup_open, scene_teardown);
	tcase_add_test(sources, a_source_is_asked_until_none_does_anything);
	tcase_add_test(sources, a_source_without_end_does_not_keep_a_turn);
	tcase_add_test(sources, a_source_is_asked_after_the_flush);
	tcase_add_loop_test(sources, a_source_that_was_removed_is_not_asked, 0, 3);
	tcase_add_test(sources, a_source_that_cannot_be_is_an_error);
	tcase_add_test(sources, a_source_that_is_there_already_is_refused);
	tcase_add_test(sources, a_context_is_not_freed_with_a_source);
	suite_add_tcase(s, sources);
	return suite_run(s);
}
