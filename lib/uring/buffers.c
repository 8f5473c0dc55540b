/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * buffers.c - memory that the kernel has pinned once for all
 *
 * The kernel knows a buffer by its place in the table, the program by its address;
 * the addresses are sorted here.
 */
#include "uring/ring.h"

#include <errno.h>
#include <stdlib.h>

#include "base/pages.h"

#define BUFFERS_MOST 16384

static int by_address(const void *a, const void *b)
{
	const struct ring_buffer *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static int check_buffers(const struct iovec *iov, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (!iov[i].iov_base || !iov[i].iov_len ||
		    iov[i].iov_len > UINTPTR_MAX - (uintptr_t)iov[i].iov_base)
			return -EINVAL;
	}
	return 0;
}

/* Copies them to @sorted; -EINVAL if two overlap. */
static int sort_buffers(struct ring_buffer *sorted, const struct iovec *iov, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		sorted[i].start = (uintptr_t)iov[i].iov_base;
		sorted[i].end = sorted[i].start + iov[i].iov_len;
		sorted[i].index = i;
	}
	qsort(sorted, count, sizeof(*sorted), by_address);
	for (unsigned i = 1; i < count; i++) {
		if (sorted[i].start < sorted[i - 1].end)
			return -EINVAL;
	}
	return 0;
}

int zcreq_uring_register(struct zcreq_uring *uring, const struct iovec *iov, unsigned count)
{
	struct ring_buffer *sorted;
	int ret;

	if (!uring || !iov || !count || count > BUFFERS_MOST)
		return -EINVAL;
	ret = check_buffers(iov, count);
	if (ret)
		return ret;
	if (uring->buffers || uring->in_flight)
		return -EBUSY;
	sorted = calloc(count, sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	ret = sort_buffers(sorted, iov, count);
	if (!ret)
		ret = uring->ops->register_buffers(iov, count, uring->ops_arg);
	if (ret) {
		free(sorted);
		return ret;
	}
	uring->buffers = sorted;
	uring->buffer_count = count;
	return 0;
}

int zcreq_uring_unregister(struct zcreq_uring *uring)
{
	int ret;

	if (!uring)
		return -EINVAL;
	if (!uring->buffers)
		return -ENOENT;
	if (uring->in_flight)
		return -EBUSY;
	ret = uring->ops->register_buffers(NULL, 0, uring->ops_arg);
	if (ret)
		return ret;
	free(uring->buffers);
	uring->buffers = NULL;
	uring->buffer_count = 0;
	return 0;
}

/* How many of them start before @at. */
static unsigned starting_before(const struct zcreq_uring *uring, uintptr_t at)
{
	unsigned low = 0, high = uring->buffer_count;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (uring->buffers[middle].start < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int zcreq_ring_buffer_of(const struct zcreq_uring *uring, const struct iovec *iov)
{
	uintptr_t start = (uintptr_t)iov->iov_base;
	/* the last that does not start behind it */
	unsigned low = starting_before(uring, start + 1);

	if (!low || iov->iov_len > uring->buffers[low - 1].end - start ||
	    start >= uring->buffers[low - 1].end)
		return -1;
	return (int)uring->buffers[low - 1].index;
}

bool zcreq_ring_has_any(const struct zcreq_uring *uring, const struct iovec *memory, int count)
{
	for (int i = 0; i < count; i++) {
		const struct zcreq_pages pages = zcreq_pages_of(&memory[i]);
		/* they do not overlap: of those before its end the last reaches furthest */
		unsigned low = starting_before(uring, pages.end);

		if (low && uring->buffers[low - 1].end > pages.start)
			return true;
	}
	return false;
}
