/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store.c - from the words of an option to a namespace
 *
 * Owns: the syntax of --namespace and the identity that a namespace gets.
 * Never: touches content.
 *
 * The identity is computed from the subsystem's name, the namespace's place in it
 * and the words themselves, without the size of a file, which is only needed to make it: a
 * host that comes back after a restart finds what it knew under the same UUID, and two
 * targets do not clash.
 */
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stripes.h"

int store_parse_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "KMGT";
	unsigned long long value;
	const char *unit;
	unsigned shift = 0;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno)
		return -EINVAL;
	if (*end) {
		unit = strchr(units, *end & ~0x20);
		if (!unit || end[1])
			return -EINVAL;
		shift = 10 * (unsigned)(unit - units + 1);
	}
	if (value > UINT64_MAX >> shift)
		return -EINVAL;
	*bytes = (uint64_t)value << shift;
	return 0;
}

static uint64_t fnv(uint64_t hash, const char *text, size_t len)
{
	while (len--)
		hash = (hash ^ (uint8_t)*text++) * 0x100000001b3;
	return hash;
}

/* Of "file:PATH:SIZE" the first two: how much of it says which namespace it is. */
static size_t naming_len(const char *spec)
{
	const char *colon = strrchr(spec, ':');
	uint64_t size;

	if (strncmp(spec, "file:", 5) || colon < spec + 5 || store_parse_size(colon + 1, &size) < 0)
		return strlen(spec);
	return (size_t)(colon - spec);
}

/* A UUID of version 8 (RFC 9562): made by a rule of our own. */
static void name(uint8_t uuid[16], const char *seed, const char *spec)
{
	size_t seed_len = strlen(seed), len = naming_len(spec);
	uint64_t half[2];

	half[0] = fnv(fnv(0xcbf29ce484222325, seed, seed_len), spec, len);
	half[1] = fnv(fnv(half[0], spec, len), seed, seed_len);
	memcpy(uuid, half, 16);
	uuid[6] = (uuid[6] & 0x0f) | 0x80;
	uuid[8] = (uuid[8] & 0x3f) | 0x80;
}

static int open_file(const char *spec, struct store **store)
{
	char *path = strdup(spec), *colon;
	uint64_t size = 0;
	int err;

	if (!path)
		return -ENOMEM;
	colon = strrchr(path, ':');
	if (colon && store_parse_size(colon + 1, &size) == 0)
		*colon = 0;
	err = store_file_new(path, size, store);
	free(path);
	return err;
}

int store_open(const char *spec, const char *seed, struct store **store, const char **error)
{
	uint64_t bytes;
	int err;

	if (!strncmp(spec, "mem:", 4)) {
		if (store_parse_size(spec + 4, &bytes) < 0) {
			*error = "the size is not a number of bytes, K, M, G or T";
			return -EINVAL;
		}
		err = store_memory_new(bytes / BLOCK_BYTES, store);
	} else if (!strncmp(spec, "file:", 5)) {
		err = open_file(spec + 5, store);
	} else {
		*error = "it is neither mem:SIZE nor file:PATH";
		return -EINVAL;
	}
	if (err < 0) {
		*error = strerror(-err);
		return err;
	}
	(*store)->lba_shift = BLOCK_SHIFT;
	name((*store)->uuid, seed, spec);
	return 0;
}

void store_close(struct store *store, struct pool *pool)
{
	stripes_free(store->stripes);
	store->ops->free(store, pool);
}

int store_share(struct store *store)
{
	store->stripes = stripes_new();
	return store->stripes ? 0 : -ENOMEM;
}

int store_read(struct store *store, struct pool *pool, uint64_t first, uint32_t count,
	       struct block **blocks)
{
	uint64_t held;
	int err;

	if (!store->stripes)
		return store->ops->read(store, pool, first, count, blocks);
	held = stripes_lock(store->stripes, first, count, STRIPES_READ);
	err = store->ops->read(store, pool, first, count, blocks);
	stripes_unlock(store->stripes, held);
	return err;
}

int store_write(struct store *store, struct pool *pool, uint64_t first, uint32_t count,
		struct block **blocks)
{
	uint64_t held;
	int err;

	if (!store->stripes)
		return store->ops->write(store, pool, first, count, blocks);
	held = stripes_lock(store->stripes, first, count, STRIPES_WRITE);
	err = store->ops->write(store, pool, first, count, blocks);
	stripes_unlock(store->stripes, held);
	return err;
}

void store_expect(const struct store *store, uint64_t first, uint32_t count,
		  enum store_step step)
{
	uint64_t held;

	if (!store->ops->expect)
		return;
	if (!store->stripes) {
		store->ops->expect(store, first, count, step);
		return;
	}
	held = stripes_lock(store->stripes, first, count, STRIPES_READ);
	store->ops->expect(store, first, count, step);
	stripes_unlock(store->stripes, held);
}

/* ---- bytes ---------------------------------------------------------------------- */

/* Bytes @from to @to of a block as they are now. Under the lock. */
static int fill(struct store *store, struct pool *pool, uint64_t number, struct block *block,
		uint32_t from, uint32_t to)
{
	struct block *current;
	int err;

	if (from == to)
		return 0;
	err = store->ops->read(store, pool, number, 1, &current);
	if (err < 0)
		return err;
	memcpy((uint8_t *)block_data(block) + from, (const uint8_t *)block_data(current) + from,
	       to - from);
	block_unref(pool, current);
	return 0;
}

static int write_bytes(struct store *store, struct pool *pool, uint64_t offset, uint32_t len,
		       struct block **blocks)
{
	uint64_t first = offset >> BLOCK_SHIFT, count = store_blocks_of(offset, len);
	uint32_t before = (uint32_t)(offset % BLOCK_BYTES), end = (before + len) % BLOCK_BYTES;
	int err = fill(store, pool, first, blocks[0], 0, before);

	if (err == 0 && end)
		err = fill(store, pool, first + count - 1, blocks[count - 1], end, BLOCK_BYTES);
	return err ? err : store->ops->write(store, pool, first, (uint32_t)count, blocks);
}

int store_write_bytes(struct store *store, struct pool *pool, uint64_t offset, uint32_t len,
		      struct block **blocks)
{
	uint64_t held = stripes_lock(store->stripes, offset >> BLOCK_SHIFT,
				     store_blocks_of(offset, len), STRIPES_WRITE);
	int err = write_bytes(store, pool, offset, len, blocks);

	stripes_unlock(store->stripes, held);
	return err;
}

/* Within one block. */
static int zero_part(struct store *store, struct pool *pool, uint64_t offset, uint32_t len)
{
	struct block *block;
	int err;

	if (!len)
		return 0;
	err = pool_take(pool, &block, 1);
	if (err < 0)
		return err;
	memset(block_data(block), 0, BLOCK_BYTES);
	err = write_bytes(store, pool, offset, len, &block);
	if (err < 0)
		block_unref(pool, block);
	return err;
}

/* A range as whole blocks, and what is before and behind them. */
struct cut {
	uint64_t first, count, behind;
	uint32_t before_len, behind_len;
};

static struct cut cut_of(uint64_t offset, uint64_t len)
{
	uint64_t end = offset + len, up = (offset + BLOCK_BYTES - 1) >> BLOCK_SHIFT;
	uint64_t down = end >> BLOCK_SHIFT;
	struct cut cut = { .first = up };

	if (up > down) { /* all in one block */
		cut.before_len = (uint32_t)len;
		return cut;
	}
	cut.count = down - up;
	cut.before_len = (uint32_t)((up << BLOCK_SHIFT) - offset);
	cut.behind = down << BLOCK_SHIFT;
	cut.behind_len = (uint32_t)(end - cut.behind);
	return cut;
}

static int zero_edges(struct store *store, struct pool *pool, uint64_t offset,
		      const struct cut *cut)
{
	int err = zero_part(store, pool, offset, cut->before_len);

	return err ? err : zero_part(store, pool, cut->behind, cut->behind_len);
}

int store_zero_bytes(struct store *store, struct pool *pool, uint64_t offset, uint64_t len,
		     bool deallocate)
{
	struct cut cut = cut_of(offset, len);
	uint64_t held = stripes_lock(store->stripes, offset >> BLOCK_SHIFT,
				     store_blocks_of(offset, len), STRIPES_WRITE);
	int err = zero_edges(store, pool, offset, &cut);

	if (err == 0 && cut.count)
		err = store->ops->zero(store, pool, cut.first, cut.count, deallocate);
	stripes_unlock(store->stripes, held);
	return err;
}

int store_deallocate_bytes(struct store *store, struct pool *pool, uint64_t offset, uint64_t len)
{
	struct cut cut = cut_of(offset, len);
	uint64_t held = stripes_lock(store->stripes, offset >> BLOCK_SHIFT,
				     store_blocks_of(offset, len), STRIPES_WRITE);
	int err = store->deallocated_is_zero ? zero_edges(store, pool, offset, &cut) : 0;

	if (err == 0 && cut.count)
		err = store->ops->deallocate(store, pool, cut.first, cut.count);
	stripes_unlock(store->stripes, held);
	return err;
}
