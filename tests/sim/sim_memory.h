/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_memory.h - memory for sends, at places that depend on nothing but the life
 *
 * Where pages are exchanged it matters what is on them, and malloc(3) puts it elsewhere each
 * time. So a life has a region of its own in which the first place that is free is given,
 * with no gaps but for alignment: buffers touch, share pages, and are used again.
 */
#ifndef ZCREQ_SIM_MEMORY_H
#define ZCREQ_SIM_MEMORY_H

#include <stddef.h>
#include <stdint.h>

struct sim_block {
	size_t at, len;
};

/** All that is in use, in order. */
struct sim_memory {
	struct sim_block *blocks;
	size_t count, room;
};

uint8_t *sim_memory_take(struct sim_memory *memory, size_t len);

/** Also what came from malloc(3): that is given back there. */
void sim_memory_give(struct sim_memory *memory, uint8_t *block);
void sim_memory_deinit(struct sim_memory *memory);

#endif
