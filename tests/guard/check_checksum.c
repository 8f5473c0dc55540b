/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_checksum.c - sums of memory: each change has its place, nothing crashes
 */
#include "support/suite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guard/checksum.h"
#include "support/emulated.h"

static const struct iovec odd_iovs[] = {{NULL, 1}, {NULL, 0}, {NULL, 255}, {NULL, 256}, {NULL, 257},
					{NULL, 20000}};

/* In the middle of a block, at the end of an iovec, of a block, of everything. */
static const uint64_t cuts[] = {UINT64_MAX, 500, 0, 1, 512, 769 + 512, 769 + 513, 20768, 20769};

/* The sums find a flipped byte in its block, and none that is behind the cut. */
static void check_byte(const struct zcreq_checksum *sum, char *byte, uint64_t offset, size_t at,
		       uint64_t cut)
{
	struct zcreq_checksum_difference where;
	enum zcreq_checksum_verdict verdict;
	size_t in_block = at % ZCREQ_CHECKSUM_BLOCK;

	*byte ^= 0x10;
	verdict = zcreq_checksum_compare(sum, &where);
	*byte ^= 0x10;
	if (offset >= cut) {
		CLAIM(verdict == ZCREQ_CHECKSUM_SAME);
		return;
	}
	CLAIM(verdict == ZCREQ_CHECKSUM_CHANGED);
	CLAIM(where.offset_bytes == offset - in_block);
	CLAIM(where.address == byte - in_block);
	CLAIM(where.len_bytes > in_block && where.len_bytes <= ZCREQ_CHECKSUM_BLOCK);
}

START_TEST(every_changed_byte_has_its_place)
{
	static char memory[COUNT(odd_iovs)][20000];
	struct iovec iov[COUNT(odd_iovs)];
	struct zcreq_checksum_difference where;
	struct zcreq_checksum *sum;
	uint64_t cut = cuts[_i], base = 0, seed = 1;

	for (size_t i = 0; i < COUNT(iov); i++) {
		iov[i] = (struct iovec){memory[i], odd_iovs[i].iov_len};
		for (size_t at = 0; at < iov[i].iov_len; at++)
			memory[i][at] = (char)suite_random(&seed);
		base += iov[i].iov_len;
	}
	sum = malloc(zcreq_checksum_size(iov, COUNT(iov)));
	memset(sum, 0xee, sizeof(*sum));
	zcreq_checksum_take(sum, iov, COUNT(iov));
	ck_assert_uint_eq(sum->total_bytes, base);
	base = 0;
	zcreq_checksum_cut(sum, cut);
	for (size_t i = 0; i < COUNT(iov); i++) {
		for (size_t at = 0; at < iov[i].iov_len; at += at < 600 ? 1 : 241)
			check_byte(sum, &memory[i][at], base + at, at, cut);
		base += iov[i].iov_len;
	}
	CLAIM(zcreq_checksum_compare(sum, &where) == ZCREQ_CHECKSUM_SAME);
	free(sum);
}
END_TEST

/* A block that cannot be read is told from one that has changed, also if both are. */
START_TEST(what_cannot_be_read_is_not_a_change)
{
	const long page = sysconf(_SC_PAGESIZE);
	char *memory = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);
	const struct iovec iov = {memory + 100, 3 * page - 200};
	struct zcreq_checksum *sum = malloc(zcreq_checksum_size(&iov, 1));
	struct zcreq_checksum_difference where;
	uint64_t cut = page - 100 - (page - 100) % ZCREQ_CHECKSUM_BLOCK;

	ck_assert(memory != MAP_FAILED);
	zcreq_checksum_take(sum, &iov, 1);
	ck_assert_int_eq(mprotect(memory + page, page, PROT_NONE), 0);
	ck_assert_int_eq(zcreq_checksum_compare(sum, &where), ZCREQ_CHECKSUM_UNREADABLE);
	ck_assert_uint_eq(where.offset_bytes, cut);
	ck_assert_uint_ge(where.len_bytes, page);
	memory[200] = 1;
	ck_assert_int_eq(zcreq_checksum_compare(sum, &where), ZCREQ_CHECKSUM_CHANGED);
	/* one that could not be read before is not compared */
	zcreq_checksum_take(sum, &iov, 1);
	ck_assert_int_eq(mprotect(memory + page, page, PROT_READ), 0);
	ck_assert_int_eq(zcreq_checksum_compare(sum, &where), ZCREQ_CHECKSUM_SAME);
	free(sum);
}
END_TEST

/* As much as there is, from the front; and errno is the caller's. */
START_TEST(memory_is_copied_as_far_as_it_is_there)
{
	const long page = sysconf(_SC_PAGESIZE);
	char *memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);
	char copy[300] = "";

	ck_assert_int_eq(munmap(memory + page, page), 0);
	memory[page - 1] = 'z';
	errno = EDOM;
	ck_assert_uint_eq(zcreq_checksum_peek(copy, memory + page - 100, 300), 100);
	ck_assert_int_eq(copy[99], 'z');
	ck_assert_uint_eq(zcreq_checksum_peek(copy, memory + page, 300), 0);
	ck_assert_int_eq(zcreq_checksum_possible(), 0);
	ck_assert_int_eq(errno, EDOM);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("checksum");
	TCase *sums = tcase_create("sums");

	if (emulated_memory())
		return 77;
	tcase_add_loop_test(sums, every_changed_byte_has_its_place, 0, COUNT(cuts));
	tcase_add_test(sums, what_cannot_be_read_is_not_a_change);
	tcase_add_test(sums, memory_is_copied_as_far_as_it_is_there);
	suite_add_tcase(s, sums);
	return suite_run(s);
}
