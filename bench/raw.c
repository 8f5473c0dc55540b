/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * raw.c - what the library costs next to a loop written by hand
 *
 * Four senders take turns on the same kind of loopback connection, in one run,
 * several rounds each:
 *
 *	send        send(2), which copies
 *	zerocopy    MSG_ZEROCOPY by hand: counts notifications, tracks nothing
 *	zcreq       the library, mode always: what its tracking costs
 *	auto        the library, mode auto: what a user gets
 *
 * Each keeps at most WINDOW buffers in flight and never waits but in poll(2). The
 * medians of throughput and of processor time for each byte are compared.
 *
 *	raw [ROUNDS]
 */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <linux/errqueue.h> /* after time.h: uses struct timespec */
#include <unistd.h>

#include <zcreq/zcreq.h>

#define WINDOW 64
#define ROUND_NS 250000000
#define ROUNDS_MOST 99

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void check(int ret)
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

static char *buffers;

/* Each of these sends for as long as a round lasts and returns the bytes. */

static uint64_t run_send(int fd, size_t size, uint64_t end_ns)
{
	uint64_t bytes = 0;
	size_t at = 0;
	unsigned n = 0;

	while (n % 16 || zcreq_now_ns() < end_ns) {
		ssize_t ret = send(fd, buffers + (n % WINDOW) * size + at, size - at,
				   MSG_DONTWAIT | MSG_NOSIGNAL);

		if (ret < 0) {
			struct pollfd p = {fd, POLLOUT, 0};

			poll(&p, 1, -1);
			continue;
		}
		bytes += ret;
		at += ret;
		if (at == size) {
			at = 0;
			n++;
		}
	}
	return bytes;
}

/* The ids that have been notified, in the order in which a healthy socket does. */
static uint32_t reap_by_hand(int fd)
{
	char control[128];
	struct msghdr m = {.msg_control = control, .msg_controllen = sizeof(control)};
	uint32_t ids = 0;

	while (recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0) {
		const struct cmsghdr *cmsg = CMSG_FIRSTHDR(&m);
		const struct sock_extended_err *err = (const void *)CMSG_DATA(cmsg);

		ids += err->ee_data - err->ee_info + 1;
		m.msg_controllen = sizeof(control);
	}
	return ids;
}

static uint64_t run_zerocopy(int fd, size_t size, uint64_t end_ns)
{
	uint32_t inflight = 0;
	uint64_t bytes = 0;
	size_t at = 0;
	unsigned n = 0;
	int one = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)))
		die("raw: SO_ZEROCOPY");
	while (n % 16 || zcreq_now_ns() < end_ns) {
		ssize_t ret = -1;

		if (inflight < WINDOW)
			ret = send(fd, buffers + (n % WINDOW) * size + at, size - at,
				   MSG_DONTWAIT | MSG_NOSIGNAL | MSG_ZEROCOPY);
		if (ret < 0) {
			struct pollfd p = {fd, inflight < WINDOW ? POLLOUT : 0, 0};

			if (inflight < WINDOW && errno != EAGAIN)
				die("raw: send");
			poll(&p, 1, -1);
			if (p.revents & POLLERR)
				inflight -= reap_by_hand(fd);
			continue;
		}
		inflight++;
		bytes += ret;
		at += ret;
		if (at == size) {
			at = 0;
			n++;
		}
	}
	while (inflight) {
		struct pollfd p = {fd, 0, 0};

		poll(&p, 1, -1);
		inflight -= reap_by_hand(fd);
	}
	return bytes;
}

static unsigned requests_inflight;

static void released(zcreq_id id, int status, void *arg)
{
	(void)id;
	(void)arg;
	check(status);
	requests_inflight--;
}

static const struct zcreq_ops ops = {.released = released};

static uint64_t run_zcreq(int fd, size_t size, uint64_t end_ns, enum zcreq_mode mode)
{
	struct zcreq_stream_options o = {.size = sizeof(o), .fd = dup(fd), .mode = mode};
	struct zcreq_context *context;
	struct zcreq_conn *conn;
	uint64_t bytes = 0;
	unsigned n = 0;

	check(zcreq_context_new(NULL, &context));
	check(zcreq_stream_open(context, &o, &conn));
	while (zcreq_now_ns() < end_ns) {
		struct pollfd p = {o.fd, 0, 0};

		while (requests_inflight < WINDOW) {
			struct iovec iov = {buffers + (n++ % WINDOW) * size, size};
			zcreq_id id;

			check(zcreq_begin(conn, &ops, NULL, &id));
			check(zcreq_send(conn, id, &iov, 1, 0));
			check(zcreq_finish(context, id, 0));
			requests_inflight++;
			bytes += size;
		}
		check(zcreq_flush(conn));
		check(zcreq_dispatch(context));
		if (requests_inflight < WINDOW)
			continue;
		p.events = zcreq_events(conn);
		poll(&p, 1, -1);
		check(zcreq_process(conn, p.revents));
	}
	check(zcreq_conn_drain(conn, ZCREQ_NEVER));
	while (zcreq_conn_state(conn) != ZCREQ_CONN_CLOSED) {
		struct pollfd p = {o.fd, zcreq_events(conn), 0};

		poll(&p, 1, -1);
		check(zcreq_process(conn, p.revents));
	}
	zcreq_conn_free(conn);
	check(zcreq_dispatch(context));
	check(zcreq_context_free(context));
	return bytes;
}

static uint64_t run_always(int fd, size_t size, uint64_t end_ns)
{
	return run_zcreq(fd, size, end_ns, ZCREQ_MODE_ALWAYS);
}

static uint64_t run_auto(int fd, size_t size, uint64_t end_ns)
{
	return run_zcreq(fd, size, end_ns, ZCREQ_MODE_AUTO);
}

enum { SEND, ZEROCOPY, ZCREQ, AUTO, WAYS };

static const struct {
	const char *name;
	uint64_t (*run)(int fd, size_t size, uint64_t end_ns);
} ways[WAYS] = {
	[SEND] = {"send", run_send},
	[ZEROCOPY] = {"zerocopy", run_zerocopy},
	[ZCREQ] = {"zcreq", run_always},
	[AUTO] = {"auto", run_auto},
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

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(const double *values, int n)
{
	double sorted[ROUNDS_MOST];

	memcpy(sorted, values, n * sizeof(*values));
	qsort(sorted, n, sizeof(*sorted), by_value);
	return sorted[n / 2];
}

/* The median of the ratios of neighbours in time: noise hits both alike. */
static double ratio(const double *a, const double *b, int n)
{
	double ratios[ROUNDS_MOST];

	for (int i = 0; i < n; i++)
		ratios[i] = a[i] / b[i];
	return median(ratios, n);
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
		printf("bench=raw ratio=zcreq/zerocopy bytes=%zu throughput=%.3f cpu=%.3f\n",
		       sizes[s], ratio(r[ZCREQ].mbps, r[ZEROCOPY].mbps, rounds),
		       ratio(r[ZCREQ].cpu, r[ZEROCOPY].cpu, rounds));
		printf("bench=raw ratio=auto/send bytes=%zu throughput=%.3f cpu=%.3f\n", sizes[s],
		       ratio(r[AUTO].mbps, r[SEND].mbps, rounds),
		       ratio(r[AUTO].cpu, r[SEND].cpu, rounds));
		fflush(stdout);
	}
	return 0;
}
