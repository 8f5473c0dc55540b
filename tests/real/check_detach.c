/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_detach.c - the kernel keeps the pages, and the program has its addresses at once
 *
 * As in check_linger.c a token-bucket filter holds packets when the connection is aborted.
 * Here nobody waits for it: the buffers are detached, and what they hold is overwritten as
 * soon as they are released. In the end the filter lets its packets go after all, and the
 * far end compares every byte.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <zcreq/memory.h>

#include "real/load.h"
#include "real/real.h"
#include "real/sender.h"

#define ARENA_BYTES (4 << 20)
#define EACH_BYTES 65536
#define REQUESTS 40
#define SLOW 8192 /* bytes in a second: what the filter has lasts for seconds */

static struct load load;
static uint64_t abort_ns; /* just before it */

static const struct net_pair roomy = {.near_sndbuf = 32 << 20};

static void setup(void)
{
	load_init(&load, ARENA_BYTES);
}

static void teardown(void)
{
	load_deinit(&load);
}

/* In flight, and some of it in the filter; then aborted. */
static void abort_over_filter(uint32_t detach_ms)
{
	const struct zcreq_stream_options options = {
		.flags = ZCREQ_STREAM_DETACH,
		.detach_ms = detach_ms,
	};

	load_connect(&load, &roomy, &options);
	ck_ok(net_slow(&load.net, SLOW));
	load_submit(&load, REQUESTS, EACH_BYTES - 100); /* no two of them end on a page */
	load_for(&load, 100);
	ck_assert_uint_eq(load.released, 0);
	abort_ns = zcreq_now_ns();
	ck_ok(load_abort(&load, -EIO));
	zcreq_turn(load.context, zcreq_now_ns());
	ck_assert_uint_gt(load.released, 0);
	ck_assert_uint_lt(load.released, load.count);
}

static struct zcreq_stats stats(void)
{
	struct zcreq_stats all;

	ck_ok(zcreq_context_stats(load.context, &all, sizeof(all)));
	return all;
}

/* What was claimed while the filter held its packets is over: it lets go of them. */
static void open_the_filter(void)
{
	ck_ok(net_slow(&load.net, 0));
	ck_assert(load_until(&load, load_closed, 20000));
	load_for(&load, 300);
}

/* Everything is back and overwritten; the filter lets go, and the connection ends. */
static void drain_the_filter(void)
{
	const struct zcreq_stats at_once = stats();

	ck_assert_uint_eq(load.released, load.count);
	ck_assert_uint_gt(at_once.detached_bytes_now, 0);
	ck_assert(!load_closed(&load));
	open_the_filter();
	say("%llu sends detached, %llu bytes of theirs held by the kernel; %llu bytes heard, "
	    "%llu foreign\n",
	    (unsigned long long)at_once.proved_detached,
	    (unsigned long long)at_once.detached_bytes_now,
	    (unsigned long long)load.received_bytes, (unsigned long long)load.foreign_bytes);
	ck_assert_uint_gt(load.received_bytes, 0);
	ck_assert_uint_eq(stats().detached_bytes_now, 0);
	ck_assert_uint_eq(load.quarantined, 0);
	load_check_ledger(&load);
}

START_TEST(i2_the_old_bytes_leave_the_filter_and_the_program_writes_at_once)
{
	uint64_t start_ns;

	abort_over_filter(0);
	start_ns = zcreq_now_ns();
	ck_ok(zcreq_conn_detach(load.conn, _i ? ZCREQ_DETACH_DISCARD : 0));
	say("%.3f ms for %llu bytes\n", (double)(zcreq_now_ns() - start_ns) / 1e6,
	    (unsigned long long)stats().detached_bytes_now);
	zcreq_turn(load.context, zcreq_now_ns());
	drain_the_filter();
}
END_TEST

/* One by one: what else is on the page stays lent, and right. */
START_TEST(i2_request_by_request_with_neighbours_on_each_page)
{
	size_t back;

	abort_over_filter(0);
	for (size_t i = 0; i < load.count; i++) {
		back = load.released;
		if (load.requests[i].released)
			continue;
		ck_ok(zcreq_detach(load.context, load.requests[i].id, 0));
		zcreq_turn(load.context, zcreq_now_ns());
		ck_assert_uint_eq(load.released, back + 1);
	}
	drain_the_filter();
}
END_TEST

START_TEST(by_itself_after_detach_ms)
{
	abort_over_filter(50);
	ck_assert(load_until(&load, load_all_released, 5000));
	say("the last after %llu ms of 50\n",
	    (unsigned long long)(load.last_release_ns - abort_ns) / 1000000);
	ck_assert_uint_ge(load.last_release_ns - abort_ns, 49000000);
	drain_the_filter();
}
END_TEST

/* The test of the test: whoever recycles without proof is heard. */
START_TEST(without_detaching_recycled_bytes_are_heard)
{
	abort_over_filter(0);
	for (size_t i = 0; i < load.count; i++) {
		if (!load.requests[i].released)
			memset(load.arena + load.requests[i].from, LOAD_RECYCLED,
			       load.requests[i].to - load.requests[i].from);
	}
	open_the_filter();
	say("%llu foreign bytes\n", (unsigned long long)load.foreign_bytes);
	ck_assert_uint_gt(load.foreign_bytes, 0);
	load.foreign_bytes = 0;
}
END_TEST

START_TEST(locked_memory_is_refused_and_waited_for)
{
	/* the address sanitizer makes nothing of mlock(2) */
	ck_ok((int)syscall(SYS_mlock, load.arena, ARENA_BYTES));
	abort_over_filter(0);
	ck_assert_int_eq(zcreq_conn_detach(load.conn, 0), -EPERM);
	ck_assert_int_eq(zcreq_memory_kind(load.arena, ARENA_BYTES), ZCREQ_MEMORY_LOCKED);
	ck_assert_uint_eq(stats().detach_refused, 1);
	open_the_filter();
	load_check_ledger(&load);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("detach on the real kernel");
	TCase *group = real_group(suite, "filter", setup, teardown, net_missing_slow());

	tcase_set_timeout(group, 60);
	tcase_add_loop_test(group, i2_the_old_bytes_leave_the_filter_and_the_program_writes_at_once, 0,
			    2);
	tcase_add_test(group, i2_request_by_request_with_neighbours_on_each_page);
	tcase_add_test(group, by_itself_after_detach_ms);
	tcase_add_test(group, without_detaching_recycled_bytes_are_heard);
	tcase_add_test(group, locked_memory_is_refused_and_waited_for);
	return real_run(suite, sender_missing());
}
