/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/pool.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/options.h"
#include "core/core.h"
#include "memory/maps.h"

/* In place of the number of the next free buffer. */
#define OUT UINT32_MAX
#define NO_NEXT (UINT32_MAX - 1)

#define HUGE_BYTES ((size_t)2 << 20)

struct zcreq_pool {
	struct zcreq_context *context;
	struct zcreq_pool *next; /* of the context */
	uint32_t count, out;
	uint32_t first;          /* free one, or NO_NEXT */
	size_t buffer_bytes;     /* whole pages */
	unsigned advice;
	char *start;             /* of the buffers */
	char *mapping;           /* begins before it, if that had to be aligned */
	size_t mapping_bytes;
	uint32_t after[];        /* each free one: the next, or NO_NEXT; else OUT */
};

static int map(struct zcreq_pool *pool, unsigned flags)
{
	const size_t bytes = pool->count * pool->buffer_bytes;
	const size_t align = flags & ZCREQ_POOL_HUGE ? HUGE_BYTES : 1;

	pool->mapping_bytes = bytes + align - 1;
	pool->mapping = mmap(NULL, pool->mapping_bytes, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pool->mapping == MAP_FAILED)
		return -ENOMEM;
	pool->start = pool->mapping + (-(uintptr_t)pool->mapping & (align - 1));
	if (flags & ZCREQ_POOL_HUGE && !madvise(pool->start, bytes, MADV_HUGEPAGE))
		pool->advice = ZCREQ_ADVICE_HUGE;
	if (flags & ZCREQ_POOL_POPULATE) {
		const size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);

		for (size_t at = 0; at < bytes; at += page_bytes)
			((volatile char *)pool->start)[at] = 0;
	}
	return 0;
}

/* Whole pages for each; 0 if addresses for all of them cannot be counted. */
static size_t buffer_bytes(const struct zcreq_pool_options *o, size_t page_bytes)
{
	size_t bytes;

	if (o->buffer_bytes > SIZE_MAX - page_bytes)
		return 0;
	bytes = (o->buffer_bytes + page_bytes - 1) & ~(page_bytes - 1);
	return bytes > (SIZE_MAX / 2 - HUGE_BYTES) / o->count ? 0 : bytes;
}

int zcreq_pool_new(struct zcreq_context *context, const struct zcreq_pool_options *options,
		   struct zcreq_pool **out)
{
	struct zcreq_pool_options o;
	struct zcreq_pool *pool;
	int saved = errno, ret;
	size_t bytes;

	if (!context || !options || !out)
		return -EINVAL;
	zcreq_guard_hears(context, NULL, ZCREQ_CALL_DOES);
	ret = zcreq_options_copy(&o, options, sizeof(o), ZCREQ_POOL_HUGE | ZCREQ_POOL_POPULATE);
	if (ret)
		return ret;
	if (!o.count || o.count >= NO_NEXT || !o.buffer_bytes)
		return -EINVAL;
	bytes = buffer_bytes(&o, (size_t)sysconf(_SC_PAGESIZE));
	if (!bytes)
		return -ENOMEM;
	pool = zcreq_calloc(&context->allocator, 1,
			    sizeof(*pool) + o.count * sizeof(*pool->after));
	if (!pool)
		return -ENOMEM;
	pool->context = context;
	pool->count = o.count;
	pool->buffer_bytes = bytes;
	ret = map(pool, o.flags);
	errno = saved;
	if (ret) {
		zcreq_free(&context->allocator, pool);
		return ret;
	}
	for (uint32_t i = 0; i < o.count; i++)
		pool->after[i] = i + 1 < o.count ? i + 1 : NO_NEXT;
	pool->next = context->pools;
	context->pools = pool;
	*out = pool;
	return 0;
}

int zcreq_pool_free(struct zcreq_pool *pool)
{
	struct zcreq_pool **at;

	if (!pool)
		return 0;
	if (pool->out)
		return -EBUSY;
	for (at = &pool->context->pools; *at != pool; at = &(*at)->next)
		;
	*at = pool->next;
	munmap(pool->mapping, pool->mapping_bytes);
	zcreq_free(&pool->context->allocator, pool);
	return 0;
}

void *zcreq_pool_get(struct zcreq_pool *pool)
{
	uint32_t number;

	if (!pool || pool->first == NO_NEXT)
		return NULL;
	number = pool->first;
	pool->first = pool->after[number];
	pool->after[number] = OUT;
	pool->out++;
	return pool->start + number * pool->buffer_bytes;
}

int zcreq_pool_put(struct zcreq_pool *pool, void *buffer)
{
	uintptr_t offset;
	uint32_t number;

	if (!pool || !buffer)
		return -EINVAL;
	offset = (uintptr_t)buffer - (uintptr_t)pool->start;
	if (offset % pool->buffer_bytes || offset / pool->buffer_bytes >= pool->count)
		return -EINVAL;
	number = (uint32_t)(offset / pool->buffer_bytes);
	if (pool->after[number] != OUT)
		return -EALREADY;
	pool->after[number] = pool->first;
	pool->first = number;
	pool->out--;
	return 0;
}

const struct zcreq_pool *zcreq_pool_of(const struct zcreq_pool *pools, const struct iovec *run)
{
	for (; pools; pools = pools->next) {
		const uintptr_t offset = (uintptr_t)run->iov_base - (uintptr_t)pools->start;
		const size_t bytes = pools->count * pools->buffer_bytes;

		if (offset < bytes && run->iov_len <= bytes - offset)
			return pools;
	}
	return NULL;
}

unsigned zcreq_pool_advice(const struct zcreq_pool *pool)
{
	return pool->advice;
}
