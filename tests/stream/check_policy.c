/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_policy.c - when a batch goes without copying, and when that is given up
 *
 * The decisions are asked of the policy alone; what they do to calls of sendmsg,
 * and what ENOBUFS means, of a stream on a stub.
 */
#include "support/suite.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>

#include "stream/policy.h"
#include "support/scene.h"

#define LARGE 65536
#define THRESHOLD 65536

static struct zcreq_policy policy;

static void init(enum zcreq_mode mode, uint32_t threshold_bytes)
{
	zcreq_policy_init(&policy, mode, threshold_bytes);
}

static bool wants(uint64_t bytes)
{
	return zcreq_policy_wants(&policy, bytes, 1);
}

/* A sample of ids, so many of each hundred copied, one notification each. */
static void notify(unsigned ids, unsigned copied_percent)
{
	for (unsigned i = 0; i < ids; i++)
		zcreq_policy_notified(&policy, 1, (i * 37) % 100 < copied_percent);
}

/* Large batches refused before one is wanted again; @most if none is. */
static unsigned pause_length(unsigned most)
{
	unsigned n = 0;

	while (n < most && !wants(LARGE))
		n++;
	return n;
}

START_TEST(the_threshold_is_the_smallest_that_is_wanted)
{
	init(ZCREQ_MODE_AUTO, 0);
	ck_assert(!wants(1));
	ck_assert(!wants(THRESHOLD - 1));
	ck_assert(wants(THRESHOLD));
	ck_assert(wants(UINT64_MAX));
	init(ZCREQ_MODE_AUTO, 100);
	ck_assert(!wants(99));
	ck_assert(wants(100));
	init(ZCREQ_MODE_ALWAYS, 0);
	ck_assert(wants(1));
	init(ZCREQ_MODE_ALWAYS, 100);
	notify(10000, 100);
	ck_assert(!wants(99));
	ck_assert(wants(100));
	init(ZCREQ_MODE_NEVER, 1);
	ck_assert(!wants(UINT64_MAX));
}
END_TEST

/* What a member costs by reference is more than copying it, if it is small. */
START_TEST(a_batch_of_small_members_is_not_wanted)
{
	init(ZCREQ_MODE_AUTO, 0);
	ck_assert(zcreq_policy_wants(&policy, THRESHOLD, 8));
	ck_assert(!zcreq_policy_wants(&policy, THRESHOLD, 9));
	ck_assert(zcreq_policy_wants(&policy, 100ull * THRESHOLD, 800));
	ck_assert(!zcreq_policy_wants(&policy, 100ull * THRESHOLD - 1, 800));
	ck_assert(!zcreq_policy_wants(&policy, UINT32_MAX, UINT32_MAX));
	init(ZCREQ_MODE_AUTO, 16384);
	ck_assert(zcreq_policy_wants(&policy, 20480, 10));
	ck_assert(!zcreq_policy_wants(&policy, 20479, 10));
	init(ZCREQ_MODE_AUTO, 1);
	ck_assert(zcreq_policy_wants(&policy, 1000, 1000));
	init(ZCREQ_MODE_ALWAYS, 1000);
	ck_assert(zcreq_policy_wants(&policy, 1000, 1000));
}
END_TEST

START_TEST(always_and_never_listen_to_nobody)
{
	init(ZCREQ_MODE_ALWAYS, 0);
	notify(10000, 100);
	ck_assert(wants(1));
	init(ZCREQ_MODE_NEVER, 0);
	notify(10000, 0);
	ck_assert(!wants(LARGE));
}
END_TEST

START_TEST(field_folly_one_copied_notification_changes_nothing)
{
	init(ZCREQ_MODE_AUTO, 0);
	zcreq_policy_notified(&policy, 1, true);
	for (unsigned i = 0; i < 1000; i++) {
		ck_assert(wants(LARGE));
		zcreq_policy_notified(&policy, 1, false);
	}
}
END_TEST

START_TEST(a_share_below_the_limit_changes_nothing)
{
	init(ZCREQ_MODE_AUTO, 0);
	notify(ZCREQ_POLICY_PROBE, 0);
	notify(100000, _i);
	ck_assert(wants(LARGE));
}
END_TEST

START_TEST(a_copying_path_is_paused)
{
	init(ZCREQ_MODE_AUTO, 0);
	notify(ZCREQ_POLICY_PROBE, 0);
	notify(ZCREQ_POLICY_SAMPLE - 1, 100);
	ck_assert(wants(LARGE));
	zcreq_policy_notified(&policy, 1, true);
	ck_assert(!wants(LARGE));
}
END_TEST

/* Seven of eight are enough, and one less is not. */
START_TEST(the_share_that_pauses_is_seven_eighths)
{
	const unsigned copied = ZCREQ_POLICY_SAMPLE / 8 * 7 - !_i;

	init(ZCREQ_MODE_AUTO, 0);
	notify(ZCREQ_POLICY_PROBE, 0);
	for (unsigned i = 0; i < ZCREQ_POLICY_SAMPLE; i++)
		zcreq_policy_notified(&policy, 1, i < copied);
	ck_assert(wants(LARGE) == !_i);
}
END_TEST

START_TEST(a_path_that_copies_from_the_start_is_paused_after_a_probe)
{
	init(ZCREQ_MODE_AUTO, 0);
	notify(ZCREQ_POLICY_PROBE - 1, 100);
	ck_assert(wants(LARGE));
	zcreq_policy_notified(&policy, 1, true);
	ck_assert(!wants(LARGE));
}
END_TEST

START_TEST(a_merged_notification_counts_each_of_its_ids)
{
	init(ZCREQ_MODE_AUTO, 0);
	zcreq_policy_notified(&policy, 1000, _i);
	ck_assert(wants(LARGE) == !_i);
}
END_TEST

START_TEST(small_batches_do_not_shorten_the_pause)
{
	init(ZCREQ_MODE_AUTO, 0);
	notify(1000, 100);
	for (unsigned i = 0; i < 100000; i++)
		ck_assert(!wants(1));
	ck_assert(!wants(LARGE));
}
END_TEST

START_TEST(a_pause_ends_with_a_probe_and_grows_to_a_limit)
{
	unsigned last = 0, pause = 0;

	init(ZCREQ_MODE_AUTO, 0);
	notify(1000, 100);
	for (unsigned i = 0; i < 20; i++) {
		last = pause;
		pause = pause_length(1000000);
		ck_assert_uint_lt(pause, 1000000);
		ck_assert_uint_ge(pause, last);
		ck_assert_uint_le(pause, i ? 2 * last + 1 : 1000);
		ck_assert(wants(LARGE));
		notify(ZCREQ_POLICY_PROBE, 100);
	}
	ck_assert_uint_eq(pause, last);
	ck_assert_uint_eq(pause, 65536); /* doc/decisions.md */
}
END_TEST

START_TEST(field_folly_a_path_that_stops_copying_is_used_again)
{
	unsigned first;

	init(ZCREQ_MODE_AUTO, 0);
	notify(1000, 100);
	first = pause_length(1000000);
	notify(ZCREQ_POLICY_PROBE, 100);
	ck_assert_uint_gt(pause_length(1000000), first);
	notify(ZCREQ_POLICY_PROBE, 0);
	ck_assert(wants(LARGE));
	notify(ZCREQ_POLICY_SAMPLE, 0);
	ck_assert(wants(LARGE));
	/* and the next pause is short again */
	notify(1000, 100);
	ck_assert_uint_eq(pause_length(1000000), first);
}
END_TEST

START_TEST(late_notifications_do_not_disturb_a_pause)
{
	unsigned first;

	init(ZCREQ_MODE_AUTO, 0);
	notify(1000, 100);
	first = pause_length(1000000);
	init(ZCREQ_MODE_AUTO, 0);
	notify(1000, 100);
	notify(1000, _i ? 100 : 0);
	ck_assert_uint_eq(pause_length(1000000), first);
}
END_TEST

/* Good for a probe, and for no longer: the pauses grow as if it never were. */
START_TEST(a_path_that_is_good_for_a_probe_only_is_asked_ever_less)
{
	unsigned pause = 0, last;

	init(ZCREQ_MODE_AUTO, 0);
	notify(ZCREQ_POLICY_SAMPLE, 100);
	for (unsigned i = 0; i < 8; i++) {
		last = pause;
		pause = pause_length(1000000);
		ck_assert_uint_ge(pause, last ? 2 * last - 1 : ZCREQ_POLICY_PAUSE_LEAST);
		notify(ZCREQ_POLICY_PROBE, 0);
		ck_assert_int_eq(policy.state, ZCREQ_POLICY_USING);
		notify(ZCREQ_POLICY_SAMPLE, 100);
		ck_assert_int_eq(policy.state, ZCREQ_POLICY_PAUSED);
	}
}
END_TEST

/* What is asked for while nobody answers: all at the start, and a few in a probe. */
START_TEST(a_probe_asks_for_no_more_than_it_needs)
{
	init(ZCREQ_MODE_AUTO, 0);
	for (unsigned i = 0; i < 1000; i++)
		ck_assert(wants(LARGE));
	notify(ZCREQ_POLICY_PROBE, 100);
	ck_assert_uint_eq(pause_length(1000000), ZCREQ_POLICY_PAUSE_LEAST);
	for (unsigned i = 1; i < 4 * ZCREQ_POLICY_PAUSE_LEAST; i++)
		ck_assert(wants(LARGE) == (i % ZCREQ_POLICY_PAUSE_LEAST < ZCREQ_POLICY_PROBE));
	notify(ZCREQ_POLICY_PROBE, 0);
	for (unsigned i = 0; i < 1000; i++)
		ck_assert(wants(LARGE));
}
END_TEST

START_TEST(refused_batches_count_like_copied_ones)
{
	init(ZCREQ_MODE_AUTO, 0);
	for (unsigned i = 0; i < ZCREQ_POLICY_PROBE; i++) {
		ck_assert(wants(LARGE));
		zcreq_policy_refused(&policy);
	}
	ck_assert(!wants(LARGE));
	init(ZCREQ_MODE_ALWAYS, 0);
	for (unsigned i = 0; i < 1000; i++)
		zcreq_policy_refused(&policy);
	ck_assert(wants(LARGE));
}
END_TEST

/* A path that behaves as chance has it, for some time each way. */
struct path {
	uint64_t random;
	unsigned copied_percent, refused_percent;
	unsigned in_flight;
};

static unsigned chance(struct path *path, unsigned n)
{
	return (suite_random(&path->random) >> 32) % n;
}

/* One event: a batch, of which some are refused, or a notification, or another path. */
static bool step(struct path *path)
{
	unsigned what = chance(path, 1000), ids;

	if (what == 0) {
		path->copied_percent = chance(path, 3) * 50;
		path->refused_percent = chance(path, 4) ? 0 : chance(path, 101);
	} else if (what < 500 && path->in_flight) {
		ids = 1 + chance(path, path->in_flight);
		path->in_flight -= ids;
		zcreq_policy_notified(&policy, ids, chance(path, 100) < path->copied_percent);
	} else if (what < 600) {
		CLAIM(!wants(1 + chance(path, THRESHOLD - 1)));
	} else {
		if (wants(LARGE)) {
			if (chance(path, 100) < path->refused_percent)
				zcreq_policy_refused(&policy);
			else
				path->in_flight++;
		}
		return true;
	}
	return false;
}

/* Whatever comes: between two pauses, and between two decisions that zero-copy pays
 * after all, lies a probe interval, and no pause is for ever. */
START_TEST(it_changes_its_mind_at_most_once_each_way_in_a_probe_interval)
{
	struct path path = {.random = (uint64_t)_i * 0x9e3779b97f4a7c15u + 1};
	uint64_t batches = 0, paused_at = 0, used_at = 0;
	unsigned pauses = 0, uses = 0;
	uint8_t verdict = ZCREQ_POLICY_USING, before;

	init(ZCREQ_MODE_AUTO, 0);
	for (unsigned i = 0; i < 100000; i++) {
		before = policy.state;
		batches += step(&path);
		if (policy.state == before || policy.state == ZCREQ_POLICY_PROBING)
			continue;
		if (policy.state == ZCREQ_POLICY_PAUSED) {
			CLAIM(!pauses++ || batches - paused_at >= ZCREQ_POLICY_PAUSE_LEAST);
			CLAIM(policy.rest_batches <= ZCREQ_POLICY_PAUSE_MOST);
			paused_at = batches;
		} else if (verdict != policy.state) {
			CLAIM(!uses++ || batches - used_at >= ZCREQ_POLICY_PAUSE_LEAST);
			used_at = batches;
		}
		verdict = policy.state;
	}
}
END_TEST

/* What it costs to be wrong: on a path that always copies the batches that were not
 * copied at once are few. */
START_TEST(a_copying_path_is_asked_less_than_once_in_a_hundred_times)
{
	unsigned asked = 0;

	init(ZCREQ_MODE_AUTO, 0);
	for (unsigned i = 0; i < 100000; i++) {
		if (!wants(LARGE))
			continue;
		asked++;
		zcreq_policy_notified(&policy, 1, true);
	}
	ck_assert_uint_lt(asked, 1000);
}
END_TEST

/* ---- what it does to the calls -------------------------------------------- */

static char large[LARGE];

static void open_stream(enum zcreq_mode mode)
{
	options.mode = mode;
	scene_open();
	heard_begin(conn, &heard);
}

static void teardown(void)
{
	stub.send_error = 0;
	scene_finish(0);
	scene_teardown();
}

START_TEST(each_mode_sends_as_it_says)
{
	static const struct {
		enum zcreq_mode mode;
		size_t len;
		bool zerocopy;
	} rows[] = {
		{ZCREQ_MODE_AUTO, THRESHOLD - 1, false}, {ZCREQ_MODE_AUTO, THRESHOLD, true},
		{ZCREQ_MODE_ALWAYS, 1, true}, {ZCREQ_MODE_NEVER, LARGE, false},
	};

	open_stream(rows[_i].mode);
	stub_send(conn, heard.id, large, rows[_i].len);
	ck_assert_uint_eq(stub.zerocopy_sends, rows[_i].zerocopy);
	ck_assert_uint_eq(stub.copied_sends, !rows[_i].zerocopy);
	ck_assert_uint_eq(stats_of(context).zerocopy_batches, rows[_i].zerocopy);
	ck_assert_uint_eq(stats_of(context).copied_batches, !rows[_i].zerocopy);
}
END_TEST

START_TEST(a_socket_that_cannot_copies_in_mode_auto)
{
	stub.setsockopt_error = -EOPNOTSUPP;
	open_stream(ZCREQ_MODE_AUTO);
	stub_send(conn, heard.id, large, LARGE);
	ck_assert_uint_eq(stub.zerocopy_sends, 0);
	ck_assert_uint_eq(stub.copied_bytes, LARGE);
}
END_TEST

START_TEST(a_copied_batch_needs_no_proof)
{
	open_stream(ZCREQ_MODE_NEVER);
	stub_send(conn, heard.id, large, LARGE);
	scene_finish(0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.released, 1);
	/* teardown ends another one */
	heard = (struct heard){0};
	heard_begin(conn, &heard);
}
END_TEST

START_TEST(field_spdk_1592_no_buffers_with_nothing_in_flight_copies)
{
	open_stream(ZCREQ_MODE_ALWAYS);
	stub.zerocopy_error = -ENOBUFS;
	stub_send(conn, heard.id, large, LARGE);
	ck_assert_uint_eq(stub.copied_bytes, LARGE);
	ck_assert_uint_eq(stub.refused_sends, 1);
	ck_assert_uint_eq(stats_of(context).no_buffers, 1);
}
END_TEST

START_TEST(a_limit_on_locked_memory_is_not_run_into_each_time_in_mode_auto)
{
	open_stream(ZCREQ_MODE_AUTO);
	stub.zerocopy_error = -ENOBUFS;
	for (int i = 0; i < 1000; i++)
		stub_send(conn, heard.id, large, LARGE);
	ck_assert_uint_eq(stub.copied_bytes, 1000 * LARGE);
	ck_assert_uint_lt(stub.refused_sends, 100);
}
END_TEST

START_TEST(field_grpc_no_buffers_with_proof_waiting_reaps_first)
{
	open_stream(ZCREQ_MODE_ALWAYS);
	stub_send(conn, heard.id, large, LARGE);
	stub_prove_all(&stub);
	stub.zerocopy_error = -ENOBUFS;
	stub.reading_helps = true;
	stub_send(conn, heard.id, large, LARGE);
	ck_assert_uint_eq(stats_of(context).notifications, 1);
	ck_assert_uint_eq(stub.zerocopy_bytes, 2 * LARGE);
}
END_TEST

START_TEST(no_buffers_with_all_in_flight_copies_rather_than_waits)
{
	open_stream(ZCREQ_MODE_ALWAYS);
	stub_send(conn, heard.id, large, LARGE);
	stub.zerocopy_error = -ENOBUFS;
	stub_send(conn, heard.id, large, 100);
	ck_assert_uint_eq(stub.zerocopy_bytes, LARGE);
	ck_assert_uint_eq(stub.copied_bytes, 100);
	stub.zerocopy_error = 0;
	stub_send(conn, heard.id, large, 100);
	ck_assert_uint_eq(stub.zerocopy_bytes, LARGE + 100);
}
END_TEST

START_TEST(no_memory_for_a_copy_either_is_tried_again_by_time)
{
	static const int errors[] = {-ENOBUFS, -ENOMEM};

	open_stream(ZCREQ_MODE_ALWAYS);
	stub.send_error = errors[_i];
	stub_send(conn, heard.id, large, LARGE);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_OPEN);
	ck_assert_int_eq(zcreq_events(conn), POLLERR);
	ck_assert_uint_ne(zcreq_turn(context, SECOND), ZCREQ_NEVER);
	stub.send_error = 0;
	zcreq_turn(context, 2 * SECOND);
	ck_assert_uint_eq(stub.zerocopy_bytes, LARGE);
}
END_TEST

START_TEST(always_on_a_socket_that_refuses_is_an_error)
{
	stub.setsockopt_error = -EOPNOTSUPP;
	ck_assert_int_eq(zcreq_stream_open(context, &options, &conn), -EOPNOTSUPP);
	ck_assert_uint_eq(stub.closes, 0);
}
END_TEST

/* TLS in the kernel, for one, was switched on after SO_ZEROCOPY had been accepted. */
START_TEST(a_transport_without_zerocopy_is_copied_to_from_then_on)
{
	const unsigned before = stub.refused_sends;

	options.mode = _i ? ZCREQ_MODE_ALWAYS : ZCREQ_MODE_AUTO;
	options.threshold_bytes = 1;
	scene_open();
	stub.zerocopy_error = -EOPNOTSUPP;
	scene_sent();
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_int_eq(heard.status, 0);
	heard = (struct heard){0};
	scene_sent();
	ck_assert_uint_eq(stub.refused_sends, before + 1);
	ck_assert_uint_eq(stub.copied_sends, 2);
	ck_assert_uint_eq(stats_of(context).zerocopy_unsupported, 1);
	zcreq_turn(context, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("policy");
	TCase *decides = tcase_create("decides"), *calls = tcase_create("calls"),
	      *refused = tcase_create("refused");

	tcase_add_test(decides, the_threshold_is_the_smallest_that_is_wanted);
	tcase_add_test(decides, a_batch_of_small_members_is_not_wanted);
	tcase_add_test(decides, always_and_never_listen_to_nobody);
	tcase_add_test(decides, field_folly_one_copied_notification_changes_nothing);
	tcase_add_loop_test(decides, a_share_below_the_limit_changes_nothing, 0, 76);
	tcase_add_test(decides, a_copying_path_is_paused);
	tcase_add_loop_test(decides, the_share_that_pauses_is_seven_eighths, 0, 2);
	tcase_add_test(decides, a_path_that_copies_from_the_start_is_paused_after_a_probe);
	tcase_add_loop_test(decides, a_merged_notification_counts_each_of_its_ids, 0, 2);
	tcase_add_test(decides, small_batches_do_not_shorten_the_pause);
	tcase_add_test(decides, a_pause_ends_with_a_probe_and_grows_to_a_limit);
	tcase_add_test(decides, field_folly_a_path_that_stops_copying_is_used_again);
	tcase_add_loop_test(decides, late_notifications_do_not_disturb_a_pause, 0, 2);
	tcase_add_test(decides, a_path_that_is_good_for_a_probe_only_is_asked_ever_less);
	tcase_add_test(decides, a_probe_asks_for_no_more_than_it_needs);
	tcase_add_test(decides, refused_batches_count_like_copied_ones);
	tcase_add_loop_test(decides, it_changes_its_mind_at_most_once_each_way_in_a_probe_interval,
			    0, 200);
	tcase_add_test(decides, a_copying_path_is_asked_less_than_once_in_a_hundred_times);
	tcase_add_checked_fixture(calls, scene_setup, teardown);
	tcase_add_loop_test(calls, each_mode_sends_as_it_says, 0, 4);
	tcase_add_test(calls, a_socket_that_cannot_copies_in_mode_auto);
	tcase_add_test(calls, a_copied_batch_needs_no_proof);
	tcase_add_test(calls, field_spdk_1592_no_buffers_with_nothing_in_flight_copies);
	tcase_add_test(calls, a_limit_on_locked_memory_is_not_run_into_each_time_in_mode_auto);
	tcase_add_test(calls, field_grpc_no_buffers_with_proof_waiting_reaps_first);
	tcase_add_test(calls, no_buffers_with_all_in_flight_copies_rather_than_waits);
	tcase_add_loop_test(calls, no_memory_for_a_copy_either_is_tried_again_by_time, 0, 2);
	tcase_add_checked_fixture(refused, scene_setup, scene_teardown);
	tcase_add_test(refused, always_on_a_socket_that_refuses_is_an_error);
	tcase_add_loop_test(refused, a_transport_without_zerocopy_is_copied_to_from_then_on, 0, 2);
	suite_add_tcase(s, decides);
	suite_add_tcase(s, calls);
	suite_add_tcase(s, refused);
	return suite_run(s);
}
