/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/slot.h"

#include <errno.h>
#include <string.h>

static const uint64_t generation_mask = ~(ZCREQ_SLOT_INDEX_MASK | ZCREQ_SLOT_KIND_MASK);

void zcreq_slots_init(struct zcreq_slots *table, const struct zcreq_allocator *allocator,
		      enum zcreq_slot_kind kind, uint32_t limit, uint64_t seed)
{
	*table = (struct zcreq_slots){
		.free = ZCREQ_SLOT_NONE,
		.free_then = ZCREQ_SLOT_NONE,
		.limit = limit,
		.seed = seed,
		.in_use = (uint64_t)kind << ZCREQ_SLOT_INDEX_BITS | 1,
		.allocator = allocator,
	};
}

void zcreq_slots_deinit(struct zcreq_slots *table)
{
	char **pages = table->pages, **before;

	for (uint32_t i = 0; i * ZCREQ_SLOT_PAGE < table->made; i++)
		zcreq_free(table->allocator, pages[i]);
	for (uint32_t room = table->page_room; pages; pages = before, room /= 2) {
		before = (char **)pages[room];
		zcreq_free(table->allocator, pages);
	}
}

static int make_room_for_page(struct zcreq_slots *table, uint32_t page)
{
	uint32_t room = table->page_room ? table->page_room * 2 : 16;
	char **before = table->pages, **pages;

	if (page < table->page_room)
		return 0;
	pages = zcreq_calloc(table->allocator, room + 1, sizeof(*pages));
	if (!pages)
		return -ENOMEM;
	if (page)
		memcpy(pages, before, page * sizeof(*pages));
	/* another thread may be looking at it: all of them together are twice the last */
	pages[room] = (char *)before;
	__atomic_store_n(&table->pages, pages, __ATOMIC_RELEASE);
	table->page_room = room;
	return 0;
}

int zcreq_slots_grow(struct zcreq_slots *table, size_t size)
{
	uint32_t first = table->made, page = first >> ZCREQ_SLOT_PAGE_BITS, count;
	char *made;
	int ret;

	if (first >= table->limit)
		return -EMFILE;
	ret = make_room_for_page(table, page);
	if (ret)
		return ret;
	made = zcreq_calloc(table->allocator, ZCREQ_SLOT_PAGE, size);
	if (!made)
		return -ENOMEM;
	table->pages[page] = made;
	/* the page before was made since then too, and its last entry ends the chain */
	if (table->free == ZCREQ_SLOT_NONE && first != table->made_then)
		zcreq_slots_at(table, first - 1, size)->next_free = first;
	count = table->limit - first < ZCREQ_SLOT_PAGE ? table->limit - first : ZCREQ_SLOT_PAGE;
	for (uint32_t i = first + count; i-- > first;) {
		struct zcreq_slot *slot = zcreq_slots_at(table, i, size);

		slot->bits = (zcreq_mix(table->seed + i) & generation_mask) | (i ^ 1);
		slot->next_free = table->free;
		table->free = i;
	}
	__atomic_store_n(&table->made, first + count, __ATOMIC_RELEASE);
	return 0;
}

void zcreq_slots_stamp(struct zcreq_slots *table, size_t size, uint32_t now)
{
	uint32_t index = table->free_then;
	uint32_t grown = table->made == table->made_then ? ZCREQ_SLOT_NONE : table->made_then;

	for (;;) {
		struct zcreq_slot *slot;

		/* all that were free at that time are taken: the first that was made since */
		if (index == ZCREQ_SLOT_NONE) {
			index = grown;
			grown = ZCREQ_SLOT_NONE;
		}
		/* none of either is left; what is free was given back since, and ends no chain */
		if (index == table->free || index == ZCREQ_SLOT_NONE)
			return;
		slot = zcreq_slots_at(table, index, size);
		if (!zcreq_slot_in_use(slot))
			return;
		slot->since = now;
		index = slot->next_free;
	}
}
