/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hand.c - a send, and a look at the error queue, as everyone writes them
 */
#include "designs.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <linux/errqueue.h> /* after time.h: uses struct timespec */

void *design_memory(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory) {
		perror("bookkeeping");
		exit(1);
	}
	return memory;
}

void hand_send(struct free_socket *socket, const struct iovec *iov)
{
	const struct msghdr m = {.msg_iov = (struct iovec *)iov, .msg_iovlen = 1};

	if (free_ops.sendmsg(0, &m, MSG_ZEROCOPY | MSG_DONTWAIT, socket) <= 0)
		abort();
}

bool hand_told(struct free_socket *socket, uint32_t *lo, uint32_t *hi)
{
	char control[128];
	struct msghdr m = {.msg_control = control, .msg_controllen = sizeof(control)};
	const struct sock_extended_err *err;
	const struct cmsghdr *cmsg;

	if (free_ops.recvmsg(0, &m, MSG_ERRQUEUE, socket) < 0)
		return false;
	cmsg = CMSG_FIRSTHDR(&m);
	if (!cmsg || cmsg->cmsg_level != SOL_IP || cmsg->cmsg_type != IP_RECVERR)
		abort();
	err = (const void *)CMSG_DATA(cmsg);
	if (err->ee_errno || err->ee_origin != SO_EE_ORIGIN_ZEROCOPY)
		abort();
	*lo = err->ee_info;
	*hi = err->ee_data;
	return true;
}
