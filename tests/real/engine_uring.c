/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zcreq/uring.h>

#include "real.h"
#include "spy_ring.h"

struct engine {
	struct zcreq_uring *uring;
	struct spy_ring spy;
};

const bool engine_is_uring = true;

const char *engine_missing(void)
{
	static char reason[80];
	struct zcreq_context *context;
	struct zcreq_uring *uring;
	int ret;

	if (zcreq_context_new(NULL, &context))
		abort();
	ret = zcreq_uring_new(context, NULL, &uring);
	if (zcreq_uring_free(uring) || zcreq_context_free(context))
		abort();
	snprintf(reason, sizeof(reason), "no io_uring here: %s", strerror(-ret));
	return ret ? reason : NULL;
}

/* With the first connection: the load knows by then whether it is spied on. */
static void start(struct load *load)
{
	struct zcreq_uring_options options = {.size = sizeof(options)};
	struct engine *engine = calloc(1, sizeof(*engine));

	ck_assert_ptr_nonnull(engine);
	if (load->spied) {
		spy_ring_init(&engine->spy, &load->spy);
		options.ops = &spy_ring_ops;
		options.ops_arg = &engine->spy;
	}
	ck_ok(zcreq_uring_new(load->context, &options, &engine->uring));
	load->engine = engine;
}

int engine_open(struct load *load, const struct zcreq_stream_options *options)
{
	if (!load->engine)
		start(load);
	return zcreq_uring_stream_open(load->engine->uring, load->context, options, &load->conn);
}

int engine_flush(struct load *load)
{
	int ret = zcreq_flush(load->conn);

	if (!ret)
		ret = zcreq_uring_flush(load->engine->uring);
	return ret < 0 ? ret : 0;
}

int engine_fd(const struct load *load)
{
	return load->engine ? zcreq_uring_fd(load->engine->uring) : -1;
}

void engine_process(struct load *load)
{
	uint64_t count;

	if (!load->engine)
		return;
	/* before the ring is looked at, so that nothing is missed */
	expect(read(engine_fd(load), &count, sizeof(count)) != 0);
	while (zcreq_uring_process(load->engine->uring) > 0)
		;
}

void engine_stop(struct load *load)
{
	if (!load->engine)
		return;
	ck_ok(zcreq_uring_free(load->engine->uring));
	if (load->spied)
		spy_ring_deinit(&load->engine->spy);
	free(load->engine);
	load->engine = NULL;
}
