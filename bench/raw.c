/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * raw.c - what the library costs next to a loop written by hand
 *
 * Senders take turns on the same kind of loopback connection, in one run, several
 * rounds each:
 *
 *	send        send(2), which copies
 *	zerocopy    MSG_ZEROCOPY by hand: counts notifications, tracks nothing
 *	zcreq       the library, mode always: what its tracking costs
 *	traced      as zcreq, with every event in a log and a clock for each turn
 *	auto        the library, mode auto: what a user gets
 *	send_zc     io_uring's SEND_ZC by hand
 *	uring       the library through a ring, mode always
 *
 * Each keeps at most WINDOW buffers in flight and never waits but in poll(2). The
 * medians of throughput and of processor time for each byte are compared.
 *
 *	raw [ROUNDS]
 */
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zcreq/zcreq.h>

#include "congestion.h"
#include "median.h"
#include "senders.h"

#define ROUND_NS 250000000

void die(const char *what)
{
	perror(what);
	exit(1);
}

void check(int ret)
{
	if (ret < 0) {
		fprintf(stderr, "raw: %s\n", strerror(-ret));
		exit(1);
	}
}

/* A connection whose other end is a process that reads and forgets. */
struct pair {
	int fd;
	pid_t reader;
};

static void read_all(int fd)
{
	static char sink[1 << 18];

	while (recv(fd, sink, sizeof(sink), 0) > 0)
		;
	_exit(0);
}

static struct pair pair_open(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM, 0), peer;
	struct pair pair = {.fd = socket(AF_INET, SOCK_STREAM, 0)};

	set_congestion(listener);
	print_congestion(pair.fd);
	set_congestion(pair.fd);
	if (bind(listener, (struct sockaddr *)&addr, len) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&addr, &len) ||
	    connect(pair.fd, (struct sockaddr *)&addr, len))
		die("raw: connect");
	peer = accept(listener, NULL, NULL);
	pair.reader = fork();
	if (pair.reader == 0) {
		close(pair.fd);
		read_all(peer);
	}
	close(peer);
	close(listener);
	return pair;
}

static void pair_end(struct pair pair)
{
	waitpid(pair.reader, NULL, 0);
}

char *buffers;

enum {
	SEND,
	ZEROCOPY,
	ZCREQ,
	TRACED,
	AUTO,
#ifdef BENCH_RING
	SEND_ZC,
	URING,
#endif
	WAYS,
};

static const struct {
	const char *name;
	uint64_t (*run)(int fd, size_t size, uint64_t end_ns);
} ways[WAYS] = {
	[SEND] = {"send", run_send},
	[ZEROCOPY] = {"zerocopy", run_zerocopy},
	[ZCREQ] = {"zcreq", run_always},
	[TRACED] = {"traced", run_traced},
	[AUTO] = {"auto", run_auto},
#ifdef BENCH_RING
	[SEND_ZC] = {"send_zc", run_ring_by_hand},
	[URING] = {"uring", run_uring},
#endif
};

static uint64_t cpu_ns(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return ((uint64_t)u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000 +
	       ((uint64_t)u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000;
}

struct result {
	double mbps[ROUNDS_MOST], cpu[ROUNDS_MOST]; /* MB/s, ns of processor for a KiB */
};

static void one_round(struct result *r, int way, size_t size, int round)
{
	struct pair pair = pair_open();
	uint64_t start_ns = zcreq_now_ns(), start_cpu = cpu_ns(), bytes;

	bytes = ways[way].run(pair.fd, size, start_ns + ROUND_NS);
	r->cpu[round] = (cpu_ns() - start_cpu) / (bytes / 1024.0);
	r->mbps[round] = bytes / 1e6 / ((zcreq_now_ns() - start_ns) / 1e9);
	close(pair.fd);
	pair_end(pair);
}

static void compare(const struct result *r, int a, int b, size_t size, int rounds)
{
	printf("bench=raw ratio=%s/%s bytes=%zu throughput=%.3f cpu=%.3f\n", ways[a].name,
	       ways[b].name, size, median_ratio(r[a].mbps, r[b].mbps, rounds),
	       median_ratio(r[a].cpu, r[b].cpu, rounds));
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = {4096, 65536, 1048576};
	int rounds = argc > 1 ? atoi(argv[1]) : 9;

	if (rounds < 1 || rounds > ROUNDS_MOST) {
		fprintf(stderr, "usage: raw [ROUNDS]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	buffers = aligned_alloc(4096, WINDOW * sizes[2]);
	if (!buffers)
		die("raw: buffers");
	memset(buffers, 'z', WINDOW * sizes[2]);
	for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
		static struct result r[WAYS];

		for (int round = 0; round < rounds; round++)
			for (int way = 0; way < WAYS; way++)
				one_round(&r[way], way, sizes[s], round);
		for (int way = 0; way < WAYS; way++)
			printf("bench=raw way=%s bytes=%zu mbps=%.0f cpu_ns_per_kib=%.1f\n",
			       ways[way].name, sizes[s], median(r[way].mbps, rounds),
			       median(r[way].cpu, rounds));
		compare(r, ZCREQ, ZEROCOPY, sizes[s], rounds);
		compare(r, AUTO, SEND, sizes[s], rounds);
		compare(r, TRACED, ZCREQ, sizes[s], rounds);
#ifdef BENCH_RING
		compare(r, URING, SEND_ZC, sizes[s], rounds);
		compare(r, URING, ZCREQ, sizes[s], rounds);
#endif
		fflush(stdout);
	}
	return 0;
}
