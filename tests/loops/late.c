/* SPDX-License-Identifier: BSD-2-Clause */
#undef _FORTIFY_SOURCE /* whose poll() would be another one */
#include "loops/late.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>

#define MOST 64

struct late late;

/* They replace libc's in all libraries of the process. */
int __poll_chk(struct pollfd *fds, nfds_t count, int ms, size_t size);

static int real_poll(struct pollfd *fds, nfds_t count, int ms)
{
	static int (*next)(struct pollfd *, nfds_t, int);

	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "poll");
	return next(fds, count, ms);
}

static int real_epoll(int epoll, struct epoll_event *events, int most, int ms,
		      const sigset_t *mask)
{
	static int (*next)(int, struct epoll_event *, int, int, const sigset_t *);

	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "epoll_pwait");
	return next(epoll, events, most, ms, mask);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void be_late(void)
{
	const struct timespec nap = {.tv_nsec = late.by_ms * 1000000};

	nanosleep(&nap, NULL);
}

void late_count(void)
{
	late.waits = late.empty = 0;
	late.seen = late.progress();
	late.counts = true;
	late.told = false;
}

/* The loop comes to sleep, or to ask: what has happened since it woke up? */
static void begin(void)
{
	uint64_t seen;

	if (late.before)
		late.before();
	if (!late.counts || (late.asks_only && !late.told))
		return;
	seen = late.progress();
	late.waits++;
	late.empty += seen == late.seen;
	late.seen = seen;
}

static int end(int ret)
{
	late.told = ret > 0;
	return ret;
}

/* Only what was asked for: how many of them have something? */
static int asked(struct pollfd *fds, nfds_t count)
{
	int found = 0;

	for (nfds_t i = 0; i < count; i++) {
		fds[i].revents &= fds[i].events;
		found += fds[i].revents != 0;
	}
	return found;
}

/* Sleeps for @ms, or until one of them has what it was asked for. A descriptor that has
 * only something else is looked at no more, or poll(2) would not sleep. */
static void sleep_on(const struct pollfd *fds, nfds_t count, int ms)
{
	struct pollfd waited[MOST];
	uint64_t end_ms = now_ms() + (uint64_t)ms;

	if (count > MOST)
		abort();
	for (nfds_t i = 0; i < count; i++)
		waited[i] = fds[i];
	for (;;) {
		uint64_t now = now_ms();
		int left = ms < 0 ? -1 : now < end_ms ? (int)(end_ms - now) : 0;

		if (real_poll(waited, count, left) <= 0)
			return;
		for (nfds_t i = 0; i < count; i++) {
			if (waited[i].revents & waited[i].events)
				return;
			if (waited[i].revents)
				waited[i].fd = -1;
		}
	}
}

int poll(struct pollfd *fds, nfds_t count, int ms)
{
	begin();
	if (!late.by_ms || !ms)
		return end(real_poll(fds, count, ms));
	sleep_on(fds, count, ms);
	be_late();
	real_poll(fds, count, 0);
	return end(asked(fds, count));
}

int __poll_chk(struct pollfd *fds, nfds_t count, int ms, size_t size)
{
	(void)size;
	return poll(fds, count, ms);
}

int epoll_pwait(int epoll, struct epoll_event *events, int most, int ms, const sigset_t *mask)
{
	const struct pollfd ready = {.fd = epoll, .events = POLLIN};

	if (epoll == late.inner && !ms)
		return real_epoll(epoll, events, most, ms, mask);
	begin();
	if (!late.by_ms || !ms)
		return end(real_epoll(epoll, events, most, ms, mask));
	/* an edge is used up by who takes it: so it is only looked at */
	sleep_on(&ready, 1, ms);
	be_late();
	return end(real_epoll(epoll, events, most, 0, mask));
}

int epoll_wait(int epoll, struct epoll_event *events, int most, int ms)
{
	return epoll_pwait(epoll, events, most, ms, NULL);
}
