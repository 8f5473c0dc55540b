/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wrong.c - what a program must not do with memory in flight, and its descriptors
 */
#include "tools/guard/deeds.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void change(unsigned ids)
{
	buffer[5000] = 'b';
	reap(near, ids);
}

static void changed_after_send(void)
{
	change(by_send());
}

static void changed_after_sendto(void)
{
	change(by_sendto());
}

static void changed_after_sendmsg(void)
{
	change(by_sendmsg());
}

static void changed_after_sendmmsg(void)
{
	change(by_sendmmsg());
}

static void changed_and_read_through_a_duplicate(void)
{
	unsigned ids = by_send();
	int copy = dup(near);

	must(!close(near));
	near = fcntl(copy, F_DUPFD_CLOEXEC, 100);
	must(near >= 100 && !close(copy));
	buffer[5000] = 'b';
	reap(near, ids);
}

static void changed_beside_a_child(void)
{
	unsigned ids = by_send();
	int status;
	pid_t child = fork();

	if (!child) {
		buffer[0] = 'c'; /* its own copy */
		close(near);
		_exit(0);
	}
	must(waitpid(child, &status, 0) == child && !status);
	buffer[5000] = 'b';
	reap(near, ids);
}

static void changed_in_a_child(void)
{
	int status;
	pid_t child = fork();

	if (!child) {
		set_up();
		changed_after_send();
		exit(0);
	}
	must(waitpid(child, &status, 0) == child && WIFEXITED(status));
	exit(WEXITSTATUS(status));
}

static void changed_and_ended(void)
{
	by_send();
	buffer[5000] = 'b';
}

static void unmapped(void)
{
	unsigned ids = by_send();

	must(!munmap(buffer, BYTES / 2));
	reap(near, ids);
}

static void closed(void)
{
	by_send();
	must(!close(near));
}

static void closed_by_dup2(void)
{
	by_send();
	must(dup2(STDIN_FILENO, near) == near);
}

static void closed_by_a_range(void)
{
	by_send();
#ifdef HAVE_CLOSE_RANGE
	must(!close_range(near, near, 0));
#else
	must(!close(near));
#endif
}

static void never_read(void)
{
	by_send();
	drain(100);
}

static void never_read_and_closed(void)
{
	by_send();
	drain(100);
	must(!close(near));
}

static void never_read_and_ended_at_once(void)
{
	by_send();
	drain(100);
	_exit(0);
}

static void not_read_for_long(void)
{
	for (int i = 0; i < 50; i++) {
		must(send(near, buffer, 100, MSG_ZEROCOPY) == 100);
		drain(1);
	}
	reap(near, 50);
}

static int epoll_of(int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	must(epoll >= 0 && !epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	return epoll;
}

static void in_one_epoll_twice(void)
{
	struct epoll_event event = {.events = EPOLLIN};
	int epoll = epoll_of(near);

	reap(near, by_send());
	must(!epoll_ctl(epoll, EPOLL_CTL_ADD, dup(near), &event));
}

static void in_two_epolls(void)
{
	epoll_of(near);
	epoll_of(dup(near));
	reap(near, by_send());
}

static void in_one_poll_twice(void)
{
	struct pollfd both[2] = {{.fd = near, .events = POLLOUT}, {.fd = dup(near)}};

	reap(near, by_send());
	must(poll(both, 2, 0) > 0);
}

static void changed_after_exec(void)
{
	char *const arguments[] = {"deeds", "changed-send", NULL};

	execv("/proc/self/exe", arguments);
}

const struct deed wrong_deeds[] = {
	{"changed-send", changed_after_send},
	{"changed-sendto", changed_after_sendto},
	{"changed-sendmsg", changed_after_sendmsg},
	{"changed-sendmmsg", changed_after_sendmmsg},
	{"changed-dup", changed_and_read_through_a_duplicate},
	{"changed-fork", changed_beside_a_child},
	{"changed-child", changed_in_a_child},
	{"changed-exec", changed_after_exec},
	{"changed-end", changed_and_ended},
	{"unmapped", unmapped},
	{"closed", closed},
	{"closed-dup2", closed_by_dup2},
	{"closed-range", closed_by_a_range},
	{"never-read", never_read},
	{"never-read-closed", never_read_and_closed},
	{"never-read-_exit", never_read_and_ended_at_once},
	{"not-read", not_read_for_long},
	{"epoll-twice", in_one_epoll_twice},
	{"epoll-two", in_two_epolls},
	{"poll-twice", in_one_poll_twice},
	{NULL, NULL},
};
