/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * block.c - the slabs behind block.h
 *
 * Owns: the mappings, one descriptor per block, a bitmap of the free ones.
 * Never: zeroes a block for its taker; returns one that is referenced.
 *
 * Descriptors lie apart from the data so that the data stays page aligned, and a
 * bitmap rather than a list keeps the order of addresses.
 */
#include "block.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SLAB_BYTES ((size_t)SLAB_BLOCKS * BLOCK_BYTES)
#define WORDS (SLAB_BLOCKS / 64)
#define RUN_LOOKS 8
#define WAKE_BLOCKS SLAB_BLOCKS /* that are sent home between two wake-ups */

struct slab {
	struct slab *prev, *next;
	struct pool *pool; /* its home */
	uint8_t *data;
	unsigned free_count;
	uint64_t free_bits[WORDS];
	struct block blocks[SLAB_BLOCKS];
};

static struct slab *slab_of(struct block *block)
{
	return (struct slab *)((char *)(block - block->index) - offsetof(struct slab, blocks));
}

/* Aligned to its size, so that it can be one huge page: a read of a random block then
 * misses the TLB less often. Where the system has none to give, or gives none to this
 * program, the advice is lost and nothing else. */
static uint8_t *map_slab(void)
{
	uint8_t *map = mmap(NULL, 2 * SLAB_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t before;

	if (map == MAP_FAILED)
		return NULL;
	before = (SLAB_BYTES - ((uintptr_t)map & (SLAB_BYTES - 1))) & (SLAB_BYTES - 1);
	if (before)
		munmap(map, before);
	munmap(map + before + SLAB_BYTES, SLAB_BYTES - before);
	madvise(map + before, SLAB_BYTES, MADV_HUGEPAGE);
	return map + before;
}

static struct slab *slab_new(struct pool *pool)
{
	struct slab *slab = calloc(1, sizeof(*slab));
	uint32_t i;

	if (!slab)
		return NULL;
	slab->data = map_slab();
	if (!slab->data) {
		free(slab);
		return NULL;
	}
	slab->pool = pool;
	slab->free_count = SLAB_BLOCKS;
	memset(slab->free_bits, 0xff, sizeof(slab->free_bits));
	for (i = 0; i < SLAB_BLOCKS; i++) {
		slab->blocks[i].index = i;
		slab->blocks[i].data = slab->data + (size_t)i * BLOCK_BYTES;
	}
	pool->slabs++;
	return slab;
}

static void slab_free(struct pool *pool, struct slab *slab)
{
	munmap(slab->data, SLAB_BYTES);
	free(slab);
	pool->slabs--;
}

static void open_slab(struct pool *pool, struct slab *slab)
{
	slab->prev = NULL;
	slab->next = pool->open;
	if (slab->next)
		slab->next->prev = slab;
	pool->open = slab;
}

static void close_slab(struct pool *pool, struct slab *slab)
{
	if (slab->prev)
		slab->prev->next = slab->next;
	else
		pool->open = slab->next;
	if (slab->next)
		slab->next->prev = slab->prev;
}

static struct slab *slab_with_room(struct pool *pool)
{
	struct slab *slab = pool->open;

	if (slab)
		return slab;
	slab = pool->spare;
	pool->spare = NULL;
	if (!slab)
		slab = slab_new(pool);
	if (slab)
		open_slab(pool, slab);
	return slab;
}

/* Other threads read these two of a pool. */
static void set_count(uint64_t *count, uint64_t value)
{
	__atomic_store_n(count, value, __ATOMIC_RELAXED);
}

static unsigned lowest_free(const struct slab *slab)
{
	unsigned word = 0;

	while (!slab->free_bits[word])
		word++;
	return word * 64 + (unsigned)__builtin_ctzll(slab->free_bits[word]);
}

/* The first of @count free blocks in a row, or SLAB_BLOCKS. */
static unsigned find_run(const struct slab *slab, size_t count)
{
	unsigned run = 0;

	for (unsigned i = 0; i < SLAB_BLOCKS; i++) {
		uint64_t from_here = slab->free_bits[i / 64] >> i % 64;

		run = from_here & 1 ? run + 1 : 0;
		if (run == count)
			return i + 1 - run;
		if (!from_here)
			i |= 63; /* nothing more in this word */
	}
	return SLAB_BLOCKS;
}

static struct block *take(struct pool *pool, struct slab *slab, unsigned index)
{
	struct block *block = &slab->blocks[index];

	slab->free_bits[index / 64] &= ~((uint64_t)1 << index % 64);
	if (!--slab->free_count)
		close_slab(pool, slab);
	block->refs = 1;
	set_count(&pool->used, pool->used + 1);
	return block;
}

/* In one of the first open slabs, so that the search has an end; or nothing is taken. */
static bool take_run(struct pool *pool, struct block **blocks, size_t count)
{
	struct slab *slab = pool->open;
	unsigned first = SLAB_BLOCKS;

	for (int looks = 0; slab && looks < RUN_LOOKS; looks++, slab = slab->next) {
		first = slab->free_count >= count ? find_run(slab, count) : SLAB_BLOCKS;
		if (first < SLAB_BLOCKS)
			break;
	}
	if (first == SLAB_BLOCKS)
		return false;
	for (size_t i = 0; i < count; i++)
		blocks[i] = take(pool, slab, first + (unsigned)i);
	return true;
}

int pool_take(struct pool *pool, struct block **blocks, size_t count)
{
	struct slab *slab;
	size_t i;

	pool_collect(pool);
	if (count > 1 && take_run(pool, blocks, count))
		return 0;
	for (i = 0; i < count; i++) {
		slab = slab_with_room(pool);
		if (!slab) {
			blocks_unref(pool, blocks, i);
			return -ENOMEM;
		}
		blocks[i] = take(pool, slab, lowest_free(slab));
	}
	return 0;
}

static void put_back(struct pool *pool, struct block *block)
{
	struct slab *slab = slab_of(block);

	slab->free_bits[block->index / 64] |= (uint64_t)1 << block->index % 64;
	set_count(&pool->used, pool->used - 1);
	if (slab->free_count++ == 0)
		open_slab(pool, slab);
	if (slab->free_count < SLAB_BLOCKS)
		return;
	close_slab(pool, slab);
	if (pool->spare)
		slab_free(pool, slab);
	else
		pool->spare = slab;
}

void pool_collect(struct pool *pool)
{
	struct block *block, *next;

	if (!__atomic_load_n(&pool->returned, __ATOMIC_RELAXED))
		return;
	block = __atomic_exchange_n(&pool->returned, NULL, __ATOMIC_ACQUIRE);
	for (; block; block = next) {
		next = block->next;
		set_count(&pool->collected, pool->collected + 1);
		put_back(pool, block);
	}
}

/* The thread of @home may take the block at once: nothing of it is touched after. */
static void send_home(struct pool *home, struct block *block)
{
	struct block *top = __atomic_load_n(&home->returned, __ATOMIC_RELAXED);
	uint64_t sent = __atomic_add_fetch(&home->sent_home, 1, __ATOMIC_RELAXED);

	do {
		block->next = top;
	} while (!__atomic_compare_exchange_n(&home->returned, &top, block, true,
					      __ATOMIC_RELEASE, __ATOMIC_RELAXED));
	/* one that takes blocks collects; one that is idle has to be told, now and then */
	if (home->wake && sent % WAKE_BLOCKS == 0)
		home->wake(home->arg);
}

static void unref_shared(struct pool *pool, struct block *block)
{
	struct pool *home = slab_of(block)->pool;

	/* what every holder did with it comes before what its next user does */
	if (__atomic_sub_fetch(&block->refs, 1, __ATOMIC_ACQ_REL))
		return;
	if (home == pool)
		put_back(pool, block);
	else
		send_home(home, block);
}

void block_unref(struct pool *pool, struct block *block)
{
	assert(__atomic_load_n(&block->refs, __ATOMIC_RELAXED) > 0);
	if (pool->shared)
		unref_shared(pool, block);
	else if (--block->refs == 0)
		put_back(pool, block);
}

uint64_t pool_used(const struct pool *pool)
{
	uint64_t used = __atomic_load_n(&pool->used, __ATOMIC_RELAXED) +
			__atomic_load_n(&pool->collected, __ATOMIC_RELAXED);
	uint64_t sent = __atomic_load_n(&pool->sent_home, __ATOMIC_RELAXED);

	return used > sent ? used - sent : 0;
}

void pool_share(struct pool *pool, void (*wake)(void *arg), void *arg)
{
	pool->shared = true;
	pool->wake = wake;
	pool->arg = arg;
}

void blocks_unref(struct pool *pool, struct block **blocks, size_t count)
{
	while (count)
		block_unref(pool, blocks[--count]);
}

int pool_init(struct pool *pool)
{
	memset(pool, 0, sizeof(*pool));
	if (pool_take(pool, &pool->zero, 1) < 0)
		return -ENOMEM;
	memset(block_data(pool->zero), 0, BLOCK_BYTES);
	pool->used = 0;
	return 0;
}

void pool_deinit(struct pool *pool)
{
	pool_collect(pool);
	assert(pool->used == 0);
	if (!pool->zero)
		return;
	pool->used = 1;
	block_unref(pool, pool->zero);
	if (pool->spare)
		slab_free(pool, pool->spare);
	assert(pool->slabs == 0);
}
