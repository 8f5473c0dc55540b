/* SPDX-License-Identifier: BSD-2-Clause */
#include "free_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <time.h>
#include <linux/errqueue.h> /* after time.h: uses struct timespec */

static ssize_t free_sendmsg(int fd, const struct msghdr *message, int flags, void *arg)
{
	struct free_socket *s = arg;

	(void)fd;
	(void)flags;
	s->issued++;
	return message->msg_iovlen * SEND_BYTES;
}

static ssize_t free_recvmsg(int fd, struct msghdr *message, int flags, void *arg)
{
	struct free_socket *s = arg;
	struct cmsghdr *cmsg = message->msg_control;
	struct sock_extended_err *err = (struct sock_extended_err *)CMSG_DATA(cmsg);

	(void)fd;
	(void)flags;
	if (!s->ready)
		return -EAGAIN;
	s->ready--;
	cmsg->cmsg_len = CMSG_LEN(sizeof(*err) + sizeof(struct sockaddr_in));
	cmsg->cmsg_level = SOL_IP;
	cmsg->cmsg_type = IP_RECVERR;
	memset(err, 0, sizeof(*err));
	err->ee_origin = SO_EE_ORIGIN_ZEROCOPY;
	err->ee_info = err->ee_data = s->tell;
	s->tell += s->step;
	message->msg_controllen = cmsg->cmsg_len;
	message->msg_flags = MSG_ERRQUEUE;
	return 0;
}

static int free_getsockopt(int fd, int level, int name, void *value, socklen_t *len, void *arg)
{
	(void)fd;
	(void)arg;
	memset(value, 0, *len);
	if (level == SOL_SOCKET && name == SO_TYPE)
		*(int *)value = SOCK_STREAM;
	else if (level == SOL_SOCKET && name == SO_PROTOCOL)
		*(int *)value = IPPROTO_TCP;
	else if (level == IPPROTO_TCP && name == TCP_INFO)
		*(uint8_t *)value = 1; /* established */
	return 0;
}

static int free_setsockopt(int fd, int level, int name, const void *value, socklen_t len,
			   void *arg)
{
	(void)fd, (void)level, (void)name, (void)value, (void)len, (void)arg;
	return 0;
}

static int free_disconnect(int fd, void *arg)
{
	(void)fd, (void)arg;
	return 0;
}

static int free_shutdown(int fd, int how, void *arg)
{
	(void)fd, (void)how, (void)arg;
	return 0;
}

static int free_close(int fd, void *arg)
{
	(void)fd, (void)arg;
	return 0;
}

const struct zcreq_socket_ops free_ops = {
	.sendmsg = free_sendmsg,
	.recvmsg = free_recvmsg,
	.getsockopt = free_getsockopt,
	.setsockopt = free_setsockopt,
	.disconnect = free_disconnect,
	.shutdown = free_shutdown,
	.close = free_close,
};
