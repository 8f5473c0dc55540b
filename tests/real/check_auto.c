/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_auto.c - mode auto on the real kernel: where it copies, where it does not, and
 * where it may pin next to nothing
 */
#include <errno.h>

#include "real/load.h"
#include "real/locked.h"
#include "stream/policy.h"
#include "real/real.h"

#define ARENA_BYTES (24 << 20)
#define BATCH 40000

static struct load load;

static const struct net_pair roomy = {.near_sndbuf = 32 << 20};
static const struct zcreq_stream_options automatic = {.threshold_bytes = 16384};

static void setup(void)
{
	load_init(&load, ARENA_BYTES);
	load.spied = true;
}

static void teardown(void)
{
	load_deinit(&load);
}

/* So many batches, each released before the next; how many went by reference. */
static uint64_t by_reference(unsigned batches, size_t bytes)
{
	uint64_t before = load_stats(&load).zerocopy_batches;

	for (unsigned i = 0; i < batches; i++) {
		load_submit(&load, 1, bytes);
		ck_assert(load_until(&load, load_all_released, 10000));
	}
	return load_stats(&load).zerocopy_batches - before;
}

static void expect_whole_stream(void)
{
	ck_ok(load_drain(&load, 0));
	ck_assert(load_until(&load, load_closed, 30000));
	ck_assert(load_until(&load, load_far_over, 10000));
	ck_assert_uint_eq(load.received_bytes, load.queued_bytes);
	load_check_ledger(&load);
}

/* A veth pair copies for the receiver, as loopback does. */
START_TEST(where_the_kernel_copies_it_converges_to_copies)
{
	load_connect(&load, &roomy, &automatic);
	ck_assert_uint_eq(by_reference(ZCREQ_POLICY_PROBE, BATCH), ZCREQ_POLICY_PROBE);
	ck_assert_uint_eq(load_stats(&load).notified_copied, ZCREQ_POLICY_PROBE);
	ck_assert_uint_eq(by_reference(ZCREQ_POLICY_PAUSE_LEAST, BATCH), 0);
	ck_assert_uint_le(by_reference(100, BATCH), ZCREQ_POLICY_PROBE);
	expect_whole_stream();
}
END_TEST

/*
 * Nothing arrives, so nothing is copied, and the abort gives it all back as it is. The
 * cable is cut: what is only misdirected is copied for its receiver, who then drops it, by
 * kernels before 6.17 (doc/kernel.md).
 */
START_TEST(where_it_does_not_copy_it_stays_with_zerocopy)
{
	struct zcreq_stats stats;

	load_connect(&load, &roomy, &automatic);
	ck_ok(net_cut(&load.net, true));
	for (int i = 0; i < 2 * ZCREQ_POLICY_SAMPLE; i++)
		load_submit(&load, 1, BATCH);
	load_for(&load, 50);
	ck_assert_uint_eq(load.released, 0);
	ck_ok(load_abort(&load, -ECANCELED));
	ck_assert(load_until(&load, load_closed, 10000));
	stats = load_stats(&load);
	ck_assert_uint_ge(stats.zerocopy_batches, 2 * ZCREQ_POLICY_SAMPLE);
	ck_assert_uint_eq(stats.copied_batches, 0);
	ck_assert_uint_eq(stats.notifications, stats.zerocopy_batches);
	ck_assert_uint_eq(stats.notified_copied, 0);
	load_check_ledger(&load);
}
END_TEST

/* 70000 bytes are more than 64 KB may hold: each try is refused with nothing in
 * flight, nothing ever waits, and after a probe it is not tried each time. */
START_TEST(with_64_kb_of_locked_memory_it_goes_on_and_learns)
{
	struct zcreq_stats stats;

	ck_ok(locked_limit(65536));
	load_connect(&load, &roomy, &automatic);
	ck_assert_uint_eq(by_reference(300, 70000), 0);
	stats = load_stats(&load);
	say("%llu times ENOBUFS in %llu batches\n", (unsigned long long)stats.no_buffers,
	    (unsigned long long)stats.copied_batches);
	ck_assert_uint_gt(stats.no_buffers, 0);
	ck_assert_uint_le(stats.no_buffers, 2 * ZCREQ_POLICY_PROBE);
	ck_assert_uint_ge(stats.copied_batches, 300);
	expect_whole_stream();
}
END_TEST

/* The same with what just fits, several at a time: some are refused, all arrive. */
START_TEST(with_64_kb_of_locked_memory_what_fits_goes_on_as_well)
{
	ck_ok(locked_limit(65536));
	load_connect(&load, &roomy, &automatic);
	for (int i = 0; i < 100; i++) {
		for (int n = 0; n < 4; n++)
			load_submit(&load, 1, 20000);
		ck_assert(load_until(&load, load_all_released, 10000));
	}
	expect_whole_stream();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("auto");
	TCase *path = real_group(s, "path", setup, teardown, NULL);
	TCase *locked = real_group(s, "locked memory", setup, teardown, net_missing_lock());

	tcase_add_test(path, where_the_kernel_copies_it_converges_to_copies);
	tcase_add_test(path, where_it_does_not_copy_it_stays_with_zerocopy);
	tcase_add_test(locked, with_64_kb_of_locked_memory_it_goes_on_and_learns);
	tcase_add_test(locked, with_64_kb_of_locked_memory_what_fits_goes_on_as_well);
	return real_run(s, NULL);
}
