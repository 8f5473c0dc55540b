/* SPDX-License-Identifier: BSD-2-Clause */
#include "stream/ids.h"

#include <errno.h>

#include "base/bug.h"

int zcreq_ids_grow(struct zcreq_ids *ids, const struct zcreq_allocator *allocator,
		   uint32_t least)
{
	void *grown;

	if (ids->next - ids->oldest >= ZCREQ_IDS_MAX)
		return -ENOBUFS;
	grown = zcreq_fifo_grow(allocator, ids->batches, &ids->mask, sizeof(*ids->batches),
				ids->oldest, ids->next, least);
	if (!grown)
		return -ENOMEM;
	ids->batches = grown;
	return 0;
}

void zcreq_ids_trim(struct zcreq_ids *ids, const struct zcreq_allocator *allocator)
{
	zcreq_assert(!ids->pending);
	zcreq_free(allocator, ids->batches);
	ids->batches = NULL;
	ids->mask = UINT32_MAX;
}
