/* SPDX-License-Identifier: BSD-2-Clause */
#include "stream/ids.h"

#include <errno.h>

#include "base/bug.h"

int zcreq_window_grow(struct zcreq_window *window, const struct zcreq_allocator *allocator)
{
	void *grown;

	if (window->next - window->oldest >= ZCREQ_WINDOW_MAX)
		return -ENOBUFS;
	grown = zcreq_ring_grow(allocator, window->ring, &window->mask, sizeof(*window->ring),
				window->oldest, window->next, ZCREQ_WINDOW_LEAST);
	if (!grown)
		return -ENOMEM;
	window->ring = grown;
	return 0;
}

void zcreq_window_trim(struct zcreq_window *window, const struct zcreq_allocator *allocator)
{
	zcreq_assert(!window->pending);
	zcreq_free(allocator, window->ring);
	window->ring = NULL;
	window->mask = UINT32_MAX;
}
