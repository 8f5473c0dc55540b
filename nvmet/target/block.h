/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * block.h - counted 4 KiB blocks: one version of one logical block each
 *
 * Owns: all payload memory of the target. A block is written by its only owner
 * and never changed after a second reference exists; that is what lets a Read
 * hand it to the kernel while a Write puts another block in its place.
 *
 * Never: knows where a block belongs. Never changes a block that somebody sends.
 *
 * Each thread has a pool, and a block can be let go by any: one that is not its
 * pool's own goes home through a stack that nobody takes single entries off. A
 * program with one pool pays for none of that.
 *
 * Built on slabs of 2 MiB, so that neighbours in a namespace are mostly neighbours
 * in memory (one iovec instead of many), and a slab without a block in use goes
 * back to the system. The lowest free block is taken first, and several in a row where
 * there are so many, for the same reason.
 */
#ifndef NVMET_BLOCK_H
#define NVMET_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLOCK_BYTES 4096
#define BLOCK_SHIFT 12
#define LBA_SHIFT_SMALL 9 /* of the smaller logical block that there is */
#define SLAB_BLOCKS 512

struct slab;

struct block {
	uint32_t refs;
	uint32_t index; /* within the slab, whose array it is in */
	uint8_t *data;
	struct block *next; /* on its way home */
};

struct pool {
	struct slab *open;   /* slabs with a free block, doubly linked */
	struct block *zero;  /* never written: what an unwritten block reads as */
	uint64_t used;       /* blocks in use, the zero block not counted */
	uint64_t slabs;
	struct slab *spare;  /* one empty slab is kept, against thrashing */
	bool shared;         /* its blocks go to other threads */
	uint64_t collected;  /* of @sent_home */
	void (*wake)(void *arg); /* its thread is to call pool_collect(); NULL: it need not */
	void *arg;
	/* written by other threads */
	struct block *returned __attribute__((aligned(64)));
	uint64_t sent_home;
};

int pool_init(struct pool *pool);
/* Before the first block is taken: other threads will hold blocks of it. */
void pool_share(struct pool *pool, void (*wake)(void *arg), void *arg);
/* Takes back what other threads have let go. */
void pool_collect(struct pool *pool);
/* Blocks in use, also on other threads; about right from any thread. */
uint64_t pool_used(const struct pool *pool);
/* All blocks must have been given back. */
void pool_deinit(struct pool *pool);

/* All of @count blocks, each with one reference and undefined content, or -ENOMEM. */
int pool_take(struct pool *pool, struct block **blocks, size_t count);

static inline void *block_data(const struct block *block)
{
	return block->data;
}

/* Is the caller's reference the only one? Then its content may change, as long as nobody can
 * take another. */
static inline bool block_is_own(const struct block *block)
{
	/* what the last holder did with it comes before what is written to it now */
	return __atomic_load_n(&block->refs, __ATOMIC_ACQUIRE) == 1;
}

/* @pool: of the thread that calls, whosever the block is; so below. */
static inline struct block *block_ref(const struct pool *pool, struct block *block)
{
	if (pool->shared)
		__atomic_fetch_add(&block->refs, 1, __ATOMIC_RELAXED);
	else
		block->refs++;
	return block;
}

void block_unref(struct pool *pool, struct block *block);
void blocks_unref(struct pool *pool, struct block **blocks, size_t count);

#endif
