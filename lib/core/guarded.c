/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/guarded.h"

#include <string.h>

#include <zcreq/version.h>

#include "core/core.h"

int zcreq_guard_set(struct zcreq_context *context, const char *version,
		    const struct zcreq_guard_hooks *hooks, const void *how)
{
	void *guard = NULL;
	int ret;

	if (strcmp(version, ZCREQ_VERSION) != 0)
		return -ENOTSUP;
	if (context->guard_hooks)
		return -EALREADY;
	if (!TAILQ_EMPTY(&context->conns))
		return -EBUSY;
	ret = hooks->make(&context->allocator, how, &guard);
	if (ret)
		return ret;
	context->guard_hooks = hooks;
	context->guard = guard;
	context->tracing = true; /* or it would not hear of what points.c passes on */
	return 0;
}

void *zcreq_guard_of(const struct zcreq_context *context)
{
	return context->guard;
}
