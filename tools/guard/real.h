/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * real.h - what stands behind the interposed names
 */
#ifndef ZCREQ_GUARD_REAL_H
#define ZCREQ_GUARD_REAL_H

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

struct real {
	int (*socket)(int, int, int);
	int (*connect)(int, const struct sockaddr *, socklen_t);
	int (*accept)(int, struct sockaddr *, socklen_t *);
	int (*accept4)(int, struct sockaddr *, socklen_t *, int);
	ssize_t (*send)(int, const void *, size_t, int);
	ssize_t (*sendto)(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
	ssize_t (*sendmsg)(int, const struct msghdr *, int);
	int (*sendmmsg)(int, struct mmsghdr *, unsigned, int);
	ssize_t (*recvmsg)(int, struct msghdr *, int);
	int (*recvmmsg)(int, struct mmsghdr *, unsigned, int, struct timespec *);
	int (*close)(int);
	int (*close_range)(unsigned, unsigned, int);
	void (*closefrom)(int);
	int (*dup)(int);
	int (*dup2)(int, int);
	int (*dup3)(int, int, int);
	int (*fcntl)(int, int, ...);
	int (*fcntl64)(int, int, ...);
	int (*poll)(struct pollfd *, nfds_t, int);
	int (*ppoll)(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
	int (*epoll_ctl)(int, int, int, struct epoll_event *);
	void (*_exit)(int);
	/* with 32 bits alone; times of 64 bits are passed on as they came */
	ssize_t (*recvmsg64)(int, struct msghdr *, int);
	int (*recvmmsg64)(int, struct mmsghdr *, unsigned, int, void *);
	int (*ppoll64)(struct pollfd *, nfds_t, const void *, const sigset_t *);
};

/* All of it, looked up by whoever is first. */
const struct real *real(void);

#endif
