/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_pages.c - which pages are protected when, against an oracle
 */
#include "support/suite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "guard/pages.h"
#include "support/emulated.h"

#define PAGE 4096
#define MANY 3000 /* pages; the table starts with room for 512 */
#define AREAS 300
#define IOVECS 3

static struct {
	struct zcreq_guard_area area;
	struct iovec iov[IOVECS];
	bool taken;
} areas[AREAS];
static unsigned owners[MANY]; /* areas that have it wholly */
static char *memory;

/* As a system call sees it: a protected page refuses. */
static bool is_writable(const char *address)
{
	char same = *address;
	const struct iovec from = {&same, 1}, to = {(void *)address, 1};

	return process_vm_writev(getpid(), &from, 1, &to, 1, 0) == 1;
}

static bool never(struct zcreq_guard_area *area, const char *address, uint64_t offset_bytes)
{
	(void)area;
	(void)address;
	(void)offset_bytes;
	return false;
}

static void setup(void)
{
	memory = mmap(NULL, MANY * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	ck_assert(memory != MAP_FAILED);
	memset(memory, 'a', MANY * PAGE);
	ck_assert_int_eq(zcreq_guard_pages_start(), 0);
}

static void teardown(void)
{
	zcreq_guard_pages_stop();
	ck_assert_int_eq(munmap(memory, MANY * PAGE), 0);
}

/* Three runs of bytes somewhere; long ones and some with no page. */
static void make_area(unsigned n, uint64_t *seed)
{
	for (unsigned i = 0; i < IOVECS; i++) {
		size_t from = suite_random(seed) % (MANY * PAGE);
		size_t most = MANY * PAGE - from, len = suite_random(seed) % (60 * PAGE);

		if (suite_random(seed) % 4 == 0) /* whole pages */
			from -= from % PAGE, len -= len % PAGE;
		areas[n].iov[i] = (struct iovec){memory + from, len < most ? len : most};
	}
	areas[n].area = (struct zcreq_guard_area){
		.iov = areas[n].iov, .iovcnt = IOVECS, .written = never,
	};
}

/* Page by page, and not as the library goes about it. */
static void count_owners(unsigned n, int change)
{
	for (unsigned i = 0; i < IOVECS; i++) {
		const char *base = areas[n].iov[i].iov_base;
		size_t len = areas[n].iov[i].iov_len;

		for (unsigned page = 0; page < MANY; page++) {
			const char *at = memory + (size_t)page * PAGE;

			if (at >= base && at + PAGE <= base + len)
				owners[page] += (unsigned)change;
		}
	}
}

static void expect_as_owned(void)
{
	for (unsigned page = 0; page < MANY; page++)
		CLAIM(is_writable(memory + (size_t)page * PAGE) == (owners[page] == 0));
}

static void flip(unsigned n, uint64_t *seed)
{
	errno = EDOM;
	if (areas[n].taken) {
		zcreq_guard_pages_give(&areas[n].area, suite_random(seed) & 1);
	} else {
		make_area(n, seed);
		zcreq_guard_pages_take(&areas[n].area);
	}
	CLAIM(errno == EDOM);
	count_owners(n, areas[n].taken ? -1 : 1);
	areas[n].taken = !areas[n].taken;
}

START_TEST(a_page_is_protected_while_an_area_has_it)
{
	uint64_t seed = (uint64_t)_i + 1;

	for (unsigned round = 0; round < 600; round++) {
		flip((unsigned)(suite_random(&seed) % (round < 300 ? 40 : AREAS)), &seed);
		if (round % 20 == 0)
			expect_as_owned();
	}
	for (unsigned n = 0; n < AREAS; n++) {
		if (areas[n].taken)
			flip(n, &seed);
		if (n % 20 == 0)
			expect_as_owned();
	}
	expect_as_owned();
}
END_TEST

/* One area of everything: the table grows again and again in the middle of it. */
START_TEST(an_area_of_many_pages)
{
	const struct iovec all = {memory, MANY * PAGE};
	struct zcreq_guard_area area = {.iov = &all, .iovcnt = 1, .written = never};

	for (unsigned round = 0; round < 2; round++) {
		zcreq_guard_pages_take(&area);
		for (unsigned page = 0; page < MANY; page++)
			CLAIM(!is_writable(memory + (size_t)page * PAGE));
		zcreq_guard_pages_give(&area, false);
		expect_as_owned();
	}
}
END_TEST

/* The list of what is mapped is longer than what is read of it in one go. */
START_TEST(each_mapping_is_found_in_a_long_list)
{
	struct iovec iov[64];
	struct zcreq_guard_area area = {.iov = iov, .iovcnt = COUNT(iov), .written = never};

	/* every other page, so that each is a line: read only, with a hole, or neither */
	for (size_t page = 0; page < MANY; page += 2) {
		char *at = memory + page * PAGE;

		if (page % 3 == 0)
			ck_assert_int_eq(munmap(at, PAGE), 0);
		else
			ck_assert_int_eq(mprotect(at, PAGE, PROT_READ), 0);
	}
	for (size_t i = 0; i < COUNT(iov); i++) /* downwards, three pages each */
		iov[i] = (struct iovec){memory + (MANY - 40 * (i + 1)) * PAGE, 3 * PAGE};
	zcreq_guard_pages_take(&area);
	for (size_t i = 0; i < COUNT(iov); i++)
		CLAIM(!is_writable((char *)iov[i].iov_base + PAGE));
	zcreq_guard_pages_give(&area, _i);
	for (size_t i = 0; i < COUNT(iov); i++) {
		size_t first = MANY - 40 * (i + 1);

		CLAIM(is_writable((char *)iov[i].iov_base + PAGE));
		for (size_t page = first; page <= first + 2; page += 2) {
			if (page % 3)
				CLAIM(!is_writable(memory + page * PAGE));
		}
	}
}
END_TEST

/* Nothing is mapped there, nor behind it. */
START_TEST(pages_behind_the_last_mapping)
{
	const struct iovec iov = {(void *)(UINTPTR_MAX - 3 * PAGE + 1), 2 * PAGE};
	struct zcreq_guard_area area = {.iov = &iov, .iovcnt = 1, .written = never};
	int lowest = dup(0);

	close(lowest);
	zcreq_guard_pages_take(&area);
	zcreq_guard_pages_give(&area, _i);
	ck_assert_int_eq(dup(0), lowest); /* no descriptor is left behind */
}
END_TEST

/* Execution is none of the guard's business. */
START_TEST(a_page_keeps_the_rest_of_its_access)
{
	static const int accesses[] = {
		PROT_READ | PROT_WRITE | PROT_EXEC, PROT_READ | PROT_EXEC, PROT_NONE, PROT_WRITE,
	};
	const struct iovec iov = {memory, PAGE};
	struct zcreq_guard_area area = {.iov = &iov, .iovcnt = 1, .written = never};
	char line[256], before[64] = "", during[64] = "", after[64] = "", *const kept[] = {
		before, during, after,
	};

	ck_assert_int_eq(mprotect(memory, PAGE, accesses[_i]), 0);
	for (unsigned when = 0; when < COUNT(kept); when++) {
		FILE *maps = fopen("/proc/self/maps", "r");

		if (when == 1)
			zcreq_guard_pages_take(&area);
		else if (when == 2)
			zcreq_guard_pages_give(&area, false);
		while (fgets(line, sizeof(line), maps)) {
			unsigned long start, end;
			char access[5];

			ck_assert_int_eq(sscanf(line, "%lx-%lx %4s", &start, &end, access), 3);
			if ((uintptr_t)memory >= start && (uintptr_t)memory < end)
				strcpy(kept[when], access);
		}
		fclose(maps);
	}
	ck_assert_str_eq(before, after);
	before[1] = '-';
	ck_assert_str_eq(before, during);
}
END_TEST

static unsigned heard[2];
static struct zcreq_guard_area neighbours[2];

static bool hear(struct zcreq_guard_area *area, const char *address, uint64_t offset_bytes)
{
	CLAIM(address == memory + PAGE + 5 && offset_bytes == 5);
	heard[area - neighbours]++;
	return false;
}

/* What is behind its last iovec is not the area's. */
START_TEST(an_area_ends_with_its_last_iovec)
{
	const struct iovec iov[] = {{memory, PAGE}, {memory + PAGE, PAGE}};

	for (unsigned i = 0; i < COUNT(neighbours); i++) {
		neighbours[i] = (struct zcreq_guard_area){
			.iov = &iov[i], .iovcnt = 1, .written = hear,
		};
		zcreq_guard_pages_take(&neighbours[i]);
	}
	*(volatile char *)(memory + PAGE + 5) = 'b';
	ck_assert_uint_eq(heard[0], 0);
	ck_assert_uint_eq(heard[1], 1);
	for (unsigned i = 0; i < COUNT(neighbours); i++)
		zcreq_guard_pages_give(&neighbours[i], false);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("guard_pages");
	TCase *pages = tcase_create("pages");

	if (emulated_memory())
		return 77;
	tcase_set_timeout(pages, 30);
	tcase_add_checked_fixture(pages, setup, teardown);
	tcase_add_loop_test(pages, a_page_is_protected_while_an_area_has_it, 0, 3);
	tcase_add_test(pages, an_area_of_many_pages);
	tcase_add_loop_test(pages, each_mapping_is_found_in_a_long_list, 0, 2);
	tcase_add_test(pages, an_area_ends_with_its_last_iovec);
	tcase_add_loop_test(pages, pages_behind_the_last_mapping, 0, 2);
	tcase_add_loop_test(pages, a_page_keeps_the_rest_of_its_access, 0, 4);
	suite_add_tcase(s, pages);
	return suite_run(s);
}
