/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_linger.c - proof that comes late, and proof that comes too late
 *
 * The near end sends through a token-bucket filter. What the filter holds when the
 * connection is aborted is no longer TCP's, and its pages are in use until it has
 * left: between a quarter of a second and a second here.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "real/sender.h"
#include "real/load.h"
#include "real/real.h"

#define ARENA_BYTES (4 << 20)
#define EACH_BYTES 65536
#define REQUESTS 40 /* several records of the kernel */
#define SLOW 65536  /* bytes in a second */
#define SLOWER 24576

static struct load load;

static const struct net_pair roomy = {.near_sndbuf = 32 << 20};

static void setup(void)
{
	load_init(&load, ARENA_BYTES);
}

static void teardown(void)
{
	load_deinit(&load);
}

/* In flight, and some of it in the filter. */
static void fill_filter(uint32_t bytes_per_s, uint32_t linger_ms)
{
	const struct zcreq_stream_options options = {.linger_ms = linger_ms};

	load.spied = true;
	load_connect(&load, &roomy, &options);
	ck_ok(net_slow(&load.net, bytes_per_s));
	load_submit(&load, REQUESTS, EACH_BYTES);
	load_for(&load, 100);
	ck_assert_uint_eq(load.released, 0);
}

/* Aborted; what TCP had is released, what the filter has is not. */
static void abort_over_filter(void)
{
	ck_ok(load_abort(&load, -EIO));
	zcreq_turn(load.context, 0);
	ck_assert_uint_gt(load.released, 0);
	ck_assert_uint_lt(load.released, load.count);
	ck_assert_uint_gt(load.spy.pinned, 0);
}

START_TEST(i5_only_what_left_late_is_released_late_and_by_turns_alone)
{
	uint64_t start_ns;
	size_t at_once;

	fill_filter(SLOW, 0);
	start_ns = zcreq_now_ns();
	abort_over_filter();
	at_once = load.released;
	ck_assert_int_eq(zcreq_events(load.conn), 0); /* poll would only say POLLHUP */
	while (!load_closed(&load)) {
		ck_assert_uint_lt(zcreq_now_ns() - start_ns, 20000000000);
		usleep(1000);
		zcreq_turn(load.context, zcreq_now_ns());
	}
	say("%zu of %zu at once, the last after %llu ms\n", at_once, load.count,
	    (unsigned long long)(load.last_release_ns - start_ns) / 1000000);
	ck_assert_uint_eq(load.quarantined, 0);
	load_check_ledger(&load);
}
END_TEST

START_TEST(i4_outcomes_do_not_wait_for_packets)
{
	fill_filter(SLOW, 0);
	load_begin(&load, EACH_BYTES);
	abort_over_filter();
	ck_assert(load_all_settled(&load));
	ck_assert_uint_eq(load.aborting, 1);
	for (size_t i = 0; i < load.count; i++)
		ck_assert_int_eq(load.requests[i].status, -EIO);
}
END_TEST

START_TEST(i9_the_descriptor_is_open_until_the_last_packet_has_left)
{
	fill_filter(SLOW, 0);
	abort_over_filter();
	while (load.spy.pinned) {
		ck_assert_int_ge(fcntl(load.near, F_GETFD), 0);
		ck_assert_uint_eq(load.spy.closes, 0);
		load_turn(&load, 10);
	}
	ck_assert(load_until(&load, load_closed, 1000));
	ck_assert_uint_eq(load.spy.closes, 1);
	ck_assert_int_eq(fcntl(load.near, F_GETFD), -1);
	load_check_ledger(&load);
}
END_TEST

/* The library's own copies are pages like any others: memory that it must not free. */
START_TEST(i9_writes_that_no_request_owns_keep_it_open_as_well)
{
	load.spied = true;
	load_connect(&load, &roomy, NULL);
	ck_ok(net_slow(&load.net, SLOW));
	for (int i = 0; i < 50; i++)
		ck_ok(load_write(&load, 50000));
	load_flush(&load);
	load_for(&load, 100);
	ck_ok(load_abort(&load, -EIO));
	ck_assert_uint_gt(load.spy.pinned, 0);
	ck_assert(load_until(&load, load_closed, 10000));
	load_for(&load, 300);
	load_check_ledger(&load);
}
END_TEST

/* What the filter sends after the abort is what was there before it. */
START_TEST(i2_no_recycled_byte_leaves_a_filter)
{
	fill_filter(SLOW, 0);
	abort_over_filter();
	ck_assert(load_until(&load, load_closed, 20000));
	load_for(&load, 300);
	say("%llu bytes heard\n", (unsigned long long)load.received_bytes);
	ck_assert_uint_gt(load.received_bytes, 0);
	load_check_ledger(&load);
}
END_TEST

START_TEST(waiting_for_a_filter_does_not_spin)
{
	uint64_t before;

	fill_filter(SLOW, 0);
	abort_over_filter();
	before = load.spy.calls;
	ck_assert(load_until(&load, load_closed, 20000));
	say("%llu system calls while waiting\n", (unsigned long long)(load.spy.calls - before));
	ck_assert_uint_lt(load.spy.calls - before, 500);
}
END_TEST

START_TEST(a_filter_that_is_dropped_proves_at_once)
{
	fill_filter(SLOWER, 0);
	abort_over_filter();
	ck_ok(net_drop_queue(&load.net));
	ck_assert(load_until(&load, load_closed, 1000));
	ck_assert_uint_eq(load.quarantined, 0);
	load_check_ledger(&load);
}
END_TEST

/* The connection dies by itself; its packets are still on their way. */
START_TEST(a_reset_over_a_filter_releases_late_as_well)
{
	const struct net_pair small = {.near_sndbuf = 32 << 20, .far_rcvbuf = 16384};

	load.spied = true;
	load_connect(&load, &small, NULL);
	ck_ok(net_slow(&load.net, SLOW));
	load_submit(&load, REQUESTS, EACH_BYTES);
	load_for(&load, 200);
	close(load.far);
	load.far = -1;
	ck_assert(load_until(&load, load_closed, 20000));
	ck_assert_int_eq(load.close_status, -ECONNRESET);
	load_check_ledger(&load);
}
END_TEST

/* The other place in which packets wait: for an address that nobody tells. */
START_TEST(packets_that_wait_for_a_neighbour_are_late_as_well)
{
	uint64_t start_ns;
	size_t at_once;

	load.spied = true;
	load_connect(&load, &roomy, NULL);
	ck_ok(net_forget(&load.net));
	load_submit(&load, REQUESTS, EACH_BYTES);
	start_ns = zcreq_now_ns();
	abort_over_filter();
	at_once = load.released;
	ck_assert(load_until(&load, load_closed, 20000));
	say("%zu of %zu at once, the last after %llu ms\n", at_once, load.count,
	    (unsigned long long)(load.last_release_ns - start_ns) / 1000000);
	ck_assert_uint_eq(load.quarantined, 0);
	load_check_ledger(&load);
}
END_TEST

static bool any_quarantined(const struct load *l)
{
	return l->quarantined;
}

/* folly released here, after five minutes, what the kernel might still read. */
START_TEST(field_folly_drain_quarantine_is_told_and_late_proof_releases)
{
	struct zcreq_stats stats;
	uint64_t start_ns;
	char text[256];

	fill_filter(SLOWER, 50);
	start_ns = zcreq_now_ns();
	abort_over_filter();
	ck_assert(load_until(&load, any_quarantined, 5000));
	ck_assert_uint_ge(zcreq_now_ns() - start_ns, 50000000);
	ck_assert_int_eq(zcreq_conn_state(load.conn), ZCREQ_CONN_QUARANTINED);
	ck_assert_uint_eq(load.released + load.quarantined, load.count);
	stats = load_stats(&load);
	ck_assert_uint_eq(stats.quarantined_now, load.quarantined);
	ck_assert_uint_gt(stats.quarantined_bytes_now, 0);
	ck_assert_int_eq(zcreq_context_free(load.context), -EBUSY);
	ck_assert_int_gt(zcreq_conn_explain(load.conn, ZCREQ_TEXT, text, sizeof(text)), 0);
	say("%zu in quarantine, %llu bytes, after %llu ms: %s\n", load.quarantined,
	    (unsigned long long)stats.quarantined_bytes_now,
	    (unsigned long long)(zcreq_now_ns() - start_ns) / 1000000, text);
	ck_assert_int_ge(fcntl(load.near, F_GETFD), 0);
	ck_assert(load_until(&load, load_closed, 30000));
	say("the last released after %llu ms\n",
	    (unsigned long long)(load.last_release_ns - start_ns) / 1000000);
	load_check_ledger(&load);
}
END_TEST

START_TEST(free_is_legal_while_lingering_and_in_quarantine)
{
	fill_filter(_i ? SLOWER : SLOW, _i ? 50 : 5000);
	abort_over_filter();
	if (_i)
		ck_assert(load_until(&load, any_quarantined, 5000));
	load_free_conn(&load);
	ck_assert_uint_eq(load.spy.closes, 0);
	ck_assert(load_until(&load, load_all_released, 30000));
	load_for(&load, 20);
	ck_assert_uint_eq(load_stats(&load).connections_now, 0);
	ck_assert_uint_eq(load.spy.closes, 1);
	ck_assert_uint_eq(load.closes, 0); /* no hook is called any more */
	load_check_ledger(&load);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("linger");
	TCase *group = real_group(suite, "linger", setup, teardown, net_missing_slow());

	tcase_add_test(group, i5_only_what_left_late_is_released_late_and_by_turns_alone);
	tcase_add_test(group, i4_outcomes_do_not_wait_for_packets);
	tcase_add_test(group, i9_the_descriptor_is_open_until_the_last_packet_has_left);
	tcase_add_test(group, i9_writes_that_no_request_owns_keep_it_open_as_well);
	tcase_add_test(group, i2_no_recycled_byte_leaves_a_filter);
	tcase_add_test(group, waiting_for_a_filter_does_not_spin);
	tcase_add_test(group, a_filter_that_is_dropped_proves_at_once);
	tcase_add_test(group, a_reset_over_a_filter_releases_late_as_well);
	tcase_add_test(group, field_folly_drain_quarantine_is_told_and_late_proof_releases);
	tcase_add_loop_test(group, free_is_legal_while_lingering_and_in_quarantine, 0, 2);
	group = real_group(suite, "neighbour", setup, teardown, NULL);
	tcase_add_test(group, packets_that_wait_for_a_neighbour_are_late_as_well);
	return real_run(suite, sender_missing());
}
