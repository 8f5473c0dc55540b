/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sender.h - how the target's connections send: through their sockets or a ring
 *
 * Owns: the ring, if there is one. Never: knows what is sent.
 *
 * sender_uring.c where liburing is there, else sender_socket.c.
 */
#ifndef NVMET_SENDER_H
#define NVMET_SENDER_H

#include <zcreq/zcreq.h>

enum sender_kind {
	SENDER_SOCKET,
	SENDER_URING,
	SENDER_AUTO, /* a ring if the kernel has one, else sockets */
};

struct sender;

/* NULL and 0: through sockets. */
int sender_new(enum sender_kind kind, struct zcreq_context *context, struct sender **sender);
void sender_free(struct sender *sender);

/* Gives a socket to the library. */
int sender_open(struct sender *sender, struct zcreq_context *context,
		const struct zcreq_stream_options *options, struct zcreq_conn **conn);

#endif
