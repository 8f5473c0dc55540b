/* SPDX-License-Identifier: BSD-2-Clause */
#include "faults/wrap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "support/wrapped.h"

#define BLOCKS 256

long wrap_live_blocks;

static struct fault *armed;
static void *blocks[BLOCKS];

void wrap_arm(struct fault *fault)
{
	armed = fault;
}

static bool fails(unsigned kind)
{
	if (!armed || !fault_crosses(armed, kind))
		return false;
	errno = armed->what->error;
	return true;
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void __real_free(void *memory);
void __wrap_free(void *memory);

void *__wrap_calloc(size_t count, size_t size)
{
	void *memory = fails(FAULT_ALLOC) ? NULL : __real_calloc(count, size);
	unsigned i;

	for (i = 0; i < BLOCKS && armed && memory; i++) {
		if (blocks[i])
			continue;
		blocks[i] = memory;
		wrap_live_blocks++;
		return memory;
	}
	if (armed && memory)
		abort(); /* more than there is room for */
	return memory;
}

void __wrap_free(void *memory)
{
	unsigned i;

	for (i = 0; i < BLOCKS && memory && wrap_live_blocks; i++) {
		if (blocks[i] != memory)
			continue;
		blocks[i] = NULL;
		wrap_live_blocks--;
		break;
	}
	__real_free(memory);
}

#define WRAP(kind, type, name, parameters, arguments) \
	type __real_##name parameters; \
	type __wrap_##name parameters; \
	type __wrap_##name parameters \
	{ \
		return fails(kind) ? -1 : __real_##name arguments; \
	}

WRAP(FAKE_SENDMSG, ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags))
WRAP(FAKE_RECVMSG, ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags))
WRAP(FAKE_GETSOCKOPT, int, getsockopt, (int fd, int level, int name, void *value, socklen_t *len),
     (fd, level, name, value, len))
WRAP(FAKE_SETSOCKOPT, int, setsockopt,
     (int fd, int level, int name, const void *value, socklen_t len),
     (fd, level, name, value, len))
WRAP(FAKE_DISCONNECT, int, connect, (int fd, const struct sockaddr *to, socklen_t len),
     (fd, to, len))
WRAP(FAKE_SHUTDOWN, int, shutdown, (int fd, int how), (fd, how))
WRAP(FAULT_EPOLL_CREATE, int, epoll_create1, (int flags), (flags))
WRAP(FAULT_EVENTFD, int, eventfd, (unsigned count, int flags), (count, flags))
WRAP(FAULT_EPOLL_CTL, int, epoll_ctl, (int epoll, int op, int fd, struct epoll_event *event),
     (epoll, op, fd, event))
WRAP(FAULT_EPOLL_WAIT, int, epoll_wait, (int epoll, struct epoll_event *events, int most, int ms),
     (epoll, events, most, ms))

int __real_close(int fd);
int __wrap_close(int fd);

/* One that "fails" has closed, as in Linux. */
int __wrap_close(int fd)
{
	int ret = __real_close(fd);

	return fails(FAKE_CLOSE) ? -1 : ret;
}
