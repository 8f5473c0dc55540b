/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine_socket.c - without liburing: sockets only
 */
#include "sender.h"

#include <errno.h>

int engine_new(enum engine_kind kind, struct zcreq_context *context, struct zcreq_ev *ev,
	       struct engine **engine)
{
	(void)context;
	(void)ev;
	*engine = NULL;
	return kind == ENGINE_URING ? -ENOSYS : 0;
}

void engine_free(struct engine *engine)
{
	(void)engine;
}

int engine_open(struct engine *engine, struct zcreq_context *context,
		const struct zcreq_stream_options *options, struct zcreq_conn **conn)
{
	(void)engine;
	return zcreq_stream_open(context, options, conn);
}
