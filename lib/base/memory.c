/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void *libc_calloc(size_t count, size_t size, void *arg)
{
	int saved = errno;
	void *memory = calloc(count, size);

	(void)arg;
	/* clang holds that calloc() leaves errno alone, and would leave out what is below */
	__asm__ volatile("" ::: "memory");
	errno = saved; /* which is the caller's */
	return memory;
}

static void libc_free(void *memory, void *arg)
{
	(void)arg;
	free(memory);
}

const struct zcreq_allocator zcreq_libc_allocator = {
	.calloc = libc_calloc,
	.free = libc_free,
};

/* the largest fifo; counters then still tell full from empty */
#define FIFO_MAX ((uint32_t)1 << 30)

void *zcreq_fifo_grow(const struct zcreq_allocator *a, void *fifo, uint32_t *mask, size_t size,
		      uint32_t head, uint32_t tail, uint32_t least)
{
	uint32_t capacity = fifo ? *mask + 1 : 1;
	char *grown;

	if (least > FIFO_MAX)
		return NULL;
	if (fifo && capacity <= FIFO_MAX / 2)
		capacity *= 2;
	while (capacity < least)
		capacity *= 2;
	if (fifo && capacity == *mask + 1)
		return NULL;
	grown = zcreq_calloc(a, capacity, size);
	if (!grown)
		return NULL;
	for (uint32_t i = head; i != tail; i++)
		memcpy(grown + (i & (capacity - 1)) * size, (char *)fifo + (i & *mask) * size,
		       size);
	zcreq_free(a, fifo);
	*mask = capacity - 1;
	return grown;
}
