/* SPDX-License-Identifier: BSD-2-Clause */
#include "window.h"

#include <errno.h>

int zcreq_window_grow(struct zcreq_window *window, const struct zcreq_allocator *allocator)
{
	void *grown;

	if (window->next - window->oldest >= ZCREQ_WINDOW_MAX)
		return -ENOBUFS;
	grown = zcreq_ring_grow(allocator, window->ring, &window->mask, sizeof(*window->ring),
				window->oldest, window->next, 8);
	if (!grown)
		return -ENOMEM;
	window->ring = grown;
	return 0;
}
