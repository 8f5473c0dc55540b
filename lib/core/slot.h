/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slot.h - tables whose entries are named by handles that die with them
 *
 * A table is a growing set of pages of equal entries, each of which begins with
 * struct zcreq_slot. Pages never move, so a pointer to an entry in use stays
 * good; the outside only ever gets the handle:
 *
 *	63          28 27  26 25                    0
 *	[ generation  | kind | index                 ]
 *
 * The entry stores the whole handle that is good for it now, so a look-up is one
 * comparison, and a stale, forged or foreign handle differs in some bit. Freeing
 * an entry moves its generation on and stores the index of its neighbour, with which
 * nobody comes here, and the kind "free". Generations start at a hash of the
 * context's seed and the index, so that neither a handle of another context nor that
 * of a neighbour fits by chance.
 *
 * When an entry was taken is known only by the next turn, which stamps all that were taken
 * since the last one. These need no list: a taken entry keeps its link to the one that was
 * free behind it, so they are the chain from what was the first free entry then to what is
 * now. It misses one that is given back in between, and those behind it.
 *
 * It never frees a page before the table's end, and calls nobody but the allocator.
 *
 * One thread owns a table; any other may claim an entry in use by its handle
 * (zcreq_slots_claim()). That is why the owner writes the words that a claim reads
 * atomically, and why an array of pages that was outgrown stays until the end. The
 * owner reads plainly what nobody else writes. See doc/threads.md.
 */
#ifndef ZCREQ_LIB_SLOT_H
#define ZCREQ_LIB_SLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/memory.h"
#include "base/seed.h"

#define ZCREQ_SLOT_INDEX_BITS 26
#define ZCREQ_SLOT_INDEX_MASK (((uint64_t)1 << ZCREQ_SLOT_INDEX_BITS) - 1)
#define ZCREQ_SLOT_KIND_MASK ((uint64_t)3 << ZCREQ_SLOT_INDEX_BITS)
#define ZCREQ_SLOT_GENERATION ((uint64_t)1 << (ZCREQ_SLOT_INDEX_BITS + 2))

#define ZCREQ_SLOT_PAGE_BITS 6
#define ZCREQ_SLOT_PAGE (1u << ZCREQ_SLOT_PAGE_BITS)

#define ZCREQ_SLOT_NONE UINT32_MAX

enum zcreq_slot_kind {
	ZCREQ_SLOT_FREE = 0,
	ZCREQ_SLOT_REQUEST = 1,
	ZCREQ_SLOT_HOLD = 2,
};

struct zcreq_slot {
	/* the handle that is good for this entry now; aligned, since it is loaded and stored in
	 * one piece, and with 32 bits i386 would be content with 4 */
	_Alignas(8) uint64_t bits;
	uint32_t next_free; /* index, while it is free; in use, what it was then */
	uint32_t since;     /* for whoever takes it: when that was */
};

struct zcreq_slots {
	char **pages;       /* and behind the last one the array before this */
	uint32_t made;      /* entries that exist, used or free */
	uint32_t free;      /* index of the first free one, or NONE */
	uint32_t limit;
	uint32_t page_room; /* pages that the array has room for */
	uint32_t made_then; /* these two when the last turn ended */
	uint32_t free_then;
	uint64_t seed;      /* where generations of new entries come from */
	uint64_t in_use;    /* the bits that differ between an entry in use and a free one */
	const struct zcreq_allocator *allocator;
};

void zcreq_slots_init(struct zcreq_slots *table, const struct zcreq_allocator *allocator,
		      enum zcreq_slot_kind kind, uint32_t limit, uint64_t seed);
void zcreq_slots_deinit(struct zcreq_slots *table);

/* Makes a page of free entries: 0, -ENOMEM, or -EMFILE at the limit. */
int zcreq_slots_grow(struct zcreq_slots *table, size_t size);

/* Those in use that were taken since zcreq_slots_mark() begin @now. */
void zcreq_slots_stamp(struct zcreq_slots *table, size_t size, uint32_t now);

/* Those that are taken from here on are to be stamped. */
static inline void zcreq_slots_mark(struct zcreq_slots *table)
{
	table->made_then = table->made;
	table->free_then = table->free;
}

static inline struct zcreq_slot *zcreq_slots_at(const struct zcreq_slots *table, uint32_t index,
						size_t size)
{
	return (struct zcreq_slot *)(table->pages[index >> ZCREQ_SLOT_PAGE_BITS] +
				     (index & (ZCREQ_SLOT_PAGE - 1)) * size);
}

/* The handle that is good for an entry at which other threads may be looking. */
static inline uint64_t zcreq_slot_bits(const struct zcreq_slot *slot)
{
	return __atomic_load_n(&slot->bits, __ATOMIC_RELAXED);
}

/* The entry that a handle names, or NULL if it names none that is in use. */
static inline struct zcreq_slot *zcreq_slots_find(const struct zcreq_slots *table, uint64_t bits,
						  size_t size)
{
	uint32_t index = bits & ZCREQ_SLOT_INDEX_MASK;
	struct zcreq_slot *slot;

	if (index >= table->made)
		return NULL;
	slot = zcreq_slots_at(table, index, size);
	return slot->bits == bits ? slot : NULL;
}

/* Is an entry, found by going through the table, in use? */
static inline bool zcreq_slot_in_use(const struct zcreq_slot *slot)
{
	return zcreq_slot_bits(slot) & ZCREQ_SLOT_KIND_MASK;
}

/* Is no entry free? Then grow first. */
static inline bool zcreq_slots_full(const struct zcreq_slots *table)
{
	return __builtin_expect(table->free == ZCREQ_SLOT_NONE, 0);
}

/* Takes a free entry into use; what is behind its struct zcreq_slot is as it was. */
static inline struct zcreq_slot *zcreq_slots_take(struct zcreq_slots *table, size_t size)
{
	struct zcreq_slot *slot = zcreq_slots_at(table, table->free, size);

	table->free = slot->next_free;
	__atomic_store_n(&slot->bits, zcreq_slot_bits(slot) ^ table->in_use, __ATOMIC_RELEASE);
	return slot;
}

/* Ends the life of an entry, claimed or not: its handle @bits is stale from here on. */
static inline void zcreq_slots_end(struct zcreq_slots *table, struct zcreq_slot *slot,
				   uint64_t bits)
{
	__atomic_store_n(&slot->bits, (bits ^ table->in_use) + ZCREQ_SLOT_GENERATION,
			 __ATOMIC_RELAXED);
	slot->next_free = table->free;
	table->free = bits & ZCREQ_SLOT_INDEX_MASK;
}

/* The same between two turns: if none was taken since the last one, the chain of those that
 * are to be stamped begins with this entry, which is taken first. */
static inline void zcreq_slots_end_early(struct zcreq_slots *table, struct zcreq_slot *slot,
					 uint64_t bits)
{
	bool none_taken = table->free_then == table->free;

	zcreq_slots_end(table, slot, bits);
	if (none_taken)
		table->free_then = table->free;
}

/* The same for an entry that nobody else can have claimed. */
static inline void zcreq_slots_give(struct zcreq_slots *table, struct zcreq_slot *slot)
{
	zcreq_slots_end(table, slot, slot->bits);
}

/* Is it the entry that had this handle last, and nobody has taken it since? */
static inline bool zcreq_slot_had(const struct zcreq_slots *table, const struct zcreq_slot *slot,
				  uint64_t bits)
{
	return slot->bits == (bits ^ table->in_use) + ZCREQ_SLOT_GENERATION;
}

/*
 * The entry that a handle names, claimed, or NULL: from any thread. Of all that try
 * one succeeds. A claimed entry stores the index of its neighbour, with which no
 * handle comes to it, so the handle is used up; the entry is not free yet.
 */
static inline struct zcreq_slot *zcreq_slots_claim(const struct zcreq_slots *table, uint64_t bits,
						   size_t size)
{
	uint32_t index = bits & ZCREQ_SLOT_INDEX_MASK;
	struct zcreq_slot *slot;
	char **pages;

	/* an index below @made is on a page of every array that can be seen after it */
	if (index >= __atomic_load_n(&table->made, __ATOMIC_ACQUIRE))
		return NULL;
	pages = __atomic_load_n(&table->pages, __ATOMIC_ACQUIRE);
	slot = (struct zcreq_slot *)(pages[index >> ZCREQ_SLOT_PAGE_BITS] +
				     (index & (ZCREQ_SLOT_PAGE - 1)) * size);
	return __atomic_compare_exchange_n(&slot->bits, &bits, bits ^ 1, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED)
		       ? slot
		       : NULL;
}

/* The handle that a claimed entry had. */
static inline uint64_t zcreq_slot_claimed(const struct zcreq_slot *slot)
{
	return zcreq_slot_bits(slot) ^ 1;
}

#endif
