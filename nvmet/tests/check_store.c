/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_store.c - blocks and namespaces: versions, zeroes, files, failures
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../target/store.h"
#include "support/emulated.h"
#include "support/suite.h"

#define BLOCKS 1100 /* more than two leaves, and not a whole number of them */

static struct pool pool;
static char path[64];

static void setup(void)
{
	ck_assert_int_eq(pool_init(&pool), 0);
	strcpy(path, "check_store.XXXXXX");
	close(mkstemp(path));
}

static void teardown(void)
{
	pool_deinit(&pool); /* asserts that no block is left in use */
	unlink(path);
}

static struct store *open_store(int file)
{
	const char *error = NULL;
	struct store *store;
	char spec[128];

	if (file)
		snprintf(spec, sizeof(spec), "file:%s:%d", path, BLOCKS * BLOCK_BYTES);
	else
		snprintf(spec, sizeof(spec), "mem:%d", BLOCKS * BLOCK_BYTES);
	ck_assert_msg(store_open(spec, "seed", &store, &error) == 0, "%s", error);
	ck_assert_uint_eq(store->blocks, BLOCKS);
	return store;
}

static int write_block(struct store *store, uint64_t place, int value)
{
	struct block *block;
	int err;

	ck_assert_int_eq(pool_take(&pool, &block, 1), 0);
	memset(block_data(block), value, BLOCK_BYTES);
	err = store_write(store, &pool, place, 1, &block);
	if (err)
		block_unref(&pool, block);
	return err;
}

static bool is_all(const struct block *block, int value)
{
	const uint8_t *data = block_data(block);

	return data[0] == value && !memcmp(data, data + 1, BLOCK_BYTES - 1);
}

static int read_value(struct store *store, uint64_t place)
{
	struct block *block;
	int value;

	ck_assert_int_eq(store_read(store, &pool, place, 1, &block), 0);
	value = *(uint8_t *)block_data(block);
	ck_assert(is_all(block, value));
	block_unref(&pool, block);
	return value;
}

/* A file system that does not know some modes of fallocate(2): in place of libc's. */
static int unknown_modes;

int fallocate(int fd, int mode, off_t offset, off_t len)
{
	int (*real)(int, int, off_t, off_t);

	if (mode & unknown_modes) {
		errno = EOPNOTSUPP;
		return -1;
	}
	*(void **)&real = dlsym(RTLD_NEXT, "fallocate");
	return real(fd, mode, offset, len);
}

START_TEST(unwritten_reads_as_zero)
{
	struct store *store = open_store(_i);

	ck_assert_int_eq(read_value(store, 0), 0);
	ck_assert_int_eq(read_value(store, BLOCKS - 1), 0);
	store_close(store, &pool);
}
END_TEST

/* The heart of it: what was read stays what it was. */
START_TEST(read_keeps_its_version)
{
	struct store *store = open_store(_i);
	struct block *old[3];

	ck_assert_int_eq(write_block(store, 510, 1), 0);
	ck_assert_int_eq(write_block(store, 511, 2), 0);
	ck_assert_int_eq(store_read(store, &pool, 510, 3, old), 0);
	ck_assert_int_eq(write_block(store, 510, 7), 0);
	ck_assert_int_eq(store_zero(store, &pool, 511, 1, true), 0);
	ck_assert_int_eq(write_block(store, 512, 9), 0);
	ck_assert(is_all(old[0], 1));
	ck_assert(is_all(old[1], 2));
	ck_assert(is_all(old[2], 0));
	ck_assert_int_eq(read_value(store, 510), 7);
	ck_assert_int_eq(read_value(store, 511), 0);
	ck_assert_int_eq(read_value(store, 512), 9);
	blocks_unref(&pool, old, 3);
	store_close(store, &pool);
}
END_TEST

START_TEST(version_outlives_its_namespace)
{
	struct store *store = open_store(0);
	struct block *old;

	ck_assert_int_eq(write_block(store, 3, 5), 0);
	ck_assert_int_eq(store_read(store, &pool, 3, 1, &old), 0);
	store_close(store, &pool);
	ck_assert(is_all(old, 5));
	block_unref(&pool, old);
}
END_TEST

START_TEST(memory_costs_what_was_written)
{
	struct store *store = open_store(0);

	ck_assert_int_eq(write_block(store, 0, 1), 0);
	ck_assert_int_eq(write_block(store, 0, 2), 0);
	ck_assert_int_eq(write_block(store, 1000, 1), 0);
	ck_assert_uint_eq(pool.used, 2);
	ck_assert_int_eq(store_deallocate(store, &pool, 0, BLOCKS), 0);
	ck_assert_uint_eq(pool.used, 0);
	store_close(store, &pool);
}
END_TEST

/* Any range may be announced, written or not; nothing is touched by it. */
START_TEST(announcement_changes_nothing)
{
	struct store *store = open_store(_i);

	ck_assert_int_eq(write_block(store, 700, 7), 0);
	for (unsigned step = 0; step < STORE_STEPS; step++)
		store_expect(store, 0, BLOCKS, (enum store_step)step);
	ck_assert_int_eq(read_value(store, 700), 7);
	ck_assert_int_eq(read_value(store, 699), 0);
	ck_assert_uint_eq(pool.used, _i ? 0 : 1);
	store_close(store, &pool);
}
END_TEST

START_TEST(deallocate_hits_its_range_only)
{
	struct store *store = open_store(_i);
	uint64_t place;

	for (place = 508; place < 1030; place++)
		ck_assert_int_eq(write_block(store, place, (int)(place % 250) + 1), 0);
	ck_assert_int_eq(store_zero(store, &pool, 510, 516, _i), 0);
	for (place = 508; place < 1030; place++)
		ck_assert_int_eq(read_value(store, place),
				 place < 510 || place >= 1026 ? (int)(place % 250) + 1 : 0);
	store_close(store, &pool);
}
END_TEST

/* 0: memory, 1: a file, 2: on a file system without holes, 3: one that had them when the file
 * was opened */
START_TEST(deallocated_reads_as_hosts_are_told)
{
	struct store *store;

	unknown_modes = _i == 2 ? FALLOC_FL_PUNCH_HOLE : 0;
	store = open_store(_i);
	ck_assert_int_eq(store->deallocated_is_zero, _i != 2);
	ck_assert_int_eq(write_block(store, 5, 7), 0);
	ck_assert_int_eq(write_block(store, 6, 8), 0);
	unknown_modes = _i >= 2 ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE : 0;
	ck_assert_int_eq(store_deallocate(store, &pool, 5, 1), 0);
	ck_assert_int_eq(read_value(store, 5), _i == 2 ? 7 : 0);
	ck_assert_int_eq(read_value(store, 6), 8);
	ck_assert_int_eq(store_zero(store, &pool, 6, 1, true), 0);
	ck_assert_int_eq(read_value(store, 6), 0);
	store_close(store, &pool);
}
END_TEST

/* Anything in any order against an array, with old versions kept and looked at. */
START_TEST(random_work_agrees_with_a_model)
{
	static uint8_t model[BLOCKS];
	struct { struct block *block; uint8_t value; } kept[64] = {{0}};
	struct store *store = open_store(_i & 1);
	uint64_t place, count, i;
	int step, value;

	srand(1000 + (unsigned)_i);
	memset(model, 0, sizeof(model));
	for (step = 0; step < 4000; step++) {
		place = (uint64_t)rand() % BLOCKS;
		count = 1 + (uint64_t)rand() % (BLOCKS - place);
		value = 1 + rand() % 255;
		switch (rand() % 16) {
		case 0:
			ck_assert_int_eq(store_zero(store, &pool, place, count, value & 1), 0);
			memset(model + place, 0, count);
			break;
		case 1: case 2: case 3: case 4: case 5:
			i = (uint64_t)rand() % COUNT(kept);
			if (kept[i].block) {
				ck_assert(is_all(kept[i].block, kept[i].value));
				block_unref(&pool, kept[i].block);
			}
			ck_assert_int_eq(store_read(store, &pool, place, 1, &kept[i].block), 0);
			kept[i].value = model[place];
			break;
		default:
			ck_assert_int_eq(write_block(store, place, value), 0);
			model[place] = (uint8_t)value;
		}
	}
	for (place = 0; place < BLOCKS; place++)
		ck_assert_int_eq(read_value(store, place), model[place]);
	for (i = 0; i < COUNT(kept); i++) {
		if (!kept[i].block)
			continue;
		ck_assert(is_all(kept[i].block, kept[i].value));
		block_unref(&pool, kept[i].block);
	}
	store_close(store, &pool);
}
END_TEST

START_TEST(file_survives_restart)
{
	struct store *store = open_store(1);
	uint8_t uuid[16];

	ck_assert_int_eq(write_block(store, 77, 33), 0);
	ck_assert_int_eq(store->ops->flush(store), 0);
	memcpy(uuid, store->uuid, sizeof(uuid));
	store_close(store, &pool);
	store = open_store(1);
	ck_assert_int_eq(read_value(store, 77), 33);
	ck_assert_mem_eq(uuid, store->uuid, sizeof(uuid));
	store_close(store, &pool);
}
END_TEST

static unsigned syncs, sync_fails; /* the number of the call that does; 0: none */

/* In place of the C library's. */
int fdatasync(int fd)
{
	ck_assert_int_ge(fd, 0);
	if (++syncs != sync_fails)
		return 0;
	errno = EIO;
	return -1;
}

/* Linux tells of it once, and it may have been another host's data. */
START_TEST(flush_that_failed_is_the_last_that_is_tried)
{
	struct store *store = open_store(1);

	sync_fails = 2;
	ck_assert_int_eq(write_block(store, 7, 1), 0);
	ck_assert_int_eq(store->ops->flush(store), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(store->ops->flush(store), -EIO);
	ck_assert_uint_eq(syncs, 2);
	ck_assert_int_eq(read_value(store, 7), 1);
	store_close(store, &pool);
}
END_TEST

START_TEST(shortened_file_is_an_error_not_a_signal)
{
	struct store *store = open_store(1);
	struct block *blocks[4];

	ck_assert_int_eq(truncate(path, 2 * BLOCK_BYTES), 0);
	ck_assert_int_eq(store_read(store, &pool, 0, 4, blocks), -EIO);
	ck_assert_uint_eq(pool.used, 0);
	store_close(store, &pool);
}
END_TEST

START_TEST(file_that_cannot_grow_is_an_error)
{
	struct rlimit limit = { .rlim_cur = 4 * BLOCK_BYTES, .rlim_max = RLIM_INFINITY };
	struct store *store = open_store(1);

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(write_block(store, 3, 1), 0);
	ck_assert_int_eq(write_block(store, 4, 1), -EFBIG);
	ck_assert_uint_eq(pool.used, 0);
	store_close(store, &pool);
}
END_TEST

START_TEST(memory_is_asked_for_in_slabs_and_given_back)
{
	static struct block *blocks[4 * SLAB_BLOCKS];
	size_t i;

	ck_assert_int_eq(pool_take(&pool, blocks, COUNT(blocks)), 0);
	ck_assert_uint_eq(pool.used, COUNT(blocks));
	ck_assert_uint_eq(pool.slabs, 5);
	for (i = 1; i < SLAB_BLOCKS - 1; i++) /* neighbours are neighbours in memory */
		ck_assert_ptr_eq(block_data(blocks[i]),
				 (char *)block_data(blocks[i - 1]) + BLOCK_BYTES);
	for (i = 0; i < COUNT(blocks); i++)
		memset(block_data(blocks[i]), 1, BLOCK_BYTES);
	blocks_unref(&pool, blocks, COUNT(blocks));
	ck_assert_uint_eq(pool.used, 0);
	ck_assert_uint_le(pool.slabs, 2);
}
END_TEST

static bool are_neighbours(struct block **blocks, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (block_data(blocks[i]) != (char *)block_data(blocks[i - 1]) + BLOCK_BYTES)
			return false;
	return true;
}

START_TEST(several_are_taken_in_a_row_though_single_ones_are_free)
{
	static struct block *blocks[3 * SLAB_BLOCKS];
	struct block *some[32], *strewn;

	ck_assert_int_eq(pool_take(&pool, blocks, COUNT(blocks)), 0);
	for (size_t i = 1; i < COUNT(blocks); i += 2)
		block_unref(&pool, blocks[i]);
	for (size_t i = SLAB_BLOCKS + 100; i < SLAB_BLOCKS + 132; i += 2)
		block_unref(&pool, blocks[i]);
	ck_assert_int_eq(pool_take(&pool, some, COUNT(some)), 0);
	ck_assert(are_neighbours(some, COUNT(some)));
	ck_assert_int_eq(pool_take(&pool, &strewn, 1), 0);
	block_unref(&pool, strewn);
	blocks_unref(&pool, some, COUNT(some));
	for (size_t i = 0; i < COUNT(blocks); i += 2)
		if (i < SLAB_BLOCKS + 100 || i >= SLAB_BLOCKS + 132)
			block_unref(&pool, blocks[i]);
}
END_TEST

/* A large read of it is sent from few pieces; who has a version keeps it nevertheless. */
START_TEST(what_is_overwritten_in_small_pieces_stays_together)
{
	struct store *store = open_store(0);
	struct block *blocks[64], *held;
	unsigned seed = 1;
	int last[64] = { 0 };

	ck_assert_int_eq(pool_take(&pool, blocks, COUNT(blocks)), 0);
	for (size_t i = 0; i < COUNT(blocks); i++)
		memset(block_data(blocks[i]), 0, BLOCK_BYTES);
	ck_assert_int_eq(store_write(store, &pool, 100, COUNT(blocks), blocks), 0);
	for (int value = 1; value < 250; value++) {
		unsigned place = (unsigned)rand_r(&seed) % COUNT(blocks);

		ck_assert_int_eq(write_block(store, 100 + place, value), 0);
		last[place] = value;
	}
	ck_assert_int_eq(store_read(store, &pool, 100, COUNT(blocks), blocks), 0);
	ck_assert(are_neighbours(blocks, COUNT(blocks)));
	for (size_t i = 0; i < COUNT(blocks); i++)
		ck_assert(is_all(blocks[i], last[i]));
	blocks_unref(&pool, blocks, COUNT(blocks));

	ck_assert_int_eq(store_read(store, &pool, 110, 1, &held), 0);
	ck_assert_int_eq(write_block(store, 110, 251), 0);
	ck_assert(is_all(held, last[10]));
	ck_assert_int_eq(read_value(store, 110), 251);
	block_unref(&pool, held);
	ck_assert_uint_eq(pool.used, COUNT(blocks));
	store_close(store, &pool);
}
END_TEST

/* The figures that smaps has of the mapping that @at is in. */
static void look_up(const void *at, long *huge_kb, bool *asked)
{
	FILE *smaps = fopen("/proc/self/smaps", "r");
	unsigned long from, to;
	bool here = false;
	char line[512];

	ck_assert_ptr_nonnull(smaps);
	*huge_kb = -1;
	*asked = false;
	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = from <= (uintptr_t)at && (uintptr_t)at < to;
		if (here && !strncmp(line, "VmFlags:", 8))
			*asked = strstr(line, " hg");
		if (here)
			sscanf(line, "AnonHugePages: %ld", huge_kb);
	}
	fclose(smaps);
}

/* 0: as the system has it; 1: a system that has none for us */
START_TEST(huge_pages_are_asked_for_and_not_needed)
{
	static struct block *blocks[2 * SLAB_BLOCKS];
	long huge_kb;
	bool asked;

	if (emulated_smaps())
		return;
	ck_assert_int_eq(prctl(PR_SET_THP_DISABLE, _i, 0, 0, 0), 0);
	ck_assert_int_eq(pool_take(&pool, blocks, COUNT(blocks)), 0);
	for (size_t i = 0; i < COUNT(blocks); i++)
		memset(block_data(blocks[i]), (int)i, BLOCK_BYTES);
	for (size_t i = 0; i < COUNT(blocks); i++)
		ck_assert(is_all(blocks[i], (int)(i & 0xff)));
	look_up(block_data(blocks[SLAB_BLOCKS]), &huge_kb, &asked);
	ck_assert_int_ge(huge_kb, 0);
	ck_assert_int_eq(asked, !access("/sys/kernel/mm/transparent_hugepage/enabled", F_OK));
	if (_i)
		ck_assert_int_eq(huge_kb, 0);
	blocks_unref(&pool, blocks, COUNT(blocks));
}
END_TEST

#ifndef NVMET_SANITIZED /* a sanitizer's shadow does not live with such a limit */
START_TEST(want_of_memory_takes_nothing)
{
	struct rlimit limit = { .rlim_cur = 0, .rlim_max = RLIM_INFINITY };
	static struct block *blocks[64 * SLAB_BLOCKS];

	ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_AS, &limit), 0);
	if (limit.rlim_cur) {
		printf("memory has no limit here: emulated\n");
		return;
	}
	ck_assert_int_eq(pool_take(&pool, blocks, COUNT(blocks)), -ENOMEM);
	ck_assert_uint_eq(pool.used, 0);
}
END_TEST
#endif

static const struct { const char *text; int err; uint64_t bytes; } sizes[] = {
	{ "0", 0, 0 }, { "4096", 0, 4096 }, { "64K", 0, 65536 }, { "64k", 0, 65536 },
	{ "1G", 0, 1 << 30 }, { "16T", 0, UINT64_C(16) << 40 },
	{ "", -EINVAL, 0 }, { "-1", -EINVAL, 0 }, { "1X", -EINVAL, 0 }, { "1KB", -EINVAL, 0 },
	{ "K", -EINVAL, 0 }, { " 1", -EINVAL, 0 }, { "99999999999999999999", -EINVAL, 0 },
	{ "18446744073709551615K", -EINVAL, 0 },
};

START_TEST(size_is_parsed_or_refused)
{
	uint64_t bytes = 0;

	ck_assert_int_eq(store_parse_size(sizes[_i].text, &bytes), sizes[_i].err);
	ck_assert_uint_eq(bytes, sizes[_i].bytes);
}
END_TEST

static const char *const nonsense[] = {
	"", "mem:", "mem:0", "mem:1", "mem:x", "disk:1G", "file:", "file:/nonexistent/file",
	"file:/dev/null", "mem:1000000T",
};

START_TEST(nonsense_is_refused_with_a_reason)
{
	const char *error = NULL;
	struct store *store;

	ck_assert_int_lt(store_open(nonsense[_i], "seed", &store, &error), 0);
	ck_assert_ptr_nonnull(error);
}
END_TEST

START_TEST(range_cannot_wrap)
{
	struct store *store = open_store(0);

	ck_assert(store_range_ok(store, 0, BLOCKS));
	ck_assert(store_range_ok(store, BLOCKS, 0));
	ck_assert(!store_range_ok(store, 1, BLOCKS));
	ck_assert(!store_range_ok(store, UINT64_MAX, 1));
	ck_assert(!store_range_ok(store, 1, UINT64_MAX));
	store_close(store, &pool);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nvme store");
	TCase *cases = tcase_create("all");

	tcase_set_timeout(cases, 60);
	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_add_loop_test(cases, unwritten_reads_as_zero, 0, 2);
	tcase_add_loop_test(cases, read_keeps_its_version, 0, 2);
	tcase_add_test(cases, version_outlives_its_namespace);
	tcase_add_test(cases, memory_costs_what_was_written);
	tcase_add_loop_test(cases, announcement_changes_nothing, 0, 2);
	tcase_add_loop_test(cases, deallocate_hits_its_range_only, 0, 2);
	tcase_add_loop_test(cases, deallocated_reads_as_hosts_are_told, 0, 4);
	tcase_add_loop_test(cases, random_work_agrees_with_a_model, 0, 8);
	tcase_add_test(cases, file_survives_restart);
	tcase_add_test(cases, flush_that_failed_is_the_last_that_is_tried);
	tcase_add_test(cases, shortened_file_is_an_error_not_a_signal);
	tcase_add_test(cases, file_that_cannot_grow_is_an_error);
	tcase_add_test(cases, memory_is_asked_for_in_slabs_and_given_back);
	tcase_add_test(cases, several_are_taken_in_a_row_though_single_ones_are_free);
	tcase_add_test(cases, what_is_overwritten_in_small_pieces_stays_together);
	tcase_add_loop_test(cases, huge_pages_are_asked_for_and_not_needed, 0, 2);
#ifndef NVMET_SANITIZED
	tcase_add_test(cases, want_of_memory_takes_nothing);
#endif
	tcase_add_loop_test(cases, size_is_parsed_or_refused, 0, COUNT(sizes));
	tcase_add_loop_test(cases, nonsense_is_refused_with_a_reason, 0, COUNT(nonsense));
	tcase_add_test(cases, range_cannot_wrap);
	suite_add_tcase(suite, cases);
	return suite_run(suite);
}
