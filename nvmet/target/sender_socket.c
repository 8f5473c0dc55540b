/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sender_socket.c - without liburing: sockets only
 */
#include "sender.h"

#include <errno.h>

int sender_new(enum sender_kind kind, struct zcreq_context *context, struct sender **sender)
{
	(void)context;
	*sender = NULL;
	return kind == SENDER_URING ? -ENOSYS : 0;
}

void sender_free(struct sender *sender)
{
	(void)sender;
}

int sender_open(struct sender *sender, struct zcreq_context *context,
		const struct zcreq_stream_options *options, struct zcreq_conn **conn)
{
	(void)sender;
	return zcreq_stream_open(context, options, conn);
}
