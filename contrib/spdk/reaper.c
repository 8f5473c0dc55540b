/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * reaper.c - a thread for what still waits after its socket was closed
 *
 * SPDK polls no socket that it has closed, and no group without sockets. But the end of a
 * stream is to be acknowledged, and proof is to be waited for, as long as it takes. The thread
 * is there from the first such socket on. It sleeps while there is nothing to do, and calls
 * nothing of SPDK's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "zsock.h"

TAILQ_HEAD(lives, life);

static struct {
	pthread_mutex_t lock;
	struct lives given; /* the thread takes them from here */
	int epoll, wake;    /* wake is 0 until there is a thread */
} reaper = { .lock = PTHREAD_MUTEX_INITIALIZER, .given = TAILQ_HEAD_INITIALIZER(reaper.given) };

static void take_in(struct lives *lives)
{
	struct life *life;
	uint64_t count;

	(void)!read(reaper.wake, &count, sizeof(count));
	pthread_mutex_lock(&reaper.lock);
	while ((life = TAILQ_FIRST(&reaper.given))) {
		struct epoll_event event = { .events = EPOLLIN };

		TAILQ_REMOVE(&reaper.given, life, link);
		TAILQ_INSERT_TAIL(lives, life, link);
		/* without a descriptor it is turned by its deadlines */
		(void)!epoll_ctl(reaper.epoll, EPOLL_CTL_ADD, zcreq_context_fd(life->context),
				 &event);
	}
	pthread_mutex_unlock(&reaper.lock);
}

static uint64_t turn_all(struct lives *lives)
{
	struct life *life, *next;
	uint64_t deadline_ns = ZCREQ_NEVER;

	TAILQ_FOREACH_SAFE(life, lives, link, next) {
		life_turn(life);
		TAILQ_REMOVE(lives, life, link);
		if (life_free(life))
			continue;
		TAILQ_INSERT_HEAD(lives, life, link);
		if (life->deadline_ns < deadline_ns)
			deadline_ns = life->deadline_ns;
	}
	return deadline_ns;
}

static void *run(void *unused)
{
	struct lives lives = TAILQ_HEAD_INITIALIZER(lives);

	(void)unused;
	for (;;) {
		struct epoll_event events[16];
		uint64_t deadline_ns;

		take_in(&lives);
		deadline_ns = turn_all(&lives);
		epoll_wait(reaper.epoll, events, 16,
			   zcreq_timeout_ms(deadline_ns, zcreq_now_ns()));
	}
	return NULL;
}

/* The next one who comes tries again. */
static int not_started(int ret)
{
	if (reaper.epoll >= 0)
		close(reaper.epoll);
	if (reaper.wake >= 0)
		close(reaper.wake);
	reaper.wake = 0;
	return ret;
}

/* On any processor, so that no reactor's is taken, and deaf to signals. */
static int start(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	sigset_t all, before;
	pthread_t thread;
	cpu_set_t set;
	int ret;

	reaper.epoll = epoll_create1(EPOLL_CLOEXEC);
	reaper.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (reaper.epoll < 0 || reaper.wake < 0 ||
	    epoll_ctl(reaper.epoll, EPOLL_CTL_ADD, reaper.wake, &event))
		return not_started(-errno);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = -pthread_create(&thread, NULL, run, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ret)
		return not_started(ret);
	CPU_ZERO(&set);
	for (size_t i = 0; i < CPU_SETSIZE; i++)
		CPU_SET(i, &set);
	pthread_setaffinity_np(thread, sizeof(set), &set);
	pthread_detach(thread);
	return 0;
}

void reaper_take(struct life *life)
{
	const uint64_t one = 1;
	int ret = 0;

	pthread_mutex_lock(&reaper.lock);
	TAILQ_INSERT_TAIL(&reaper.given, life, link);
	if (!reaper.wake)
		ret = start();
	if (ret)
		SPDK_ERRLOG("no thread to wait for a closed socket (%d): it stays until there is one\n", ret);
	else
		(void)!write(reaper.wake, &one, sizeof(one));
	pthread_mutex_unlock(&reaper.lock);
}
