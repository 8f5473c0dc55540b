/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * headers.c - how should 24 bytes of header leave in front of zero-copy data?
 *
 *	copied    header and data, with send(2): for comparison
 *	own       one zero-copy call, each header in memory of its own, as a program has
 *	          it that keeps the header with the request
 *	gathered  the same, many headers in one page
 *	single    as own, one PDU in a call
 *	more      the header copied with MSG_MORE, then the data with zero-copy
 *
 * over loopback and over a veth pair in namespaces of this program's own. A call
 * takes as much as the library puts into one, but with "single", and with "more",
 * which needs two for each PDU. At most WINDOW PDUs are in flight, and their order
 * does not matter, so notifications are counted, no more. Rounds take turns; medians
 * are printed.
 *
 *	headers [ROUNDS [MILLISECONDS]]
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/errqueue.h>

#include <zcreq/zcreq.h>

#include "../tests/real/net.h"
#include "congestion.h"
#include "median.h"

#define HEADER 24
#define PAGE 4096
#define WINDOW 256
#define DATA_MOST 131072
#define BATCH_BYTES (256 * 1024)

enum way { COPIED, OWN, GATHERED, SINGLE, MORE, WAYS };
enum path { LOOPBACK, VETH, PATHS };

static const char *const way_names[] = {"copied", "own", "gathered", "single", "more"};
static const char *const path_names[] = {"loopback", "veth"};

static uint8_t *data, *own_headers, *gathered_headers;

static void die(const char *what, int error)
{
	fprintf(stderr, "headers: %s: %s\n", what, strerror(error));
	exit(1);
}

static void *memory(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		die("memory", errno);
	memset(at, 'z', bytes);
	return at;
}

/* ---- a connection whose other end is a process that reads and forgets ---- */

static void loopback_pair(int *near, int *far)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(addr);

	*near = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&addr, len) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&addr, &len) ||
	    connect(*near, (struct sockaddr *)&addr, len))
		die("connect", errno);
	*far = accept(listener, NULL, NULL);
	close(listener);
}

static void stay_on(int core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(core, &set);
	sched_setaffinity(0, sizeof(set), &set); /* with one core only: shared, and no worse */
}

static void read_all(int fd)
{
	static char sink[1 << 18];

	stay_on(1);
	fcntl(fd, F_SETFL, 0);
	while (recv(fd, sink, sizeof(sink), 0) > 0)
		;
	_exit(0);
}

static int open_sender(enum path path, struct net *net, pid_t *reader)
{
	int near, far, one = 1, ret = 0;

	if (path == VETH)
		ret = net_connect(net, &(struct net_pair){0}, &near, &far);
	else
		loopback_pair(&near, &far);
	if (ret)
		die("connect", -ret);
	print_congestion(near);
	fflush(stdout);
	set_congestion(near);
	set_congestion(far);
	*reader = fork();
	if (*reader == 0) {
		close(near);
		read_all(far);
	}
	close(far);
	setsockopt(near, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (setsockopt(near, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)))
		die("SO_ZEROCOPY", errno);
	return near;
}

/* ---- the sender ---- */

struct sender {
	int fd;
	enum way way;
	size_t bytes;          /* of data */
	uint64_t pdus;         /* wholly sent */
	size_t at;             /* bytes sent of the next */
	uint32_t ids, told;    /* given, notified */
	uint32_t given[WINDOW]; /* ids, when the last PDU of this place was sent */
};

static void wait_for(struct sender *s, short events)
{
	char control[128];
	struct msghdr m = {.msg_control = control, .msg_controllen = sizeof(control)};
	struct pollfd p = {s->fd, events, 0};

	if (poll(&p, 1, 10000) != 1)
		die("nothing moves", ETIMEDOUT);
	while ((p.revents & POLLERR) && recvmsg(s->fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0) {
		const struct sock_extended_err *err = (const void *)CMSG_DATA(CMSG_FIRSTHDR(&m));

		s->told += err->ee_data - err->ee_info + 1;
		m.msg_controllen = sizeof(control);
	}
}

static uint8_t *header_of(const struct sender *s, uint64_t pdu)
{
	unsigned n = pdu % WINDOW;

	return s->way == GATHERED ? gathered_headers + n * HEADER : own_headers + n * PAGE;
}

/* The part of PDU @pdu that is in [from, to) of it, as up to two members. */
static int add_part(const struct sender *s, struct iovec *iov, uint64_t pdu, size_t from, size_t to)
{
	uint8_t *payload = data + pdu % WINDOW * DATA_MOST;
	int n = 0;

	if (from < HEADER && from < to)
		iov[n++] = (struct iovec){header_of(s, pdu) + from,
					  (to < HEADER ? to : HEADER) - from};
	if (from < HEADER)
		from = HEADER;
	if (from < to)
		iov[n++] = (struct iovec){payload + from - HEADER, to - from};
	return n;
}

static void accepted(struct sender *s, size_t n, bool zerocopy)
{
	size_t each = HEADER + s->bytes;

	if (zerocopy)
		s->ids++;
	for (s->at += n; s->at >= each; s->at -= each)
		s->given[s->pdus++ % WINDOW] = s->ids;
}

/* Has the PDU that had this place before been given back? In order, they are. */
static bool place_is_free(const struct sender *s, uint64_t pdu)
{
	return pdu < WINDOW || (int32_t)(s->told - s->given[pdu % WINDOW]) >= 0;
}

/* One call, of at most half of the places; waits if there is none, or no room. */
static void send_once(struct sender *s)
{
	struct iovec iov[2 * WINDOW];
	struct msghdr m = {.msg_iov = iov};
	int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
	size_t at = s->at, each = HEADER + s->bytes, to = each;
	bool head = s->way == MORE && at < HEADER;
	uint64_t pdu = s->pdus;
	ssize_t n;

	if (head)
		to = HEADER;
	for (size_t bytes = 0; bytes < BATCH_BYTES && m.msg_iovlen < 2 * WINDOW - 1; pdu++, at = 0) {
		if (!place_is_free(s, pdu) || pdu - s->pdus >= WINDOW / 2)
			break;
		m.msg_iovlen += (size_t)add_part(s, iov + m.msg_iovlen, pdu, at, to);
		bytes += to - at;
		if (s->way >= SINGLE)
			break;
	}
	if (!m.msg_iovlen) {
		wait_for(s, 0);
		return;
	}
	if (head)
		flags |= MSG_MORE;
	else if (s->way != COPIED)
		flags |= MSG_ZEROCOPY;
	n = sendmsg(s->fd, &m, flags);
	if (n > 0)
		accepted(s, (size_t)n, flags & MSG_ZEROCOPY);
	else if (errno == EAGAIN)
		wait_for(s, POLLOUT);
	else if (errno == ENOBUFS && s->ids != s->told)
		wait_for(s, 0);
	else
		die("sendmsg", errno);
}

static uint64_t cpu_ns(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return ((uint64_t)u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000 +
	       ((uint64_t)u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000;
}

struct result {
	double ns[ROUNDS_MOST], cpu_ns[ROUNDS_MOST]; /* for a PDU */
};

static void one_round(struct result *result, int round, enum path path, struct net *net,
		      enum way way, size_t bytes, unsigned ms)
{
	struct sender s = {.way = way, .bytes = bytes};
	uint64_t start_ns, start_cpu;
	pid_t reader;

	s.fd = open_sender(path, net, &reader);
	start_ns = zcreq_now_ns();
	start_cpu = cpu_ns();
	while (zcreq_now_ns() < start_ns + ms * 1000000ull)
		send_once(&s);
	while (s.ids != s.told)
		wait_for(&s, 0);
	result->ns[round] = (double)(zcreq_now_ns() - start_ns) / (double)s.pdus;
	result->cpu_ns[round] = (double)(cpu_ns() - start_cpu) / (double)s.pdus;
	close(s.fd);
	waitpid(reader, NULL, 0);
}

static void compare(enum path path, struct net *net, size_t bytes, int rounds, unsigned ms)
{
	static struct result r[WAYS];

	for (int round = 0; round < rounds; round++)
		for (enum way way = 0; way < WAYS; way++)
			one_round(&r[way], round, path, net, way, bytes, ms);
	for (enum way way = 0; way < WAYS; way++) {
		double ns = median(r[way].ns, rounds);

		printf("bench=headers path=%s bytes=%zu way=%s pdus_per_s=%.0f mbps=%.0f "
		       "cpu_ns_per_pdu=%.0f\n",
		       path_names[path], bytes, way_names[way], 1e9 / ns, (double)bytes * 1e3 / ns,
		       median(r[way].cpu_ns, rounds));
	}
	fflush(stdout);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 7, ms = argc > 2 ? atoi(argv[2]) : 300;
	const char *no_veth = net_missing();
	struct net net;

	if (rounds < 1 || rounds > ROUNDS_MOST || ms < 1) {
		fprintf(stderr, "usage: headers [ROUNDS [MILLISECONDS]]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	data = memory((size_t)WINDOW * DATA_MOST);
	own_headers = memory(WINDOW * PAGE);
	gathered_headers = memory(WINDOW * HEADER);
	stay_on(0);
	for (enum path path = 0; path < PATHS; path++) {
		if (path == VETH && (no_veth || net_open(&net))) {
			fprintf(stderr, "headers: no veth pair: %s\n", no_veth ? no_veth : "busy");
			return 77;
		}
		compare(path, &net, 4096, rounds, (unsigned)ms);
		compare(path, &net, DATA_MOST, rounds, (unsigned)ms);
	}
	return 0;
}
