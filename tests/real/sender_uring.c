/* SPDX-License-Identifier: BSD-2-Clause */
#include "real/sender_uring.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zcreq/uring.h>

#include "real/real.h"
#include "real/spy_ring.h"

struct sender {
	struct zcreq_uring *uring;
	struct spy_ring spy;
	struct io_uring *shared; /* the program's; NULL: the library's */
	unsigned foreign;
};

const bool sender_is_uring = true;

const char *sender_missing(void)
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

void sender_start(struct load *load, const struct zcreq_uring_options *options)
{
	struct zcreq_uring_options o = {.size = sizeof(o)};
	struct sender *sender = calloc(1, sizeof(*sender));

	ck_assert_ptr_nonnull(sender);
	if (options)
		o = *options;
	if (load->spied) {
		spy_ring_init(&sender->spy, &load->spy);
		o.ops = &spy_ring_ops;
		o.ops_arg = &sender->spy;
	}
	sender->shared = o.ring;
	ck_ok(zcreq_uring_new(load->context, &o, &sender->uring));
	load->sender = sender;
}

void sender_share(struct load *load, struct io_uring *ring, uint8_t tag)
{
	const struct zcreq_uring_options options = {
		.size = sizeof(options), .ring = ring, .tag = tag,
	};

	sender_start(load, &options);
}

struct zcreq_uring *sender_ring(const struct load *load)
{
	return load->sender->uring;
}

unsigned sender_foreign(const struct load *load)
{
	return load->sender->foreign;
}

int sender_open(struct load *load, const struct zcreq_stream_options *options)
{
	/* with the first one: the load knows by then whether it is spied on */
	if (!load->sender)
		sender_start(load, NULL);
	return zcreq_uring_stream_open(load->sender->uring, load->context, options, &load->conn);
}

int sender_fd(const struct load *load)
{
	if (!load->sender)
		return -1;
	return load->sender->shared ? load->sender->shared->ring_fd
				    : zcreq_context_fd(load->context);
}

/* As a program does that has completions of its own. */
static void read_shared(struct sender *sender)
{
	struct io_uring_cqe *cqe;

	while (io_uring_peek_cqe(sender->shared, &cqe) == 0) {
		if (zcreq_uring_completion(sender->uring, cqe) == 0)
			sender->foreign++;
		io_uring_cqe_seen(sender->shared, cqe);
	}
}

void sender_process(struct load *load)
{
	if (load->sender && load->sender->shared)
		read_shared(load->sender);
}

void sender_stop(struct load *load)
{
	if (!load->sender)
		return;
	ck_ok(zcreq_uring_free(load->sender->uring));
	if (load->spied)
		spy_ring_deinit(&load->sender->spy);
	free(load->sender);
	load->sender = NULL;
}
