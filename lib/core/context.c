/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * context.c - one thread's tables, its clock, and the one dispatch point
 */
#include <errno.h>
#include <string.h>

#include "core/check.h"
#include "core/core.h"
#include "base/options.h"
#include "core/guarded.h"
#include "core/points.h"

/* Rounds of callbacks that one dispatch follows: see zcreq_dispatch(). */
#define DISPATCH_ROUNDS 8

int zcreq_context_new(const struct zcreq_context_options *options, struct zcreq_context **out)
{
	struct zcreq_context_options o = {0};
	const struct zcreq_allocator *allocator = &zcreq_libc_allocator;
	struct zcreq_context *context;
	int ret;

	if (!out)
		return -EINVAL;
	if (options) {
		ret = zcreq_options_copy(&o, options, sizeof(o));
		if (ret)
			return ret;
	}
	if (o.max_requests > ZCREQ_MAX_REQUESTS)
		return -EINVAL;
	if (o.allocator) {
		if (!o.allocator->calloc || !o.allocator->free)
			return -EINVAL;
		allocator = o.allocator;
	}
	context = zcreq_calloc(allocator, 1, sizeof(*context));
	if (!context)
		return -ENOMEM;
	context->allocator = *allocator;
	if (!o.seed)
		o.seed = zcreq_seed(context);
	zcreq_slots_init(&context->requests, &context->allocator, ZCREQ_SLOT_REQUEST,
			 o.max_requests ? o.max_requests : ZCREQ_MAX_REQUESTS, zcreq_mix(o.seed));
	zcreq_slots_init(&context->holds, &context->allocator, ZCREQ_SLOT_HOLD,
			 ZCREQ_MAX_REQUESTS, zcreq_mix(o.seed + 1));
	STAILQ_INIT(&context->ready);
	STAILQ_INIT(&context->ready_conns);
	TAILQ_INIT(&context->conns);
	TAILQ_INIT(&context->stirred);
	TAILQ_INIT(&context->alarms);
	TAILQ_INIT(&context->changed);
	context->next_alarm_ns = ZCREQ_NEVER;
	context->disconnects_left = ZCREQ_DISCONNECTS_AT_ONCE;
	*out = context;
	return 0;
}

int zcreq_context_free(struct zcreq_context *context)
{
	struct zcreq_allocator allocator;

	if (!context)
		return 0;
	if (context->dispatch_depth || !TAILQ_EMPTY(&context->conns) ||
	    zcreq_threads_free(context))
		return -EBUSY;
	allocator = context->allocator;
	if (context->guard_hooks)
		context->guard_hooks->free(context->guard);
	zcreq_slots_deinit(&context->requests);
	zcreq_slots_deinit(&context->holds);
	zcreq_free(&allocator, context);
	return 0;
}

/* What is due now, connections first; what this makes due is for the next round. */
static unsigned run_round(struct zcreq_context *context)
{
	uint32_t conns = context->ready_conn_count, requests = context->ready_count;
	unsigned calls = 0;

	context->ready_conn_count -= conns;
	context->ready_count -= requests;
	while (conns--) {
		struct zcreq_conn *conn = STAILQ_FIRST(&context->ready_conns);

		STAILQ_REMOVE_HEAD(&context->ready_conns, in_ready);
		calls += zcreq_conn_run(conn);
	}
	while (requests--) {
		struct zcreq_request *request = STAILQ_FIRST(&context->ready);

		STAILQ_REMOVE_HEAD(&context->ready, in_ready);
		calls += zcreq_request_run(request);
	}
	return calls;
}

static bool anything_due(const struct zcreq_context *context)
{
	return context->ready_count || context->ready_conn_count;
}

int zcreq_dispatch(struct zcreq_context *context)
{
	unsigned calls = 0;

	if (!context)
		return -EINVAL;
	if (context->dispatch_depth)
		return 0;
	context->dispatch_depth++;
	if (context->threads)
		calls += zcreq_threads_take(context);
	for (int round = 0; round < DISPATCH_ROUNDS && anything_due(context); round++)
		calls += run_round(context);
	context->dispatch_depth--;
#ifdef ZCREQ_DEBUG
	zcreq_context_check(context);
#endif
	return (int)calls;
}

/* Looks at every connection with an alarm: only when one of them has gone off. */
static void run_alarms(struct zcreq_context *context, uint64_t now_ns)
{
	struct zcreq_conn *conn, *next;

	context->next_alarm_ns = ZCREQ_NEVER;
	for (conn = TAILQ_FIRST(&context->alarms); conn; conn = next) {
		next = TAILQ_NEXT(conn, in_timers);
		if (conn->alarm_ns <= now_ns)
			zcreq_conn_timers(conn, now_ns);
		else if (conn->alarm_ns < context->next_alarm_ns)
			context->next_alarm_ns = conn->alarm_ns;
	}
}

static void run_timers(struct zcreq_context *context, uint64_t now_ns)
{
	struct zcreq_conn *conn;

	while ((conn = TAILQ_FIRST(&context->stirred)))
		zcreq_conn_timers(conn, now_ns);
	if (now_ns >= context->next_alarm_ns)
		run_alarms(context, now_ns);
}

uint64_t zcreq_tick(struct zcreq_context *context, uint64_t now_ns)
{
	if (!context)
		return ZCREQ_NEVER;
	context->now_ns = now_ns;
	context->now = zcreq_time(now_ns);
	context->tracing = context->log.put || zcreq_trace_probed();
	context->log.reading_left = 0;
	context->disconnects_left = ZCREQ_DISCONNECTS_AT_ONCE;
	run_timers(context, now_ns);
	if (zcreq_dispatch(context) > 0)
		run_timers(context, now_ns);
	return anything_due(context) ? now_ns : context->next_alarm_ns;
}
