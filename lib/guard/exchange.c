/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exchange.c - who writes to a page while it is exchanged for another, and loses that
 *
 * A page that a detached send has only in part may have anything else on it. It is copied, and
 * some microseconds later the copy takes its place. What another thread, or a device, writes in
 * between is on the old page, which from then on only the kernel has. So the guard keeps the
 * old page, by splicing it into a pipe, and what was copied; when the exchange is over it reads
 * the one and compares it with the other.
 *
 * A pipe holds PAGES_MOST pages, and so many of one exchange are looked at. All that is written
 * down meanwhile is in a mapping of the guard's own, made when it is attached: the heap may be
 * on a page that is just being exchanged.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guard/guard.h"

#define PAGES_MOST 16 /* the pipe's, as it is made */

struct zcreq_guard_exchange {
	size_t bytes; /* of all of it */
	size_t page_bytes;
	bool begun; /* there is a pipe */
	int pipe[2];
	unsigned count;
	const char *pages[PAGES_MOST];
	char copies[]; /* of the pages; and room to read one */
};

struct zcreq_guard_exchange *zcreq_guard_exchange_new(void)
{
	const size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	const size_t bytes = sizeof(struct zcreq_guard_exchange) + (PAGES_MOST + 1) * page_bytes;
	struct zcreq_guard_exchange *exchange =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (exchange == MAP_FAILED)
		return NULL;
	exchange->bytes = bytes;
	exchange->page_bytes = page_bytes;
	return exchange;
}

void zcreq_guard_exchange_free(struct zcreq_guard_exchange *exchange)
{
	munmap(exchange, exchange->bytes);
}

static bool begin(struct zcreq_guard_exchange *exchange)
{
	if (!exchange->begun)
		exchange->begun = !pipe2(exchange->pipe, O_CLOEXEC | O_NONBLOCK);
	return exchange->begun;
}

void zcreq_guard_page_copied(void *of, const void *page, const void *copy, size_t page_bytes)
{
	const struct zcreq_guard *guard = of;
	struct zcreq_guard_exchange *exchange = guard->exchange;
	const struct iovec iov = {(void *)page, page_bytes};

	if (!begin(exchange) || exchange->count == PAGES_MOST)
		return;
	if (vmsplice(exchange->pipe[1], &iov, 1, SPLICE_F_NONBLOCK) != (ssize_t)page_bytes)
		return;
	memcpy(exchange->copies + exchange->count * page_bytes, copy, page_bytes);
	exchange->pages[exchange->count++] = page;
}

/* The first byte that is on the old page and not on the copy; or all of it. */
static size_t first_lost(const char *old, const char *copy, size_t page_bytes)
{
	size_t at = 0;

	while (at < page_bytes && old[at] == copy[at])
		at++;
	return at;
}

static void tell_lost(struct zcreq_guard *guard, const char *address)
{
	struct zcreq_guard_report report = {
		.crime = ZCREQ_GUARD_LOST,
		.fd = -1,
		.address = address,
	};

	/* uncovered: tests/guard/check_exchange.c does it in a process that leaves no counts */
	if (zcreq_guard_tell(guard, &report, "at %p", (const void *)address))
		abort(); /* uncovered: the same */
}

void zcreq_guard_pages_exchanged(void *of, bool done)
{
	struct zcreq_guard *guard = of;
	struct zcreq_guard_exchange *exchange = guard->exchange;
	const size_t page_bytes = exchange->page_bytes;
	char *old = exchange->copies + PAGES_MOST * page_bytes;
	size_t at;

	if (!exchange->begun)
		return;
	for (unsigned i = 0; i < exchange->count && done; i++) {
		/* uncovered: what was spliced into the pipe is in it */
		if (read(exchange->pipe[0], old, page_bytes) != (ssize_t)page_bytes)
			break; /* uncovered: the same */
		at = first_lost(old, exchange->copies + i * page_bytes, page_bytes);
		if (at < page_bytes)
			tell_lost(guard, exchange->pages[i] + at);
	}
	close(exchange->pipe[0]);
	close(exchange->pipe[1]);
	exchange->begun = false;
	exchange->count = 0;
}
