/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * interpose.c - the calls of a program that are watched
 *
 * Each does what the program asked for, returns what the kernel said and leaves errno
 * as the kernel left it; what is learned goes to watch.c and polls.c. setsockopt(2) and
 * shutdown(2) are not here: whether a socket asks for notifications the kernel knows
 * best, and shutting down releases nothing.
 *
 * With 32 bits, glibc has some calls a second time, with times or offsets of 64 bits and under
 * names that its headers put in place of the usual ones. Here both are meant, each by its own.
 */
#undef _FILE_OFFSET_BITS
#undef _TIME_BITS
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "polls.h"
#include "real.h"
#include "report.h"
#include "watch.h"

/* flags of the calls for several messages: unsigned with musl */
#ifdef __GLIBC__
typedef int mmsg_flags;
#else
typedef unsigned mmsg_flags;
#endif

/* since Linux 5.9, in glibc 2.31's header not yet: the same on every processor but alpha */
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

#define CALLER __builtin_return_address(0)

/* ---- what is behind ---- */

const struct real *real(void)
{
	static struct real all;
	static atomic_bool looked_up;
	/* in the order of struct real */
	static const char *const names[] = {
		"socket", "connect", "accept", "accept4", "send", "sendto", "sendmsg", "sendmmsg",
		"recvmsg", "recvmmsg", "close", "close_range", "closefrom", "dup", "dup2", "dup3",
		"fcntl", "fcntl64", "poll", "ppoll", "epoll_ctl", "_exit", "__recvmsg64",
		"__recvmmsg64", "__ppoll64",
	};
	int saved = errno;

	_Static_assert(sizeof(all) == sizeof(names), "a name for each");
	if (atomic_load_explicit(&looked_up, memory_order_acquire))
		return &all;
	/* two threads at once find the same */
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		((void **)&all)[i] = dlsym(RTLD_NEXT, names[i]);
	atomic_store_explicit(&looked_up, true, memory_order_release);
	errno = saved;
	return &all;
}

__attribute__((constructor))
static void begin(void)
{
	int saved = errno;

	real();
	report_init();
	watch_init();
	errno = saved;
}

/* The status that a program ends with, which would have been @status. */
static int end(int status)
{
	watch_exit();
	return report_count() && guard_options.exitcode ? guard_options.exitcode : status;
}

/* After exit(3)'s own handlers; what is buffered still has to go out. */
__attribute__((destructor))
static void at_exit(void)
{
	int status = end(-1);

	if (status < 0)
		return;
	fflush(NULL);
	real()->_exit(status);
}

__attribute__((noreturn))
void _exit(int status)
{
	real()->_exit(end(status));
	__builtin_unreachable();
}

__attribute__((noreturn))
void _Exit(int status)
{
	_exit(status);
}

/* ---- descriptors ---- */

int socket(int domain, int type, int protocol)
{
	int fd = real()->socket(domain, type, protocol);

	watch_born(fd);
	return fd;
}

int accept(int listener, struct sockaddr *address, socklen_t *len)
{
	int fd = real()->accept(listener, address, len);

	watch_born(fd);
	return fd;
}

int accept4(int listener, struct sockaddr *address, socklen_t *len, int flags)
{
	int fd = real()->accept4(listener, address, len, flags);

	watch_born(fd);
	return fd;
}

int connect(int fd, const struct sockaddr *address, socklen_t len)
{
	int ret = real()->connect(fd, address, len);

	if (!ret && len >= sizeof(address->sa_family) && address->sa_family == AF_UNSPEC)
		watch_disconnected(fd);
	return ret;
}

int close(int fd)
{
	watch_closing(fd);
	return real()->close(fd);
}

/* glibc has had them since 2.34 and musl has none: then nobody calls them by name, but a
 * program may ask for the name */
int close_range(unsigned first, unsigned last, int flags);
void closefrom(int first);

int close_range(unsigned first, unsigned last, int flags)
{
	/* with any flag it closes later, or other tables than this one */
	if (!flags && first <= last)
		watch_closing_range(first, last);
	if (!real()->close_range)
		return (int)syscall(SYS_close_range, first, last, flags);
	return real()->close_range(first, last, flags);
}

void closefrom(int first)
{
	watch_closing_range(first < 0 ? 0 : first, UINT32_MAX);
	if (real()->closefrom)
		real()->closefrom(first);
	else
		syscall(SYS_close_range, first < 0 ? 0 : first, UINT32_MAX, 0);
}

int dup(int from)
{
	int to = real()->dup(from);

	watch_duplicated(from, to);
	return to;
}

/* Will a descriptor be closed to become a duplicate of this one? */
static bool replaces(int from, int to)
{
	int saved = errno;
	bool valid = from != to && real()->fcntl(from, F_GETFD) >= 0;

	errno = saved;
	return valid;
}

int dup2(int from, int to)
{
	if (replaces(from, to))
		watch_closing(to);
	to = real()->dup2(from, to);
	watch_duplicated(from, to);
	return to;
}

int dup3(int from, int to, int flags)
{
	if (replaces(from, to) && !(flags & ~O_CLOEXEC))
		watch_closing(to);
	to = real()->dup3(from, to, flags);
	watch_duplicated(from, to);
	return to;
}

/* Whatever the third argument is, it goes through a register as it came. */
#define FCNTL(name) \
	int name(int fd, int command, ...) \
	{ \
		va_list args; \
		void *argument; \
		int ret; \
		va_start(args, command); \
		argument = va_arg(args, void *); \
		va_end(args); \
		ret = real()->name(fd, command, argument); \
		if (command == F_DUPFD || command == F_DUPFD_CLOEXEC) \
			watch_duplicated(fd, ret); \
		return ret; \
	}
FCNTL(fcntl)
int fcntl64(int fd, int operation, ...); /* which musl does not declare */
FCNTL(fcntl64)

/* ---- sends ---- */

/* What one call took, which is one message. */
static ssize_t sent_one(struct watch_call *call, ssize_t ret)
{
	int saved = errno;

	if (ret > 0)
		watch_accepted(call, ret);
	watch_sent(call);
	errno = saved;
	return ret;
}

static void watch_bytes(struct watch_call *call, const void *data, size_t len)
{
	struct iovec iov = {(void *)data, len};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	watch_message(call, &message);
}

ssize_t send(int fd, const void *data, size_t len, int flags)
{
	struct watch_call call;

	watch_send(&call, fd, flags, CALLER);
	watch_bytes(&call, data, len);
	return sent_one(&call, real()->send(fd, data, len, flags));
}

ssize_t sendto(int fd, const void *data, size_t len, int flags, const struct sockaddr *to,
	       socklen_t to_len)
{
	struct watch_call call;

	watch_send(&call, fd, flags, CALLER);
	watch_bytes(&call, data, len);
	return sent_one(&call, real()->sendto(fd, data, len, flags, to, to_len));
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	struct watch_call call;
	int saved = errno;

	watch_given(message);
	watch_send(&call, fd, flags, CALLER);
	watch_message(&call, message);
	errno = saved;
	return sent_one(&call, real()->sendmsg(fd, message, flags));
}

int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, mmsg_flags mmsg)
{
	int flags = (int)mmsg;
	struct watch_call call;
	int saved = errno, ret;

	watch_send(&call, fd, flags, CALLER);
	for (unsigned i = 0; i < count && i < UIO_MAXIOV; i++) {
		watch_given(&messages[i].msg_hdr);
		watch_message(&call, &messages[i].msg_hdr);
	}
	errno = saved;
	ret = real()->sendmmsg(fd, messages, count, flags);
	saved = errno;
	for (int i = 0; i < ret; i++)
		watch_accepted(&call, messages[i].msg_len);
	watch_sent(&call);
	errno = saved;
	return ret;
}

/* ---- the error queue ---- */

static ssize_t read_one(int fd, struct msghdr *message, int flags, ssize_t ret)
{
	if (flags & MSG_ERRQUEUE)
		watch_read(fd, ret < 0 ? NULL : message);
	return ret;
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	return read_one(fd, message, flags, real()->recvmsg(fd, message, flags));
}

static int read_several(int fd, struct mmsghdr *messages, int flags, int ret)
{
	if (flags & MSG_ERRQUEUE && ret <= 0)
		watch_read(fd, NULL);
	for (int i = 0; flags & MSG_ERRQUEUE && i < ret; i++)
		watch_read(fd, &messages[i].msg_hdr);
	return ret;
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, mmsg_flags mmsg,
	     struct timespec *timeout)
{
	int flags = (int)mmsg;

	return read_several(fd, messages, flags,
			    real()->recvmmsg(fd, messages, count, flags, timeout));
}

/* ---- waiting ---- */

static int polled(struct pollfd *fds, nfds_t count, int ret)
{
	if (ret > 0)
		polls_polled(fds, count);
	return ret;
}

int poll(struct pollfd *fds, nfds_t count, int timeout)
{
	return polled(fds, count, real()->poll(fds, count, timeout));
}

int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
	return polled(fds, count, real()->ppoll(fds, count, timeout, mask));
}

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
	int ret = real()->epoll_ctl(epoll, operation, fd, event);

	if (!ret)
		polls_changed(epoll, operation, fd);
	return ret;
}

/* ---- the same with times of 64 bits ---- */

#if defined(__GLIBC__) && __SIZEOF_LONG__ == 4
/* of these two, and of fcntl64(), there is one with two names: no time is in them */
__attribute__((alias("sendmsg")))
ssize_t __sendmsg64(int fd, const struct msghdr *message, int flags);
__attribute__((alias("sendmmsg")))
int __sendmmsg64(int fd, struct mmsghdr *messages, unsigned count, mmsg_flags mmsg);
__attribute__((alias("fcntl64")))
int __fcntl_time64(int fd, int command, ...);

ssize_t __recvmsg64(int fd, struct msghdr *message, int flags);
int __recvmmsg64(int fd, struct mmsghdr *messages, unsigned count, mmsg_flags mmsg, void *timeout);
int __ppoll64(struct pollfd *fds, nfds_t count, const void *timeout, const sigset_t *mask);

ssize_t __recvmsg64(int fd, struct msghdr *message, int flags)
{
	return read_one(fd, message, flags, real()->recvmsg64(fd, message, flags));
}

int __recvmmsg64(int fd, struct mmsghdr *messages, unsigned count, mmsg_flags mmsg, void *timeout)
{
	return read_several(fd, messages, (int)mmsg,
			    real()->recvmmsg64(fd, messages, count, (int)mmsg, timeout));
}

int __ppoll64(struct pollfd *fds, nfds_t count, const void *timeout, const sigset_t *mask)
{
	return polled(fds, count, real()->ppoll64(fds, count, timeout, mask));
}
#endif
