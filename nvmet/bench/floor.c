/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * floor.c - what this kernel allows one core that serves reads over TCP
 *
 * The bytes of NVMe/TCP reads, and nothing else of it: 72 in, which here say only
 * which block, 24 and the block out. No protocol is spoken, nothing is checked,
 * nothing is tracked: a target can come near this, and not below. Server on core 0,
 * client on core 1, one loopback connection, as many answers in one call as there
 * are, up to what the library puts into one.
 *
 *	floor send|zerocopy [BYTES [DEPTH [SECONDS [SNDBUF]]]]
 *
 * SNDBUF: of the server's socket, in bytes, 0 for what the kernel finds right;
 * prints what nvmet/bench/nvme prints, and how busy the server's core was. With zerocopy
 * notifications are read and counted; which buffer they free nobody asks.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/errqueue.h> /* after time.h: uses struct timespec */

#include "../../bench/congestion.h"
#include "../../bench/histogram.h"

#define CAPSULE 72
#define HEADER 24
#define BATCH_BYTES (256 * 1024)
#define REGION (256ull << 20)
#define DEPTH_MOST 128
#define HEADERS 4096 /* more than can be in flight */
#define READ_MOST (256 * 1024)
#define WARM_UP_NS 500000000u
#define UNREAD_IDS 64 /* notifications after which to look for them unasked */

struct exchange {
	int server, client; /* descriptors */
	bool zerocopy;
	size_t bs;
	unsigned depth;
	double secs;
	int sndbuf; /* 0: the kernel's */
};

static void die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void stay_on(int core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(core, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("two cores are needed");
}

/* Written, else every page is the same one; in huge pages where there are any, as the
 * target's is. */
static void *memory(size_t bytes)
{
	size_t huge = 2 << 20;
	uint8_t *at = mmap(NULL, bytes + huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);

	if (at == MAP_FAILED)
		die("memory");
	at += -(uintptr_t)at & (huge - 1);
	madvise(at, bytes, MADV_HUGEPAGE);
	return memset(at, 'z', bytes);
}

/* ---- the server ---- */

struct server {
	const struct exchange *e;
	uint8_t *region;
	uint8_t in[DEPTH_MOST * CAPSULE];
	size_t in_len;
	uint8_t headers[HEADERS][HEADER];
	unsigned next_header;
	struct iovec iov[2 * DEPTH_MOST]; /* answers that were not sent yet */
	unsigned begin, end;
	unsigned unread_ids;
};

static void read_ids(struct server *s)
{
	char control[128];
	struct msghdr m = {.msg_control = control, .msg_controllen = sizeof(control)};

	while (recvmsg(s->e->server, &m, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0) {
		const struct sock_extended_err *err = (const void *)CMSG_DATA(CMSG_FIRSTHDR(&m));

		s->unread_ids -= err->ee_data - err->ee_info + 1;
		m.msg_controllen = sizeof(control);
	}
}

static void answer(struct server *s, const uint8_t *capsule)
{
	uint64_t block;
	uint8_t *header = s->headers[s->next_header++ % HEADERS];

	memcpy(&block, capsule, sizeof(block));
	memcpy(header, &block, sizeof(block));
	s->iov[s->end++] = (struct iovec){header, HEADER};
	s->iov[s->end++] = (struct iovec){s->region + block * s->e->bs, s->e->bs};
}

/* What came, at once; false at the end of the stream. */
static bool take(struct server *s)
{
	ssize_t n = recv(s->e->server, s->in + s->in_len, sizeof(s->in) - s->in_len, MSG_DONTWAIT);
	size_t at = 0;

	if (n < 0 && errno != EAGAIN)
		die("server: recv");
	if (n < 0) {
		struct pollfd p = {s->e->server, POLLIN | (s->end ? POLLOUT : 0), 0};

		poll(&p, 1, -1);
		if (p.revents & POLLERR)
			read_ids(s);
		return true;
	}
	s->in_len += (size_t)n;
	for (; s->in_len - at >= CAPSULE; at += CAPSULE)
		answer(s, s->in + at);
	s->in_len -= at;
	memmove(s->in, s->in + at, s->in_len);
	return n > 0;
}

/* The answers that go into one call. */
static struct msghdr batch(struct server *s)
{
	struct msghdr m = {.msg_iov = s->iov + s->begin};

	for (size_t bytes = 0; bytes < BATCH_BYTES && s->begin + m.msg_iovlen < s->end;)
		bytes += m.msg_iov[m.msg_iovlen++].iov_len;
	return m;
}

static void sent(struct server *s, size_t n)
{
	for (; n && n >= s->iov[s->begin].iov_len; s->begin++)
		n -= s->iov[s->begin].iov_len;
	if (n) {
		s->iov[s->begin].iov_base = (uint8_t *)s->iov[s->begin].iov_base + n;
		s->iov[s->begin].iov_len -= n;
	}
	s->end -= s->begin;
	memmove(s->iov, s->iov + s->begin, s->end * sizeof(*s->iov));
	s->begin = 0;
}

static void send_all(struct server *s)
{
	int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (s->e->zerocopy ? MSG_ZEROCOPY : 0);

	while (s->end) {
		struct msghdr m = batch(s);
		ssize_t n = sendmsg(s->e->server, &m, flags);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0 && (errno != ENOBUFS || !s->unread_ids))
			die("server: sendmsg");
		s->unread_ids += n > 0 && s->e->zerocopy;
		if (n < 0 || s->unread_ids > UNREAD_IDS)
			read_ids(s);
		if (n > 0)
			sent(s, (size_t)n);
	}
}

static void serve(const struct exchange *e)
{
	static struct server s;

	stay_on(0);
	s.e = e;
	s.region = memory(REGION);
	while (take(&s))
		send_all(&s);
}

/* ---- the client ---- */

struct client {
	const struct exchange *e;
	uint8_t *data;                   /* as many answers as there can be */
	uint64_t received;               /* bytes, ever */
	uint64_t start_ns[DEPTH_MOST];   /* of those in flight, in their order */
	uint64_t asked, answered, random;
	struct histogram took;
	bool measuring;
};

static void ask(struct client *c, unsigned count)
{
	static uint8_t out[DEPTH_MOST][CAPSULE];
	uint64_t ns = now_ns(CLOCK_MONOTONIC);
	size_t len = (size_t)count * CAPSULE;

	for (unsigned i = 0; i < count; i++) {
		uint64_t block;

		c->random ^= c->random << 13;
		c->random ^= c->random >> 7;
		c->random ^= c->random << 17;
		block = c->random % (REGION / c->e->bs);
		memcpy(out[i], &block, sizeof(block));
		c->start_ns[c->asked++ % c->e->depth] = ns;
	}
	/* a few KiB at most are on their way: they always fit */
	if (send(c->e->client, out, len, MSG_NOSIGNAL) != (ssize_t)len)
		die("client: send");
}

/* Reads what is there to where it belongs: how many answers it completed. */
static unsigned hear(struct client *c)
{
	size_t each = HEADER + c->e->bs, at = c->received % (each * c->e->depth);
	size_t room = each * c->e->depth - at;
	uint64_t ns, before = c->answered;
	ssize_t n = recv(c->e->client, c->data + at, room < READ_MOST ? room : READ_MOST, 0);

	if (n <= 0)
		die("client: recv");
	c->received += (size_t)n;
	ns = now_ns(CLOCK_MONOTONIC);
	for (; c->answered < c->received / each; c->answered++) {
		if (c->measuring)
			histogram_add(&c->took, ns - c->start_ns[c->answered % c->e->depth]);
	}
	return (unsigned)(c->answered - before);
}

static uint64_t run_until(struct client *c, uint64_t deadline)
{
	uint64_t ns;

	while ((ns = now_ns(CLOCK_MONOTONIC)) < deadline) {
		unsigned count = hear(c);

		if (count)
			ask(c, count);
	}
	return ns;
}

static void run_client(const struct exchange *e, pid_t server)
{
	static struct client c = {.random = 88172645463325252ull};
	uint64_t start, ns, cpu;
	clockid_t clock;

	stay_on(1);
	c.e = e;
	c.data = memory((HEADER + e->bs) * e->depth);
	if (clock_getcpuclockid(server, &clock))
		die("the server's processor time");
	ask(&c, e->depth);
	hear(&c); /* the server has its memory */
	ask(&c, (unsigned)c.answered);
	start = run_until(&c, now_ns(CLOCK_MONOTONIC) + WARM_UP_NS);
	cpu = now_ns(clock);
	c.measuring = true;
	ns = run_until(&c, start + (uint64_t)(e->secs * 1e9)) - start;
	cpu = now_ns(clock) - cpu;
	printf("bench=floor op=read way=%s bs=%zu qd=%u sndbuf=%d secs=%.1f iops=%.0f mbps=%.1f p50_us=%.0f "
	       "p99_us=%.0f p999_us=%.0f max_us=%.0f server_cpu=%.3f cpu_us_each=%.3f\n",
	       e->zerocopy ? "zerocopy" : "send", e->bs, e->depth, e->sndbuf,
	       (double)ns / 1e9,
	       (double)c.took.count * 1e9 / (double)ns,
	       (double)c.took.count * (double)e->bs * 1e3 / (double)ns,
	       histogram_percentile(&c.took, 0.5), histogram_percentile(&c.took, 0.99),
	       histogram_percentile(&c.took, 0.999),
	       (double)c.took.slowest_ns / 1000, (double)cpu / (double)ns,
	       (double)cpu / 1e3 / (double)c.took.count);
	fflush(stdout);
}

static void open_pair(struct exchange *e)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	socklen_t len = sizeof(addr);

	e->client = socket(AF_INET, SOCK_STREAM, 0);
	set_congestion(listener);
	set_congestion(e->client);
	print_congestion(e->client);
	if (bind(listener, (struct sockaddr *)&addr, len) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&addr, &len) ||
	    connect(e->client, (struct sockaddr *)&addr, len))
		die("connect");
	e->server = accept(listener, NULL, NULL);
	close(listener);
	setsockopt(e->client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(e->server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (e->sndbuf && setsockopt(e->server, SOL_SOCKET, SO_SNDBUF, &e->sndbuf, sizeof(int)))
		die("SO_SNDBUF");
	if (e->zerocopy && setsockopt(e->server, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)))
		die("SO_ZEROCOPY");
}

int main(int argc, char **argv)
{
	struct exchange e = {
		.zerocopy = argc > 1 && !strcmp(argv[1], "zerocopy"),
		.bs = argc > 2 ? strtoul(argv[2], NULL, 0) : 4096,
		.depth = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 0) : 32,
		.secs = argc > 4 ? atof(argv[4]) : 3,
		.sndbuf = argc > 5 ? atoi(argv[5]) : 0,
	};
	int status = 0;
	pid_t server;

	if (argc < 2 || (!e.zerocopy && strcmp(argv[1], "send")) || !e.bs || e.bs > REGION ||
	    !e.depth || e.depth > DEPTH_MOST || e.secs <= 0) {
		fprintf(stderr, "usage: floor send|zerocopy [BYTES [DEPTH [SECONDS [SNDBUF]]]]; DEPTH at most %d\n",
			DEPTH_MOST);
		return 2;
	}
	open_pair(&e);
	server = fork();
	if (server == 0) {
		close(e.client);
		serve(&e);
		_exit(0);
	}
	close(e.server);
	run_client(&e, server);
	/* it may have answers to send still: it learns of the end as of a lost host */
	kill(server, SIGTERM);
	waitpid(server, &status, 0);
	return 0;
}
