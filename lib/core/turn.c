/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * turn.c - everything that is due, in one call
 *
 * It owns the order: what descriptors say is taken in, what was queued is sent, timers are
 * asked, other sources do their part, callbacks run; and again, until nothing is due.
 * Callbacks make new work, so this is bounded: a program whose callbacks always do is told
 * to come back at once, and its other descriptors get their turn.
 *
 * It makes no system call: those are behind the poller, the transports and the sources.
 */
#include <errno.h>

#include <zcreq/sender.h>

#include "core/check.h"
#include "core/core.h"
#include "core/keeper.h"
#include "core/points.h"
#include "core/poller.h"

/* Rounds of one turn. */
#define ROUNDS 8

/* What began since the last turn begins now: how long the program slept before is unknown,
 * and may have been long. */
static void set_time(struct zcreq_context *context, uint32_t now)
{
	context->moved = now != context->now;
	if (!context->moved)
		return;
	context->now = now;
	zcreq_slots_stamp(&context->requests, sizeof(struct zcreq_request), now);
	zcreq_slots_stamp(&context->holds, sizeof(struct zcreq_hold_slot), now);
}

static void set_clock(struct zcreq_context *context, uint64_t now_ns)
{
	if (now_ns > context->now_ns)
		context->now_ns = now_ns;
	set_time(context, zcreq_time(context->now_ns));
	context->tracing = context->log.put || context->guard_hooks || zcreq_trace_probed();
	context->log.reading_left = 0; /* its first event has a reading of its own */
	context->disconnects_left = ZCREQ_DISCONNECTS_AT_ONCE;
}

static void flush_queued(struct zcreq_context *context)
{
	struct zcreq_conn *conn;

	while ((conn = TAILQ_FIRST(&context->queued))) {
		zcreq_conn_unqueued(conn);
		conn->transport->flush(conn);
	}
}

/* Did one of them do anything, so that there may be more? */
static bool turn_sources(const struct zcreq_context *context)
{
	bool more = false;

	for (const struct zcreq_source *source = context->sources; source; source = source->next)
		more |= source->turn(source->arg) > 0;
	return more;
}

/* Its alarm is one of them. */
static void ask_keeper(struct zcreq_context *context)
{
	uint64_t again_ns = context->keeper->ops->timers(context->keeper, context->now_ns);

	if (again_ns < context->next_alarm_ns)
		context->next_alarm_ns = again_ns;
}

/* Those whose alarm has gone off are to be asked; the earliest of the others is next. */
static void ring_alarms(struct zcreq_context *context)
{
	struct zcreq_conn *conn, *next;

	context->next_alarm_ns = ZCREQ_NEVER;
	for (conn = TAILQ_FIRST(&context->alarms); conn; conn = next) {
		next = TAILQ_NEXT(conn, in_timers);
		if (conn->alarm_ns <= context->now_ns)
			zcreq_conn_stir(conn);
		else if (conn->alarm_ns < context->next_alarm_ns)
			context->next_alarm_ns = conn->alarm_ns;
	}
	if (context->keeper)
		ask_keeper(context);
}

static void run_timers(struct zcreq_context *context)
{
	struct zcreq_conn *conn;

	if (context->now_ns >= context->next_alarm_ns)
		ring_alarms(context);
	while ((conn = TAILQ_FIRST(&context->stirred)))
		zcreq_conn_timers(conn, context->now_ns);
}

/* What is due now, connections first; what this makes due is for the next round. */
static void run_ready(struct zcreq_context *context)
{
	uint32_t conns = context->ready_conn_count;

	context->ready_conn_count -= conns;
	while (conns--) {
		struct zcreq_conn *conn = STAILQ_FIRST(&context->ready_conns);

		STAILQ_REMOVE_HEAD(&context->ready_conns, in_ready);
		zcreq_conn_run(conn);
	}
	zcreq_requests_run(context);
}

static void run_callbacks(struct zcreq_context *context)
{
	context->dispatch_depth++;
	if (context->threads)
		zcreq_threads_take(context);
	run_ready(context);
	context->dispatch_depth--;
}

static bool anything_due(const struct zcreq_context *context)
{
	return !STAILQ_EMPTY(&context->ready) || context->ready_conn_count ||
	       !TAILQ_EMPTY(&context->queued) || !TAILQ_EMPTY(&context->stirred) ||
	       (context->threads && zcreq_threads_wait(context->threads));
}

uint64_t zcreq_turn(struct zcreq_context *context, uint64_t now_ns)
{
	uint64_t again_ns = ZCREQ_NEVER;
	bool look = true, more;
	int rounds = 0;

	if (!context)
		return ZCREQ_NEVER;
	zcreq_guard_hears(context, NULL, ZCREQ_CALL_TURN);
	if (context->dispatch_depth)
		return context->now_ns;
	set_clock(context, now_ns);
	do {
		look = look && context->poller && context->poller->ops->take(context->poller);
		flush_queued(context);
		run_timers(context);
		/* after all that prepares submissions */
		more = context->sources && turn_sources(context);
		run_callbacks(context);
		more = more || look || anything_due(context);
	} while (more && ++rounds < ROUNDS);
	zcreq_slots_mark(&context->requests);
	zcreq_slots_mark(&context->holds);
	if (context->poller && !TAILQ_EMPTY(&context->changed))
		again_ns = context->poller->ops->follow(context->poller);
#ifdef ZCREQ_DEBUG
	/* each look costs what is in flight: a long life is looked at now and then */
	if (context->turns++ < 1024 || context->turns % 64 == 0)
		zcreq_context_check(context);
#endif
	context->log.reading_left = 0; /* the program may sleep now */
	if (more)
		return context->now_ns;
	return again_ns < context->next_alarm_ns ? again_ns : context->next_alarm_ns;
}
