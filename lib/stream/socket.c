/* SPDX-License-Identifier: BSD-2-Clause */
#include "stream/socket.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The result of a call as the library wants it, with errno as the caller left it. */
#define CALL(result_type, call) \
	do { \
		int saved = errno; \
		result_type result = (call); \
		if (result < 0) \
			result = -errno; \
		errno = saved; \
		return result; \
	} while (0)

static ssize_t kernel_sendmsg(int fd, const struct msghdr *message, int flags, void *arg)
{
	(void)arg;
	CALL(ssize_t, sendmsg(fd, message, flags));
}

static ssize_t kernel_recvmsg(int fd, struct msghdr *message, int flags, void *arg)
{
	(void)arg;
	CALL(ssize_t, recvmsg(fd, message, flags));
}

static int kernel_getsockopt(int fd, int level, int name, void *value, socklen_t *len, void *arg)
{
	(void)arg;
	CALL(int, getsockopt(fd, level, name, value, len));
}

static int kernel_setsockopt(int fd, int level, int name, const void *value, socklen_t len,
			     void *arg)
{
	(void)arg;
	CALL(int, setsockopt(fd, level, name, value, len));
}

static int kernel_disconnect(int fd, void *arg)
{
	struct sockaddr nowhere = {.sa_family = AF_UNSPEC};

	(void)arg;
	CALL(int, connect(fd, &nowhere, sizeof(nowhere)));
}

static int kernel_shutdown(int fd, int how, void *arg)
{
	(void)arg;
	CALL(int, shutdown(fd, how));
}

static int kernel_close(int fd, void *arg)
{
	(void)arg;
	CALL(int, close(fd));
}

const struct zcreq_socket_ops zcreq_kernel_socket = {
	.sendmsg = kernel_sendmsg,
	.recvmsg = kernel_recvmsg,
	.getsockopt = kernel_getsockopt,
	.setsockopt = kernel_setsockopt,
	.disconnect = kernel_disconnect,
	.shutdown = kernel_shutdown,
	.close = kernel_close,
};

int zcreq_kernel_peer(int fd, struct sockaddr *address, socklen_t bytes)
{
	CALL(int, getpeername(fd, address, &bytes));
}

int zcreq_socket_disconnect(int fd)
{
	return kernel_disconnect(fd, NULL);
}

uint64_t zcreq_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}
