/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sender_uring.c - sockets, or one ring for all connections of the loop
 *
 * Owns: the ring and its place in the loop.
 */
#include "sender.h"

#include <errno.h>
#include <stdlib.h>

#include <zcreq/uring.h>

struct sender {
	struct zcreq_uring *uring;
	struct zcreq_ev_engine *tie;
};

static int flush(void *arg)
{
	return zcreq_uring_flush(arg);
}

static int make_ring(struct sender *sender, struct zcreq_context *context, struct zcreq_ev *ev)
{
	int ret = zcreq_uring_new(context, NULL, &sender->uring);

	if (ret)
		return ret;
	ret = zcreq_uring_fd(sender->uring);
	return ret < 0 ? ret : zcreq_ev_engine_new(ev, ret, flush, sender->uring, &sender->tie);
}

int sender_new(enum sender_kind kind, struct zcreq_context *context, struct zcreq_ev *ev,
	       struct sender **out)
{
	struct sender *sender;
	int ret;

	*out = NULL;
	if (kind == SENDER_SOCKET)
		return 0;
	sender = calloc(1, sizeof(*sender));
	if (!sender)
		return -ENOMEM;
	ret = make_ring(sender, context, ev);
	if (ret) {
		sender_free(sender);
		return kind == SENDER_AUTO ? 0 : ret;
	}
	*out = sender;
	return 0;
}

void sender_free(struct sender *sender)
{
	if (!sender)
		return;
	zcreq_ev_engine_free(sender->tie);
	/* a ring that still holds pages outlives the program's last word */
	if (zcreq_uring_free(sender->uring) == 0)
		free(sender);
}

int sender_open(struct sender *sender, struct zcreq_context *context,
		const struct zcreq_stream_options *options, struct zcreq_conn **conn)
{
	return zcreq_uring_stream_open(sender ? sender->uring : NULL, context, options, conn);
}
