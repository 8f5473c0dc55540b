/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wake.c - how other threads wake the context's: an eventfd(2)
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/threads.h"

/* A counter that is full is readable as well, and nothing else can go wrong. */
static void wake(int fd)
{
	const eventfd_t one = 1;
	int saved = errno;

	(void)!write(fd, &one, sizeof(one));
	errno = saved;
}

static void clear(int fd)
{
	eventfd_t count;
	int saved = errno;

	(void)!read(fd, &count, sizeof(count));
	errno = saved;
}

static void close_it(int fd)
{
	close(fd);
}

static const struct zcreq_wake_ops by_eventfd = {
	.wake = wake,
	.clear = clear,
	.close = close_it,
};

/* A descriptor, or a negative errno, with errno as the caller left it. */
static int make_eventfd(void)
{
	int saved = errno, fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int ret = fd < 0 ? -errno : fd;

	errno = saved;
	return ret;
}

int zcreq_threads_open(struct zcreq_context *context, unsigned flags)
{
	int fd, ret;

	if (!context || flags & ~ZCREQ_THREADS_POLLED)
		return -EINVAL;
	if (context->threads)
		return -EALREADY;
	if (flags & ZCREQ_THREADS_POLLED)
		return zcreq_threads_start(context, NULL, -1);
	fd = make_eventfd();
	if (fd < 0)
		return fd;
	ret = zcreq_threads_start(context, &by_eventfd, fd);
	if (ret)
		close(fd);
	return ret;
}
