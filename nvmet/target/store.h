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
 * (store_range_ok()). A logical block is one block of block.h, so a write never
 * has to read first.
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
int store_zero(struct store *store, struct pool *pool, uint64_t first, uint64_t count,
	       bool deallocate);
int store_deallocate(struct store *store, struct pool *pool, uint64_t first, uint64_t count);

/* Commands that are here together are announced before the first is run, one step after
 * the other, so that what they look at comes into the cache at the same time. Changes
 * nothing. */
void store_expect(const struct store *store, uint64_t first, uint32_t count,
		  enum store_step step);

int store_memory_new(uint64_t blocks, struct store **store);
int store_file_new(const char *path, uint64_t size, struct store **store);

static inline bool store_range_ok(const struct store *store, uint64_t first, uint64_t count)
{
	return first <= store->blocks && count <= store->blocks - first;
}

/* "4096", "64K", "1G": bytes, or -EINVAL. */
int store_parse_size(const char *text, uint64_t *bytes);

#endif
