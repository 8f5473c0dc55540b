/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * map.c - a hash map from id to record, under a mutex: gRPC's POSIX endpoint
 *
 * Re-implemented from its description. A record is taken from a pool under the
 * mutex; each call that sends some of it enters its id into the map and takes a
 * reference. A notification takes the id out of the map and drops the reference,
 * and the last one gives the record back to the pool. The map is open addressing
 * with linear probes, at most half full, and never has to grow.
 */
#include "designs.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct record {
	struct record *next_spare;
	atomic_int references;
	void (*done)(void *arg);
	void *arg;
};

struct entry {
	uint32_t id;
	struct record *record; /* NULL: free */
};

static struct free_socket *sock;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct record *spare;
static struct entry *entries;
static uint32_t mask, shift, next_id;

static void map_open(struct free_socket *socket, uint32_t most, void (*done)(void *arg))
{
	struct record *records = design_memory(most, sizeof(*records));

	sock = socket;
	for (mask = 15, shift = 28; mask < 2 * most; shift--)
		mask = 2 * mask + 1;
	entries = design_memory((size_t)mask + 1, sizeof(*entries));
	for (uint32_t i = 0; i < most; i++) {
		records[i].done = done;
		records[i].next_spare = spare;
		spare = &records[i];
	}
}

static uint32_t home(uint32_t id)
{
	return id * 2654435769u >> shift;
}

static void enter(uint32_t id, struct record *record)
{
	uint32_t at = home(id);

	while (entries[at].record)
		at = (at + 1) & mask;
	entries[at] = (struct entry){id, record};
}

/* What follows a gap moves into it, unless that is before its home. */
static void close_gap(uint32_t gap)
{
	for (uint32_t at = (gap + 1) & mask; entries[at].record; at = (at + 1) & mask) {
		if (((at - home(entries[at].id)) & mask) >= ((at - gap) & mask)) {
			entries[gap] = entries[at];
			gap = at;
		}
	}
	entries[gap].record = NULL;
}

static struct record *take_out(uint32_t id)
{
	uint32_t at = home(id);
	struct record *record;

	while (entries[at].record && entries[at].id != id)
		at = (at + 1) & mask;
	record = entries[at].record;
	if (!record)
		abort();
	close_gap(at);
	return record;
}

static struct record *get_record(void)
{
	struct record *record;

	pthread_mutex_lock(&mutex);
	record = spare;
	spare = record->next_spare;
	pthread_mutex_unlock(&mutex);
	atomic_store_explicit(&record->references, 1, memory_order_relaxed);
	return record;
}

static void drop(struct record *record)
{
	if (atomic_fetch_sub_explicit(&record->references, 1, memory_order_acq_rel) != 1)
		return;
	record->done(record->arg);
	pthread_mutex_lock(&mutex);
	record->next_spare = spare;
	spare = record;
	pthread_mutex_unlock(&mutex);
}

static void map_send(const struct iovec *iov)
{
	struct record *record = get_record();

	atomic_fetch_add_explicit(&record->references, 1, memory_order_relaxed);
	pthread_mutex_lock(&mutex);
	enter(next_id, record);
	next_id++;
	pthread_mutex_unlock(&mutex);
	hand_send(sock, iov);
	drop(record); /* all of it is sent */
}

static void map_reap(void)
{
	uint32_t lo, hi;

	while (hand_told(sock, &lo, &hi)) {
		for (uint32_t ids = hi - lo + 1; ids; ids--) {
			struct record *record;

			pthread_mutex_lock(&mutex);
			record = take_out(lo++);
			pthread_mutex_unlock(&mutex);
			drop(record);
		}
	}
}

const struct design design_map = {"map", map_open, map_send, map_reap};
