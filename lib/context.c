/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * context.c - one thread's tables, its clock, and the one dispatch point
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "core.h"
#include "options.h"

/* Rounds of callbacks that one dispatch follows: see zcreq_dispatch(). */
#define DISPATCH_ROUNDS 8

/* Spreads the bits of a seed over the generation (the finisher of splitmix64). */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

/* Two contexts differ in their address, two at one address in the time. */
static uint64_t pick_seed(const struct zcreq_context *context)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return mix((uintptr_t)context) ^ mix((uint64_t)now.tv_sec << 32 ^ now.tv_nsec);
}

int zcreq_context_new(const struct zcreq_context_options *options, struct zcreq_context **out)
{
	struct zcreq_context_options o = {.size = sizeof(o)};
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
		o.seed = pick_seed(context);
	zcreq_slots_init(&context->requests, &context->allocator, ZCREQ_SLOT_REQUEST,
			 o.max_requests ? o.max_requests : ZCREQ_MAX_REQUESTS, mix(o.seed));
	zcreq_slots_init(&context->holds, &context->allocator, ZCREQ_SLOT_HOLD,
			 ZCREQ_MAX_REQUESTS, mix(o.seed + 1));
	STAILQ_INIT(&context->ready);
	STAILQ_INIT(&context->ready_conns);
	TAILQ_INIT(&context->stirred);
	TAILQ_INIT(&context->alarms);
	context->next_alarm_ns = ZCREQ_NEVER;
	*out = context;
	return 0;
}

int zcreq_context_free(struct zcreq_context *context)
{
	struct zcreq_allocator allocator;

	if (!context)
		return 0;
	if (context->stats.connections_now || context->dispatch_depth)
		return -EBUSY;
	allocator = context->allocator;
	zcreq_slots_deinit(&context->requests);
	zcreq_slots_deinit(&context->holds);
	zcreq_free(&allocator, context);
	return 0;
}

/* One request's callbacks that are due; with the last of them it is gone. */
static unsigned run_request(struct zcreq_request *request)
{
	const struct zcreq_ops *ops = request->ops;
	const zcreq_id id = {request->slot.bits};
	void *arg = request->arg;
	unsigned due = request->due, calls = 0;

	request->due = 0;
	if (due & ZCREQ_DUE_SETTLED && ops->settled) {
		ops->settled(id, request->status, arg);
		calls++;
	}
	/* the states are asked again: an earlier callback may have moved it on */
	if (due & ZCREQ_DUE_ABORTING && ops->aborting && request->state == ZCREQ_STATE_ABORTING) {
		ops->aborting(id, request->status, arg);
		calls++;
	}
	if (due & ZCREQ_DUE_QUARANTINED && ops->quarantined &&
	    request->state == ZCREQ_STATE_QUARANTINED) {
		ops->quarantined(id, arg);
		calls++;
	}
	if (due & ZCREQ_DUE_RELEASED) {
		int status = request->status;

		zcreq_request_retire(request);
		ops->released(id, status, arg);
		calls++;
	}
	return calls;
}

/* What is due now, connections first; what this makes due is for the next round. */
static unsigned run_round(struct zcreq_context *context)
{
	STAILQ_HEAD(, zcreq_request) requests = STAILQ_HEAD_INITIALIZER(requests);
	STAILQ_HEAD(, zcreq_conn) conns = STAILQ_HEAD_INITIALIZER(conns);
	struct zcreq_request *request;
	struct zcreq_conn *conn;
	unsigned calls = 0;

	STAILQ_CONCAT(&conns, &context->ready_conns);
	STAILQ_CONCAT(&requests, &context->ready);
	while ((conn = STAILQ_FIRST(&conns))) {
		STAILQ_REMOVE_HEAD(&conns, in_ready);
		calls += zcreq_conn_run(conn);
	}
	while ((request = STAILQ_FIRST(&requests))) {
		STAILQ_REMOVE_HEAD(&requests, in_ready);
		calls += run_request(request);
	}
	return calls;
}

static bool anything_due(const struct zcreq_context *context)
{
	return !STAILQ_EMPTY(&context->ready) || !STAILQ_EMPTY(&context->ready_conns);
}

int zcreq_dispatch(struct zcreq_context *context)
{
	unsigned calls = 0;

	if (!context)
		return -EINVAL;
	if (context->dispatch_depth)
		return 0;
	context->dispatch_depth++;
	for (int round = 0; round < DISPATCH_ROUNDS && anything_due(context); round++)
		calls += run_round(context);
	context->dispatch_depth--;
	return calls > INT32_MAX ? INT32_MAX : (int)calls;
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
	run_timers(context, now_ns);
	if (zcreq_dispatch(context) > 0)
		run_timers(context, now_ns);
	return anything_due(context) ? now_ns : context->next_alarm_ns;
}

int zcreq_context_stats(const struct zcreq_context *context, struct zcreq_stats *stats,
			size_t size)
{
	if (!context || !stats || size != sizeof(*stats))
		return -EINVAL;
	memcpy(stats, &context->stats, size);
	return 0;
}
