/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * right.c - what a program may do, however odd it looks
 */
#include "tools/guard/deeds.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/errqueue.h> /* after time.h: uses struct timespec */

static void right(void)
{
	static unsigned (*const ways[])(void) = {by_send, by_sendto, by_sendmsg, by_sendmmsg};

	for (size_t i = 0; i < 20; i++) {
		reap(near, ways[i % 4]());
		memset(buffer, (int)i, BYTES);
	}
	must(!close(near));
}

static void right_with_parts(void)
{
	unsigned ids = 0;
	ssize_t ret;

	while ((ret = send(near, buffer, BYTES, MSG_ZEROCOPY | MSG_DONTWAIT)) > 0)
		ids++;
	must(ret < 0 && errno == EAGAIN && ids > 0);
	reap(near, ids);
	memset(buffer, 0, BYTES);
}

static void right_without_asking(void)
{
	int off = 0;

	must(!setsockopt(near, SOL_SOCKET, SO_ZEROCOPY, &off, sizeof(off)));
	by_send(); /* a copy */
	memset(buffer, 0, BYTES);
	must(!reap_one(near));
	drain(100);
	must(!close(near));
}

static void right_with_errors(void)
{
	struct msghdr bad = {.msg_iov = (struct iovec *)8, .msg_iovlen = 2};
	struct iovec far_away = {(char *)8, 4096};
	struct msghdr nowhere = {.msg_iov = &far_away, .msg_iovlen = 1};

	must(sendmsg(near, NULL, MSG_ZEROCOPY) < 0 && errno == EFAULT);
	must(sendmsg(near, &bad, MSG_ZEROCOPY) < 0 && errno == EFAULT);
	must(sendmsg(near, &nowhere, MSG_ZEROCOPY) < 0 && errno == EFAULT);
	must(send(near, buffer, 0, MSG_ZEROCOPY) == 0);
	must(send(-1, buffer, 1, MSG_ZEROCOPY) < 0 && errno == EBADF);
	must(close(12345) < 0 && errno == EBADF);
	must(dup2(12345, near) < 0 && errno == EBADF);
	reap(near, by_send());
	memset(buffer, 0, BYTES);
}

/* The connection is ended while it is in flight: then all of it is given back. */
static void right_by_disconnect(void)
{
	struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
	unsigned ids = by_sendmmsg();

	must(!connect(near, &nowhere, sizeof(nowhere)));
	reap(near, ids);
	memset(buffer, 0, BYTES);
	must(!close(near));
}

static void right_by_reset(void)
{
	unsigned ids = by_sendmmsg();

	must(!close(far));
	far = near; /* nothing to receive there */
	reap(near, ids);
	memset(buffer, 0, BYTES);
	must(!close(near));
}

/* A duplicate keeps it open: nothing is lost with the first close. */
static void right_with_duplicates(void)
{
	unsigned ids = by_send();
	int copy = dup(near), other = dup2(near, 200);

	must(other == 200 && !close(near) && !close(copy));
	reap(other, ids);
	memset(buffer, 0, BYTES);
	must(!close(other));
}

static int epoll_of(int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	must(epoll >= 0 && !epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	return epoll;
}

/* One descriptor in two sets, and a duplicate that nobody waits for. */
static void right_with_epoll(void)
{
	int one = epoll_of(near), other = epoll_of(near), copy = dup(near);

	reap(near, by_send());
	must(!epoll_ctl(one, EPOLL_CTL_DEL, near, NULL) && !close(other));
	must(!close(one));
	epoll_of(copy);
	reap(near, by_send());
}

/* Sends and reaps in a child, of a socket that the parent leaves alone after it. */
static void right_in_a_child(void)
{
	int status;
	pid_t child;

	reap(near, by_send());
	child = fork();
	if (!child) {
		reap(near, by_send());
		memset(buffer, 'c', BYTES);
		exit(0);
	}
	must(waitpid(child, &status, 0) == child && !status);
	/* ids went on without this process; what it sends now is not its second */
	for (int i = 0; i < 10; i++) {
		reap(near, by_send());
		memset(buffer, i, BYTES);
	}
	must(!close(near));
}

/* The child has the socket; this process closes its descriptor and writes no more. */
static void right_handed_to_a_child(void)
{
	unsigned ids = by_send();
	int status;
	pid_t child = fork();

	if (!child) {
		reap(near, ids);
		exit(0);
	}
	must(!close(near));
	must(waitpid(child, &status, 0) == child && !status);
}

static void right_by_vfork(void)
{
	unsigned ids = by_send();
	pid_t child = vfork();
	int status;

	if (!child) {
		close(near);
		_exit(0);
	}
	must(waitpid(child, &status, 0) == child && !status);
	reap(near, ids);
	memset(buffer, 0, BYTES);
	must(!close(near));
}

/* Its next id is not 0 for whoever begins to look only now. */
static void right_after_exec(void)
{
	char number[16], *const arguments[] = {"deeds", "after-exec", number, NULL};

	reap(near, by_send());
	must(fcntl(near, F_SETFD, 0) == 0 && fcntl(far, F_SETFD, 0) == 0);
	snprintf(number, sizeof(number), "%d,%d", near, far);
	execv("/proc/self/exe", arguments);
}

void after_exec(const char *number)
{
	close(near);
	close(far);
	must(sscanf(number, "%d,%d", &near, &far) == 2);
	for (int i = 0; i < 10; i++) {
		reap(near, by_send());
		memset(buffer, i, BYTES);
	}
}


/* The one who got it in a message reads its notifications. */
static void right_given_away(void)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS}};
	struct iovec iov = {buffer, 1};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
				 .msg_controllen = CMSG_LEN(sizeof(int))};
	int pair[2], given;

	must(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	by_send();
	memcpy(CMSG_DATA(&control.header), &near, sizeof(near));
	must(sendmsg(pair[0], &message, 0) == 1);
	must(!close(near));
	must(recvmsg(pair[1], &message, 0) == 1);
	memcpy(&given, CMSG_DATA(&control.header), sizeof(given));
	reap(given, 1);
	must(!close(given));
}

/* Calls that do not go through the C library: a close, and a send that takes an id. */
static void right_unseen(void)
{
	struct iovec iov = {buffer, 4096};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	int kept = dup(near);

	by_send();
	must(syscall(SYS_close, near) == 0);
	reap(kept, 1);
	must(!close(kept));
	connect_pair(&near, &far);
	must(syscall(SYS_sendmsg, near, &message, MSG_ZEROCOPY) == 4096);
	iov.iov_base = buffer + 4096;
	must(sendmsg(near, &message, MSG_ZEROCOPY) == 4096);
	reap(near, 2);
	memset(buffer, 0, BYTES);
	reap(near, by_send());
	memset(buffer, 1, BYTES);
}

static void *read_always(void *argument)
{
	static char sink[65536];

	(void)argument;
	while (recv(far, sink, sizeof(sink), 0) > 0)
		;
	return NULL;
}

/* The close waits until all is acknowledged. */
static void right_by_lingering(void)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 10};
	pthread_t reader;

	reap(near, by_send());
	must(!setsockopt(near, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	by_send();
	pthread_create(&reader, NULL, read_always, NULL);
	must(!close(near));
	memset(buffer, 0, BYTES);
	pthread_join(reader, NULL);
}

/* The less usual calls for the same. */
static void right_by_other_calls(void)
{
	static char controls[8][128];
	struct mmsghdr messages[8] = {0};
	unsigned ids = by_sendmmsg(), got = 0;
	int other = dup3(near, 300, O_CLOEXEC);

	must(other == 300 && !close(near));
	for (int tries = 0; got < ids && tries < 5000; tries++) {
		struct pollfd one = {.fd = other};
		int count;

		drain(1);
		must(ppoll(&one, 1, &(struct timespec){0, 1000000}, NULL) >= 0);
		for (int i = 0; i < 8; i++) {
			messages[i].msg_hdr.msg_control = controls[i];
			messages[i].msg_hdr.msg_controllen = sizeof(controls[i]);
		}
		count = recvmmsg(other, messages, 8, MSG_ERRQUEUE | MSG_DONTWAIT, NULL);
		for (int i = 0; i < count; i++) {
			struct sock_extended_err err;

			memcpy(&err, CMSG_DATA(CMSG_FIRSTHDR(&messages[i].msg_hdr)), sizeof(err));
			got += err.ee_data - err.ee_info + 1;
		}
	}
	must(got == ids);
	memset(buffer, 0, BYTES);
#ifdef HAVE_CLOSEFROM
	closefrom(3);
#else
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
#endif
}

const struct deed right_deeds[] = {
	{"right", right},
	{"right-parts", right_with_parts},
	{"right-copy", right_without_asking},
	{"right-errors", right_with_errors},
	{"right-disconnect", right_by_disconnect},
	{"right-reset", right_by_reset},
	{"right-linger", right_by_lingering},
	{"right-dup", right_with_duplicates},
	{"right-calls", right_by_other_calls},
	{"right-epoll", right_with_epoll},
	{"right-child", right_in_a_child},
	{"right-handed", right_handed_to_a_child},
	{"right-given", right_given_away},
	{"right-vfork", right_by_vfork},
	{"right-exec", right_after_exec},
	{"right-unseen", right_unseen},
	{NULL, NULL},
};
