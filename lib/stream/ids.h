/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * window.h - which sends a notification id speaks of
 *
 * The kernel gives every accepted MSG_ZEROCOPY call an id, counting up in 32 bits
 * and around, and later says "ids lo to hi are no longer referenced", in any
 * order. The window is a ring of what is between the oldest id without proof and
 * the next one to be given; an id's place is a mask away, so each costs O(1).
 *
 * All arithmetic is modulo 2^32 and relative to the oldest: lo > hi is a range
 * that wraps, as long as another. A range that is not wholly inside the window
 * was never given, or was finished before, and is refused by one comparison,
 * whatever its length. So nobody can make this loop for more than what is in
 * flight.
 */
#ifndef ZCREQ_LIB_WINDOW_H
#define ZCREQ_LIB_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/memory.h"

/* A batch: what one call took. The sends first..last are those it has bytes of. */
struct zcreq_batch {
	uint32_t first_send;
	uint32_t last_send;
	uint32_t pending; /* 1 until its proof is here */
};

struct zcreq_window {
	struct zcreq_batch *ring;
	uint32_t mask;    /* capacity - 1 */
	uint32_t oldest;  /* id */
	uint32_t next;    /* id of the next batch */
	uint32_t pending; /* batches without proof */
};

/* Batches that can be between the oldest id and the next. */
#define ZCREQ_WINDOW_MAX ((uint32_t)1 << 24)

/* Batches for which a ring has room when it is made. */
#define ZCREQ_WINDOW_LEAST 2

static inline void zcreq_window_init(struct zcreq_window *window, uint32_t first_id)
{
	*window = (struct zcreq_window){
		.mask = UINT32_MAX,
		.oldest = first_id,
		.next = first_id,
	};
}

/* Makes sure that the next push has a place: 0, -ENOMEM, or -ENOBUFS at the limit. */
int zcreq_window_grow(struct zcreq_window *window, const struct zcreq_allocator *allocator);

static inline int zcreq_window_reserve(struct zcreq_window *window,
				       const struct zcreq_allocator *allocator)
{
	if (__builtin_expect(window->next - window->oldest < window->mask + 1, 1))
		return 0;
	return zcreq_window_grow(window, allocator);
}

/* Gives the ring back when no id waits; the next push makes one again. */
void zcreq_window_trim(struct zcreq_window *window, const struct zcreq_allocator *allocator);

/* A call was given the next id; a place was reserved before. */
static inline void zcreq_window_push(struct zcreq_window *window, uint32_t first_send,
				     uint32_t last_send)
{
	window->ring[window->next++ & window->mask] = (struct zcreq_batch){
		.first_send = first_send,
		.last_send = last_send,
		.pending = 1,
	};
	window->pending++;
}

/* Are all ids of the range in the window, and is it a range at all? */
static inline bool zcreq_window_knows(const struct zcreq_window *window, uint32_t lo, uint32_t hi)
{
	uint32_t offset = lo - window->oldest, more = hi - lo;
	uint32_t span = window->next - window->oldest;

	return offset < span && more < span - offset;
}

/*
 * Takes the proof for one id that the window knows: returns its batch, which is
 * good until the next call, or NULL if the proof was here before.
 */
static inline struct zcreq_batch *zcreq_window_prove(struct zcreq_window *window, uint32_t id)
{
	struct zcreq_batch *batch = &window->ring[id & window->mask];

	if (__builtin_expect(!batch->pending, 0))
		return NULL;
	batch->pending = 0;
	window->pending--;
	while (window->oldest != window->next &&
	       !window->ring[window->oldest & window->mask].pending)
		window->oldest++;
	return batch;
}

#endif
