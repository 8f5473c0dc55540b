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

struct slab {
	struct slab *prev, *next;
	uint8_t *data;
	unsigned free_count;
	uint64_t free_bits[WORDS];
	struct block blocks[SLAB_BLOCKS];
};

void *block_data(const struct block *block)
{
	return block->slab->data + (size_t)block->index * BLOCK_BYTES;
}

/* Aligned to its size, so that it can be one huge page. */
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
	slab->free_count = SLAB_BLOCKS;
	memset(slab->free_bits, 0xff, sizeof(slab->free_bits));
	for (i = 0; i < SLAB_BLOCKS; i++) {
		slab->blocks[i].index = i;
		slab->blocks[i].slab = slab;
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

static struct block *take_lowest(struct pool *pool, struct slab *slab)
{
	struct block *block;
	unsigned word = 0, bit;

	while (!slab->free_bits[word])
		word++;
	bit = (unsigned)__builtin_ctzll(slab->free_bits[word]);
	slab->free_bits[word] &= slab->free_bits[word] - 1;
	if (!--slab->free_count)
		close_slab(pool, slab);
	block = &slab->blocks[word * 64 + bit];
	block->refs = 1;
	pool->used++;
	return block;
}

int pool_take(struct pool *pool, struct block **blocks, size_t count)
{
	struct slab *slab;
	size_t i;

	for (i = 0; i < count; i++) {
		slab = slab_with_room(pool);
		if (!slab) {
			blocks_unref(pool, blocks, i);
			return -ENOMEM;
		}
		blocks[i] = take_lowest(pool, slab);
	}
	return 0;
}

static void put_back(struct pool *pool, struct block *block)
{
	struct slab *slab = block->slab;

	slab->free_bits[block->index / 64] |= (uint64_t)1 << block->index % 64;
	pool->used--;
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

void block_unref(struct pool *pool, struct block *block)
{
	assert(block->refs > 0);
	if (--block->refs == 0)
		put_back(pool, block);
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
	assert(pool->used == 0);
	if (!pool->zero)
		return;
	pool->used = 1;
	block_unref(pool, pool->zero);
	if (pool->spare)
		slab_free(pool, pool->spare);
	assert(pool->slabs == 0);
}
