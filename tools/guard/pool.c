/* SPDX-License-Identifier: BSD-2-Clause */
#include "pool.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#define CLASS_LEAST 6  /* 64 bytes */
#define CLASS_MOST 40
#define REFILL_BYTES ((size_t)1 << 18)

/* In front of each block; a free one is in the list of its class. */
struct block {
	struct block *next;
	size_t class;
};

static struct block *free_blocks[CLASS_MOST + 1];

/* Maps room for some blocks of one class. */
static int refill(size_t class)
{
	size_t size = (size_t)1 << class, bytes = size > REFILL_BYTES ? size : REFILL_BYTES;
	char *mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mapped == MAP_FAILED)
		return -1;
	for (size_t at = 0; at < bytes; at += size) {
		struct block *block = (struct block *)(mapped + at);

		block->class = class;
		block->next = free_blocks[class];
		free_blocks[class] = block;
	}
	return 0;
}

static void *take(size_t count, size_t size, void *arg)
{
	size_t bytes, class = CLASS_LEAST;
	struct block *block;

	(void)arg;
	if (__builtin_mul_overflow(count, size, &bytes))
		return NULL;
	while (class <= CLASS_MOST && ((size_t)1 << class) - sizeof(*block) < bytes)
		class++;
	if (class > CLASS_MOST || (!free_blocks[class] && refill(class)))
		return NULL;
	block = free_blocks[class];
	free_blocks[class] = block->next;
	return memset(block + 1, 0, bytes);
}

static void give(void *memory, void *arg)
{
	struct block *block = (struct block *)memory - 1;

	(void)arg;
	block->next = free_blocks[block->class];
	free_blocks[block->class] = block;
}

const struct zcreq_allocator pool = {.calloc = take, .free = give};
