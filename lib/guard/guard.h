/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guard.h - the guard of one context, and what its files do for each other
 *
 *	attach.c       a context gets its guard: by options, or as the environment asks
 *	sends.c        memory in flight
 *	descriptors.c  sockets of the kernel's
 *	calls.c        calls from elsewhere, and on connections that were freed
 *	exchange.c     writes that are lost while pages are exchanged
 *	report.c       what was found, in words
 *	checksum.c     what memory looked like
 *	pages.c        pages that are write-protected
 *
 * The guard knows the library by its public headers and by core/guarded.h, which is how
 * it hears of anything. It changes nothing that the library does.
 */
#ifndef ZCREQ_LIB_GUARD_H
#define ZCREQ_LIB_GUARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include <zcreq/guard.h>

#include "base/queue.h"
#include "core/guarded.h"
#include "core/slot.h"

struct zcreq_guard {
	const struct zcreq_allocator *allocator;
	struct zcreq_guard_options options;
	atomic_uint crimes; /* a signal handler of another thread may count too */
	struct zcreq_slots sends;
	/* calls.c; the numbers are of the kernel's, and any thread may read them */
	atomic_int process, thread;           /* that have the context; 0: nobody has yet */
	atomic_int told_process, told_thread; /* that were reported last */
	TAILQ_HEAD(zcreq_freed_list, zcreq_freed) freed;
	struct zcreq_guard_exchange *exchange; /* of pages, under way or not */
	unsigned kept;                        /* of those, how many have their memory here */
};

static inline bool zcreq_guard_protects(const struct zcreq_guard *guard)
{
	return guard->options.flags & ZCREQ_GUARD_PROTECT;
}

/* report.c: adds the words, and reports. Async-signal-safe, as far as snprintf(3) of
 * numbers and dprintf(3) are. Returns whether the program is to end now. */
__attribute__((format(printf, 3, 4)))
bool zcreq_guard_tell(struct zcreq_guard *guard, struct zcreq_guard_report *report,
		      const char *format, ...);

/* report.c: before a signal handler may print a backtrace. */
void zcreq_guard_prepare_backtrace(void);

/* calls.c: the calling thread has the context; gives back what is kept. */
void zcreq_guard_own(struct zcreq_guard *guard);
void zcreq_guard_forget(struct zcreq_guard *guard);

/* sends.c, descriptors.c, calls.c and exchange.c: the hooks of core/guarded.h. */
uint32_t zcreq_guard_send(void *of, struct zcreq_conn *conn, zcreq_id id, int fd,
			  const struct iovec *iov, uint32_t iovcnt, uint32_t number);
void zcreq_guard_send_gone(void *of, uint32_t entry);
void *zcreq_guard_open(void *of, struct zcreq_conn *conn, int fd);
void zcreq_guard_look(void *watched, uint64_t held_bytes);
void zcreq_guard_close(void *watched);
bool zcreq_guard_call(void *of, const struct zcreq_conn *conn, enum zcreq_call_kind kind);
void zcreq_guard_freed(void *of, const struct zcreq_conn *conn);
bool zcreq_guard_keep(void *of, struct zcreq_conn *conn);
/* NULL without memory. */
struct zcreq_guard_exchange *zcreq_guard_exchange_new(void);
void zcreq_guard_exchange_free(struct zcreq_guard_exchange *exchange);
void zcreq_guard_page_copied(void *of, const void *page, const void *copy, size_t page_bytes);
void zcreq_guard_pages_exchanged(void *of, bool done);

#endif
