/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_path.c - where nobody copies: the bytes that leave, and a host that falls silent
 *
 * Pages are held here by the sending socket alone, as in front of a card that has sent them.
 * Every byte that left was compared with what it should be while it was on its way, those of
 * retransmissions too: one that was recycled before its proof shows as foreign.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "path/path.h"
#include "real/load.h"
#include "real/real.h"
#include "support/witness.h"

#define ARENA_BYTES (16 << 20)
#define EACH_BYTES 65536
#define REQUESTS (ARENA_BYTES / EACH_BYTES)
#define STALL_MS 500 /* a timeout, and the time of an answer, on a busy machine too */
#define MS 1000000ull

_Static_assert(ACKER_RECYCLED == LOAD_RECYCLED, "what the program in the kernel looks for");

static struct load load;
static struct path path;

static void setup(void)
{
	load_init(&load, ARENA_BYTES);
	load.reading = false;
	/* else a child shares the pages, and who overwrites one here gets another */
	ck_ok(madvise(load.arena, load.arena_bytes, MADV_DONTFORK));
	ck_ok(net_sysctl(&load.net, NET_NEAR, "ipv4/tcp_wmem", "4096 67108864 67108864"));
	ck_ok(path_open(&path, &load.net));
	path.acker->knobs.look_every = 1;
}

static void teardown(void)
{
	path_close(&path);
	load_deinit(&load);
}

static void connect_path(const struct zcreq_stream_options *options)
{
	load.near = path_connect(&path, 0, "reno");
	ck_assert_int_ge(load.near, 0);
	load_open(&load, options);
}

/* What left was compared, and was what was sent. */
static struct acker_flow expect_right_bytes(uint64_t least)
{
	struct acker_flow seen = path_seen(&path, 0);

	ck_assert_uint_ge(seen.bytes, least);
	if (path.acker->knobs.look_every == 1)
		ck_assert_uint_eq(seen.looked, seen.bytes);
	ck_assert_uint_gt(seen.looked, 0);
	ck_assert_uint_eq(seen.foreign, 0);
	ck_assert_uint_eq(seen.wrong, 0);
	return seen;
}

START_TEST(nothing_is_copied_and_all_of_it_arrives)
{
	struct zcreq_stats stats;

	connect_path(NULL);
	load_submit(&load, REQUESTS, EACH_BYTES);
	ck_assert(load_until(&load, load_all_released, 20000));
	ck_assert_uint_eq(load.failed, 0);
	stats = load_stats(&load);
	ck_assert_uint_gt(stats.notifications, 0);
	ck_assert_uint_eq(stats.notified_copied, 0);
	ck_assert_uint_eq(stats.copied_batches, 0);
	expect_right_bytes(ARENA_BYTES);
	load_check_ledger(&load);
}
END_TEST

START_TEST(a_drain_ends_when_the_end_is_acknowledged)
{
	path.acker->knobs.delay_us = 20000;
	connect_path(NULL);
	load_submit(&load, 16, EACH_BYTES);
	ck_ok(load_drain(&load, 10000));
	ck_assert(load_until(&load, load_closed, 20000));
	ck_assert_int_eq(load.close_status, 0);
	ck_assert_uint_eq(load.failed, 0);
	ck_assert_uint_eq(path_seen(&path, 0).ended, 1);
	expect_right_bytes(16 * EACH_BYTES);
}
END_TEST

/* @_i 0: the host falls silent; the watchdog finds it. 1: the program aborts. */
START_TEST(i1_a_silent_host_gives_everything_back)
{
	const struct zcreq_stream_options options = {.stall_ms = STALL_MS};
	uint64_t start_ns, took_ms;
	int lost_ms;

	witness_start();
	path.acker->knobs.look_every = 64; /* sending waits for the look */
	connect_path(&options);
	load_submit(&load, 1, EACH_BYTES);
	ck_assert(load_until(&load, load_all_released, 5000));
	path.acker->knobs.silent = 1;
	witness_lost_ms();
	start_ns = zcreq_now_ns();
	load_submit(&load, REQUESTS - 1, EACH_BYTES);
	load_for(&load, 20);
	ck_assert_uint_eq(load.released, 1);
	if (_i)
		ck_ok(load_abort(&load, -ECANCELED));
	ck_assert(load_until(&load, load_closed, 20000));
	took_ms = (load.last_release_ns - start_ns) / MS;
	lost_ms = witness_lost_ms();
	say("%s: all back after %llu ms\n", _i ? "aborted after 20 ms" : "silent",
	    (unsigned long long)took_ms);
	ck_assert_int_eq(load.close_status, _i ? -ECANCELED : -ETIMEDOUT);
	ck_assert_uint_eq(load.quarantined, 0);
	if (!_i)
		ck_assert_uint_ge(took_ms, STALL_MS);
	ck_assert_uint_le(took_ms, (_i ? 20u : STALL_MS) + 50u + (unsigned)lost_ms);
	/* all is overwritten, and what it sends from now on would be the next tenant's */
	path.acker->knobs.silent = 0;
	load_for(&load, 500);
	expect_right_bytes(EACH_BYTES + 1);
	load_check_ledger(&load);
}
END_TEST

/* The control: the same by hand, closed and recycled, and the host comes back. */
START_TEST(who_closes_and_recycles_sends_the_next_tenants_bytes)
{
	struct acker_flow seen;
	const int one = 1;
	int fd;

	fd = path_connect(&path, 0, "reno");
	ck_assert_int_ge(fd, 0);
	path.acker->knobs.silent = 1;
	ck_ok(setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)));
	ck_assert_int_gt(send(fd, load.arena, 1 << 20, MSG_ZEROCOPY | MSG_DONTWAIT), 65536);
	close(fd);
	memset(load.arena, LOAD_RECYCLED, load.arena_bytes);
	path.acker->knobs.silent = 0;
	for (unsigned ms = 0; ms < 20000 && !path_seen(&path, 0).foreign; ms += 10)
		poll(NULL, 0, 10);
	seen = path_seen(&path, 0);
	say("closed and recycled: %llu foreign bytes\n", (unsigned long long)seen.foreign);
	ck_assert_uint_gt(seen.foreign, 0);
	memset(load.arena, 0, load.arena_bytes);
}
END_TEST

START_TEST(what_is_lost_is_sent_again_from_the_same_pages)
{
	struct acker_flow seen;

	path.acker->knobs.lose_every = 13;
	connect_path(NULL);
	load_submit(&load, 32, EACH_BYTES);
	ck_assert(load_until(&load, load_all_released, 30000));
	ck_assert_uint_eq(load.failed, 0);
	seen = expect_right_bytes(32 * EACH_BYTES + 1);
	ck_assert_uint_gt(seen.lost, 0);
	load_check_ledger(&load);
}
END_TEST

static bool is_not_reading(const struct load *now)
{
	return now->verdict_count &&
	       now->verdicts[now->verdict_count - 1] == ZCREQ_STALL_NOT_READING;
}

/* A window that closes: it is told, and goes on when there is room. */
START_TEST(a_window_that_closes_is_waited_for)
{
	const struct zcreq_stream_options options = {.stall_ms = STALL_MS};

	path.acker->knobs.window = 256 << 10;
	path.acker->knobs.delay_us = 1000;
	connect_path(&options);
	load_submit(&load, 1, EACH_BYTES);
	ck_assert(load_until(&load, load_all_released, 5000));
	path.acker->knobs.window = 0;
	load_submit(&load, 64, EACH_BYTES);
	ck_assert(load_until(&load, is_not_reading, 10000));
	ck_assert_int_eq(load.aborts, 0);
	path.acker->knobs.window = 1 << 20;
	ck_assert(load_until(&load, load_all_released, 20000));
	ck_assert_uint_eq(load.failed, 0);
	expect_right_bytes(65 * EACH_BYTES);
}
END_TEST

START_TEST(a_reset_gives_everything_back)
{
	path.acker->knobs.delay_us = 100000;
	connect_path(NULL);
	load_submit(&load, REQUESTS, EACH_BYTES);
	path.acker->knobs.reset = 1;
	ck_assert(load_until(&load, load_closed, 5000));
	ck_assert_int_eq(load.close_status, -ECONNRESET);
	expect_right_bytes(1);
	load_check_ledger(&load);
}
END_TEST

int main(void)
{
	const char *missing = path_missing();
	Suite *suite = suite_create("path");
	TCase *tcase = real_group(suite, "path", setup, teardown, NULL);

	tcase_add_test(tcase, nothing_is_copied_and_all_of_it_arrives);
	tcase_add_test(tcase, a_drain_ends_when_the_end_is_acknowledged);
	tcase_add_loop_test(tcase, i1_a_silent_host_gives_everything_back, 0, 2);
	tcase_add_test(tcase, who_closes_and_recycles_sends_the_next_tenants_bytes);
	tcase_add_test(tcase, what_is_lost_is_sent_again_from_the_same_pages);
	tcase_add_test(tcase, a_window_that_closes_is_waited_for);
	tcase_add_test(tcase, a_reset_gives_everything_back);
	return real_run(suite, missing);
}
