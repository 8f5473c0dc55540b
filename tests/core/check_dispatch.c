/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_dispatch.c - callbacks run from one place, and may call anything
 *
 * One script makes every callback of the library happen. It is played once for
 * each pair of a callback and something to do inside it. Whatever that was, every
 * request is released once, the descriptor is closed once, nothing is leaked, and
 * no callback ever ran outside dispatch, process or tick.
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
	ACT_FLUSH,
	ACT_PROCESS,
	ACT_CONN_ABORT,
	ACT_CONN_DRAIN,
	ACT_CONN_FREE,
	ACT_FLUSH_AND_FREE,
	ACT_PROCESS_AND_FREE,
	ACT_OTHER_FREE,
	ACT_DISPATCH,
	ACT_TICK,
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
static bool may_call; /* inside one of the three that run callbacks */
static enum heard_callback act_in;
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
		(void)!zcreq_add(zcreq_conn_context(conn), h->id, &iov, 1, 0);
}

static void flush(void)
{
	if (conn)
		zcreq_flush(conn);
}

static void process(void)
{
	bool outer = may_call;

	may_call = true;
	if (conn)
		zcreq_process(conn, POLLERR | POLLOUT);
	may_call = outer;
}

static void tick(uint64_t ms)
{
	may_call = true;
	zcreq_tick(context, ms * 1000000);
	may_call = false;
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
	else if (act == ACT_FLUSH || act == ACT_FLUSH_AND_FREE)
		flush();
	else if (act == ACT_PROCESS || act == ACT_PROCESS_AND_FREE)
		process();
	else if (act == ACT_CONN_ABORT)
		zcreq_conn_abort(conn, -EPIPE);
	else if (act == ACT_CONN_DRAIN)
		zcreq_conn_drain(conn, ZCREQ_NEVER);
	if (act == ACT_CONN_FREE || act == ACT_FLUSH_AND_FREE || act == ACT_PROCESS_AND_FREE)
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
	else if (act == ACT_DISPATCH)
		ck_assert_int_eq(zcreq_dispatch(context), 0);
	else if (act == ACT_TICK)
		zcreq_tick(context, 7000000);
	else if (act == ACT_CONTEXT_FREE)
		ck_assert_int_eq(zcreq_context_free(context), -EBUSY);
	else
		do_conn_act();
}

static void on_callback(const struct heard *h, enum heard_callback callback)
{
	unsigned before = ++calls;

	ck_assert_msg(may_call, "callback %d came from another call than dispatch", callback);
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

static void setup(void)
{
	struct zcreq_stream_options options = stub_options(&stub);

	context = counting_context(&memory, 0);
	stub_init(&stub);
	stub_init(&other_stub);
	options.hooks = &heard_hooks;
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
	flush();
	queue(&heard[1]);
	flush();
	queue(&heard[2]);
	stub_foreign(&stub);
	process();
	tick(1);
	tick(20);
	stub_notify(&stub, 0, 0, false);
	stub.unproven = 1;
	process();
	(void)!zcreq_finish(context, heard[0].id, 0);
	(void)!zcreq_drop(context, hold, 0);
	tick(21);
}

/* The room is used up again and owed when the connection dies. */
static void play_death(void)
{
	queue(&heard[1]);
	flush();
	queue(&heard[1]);
	queue(&heard[1]);
	stub.keeps = true;
	if (conn)
		zcreq_conn_abort(conn, -ECONNRESET);
	tick(30);
	for (unsigned i = 0; i < begun; i++)
		(void)!zcreq_finish(context, heard[i].id, 0);
	(void)!zcreq_drop(context, hold, 0);
	tick(31);
	tick(6000);
	stub_prove_all(&stub);
	tick(8000);
}

static void play_end(void)
{
	end_conn(&conn);
	end_conn(&other);
	for (unsigned i = 0; i < begun; i++)
		(void)!zcreq_finish(context, heard[i].id, 0);
	for (uint64_t ms = 9000; ms < 20000; ms += 1000) {
		stub_prove_all(&stub);
		tick(ms);
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

	act_in = HEARD_CALLBACKS;
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
	flush();
	ck_assert_int_eq(zcreq_finish(context, heard[0].id, 0), 0);
	ck_assert_int_eq(zcreq_conn_abort(conn, -EPIPE), 0);
	stub_foreign(&stub);
	stub_notify(&stub, 77, 78, false);
	if (_i >= 2 * ACTS)
		tick(1);
	may_call = true;
	zcreq_dispatch(context);
	may_call = false;
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

START_TEST(i6_work_without_end_does_not_keep_dispatch)
{
	zcreq_id id;
	int ran;

	ck_assert_int_eq(zcreq_begin(conn, &endless_ops, (void *)&endless_ops, 0, &id),
			 0);
	ck_assert_int_eq(zcreq_finish(context, id, 0), 0);
	ran = zcreq_dispatch(context);
	ck_assert_int_ge(ran, 2);
	ck_assert_int_le(ran, 100);
	ck_assert_uint_eq(calls, ran);
	ck_assert_uint_le(zcreq_tick(context, 5), 5);
	may_call = true;
	act_in = HEARD_CALLBACKS;
	ck_assert_int_eq(zcreq_conn_abort(conn, -EPIPE), 0);
	while (stats_of(context).requests_now)
		zcreq_dispatch(context);
	play_end();
}
END_TEST

START_TEST(dispatch_returns_how_many_callbacks_ran)
{
	static const struct zcreq_request_hooks quiet = {.released = begin_another};
	zcreq_id id;

	ck_assert_int_eq(zcreq_dispatch(context), 0);
	ck_assert_int_eq(zcreq_begin(conn, &quiet, NULL, 0, &id), 0);
	ck_assert_int_eq(zcreq_finish(context, id, -EIO), 0);
	ck_assert_int_eq(zcreq_dispatch(context), 1);
	act_in = HEARD_CALLBACKS;
	begin();
	ck_assert_int_eq(zcreq_finish(context, heard[0].id, -EIO), 0);
	may_call = true;
	ck_assert_int_eq(zcreq_dispatch(context), 2);
	ck_assert_int_eq(zcreq_dispatch(context), 0);
	play_end();
}
END_TEST

static void drain_in_callback(zcreq_id id, int status, void *arg)
{
	(void)id;
	(void)status;
	ck_assert_int_eq(zcreq_conn_drain(arg, 1000), 0);
}

/* What a callback has begun counts for the deadline that the same tick returns. */
START_TEST(tick_knows_the_deadlines_that_its_callbacks_set)
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
	ck_assert_uint_eq(zcreq_tick(context, 5), 1000);
	ck_assert_uint_eq(zcreq_tick(context, 999), 1000);
	ck_assert_int_eq(zcreq_conn_state(slow), ZCREQ_CONN_DRAINING);
	zcreq_tick(context, 1000);
	ck_assert_int_eq(zcreq_conn_state(slow), ZCREQ_CONN_ABORTING);
	ck_assert_int_eq(zcreq_finish(context, held, 0), 0);
	zcreq_conn_free(slow);
	zcreq_dispatch(context);
	play_end();
}
END_TEST

/* Each hook is one: room, abort, every message, closed. */
START_TEST(dispatch_counts_the_hooks_as_well)
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
	ck_assert_int_eq(zcreq_add(zcreq_conn_context(full), id, &iov, 1, 0),
			 0);
	ck_assert_int_eq(zcreq_add(zcreq_conn_context(full), id, &iov, 1, 0),
			 -EAGAIN);
	ck_assert_int_eq(zcreq_flush(full), 0);
	ck_assert_int_eq(zcreq_dispatch(context), 1);
	ck_assert_uint_eq(hooks.room, 1);
	for (unsigned i = 0; i < 3; i++)
		stub_foreign(&socket);
	ck_assert_int_eq(zcreq_conn_abort(full, -EIO), 0);
	ck_assert_int_eq(zcreq_dispatch(context), 1 + 3);
	ck_assert_uint_eq(hooks.abort, 1);
	ck_assert_uint_eq(hooks.message, 3);
	ck_assert_int_eq(zcreq_finish(context, id, 0), 0);
	ck_assert_int_eq(zcreq_dispatch(context), 1 + 1);
	ck_assert_uint_eq(hooks.closed, 1);
	zcreq_conn_free(full);
	play_end();
}
END_TEST

/* Two connections, of which each hears two hooks in the same dispatch. */
START_TEST(dispatch_adds_up_what_every_connection_hears)
{
	struct heard_conn hooks[2] = {{0}};
	struct stub sockets[2];
	struct zcreq_conn *gone[2];

	for (unsigned i = 0; i < 2; i++) {
		stub_init(&sockets[i]);
		gone[i] = stub_open(&sockets[i], context, &heard_hooks, &hooks[i]);
		ck_assert_int_eq(zcreq_conn_abort(gone[i], -EIO), 0);
	}
	ck_assert_int_eq(zcreq_dispatch(context), 4);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(hooks[i].abort, 1);
		ck_assert_uint_eq(hooks[i].closed, 1);
		zcreq_conn_free(gone[i]);
	}
	play_end();
}
END_TEST

START_TEST(tick_dispatches_and_asks_for_nothing_more)
{
	act_in = HEARD_CALLBACKS;
	begin();
	ck_assert_int_eq(zcreq_finish(context, heard[0].id, 0), 0);
	ck_assert_uint_eq(heard_calls(&heard[0]), 0);
	may_call = true;
	ck_assert_uint_eq(zcreq_tick(context, 5), ZCREQ_NEVER);
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
	tcase_add_loop_test(any, i6_a_callback_may_call_anything, 0, HEARD_CALLBACKS * ACTS);
	tcase_add_loop_test(any, the_last_hooks_of_a_full_connection_may_do_anything, 0,
			    4 * ACTS);
	tcase_add_checked_fixture(bounds, setup, NULL);
	tcase_add_test(bounds, i6_work_without_end_does_not_keep_dispatch);
	tcase_add_test(bounds, dispatch_returns_how_many_callbacks_ran);
	tcase_add_test(bounds, tick_knows_the_deadlines_that_its_callbacks_set);
	tcase_add_test(bounds, dispatch_counts_the_hooks_as_well);
	tcase_add_test(bounds, dispatch_adds_up_what_every_connection_hears);
	tcase_add_test(bounds, tick_dispatches_and_asks_for_nothing_more);
	suite_add_tcase(s, any);
	suite_add_tcase(s, bounds);
	return suite_run(s);
}
