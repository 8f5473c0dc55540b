/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ids.h - which sends a notification id speaks of
 *
 * The kernel gives every accepted MSG_ZEROCOPY call an id, counting up in 32 bits
 * and around, and later says "ids lo to hi are no longer referenced", in any
 * order. Here is a fifo of the batches from the oldest id without proof to the next
 * one to be given; an id's place is a mask away, so each costs O(1).
 *
 * All arithmetic is modulo 2^32 and relative to the oldest: lo > hi is a range
 * that wraps, as long as another. A range that is not wholly between the oldest and
 * the next was never given, or was finished before, and is refused by one comparison,
 * whatever its length. So nobody can make this loop for more than what is in
 * flight.
 */
#ifndef ZCREQ_LIB_IDS_H
#define ZCREQ_LIB_IDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bug.h"
#include "base/memory.h"

/* A batch: what one call took. The sends first..last are those it has bytes of. */
struct zcreq_batch {
	uint32_t first_send;
	uint32_t last_send;
	uint16_t pending; /* 1 until its proof is here */
	uint16_t empty;   /* 1: it took nothing (of a sender's), and still has a proof */
};

struct zcreq_ids {
	struct zcreq_batch *batches; /* the fifo, by id */
	uint32_t mask;    /* capacity - 1 */
	uint32_t oldest;  /* id */
	uint32_t next;    /* id of the next batch */
	uint32_t pending; /* batches without proof */
};

/* Batches that can be between the oldest id and the next. */
#define ZCREQ_IDS_MAX ((uint32_t)1 << 24)

/* Batches for which there is room when the fifo is made. */
#define ZCREQ_IDS_LEAST 2

static inline void zcreq_ids_init(struct zcreq_ids *ids, uint32_t first_id)
{
	*ids = (struct zcreq_ids){
		.mask = UINT32_MAX,
		.oldest = first_id,
		.next = first_id,
	};
}

/* Makes a larger fifo, for at least so many batches: 0, -ENOMEM, or -ENOBUFS at the limit. */
int zcreq_ids_grow(struct zcreq_ids *ids, const struct zcreq_allocator *allocator,
		   uint32_t least);

/* Makes sure that the next push has a place: as above. */
static inline int zcreq_ids_reserve(struct zcreq_ids *ids,
				       const struct zcreq_allocator *allocator)
{
	if (__builtin_expect(ids->next - ids->oldest < ids->mask + 1, 1))
		return 0;
	return zcreq_ids_grow(ids, allocator, ZCREQ_IDS_LEAST);
}

/* Gives the fifo back when no id waits; the next push makes one again. */
void zcreq_ids_trim(struct zcreq_ids *ids, const struct zcreq_allocator *allocator);

/* A call was given the next id; a place was reserved before. */
static inline void zcreq_ids_push(struct zcreq_ids *ids, uint32_t first_send,
				     uint32_t last_send)
{
	ids->batches[ids->next++ & ids->mask] = (struct zcreq_batch){
		.first_send = first_send,
		.last_send = last_send,
		.pending = 1,
	};
	ids->pending++;
}

/* The batch pushed last took nothing after all. */
static inline void zcreq_ids_took_nothing(struct zcreq_ids *ids)
{
	ids->batches[(ids->next - 1) & ids->mask].empty = 1;
}

/* The id pushed last was not given after all. */
static inline void zcreq_ids_pop(struct zcreq_ids *ids)
{
	struct zcreq_batch *batch = &ids->batches[--ids->next & ids->mask];

	zcreq_assert(batch->pending);
	batch->pending = 0;
	ids->pending--;
}

/* Are all ids of the range in flight or between what is, and is it a range at all? */
static inline bool zcreq_ids_knows(const struct zcreq_ids *ids, uint32_t lo, uint32_t hi)
{
	uint32_t offset = lo - ids->oldest, more = hi - lo;
	uint32_t span = ids->next - ids->oldest;

	return offset < span && more < span - offset;
}

/*
 * Takes the proof for one id that is known here: returns its batch, which is
 * good until the next call, or NULL if the proof was here before.
 */
static inline struct zcreq_batch *zcreq_ids_prove(struct zcreq_ids *ids, uint32_t id)
{
	struct zcreq_batch *batch = &ids->batches[id & ids->mask];

	if (__builtin_expect(!batch->pending, 0))
		return NULL;
	batch->pending = 0;
	ids->pending--;
	/* the oldest is pending, so only its own proof moves it */
	if (id == ids->oldest) {
		do
			ids->oldest++;
		while (ids->oldest != ids->next &&
		       !ids->batches[ids->oldest & ids->mask].pending);
	}
	return batch;
}

#endif
