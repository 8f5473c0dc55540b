/* SPDX-License-Identifier: BSD-2-Clause */
/* by-hand.c - sockets, buffers, and reading a notification as it has to be */
#define _GNU_SOURCE
#include "by-hand.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <linux/errqueue.h> /* after time.h: uses struct timespec */

#include "../vanish-parts/vanish.h"

static struct link the_link;

void need(const char *what, long ret, bool skip)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
	exit(skip ? 77 : 1);
}

static void ask_for_zerocopy(int fd)
{
	const int one = 1;

	need("SO_ZEROCOPY", setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)), true);
}

void pair_open(struct pair *pair, int family)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct sockaddr *addr = family == AF_INET6 ? (void *)&six : (void *)&four;
	socklen_t len = family == AF_INET6 ? sizeof(six) : sizeof(four);
	int listener = socket(family, SOCK_STREAM, 0);
	const int little = 8192;

	need("socket", listener, family == AF_INET6);
	setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little));
	need("bind", bind(listener, addr, len), family == AF_INET6);
	need("listen", listen(listener, 1), false);
	need("getsockname", getsockname(listener, addr, &len), false);
	pair->fd = socket(family, SOCK_STREAM, 0);
	need("connect", connect(pair->fd, addr, len), false);
	pair->peer = accept(listener, NULL, NULL);
	need("accept", pair->peer, false);
	ask_for_zerocopy(pair->fd);
}

void pair_open_link(struct pair *pair)
{
	int ret = netns_enter_user();

	if (!ret)
		ret = link_open(&the_link, 1 << 20);
	if (!ret)
		ret = pair->fd = link_connect(1 << 20);
	errno = -ret;
	need("a link of our own", ret, true);
	pair->peer = accept(the_link.listener, NULL, NULL);
	need("accept", pair->peer, false);
	ask_for_zerocopy(pair->fd);
}

void cut(void)
{
	int ret = link_cut(&the_link);

	errno = -ret;
	need("cut", ret, false);
}

char *buffer_of(size_t len)
{
	char *buffer = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need("memory", buffer == MAP_FAILED ? -1 : 0, false);
	return memset(buffer, OURS, len);
}

size_t send_all(int fd, const char *data, size_t len)
{
	size_t taken = 0;
	ssize_t ret = 0;

	while (taken < len && ret >= 0) {
		ret = send(fd, data + taken, len - taken, MSG_ZEROCOPY | MSG_DONTWAIT | MSG_NOSIGNAL);
		taken += ret > 0 ? (size_t)ret : 0;
	}
	need("send", ret < 0 && errno != EAGAIN ? -1 : 0, false);
	return taken;
}

bool told(int fd, uint32_t *lo, uint32_t *hi)
{
	char control[128];
	struct msghdr message = {.msg_control = control, .msg_controllen = sizeof(control)};
	const struct sock_extended_err *error;
	struct cmsghdr *cmsg;

	if (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return false;
	cmsg = CMSG_FIRSTHDR(&message);
	error = cmsg ? (const void *)CMSG_DATA(cmsg) : NULL;
	if (!error || error->ee_origin != SO_EE_ORIGIN_ZEROCOPY)
		return told(fd, lo, hi);
	*lo = error->ee_info;
	*hi = error->ee_data;
	return true;
}

bool told_within(int fd, int ms, uint32_t *lo, uint32_t *hi)
{
	struct pollfd poller = {.fd = fd};

	return told(fd, lo, hi) || (poll(&poller, 1, ms) > 0 && told(fd, lo, hi));
}

size_t peer_reads(int peer, size_t len)
{
	static char bytes[1 << 16];
	size_t next = 0;

	while (len) {
		struct pollfd poller = {.fd = peer, .events = POLLIN};
		ssize_t got = -1;

		if (poll(&poller, 1, 20000) > 0)
			got = recv(peer, bytes, len < sizeof(bytes) ? len : sizeof(bytes), 0);
		need("recv", got > 0 ? 0 : -1, false);
		for (ssize_t i = 0; i < got; i++)
			next += bytes[i] == NEXT;
		len -= (size_t)got;
	}
	return next;
}

void disconnect(int fd)
{
	const struct sockaddr nobody = {.sa_family = AF_UNSPEC};

	need("disconnect", connect(fd, &nobody, sizeof(nobody)), false);
}
