/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pages.h - whole pages of memory in flight, write-protected
 *
 * Pages, the handler of SIGSEGV and fork(2) belong to the process and not to a context,
 * so pages.c is the one file here with state of its own, and with a lock. Each
 * page counts the areas that have it wholly, whichever context's they are: protected
 * with the first, as it was before with the last.
 *
 * A page may only be made writable again if it was writable before, which nothing but
 * /proc/self/maps tells. Under the lock nothing is allocated from the heap: the heap
 * may have been given a freed buffer that is still protected.
 */
#ifndef ZCREQ_LIB_GUARD_PAGES_H
#define ZCREQ_LIB_GUARD_PAGES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/queue.h"

struct zcreq_guard_area {
	const struct iovec *iov;
	uint32_t iovcnt;
	/* an instruction is about to write there, so many bytes into the iovecs; called in
	 * the signal handler. True: the program is to end, which it does when the lock
	 * is open again, so that whoever handles SIGABRT may fork */
	bool (*written)(struct zcreq_guard_area *area, const char *address, uint64_t offset_bytes);
	TAILQ_ENTRY(zcreq_guard_area) in_areas;
};

/* One more user of the handler: 0, or -errno where pages cannot be protected. */
int zcreq_guard_pages_start(void);
void zcreq_guard_pages_stop(void);

/* Protects what can be; the area and its iovecs stay where they are until given back. */
void zcreq_guard_pages_take(struct zcreq_guard_area *area);

/* With @careful pages that were mapped anew since are left as they are. */
void zcreq_guard_pages_give(struct zcreq_guard_area *area, bool careful);

#endif
