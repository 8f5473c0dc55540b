/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "scaffold.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <zcreq/conn.h>

void check(const char *what, int ret)
{
	if (ret < 0) {
		fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what,
			strerror(-ret));
		exit(1);
	}
}

static int checked(const char *what, int ret)
{
	check(what, ret < 0 ? -errno : 0);
	return ret;
}

void *allocate(size_t size)
{
	void *memory = calloc(1, size);

	check("memory", memory ? 0 : -ENOMEM);
	return memory;
}

bool read_away(int fd)
{
	static char sink[1 << 16];
	ssize_t len = recv(fd, sink, sizeof(sink), MSG_DONTWAIT);

	if (len < 0 && errno != EAGAIN)
		checked("recv", -1);
	return len != 0;
}

static struct sockaddr_in listen_at(int fd, struct sockaddr_in addr)
{
	socklen_t len = sizeof(addr);

	checked("bind", bind(fd, (struct sockaddr *)&addr, len));
	checked("listen", listen(fd, 128));
	checked("getsockname", getsockname(fd, (struct sockaddr *)&addr, &len));
	return addr;
}

void connect_pair(int fds[2])
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int listener = checked("socket", socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

	addr = listen_at(listener, addr);
	fds[0] = checked("socket", socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	checked("connect", connect(fds[0], (struct sockaddr *)&addr, sizeof(addr)));
	fds[1] = checked("accept", accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	close(listener);
}

int listen_on(const char *where)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	const char *colon = strchr(where, ':');
	const int one = 1;
	char host[INET_ADDRSTRLEN];
	int fd;

	if (colon) {
		snprintf(host, sizeof(host), "%.*s", (int)(colon - where), where);
		check("address", inet_pton(AF_INET, host, &addr.sin_addr) == 1 ? 0 : -EINVAL);
	}
	addr.sin_port = htons((uint16_t)strtoul(colon ? colon + 1 : where, NULL, 10));
	fd = checked("socket", socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
	checked("SO_REUSEADDR", setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	addr = listen_at(fd, addr);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("listening on port %u\n", ntohs(addr.sin_port));
	return fd;
}

int accept_one(int listener)
{
	int fd;

	do
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (fd >= 0)
		return fd;
	fd = -errno;
	if (fd != -EAGAIN)
		perror("accept");
	return fd;
}

static void quit_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
}

int quit_fd(void)
{
	sigset_t set;

	quit_signals(&set);
	checked("sigprocmask", sigprocmask(SIG_BLOCK, &set, NULL));
	return checked("signalfd", signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
}

void quit_heard(int fd)
{
	struct signalfd_siginfo info;
	sigset_t set;

	if (read(fd, &info, sizeof(info)) < 0)
		return;
	quit_signals(&set);
	checked("sigprocmask", sigprocmask(SIG_UNBLOCK, &set, NULL));
}

const char *peer_name(int fd, char *text, size_t size)
{
	struct sockaddr_in addr = {0};
	socklen_t len = sizeof(addr);
	char host[INET_ADDRSTRLEN];

	if (getpeername(fd, (struct sockaddr *)&addr, &len) || addr.sin_family != AF_INET)
		snprintf(text, size, "somebody");
	else
		snprintf(text, size, "%s:%u",
			 inet_ntop(AF_INET, &addr.sin_addr, host, sizeof(host)),
			 ntohs(addr.sin_port));
	return text;
}

const char *cause_name(int cause)
{
	static const char *const names[] = {
		[ZCREQ_CAUSE_NONE] = "not over",
		[ZCREQ_CAUSE_DRAINED] = "drained",
		[ZCREQ_CAUSE_ABORTED] = "aborted",
		[ZCREQ_CAUSE_FREED] = "freed",
		[ZCREQ_CAUSE_DRAIN_DEADLINE] = "too slow to drain",
		[ZCREQ_CAUSE_VANISHED] = "vanished",
		[ZCREQ_CAUSE_NOT_READING] = "not reading",
		[ZCREQ_CAUSE_IDLE] = "idle",
		[ZCREQ_CAUSE_KERNEL_TIMEOUT] = "given up by the kernel",
		[ZCREQ_CAUSE_RESET] = "reset",
		[ZCREQ_CAUSE_SOCKET] = "a socket error",
		[ZCREQ_CAUSE_MEMORY] = "unreadable memory",
		[ZCREQ_CAUSE_DESCRIPTOR] = "closed by somebody else",
		[ZCREQ_CAUSE_SENDER] = "a broken sender",
	};

	if (cause <= 0 || cause >= (int)(sizeof(names) / sizeof(names[0])))
		return "unknown";
	return names[cause];
}
