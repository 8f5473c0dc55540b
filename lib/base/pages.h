/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pages.h - the whole pages that memory lies on
 */
#ifndef ZCREQ_LIB_PAGES_H
#define ZCREQ_LIB_PAGES_H

#include <stdint.h>
#include <sys/uio.h>
#include <unistd.h>

struct zcreq_pages {
	uintptr_t start, end;
};

static inline struct zcreq_pages zcreq_pages_of(const struct iovec *memory)
{
	const uintptr_t start = (uintptr_t)memory->iov_base, end = start + memory->iov_len;
	const uintptr_t mask = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;

	return (struct zcreq_pages){start & ~mask, (end + mask) & ~mask};
}

#endif
