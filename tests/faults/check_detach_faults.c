/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_detach_faults.c - every system call of an exchange fails: all is as it was, or done
 *
 * Two requests of an aborted stream lend memory with pages of several kinds, of which one is
 * on a page of both. The first is detached: once without a fault, which shows the crossings,
 * then once for each of them and each errno that is plausible there, once and lasting. Of
 * what goes on after the first failure each call fails as well. mremap(2) can also fail when
 * it has unmapped its target already, and then really has.
 *
 * Refused, nothing has changed: not what is in memory, not what it may be used for, not what
 * is mapped beside, and the request is lent, until it is asked for again.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/emulated.h"
#include "support/scene.h"
#include "support/suite.h"
#include "support/wrapped.h"

enum call { CALL_OPEN, CALL_READ, CALL_MMAP, CALL_MPROTECT, CALL_MREMAP, CALL_MUNMAP, CALL_MADVISE };

#define UNTOUCHED 4711 /* an errno that nobody sets */
#define A_WHILE 40     /* more interruptions in a row than there are */
#define TORN INT_MAX   /* in place of an errno: the target is unmapped, then ENOMEM */
#define AT_END 0       /* in place of an errno: nothing more to read */
#define PAGES 6

static const struct {
	enum call call;
	int error;
	unsigned most;
	int answer; /* what it leads to; 0: nothing that is noticed */
} errors[] = {
	{CALL_OPEN, ENOENT, UINT_MAX, -ENOENT},
	{CALL_OPEN, EACCES, UINT_MAX, -EACCES},
	{CALL_OPEN, EMFILE, UINT_MAX, -EMFILE},
	{CALL_OPEN, ENFILE, UINT_MAX, -ENFILE},
	{CALL_OPEN, ENOMEM, UINT_MAX, -ENOMEM},
	{CALL_READ, EINTR, A_WHILE, 0},
	{CALL_READ, EIO, UINT_MAX, -EIO},
	{CALL_READ, ENOMEM, UINT_MAX, -ENOMEM},
	{CALL_READ, AT_END, UINT_MAX, -EPERM},
	{CALL_MMAP, ENOMEM, UINT_MAX, -ENOMEM},
	{CALL_MMAP, EAGAIN, UINT_MAX, -EAGAIN},
	{CALL_MPROTECT, ENOMEM, UINT_MAX, -ENOMEM},
	{CALL_MPROTECT, EACCES, UINT_MAX, -EACCES},
	{CALL_MREMAP, ENOMEM, UINT_MAX, -ENOMEM},
	{CALL_MREMAP, EAGAIN, UINT_MAX, -EAGAIN},
	{CALL_MREMAP, EFAULT, UINT_MAX, -EFAULT},
	{CALL_MREMAP, TORN, UINT_MAX, 0},
	{CALL_MUNMAP, ENOMEM, UINT_MAX, 0},
	{CALL_MADVISE, EINVAL, UINT_MAX, 0},
	{CALL_MADVISE, ENOMEM, UINT_MAX, 0},
};

#define CALLS (CALL_MADVISE + 1)

/* Crossings are counted for each call apart, since how often is read varies. The first
 * failure is errors[@what], the @at-th of its call and so often; the second one is the
 * @then_at-th @then, with the first errno of that. */
static struct {
	bool armed;
	unsigned at, what, times;
	unsigned then, then_at; /* 0: no second one */
	unsigned crossings[CALLS], failed;
	unsigned before[CALLS]; /* the first failure */
	bool left, writable; /* a munmap has failed, or an mprotect behind which nobody looks */
} fault;

static unsigned points;

static const char *call_name(unsigned call)
{
	static const char *const names[] = {"open", "read", "mmap", "mprotect", "mremap", "munmap",
					    "madvise"};

	return names[call];
}

/* Fails this crossing? Then with errors[what], whose number is written. */
static bool fails(enum call call, unsigned *what)
{
	if (!fault.armed)
		return false;
	fault.crossings[call]++;
	if (fault.then_at && call == fault.then && fault.crossings[call] == fault.then_at) {
		for (*what = 0; errors[*what].call != call; ++*what)
			continue;
		fault.left |= call == CALL_MUNMAP;
		fault.writable |= call == CALL_MPROTECT;
	} else if (fault.at && call == errors[fault.what].call &&
		   fault.crossings[call] >= fault.at &&
		   fault.crossings[call] - fault.at < fault.times) {
		*what = fault.what;
	} else {
		return false;
	}
	if (!fault.failed++)
		memcpy(fault.before, fault.crossings, sizeof(fault.before));
	errno = errors[*what].error == TORN ? ENOMEM : errors[*what].error;
	return true;
}

/* ---- the calls ------------------------------------------------------------------- */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_munmap(void *start, size_t bytes);
int __wrap_munmap(void *start, size_t bytes);
ssize_t __real_read(int fd, void *to, size_t bytes);
ssize_t __wrap_read(int fd, void *to, size_t bytes);
void *__real_mmap(void *start, size_t bytes, int access, int flags, int fd, off_t offset);
void *__wrap_mmap(void *start, size_t bytes, int access, int flags, int fd, off_t offset);
int __real_mprotect(void *start, size_t bytes, int access);
int __wrap_mprotect(void *start, size_t bytes, int access);
int __real_madvise(void *start, size_t bytes, int advice);
int __wrap_madvise(void *start, size_t bytes, int advice);
void *__real_mremap(void *from, size_t bytes, size_t new_bytes, int flags, ...);
void *__wrap_mremap(void *from, size_t bytes, size_t new_bytes, int flags, ...);

int __wrap_open(const char *path, int flags, ...)
{
	unsigned what;

	return fails(CALL_OPEN, &what) ? -1 : __real_open(path, flags, 0);
}

ssize_t __wrap_read(int fd, void *to, size_t bytes)
{
	unsigned what;

	if (!fails(CALL_READ, &what))
		return __real_read(fd, to, bytes);
	return errors[what].error == AT_END ? 0 : -1;
}

void *__wrap_mmap(void *start, size_t bytes, int access, int flags, int fd, off_t offset)
{
	unsigned what;

	return fails(CALL_MMAP, &what) ? MAP_FAILED
				       : __real_mmap(start, bytes, access, flags, fd, offset);
}

int __wrap_mprotect(void *start, size_t bytes, int access)
{
	unsigned what;

	return fails(CALL_MPROTECT, &what) ? -1 : __real_mprotect(start, bytes, access);
}

int __wrap_munmap(void *start, size_t bytes)
{
	unsigned what;

	return fails(CALL_MUNMAP, &what) ? -1 : __real_munmap(start, bytes);
}

int __wrap_madvise(void *start, size_t bytes, int advice)
{
	unsigned what;

	return fails(CALL_MADVISE, &what) ? -1 : __real_madvise(start, bytes, advice);
}

void *__wrap_mremap(void *from, size_t bytes, size_t new_bytes, int flags, ...)
{
	unsigned what;
	va_list args;
	void *to;

	va_start(args, flags);
	to = va_arg(args, void *);
	va_end(args);
	if (!fails(CALL_MREMAP, &what))
		return __real_mremap(from, bytes, new_bytes, flags, to);
	if (errors[what].error == TORN) {
		CLAIM(__real_munmap(to, new_bytes) == 0);
		errno = ENOMEM;
	}
	return MAP_FAILED;
}

/* ---- what is mapped ---------------------------------------------------------------- */

struct view {
	char access[PAGES][5];
	unsigned long mapped; /* in all, but for heap and stack */
};

static size_t page;
static char *start; /* of the memory that is looked at */

static struct view look(void)
{
	struct view view = {.mapped = 0};
	unsigned long from, to, at;
	char line[512], access[5];
	FILE *maps = fopen("/proc/self/maps", "r");

	CLAIM(maps);
	while (fgets(line, sizeof(line), maps)) {
		CLAIM(sscanf(line, "%lx-%lx %4s", &from, &to, access) == 3);
		for (size_t i = 0; i < PAGES; i++) {
			at = (unsigned long)start + i * page;
			if (at >= from && at < to)
				memcpy(view.access[i], access, sizeof(access));
		}
		if (!strchr(line, '['))
			view.mapped += to - from;
	}
	fclose(maps);
	return view;
}

/* ---- memory of two kinds ------------------------------------------------------------- */

struct layout {
	const char *name;
	bool pooled;
	unsigned flags; /* of the detach */
};

static const struct layout layouts[] = {
	{"kept", false, 0},
	{"discarded", false, ZCREQ_DETACH_DISCARD},
	{"pool, kept", true, 0},
	{"pool, discarded", true, ZCREQ_DETACH_DISCARD},
};

static struct zcreq_pool *pool;
static char *buffers[2];
static struct heard first, second;
static struct iovec lent[3]; /* by the first, but for the last */

static char pattern(size_t at)
{
	return (char)(at * 7 + at / 251);
}

static void make_memory(const struct layout *layout)
{
	const struct zcreq_pool_options pooled = {
		.size = sizeof(pooled), .flags = ZCREQ_POOL_HUGE, .count = 2, .buffer_bytes = 3 * page,
	};

	pool = NULL;
	if (layout->pooled) {
		CLAIM(zcreq_pool_new(context, &pooled, &pool) == 0);
		buffers[0] = zcreq_pool_get(pool);
		buffers[1] = zcreq_pool_get(pool);
		start = buffers[0];
		CLAIM(buffers[1] == start + 3 * page);
	} else {
		start = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0);
		CLAIM(start != MAP_FAILED);
	}
	for (size_t i = 0; i < PAGES * page; i++)
		start[i] = pattern(i);
	if (!layout->pooled) {
		CLAIM(madvise(start + 5 * page, page, MADV_DONTDUMP) == 0);
		CLAIM(mprotect(start + 3 * page, 2 * page, PROT_READ) == 0);
	}
	lent[0] = (struct iovec){start + 100, page + 1900};
	lent[1] = (struct iovec){start + 3 * page, 2 * page + 10};
	lent[2] = (struct iovec){start + page + 2500, 500};
}

static void give_memory(void)
{
	if (!pool) {
		CLAIM(munmap(start, PAGES * page) == 0);
		return;
	}
	CLAIM(zcreq_pool_put(pool, buffers[0]) == 0 && zcreq_pool_put(pool, buffers[1]) == 0);
	CLAIM(zcreq_pool_free(pool) == 0);
}

static void lend(void)
{
	first = second = (struct heard){0};
	heard_begin(conn, &first);
	heard_begin(conn, &second);
	CLAIM(zcreq_add(context, first.id, lent, 2, 0) == 0);
	CLAIM(zcreq_add(context, second.id, lent + 2, 1, 0) == 0);
	CLAIM(zcreq_finish(context, first.id, 0) == 0);
	CLAIM(zcreq_finish(context, second.id, 0) == 0);
	zcreq_turn(context, 0);
	CLAIM(zcreq_conn_abort(conn, -EIO) == 0);
	zcreq_turn(context, 0);
	CLAIM(first.settled == 1 && !first.released && !second.released);
}

/* Of a page all of which was lent the content need not be kept, if so it was asked for. */
static void check_content(unsigned flags)
{
	for (size_t i = 0; i < PAGES * page; i++) {
		const bool whole = i / page == 3 || i / page == 4;

		if (flags & ZCREQ_DETACH_DISCARD && whole && !start[i])
			continue;
		CLAIM(start[i] == pattern(i));
	}
}

static void check_mapped(const struct view *before)
{
	const struct view after = look();

	for (size_t i = 0; i < PAGES && !fault.writable; i++)
		CLAIM(!strcmp(after.access[i], before->access[i]));
	CLAIM(after.mapped == before->mapped || (fault.left && after.mapped > before->mapped));
}

static void check_refused(int ret, unsigned flags)
{
	const struct zcreq_stats stats = stats_of(context);

	CLAIM(ret == errors[fault.what].answer && fault.failed);
	zcreq_turn(context, 0);
	CLAIM(!first.released && !second.released);
	CLAIM(stats.detached_bytes_now == 0 && stats.detach_refused == 1);
	CLAIM(zcreq_detach(context, first.id, flags) == 0);
}

static void check_done(void)
{
	zcreq_turn(context, 0);
	CLAIM(first.released == 1 && !second.released);
	CLAIM(stats_of(context).detached_bytes_now == lent[0].iov_len + lent[1].iov_len);
	memset(lent[0].iov_base, 0xdb, lent[0].iov_len);
}

/* The kernel's word comes: nothing is left. */
static void end(void)
{
	stub_prove_all(&stub);
	zcreq_turn(context, SECOND);
	CLAIM(first.released == 1 && second.released == 1);
	CLAIM(stats_of(context).detached_bytes_now == 0);
	zcreq_conn_free(conn);
	zcreq_turn(context, 0);
	CLAIM(hooks.abort == 1 && stub.closes == 1 && !stub.reads_when_closed);
	give_memory();
	counting_end(&memory, context);
}

/* An aborted stream, of which the kernel has two requests. */
static struct view begin(const struct layout *layout)
{
	scene_setup();
	memset(&hooks, 0, sizeof(hooks));
	memset(&fault, 0, sizeof(fault));
	stub.keeps = true;
	options.flags |= ZCREQ_STREAM_DETACH;
	options.mode = ZCREQ_MODE_ALWAYS;
	scene_open();
	make_memory(layout);
	lend();
	return look();
}

/* Tells it once; with @at 0 all goes well. */
static void tell(const struct layout *layout, unsigned at, unsigned what, unsigned times,
		 unsigned then, unsigned then_at)
{
	const struct view before = begin(layout);
	int ret;

	fault.at = at, fault.what = what, fault.times = times;
	fault.then = then, fault.then_at = then_at;
	errno = UNTOUCHED;
	fault.armed = true;
	ret = zcreq_detach(context, first.id, layout->flags);
	fault.armed = false;
	CLAIM(errno == UNTOUCHED);
	check_content(layout->flags);
	check_mapped(&before);
	if (ret)
		check_refused(ret, layout->flags);
	check_content(layout->flags);
	check_done();
	end();
	points++;
}

/* ---- tests --------------------------------------------------------------------------- */

/* After the first failure each call that is still made fails too. What was unmapped and
 * cannot be mapped again is another matter: see below. */
static void tell_pairs(const struct layout *layout, unsigned at, unsigned what)
{
	static const unsigned seconds[] = {CALL_MUNMAP, CALL_MPROTECT, CALL_MADVISE};
	unsigned from[CALLS], to[CALLS];

	memcpy(from, fault.before, sizeof(from));
	memcpy(to, fault.crossings, sizeof(to));
	for (unsigned i = 0; i < COUNT(seconds); i++)
		for (unsigned nth = from[seconds[i]] + 1; nth <= to[seconds[i]]; nth++)
			if (errors[what].call == CALL_MREMAP || seconds[i] == CALL_MUNMAP)
				tell(layout, at, what, 1, seconds[i], nth);
}

START_TEST(every_call_of_an_exchange_fails)
{
	const struct layout *layout = &layouts[_i];
	unsigned seen[CALLS];

	page = (size_t)sysconf(_SC_PAGESIZE);
	tell(layout, 0, 0, 0, 0, 0);
	memcpy(seen, fault.crossings, sizeof(seen));
	for (unsigned what = 0; what < COUNT(errors); what++) {
		for (unsigned at = 1; at <= seen[errors[what].call]; at++) {
			tell(layout, at, what, 1, 0, 0);
			CLAIM(fault.failed || errors[what].call == CALL_READ);
			if (fault.failed)
				tell_pairs(layout, at, what);
			tell(layout, at, what, errors[what].most, 0, 0);
		}
	}
	printf("# %-16s %4u points:", layout->name, points);
	for (unsigned call = 0; call < CALLS; call++)
		printf(" %u %s", seen[call], call_name(call));
	putchar('\n');
	fflush(stdout);
	CLAIM(layout->pooled == !seen[CALL_OPEN] && layout->pooled == !seen[CALL_MPROTECT]);
	CLAIM(seen[CALL_MMAP] == 1 && seen[CALL_MREMAP] >= 2 && seen[CALL_MADVISE] >= 1);
}
END_TEST

/* A mapping that mremap(2) took away and that cannot be made again is no memory any more:
 * nobody may go on with it. */
START_TEST(a_mapping_that_is_lost_ends_the_program)
{
	unsigned torn = 0;

	page = (size_t)sysconf(_SC_PAGESIZE);
	while (errors[torn].error != TORN)
		torn++;
	tell(&layouts[0], 1, torn, 1, CALL_MMAP, 2);
}
END_TEST

/* The list of what is lent, and what the exchange plans with. */
START_TEST(every_allocation_of_an_exchange_fails)
{
	const struct layout *layout = &layouts[_i];
	unsigned nth = 0, failed;

	page = (size_t)sysconf(_SC_PAGESIZE);
	do {
		const struct view before = begin(layout);

		nth++;
		failed = memory.failed;
		memory.fail_at = memory.calls + nth;
		if (zcreq_detach(context, first.id, layout->flags)) {
			CLAIM(memory.failed == failed + 1);
			zcreq_turn(context, 0);
			CLAIM(!first.released && stats_of(context).detach_refused == 1);
			check_content(0);
			CLAIM(zcreq_detach(context, first.id, layout->flags) == 0);
		}
		failed = memory.failed - failed;
		memory.fail_at = 0;
		check_mapped(&before);
		check_content(layout->flags);
		check_done();
		end();
	} while (failed);
	CLAIM(nth >= 4);
}
END_TEST

/* Without the advice it is a pool all the same; without memory it is none. */
START_TEST(every_call_of_a_pool_fails)
{
	struct zcreq_pool_options options_of = {
		.size = sizeof(options_of), .flags = ZCREQ_POOL_HUGE, .count = 4, .buffer_bytes = 10,
	};
	struct zcreq_pool *made = NULL;
	struct view before;
	unsigned at;

	page = (size_t)sysconf(_SC_PAGESIZE);
	scene_setup();
	start = NULL;
	before = look();
	for (at = 1; at <= 2; at++) {
		memset(&fault, 0, sizeof(fault));
		fault.at = 1, fault.times = 1;
		for (fault.what = 0; errors[fault.what].call != (at == 1 ? CALL_MMAP : CALL_MADVISE);)
			fault.what++;
		errno = UNTOUCHED;
		fault.armed = true;
		CLAIM(zcreq_pool_new(context, &options_of, &made) == (at == 1 ? -ENOMEM : 0));
		fault.armed = false;
		CLAIM(errno == UNTOUCHED && fault.failed == 1);
		if (at == 1)
			CLAIM(!made && look().mapped == before.mapped);
		CLAIM(zcreq_pool_free(made) == 0);
		made = NULL;
	}
	memory.fail_at = memory.calls + 1;
	CLAIM(zcreq_pool_new(context, &options_of, &made) == -ENOMEM && !made);
	CLAIM(look().mapped == before.mapped);
	counting_end(&memory, context);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("detach_faults");
	TCase *tcase = tcase_create("exchange");

	if (emulated_holes() || emulated_smaps())
		return 77;
	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, every_call_of_an_exchange_fails, 0, (int)COUNT(layouts));
	tcase_add_test_raise_signal(tcase, a_mapping_that_is_lost_ends_the_program, SIGABRT);
	tcase_add_loop_test(tcase, every_allocation_of_an_exchange_fails, 0, (int)COUNT(layouts));
	tcase_add_test(tcase, every_call_of_a_pool_fails);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
