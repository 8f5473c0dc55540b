/* SPDX-License-Identifier: BSD-2-Clause */
#include "real/sender_uring.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zcreq/uring.h>

#include "real/real.h"
#include "real/spy_ring.h"

struct engine {
	struct zcreq_uring *uring;
	struct spy_ring spy;
	struct io_uring *shared; /* the program's; NULL: the library's */
	unsigned foreign;
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

void engine_start(struct load *load, const struct zcreq_uring_options *options)
{
	struct zcreq_uring_options o = {.size = sizeof(o)};
	struct engine *engine = calloc(1, sizeof(*engine));

	ck_assert_ptr_nonnull(engine);
	if (options)
		o = *options;
	if (load->spied) {
		spy_ring_init(&engine->spy, &load->spy);
		o.ops = &spy_ring_ops;
		o.ops_arg = &engine->spy;
	}
	engine->shared = o.ring;
	ck_ok(zcreq_uring_new(load->context, &o, &engine->uring));
	load->engine = engine;
}

void engine_share(struct load *load, struct io_uring *ring, uint8_t tag)
{
	const struct zcreq_uring_options options = {
		.size = sizeof(options), .ring = ring, .tag = tag,
	};

	engine_start(load, &options);
}

struct zcreq_uring *engine_ring(const struct load *load)
{
	return load->engine->uring;
}

unsigned engine_foreign(const struct load *load)
{
	return load->engine->foreign;
}

int engine_open(struct load *load, const struct zcreq_stream_options *options)
{
	/* with the first one: the load knows by then whether it is spied on */
	if (!load->engine)
		engine_start(load, NULL);
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
	if (!load->engine)
		return -1;
	return load->engine->shared ? load->engine->shared->ring_fd
				    : zcreq_uring_fd(load->engine->uring);
}

/* As a program does that has completions of its own. */
static void read_shared(struct engine *engine)
{
	struct io_uring_cqe *cqe;

	while (io_uring_peek_cqe(engine->shared, &cqe) == 0) {
		if (zcreq_uring_completion(engine->uring, cqe) == 0)
			engine->foreign++;
		io_uring_cqe_seen(engine->shared, cqe);
	}
}

void engine_process(struct load *load)
{
	uint64_t count;

	if (!load->engine)
		return;
	if (load->engine->shared)
		read_shared(load->engine);
	else /* before the ring is looked at, so that nothing is missed */
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
