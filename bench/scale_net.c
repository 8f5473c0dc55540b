/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scale_net.c - ten thousand real connections at work, and a thousand that die at once
 *
 * The loop is what a program with many connections writes: one epoll, and before each
 * sleep a look at those connections only on which something has changed.
 */
#include "scale.h"

#include "congestion.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SPARE_DESCRIPTORS 64
#define EVENTS 256
#define ROUNDS 10
#define TRAFFIC_BYTES 16384

#define DYING 1000
#define OTHERS 100
#define DYING_SENDS 4
#define DYING_BYTES 65536
#define OTHER_BYTES 4096
#define MS 1000000ull

/* ---- the other end of everything ---- */

static pid_t crowd;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* A peer of which little fits into the receive buffer, so that the rest stays with us. */
static int connect_one(const struct sockaddr_in *addr, int unread)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), small = 4096;

	if (unread && setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)))
		die("scale: SO_RCVBUF");
	set_congestion(fd);
	if (fd < 0 || connect(fd, (const struct sockaddr *)addr, sizeof(*addr)))
		die("scale: connect");
	return fd;
}

/* The other process: connects, then reads until it is killed. */
static void be_crowd(const struct sockaddr_in *addr, size_t count, size_t unread)
{
	static char sink[1 << 16];
	struct epoll_event events[EVENTS];
	int epoll = epoll_create1(0);

	for (size_t i = 0; i < count; i++) {
		struct epoll_event event = {.events = EPOLLIN};

		event.data.fd = connect_one(addr, i < unread);
		if (i >= unread)
			epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
	}
	for (;;) {
		int n = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++)
			if (recv(events[i].data.fd, sink, sizeof(sink), MSG_DONTWAIT) <= 0)
				close(events[i].data.fd);
	}
}

void crowd_join(int *fds, size_t count, size_t unread)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	want_descriptors(count + SPARE_DESCRIPTORS);
	set_congestion(listener);
	print_congestion(listener);
	if (bind(listener, (struct sockaddr *)&addr, len) || listen(listener, 4096) ||
	    getsockname(listener, (struct sockaddr *)&addr, &len))
		die("scale: listen");
	fflush(stdout);
	crowd = fork();
	if (crowd < 0)
		die("scale: fork");
	if (!crowd) {
		close(listener);
		be_crowd(&addr, count, unread);
	}
	for (size_t i = 0; i < count; i++) {
		fds[i] = accept(listener, NULL, NULL);
		if (fds[i] < 0)
			die("scale: accept");
	}
	close(listener);
}

void crowd_leave(void)
{
	kill(crowd, SIGKILL);
	waitpid(crowd, NULL, 0);
}

/* ---- our end ---- */

struct end {
	struct zcreq_conn *conn;
	int watched;           /* by epoll */
	uint32_t epoll_events;
	int repeats;           /* begins anew when its request is released */
	uint64_t last_ns, gap_ns; /* when that was last, and the longest time between two */
};

static struct zcreq_context *context;
static struct end *ends;
static uint64_t released_count, failed_count;
static char buffer[DYING_BYTES];

static void send_from(struct end *end, size_t bytes);

static void released(zcreq_id id, int status, void *arg)
{
	struct end *end = arg;
	uint64_t now_ns;

	(void)id;
	released_count++;
	failed_count += status != 0;
	if (!end->repeats || status)
		return;
	now_ns = zcreq_now_ns();
	if (end->last_ns && now_ns - end->last_ns > end->gap_ns)
		end->gap_ns = now_ns - end->last_ns;
	end->last_ns = now_ns;
	send_from(end, OTHER_BYTES);
}

static const struct zcreq_request_hooks ops = {.released = released};

static void send_from(struct end *end, size_t bytes)
{
	const struct iovec iov = {buffer, bytes};

	check(zcreq_send(end->conn, &ops, end, &iov, 1, 0, NULL));
}

static void open_ends(size_t count, size_t unread)
{
	int *fds = calloc(count, sizeof(*fds));

	ends = calloc(count, sizeof(*ends));
	if (!ends || !fds)
		die("scale");
	crowd_join(fds, count, unread);
	context = counted_context();
	for (size_t i = 0; i < count; i++) {
		const struct zcreq_stream_options options = {
			.size = sizeof(options), .fd = fds[i], .mode = ZCREQ_MODE_ALWAYS,
			.stall_ms = 10000,
		};

		check(zcreq_stream_open(context, &options, &ends[i].conn));
	}
	free(fds);
	released_count = failed_count = 0;
}

static void turn(void)
{
	uint64_t now_ns = zcreq_now_ns();
	uint64_t deadline_ns = zcreq_turn(context, now_ns);
	struct pollfd fd = {zcreq_context_fd(context), POLLIN, 0};

	poll(&fd, 1, zcreq_timeout_ms(deadline_ns, now_ns));
}

static void close_ends(size_t count)
{
	struct zcreq_stats stats;

	for (size_t i = 0; i < count; i++)
		zcreq_conn_free(ends[i].conn);
	do {
		zcreq_turn(context, zcreq_now_ns());
		check(zcreq_context_stats(context, &stats, sizeof(stats)));
	} while (stats.connections_now);
	check(zcreq_context_free(context));
	crowd_leave();
	free(ends);
}

void scale_traffic(void)
{
	uint64_t start_ns, ns, wanted = 0;
	size_t context_bytes;

	open_ends(CROWD, 0);
	start_ns = zcreq_now_ns();
	for (int round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < CROWD; i++)
			send_from(&ends[i], TRAFFIC_BYTES);
		wanted += CROWD;
		while (released_count < wanted)
			turn();
	}
	ns = zcreq_now_ns() - start_ns;
	context_bytes = counted_bytes;
	printf("bench=scale what=traffic conns=%d requests=%" PRIu64 " failed=%" PRIu64
	       " bytes=%d ns=%.0f memory_per_conn=%zu\n", CROWD, released_count, failed_count,
	       TRAFFIC_BYTES, (double)ns / released_count, context_bytes / CROWD);
	close_ends(CROWD);
	if (failed_count || released_count != wanted)
		exit(1);
}

/* ---- a thousand at once ---- */

/* The others' longest wait between two releases, from now on. */
static void forget_gaps(void)
{
	for (size_t i = DYING; i < DYING + OTHERS; i++)
		ends[i].gap_ns = 0;
}

static double longest_gap_ms(void)
{
	uint64_t longest_ns = 0;

	for (size_t i = DYING; i < DYING + OTHERS; i++)
		if (ends[i].gap_ns > longest_ns)
			longest_ns = ends[i].gap_ns;
	return (double)longest_ns / MS;
}

/* Processor time of this thread: what others on the machine do is not in it. */
static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Turns for so long; the processor time of the longest. */
static uint64_t turns_for(uint64_t ns)
{
	uint64_t end_ns = zcreq_now_ns() + ns, longest_ns = 0, start_ns, took_ns;

	while (zcreq_now_ns() < end_ns) {
		start_ns = cpu_ns();
		turn();
		took_ns = cpu_ns() - start_ns;
		if (took_ns > longest_ns)
			longest_ns = took_ns;
	}
	return longest_ns;
}

void scale_abort(void)
{
	uint64_t start_ns, call_ns, turn_ns;
	double before_ms;

	open_ends(DYING + OTHERS, DYING);
	for (size_t i = 0; i < DYING; i++)
		for (int n = 0; n < DYING_SENDS; n++)
			send_from(&ends[i], DYING_BYTES);
	for (size_t i = DYING; i < DYING + OTHERS; i++) {
		ends[i].repeats = 1;
		send_from(&ends[i], OTHER_BYTES);
	}
	turns_for(1000 * MS);
	forget_gaps();
	turns_for(1000 * MS);
	before_ms = longest_gap_ms();
	forget_gaps();
	start_ns = cpu_ns();
	for (size_t i = 0; i < DYING; i++)
		check(zcreq_conn_abort(ends[i].conn, -ECANCELED));
	call_ns = cpu_ns() - start_ns;
	turn_ns = turns_for(1000 * MS);
	printf("bench=scale what=abort conns=%d others=%d failed=%" PRIu64 " call_cpu_ms=%.2f"
	       " turn_cpu_ms=%.2f gap_ms=%.2f gap_before_ms=%.2f\n", DYING, OTHERS, failed_count,
	       (double)call_ns / MS, (double)turn_ns / MS, longest_gap_ms(), before_ms);
	if (failed_count != DYING * DYING_SENDS)
		exit(1);
	for (size_t i = 0; i < DYING + OTHERS; i++)
		ends[i].repeats = 0;
	close_ends(DYING + OTHERS);
}
