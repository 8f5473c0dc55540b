/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * threads.c - sends that overlap, and notifications that another thread reads
 */
#include "tools/guard/deeds.h"

#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#define THREADS 4
#define ROUNDS 50

static pthread_barrier_t barrier;
static volatile bool wrong;

/* Sends that overlap: each thread its part of the buffer, all on one socket. */
static void *send_parts(void *argument)
{
	size_t part = BYTES / THREADS, number = (uintptr_t)argument;

	for (int round = 0; round < ROUNDS; round++) {
		ssize_t ret;

		pthread_barrier_wait(&barrier);
		ret = send(near, buffer + number * part, part, MSG_ZEROCOPY);
		must(ret == (ssize_t)part);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

static void *read_always(void *argument)
{
	static char sink[65536];

	(void)argument;
	while (recv(far, sink, sizeof(sink), 0) > 0)
		;
	return NULL;
}

/* The main thread reads every notification, perhaps before the sends have returned, and
 * then the memory is its own. */
static void threads(void)
{
	pthread_t sender[THREADS], reader;

	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	if (!wrong)
		pthread_create(&reader, NULL, read_always, NULL);
	for (size_t i = 0; i < THREADS; i++)
		pthread_create(&sender[i], NULL, send_parts, (void *)i);
	for (int round = 0; round < ROUNDS; round++) {
		pthread_barrier_wait(&barrier);
		if (wrong) {
			pthread_barrier_wait(&barrier);
			buffer[BYTES - 1] ^= round == 7;
		}
		reap(near, THREADS);
		memset(buffer, round, BYTES);
		if (!wrong)
			pthread_barrier_wait(&barrier);
	}
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(sender[i], NULL);
}

static void changed_beside_threads(void)
{
	wrong = true;
	threads();
}

/* One thread sends, another reads notifications, perhaps before the send returns, and
 * writes at once to what has come back. */
#define SLICES 16
#define SENDS 5000

static _Atomic unsigned reaped_count;

static void *reap_and_write(void *argument)
{
	size_t slice = BYTES / SLICES;

	(void)argument;
	while (reaped_count < SENDS) {
		struct pollfd one = {.fd = near};
		unsigned got = reap_one(near);

		for (unsigned i = 0; i < got; i++) {
			unsigned id = reaped_count;

			memset(buffer + id % SLICES * slice, (int)id, slice);
			reaped_count++;
		}
		if (!got)
			poll(&one, 1, 1);
	}
	return NULL;
}

static void reaped_by_another_thread(void)
{
	size_t slice = BYTES / SLICES;
	pthread_t reader, reaper;

	pthread_create(&reader, NULL, read_always, NULL);
	pthread_create(&reaper, NULL, reap_and_write, NULL);
	for (unsigned id = 0; id < SENDS; id++) {
		while (id - reaped_count >= SLICES)
			usleep(10);
		must(send(near, buffer + id % SLICES * slice, slice, MSG_ZEROCOPY) ==
		     (ssize_t)slice);
	}
	pthread_join(reaper, NULL);
}

const struct deed thread_deeds[] = {
	{"changed-threads", changed_beside_threads},
	{"right-threads", threads},
	{"right-reaper", reaped_by_another_thread},
	{NULL, NULL},
};
