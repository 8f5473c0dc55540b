/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory.h - the library's own memory, from the allocator of the context
 *
 * The growing arrays of the library all grow the same way: twice as large, the
 * old content copied, the old array freed. It is written once, in memory.c.
 */
#ifndef ZCREQ_LIB_MEMORY_H
#define ZCREQ_LIB_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include <zcreq/context.h>

/* the allocator that NULL in the options stands for */
extern const struct zcreq_allocator zcreq_libc_allocator;

static inline void *zcreq_calloc(const struct zcreq_allocator *a, size_t count, size_t size)
{
	return a->calloc(count, size, a->arg);
}

static inline void zcreq_free(const struct zcreq_allocator *a, void *memory)
{
	if (memory)
		a->free(memory, a->arg);
}

/*
 * A fifo is an array that wraps: its size is a power of two, and ever growing 32-bit
 * counters index it with a mask. Returns a fifo of twice the size (at least @least) with
 * the entries @head..@tail at their places, or NULL; frees the old one on success.
 */
void *zcreq_fifo_grow(const struct zcreq_allocator *a, void *fifo, uint32_t *mask, size_t size,
		      uint32_t head, uint32_t tail, uint32_t least);

#endif
