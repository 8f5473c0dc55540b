/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store.h - namespaces: ranges of logical blocks, in memory or in a file
 *
 * Owns: each namespace's content. A read gives references to blocks as they are
 * at this moment; whatever is written afterwards goes into other blocks, so what
 * was read can be sent at leisure. A write takes blocks over.
 *
 * Never: waits for a sender, changes a block that it gave out, or reports a write
 * as done that the system did not take. Knows nothing of NVMe but the block size.
 *
 * Any thread may use a store, with its own pool: a striped lock that spans one look at
 * the table, or one call for a file, keeps a read from seeing half a write. It is not
 * there for a program with one thread.
 *
 * Built as a table of functions per kind, the range already checked by the caller
 * (store_range_ok()). Those know blocks of block.h only. A logical block may be smaller: then
 * a write of part of a block is completed from what is current, under the same lock, and takes
 * the block's place like any other.
 */
#ifndef NVMET_STORE_H
#define NVMET_STORE_H

#include <stdbool.h>

#include "block.h"

struct store;
struct stripes;

/* What a command looks at in turn; where each is, the one before it says. */
enum store_step {
	STORE_TABLE,  /* which block is current */
	STORE_BLOCKS, /* its references */
	STORE_DATA,   /* the first of what is sent */
	STORE_STEPS,
};

/* Called through store_read() and its like. All return 0 or -errno. Ranges are in
 * blocks, and lie within the namespace. */
struct store_ops {
	/* @blocks: @count references, the caller's on success */
	int (*read)(struct store *store, struct pool *pool, uint64_t first,
		    uint32_t count, struct block **blocks);
	/* @blocks: each reference is the store's on success, the caller's on failure */
	int (*write)(struct store *store, struct pool *pool, uint64_t first, uint32_t count,
		     struct block **blocks);
	int (*zero)(struct store *store, struct pool *pool, uint64_t first, uint64_t count,
		    bool deallocate);
	int (*deallocate)(struct store *store, struct pool *pool, uint64_t first, uint64_t count);
	int (*flush)(struct store *store);
	/* A read or write will follow soon; NULL: nothing can be got ready for it */
	void (*expect)(const struct store *store, uint64_t first, uint32_t count,
		       enum store_step step);
	void (*free)(struct store *store, struct pool *pool);
};

struct store {
	const struct store_ops *ops;
	struct stripes *stripes; /* NULL: one thread */
	uint64_t blocks;
	uint8_t lba_shift; /* bytes of a logical block: BLOCK_SHIFT, or less */
	bool has_write_cache; /* flush means something */
	bool deallocated_is_zero; /* what was deallocated reads as zeroes, always */
	uint8_t uuid[16];
	uint8_t nguid[16]; /* zeroes: none */
};

/* "mem:SIZE", "file:PATH" or "file:PATH:SIZE"; the last makes the file, or makes
 * it longer. @error gets a sentence. @seed goes into the identity. */
int store_open(const char *spec, const char *seed, struct store **store, const char **error);
/* Several threads will use it. 0 or -ENOMEM. */
int store_share(struct store *store);
/* Nobody uses it any more; @pool gets its blocks, or sends them home. */
void store_close(struct store *store, struct pool *pool);

/* The calls of struct store_ops, safe between threads. */
int store_read(struct store *store, struct pool *pool, uint64_t first, uint32_t count,
	       struct block **blocks);
int store_write(struct store *store, struct pool *pool, uint64_t first, uint32_t count,
		struct block **blocks);
/* These know bytes. The data of store_write_bytes() lies in the blocks as it will in the
 * namespace, so what is before @offset and behind the end in the first and the last of them is
 * filled in here. */
int store_write_bytes(struct store *store, struct pool *pool, uint64_t offset, uint32_t len,
		      struct block **blocks);
int store_zero_bytes(struct store *store, struct pool *pool, uint64_t offset, uint64_t len,
		     bool deallocate);
/* Of blocks that are not whole the part is zeroed, where hosts were told that it reads so. */
int store_deallocate_bytes(struct store *store, struct pool *pool, uint64_t offset, uint64_t len);

/* The same of whole blocks. */
static inline int store_zero(struct store *store, struct pool *pool, uint64_t first, uint64_t count,
			     bool deallocate)
{
	return store_zero_bytes(store, pool, first << BLOCK_SHIFT, count << BLOCK_SHIFT, deallocate);
}

static inline int store_deallocate(struct store *store, struct pool *pool, uint64_t first,
				   uint64_t count)
{
	return store_deallocate_bytes(store, pool, first << BLOCK_SHIFT, count << BLOCK_SHIFT);
}

/* Commands that are here together are announced before the first is run, one step after
 * the other, so that what they look at comes into the cache at the same time. Changes
 * nothing. */
void store_expect(const struct store *store, uint64_t first, uint32_t count,
		  enum store_step step);

int store_memory_new(uint64_t blocks, struct store **store);
int store_file_new(const char *path, uint64_t size, struct store **store);

static inline uint64_t store_lbas(const struct store *store)
{
	return store->blocks << (BLOCK_SHIFT - store->lba_shift);
}

/* In logical blocks. */
static inline bool store_range_ok(const struct store *store, uint64_t first, uint64_t count)
{
	return first <= store_lbas(store) && count <= store_lbas(store) - first;
}

/* The blocks that hold @len bytes from @offset on. */
static inline uint64_t store_blocks_of(uint64_t offset, uint64_t len)
{
	return (offset % BLOCK_BYTES + len + BLOCK_BYTES - 1) >> BLOCK_SHIFT;
}

/* "4096", "64K", "1G": bytes, or -EINVAL. */
int store_parse_size(const char *text, uint64_t *bytes);

#endif
