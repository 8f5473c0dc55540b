/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hosts.c - two hosts, of which one vanishes, and what must be true of their buffers
 *
 * One host stays, the link to the other is cut in the middle of the transfer. All buffers
 * come back with proof, the host that stays notices nothing, and the lost one is connected
 * to again. Released buffers are overwritten at once; no host may see a byte of that.
 *
 * Exit status: 0, 1 if something is wrong, 77 if there can be no network namespaces here.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "own-queue.h"

void far_read(struct sock *sock)
{
	static char bytes[256 << 10];
	ssize_t got = recv(sock->far, bytes, sizeof(bytes), MSG_DONTWAIT);

	for (ssize_t i = 0; i < got; i++)
		sock->foreign += bytes[i] != OWN_BYTE;
	sock->received += got > 0 ? (unsigned long long)got : 0;
}

static void poll_for(struct sock **socks, int count, uint64_t ms, const int *until)
{
	const uint64_t end_ns = now_ns() + ms * MS;

	while (now_ns() < end_ns && !(until && *until))
		poll_once(socks, count, true);
}

/* The framework has nothing left, and says so; then the peer has all of it. */
static void sock_drain(struct sock *sock)
{
	while (sock->queued)
		poll_once(&sock, 1, false);
	must("drain", zcreq_conn_drain(sock->conn, 5000));
	while (!sock->closed)
		poll_once(&sock, 1, false);
	for (uint64_t end_ns = now_ns() + 200 * MS; now_ns() < end_ns;)
		far_read(sock);
}

static int local_listener(struct sockaddr_in *address)
{
	socklen_t len = sizeof(*address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	*address = (struct sockaddr_in){.sin_family = AF_INET,
					.sin_addr = {htonl(INADDR_LOOPBACK)}};
	must("loopback", bind(fd, (struct sockaddr *)address, len) || listen(fd, 1) ||
			 getsockname(fd, (struct sockaddr *)address, &len) ? -errno : 0);
	return fd;
}

static int connect_local(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	must("loopback", connect(fd, (const struct sockaddr *)address, sizeof(*address)));
	return fd;
}

static int accept_one(int listener)
{
	struct pollfd fd = {.fd = listener, .events = POLLIN};

	poll(&fd, 1, 5000);
	return accept(listener, NULL, NULL);
}

static int told(const char *name, const struct sock *sock)
{
	printf("%s: %llu buffers came back, %llu of them unsuccessful; %llu KiB received, "
	       "%llu bytes foreign; ended with %d\n", name, sock->released, sock->failed,
	       sock->received >> 10, sock->foreign, sock->status);
	for (int i = 0; i < JOBS; i++)
		if (sock->jobs[i].busy)
			return 1; /* a buffer is lost */
	return sock->foreign != 0;
}

/* Since when the peer is silent: the last acknowledgement, to a tick of the kernel. */
static uint64_t heard_ns(const struct sock *sock)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	must("TCP_INFO", getsockopt(sock->fd, IPPROTO_TCP, TCP_INFO, &info, &len) ? -errno : 0);
	return now_ns() - (info.tcpi_last_ack_recv + TICK_MS) * (uint64_t)MS;
}

int main(void)
{
	struct sock stays, lost, again, *socks[2] = {&stays, &lost};
	unsigned long long before;
	struct zcreq_stats stats;
	struct sockaddr_in address;
	uint64_t cut_ns, silent_ns, took_ns;
	struct link link = {0};
	int listener, ret, bad;

	must("context", zcreq_context_new(NULL, &context));
	listener = local_listener(&address);
	ret = connect_local(&address);
	sock_open(&stays, ret, accept_one(listener));
	ret = netns_enter_user();
	if (!ret)
		ret = link_open(&link, SNDBUF);
	if (ret) {
		printf("skipped: no network namespaces with a link: %s\n", strerror(-ret));
		return 77;
	}
	ret = link_connect(SNDBUF);
	sock_open(&lost, ret, accept_one(link.listener));
	poll_for(socks, 2, 200, NULL);

	cut_ns = now_ns();
	must("cut", link_cut(&link));
	silent_ns = heard_ns(&lost);
	before = stays.received;
	poll_for(socks, 2, 5000, &lost.closed);
	took_ns = now_ns() - cut_ns;
	must("statistics", zcreq_context_stats(context, &stats, sizeof(stats)));
	bad = told("the lost host", &lost);
	printf("found and all back %llu ms after the cut; to the other went %llu KiB meanwhile\n",
	       (unsigned long long)(took_ns / MS), (stays.received - before) >> 10);
	bad |= !lost.closed || lost.status != -ETIMEDOUT || !lost.failed ||
	       cut_ns + took_ns - silent_ns < STALL_MS * (uint64_t)MS || stays.received == before ||
	       zcreq_conn_cause(lost.conn) != ZCREQ_CAUSE_VANISHED || stats.quarantined_now;

	must("restore", link_restore(&link));
	ret = link_connect(SNDBUF);
	sock_open(&again, ret, accept_one(link.listener));
	socks[1] = &again;
	poll_for(socks, 2, 200, NULL);
	far_read(&lost); /* what has reached it at last was sent before */
	sock_drain(&again);
	sock_drain(&stays);
	bad |= told("the same host again", &again) | told("the other host", &stays) |
	       (again.failed || again.status || stays.failed || stays.status || lost.foreign);
	for (int i = 0; i < 2; i++)
		sock_free(socks[i]);
	sock_free(&lost);
	zcreq_turn(context, now_ns());
	must("context", zcreq_context_free(context));
	puts(bad ? "NOT as it should be" : "as it should be");
	return bad;
}
