/* SPDX-License-Identifier: BSD-2-Clause */
#include "pool.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "scaffold.h"

enum { WORKERS_MOST = 16, PIECE = 65536 };

static struct {
	struct zcreq_context *context;
	pthread_t threads[WORKERS_MOST];
	unsigned workers;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	struct job *first, **last;
	enum { WORKS = 1, STOPS } state;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* NULL: no more. */
static struct job *pull(void)
{
	struct job *job;

	pthread_mutex_lock(&pool.lock);
	while (!pool.first && pool.state == WORKS)
		pthread_cond_wait(&pool.changed, &pool.lock);
	job = pool.first;
	if (job) {
		pool.first = job->next;
		if (!pool.first)
			pool.last = &pool.first;
	}
	pthread_mutex_unlock(&pool.lock);
	return job;
}

/* "Work", of some 20 ms for a MiB. Looks up now and then whether anybody waits for it. */
static void compute(struct job *job)
{
	uint32_t value;

	memcpy(&value, job->bytes, sizeof(value));
	for (size_t i = 8; i < job->len; i++) {
		if (i % PIECE == 0 && !atomic_load(&job->wanted))
			return;
		for (int round = 0; round < 16; round++)
			value = value * 1664525 + 1013904223;
		job->bytes[i] = (uint8_t)(value >> 24);
	}
}

static void *work(void *arg)
{
	struct job *job;

	while ((job = pull())) {
		compute(job);
		check("post", zcreq_post(pool.context, &job->call));
	}
	return arg;
}

int pool_start(struct zcreq_context *context, unsigned workers)
{
	sigset_t all, before;
	int error = 0;

	pool.context = context;
	pool.last = &pool.first;
	pool.state = WORKS;
	sigfillset(&all); /* signals are for the program's first thread */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (!error && pool.workers < workers && pool.workers < WORKERS_MOST) {
		error = pthread_create(&pool.threads[pool.workers], NULL, work, NULL);
		pool.workers += !error;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}

void pool_push(struct job *job)
{
	job->next = NULL;
	pthread_mutex_lock(&pool.lock);
	*pool.last = job;
	pool.last = &job->next;
	pthread_cond_signal(&pool.changed);
	pthread_mutex_unlock(&pool.lock);
}

void pool_stop(void)
{
	pthread_mutex_lock(&pool.lock);
	pool.state = STOPS;
	pthread_cond_broadcast(&pool.changed);
	pthread_mutex_unlock(&pool.lock);
	while (pool.workers)
		pthread_join(pool.threads[--pool.workers], NULL);
}
