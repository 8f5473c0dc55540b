/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine.h - how the target's connections send: through their sockets or a ring
 *
 * Owns: the ring, if there is one. Never: knows what is sent.
 *
 * engine_uring.c where liburing is there, else engine_socket.c.
 */
#ifndef NVMET_ENGINE_H
#define NVMET_ENGINE_H

#include <zcreq/ev.h>
#include <zcreq/zcreq.h>

enum engine_kind {
	ENGINE_SOCKET,
	ENGINE_URING,
	ENGINE_AUTO, /* a ring if the kernel has one, else sockets */
};

struct engine;

/* NULL and 0: through sockets. The context is served by the loop of @ev. */
int engine_new(enum engine_kind kind, struct zcreq_context *context, struct zcreq_ev *ev,
	       struct engine **engine);
void engine_free(struct engine *engine);

/* Gives a socket to the library. */
int engine_open(struct engine *engine, struct zcreq_context *context,
		const struct zcreq_stream_options *options, struct zcreq_conn **conn);

#endif
