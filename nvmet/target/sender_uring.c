/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sender_uring.c - sockets, or one ring for all connections of the loop
 *
 * Owns: the ring, which takes part in the context's turns.
 */
#include "sender.h"

#include <errno.h>
#include <stdlib.h>

#include <zcreq/uring.h>

struct sender {
	struct zcreq_uring *uring;
};

int sender_new(enum sender_kind kind, struct zcreq_context *context, struct sender **out)
{
	struct sender *sender;
	int ret;

	*out = NULL;
	if (kind == SENDER_SOCKET)
		return 0;
	sender = calloc(1, sizeof(*sender));
	if (!sender)
		return -ENOMEM;
	ret = zcreq_uring_new(context, NULL, &sender->uring);
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
	/* a ring that still holds pages outlives the program's last word */
	if (zcreq_uring_free(sender->uring) == 0)
		free(sender);
}

int sender_open(struct sender *sender, struct zcreq_context *context,
		const struct zcreq_stream_options *options, struct zcreq_conn **conn)
{
	return zcreq_uring_stream_open(sender ? sender->uring : NULL, context, options, conn);
}
