/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stripes.h - locks for ranges of blocks, so that threads rarely meet
 *
 * Owns: 64 locks, each for every 64th piece of 2 MiB. A range takes the locks of all its
 * pieces, in one order, so it is whole for everybody else; a command of the largest
 * size needs two. Readers do not exclude each other.
 *
 * Never: held while anything is sent, or across a callback.
 */
#ifndef NVMET_STRIPES_H
#define NVMET_STRIPES_H

#include <stdint.h>

#define STRIPE_BLOCKS 512

struct stripes;

enum stripes_mode { STRIPES_READ, STRIPES_WRITE };

/* NULL without memory. */
struct stripes *stripes_new(void);
void stripes_free(struct stripes *stripes);

/* What is locked, for the unlock. With NULL stripes both do nothing. */
uint64_t stripes_lock(struct stripes *stripes, uint64_t first, uint64_t count,
		      enum stripes_mode mode);
void stripes_unlock(struct stripes *stripes, uint64_t held);

#endif
