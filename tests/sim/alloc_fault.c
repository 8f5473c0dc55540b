/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * alloc_fault.c - see alloc_fault.h
 */
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "sim/alloc_fault.h"

#define BLOCK_LIVE UINT64_C(0x6c6976656c697665)
#define BLOCK_DEAD UINT64_C(0x6465616464656164)

struct block {
	alignas(max_align_t) uint64_t mark;
	size_t size;
};

static void *fault_calloc(size_t count, size_t size, void *arg)
{
	struct alloc_fault *fault = arg;
	struct block *block;

	fault->calls++;
	if (fault->fail_at && fault->calls >= fault->fail_at &&
	    fault->calls - fault->fail_at < fault->fail_times) {
		fault->failed++;
		return NULL;
	}
	if (size && count > (SIZE_MAX - sizeof(*block)) / size)
		return NULL;
	block = calloc(1, sizeof(*block) + count * size);
	if (!block)
		return NULL;
	block->mark = BLOCK_LIVE;
	block->size = count * size;
	fault->live_blocks++;
	fault->live_bytes += block->size;
	if (fault->peak_bytes < fault->live_bytes)
		fault->peak_bytes = fault->live_bytes;
	return block + 1;
}

static void fault_free(void *memory, void *arg)
{
	struct alloc_fault *fault = arg;
	struct block *block = memory;

	if (!block) {
		fault->bad_frees++;
		return;
	}
	block--;
	if (block->mark != BLOCK_LIVE) {
		fault->bad_frees++;
		return;
	}
	block->mark = BLOCK_DEAD;
	fault->live_blocks--;
	fault->live_bytes -= block->size;
	memset(block + 1, 0xdd, block->size);
	free(block);
}

void alloc_fault_init(struct alloc_fault *fault)
{
	memset(fault, 0, sizeof(*fault));
	fault->allocator.calloc = fault_calloc;
	fault->allocator.free = fault_free;
	fault->allocator.arg = fault;
}

void alloc_fault_arm(struct alloc_fault *fault, uint64_t nth, uint64_t times)
{
	fault->fail_at = nth ? fault->calls + nth : 0;
	fault->fail_times = times;
}
