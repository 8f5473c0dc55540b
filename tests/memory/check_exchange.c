/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_exchange.c - other pages under the same addresses, on the real kernel
 *
 * A pipe plays the part of a packet: vmsplice(2) puts references to pages into it, as a send
 * without copying puts them into a packet, and what is read from it later is what is on those
 * pages then.
 */
#include "support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/resource.h>
#include <unistd.h>

#include <zcreq/memory.h>

#include "memory/exchange.h"
#include "support/counting.h"
#include "support/emulated.h"

#define PAGE 4096
#define PAGES 8
#define HUGE_BYTES (2 << 20)

static struct counting memory;
static struct zcreq_context *context;
static int packet[2]; /* a pipe */
static char *area;    /* PAGES of them, each byte known */
static char was[PAGES * PAGE];

static void setup(void)
{
	struct zcreq_context_options options = {.size = sizeof(options)};

	if (sysconf(_SC_PAGESIZE) != PAGE)
		exit(77);
	counting_init(&memory);
	options.allocator = &memory.allocator;
	ck_assert_int_eq(zcreq_context_new(&options, &context), 0);
	ck_assert_int_eq(pipe(packet), 0);
	area = mmap(NULL, sizeof(was), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(area, MAP_FAILED);
	for (size_t i = 0; i < sizeof(was); i++)
		was[i] = area[i] = (char)(i * 7 + i / PAGE);
}

static void teardown(void)
{
	munmap(area, sizeof(was));
	close(packet[0]);
	close(packet[1]);
	ck_assert_int_eq(zcreq_context_free(context), 0);
	ck_assert_uint_eq(memory.live, 0);
}

/* The kernel refers to these bytes from now on. */
static void lend(char *start, size_t bytes)
{
	const struct iovec iov = {start, bytes};

	ck_assert_int_eq(vmsplice(packet[1], &iov, 1, 0), (ssize_t)bytes);
}

/* What the kernel has is sent now. */
static void expect_sent(const char *bytes, size_t len)
{
	char sent[PAGES * PAGE];

	ck_assert_int_eq(read(packet[0], sent, len), (ssize_t)len);
	ck_assert_mem_eq(sent, bytes, len);
}

static int exchange(void *start, size_t bytes, unsigned flags)
{
	const struct iovec lent = {start, bytes};

	return zcreq_exchange(context, &lent, 1, flags);
}

START_TEST(the_kernel_sends_the_old_bytes_and_the_program_writes_new_ones)
{
	lend(area, sizeof(was));
	ck_assert_int_eq(exchange(area, sizeof(was), 0), 0);
	ck_assert_mem_eq(area, was, sizeof(was));
	memset(area, '!', sizeof(was));
	expect_sent(was, sizeof(was));
}
END_TEST

/* The test of the test: without the exchange the new bytes go out. */
START_TEST(without_it_the_new_bytes_are_sent)
{
	char sent[PAGE];

	lend(area, PAGE);
	memset(area, '!', PAGE);
	ck_assert_int_eq(read(packet[0], sent, PAGE), PAGE);
	ck_assert_int_eq(sent[100], '!');
}
END_TEST

START_TEST(what_else_is_on_the_pages_stays)
{
	const size_t start = PAGE + 100, len = 3 * PAGE;

	lend(area + start, len);
	ck_assert_int_eq(exchange(area + start, len, _i ? ZCREQ_DETACH_DISCARD : 0), 0);
	ck_assert_mem_eq(area, was, PAGE);
	ck_assert_mem_eq(area + PAGE, was + PAGE, 100);
	ck_assert_mem_eq(area + start + len, was + start + len, sizeof(was) - start - len);
	if (!_i)
		ck_assert_mem_eq(area, was, sizeof(was));
	memset(area, '!', sizeof(was));
	expect_sent(was + start, len);
}
END_TEST

/* Only whole pages that were lent read as zeros. */
START_TEST(discarded_pages_are_zeros)
{
	static const char zeros[PAGE];
	const struct iovec lent[] = {{area + 10, PAGE + 10}, {area + 2 * PAGE, 2 * PAGE}};

	ck_assert_int_eq(zcreq_exchange(context, lent, 2, ZCREQ_DETACH_DISCARD), 0);
	ck_assert_mem_eq(area, was, 2 * PAGE);
	ck_assert_mem_eq(area + 2 * PAGE, zeros, PAGE);
	ck_assert_mem_eq(area + 3 * PAGE, zeros, PAGE);
	ck_assert_mem_eq(area + 4 * PAGE, was + 4 * PAGE, 4 * PAGE);
}
END_TEST

/* One page in two ranges; two runs; ranges over mappings that differ in rights. */
START_TEST(many_ranges_in_one_call)
{
	const struct iovec lent[] = {
		{area + 1, 5}, {area + 100, 5}, {area + 2 * PAGE, PAGE}, {area + 4 * PAGE + 9, 3 * PAGE},
	};

	ck_assert_int_eq(mprotect(area + 5 * PAGE, PAGE, PROT_READ), 0);
	lend(area, PAGE);
	lend(area + 2 * PAGE, PAGE);
	lend(area + 4 * PAGE, 4 * PAGE);
	ck_assert_int_eq(zcreq_exchange(context, lent, 4, _i ? ZCREQ_DETACH_DISCARD : 0), 0);
	ck_assert_mem_eq(area, was, 2 * PAGE);
	if (!_i)
		ck_assert_mem_eq(area, was, sizeof(was));
	ck_assert_int_eq(mprotect(area + 5 * PAGE, PAGE, PROT_READ | PROT_WRITE), 0);
	memset(area, '!', sizeof(was));
	expect_sent(was, PAGE);
	expect_sent(was + 2 * PAGE, PAGE);
	expect_sent(was + 4 * PAGE, 4 * PAGE);
}
END_TEST

static bool writable(void *at)
{
	/* the kernel refuses to write where the program may not */
	ck_assert_int_eq(write(packet[1], "x", 1), 1);
	return read(packet[0], at, 1) == 1;
}

START_TEST(rights_stay_as_they_were)
{
	ck_assert_int_eq(mprotect(area, PAGE, PROT_READ), 0);
	ck_assert_int_eq(exchange(area, 2 * PAGE, _i ? ZCREQ_DETACH_DISCARD : 0), 0);
	ck_assert(!writable(area));
	ck_assert(writable(area + PAGE));
}
END_TEST

START_TEST(memory_of_malloc_is_exchanged)
{
	char *large = malloc(300000), *small = malloc(1000);

	memset(large, 'l', 300000);
	memset(small, 's', 1000);
	lend(small, 1000);
	ck_assert_int_eq(exchange(large, 300000, 0), 0);
	ck_assert_int_eq(exchange(small, 1000, ZCREQ_DETACH_DISCARD), 0);
	ck_assert_int_eq(large[299999], 'l');
	ck_assert_int_eq(small[999], 's');
	memset(small, '!', 1000);
	memset(was, 's', 1000);
	expect_sent(was, 1000);
	free(small);
	free(large);
	/* the heap grows over it */
	large = malloc(100000);
	memset(large, 1, 100000);
	free(large);
}
END_TEST

/* In the middle of a transparent huge page, if the kernel gives one. */
START_TEST(a_huge_page_is_split)
{
	char *mapping = mmap(NULL, 2 * HUGE_BYTES, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *huge = mapping + (-(uintptr_t)mapping & (HUGE_BYTES - 1));

	ck_assert_int_eq(madvise(huge, HUGE_BYTES, MADV_HUGEPAGE), 0);
	memset(huge, 'h', HUGE_BYTES);
	lend(huge + 10 * PAGE, 4 * PAGE);
	ck_assert_int_eq(exchange(huge + 10 * PAGE, 4 * PAGE, 0), 0);
	memset(huge, '!', HUGE_BYTES);
	memset(was, 'h', sizeof(was));
	expect_sent(was, 4 * PAGE);
	munmap(mapping, 2 * HUGE_BYTES);
}
END_TEST

/* ---- what is refused, before anything is changed ---- */

static char *map_with(int prot, int flags, int fd)
{
	char *at = mmap(NULL, 2 * PAGE, prot, flags, fd, 0);

	ck_assert_ptr_ne(at, MAP_FAILED);
	return at;
}

static char *shared(void) { return map_with(PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1); }

static char *of_file(void)
{
	FILE *file = tmpfile();

	ck_assert_int_eq(ftruncate(fileno(file), 2 * PAGE), 0);
	return map_with(PROT_READ | PROT_WRITE, MAP_PRIVATE, fileno(file));
}

static char *private(void)
{
	return map_with(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static char *locked(void)
{
	char *at = private();

	ck_assert_int_eq((int)syscall(SYS_mlock, at, PAGE), 0);
	return at;
}

static char *not_for_children(void)
{
	char *at = private();

	ck_assert_int_eq(madvise(at, PAGE, MADV_DONTFORK), 0);
	return at;
}

static char *unmapped(void)
{
	char *at = private();

	munmap(at, 2 * PAGE);
	return at;
}

static char *shared_not_readable(void)
{
	return map_with(PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1);
}

/* Its name does not fit into what is read of a line. */
static char *of_a_long_name(void)
{
	char name[200];
	int fd;

	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	fd = memfd_create(name, 0);
	ck_assert_int_eq(ftruncate(fd, 2 * PAGE), 0);
	return map_with(PROT_READ | PROT_WRITE, MAP_SHARED, fd);
}

static char *not_readable(void) { return map_with(PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1); }

static char *huge_pages(void)
{
	char *at = mmap(NULL, HUGE_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

static const struct {
	char *(*make)(void);
	int kind;
} refusals[] = {
	{shared, ZCREQ_MEMORY_SHARED},     {of_file, ZCREQ_MEMORY_FILE},
	{locked, ZCREQ_MEMORY_LOCKED},     {not_for_children, ZCREQ_MEMORY_SPECIAL},
	{unmapped, ZCREQ_MEMORY_UNMAPPED}, {not_readable, ZCREQ_MEMORY_SPECIAL},
	{huge_pages, ZCREQ_MEMORY_HUGE},   {shared_not_readable, ZCREQ_MEMORY_SHARED},
	{of_a_long_name, ZCREQ_MEMORY_SHARED},
};

START_TEST(what_cannot_be_exchanged_is_refused_with_the_reason)
{
	char *at = refusals[_i].make();
	struct iovec lent[] = {{area, PAGE}, {at, PAGE}};

	if (!at) {
		printf("this kernel has no huge pages to map: not asked\n");
		return;
	}
	/* what only smaps' flags and sizes tell */
	if ((refusals[_i].make == locked || refusals[_i].make == not_for_children ||
	     refusals[_i].make == huge_pages) && emulated_smaps())
		return;
	ck_assert_int_eq(zcreq_memory_kind(at, PAGE), refusals[_i].kind);
	ck_assert_int_eq(exchange(at, PAGE, 0), -EPERM);
	/* what could be exchanged beside it was not */
	lend(area, PAGE);
	if ((uintptr_t)at < (uintptr_t)area) {
		lent[0] = (struct iovec){at, PAGE};
		lent[1] = (struct iovec){area, PAGE};
	}
	ck_assert_int_eq(zcreq_exchange(context, lent, 2, 0), -EPERM);
	memset(area, '!', PAGE);
	memset(was, '!', PAGE);
	expect_sent(was, PAGE);
}
END_TEST

START_TEST(a_part_is_enough_to_refuse)
{
	ck_assert_int_eq(munmap(area + 3 * PAGE, PAGE), 0);
	ck_assert_int_eq(zcreq_memory_kind(area, 3 * PAGE), ZCREQ_MEMORY_PRIVATE);
	ck_assert_int_eq(zcreq_memory_kind(area, 4 * PAGE), ZCREQ_MEMORY_UNMAPPED);
	ck_assert_int_eq(exchange(area + 2 * PAGE, 2 * PAGE, 0), -EPERM);
	ck_assert_int_eq(exchange(area + 2 * PAGE, 3 * PAGE, 0), -EPERM);
	ck_assert_int_eq(exchange(area + 2 * PAGE, PAGE, 0), 0);
}
END_TEST

/* ---- a stack ---- */

#define STACK_PAGES 64

static char *stack; /* of the thread: memory like any other */
static pthread_attr_t with_stack;

static void make_stack(bool of_malloc)
{
	stack = of_malloc ? aligned_alloc(PAGE, STACK_PAGES * PAGE)
			  : mmap(NULL, STACK_PAGES * PAGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(stack, 's', STACK_PAGES * PAGE);
	ck_assert_int_eq(pthread_attr_init(&with_stack), 0);
	ck_assert_int_eq(pthread_attr_setstack(&with_stack, stack, STACK_PAGES * PAGE), 0);
}

/* Calls of which each needs its frame as it left it. */
static __attribute__((noinline)) int exchange_from_below(const struct iovec *lent, int depth)
{
	volatile char room[PAGE];
	int ret;

	memset((char *)room, depth, sizeof(room));
	ret = depth ? exchange_from_below(lent, depth - 1)
		    : zcreq_exchange(context, lent, 1, 0);
	for (size_t i = 0; i < sizeof(room); i++)
		CLAIM(room[i] == depth);
	return ret;
}

/* A page of its own frame; and that many bytes, which end there. */
static void *exchange_own_frame(void *arg)
{
	static struct iovec lent;

	lent.iov_len = *(size_t *)arg;
	lent.iov_base = (char *)__builtin_frame_address(0) - lent.iov_len + 1;
	ck_assert_int_eq(zcreq_exchange(context, &lent, 1, 0), -EPERM);
	ck_assert_int_eq(zcreq_exchange(context, &lent, 1, ZCREQ_DETACH_DISCARD), -EPERM);
	return NULL;
}

START_TEST(the_stack_that_the_call_runs_on_is_refused)
{
	size_t bytes[] = {1, PAGE, 8 * PAGE};
	pthread_t thread;

	make_stack(_i % 2);
	ck_assert_int_eq(pthread_create(&thread, &with_stack, exchange_own_frame, &bytes[_i / 2]),
			 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

/* Frames of callers are copied like anything else, and what lies below all frames too. */
static void *exchange_callers_frame(void *arg)
{
	static struct iovec callers, below;

	callers = (struct iovec){__builtin_frame_address(0), 1};
	below = (struct iovec){stack, 10 * PAGE};
	ck_assert_int_eq(exchange_from_below(&callers, 8), 0);
	ck_assert_int_eq(zcreq_exchange(context, &below, 1, 0), 0);
	for (size_t i = 0; i < below.iov_len; i++)
		CLAIM(stack[i] == 's');
	return arg;
}

START_TEST(the_rest_of_a_stack_is_memory_like_any_other)
{
	pthread_t thread;

	make_stack(_i);
	ck_assert_int_eq(pthread_create(&thread, &with_stack, exchange_callers_frame, NULL), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

START_TEST(nonsense_is_no_memory)
{
	ck_assert_int_eq(zcreq_memory_kind(area, 0), -EINVAL);
	ck_assert_int_eq(zcreq_memory_kind(area, SIZE_MAX), -EINVAL);
	ck_assert_int_eq(zcreq_memory_kind(area, 1), ZCREQ_MEMORY_PRIVATE);
	ck_assert_int_eq(zcreq_memory_kind((void *)(uintptr_t)PAGE, 1), ZCREQ_MEMORY_UNMAPPED);
	/* behind everything */
	ck_assert_int_eq(zcreq_memory_kind((void *)-(uintptr_t)(2 * PAGE), 1), ZCREQ_MEMORY_UNMAPPED);
	ck_assert_int_eq(exchange((void *)-(uintptr_t)(2 * PAGE), 1, 0), -EPERM);
}
END_TEST

START_TEST(without_a_descriptor_nobody_knows)
{
	const int lowest = dup(0);
	const struct rlimit limit = {(rlim_t)lowest, (rlim_t)lowest};

	close(lowest);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_int_eq(zcreq_memory_kind(area, 1), -EMFILE);
	ck_assert_int_eq(exchange(area, PAGE, 0), -EMFILE);
}
END_TEST

START_TEST(advice_stays)
{
	char flags[PAGES * PAGE];
	FILE *smaps;
	size_t len;

	if (emulated_smaps())
		return;
	ck_assert_int_eq(madvise(area, PAGE, MADV_NOHUGEPAGE), 0);
	ck_assert_int_eq(madvise(area, PAGE, MADV_DONTDUMP), 0);
	ck_assert_int_eq(exchange(area, PAGE, 0), 0);
	ck_assert_int_eq(zcreq_memory_kind(area, PAGE), ZCREQ_MEMORY_PRIVATE);
	/* of the mapping that begins there */
	smaps = fopen("/proc/self/smaps", "r");
	snprintf(was, sizeof(was), "%lx-", (unsigned long)(uintptr_t)area);
	do
		ck_assert_ptr_nonnull(fgets(flags, sizeof(flags), smaps));
	while (strncmp(flags, was, strlen(was)));
	do
		ck_assert_ptr_nonnull(fgets(flags, sizeof(flags), smaps));
	while (strncmp(flags, "VmFlags:", 8));
	len = strlen(flags);
	ck_assert_uint_gt(len, 8);
	ck_assert_ptr_nonnull(strstr(flags, " nh"));
	ck_assert_ptr_nonnull(strstr(flags, " dd"));
	fclose(smaps);
}
END_TEST

/* ---- beside others ---- */

static volatile bool stop;
static volatile size_t wrong;

static void *read_on(void *arg)
{
	(void)arg;
	while (!stop) {
		for (size_t i = 0; i < sizeof(was); i += 64)
			wrong += area[i] != was[i];
	}
	return NULL;
}

START_TEST(another_thread_reads_the_same_all_the_time)
{
	pthread_t reader;

	ck_assert_int_eq(pthread_create(&reader, NULL, read_on, NULL), 0);
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(exchange(area + 100, sizeof(was) - 200, 0), 0);
	stop = true;
	pthread_join(reader, NULL);
	ck_assert_uint_eq(wrong, 0);
}
END_TEST

static int count_mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	int lines = 0, c;

	while ((c = getc(maps)) != EOF)
		lines += c == '\n';
	fclose(maps);
	return lines;
}

START_TEST(again_and_again_needs_no_more_mappings)
{
	int before = count_mappings();

	for (int i = 0; i < 1000; i++)
		CLAIM(!exchange(area + (i % 4) * PAGE, PAGE, i & 8 ? ZCREQ_DETACH_DISCARD : 0));
	ck_assert_int_le(count_mappings(), before + PAGES);
}
END_TEST

START_TEST(errno_is_the_callers)
{
	errno = 42;
	ck_assert_int_eq(exchange(area, PAGE, 0), 0);
	ck_assert_int_eq(exchange(unmapped(), PAGE, 0), -EPERM);
	ck_assert_int_eq(errno, 42);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("exchange");
	TCase *test = tcase_create("pages");

	tcase_add_checked_fixture(test, setup, teardown);
	tcase_set_timeout(test, 60);
	tcase_add_test(test, the_kernel_sends_the_old_bytes_and_the_program_writes_new_ones);
	tcase_add_test(test, without_it_the_new_bytes_are_sent);
	tcase_add_loop_test(test, what_else_is_on_the_pages_stays, 0, 2);
	tcase_add_test(test, discarded_pages_are_zeros);
	tcase_add_loop_test(test, many_ranges_in_one_call, 0, 2);
	tcase_add_loop_test(test, rights_stay_as_they_were, 0, 2);
	tcase_add_test(test, memory_of_malloc_is_exchanged);
	tcase_add_test(test, a_huge_page_is_split);
	tcase_add_loop_test(test, what_cannot_be_exchanged_is_refused_with_the_reason, 0,
			    COUNT(refusals));
	tcase_add_test(test, a_part_is_enough_to_refuse);
	tcase_add_loop_test(test, the_stack_that_the_call_runs_on_is_refused, 0, 6);
	tcase_add_loop_test(test, the_rest_of_a_stack_is_memory_like_any_other, 0, 2);
	tcase_add_test(test, nonsense_is_no_memory);
	tcase_add_test(test, without_a_descriptor_nobody_knows);
	tcase_add_test(test, advice_stays);
#ifdef __SANITIZE_ADDRESS__
	printf("left out: a thread that reads all the time does not end under the address sanitizer\n");
	(void)another_thread_reads_the_same_all_the_time;
#else
	tcase_add_test(test, another_thread_reads_the_same_all_the_time);
#endif
	tcase_add_test(test, again_and_again_needs_no_more_mappings);
	tcase_add_test(test, errno_is_the_callers);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
