/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * errqueue.h - one message of a socket's error queue, and what it is
 *
 * Notifications come as IP_RECVERR (48 bytes of control) on IPv4 and as
 * IPV6_RECVERR (60 bytes) on IPv6, v4-mapped included; the buffer is large enough
 * for both and for the messages of others that share the queue. MSG_PEEK is never
 * used: it consumes the message.
 */
#ifndef ZCREQ_LIB_ERRQUEUE_H
#define ZCREQ_LIB_ERRQUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include <zcreq/stream.h>

#include "core/message.h"

struct sock_extended_err;

enum zcreq_errqueue_kind {
	ZCREQ_ERRQUEUE_NOTIFICATION = 1, /* lo, hi and copied are set */
	ZCREQ_ERRQUEUE_FOREIGN,          /* header and len are set */
};

struct zcreq_errqueue_item {
	uint32_t lo, hi;
	bool copied;
	size_t len; /* of the payload */
	struct msghdr header;
	struct iovec iov;
	_Alignas(struct cmsghdr) char control[ZCREQ_MESSAGE_CONTROL];
	char payload[ZCREQ_MESSAGE_PAYLOAD];
};

/* The notification in a message, or NULL if it is somebody else's. For who reads by himself. */
const struct sock_extended_err *zcreq_errqueue_notification(struct msghdr *header);

/* The next message: its kind, -EAGAIN if there is none, or another error. */
int zcreq_errqueue_next(const struct zcreq_socket_ops *ops, void *arg, int fd,
			struct zcreq_errqueue_item *item);

#endif
