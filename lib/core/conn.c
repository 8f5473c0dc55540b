/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conn.c - the requests of one connection, and the way to its end
 *
 * The connection knows its requests and its state; what it sends on is the
 * transport's business. Every way to the end (drain, abort, free, the watchdog,
 * an error of the socket) comes together in two functions: zcreq_conn_end_with(),
 * which starts it, and zcreq_conn_close_if_over(), which sees that it is over.
 *
 * The memory goes when both owners are gone: the caller with zcreq_conn_free(),
 * the library when the closed hook has been called. So neither a callback that
 * frees its own connection nor a kernel that is slow to let go needs a special
 * case anywhere.
 */
#include <errno.h>

#include "base/bug.h"
#include "core/core.h"
#include "core/keeper.h"
#include "core/message.h"
#include "base/options.h"
#include "core/points.h"

static const struct zcreq_conn_hooks no_hooks;

/*
 * What each event does in each state: the next state, or a negative errno that refuses
 * it. The caller's events are answered in every state; the library's own can be a defect.
 */
const int16_t zcreq_conn_transitions[ZCREQ_CONN_CLOSED + 1][ZCREQ_CONN_EVENT_COUNT] = {
	[ZCREQ_CONN_OPEN] = {
		[ZCREQ_CONN_EVENT_DRAIN] = ZCREQ_CONN_DRAINING,
		[ZCREQ_CONN_EVENT_ABORT] = ZCREQ_CONN_ABORTING,
		[ZCREQ_CONN_EVENT_DEADLINE] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_CONN_EVENT_EMPTY] = ZCREQ_IMPOSSIBLE,
	},
	[ZCREQ_CONN_DRAINING] = {
		[ZCREQ_CONN_EVENT_DRAIN] = -EALREADY,
		[ZCREQ_CONN_EVENT_ABORT] = ZCREQ_CONN_ABORTING,
		[ZCREQ_CONN_EVENT_DEADLINE] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_CONN_EVENT_EMPTY] = ZCREQ_CONN_CLOSED,
	},
	[ZCREQ_CONN_ABORTING] = {
		[ZCREQ_CONN_EVENT_DRAIN] = -EALREADY,
		[ZCREQ_CONN_EVENT_ABORT] = -EALREADY,
		[ZCREQ_CONN_EVENT_DEADLINE] = ZCREQ_CONN_QUARANTINED,
		[ZCREQ_CONN_EVENT_EMPTY] = ZCREQ_CONN_CLOSED,
	},
	[ZCREQ_CONN_QUARANTINED] = {
		[ZCREQ_CONN_EVENT_DRAIN] = -EALREADY,
		[ZCREQ_CONN_EVENT_ABORT] = -EALREADY,
		[ZCREQ_CONN_EVENT_DEADLINE] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_CONN_EVENT_EMPTY] = ZCREQ_CONN_CLOSED,
	},
	[ZCREQ_CONN_CLOSED] = {
		[ZCREQ_CONN_EVENT_DRAIN] = -EALREADY,
		[ZCREQ_CONN_EVENT_ABORT] = -EALREADY,
		[ZCREQ_CONN_EVENT_DEADLINE] = ZCREQ_IMPOSSIBLE,
		[ZCREQ_CONN_EVENT_EMPTY] = ZCREQ_IMPOSSIBLE,
	},
};

/* The only writer of conn->state. */
static int conn_event(struct zcreq_conn *conn, enum zcreq_conn_event event)
{
	int next = zcreq_conn_transitions[conn->state][event];

	if (next < 0)
		return next;
	zcreq_assert(next > 0);
	conn->state = (uint8_t)next;
	return 0;
}

/* For events of the library's own: to be refused would be a defect. */
static void must(struct zcreq_conn *conn, enum zcreq_conn_event event)
{
	int ret = conn_event(conn, event);

	zcreq_assert(ret == 0);
}

void zcreq_conn_init(struct zcreq_conn *conn, struct zcreq_context *context,
		     const struct zcreq_transport *transport,
		     const struct zcreq_conn_hooks *hooks, void *arg)
{
	conn->context = context;
	conn->transport = transport;
	conn->hooks = hooks ? hooks : &no_hooks;
	conn->arg = arg;
	conn->state = ZCREQ_CONN_OPEN;
	conn->owners = 2;
	conn->watch = ZCREQ_WATCH_NONE;
	conn->cause = ZCREQ_CAUSE_NONE;
	conn->alarm_ns = ZCREQ_NEVER;
	TAILQ_INIT(&conn->requests);
	STAILQ_INIT(&conn->messages);
	conn->number = context->conn_number++;
	conn->stats.connections_now = 1;
	TAILQ_INSERT_TAIL(&context->conns, conn, in_context);
	zcreq_trace_open(conn);
}

/* A connection without a socket: no sends, nothing of its own to let go of. */

static void bare_abort(struct zcreq_conn *conn)
{
	(void)conn;
}

static int bare_end(struct zcreq_conn *conn)
{
	(void)conn;
	return 0;
}

static bool bare_idle(const struct zcreq_conn *conn)
{
	(void)conn;
	return true;
}

static uint64_t bare_timers(struct zcreq_conn *conn, uint64_t now_ns)
{
	(void)conn;
	(void)now_ns;
	return ZCREQ_NEVER;
}

static void bare_stats(const struct zcreq_conn *conn, struct zcreq_stats *stats)
{
	(void)conn;
	(void)stats;
}

static void bare_close(struct zcreq_conn *conn)
{
	(void)conn;
}

/* It has no sends, so nobody withdraws any, nor flushes. */
static const struct zcreq_transport bare_transport = {
	.abort = bare_abort,
	.end = bare_end,
	.idle = bare_idle,
	.timers = bare_timers,
	.stats = bare_stats,
	.close = bare_close,
};

int zcreq_conn_open(struct zcreq_context *context, const struct zcreq_conn_options *options,
		    struct zcreq_conn **out)
{
	struct zcreq_conn_options o = {0};
	struct zcreq_conn *conn;
	int ret;

	if (!context || !out)
		return -EINVAL;
	zcreq_guard_hears(context, NULL, ZCREQ_CALL_DOES);
	if (options) {
		ret = zcreq_options_copy(&o, options, sizeof(o), 0);
		if (!ret && o.hooks && !ZCREQ_UNUSED(o.hooks))
			ret = -EINVAL;
		if (ret)
			return ret;
	}
	conn = zcreq_calloc(&context->allocator, 1, sizeof(*conn));
	if (!conn)
		return -ENOMEM;
	zcreq_conn_init(conn, context, &bare_transport, o.hooks, o.arg);
	*out = conn;
	return 0;
}

void zcreq_conn_due(struct zcreq_conn *conn, enum zcreq_conn_due due)
{
	/* closed is the last thing that is told, and may be on its way already */
	if (conn->state == ZCREQ_CONN_CLOSED && due != ZCREQ_CONN_DUE_CLOSED)
		return;
	if (!conn->due) {
		STAILQ_INSERT_TAIL(&conn->context->ready_conns, conn, in_ready);
		conn->context->ready_conn_count++;
	}
	conn->due = (uint8_t)(conn->due | due);
}

/* Moves a connection to one of the context's two timer lists, or to none. */
static void timers_list(struct zcreq_conn *conn, struct zcreq_conn_list *list)
{
	if (conn->timer_list == list)
		return;
	if (conn->timer_list)
		TAILQ_REMOVE(conn->timer_list, conn, in_timers);
	if (list)
		TAILQ_INSERT_TAIL(list, conn, in_timers);
	conn->timer_list = list;
}

void zcreq_conn_stir(struct zcreq_conn *conn)
{
	timers_list(conn, &conn->context->stirred);
}

/* The period of a drain begins with the first turn after the call. */
static uint64_t drain_timers(struct zcreq_conn *conn, uint64_t now_ns)
{
	if (!conn->deadline_ns)
		conn->deadline_ns = conn->drain_ms ? now_ns + conn->drain_ms * (uint64_t)1000000
						   : ZCREQ_NEVER;
	if (now_ns < conn->deadline_ns)
		return conn->deadline_ns;
	zcreq_conn_end_with(conn, -ETIMEDOUT, ZCREQ_CAUSE_DRAIN_DEADLINE);
	return ZCREQ_NEVER;
}

void zcreq_conn_timers(struct zcreq_conn *conn, uint64_t now_ns)
{
	struct zcreq_context *context = conn->context;
	uint64_t alarm_ns = ZCREQ_NEVER, more_ns;

	timers_list(conn, NULL);
	if (conn->state == ZCREQ_CONN_CLOSED) {
		conn->alarm_ns = ZCREQ_NEVER;
		return;
	}
	if (conn->state == ZCREQ_CONN_DRAINING)
		alarm_ns = drain_timers(conn, now_ns);
	more_ns = conn->transport->timers(conn, now_ns);
	conn->alarm_ns = more_ns < alarm_ns ? more_ns : alarm_ns;
	timers_list(conn, conn->alarm_ns == ZCREQ_NEVER ? NULL : &context->alarms);
	if (conn->alarm_ns < context->next_alarm_ns)
		context->next_alarm_ns = conn->alarm_ns;
}

void zcreq_conn_close_if_over(struct zcreq_conn *conn)
{
	if (conn->state == ZCREQ_CONN_CLOSED || conn->request_count)
		return;
	/* which may find that the connection has died: then it is over now, or aborted */
	if (conn->state == ZCREQ_CONN_DRAINING)
		conn->transport->end(conn);
	if (conn->state == ZCREQ_CONN_CLOSED || !conn->transport->idle(conn))
		return;
	if (conn->state == ZCREQ_CONN_DRAINING)
		conn->cause = ZCREQ_CAUSE_DRAINED;
	must(conn, ZCREQ_CONN_EVENT_EMPTY);
	zcreq_conn_due(conn, ZCREQ_CONN_DUE_CLOSED);
}

int zcreq_conn_end_with(struct zcreq_conn *conn, int status, enum zcreq_cause cause)
{
	struct zcreq_request *request;
	int ret = conn_event(conn, ZCREQ_CONN_EVENT_ABORT);

	if (ret)
		return ret;
	conn->status = status;
	conn->cause = (uint8_t)cause;
	conn->deadline_ns = 0;
	zcreq_trace_abort(conn);
	zcreq_conn_due(conn, ZCREQ_CONN_DUE_ABORT);
	TAILQ_FOREACH(request, &conn->requests, in_conn)
		zcreq_request_abort(request, status);
	conn->transport->abort(conn);
	zcreq_conn_stir(conn);
	zcreq_conn_check_end(conn);
	return 0;
}

int zcreq_conn_abort(struct zcreq_conn *conn, int status)
{
	if (!conn || status >= 0)
		return -EINVAL;
	zcreq_guard_hears(conn->context, conn, ZCREQ_CALL_DOES);
	return zcreq_conn_end_with(conn, status, ZCREQ_CAUSE_ABORTED);
}

int zcreq_conn_end(struct zcreq_conn *conn)
{
	if (!conn || conn->transport == &bare_transport)
		return -EINVAL;
	zcreq_guard_hears(conn->context, conn, ZCREQ_CALL_DOES);
	if (conn->state != ZCREQ_CONN_OPEN)
		return -EALREADY;
	return conn->transport->end(conn);
}

int zcreq_conn_drain(struct zcreq_conn *conn, uint32_t timeout_ms)
{
	int ret;

	if (!conn)
		return -EINVAL;
	zcreq_guard_hears(conn->context, conn, ZCREQ_CALL_DOES);
	ret = conn_event(conn, ZCREQ_CONN_EVENT_DRAIN);
	if (ret)
		return ret;
	conn->drain_ms = timeout_ms;
	zcreq_trace_drain(conn);
	zcreq_conn_stir(conn);
	zcreq_conn_changed(conn);
	zcreq_conn_check_end(conn);
	return 0;
}

void zcreq_conn_deadline(struct zcreq_conn *conn)
{
	struct zcreq_request *request;

	must(conn, ZCREQ_CONN_EVENT_DEADLINE);
	TAILQ_FOREACH(request, &conn->requests, in_conn)
		zcreq_request_deadline(request);
}

/* One owner less; the memory goes with the last. */
static void disown(struct zcreq_conn *conn)
{
	struct zcreq_context *context = conn->context;

	if (--conn->owners)
		return;
	TAILQ_REMOVE(&context->conns, conn, in_context);
	zcreq_stats_keep(conn);
	if (!context->guard_hooks || !context->guard_hooks->keep(context->guard, conn))
		zcreq_free(&context->allocator, conn);
}

void zcreq_conn_free(struct zcreq_conn *conn)
{
	const struct zcreq_context *context;

	/* twice: then the share that is left is the library's */
	if (!conn || zcreq_guard_hears(conn->context, conn, ZCREQ_CALL_DOES))
		return;
	context = conn->context;
	if (zcreq_conn_sends(conn))
		zcreq_conn_end_with(conn, -ECANCELED, ZCREQ_CAUSE_FREED);
	conn->hooks = &no_hooks;
	if (context->guard_hooks)
		context->guard_hooks->freed(context->guard, conn);
	disown(conn);
}

/* The last step: the hook, then the descriptor, then the library's share. */
static void run_closed(struct zcreq_conn *conn)
{
	timers_list(conn, NULL);
	zcreq_conn_unqueued(conn);
	zcreq_trace_closed(conn);
	if (conn->context->keeper)
		conn->context->keeper->ops->closed(conn->context->keeper, conn);
	if (conn->hooks->closed)
		conn->hooks->closed(conn, conn->status, conn->arg);
	zcreq_assert(!conn->message_count); /* delivered before, or they would be lost */
	conn->transport->close(conn);
	conn->stats.connections_now = 0;
	disown(conn);
}

void zcreq_conn_run(struct zcreq_conn *conn)
{
	unsigned due = conn->due;

	conn->due = 0;
	if (due & ZCREQ_CONN_DUE_STALLED && conn->hooks->stalled)
		conn->hooks->stalled(conn, conn->stall, conn->arg);
	if (due & ZCREQ_CONN_DUE_ABORT && conn->hooks->abort)
		conn->hooks->abort(conn, conn->status, conn->arg);
	if (due & ZCREQ_CONN_DUE_MESSAGE)
		zcreq_message_deliver(conn);
	if (due & ZCREQ_CONN_DUE_ROOM && zcreq_conn_sends(conn) && conn->hooks->room)
		conn->hooks->room(conn, conn->arg);
	/* with the abort once more: who waits there for data waits no longer */
	if (due & ZCREQ_CONN_DUE_READABLE && conn->reads &&
	    (zcreq_conn_sends(conn) || due & ZCREQ_CONN_DUE_ABORT) && conn->hooks->readable)
		conn->hooks->readable(conn, conn->arg);
	if (due & ZCREQ_CONN_DUE_CLOSED)
		run_closed(conn);
}

/* Is there a connection to be looked at? */
static bool looks_at(const struct zcreq_conn *conn)
{
	if (conn)
		zcreq_guard_hears(conn->context, conn, ZCREQ_CALL_LOOKS);
	return conn;
}

int zcreq_conn_state(const struct zcreq_conn *conn)
{
	return looks_at(conn) ? conn->state : -EINVAL;
}

void *zcreq_conn_arg(const struct zcreq_conn *conn)
{
	return looks_at(conn) ? conn->arg : NULL;
}

int zcreq_conn_cause(const struct zcreq_conn *conn)
{
	return looks_at(conn) ? conn->cause : -EINVAL;
}

struct zcreq_context *zcreq_conn_context(const struct zcreq_conn *conn)
{
	return looks_at(conn) ? conn->context : NULL;
}
