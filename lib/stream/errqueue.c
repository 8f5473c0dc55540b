/* SPDX-License-Identifier: BSD-2-Clause */
#include "stream/errqueue.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <string.h>

#include "stream/socket.h"

/* Does a control message claim more than there is? */
static bool exceeds(const struct msghdr *header, const struct cmsghdr *cmsg)
{
	return cmsg->cmsg_len > header->msg_controllen -
		       (size_t)((char *)cmsg - (char *)header->msg_control);
}

/* The extended error in a control message, if it is one and is wholly there. */
static const struct sock_extended_err *extended_err(const struct msghdr *header,
						    const struct cmsghdr *cmsg)
{
	bool v4 = cmsg->cmsg_level == SOL_IP && cmsg->cmsg_type == IP_RECVERR;
	bool v6 = cmsg->cmsg_level == SOL_IPV6 && cmsg->cmsg_type == IPV6_RECVERR;

	if ((!v4 && !v6) || exceeds(header, cmsg) ||
	    cmsg->cmsg_len < CMSG_LEN(sizeof(struct sock_extended_err)))
		return NULL;
	return (const struct sock_extended_err *)CMSG_DATA(cmsg);
}

/* musl's CMSG_NXTHDR computes with signs. That of glibc 2.31 comes back to a message whose length
 * is 0 when it is aligned: none that claims too much is asked for the next one. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
/* Inlined on the way of every notification. */
static inline const struct sock_extended_err *notification(struct msghdr *header)
{
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(header); cmsg;
	     cmsg = exceeds(header, cmsg) ? NULL : CMSG_NXTHDR(header, cmsg)) {
		const struct sock_extended_err *err = extended_err(header, cmsg);

		if (err && err->ee_origin == SO_EE_ORIGIN_ZEROCOPY && err->ee_errno == 0)
			return err;
	}
	return NULL;
}
#pragma GCC diagnostic pop

const struct sock_extended_err *zcreq_errqueue_notification(struct msghdr *header)
{
	return notification(header);
}

int zcreq_errqueue_next(const struct zcreq_socket_ops *ops, void *arg, int fd,
			struct zcreq_errqueue_item *item)
{
	const struct sock_extended_err *err;
	int tries = 0;
	ssize_t len;

	item->iov.iov_base = item->payload;
	item->iov.iov_len = sizeof(item->payload);
	item->header.msg_name = NULL;
	item->header.msg_namelen = 0;
	item->header.msg_iov = &item->iov;
	item->header.msg_iovlen = 1;
	item->header.msg_control = item->control;
	do {
		item->header.msg_controllen = sizeof(item->control);
		item->header.msg_flags = 0;
		len = ops->recvmsg(fd, &item->header, MSG_ERRQUEUE | MSG_DONTWAIT, arg);
	} while (len == -EINTR && ++tries < ZCREQ_INTERRUPTS);
	if (len < 0)
		return len == -EINTR ? -EAGAIN : (int)len;
	/* what a transport says of its own message is not taken on trust */
	if (item->header.msg_controllen > sizeof(item->control))
		item->header.msg_controllen = sizeof(item->control);
	err = notification(&item->header);
	if (!err) {
		item->len = (size_t)len < sizeof(item->payload) ? (size_t)len
								: sizeof(item->payload);
		return ZCREQ_ERRQUEUE_FOREIGN;
	}
	item->lo = err->ee_info;
	item->hi = err->ee_data;
	item->copied = err->ee_code & SO_EE_CODE_ZEROCOPY_COPIED;
	return ZCREQ_ERRQUEUE_NOTIFICATION;
}
