/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_store_threads.c - blocks and namespaces that several threads use at once
 *
 * Each thread has its own pool. Every write fills its range with one value, so a range
 * that is read with two values in it was torn; a block that was kept must not change. And a
 * write of part of a block loses no other part, whoever writes that.
 * Made for -fsanitize=thread too.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../target/store.h"
#include "support/suite.h"

#define THREADS 4
#define ROUNDS 3000
#define RANGE 24      /* across the edge of two pieces */
#define FIRST 500
#define BLOCKS 1100
#define KEPT 8

struct worker {
	pthread_t thread;
	struct pool pool;
	struct store *store;
	uint64_t seed;
	unsigned woken;
};

static struct worker workers[THREADS];
static pthread_barrier_t all_there;

static void wake(void *arg)
{
	struct worker *worker = arg;

	__atomic_fetch_add(&worker->woken, 1, __ATOMIC_RELAXED);
}

static void write_range(struct worker *worker)
{
	struct block *blocks[RANGE];
	uint64_t value = suite_random(&worker->seed);

	CLAIM(pool_take(&worker->pool, blocks, RANGE) == 0);
	for (unsigned i = 0; i < RANGE; i++)
		memset(block_data(blocks[i]), (int)(value & 0xff), BLOCK_BYTES);
	CLAIM(store_write(worker->store, &worker->pool, FIRST, RANGE, blocks) == 0);
}

/* All bytes of a range are the same, whatever they are; sampled, since there are many. */
static int value_of(struct block **blocks, unsigned count)
{
	const uint8_t *data = block_data(blocks[0]);
	int value = data[0];

	for (unsigned i = 0; i < count; i++) {
		data = block_data(blocks[i]);
		CLAIM(data[0] == value && data[2048] == value && data[BLOCK_BYTES - 1] == value);
	}
	return value;
}

/* What was read is kept for some rounds, as an answer on its way would. */
static void *work(void *arg)
{
	struct worker *worker = arg;
	struct block *kept[KEPT][RANGE];
	int values[KEPT];

	pthread_barrier_wait(&all_there);
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned slot = round % KEPT;

		if (round >= KEPT) {
			CLAIM(value_of(kept[slot], RANGE) == values[slot]);
			blocks_unref(&worker->pool, kept[slot], RANGE);
		}
		if (suite_random(&worker->seed) % 3 == 0)
			write_range(worker);
		if (suite_random(&worker->seed) % 64 == 0)
			CLAIM(store_zero(worker->store, &worker->pool, FIRST, RANGE, true) == 0);
		CLAIM(store_read(worker->store, &worker->pool, FIRST, RANGE, kept[slot]) == 0);
		values[slot] = value_of(kept[slot], RANGE);
	}
	for (unsigned slot = 0; slot < KEPT; slot++)
		blocks_unref(&worker->pool, kept[slot], RANGE);
	return NULL;
}

#define PART (BLOCK_BYTES / THREADS)

/* Its own part of a block that all of them write, in small writes. */
static void *work_in_part(void *arg)
{
	struct worker *worker = arg;
	unsigned part = (unsigned)(worker - workers) * PART;
	struct block *block;

	for (unsigned round = 0; round < ROUNDS; round++) {
		uint8_t value = (uint8_t)suite_random(&worker->seed);

		CLAIM(pool_take(&worker->pool, &block, 1) == 0);
		memset((uint8_t *)block_data(block) + part, value, PART);
		CLAIM(store_write_bytes(worker->store, &worker->pool, BLOCK_BYTES + part, PART, &block) == 0);
		/* on a busy machine, too, there are rounds in which all hold the same block */
		if (round % 64 == 0)
			pthread_barrier_wait(&all_there);
		CLAIM(store_read(worker->store, &worker->pool, 1, 1, &block) == 0);
		if (round % 64 == 0)
			pthread_barrier_wait(&all_there);
		for (unsigned i = part; i < part + PART; i++)
			CLAIM(((uint8_t *)block_data(block))[i] == value);
		block_unref(&worker->pool, block);
	}
	return NULL;
}

static void *(*const works[])(void *) = { work, work, work_in_part, work_in_part };

/* 0 and 1: whole ranges; 2 and 3: parts of a block; in memory and in a file */
START_TEST(reads_are_whole_and_all_blocks_come_home)
{
	char path[] = "check_store_threads.XXXXXX", spec[64];
	const char *error = NULL;
	struct store *store;
	uint64_t homeward = 0;

	close(mkstemp(path));
	if (_i % 2)
		snprintf(spec, sizeof(spec), "file:%s:%d", path, BLOCKS * BLOCK_BYTES);
	else
		snprintf(spec, sizeof(spec), "mem:%d", BLOCKS * BLOCK_BYTES);
	ck_assert_msg(store_open(spec, "seed", &store, &error) == 0, "%s", error);
	ck_assert_int_eq(store_share(store), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		ck_assert_int_eq(pool_init(&workers[i].pool), 0);
		pool_share(&workers[i].pool, wake, &workers[i]);
		workers[i].store = store;
		workers[i].seed = 0x5eed + i;
	}
	ck_assert_int_eq(pthread_barrier_init(&all_there, NULL, THREADS), 0);
	for (unsigned i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, works[_i], &workers[i]), 0);
	for (unsigned i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(workers[i].thread, NULL), 0);
	store_close(store, &workers[0].pool);
	for (unsigned i = 0; i < THREADS; i++) {
		homeward += workers[i].pool.sent_home;
		ck_assert_uint_eq(pool_used(&workers[i].pool), 0);
		ck_assert_uint_eq(workers[i].woken, workers[i].pool.sent_home / SLAB_BLOCKS);
		pool_deinit(&workers[i].pool); /* asserts that no block is left in use */
	}
	ck_assert(_i % 2 || homeward > 0);
	unlink(path);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("nvme store threads");
	TCase *threads = tcase_create("threads");

	tcase_set_timeout(threads, 120);
	tcase_add_loop_test(threads, reads_are_whole_and_all_blocks_come_home, 0, 4);
	suite_add_tcase(s, threads);
	return suite_run(s);
}
