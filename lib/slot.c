/* SPDX-License-Identifier: BSD-2-Clause */
#include "slot.h"

#include <errno.h>
#include <string.h>

static const uint64_t generation_mask = ~(ZCREQ_SLOT_INDEX_MASK | ZCREQ_SLOT_KIND_MASK);

void zcreq_slots_init(struct zcreq_slots *table, const struct zcreq_allocator *allocator,
		      enum zcreq_slot_kind kind, uint32_t limit, uint64_t seed)
{
	*table = (struct zcreq_slots){
		.free = ZCREQ_SLOT_NONE,
		.limit = limit,
		.seed = seed,
		.in_use = (uint64_t)kind << ZCREQ_SLOT_INDEX_BITS | 1,
		.allocator = allocator,
	};
}

void zcreq_slots_deinit(struct zcreq_slots *table)
{
	for (uint32_t i = 0; i * ZCREQ_SLOT_PAGE < table->made; i++)
		zcreq_free(table->allocator, table->pages[i]);
	zcreq_free(table->allocator, table->pages);
}

static int make_room_for_page(struct zcreq_slots *table, uint32_t page)
{
	uint32_t room = table->page_room ? table->page_room * 2 : 16;
	char **pages;

	if (page < table->page_room)
		return 0;
	pages = zcreq_calloc(table->allocator, room, sizeof(*pages));
	if (!pages)
		return -ENOMEM;
	if (page)
		memcpy(pages, table->pages, page * sizeof(*pages));
	zcreq_free(table->allocator, table->pages);
	table->pages = pages;
	table->page_room = room;
	return 0;
}

int zcreq_slots_grow(struct zcreq_slots *table, size_t size)
{
	uint32_t first = table->made, page = first >> ZCREQ_SLOT_PAGE_BITS, count;
	int ret;

	if (first >= table->limit)
		return -EMFILE;
	ret = make_room_for_page(table, page);
	if (ret)
		return ret;
	table->pages[page] = zcreq_calloc(table->allocator, ZCREQ_SLOT_PAGE, size);
	if (!table->pages[page])
		return -ENOMEM;
	count = table->limit - first < ZCREQ_SLOT_PAGE ? table->limit - first : ZCREQ_SLOT_PAGE;
	table->made = first + count;
	for (uint32_t i = table->made; i-- > first;) {
		struct zcreq_slot *slot = zcreq_slots_at(table, i, size);

		slot->bits = (zcreq_mix(table->seed + i) & generation_mask) | (i ^ 1);
		slot->next_free = table->free;
		table->free = i;
	}
	return 0;
}
