/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * context.c - one thread's tables
 */
#include <errno.h>
#include <string.h>

#include "core/core.h"
#include "base/options.h"
#include "core/guarded.h"
#include "core/keeper.h"
#include "core/poller.h"

/* All memory of a context of which nothing is left. */
static void give_back(struct zcreq_context *context)
{
	const struct zcreq_allocator allocator = context->allocator;

	zcreq_slots_deinit(&context->requests);
	zcreq_slots_deinit(&context->holds);
	zcreq_numbers_deinit(&context->fds, &allocator);
	zcreq_free(&allocator, context);
}

/* The tables have these sizes from the start. */
static int reserve(struct zcreq_context *context, const struct zcreq_context_options *o)
{
	int ret = 0;

	while (!ret && context->requests.made < o->reserve_requests)
		ret = zcreq_slots_grow(&context->requests, sizeof(struct zcreq_request));
	while (!ret && context->holds.made < o->reserve_holds)
		ret = zcreq_slots_grow(&context->holds, sizeof(struct zcreq_hold_slot));
	zcreq_slots_mark(&context->requests);
	zcreq_slots_mark(&context->holds);
	return ret;
}

int zcreq_context_new(const struct zcreq_context_options *options, struct zcreq_context **out)
{
	struct zcreq_context_options o = {0};
	const struct zcreq_allocator *allocator = &zcreq_libc_allocator;
	struct zcreq_context *context;
	uint64_t seed;
	int ret;

	if (!out)
		return -EINVAL;
	if (options) {
		ret = zcreq_options_copy(&o, options, sizeof(o), 0);
		if (ret)
			return ret;
	}
	if (!o.max_requests)
		o.max_requests = ZCREQ_MAX_REQUESTS;
	if (o.max_requests > ZCREQ_MAX_REQUESTS || o.reserve_requests > o.max_requests ||
	    o.reserve_holds > ZCREQ_MAX_REQUESTS)
		return -EINVAL;
	if (o.allocator) {
		if (!o.allocator->calloc || !o.allocator->free || !ZCREQ_UNUSED(o.allocator))
			return -EINVAL;
		allocator = o.allocator;
	}
	context = zcreq_calloc(allocator, 1, sizeof(*context));
	if (!context)
		return -ENOMEM;
	context->allocator = *allocator;
	seed = zcreq_seed(context);
	zcreq_slots_init(&context->requests, &context->allocator, ZCREQ_SLOT_REQUEST,
			 o.max_requests, zcreq_mix(seed));
	zcreq_slots_init(&context->holds, &context->allocator, ZCREQ_SLOT_HOLD,
			 ZCREQ_MAX_REQUESTS, zcreq_mix(seed + 1));
	STAILQ_INIT(&context->ready);
	STAILQ_INIT(&context->ready_conns);
	TAILQ_INIT(&context->conns);
	TAILQ_INIT(&context->queued);
	TAILQ_INIT(&context->stirred);
	TAILQ_INIT(&context->alarms);
	TAILQ_INIT(&context->changed);
	context->next_alarm_ns = ZCREQ_NEVER;
	context->detached_most = o.detached_bytes;
	context->disconnects_left = ZCREQ_DISCONNECTS_AT_ONCE;
	ret = reserve(context, &o);
	if (ret) {
		give_back(context);
		return ret;
	}
	*out = context;
	return 0;
}

int zcreq_context_free(struct zcreq_context *context)
{
	if (!context)
		return 0;
	if (context->dispatch_depth || context->sources || context->pools ||
	    !TAILQ_EMPTY(&context->conns) || zcreq_threads_free(context))
		return -EBUSY;
	if (context->keeper)
		context->keeper->ops->free(context->keeper);
	if (context->poller)
		context->poller->ops->free(context->poller);
	if (context->guard_hooks)
		context->guard_hooks->free(context->guard);
	give_back(context);
	return 0;
}
