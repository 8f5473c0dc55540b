/* SPDX-License-Identifier: BSD-2-Clause */
/* in-use.c - the reactor, and a host that vanishes in the middle of its reads */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../by-hand/by-hand.h"
#include "in-use.h"

enum { KEEP_ALIVE_MS = 300, PATIENCE_MS = 1500 };

uint64_t ticks(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return ((uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec) * 2;
}

uint64_t ticks_hz(void)
{
	return 2000000000;
}

void data_free(char *data)
{
	memset(data, NEXT, DATA_BYTES);
}

static struct qpair *qpair;

/* The reactor: one queue pair's poller, again and again, for at most so long. */
static void reactor_run(uint64_t ms)
{
	const uint64_t end = ticks() + ms * (ticks_hz() / 1000);

	while (ticks() < end && qpair_waiting(qpair))
		qpair_poll(qpair);
}

int main(void)
{
	struct pair pair;

	pair_open_link(&pair);
	cut();
	qpair = qpair_open(pair.fd);
	reactor_run(KEEP_ALIVE_MS);
	qpair_disconnect(qpair);
	reactor_run(PATIENCE_MS);
	if (qpair_waiting(qpair)) {
		printf("requests still wait for a write that is not over; "
		       "the queue pair cannot go\n");
	} else {
		qpair_destroy(qpair);
		printf("every request is over; the queue pair is gone\n");
	}
	return 0;
}
