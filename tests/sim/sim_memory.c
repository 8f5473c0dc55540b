/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_memory.c - see sim_memory.h
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sim/sim_memory.h"

#define REGION_BYTES ((size_t)256 << 20)
#define ALIGN 16

/* One for all lives of the process: its pages are there already. */
static uint8_t *region;

static void make_region(void)
{
	region = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (region == MAP_FAILED)
		abort();
}

static size_t end_of(const struct sim_block *block)
{
	return (block->at + block->len + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

uint8_t *sim_memory_take(struct sim_memory *memory, size_t len)
{
	size_t i, at = 0;

	if (!region)
		make_region();
	if (memory->count == memory->room) {
		memory->room = memory->room ? memory->room * 2 : 64;
		memory->blocks = realloc(memory->blocks, memory->room * sizeof(*memory->blocks));
		if (!memory->blocks)
			abort();
	}
	for (i = 0; i < memory->count && memory->blocks[i].at < at + len; i++)
		at = end_of(&memory->blocks[i]);
	if (at + len > REGION_BYTES)
		abort();
	memmove(&memory->blocks[i + 1], &memory->blocks[i],
		(memory->count++ - i) * sizeof(*memory->blocks));
	memory->blocks[i] = (struct sim_block){ at, len };
	return region + at;
}

void sim_memory_give(struct sim_memory *memory, uint8_t *block)
{
	size_t i, at = (size_t)((uintptr_t)block - (uintptr_t)region);

	if (!region || at >= REGION_BYTES) {
		free(block);
		return;
	}
	for (i = 0; i < memory->count && memory->blocks[i].at != at; i++)
		continue;
	if (i == memory->count)
		abort();
	memmove(&memory->blocks[i], &memory->blocks[i + 1],
		(--memory->count - i) * sizeof(*memory->blocks));
}

void sim_memory_deinit(struct sim_memory *memory)
{
	free(memory->blocks);
}
