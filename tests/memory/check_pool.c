/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_pool.c - buffers of one size, given away once and put back once
 */
#include "support/suite.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <zcreq/zcreq.h>

#include "memory/exchange.h"
#include "support/counting.h"
#include "support/emulated.h"

static struct counting memory;
static struct zcreq_context *context;
static struct zcreq_pool *pool;
static struct zcreq_pool_options options = {
	.size = sizeof(options),
	.count = 4,
	.buffer_bytes = 5000,
};

static void setup(void)
{
	struct zcreq_context_options with = {.size = sizeof(with)};

	counting_init(&memory);
	with.allocator = &memory.allocator;
	ck_assert_int_eq(zcreq_context_new(&with, &context), 0);
}

static void teardown(void)
{
	ck_assert_int_eq(zcreq_pool_free(pool), 0);
	ck_assert_int_eq(zcreq_context_free(context), 0);
	ck_assert_uint_eq(memory.live, 0);
}

static void make(void)
{
	ck_assert_int_eq(zcreq_pool_new(context, &options, &pool), 0);
}

START_TEST(each_buffer_is_given_away_once)
{
	char *got[4];

	make();
	for (int i = 0; i < 4; i++) {
		got[i] = zcreq_pool_get(pool);
		ck_assert_ptr_nonnull(got[i]);
		ck_assert_uint_eq((uintptr_t)got[i] % (uintptr_t)sysconf(_SC_PAGESIZE), 0);
		for (int b = 0; b < 5000; b++)
			CLAIM(got[i][b] == 0);
		memset(got[i], i + 1, 5000);
	}
	ck_assert_ptr_null(zcreq_pool_get(pool));
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(got[i][0], i + 1);
		ck_assert_int_eq(got[i][4999], i + 1);
	}
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(zcreq_pool_put(pool, got[i]), 0);
	/* that which was put back last */
	ck_assert_ptr_eq(zcreq_pool_get(pool), got[3]);
	ck_assert_int_eq(zcreq_pool_put(pool, got[3]), 0);
}
END_TEST

START_TEST(twice_is_refused)
{
	char *got;

	make();
	got = zcreq_pool_get(pool);
	ck_assert_int_eq(zcreq_pool_put(pool, got + 1), -EINVAL);
	ck_assert_int_eq(zcreq_pool_put(pool, got - 1), -EINVAL);
	ck_assert_int_eq(zcreq_pool_put(pool, got + 4 * 8192), -EINVAL);
	ck_assert_int_eq(zcreq_pool_put(pool, NULL), -EINVAL);
	ck_assert_int_eq(zcreq_pool_put(NULL, got), -EINVAL);
	ck_assert_int_eq(zcreq_pool_put(pool, got), 0);
	ck_assert_int_eq(zcreq_pool_put(pool, got), -EALREADY);
	ck_assert_int_eq(zcreq_pool_put(pool, got + 8192), -EALREADY);
	ck_assert_ptr_null(zcreq_pool_get(NULL));
}
END_TEST

START_TEST(it_stays_while_a_buffer_is_out)
{
	char *got;

	make();
	got = zcreq_pool_get(pool);
	ck_assert_int_eq(zcreq_pool_free(pool), -EBUSY);
	ck_assert_int_eq(zcreq_context_free(context), -EBUSY);
	ck_assert_int_eq(zcreq_pool_put(pool, got), 0);
	ck_assert_int_eq(zcreq_context_free(context), -EBUSY);
}
END_TEST

START_TEST(bad_options_are_refused)
{
	struct zcreq_pool_options bad = options;
	struct {
		struct zcreq_pool_options known;
		uint64_t more;
	} newer = {options, 1};

	ck_assert_int_eq(zcreq_pool_new(NULL, &options, &pool), -EINVAL);
	ck_assert_int_eq(zcreq_pool_new(context, NULL, &pool), -EINVAL);
	ck_assert_int_eq(zcreq_pool_new(context, &options, NULL), -EINVAL);
	bad.count = 0;
	ck_assert_int_eq(zcreq_pool_new(context, &bad, &pool), -EINVAL);
	bad.count = UINT32_MAX;
	ck_assert_int_eq(zcreq_pool_new(context, &bad, &pool), -EINVAL);
	bad = options;
	bad.buffer_bytes = 0;
	ck_assert_int_eq(zcreq_pool_new(context, &bad, &pool), -EINVAL);
	bad.buffer_bytes = SIZE_MAX;
	ck_assert_int_eq(zcreq_pool_new(context, &bad, &pool), -ENOMEM);
	/* a quarter of what addresses there are; of 32 bits that may be free */
	bad.buffer_bytes = sizeof(size_t) > 4 ? SIZE_MAX / 16 : SIZE_MAX;
	errno = 42;
	ck_assert_int_eq(zcreq_pool_new(context, &bad, &pool), -ENOMEM);
	ck_assert_int_eq(errno, 42);
	bad = options;
	bad.flags = 4;
	ck_assert_int_eq(zcreq_pool_new(context, &bad, &pool), -EINVAL);
	newer.known.size = sizeof(newer);
	ck_assert_int_eq(zcreq_pool_new(context, &newer.known, &pool), -E2BIG);
	memory.fail_at = memory.calls + 1;
	ck_assert_int_eq(zcreq_pool_new(context, &options, &pool), -ENOMEM);
	ck_assert_ptr_null(pool);
}
END_TEST

/* At most half of what can be counted, less a huge page: what is more is refused before
 * memory is asked for, and what is not is not. With 32 bits a pool of 4096 bytes a buffer comes
 * there with half a million of them. */
START_TEST(as_many_bytes_as_can_be_counted)
{
	static const uint32_t counts[] = {
		1, 2, 3, 1000, 500000, 523775, 523776, 523777, 524287, 524288, 524289, 1048575,
		1048576, 1048577, (uint32_t)1 << 31, UINT32_MAX - 2,
	};
	const size_t page = (size_t)sysconf(_SC_PAGESIZE), most = SIZE_MAX / 2 - ((size_t)2 << 20);
	const size_t most_pages = most / counts[_i] / page;
	const size_t too_many[] = {
		(most_pages + 1) * page, most_pages * page + 1, SIZE_MAX / 2, SIZE_MAX - page,
		SIZE_MAX - page + 1, SIZE_MAX - page + 2, SIZE_MAX,
	};
	struct zcreq_pool_options large = {.size = sizeof(large), .count = counts[_i]};
	const unsigned calls = memory.calls;

	for (size_t i = 0; i < COUNT(too_many); i++) {
		large.buffer_bytes = too_many[i];
		ck_assert_int_eq(zcreq_pool_new(context, &large, &pool), -ENOMEM);
		ck_assert_uint_eq(memory.calls, calls);
	}
	/* with 32 bits there may be no page for each */
	large.buffer_bytes = most_pages * page;
	memory.fail_at = calls + 1;
	if (most_pages) {
		ck_assert_int_eq(zcreq_pool_new(context, &large, &pool), -ENOMEM);
		ck_assert_uint_eq(memory.calls, calls + 1);
	}
}
END_TEST

START_TEST(the_oldest_of_several_can_go_first)
{
	struct zcreq_pool *more[2];

	make();
	ck_assert_int_eq(zcreq_pool_new(context, &options, &more[0]), 0);
	ck_assert_int_eq(zcreq_pool_new(context, &options, &more[1]), 0);
	ck_assert_int_eq(zcreq_pool_free(more[0]), 0);
	ck_assert_int_eq(zcreq_pool_free(more[1]), 0);
}
END_TEST

/* Memory of a pool is known to its context: it is exchanged without a question to the kernel,
 * which would refuse it here for being locked. */
START_TEST(its_memory_is_exchanged_without_asking)
{
	struct iovec lent;
	char *got;

	options.flags = (uint32_t)_i;
	options.buffer_bytes = 3 << 20;
	make();
	got = zcreq_pool_get(pool);
	memset(got, 'p', 3 << 20);
	ck_assert_int_eq((int)syscall(SYS_mlock, got, 4096), 0);
	if (!emulated_smaps())
		ck_assert_int_eq(zcreq_memory_kind(got, 4096), ZCREQ_MEMORY_LOCKED);
	lent = (struct iovec){got, 100000};
	ck_assert_int_eq(zcreq_exchange(context, &lent, 1, 0), 0);
	for (int i = 0; i < 3 << 20; i++)
		CLAIM(got[i] == 'p');
	/* other memory is not */
	lent = (struct iovec){(void *)4096, 10};
	ck_assert_int_eq(zcreq_exchange(context, &lent, 1, 0), -EPERM);
	/* a range that begins in the pool and ends behind it is not the pool's */
	lent = (struct iovec){got + (3 << 20) - 100, (size_t)64 << 20};
	ck_assert_int_eq(zcreq_exchange(context, &lent, 1, 0), -EPERM);
	ck_assert_int_eq(zcreq_pool_put(pool, got), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pool");
	TCase *test = tcase_create("buffers");

	tcase_add_checked_fixture(test, setup, teardown);
	tcase_add_test(test, each_buffer_is_given_away_once);
	tcase_add_test(test, twice_is_refused);
	tcase_add_test(test, it_stays_while_a_buffer_is_out);
	tcase_add_test(test, bad_options_are_refused);
	tcase_add_loop_test(test, as_many_bytes_as_can_be_counted, 0, 16);
	tcase_add_test(test, the_oldest_of_several_can_go_first);
	tcase_add_loop_test(test, its_memory_is_exchanged_without_asking, 0, 4);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
