/* SPDX-License-Identifier: BSD-2-Clause */
#include "guard/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TABLE_LEAST 1024

enum page_state {
	PAGE_PLAIN = 1, /* counted, not protected: was not writable, or is open again */
	PAGE_PROTECTED,
};

struct page {
	uintptr_t start; /* 0: no entry, and all else is 0 */
	uint32_t areas;
	uint8_t state;   /* enum page_state */
	uint8_t access;  /* PROT_ bits that it had before */
};

/* Part of the address space, as the kernel lists it. */
struct mapping {
	uintptr_t start, end;
	int access;
};

/* All that there is, under one lock. */
static struct {
	atomic_flag lock;
	unsigned users;
	bool forks;              /* fork handlers are there, for good */
	uintptr_t page_bytes;
	struct sigaction before; /* who handled SIGSEGV */
	sigset_t held;           /* what the thread that has the lock had blocked before */
	struct page *table;      /* open addressing; half of it is free */
	size_t capacity, used;
	TAILQ_HEAD(, zcreq_guard_area) areas;
} all = {.lock = ATOMIC_FLAG_INIT, .areas = TAILQ_HEAD_INITIALIZER(all.areas)};

/* No signal is handled by who has the lock: a handler that writes to a protected page would
 * wait for it, in the one thread that can open it. */
static void lock(void)
{
	sigset_t every, before;

	sigfillset(&every);
	pthread_sigmask(SIG_BLOCK, &every, &before);
	while (atomic_flag_test_and_set_explicit(&all.lock, memory_order_acquire))
		sched_yield();
	all.held = before;
}

static void unlock(void)
{
	sigset_t before = all.held;

	atomic_flag_clear_explicit(&all.lock, memory_order_release);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- the table of pages ---- */

static size_t place_of(uintptr_t start)
{
	return (size_t)(start / all.page_bytes * 0x9e3779b97f4a7c15u >> 20) & (all.capacity - 1);
}

/* The page's entry, or the free place where it would be. */
static struct page *look_up(uintptr_t start)
{
	size_t at = place_of(start);

	while (all.table[at].start && all.table[at].start != start)
		at = (at + 1) & (all.capacity - 1);
	return &all.table[at];
}

static bool grow_table(void)
{
	size_t before = all.capacity, capacity = before ? before * 2 : TABLE_LEAST;
	struct page *old = all.table;
	void *grown = mmap(NULL, capacity * sizeof(*old), PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (grown == MAP_FAILED)
		return false;
	all.table = grown;
	all.capacity = capacity;
	for (size_t i = 0; i < before; i++) {
		if (old[i].start)
			*look_up(old[i].start) = old[i];
	}
	if (before)
		munmap(old, before * sizeof(*old));
	return true;
}

/* The page's entry, made if there was none; NULL without memory for it. */
static struct page *enter(uintptr_t start)
{
	struct page *page;

	if (all.used * 2 >= all.capacity && !grow_table())
		return NULL;
	page = look_up(start);
	if (!page->start) {
		*page = (struct page){.start = start, .state = PAGE_PLAIN};
		all.used++;
	}
	return page;
}

/* Frees a place, and moves up those behind it that had to go past it. */
static void leave(struct page *page)
{
	size_t mask = all.capacity - 1, hole = (size_t)(page - all.table), at = hole;

	all.used--;
	for (;;) {
		size_t home;

		at = (at + 1) & mask;
		if (!all.table[at].start)
			break;
		home = place_of(all.table[at].start);
		if (((at - home) & mask) >= ((at - hole) & mask)) {
			all.table[hole] = all.table[at];
			hole = at;
		}
	}
	all.table[hole] = (struct page){.start = 0};
}

/* ---- what the kernel says is mapped ---- */

/* One line of /proc/self/maps, "55e0-55f0 rw-p ...", byte by byte. */
struct line {
	struct mapping mapping;
	int field; /* start, end, access, the rest */
};

/* True when the line has said what there is to know. */
static bool parse(struct line *line, char c)
{
	uintptr_t digit = c >= 'a' ? (uintptr_t)(c - 'a') + 10 : (uintptr_t)(c - '0');

	if (c == '\n') {
		*line = (struct line){.field = 0};
		return false;
	}
	if (line->field == 0 && c != '-')
		line->mapping.start = line->mapping.start << 4 | digit;
	else if (line->field == 1 && c != ' ')
		line->mapping.end = line->mapping.end << 4 | digit;
	else if (line->field == 2 && c != ' ')
		line->mapping.access |= c == 'r' ? PROT_READ : c == 'w' ? PROT_WRITE
						 : c == 'x' ? PROT_EXEC : 0;
	else
		return ++line->field == 3;
	return false;
}

/* The mapping that has this page; one without access if none has. */
static struct mapping find_mapping(uintptr_t start)
{
	static char text[4096];
	struct mapping none = {start, start + all.page_bytes, 0};
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	struct line line = {.field = 0};
	ssize_t len;

	while (fd >= 0 && (len = read(fd, text, sizeof(text))) > 0) {
		for (ssize_t i = 0; i < len; i++) {
			if (parse(&line, text[i]) && start < line.mapping.end) {
				close(fd);
				return start >= line.mapping.start ? line.mapping : none;
			}
		}
	}
	if (fd >= 0)
		close(fd);
	return none;
}

/* ---- areas ---- */

static uintptr_t first_page(const struct iovec *iov)
{
	return ((uintptr_t)iov->iov_base + all.page_bytes - 1) & -all.page_bytes;
}

static uintptr_t pages_end(const struct iovec *iov)
{
	return ((uintptr_t)iov->iov_base + iov->iov_len) & -all.page_bytes;
}

static bool set_access(uintptr_t start, int access)
{
	return mprotect((void *)start, all.page_bytes, access) == 0;
}

static void take_page(uintptr_t start, struct mapping *known)
{
	struct page *page = enter(start);

	if (!page || page->areas++ || page->state == PAGE_PROTECTED)
		return;
	if (start < known->start || start >= known->end)
		*known = find_mapping(start);
	page->access = (uint8_t)known->access;
	if (known->access & PROT_WRITE && set_access(start, known->access & ~PROT_WRITE))
		page->state = PAGE_PROTECTED;
}

static void give_page(uintptr_t start, struct mapping *known, bool careful)
{
	struct page *page = all.table ? look_up(start) : NULL;

	if (!page || !page->start || --page->areas)
		return;
	if (careful && (start < known->start || start >= known->end))
		*known = find_mapping(start);
	/* without room for one more mapping it stays protected: until a fault, then */
	if (page->state == PAGE_PROTECTED &&
	    (!careful || known->access == (page->access & ~PROT_WRITE)) &&
	    !set_access(start, page->access) && !careful)
		return;
	leave(page);
}

void zcreq_guard_pages_take(struct zcreq_guard_area *area)
{
	struct mapping known = {0, 0, 0};
	int saved = errno;

	lock();
	TAILQ_INSERT_TAIL(&all.areas, area, in_areas);
	for (uint32_t i = 0; i < area->iovcnt; i++) {
		for (uintptr_t at = first_page(&area->iov[i]); at < pages_end(&area->iov[i]);
		     at += all.page_bytes)
			take_page(at, &known);
	}
	unlock();
	errno = saved;
}

void zcreq_guard_pages_give(struct zcreq_guard_area *area, bool careful)
{
	struct mapping known = {0, 0, 0};
	int saved = errno;

	lock();
	TAILQ_REMOVE(&all.areas, area, in_areas);
	for (uint32_t i = 0; i < area->iovcnt; i++) {
		for (uintptr_t at = first_page(&area->iov[i]); at < pages_end(&area->iov[i]);
		     at += all.page_bytes)
			give_page(at, &known, careful);
	}
	unlock();
	errno = saved;
}

/* ---- the culprit ---- */

#define NOWHERE UINT64_MAX

/* How many bytes into the area's iovecs the address is. */
static uint64_t offset_in(const struct zcreq_guard_area *area, const char *address)
{
	uint64_t offset_bytes = 0;

	for (uint32_t i = 0; i < area->iovcnt; i++) {
		const char *base = area->iov[i].iov_base;

		if (address >= base && address < base + area->iov[i].iov_len)
			return offset_bytes + (size_t)(address - base);
		offset_bytes += area->iov[i].iov_len;
	}
	return NOWHERE;
}

/* What a fault was. */
enum fault {
	FAULT_OTHERS = 1,
	FAULT_OURS,
	FAULT_FATAL, /* and somebody wants the program to end */
};

/* Everybody whose memory it is hears of it. */
static enum fault judge(const char *address)
{
	enum fault fault = FAULT_OURS;
	uintptr_t start = (uintptr_t)address & -all.page_bytes;
	struct page *page = all.table ? look_up(start) : NULL;
	struct zcreq_guard_area *area;

	if (!page || page->state != PAGE_PROTECTED)
		return FAULT_OTHERS;
	TAILQ_FOREACH(area, &all.areas, in_areas) {
		uint64_t offset_bytes = offset_in(area, address);

		if (offset_bytes != NOWHERE && area->written(area, address, offset_bytes))
			fault = FAULT_FATAL;
	}
	/* let it write, and whoever else writes to this page */
	page->state = PAGE_PLAIN;
	set_access(start, page->access);
	return fault;
}

/* Calls the handler that was there, with SIGSEGV blocked as it may count on. */
static void call_before(int number, siginfo_t *info, void *machine)
{
	sigset_t fault, now;

	sigemptyset(&fault);
	if (!(all.before.sa_flags & SA_NODEFER))
		sigaddset(&fault, SIGSEGV);
	pthread_sigmask(SIG_BLOCK, &fault, &now);
	if (all.before.sa_flags & SA_SIGINFO)
		all.before.sa_sigaction(number, info, machine);
	else
		all.before.sa_handler(number);
	pthread_sigmask(SIG_SETMASK, &now, NULL);
}

/* Somebody else's fault: as if this handler were not there. */
static void pass_on(int number, siginfo_t *info, void *machine)
{
	bool sent = info->si_code <= 0; /* by kill(2) and its like: it does not come again */

	if (all.before.sa_flags & SA_SIGINFO ||
	    (all.before.sa_handler != SIG_DFL && all.before.sa_handler != SIG_IGN)) {
		call_before(number, info, machine);
	} else if (!sent || all.before.sa_handler == SIG_DFL) {
		sigaction(SIGSEGV, &all.before, NULL); /* and it faults again */
		if (sent)
			raise(number);
	}
}

static void on_fault(int number, siginfo_t *info, void *machine)
{
	/* a page may have been given back between the fault and here: then the
	 * instruction succeeds when it is tried again, and else it is not ours */
	/* initial-exec: another model may allocate at the first use, here in a signal handler */
	static __thread const void *again __attribute__((tls_model("initial-exec")));
	enum fault fault = FAULT_OTHERS;
	int saved = errno;

	if (info->si_code == SEGV_ACCERR) {
		lock();
		fault = judge(info->si_addr);
		unlock();
		if (fault == FAULT_OTHERS && again != info->si_addr) {
			again = info->si_addr;
			fault = FAULT_OURS;
		}
	}
	if (fault == FAULT_FATAL)
		abort();
	if (fault == FAULT_OTHERS) {
		again = NULL;
		pass_on(number, info, machine);
	}
	errno = saved;
}

/* A child has the memory, but none of it is in flight on its account. */
static void in_child(void)
{
	for (size_t i = 0; i < all.capacity; i++) {
		struct page *page = &all.table[i];

		if (page->state == PAGE_PROTECTED) {
			page->state = PAGE_PLAIN;
			set_access(page->start, page->access);
		}
	}
	unlock();
}

/* The handlers, if nobody has put them there yet. */
static int install(void)
{
	/* not deferred: what is handled inside, before or after the lock, may fault as well */
	struct sigaction action = {
		.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER,
	};
	int ret = 0;

	lock();
	all.page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
	if (!all.forks)
		ret = -pthread_atfork(lock, unlock, in_child);
	all.forks = all.forks || ret == 0;
	if (!ret && !all.users && sigaction(SIGSEGV, &action, &all.before))
		ret = -errno;
	all.users += ret == 0;
	unlock();
	return ret;
}

int zcreq_guard_pages_start(void)
{
	int saved = errno, fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	int ret = fd < 0 ? -errno : 0;

	if (!ret) {
		close(fd);
		ret = install();
	}
	errno = saved;
	return ret;
}

void zcreq_guard_pages_stop(void)
{
	struct sigaction now = {.sa_flags = 0};

	lock();
	/* somebody who has put a handler in front of this one goes on calling it */
	if (--all.users == 0) {
		sigaction(SIGSEGV, NULL, &now);
		if (now.sa_sigaction == on_fault)
			sigaction(SIGSEGV, &all.before, NULL);
	}
	unlock();
}
