/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine_uring.c - sockets, or one ring for all connections of the loop
 *
 * Owns: the ring and its place in the loop.
 */
#include "sender.h"

#include <errno.h>
#include <stdlib.h>

#include <zcreq/uring.h>

struct engine {
	struct zcreq_uring *uring;
	struct zcreq_ev_engine *tie;
};

static int flush(void *arg)
{
	return zcreq_uring_flush(arg);
}

static int make_ring(struct engine *engine, struct zcreq_context *context, struct zcreq_ev *ev)
{
	int ret = zcreq_uring_new(context, NULL, &engine->uring);

	if (ret)
		return ret;
	ret = zcreq_uring_fd(engine->uring);
	return ret < 0 ? ret : zcreq_ev_engine_new(ev, ret, flush, engine->uring, &engine->tie);
}

int engine_new(enum engine_kind kind, struct zcreq_context *context, struct zcreq_ev *ev,
	       struct engine **out)
{
	struct engine *engine;
	int ret;

	*out = NULL;
	if (kind == ENGINE_SOCKET)
		return 0;
	engine = calloc(1, sizeof(*engine));
	if (!engine)
		return -ENOMEM;
	ret = make_ring(engine, context, ev);
	if (ret) {
		engine_free(engine);
		return kind == ENGINE_AUTO ? 0 : ret;
	}
	*out = engine;
	return 0;
}

void engine_free(struct engine *engine)
{
	if (!engine)
		return;
	zcreq_ev_engine_free(engine->tie);
	/* a ring that still holds pages outlives the program's last word */
	if (zcreq_uring_free(engine->uring) == 0)
		free(engine);
}

int engine_open(struct engine *engine, struct zcreq_context *context,
		const struct zcreq_stream_options *options, struct zcreq_conn **conn)
{
	return zcreq_uring_stream_open(engine ? engine->uring : NULL, context, options, conn);
}
