/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vanish.c - one host alone vanishes, in a loop that nothing else wakes
 *
 * A second connection's traffic would supply the turns that a loop forgets to ask for: so
 * there is none here, and whatever finds the host in time was asked for by a deadline.
 * Found is when the closed hook is called. The limit is the stall limit, a margin, and
 * what a witness says that this machine has lost: scene_expect_closed().
 */
#include <errno.h>

#include "loops/scenes.h"
#include "real/real.h"

#define STALL_MS 500

static const struct net_pair roomy = {.near_sndbuf = 8 << 20};

/* What of it is in flight when it vanishes. */
static const struct flight {
	const char *name;
	enum zcreq_mode mode;
	size_t count, each;
	bool before; /* sent before it has vanished, else into the void */
} flights[] = {
	{"a small answer", ZCREQ_MODE_NEVER, 1, 1000, false},
	{"a request by reference", ZCREQ_MODE_ALWAYS, 1, 65536, false},
	{"megabytes", ZCREQ_MODE_ALWAYS, 64, 65536, true},
};

#define FLIGHTS ((int)(sizeof(flights) / sizeof(flights[0])))

/* Served for a while, then idle: the loop sleeps without a deadline. */
static void serve_and_rest(void)
{
	scene_reading(true);
	load_finish(load_begin(&load, 65536), 0);
	scene_until(scene_released, 5000);
	scene_rest(100);
}

static uint64_t vanish_with(const struct flight *flight)
{
	uint64_t start_ns = scene_clock();

	if (!flight->before)
		ck_ok(net_misdirect(&load.net, true));
	for (size_t i = 0; i < flight->count; i++)
		load_finish(load_begin(&load, flight->each), 0);
	if (flight->before) {
		load_flush(&load);
		ck_ok(net_misdirect(&load.net, true));
	}
	scene_until(scene_is_closed, 10000);
	return start_ns;
}

static void expect_vanished(void)
{
	ck_assert_int_eq(load.close_status, -ETIMEDOUT);
	ck_assert_int_eq(zcreq_conn_cause(load.conn), ZCREQ_CAUSE_VANISHED);
	ck_assert_uint_eq(load_stats(&load).stalled_vanished, 1);
	load_check_ledger(&load);
}

START_TEST(i12_a_host_alone_is_found_within_the_stall_limit)
{
	const struct flight *flight = &flights[scene_pick(_i)];
	const struct zcreq_stream_options options = {.stall_ms = STALL_MS, .mode = flight->mode};
	uint64_t start_ns;

	scene_open(&roomy, &options);
	serve_and_rest();
	start_ns = vanish_with(flight);
	scene_expect(60, 8, flight->name);
	expect_vanished();
	scene_expect_closed(start_ns, STALL_MS, flight->name);
}
END_TEST

/* With every wake-up late, and none that was not asked for, it is found all the same. */
START_TEST(i12_a_host_alone_is_found_by_what_was_asked_for)
{
	const struct flight *flight = &flights[scene_pick(_i)];
	const struct zcreq_stream_options options = {.stall_ms = STALL_MS, .mode = flight->mode};

	scene_be_late(true);
	scene_open(&roomy, &options);
	serve_and_rest();
	vanish_with(flight);
	expect_vanished();
}
END_TEST

/* While a drain waits for the acknowledgement of the end. */
START_TEST(i12_a_host_that_vanishes_from_a_drain_is_found)
{
	const struct zcreq_stream_options options = {.stall_ms = STALL_MS};
	uint64_t start_ns;

	scene_pick(_i);
	scene_open(&roomy, &options);
	serve_and_rest();
	start_ns = scene_clock();
	ck_ok(net_misdirect(&load.net, true));
	ck_ok(load_drain(&load, 0));
	scene_until(scene_is_closed, 10000);
	scene_expect(30, 25, "a drain");
	expect_vanished();
	scene_expect_closed(start_ns, STALL_MS, "a drain");
}
END_TEST

void vanish_add(TCase *group)
{
	const int all = FLIGHTS * scene_loops();

	tcase_add_loop_test(group, i12_a_host_alone_is_found_within_the_stall_limit, 0, all);
	tcase_add_loop_test(group, i12_a_host_alone_is_found_by_what_was_asked_for, 0, all);
	tcase_add_loop_test(group, i12_a_host_that_vanishes_from_a_drain_is_found, 0, scene_loops());
}
