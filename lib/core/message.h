/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * message.h - error-queue messages that are not for us, kept until the turn
 *
 * A socket's error queue has other users: timestamps, ICMP errors. Reading the
 * queue takes their messages away from them, so each is copied and handed to the
 * message hook by the next turn. What does not fit is counted, not hidden.
 */
#ifndef ZCREQ_LIB_MESSAGE_H
#define ZCREQ_LIB_MESSAGE_H

#include <sys/socket.h>
#include <sys/uio.h>

#include "core/core.h"

#define ZCREQ_MESSAGE_CONTROL 512
#define ZCREQ_MESSAGE_PAYLOAD 256
#define ZCREQ_MESSAGES_MAX 64

struct zcreq_message {
	STAILQ_ENTRY(zcreq_message) next;
	struct msghdr header;
	struct iovec iov;
	_Alignas(struct cmsghdr) char control[ZCREQ_MESSAGE_CONTROL];
	char payload[ZCREQ_MESSAGE_PAYLOAD];
};

/* So many find memory from now on, which is kept: 0 or -ENOMEM. */
int zcreq_message_reserve(struct zcreq_conn *conn, const struct zcreq_allocator *allocator,
			  uint32_t count);

/* The memory that is kept goes. */
void zcreq_message_forget(struct zcreq_conn *conn, const struct zcreq_allocator *allocator);

/* Keeps a copy of what recvmsg filled in, @len bytes of payload in it: no more than
 * a message has room for. */
void zcreq_message_keep(struct zcreq_conn *conn, const struct msghdr *header, size_t len);

/* Calls the hook for all that were kept when it was entered. */
void zcreq_message_deliver(struct zcreq_conn *conn);

#endif
