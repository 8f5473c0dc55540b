/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gain_net.c - three paths, in namespaces of this program's own, and memory to send
 *
 *	acker     takes everything and copies nothing (tests/path/path.h)
 *	loopback  copies where it is received
 *	veth      the same, between two hosts
 *
 * Both ends of each are set to the same congestion control. Where somebody reads, it is a
 * process on the sender's core. On two cores it is a matter of moments, there, whether sender,
 * reader or nobody is charged for a packet on its way, and how many bytes the next packet has:
 * two rounds of the same calls differed by a factor of four. What both take together, of one
 * core, is what such a path costs.
 */
#include "gain.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../tests/path/path.h"
#include "congestion.h"

#define WINDOW_BYTES ((size_t)16 << 20)
#define HUGE_BYTES ((size_t)2 << 20)

const char *const gain_path_names[] = {"acker", "loopback", "veth"};

static struct net net;
static struct path path;
static const char *no_acker;

void stay_on(int core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(core, &set);
	sched_setaffinity(0, sizeof(set), &set); /* with one core only: shared, and no worse */
}

/* The window of a connection that rests for a moment stays as large as it was, also when
 * the other end has to wait for a processor: nothing is lost here, so nothing is sent again.
 * Kernels before 6.11 have no limit to set. */
static void keep_windows(void)
{
	check(net_sysctl(&net, NET_NEAR, "ipv4/tcp_slow_start_after_idle", "0"));
	(void)!net_sysctl(&net, NET_NEAR, "ipv4/tcp_rto_min_us", "5000000");
}

/* Before what others do on this machine, where that is allowed: who has to wait for a
 * processor sends other batches than who has not. */
static void go_before_others(void)
{
	(void)!setpriority(PRIO_PROCESS, 0, -10);
}

const char *gain_net_open(void)
{
	const char *missing = net_missing();

	if (missing)
		return missing;
	no_acker = path_missing();
	go_before_others();
	check(net_open(&net));
	keep_windows();
	if (no_acker)
		return NULL;
	/* the responder keeps away from the sender's core */
	stay_on(1);
	check(path_open(&path, &net));
	return NULL;
}

const char *gain_path_missing(enum gain_path which)
{
	return which == GAIN_ACKER ? no_acker : NULL;
}

/* Lets the window grow to what the socket can hold, in a way that costs next to nothing:
 * with a small one every way sends small packets. */
static void open_window(const struct gain_end *end)
{
	static char zeros[1 << 18];
	size_t sent = 0;
	int unacked = 1;

	while (sent < WINDOW_BYTES) {
		ssize_t ret = send(end->fd, zeros, sizeof(zeros), MSG_NOSIGNAL | MSG_DONTWAIT);
		struct pollfd p = {end->fd, POLLOUT, 0};

		if (ret < 0 && errno != EAGAIN)
			die("gain: send");
		if (ret > 0)
			sent += (size_t)ret;
		else if (poll(&p, 1, 10000) != 1)
			die("gain: nobody reads");
	}
	while (!ioctl(end->fd, SIOCOUTQ, &unacked) && unacked)
		poll(NULL, 0, 1);
	while (end->read && *end->read < sent)
		poll(NULL, 0, 1);
}

static void loopback_pair(int *near, int *far)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int listener = net_socket(&net, NET_NEAR, AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(addr);

	*near = net_socket(&net, NET_NEAR, AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&addr, len) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&addr, &len) ||
	    connect(*near, (struct sockaddr *)&addr, len) || fcntl(*near, F_SETFL, O_NONBLOCK))
		die("gain: connect");
	*far = accept(listener, NULL, NULL);
	close(listener);
}

static void read_all(int fd, _Atomic uint64_t *count)
{
	static char sink[1 << 18];
	ssize_t got;

	/* a connection ends when all have closed it */
	close_range(3, (unsigned)fd - 1, 0);
	close_range((unsigned)fd + 1, ~0u, 0);
	fcntl(fd, F_SETFL, 0);
	while ((got = recv(fd, sink, sizeof(sink), 0)) > 0)
		atomic_fetch_add(count, (uint64_t)got);
	_exit(0);
}

static struct gain_end connect_one(enum gain_path which, unsigned n)
{
	struct gain_end end = {0};
	_Atomic uint64_t *count;
	int far;

	if (which == GAIN_ACKER) {
		end.fd = path_connect(&path, n, CONGESTION);
		check(end.fd);
		print_congestion(end.fd);
		return end;
	}
	if (which == GAIN_VETH)
		check(net_connect(&net, &(struct net_pair){0}, &end.fd, &far));
	else
		loopback_pair(&end.fd, &far);
	set_congestion(end.fd);
	set_congestion(far);
	print_congestion(end.fd);
	fflush(stdout);
	count = mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (count == MAP_FAILED)
		die("gain: memory");
	end.read = count;
	end.reader = fork();
	if (end.reader < 0)
		die("gain: fork");
	if (end.reader == 0) {
		close(end.fd);
		read_all(far, count);
	}
	close(far);
	return end;
}

struct gain_end gain_connect(enum gain_path which, unsigned n)
{
	struct gain_end end = connect_one(which, n);

	open_window(&end);
	return end;
}

bool gain_lost_nothing(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) || !info.tcpi_total_retrans;
}

void gain_disconnected(const struct gain_end *end)
{
	if (!end->reader)
		return;
	waitpid(end->reader, NULL, 0);
	munmap((void *)(uintptr_t)end->read, sizeof(*end->read));
}

/* Is all of it in huge pages? The kernel gives what it has, and does not say. */
static bool has_huge(const char *pool)
{
	unsigned long long from = 0, to = 0;
	unsigned long kb = 0;
	FILE *maps = fopen("/proc/self/smaps", "re");
	char line[256];

	while (maps && !kb && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%llx-%llx", &from, &to) != 2 && from <= (uintptr_t)pool &&
		    (uintptr_t)pool < to)
			sscanf(line, "AnonHugePages: %lu", &kb);
	if (maps)
		fclose(maps);
	return kb * 1024 >= POOL_BYTES;
}

char *gain_pool(bool huge)
{
	char *all = mmap(NULL, POOL_BYTES + HUGE_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *pool;

	if (all == MAP_FAILED)
		die("gain: memory");
	pool = (char *)(((uintptr_t)all + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1));
	munmap(all, (size_t)(pool - all));
	munmap(pool + POOL_BYTES, HUGE_BYTES - (size_t)(pool - all));
	madvise(pool, POOL_BYTES, MADV_DONTFORK);
	if (madvise(pool, POOL_BYTES, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) && huge)
		return NULL;
	memset(pool, 'z', POOL_BYTES);
	return huge && !has_huge(pool) ? NULL : pool;
}

void gain_pool_touch(const char *pool)
{
	static int fd = -1;

	if (fd < 0)
		fd = memfd_create("gain", MFD_CLOEXEC);
	for (size_t at = 0; at < POOL_BYTES; at += HUGE_BYTES)
		if (pwrite(fd, pool + at, HUGE_BYTES, 0) != (ssize_t)HUGE_BYTES)
			die("gain: memfd");
}

void gain_pool_free(char *pool)
{
	munmap(pool, POOL_BYTES);
}
