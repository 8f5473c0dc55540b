/* SPDX-License-Identifier: BSD-2-Clause */
#include "faults/fault.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* More in a row than the library repeats an interrupted call; a loop that is woken
 * for what is never there would spin, on any kernel, so these end. */
#define A_WHILE 40

const struct fault_error fault_errors[] = {
	{ FAULT_ALLOC, ENOMEM, UINT_MAX, FAULT_SURVIVED },

	{ FAKE_SENDMSG, EAGAIN, A_WHILE, FAULT_SURVIVED },
	{ FAKE_SENDMSG, EINTR, A_WHILE, FAULT_SURVIVED },
	{ FAKE_SENDMSG, ENOBUFS, UINT_MAX, FAULT_SURVIVED },
	{ FAKE_SENDMSG, ENOMEM, UINT_MAX, FAULT_SURVIVED },
	{ FAKE_SENDMSG, EPIPE, UINT_MAX, FAULT_ENDS },
	{ FAKE_SENDMSG, ECONNRESET, UINT_MAX, FAULT_ENDS },
	{ FAKE_SENDMSG, ETIMEDOUT, UINT_MAX, FAULT_ENDS },
	{ FAKE_SENDMSG, EFAULT, UINT_MAX, FAULT_ENDS },
	{ FAKE_SENDMSG, EIO, UINT_MAX, FAULT_ENDS },
	{ FAKE_SENDMSG, EBADF, UINT_MAX, FAULT_ENDS },

	{ FAKE_RECVMSG, EAGAIN, A_WHILE, FAULT_SURVIVED },
	{ FAKE_RECVMSG, EINTR, A_WHILE, FAULT_SURVIVED },
	{ FAKE_RECVMSG, ENOMEM, UINT_MAX, FAULT_MAY_END },
	{ FAKE_RECVMSG, ENOBUFS, UINT_MAX, FAULT_MAY_END },
	{ FAKE_RECVMSG, EIO, UINT_MAX, FAULT_MAY_END },
	{ FAKE_RECVMSG, EBADF, UINT_MAX, FAULT_MAY_END },

	{ FAKE_GETSOCKOPT, EINTR, UINT_MAX, FAULT_MAY_END },
	{ FAKE_GETSOCKOPT, ENOMEM, UINT_MAX, FAULT_MAY_END },
	{ FAKE_GETSOCKOPT, EIO, UINT_MAX, FAULT_MAY_END },
	{ FAKE_GETSOCKOPT, EBADF, UINT_MAX, FAULT_MAY_END },

	{ FAKE_SETSOCKOPT, ENOPROTOOPT, UINT_MAX, FAULT_SURVIVED },
	{ FAKE_SETSOCKOPT, ENOMEM, UINT_MAX, FAULT_SURVIVED },
	{ FAKE_SETSOCKOPT, EPERM, UINT_MAX, FAULT_SURVIVED },
	{ FAKE_SETSOCKOPT, EBADF, UINT_MAX, FAULT_SURVIVED },

	{ FAKE_DISCONNECT, EINTR, UINT_MAX, FAULT_SURVIVED },
	{ FAKE_DISCONNECT, EBUSY, UINT_MAX, FAULT_SURVIVED },
	{ FAKE_DISCONNECT, EOPNOTSUPP, UINT_MAX, FAULT_SURVIVED },
	{ FAKE_DISCONNECT, ENOMEM, UINT_MAX, FAULT_SURVIVED },
	{ FAKE_DISCONNECT, EBADF, UINT_MAX, FAULT_SURVIVED },

	{ FAKE_SHUTDOWN, EINTR, A_WHILE, FAULT_SURVIVED },
	{ FAKE_SHUTDOWN, ENOTCONN, UINT_MAX, FAULT_MAY_END },
	{ FAKE_SHUTDOWN, EIO, UINT_MAX, FAULT_MAY_END },

	{ FAKE_CLOSE, EINTR, UINT_MAX, FAULT_SURVIVED },
	{ FAKE_CLOSE, EIO, UINT_MAX, FAULT_SURVIVED },
	{ FAKE_CLOSE, ENOSPC, UINT_MAX, FAULT_SURVIVED },

	{ FAULT_EPOLL_CREATE, EMFILE, UINT_MAX, FAULT_SURVIVED },
	{ FAULT_EPOLL_CREATE, ENFILE, UINT_MAX, FAULT_SURVIVED },
	{ FAULT_EPOLL_CREATE, ENOMEM, UINT_MAX, FAULT_SURVIVED },

	{ FAULT_EVENTFD, EMFILE, UINT_MAX, FAULT_SURVIVED },
	{ FAULT_EVENTFD, ENFILE, UINT_MAX, FAULT_SURVIVED },
	{ FAULT_EVENTFD, ENOMEM, UINT_MAX, FAULT_SURVIVED },

	{ FAULT_EPOLL_CTL, ENOMEM, UINT_MAX, FAULT_SURVIVED },
	{ FAULT_EPOLL_CTL, ENOSPC, UINT_MAX, FAULT_SURVIVED },
	{ FAULT_EPOLL_CTL, EBADF, UINT_MAX, FAULT_SURVIVED },

	{ FAULT_EPOLL_WAIT, EINTR, A_WHILE, FAULT_SURVIVED },
	{ FAULT_EPOLL_WAIT, EBADF, A_WHILE, FAULT_SURVIVED },
};
const unsigned fault_error_count = sizeof(fault_errors) / sizeof(fault_errors[0]);

bool fault_crosses(struct fault *fault, unsigned kind)
{
	if (fault->crossings < sizeof(fault->kinds))
		fault->kinds[fault->crossings] = (unsigned char)kind;
	fault->crossings++;
	if (!fault->at || fault->crossings < fault->at || kind != fault->what->kind ||
	    fault->failed >= fault->times)
		return false;
	if (!fault->failed)
		fault->opening = fault->opens;
	fault->failed++;
	return true;
}

static void *fault_calloc(size_t count, size_t size, void *arg)
{
	struct fault *fault = arg;

	if (fault_crosses(fault, FAULT_ALLOC))
		return NULL;
	return fault->inner->calloc(count, size, fault->inner->arg);
}

static void fault_free(void *memory, void *arg)
{
	struct fault *fault = arg;

	fault->inner->free(memory, fault->inner->arg);
}

void fault_init(struct fault *fault, struct zcreq_allocator *inner)
{
	memset(fault, 0, sizeof(*fault));
	fault->inner = inner;
	fault->allocator.calloc = fault_calloc;
	fault->allocator.free = fault_free;
	fault->allocator.arg = fault;
}

/* In front of each call: its failure is planned at the last moment. */
static void on_call(struct fake_socket *sock, enum fake_call call, void *arg)
{
	struct fault *fault = arg;

	if (fault_crosses(fault, call))
		fake_socket_fail(sock, call, 1, 1, fault->what->error);
}

void fault_watch(struct fault *fault, struct fake_socket *sock)
{
	fake_socket_set_hook(sock, on_call, fault);
}

void fault_lift(struct fault *fault)
{
	fault->times = 0;
}
