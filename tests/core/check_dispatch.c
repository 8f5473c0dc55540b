/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_dispatch.c - callbacks run from one place, and may call anything
 *
 * One script makes every callback of the library happen. It is played once for
 * each pair of a callback and something to do inside it. Whatever that was, every
 * request is released once, the descriptor is closed once, nothing is leaked, and
 * no callback ever ran outside a turn. What else a turn does is in check_turn.c.
 */
#include "support/suite.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>

#include <zcreq/zcreq.h>

#include "support/counting.h"
#include "support/recorder.h"
#include "support/stub.h"

#define REQUESTS 16

/* The callbacks that are heard of, and one more that no connection of others has. */
#define READABLE HEARD_CALLBACKS
#define CALLBACKS (READABLE + 1)
#define NOWHERE CALLBACKS

enum act {
	ACT_NOTHING,
	ACT_BEGIN,
	ACT_SEND,
	ACT_FINISH,
	ACT_FINISH_ERROR,
	ACT_DROP,
	ACT_TAKE,
	ACT_ABORT,
	ACT_WRITE,
	ACT_READING,
	ACT_PROCESS,
	ACT_CONN_ABORT,
	ACT_CONN_DRAIN,
	ACT_CONN_FREE,
	ACT_TURN_AND_FREE,
	ACT_PROCESS_AND_FREE,
	ACT_OTHER_FREE,
	ACT_TURN,
	ACT_TURN_LATER,
	ACT_CONTEXT_FREE,
	ACTS,
};

static struct counting memory;
static struct zcreq_context *context;
static struct stub stub, other_stub;
static struct zcreq_conn *conn, *other; /* NULL when freed */
static struct heard heard[REQUESTS];
static struct heard_conn conn_heard;
static zcreq_hold hold;
static unsigned begun, calls, acts_done;
static unsigned read_hooks;
static bool may_call; /* inside the one that runs callbacks */
static unsigned act_in; /* enum heard_callback, READABLE or NOWHERE */
static enum act act;
static char data[64];

static void inside(struct heard *h, enum heard_callback callback);

static void begin(void)
{
	struct heard *h = &heard[begun];

	h->inside = inside;
	if (conn && zcreq_begin(conn, &heard_ops, h, 0, &h->id) == 0)
		begun++;
}

static void queue(const struct heard *h)
{
	const struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};

	if (conn)
		(void)!zcreq_add(context, h->id, &iov, 1, 0);
}

/* Whether it is inside a callback or not. */
static uint64_t turn_at(uint64_t now_ns)
{
	bool outer = may_call;
	uint64_t deadline_ns;

	may_call = true;
	deadline_ns = zcreq_turn(context, now_ns);
	may_call = outer;
	return deadline_ns;
}

static void turn(void)
{
	turn_at(0);
}

static void turn_at_ms(uint64_t ms)
{
	turn_at(ms * 1000000);
}

static void process(void)
{
	if (conn)
		zcreq_process(conn, POLLERR | POLLOUT | POLLIN);
}

static void end_conn(struct zcreq_conn **which)
{
	zcreq_conn_free(*which);
	*which = NULL;
}

static void do_conn_act(void)
{
	if (!conn)
		return;
	if (act == ACT_WRITE)
		(void)!zcreq_write(conn, data, 1);
	else if (act == ACT_READING)
		zcreq_stream_reading(conn, false);
	else if (act == ACT_TURN_AND_FREE)
		turn();
	else if (act == ACT_PROCESS || act == ACT_PROCESS_AND_FREE)
		process();
	else if (act == ACT_CONN_ABORT)
		zcreq_conn_abort(conn, -EPIPE);
	else if (act == ACT_CONN_DRAIN)
		zcreq_conn_drain(conn, 0);
	if (act == ACT_CONN_FREE || act == ACT_TURN_AND_FREE || act == ACT_PROCESS_AND_FREE)
		end_conn(&conn);
}

static void do_act(const struct heard *h)
{
	zcreq_hold more;

	if (act == ACT_BEGIN)
		begin();
	else if (act == ACT_SEND)
		queue(h);
	else if (act == ACT_FINISH || act == ACT_FINISH_ERROR)
		(void)!zcreq_finish(context, h->id, act == ACT_FINISH ? 0 : -EIO);
	else if (act == ACT_DROP)
		(void)!zcreq_drop(context, hold, 0);
	else if (act == ACT_TAKE && zcreq_take(context, h->id, &more) == 0)
		ck_assert_int_eq(zcreq_drop(context, more, 0), 0);
	else if (act == ACT_ABORT)
		(void)!zcreq_abort(context, h->id, -EPERM);
	else if (act == ACT_OTHER_FREE)
		end_conn(&other);
	else if (act == ACT_TURN || act == ACT_TURN_LATER)
		turn_at(act == ACT_TURN ? 0 : 7000000);
	else if (act == ACT_CONTEXT_FREE)
		ck_assert_int_eq(zcreq_context_free(context), -EBUSY);
	else
		do_conn_act();
}

static void on_callback(const struct heard *h, unsigned callback)
{
	unsigned before = ++calls;

	ck_assert_msg(may_call, "callback %u came from another call than a turn", callback);
	if (callback != act_in || acts_done)
		return;
	acts_done++;
	do_act(h);
	ck_assert_msg(calls == before, "a callback ran inside a callback");
}

static void inside(struct heard *h, enum heard_callback callback)
{
	on_callback(h, callback);
}

static void conn_inside(struct zcreq_conn *which, enum heard_callback callback)
{
	(void)which;
	on_callback(&heard[0], callback);
}

static void on_readable(struct zcreq_conn *which, void *arg)
{
	(void)which;
	(void)arg;
	read_hooks++;
	on_callback(&heard[0], READABLE);
}

static struct zcreq_conn_hooks all_hooks;

static void setup(void)
{
	struct zcreq_stream_options options = stub_options(&stub);

	context = counting_context(&memory, 0);
	stub_init(&stub);
	stub_init(&other_stub);
	all_hooks = heard_hooks;
	all_hooks.readable = on_readable;
	options.hooks = &all_hooks;
	options.arg = &conn_heard;
	options.limit_bytes = 2 * sizeof(data);
	options.stall_ms = 10;
	conn_heard.inside = conn_inside;
	ck_assert_int_eq(zcreq_stream_open(context, &options, &conn), 0);
	other = stub_open(&other_stub, context, NULL, NULL);
}

/* Two sends fill the connection, the third is owed room; a message, a stall. */
static void play_traffic(void)
{
	begin();
	begin();
	begin();
	(void)!zcreq_take(context, heard[0].id, &hold);
	queue(&heard[0]);
	turn();
	queue(&heard[1]);
	turn();
	queue(&heard[2]);
	stub_foreign(&stub);
	process();
	turn();
	turn_at_ms(1);
	turn_at_ms(20);
	stub_notify(&stub, 0, 0, false);
	stub.unproven = 1;
	process();
	turn();
	(void)!zcreq_finish(context, heard[0].id, 0);
	(void)!zcreq_drop(context, hold, 0);
	turn_at_ms(21);
}

/* The room is used up again and owed when the connection dies. */
static void play_death(void)
{
	queue(&heard[1]);
	turn();
	queue(&heard[1]);
	queue(&heard[1]);
	stub.keeps = true;
	if (conn)
		zcreq_conn_abort(conn, -ECONNRESET);
	turn_at_ms(30);
	for (unsigned i = 0; i < begun; i++)
		(void)!zcreq_finish(context, heard[i].id, 0);
	(void)!zcreq_drop(context, hold, 0);
	turn_at_ms(31);
	turn_at_ms(6000);
	stub_prove_all(&stub);
	turn_at_ms(8000);
}

static void play_end(void)
{
	end_conn(&conn);
	end_conn(&other);
	for (unsigned i = 0; i < begun; i++)
		(void)!zcreq_finish(context, heard[i].id, 0);
	for (uint64_t ms = 9000; ms < 20000; ms += 1000) {
		stub_prove_all(&stub);
		turn_at_ms(ms);
	}
	for (unsigned i = 0; i < begun; i++)
		ck_assert_uint_eq(heard[i].released, 1);
	ck_assert_uint_eq(stub.closes, 1);
	ck_assert_uint_eq(stub.reads_when_closed, 0);
	ck_assert_uint_eq(other_stub.closes, 1);
	ck_assert_uint_eq(stats_of(context).requests_now, 0);
	ck_assert_uint_eq(stats_of(context).quarantined_now, 0);
	counting_end(&memory, context);
}

START_TEST(the_script_makes_every_callback_happen)
{
	unsigned told[4] = {0};

	act_in = NOWHERE;
	play_traffic();
	play_death();
	for (unsigned i = 0; i < begun; i++) {
		told[0] += heard[i].settled;
		told[1] += heard[i].aborting;
		told[2] += heard[i].quarantined;
		told[3] += heard[i].released;
	}
	for (unsigned i = 0; i < COUNT(told); i++)
		ck_assert_uint_gt(told[i], 0);
	ck_assert_uint_eq(conn_heard.abort, 1);
	ck_assert_uint_eq(conn_heard.closed, 1);
	ck_assert_uint_eq(conn_heard.room, 1);
	ck_assert_uint_gt(conn_heard.stalled, 0);
	ck_assert_uint_eq(conn_heard.message, 1);
	ck_assert_uint_gt(read_hooks, 0);
	play_end();
}
END_TEST

START_TEST(i6_a_callback_may_call_anything)
{
	act_in = _i / ACTS;
	act = _i % ACTS;
	play_traffic();
	play_death();
	play_end();
	ck_assert_uint_eq(acts_done, 1);
}
END_TEST

/* A connection that was refused room closes in one go; inside, it stirs and goes. */
START_TEST(the_last_hooks_of_a_full_connection_may_do_anything)
{
	static const enum heard_callback where[] = {HEARD_CONN_ABORT, HEARD_CONN_CLOSED};

	act_in = where[_i / ACTS % 2];
	act = _i % ACTS;
	begin();
	queue(&heard[0]);
	queue(&heard[0]);
	queue(&heard[0]);
	turn();
	ck_assert_int_eq(zcreq_finish(context, heard[0].id, 0), 0);
	ck_assert_int_eq(zcreq_conn_abort(conn, -EPIPE), 0);
	stub_foreign(&stub);
	stub_notify(&stub, 77, 78, false);
	if (_i >= 2 * ACTS)
		turn_at_ms(1);
	turn();
	ck_assert_uint_eq(acts_done, 1);
	play_end();
}
END_TEST

/* ---- bounds --------------------------------------------------------------- */

static void begin_another(zcreq_id id, int status, void *arg)
{
	zcreq_id next;

	(void)id;
	calls++;
	if (!status && zcreq_begin(conn, arg, arg, 0, &next) == 0)
		ck_assert_int_eq(zcreq_finish(context, next, 0), 0);
}

static const struct zcreq_request_hooks endless_ops = {.released = begin_another};

START_TEST(i6_work_without_end_does_not_keep_a_turn)
{
	zcreq_id id;

	ck_assert_int_eq(zcreq_begin(conn, &endless_ops, (void *)&endless_ops, 0, &id), 0);
	ck_assert_int_eq(zcreq_finish(context, id, 0), 0);
	ck_assert_uint_le(zcreq_turn(context, 5), 5);
	ck_assert_uint_ge(calls, 2);
	ck_assert_uint_le(calls, 100);
	act_in = NOWHERE;
	ck_assert_int_eq(zcreq_conn_abort(conn, -EPIPE), 0);
	while (stats_of(context).requests_now)
		turn();
	play_end();
}
END_TEST

START_TEST(a_turn_runs_each_callback_that_is_due_once)
{
	static const struct zcreq_request_hooks quiet = {.released = begin_another};
	zcreq_id id;

	turn();
	ck_assert_uint_eq(calls, 0);
	ck_assert_int_eq(zcreq_begin(conn, &quiet, NULL, 0, &id), 0);
	ck_assert_int_eq(zcreq_finish(context, id, -EIO), 0);
	turn();
	ck_assert_uint_eq(calls, 1);
	act_in = NOWHERE;
	begin();
	ck_assert_int_eq(zcreq_finish(context, heard[0].id, -EIO), 0);
	turn();
	ck_assert_uint_eq(calls, 1 + 2);
	turn();
	ck_assert_uint_eq(calls, 1 + 2);
	play_end();
}
END_TEST

static void drain_in_callback(zcreq_id id, int status, void *arg)
{
	(void)id;
	(void)status;
	ck_assert_int_eq(zcreq_conn_drain(arg, 1), 0);
}

/* What a callback has begun counts for the deadline that the same turn returns. */
START_TEST(a_turn_knows_the_deadlines_that_its_callbacks_set)
{
	static const struct zcreq_request_hooks draining = {.released = drain_in_callback};
	const struct zcreq_conn_options options = {.size = sizeof(options)};
	static const struct zcreq_request_hooks quiet = {.released = begin_another};
	struct zcreq_conn *slow;
	zcreq_id held, id;

	ck_assert_int_eq(zcreq_conn_open(context, &options, &slow), 0);
	ck_assert_int_eq(zcreq_begin(slow, &quiet, NULL, 0, &held), 0);
	ck_assert_int_eq(zcreq_begin(conn, &draining, slow, 0, &id), 0);
	ck_assert_int_eq(zcreq_finish(context, id, 0), 0);
	ck_assert_uint_eq(zcreq_turn(context, 5), 1000005);
	ck_assert_uint_eq(zcreq_turn(context, 1000004), 1000005);
	ck_assert_int_eq(zcreq_conn_state(slow), ZCREQ_CONN_DRAINING);
	zcreq_turn(context, 1000005);
	ck_assert_int_eq(zcreq_conn_state(slow), ZCREQ_CONN_ABORTING);
	ck_assert_int_eq(zcreq_finish(context, held, 0), 0);
	zcreq_conn_free(slow);
	zcreq_turn(context, 0);
	play_end();
}
END_TEST

/* Each hook is one: room, abort, every message, closed. */
START_TEST(each_hook_that_is_due_is_heard_once)
{
	static const struct zcreq_request_hooks quiet = {.released = begin_another};
	const struct iovec iov = {.iov_base = (void *)data, .iov_len = sizeof(data)};
	struct heard_conn hooks = {0};
	struct stub socket;
	struct zcreq_stream_options options = stub_options(&socket);
	struct zcreq_conn *full;
	zcreq_id id;

	stub_init(&socket);
	options.hooks = &heard_hooks;
	options.arg = &hooks;
	options.limit_bytes = 1;
	options.mode = ZCREQ_MODE_NEVER;
	ck_assert_int_eq(zcreq_stream_open(context, &options, &full), 0);
	ck_assert_int_eq(zcreq_begin(full, &quiet, NULL, 0, &id), 0);
	ck_assert_int_eq(zcreq_add(context, id, &iov, 1, 0), 0);
	ck_assert_int_eq(zcreq_add(context, id, &iov, 1, 0), -EAGAIN);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(hooks.room, 1);
	ck_assert_uint_eq(calls + hooks.abort + hooks.message + hooks.closed, 0);
	for (unsigned i = 0; i < 3; i++)
		stub_foreign(&socket);
	ck_assert_int_eq(zcreq_conn_abort(full, -EIO), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(hooks.abort, 1);
	ck_assert_uint_eq(hooks.message, 3);
	ck_assert_uint_eq(calls + hooks.closed, 0);
	ck_assert_int_eq(zcreq_finish(context, id, 0), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(calls, 1);
	ck_assert_uint_eq(hooks.closed, 1);
	ck_assert_uint_eq(hooks.room + hooks.abort + hooks.message, 1 + 1 + 3);
	zcreq_conn_free(full);
	play_end();
}
END_TEST

/* Two connections, of which each hears two hooks in the same turn. */
START_TEST(every_connection_hears_what_is_due_in_one_turn)
{
	struct heard_conn hooks[2] = {{0}};
	struct stub sockets[2];
	struct zcreq_conn *gone[2];

	for (unsigned i = 0; i < 2; i++) {
		stub_init(&sockets[i]);
		gone[i] = stub_open(&sockets[i], context, &heard_hooks, &hooks[i]);
		ck_assert_int_eq(zcreq_conn_abort(gone[i], -EIO), 0);
	}
	zcreq_turn(context, 0);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(hooks[i].abort, 1);
		ck_assert_uint_eq(hooks[i].closed, 1);
		zcreq_conn_free(gone[i]);
	}
	play_end();
}
END_TEST

START_TEST(a_turn_runs_callbacks_and_asks_for_nothing_more)
{
	act_in = NOWHERE;
	begin();
	ck_assert_int_eq(zcreq_finish(context, heard[0].id, 0), 0);
	ck_assert_uint_eq(heard_calls(&heard[0]), 0);
	ck_assert_uint_eq(turn_at(5), ZCREQ_NEVER);
	ck_assert_uint_eq(heard[0].released, 1);
	play_end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dispatch");
	TCase *any = tcase_create("anything"), *bounds = tcase_create("bounds");

	tcase_add_checked_fixture(any, setup, NULL);
	tcase_add_test(any, the_script_makes_every_callback_happen);
	tcase_add_loop_test(any, i6_a_callback_may_call_anything, 0, CALLBACKS * ACTS);
	tcase_add_loop_test(any, the_last_hooks_of_a_full_connection_may_do_anything, 0,
			    4 * ACTS);
	tcase_add_checked_fixture(bounds, setup, NULL);
	tcase_add_test(bounds, i6_work_without_end_does_not_keep_a_turn);
	tcase_add_test(bounds, a_turn_runs_each_callback_that_is_due_once);
	tcase_add_test(bounds, a_turn_knows_the_deadlines_that_its_callbacks_set);
	tcase_add_test(bounds, each_hook_that_is_due_is_heard_once);
	tcase_add_test(bounds, every_connection_hears_what_is_due_in_one_turn);
	tcase_add_test(bounds, a_turn_runs_callbacks_and_asks_for_nothing_more);
	suite_add_tcase(s, any);
	suite_add_tcase(s, bounds);
	return suite_run(s);
}
