/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_watchdog.c - vanished, not reading and only slow, told apart on real TCP
 *
 * A clock is asked only whether a limit has not come too early; how late it was is
 * printed.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "real/sender.h"
#include "real/load.h"
#include "real/real.h"

#define ARENA_BYTES (16 << 20)
#define EACH_BYTES 65536
#define REQUESTS 64
#define STALL_MS 300
#define MS 1000000ull

static struct load load;

static const struct net_pair roomy = {.near_sndbuf = 32 << 20};
static const struct net_pair unread = {.near_sndbuf = 32 << 20, .far_rcvbuf = 16384};
static const struct zcreq_stream_options watched = {.stall_ms = STALL_MS};

static void setup(void)
{
	load_init(&load, ARENA_BYTES);
}

static void teardown(void)
{
	load_deinit(&load);
}

static unsigned verdicts_of(enum zcreq_stall verdict)
{
	unsigned found = 0;

	for (unsigned i = 0; i < load.verdict_count; i++)
		found += load.verdicts[i] == verdict;
	return found;
}

static void expect_abort(int status, uint64_t since_ns, uint64_t at_least_ms, const char *what)
{
	uint64_t took_ns;

	ck_assert(load_until(&load, load_closed, 30000));
	took_ns = load.last_release_ns - since_ns;
	say("%s: over after %llu ms\n", what, (unsigned long long)(took_ns / MS));
	ck_assert_int_eq(load.close_status, status);
	ck_assert_uint_ge(took_ns, at_least_ms * MS);
	load_check_ledger(&load);
}

/* spdk 3309, ioxide 245: nobody says anything, and all the same it ends in time. */
START_TEST(field_spdk_3309_a_vanished_host_is_aborted_within_the_stall_limit)
{
	const struct net_pair how = {.near_sndbuf = 32 << 20, .family = _i / 2};
	uint64_t start_ns;

	load.spied = true;
	load_connect(&load, &how, &watched);
	ck_ok(net_misdirect(&load.net, true));
	start_ns = zcreq_now_ns();
	load_submit(&load, REQUESTS, EACH_BYTES);
	if (_i % 2)
		ck_ok(net_cut(&load.net, true));
	expect_abort(-ETIMEDOUT, start_ns, STALL_MS, _i % 2 ? "cut" : "misdirected");
	ck_assert_uint_eq(load_stats(&load).stalled_vanished, 1);
	ck_assert_uint_eq(load.verdict_count, 1);
	ck_assert_int_eq(load.verdicts[0], ZCREQ_STALL_VANISHED);
}
END_TEST

/*
 * Nothing was in flight when it happened; the first packet already goes nowhere.
 * For up to a second after a cut it is the driver that refuses packets, and TCP
 * takes them as unsent; then the kernel has put a queue there that swallows them.
 */
START_TEST(a_host_that_vanished_while_idle_is_found_with_the_next_send)
{
	static const char *const names[] = {"cut at once", "cut before", "misdirected"};
	uint64_t start_ns;

	load.spied = true;
	load_connect(&load, &roomy, &watched);
	load_submit(&load, 1, EACH_BYTES);
	ck_assert(load_until(&load, load_all_released, 5000));
	ck_ok(_i == 2 ? net_misdirect(&load.net, true) : net_cut(&load.net, true));
	if (_i)
		load_for(&load, 100);
	start_ns = zcreq_now_ns();
	load_submit(&load, REQUESTS, EACH_BYTES);
	expect_abort(-ETIMEDOUT, start_ns, STALL_MS, names[_i]);
	ck_assert_uint_eq(verdicts_of(ZCREQ_STALL_VANISHED), 1);
	ck_assert_uint_eq(verdicts_of(ZCREQ_STALL_NOT_READING), 0);
}
END_TEST

/*
 * A small answer is copied, so it is released at once and nothing is outstanding; and
 * nobody ever gets it. @_i: cut, misdirected.
 */
START_TEST(i12_a_host_that_vanishes_with_copied_bytes_is_found)
{
	const struct zcreq_stream_options options = {
		.stall_ms = STALL_MS, .mode = ZCREQ_MODE_NEVER,
	};
	uint64_t start_ns;

	load_connect(&load, &roomy, &options);
	ck_ok(_i ? net_misdirect(&load.net, true) : net_cut(&load.net, true));
	start_ns = zcreq_now_ns();
	load_submit(&load, 1, 1000);
	ck_assert(load_until(&load, load_all_released, 5000));
	ck_assert_uint_eq(load.failed, 0);
	ck_assert(load_until(&load, load_closed, 5000));
	say("%s: over after %llu ms\n", _i ? "misdirected" : "cut",
	    (unsigned long long)((zcreq_now_ns() - start_ns) / MS));
	ck_assert_uint_ge(zcreq_now_ns() - start_ns, STALL_MS * MS);
	ck_assert_int_eq(load.close_status, -ETIMEDOUT);
	ck_assert_uint_eq(verdicts_of(ZCREQ_STALL_VANISHED), 1);
}
END_TEST

START_TEST(i12_a_host_that_vanishes_while_idle_is_found_with_an_idle_limit)
{
	const struct zcreq_stream_options options = {
		.stall_ms = STALL_MS, .idle_ms = 2 * STALL_MS,
	};
	uint64_t start_ns = zcreq_now_ns();

	load_connect(&load, &roomy, &options);
	ck_ok(net_cut(&load.net, true));
	ck_assert(load_until(&load, load_closed, 5000));
	say("idle: over after %llu ms\n",
	    (unsigned long long)((zcreq_now_ns() - start_ns) / MS));
	ck_assert_uint_ge(zcreq_now_ns() - start_ns, 2 * STALL_MS * MS);
	ck_assert_int_eq(load.close_status, -ETIMEDOUT);
}
END_TEST

/* A socket of the program's own, with the same knowledge. */
START_TEST(a_verdict_without_a_stream_tells_vanished_and_its_end_proves)
{
	static char bytes[EACH_BYTES];
	const int on = 1;
	char control[256];
	struct msghdr message = {.msg_control = control, .msg_controllen = sizeof(control)};
	int near, far, verdict;

	ck_ok(net_connect(&load.net, &roomy, &near, &far));
	ck_ok(setsockopt(near, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)));
	ck_assert_int_eq(zcreq_socket_verdict(near, STALL_MS), 0);
	ck_ok(net_misdirect(&load.net, true));
	ck_assert_int_gt(send(near, bytes, sizeof(bytes), MSG_ZEROCOPY | MSG_DONTWAIT), 0);
	do {
		usleep(10000);
		verdict = zcreq_socket_verdict(near, STALL_MS);
	} while (!verdict || verdict == ZCREQ_STALL_CONGESTED);
	ck_assert_int_eq(verdict, ZCREQ_STALL_VANISHED);
	ck_ok(zcreq_socket_disconnect(near));
	ck_assert_int_eq(zcreq_socket_verdict(near, STALL_MS), -ENOTCONN);
	/* proof, on the descriptor that is still open */
	ck_assert_int_ge(recvmsg(near, &message, MSG_ERRQUEUE | MSG_DONTWAIT), 0);
	ck_assert_uint_gt(message.msg_controllen, 0);
	close(near);
	close(far);
}
END_TEST

START_TEST(a_peer_that_does_not_read_is_told_and_left)
{
	load.spied = true;
	load_connect(&load, &unread, &watched);
	load_submit(&load, REQUESTS, EACH_BYTES);
	load_for(&load, 1500);
	ck_assert_int_eq(zcreq_conn_state(load.conn), ZCREQ_CONN_OPEN);
	ck_assert_uint_ge(verdicts_of(ZCREQ_STALL_NOT_READING), 1);
	ck_assert_uint_eq(verdicts_of(ZCREQ_STALL_VANISHED), 0);
	load.reading = true;
	ck_assert(load_until(&load, load_all_released, 20000));
	ck_assert(load_until(&load, load_all_received, 5000));
	ck_assert_uint_eq(load.failed, 0);
	load_check_ledger(&load);
}
END_TEST

START_TEST(a_peer_that_does_not_read_is_aborted_after_its_own_limit)
{
	const struct zcreq_stream_options options = {
		.stall_ms = STALL_MS, .not_reading_ms = 1000,
	};
	uint64_t start_ns;

	load.spied = true;
	load_connect(&load, &unread, &options);
	start_ns = zcreq_now_ns();
	load_submit(&load, REQUESTS, EACH_BYTES);
	expect_abort(-ETIME, start_ns, 1000, "not reading");
	ck_assert_uint_eq(verdicts_of(ZCREQ_STALL_VANISHED), 0);
}
END_TEST

/* Reads each @ms what is there, five times. Returns the longest time that it has not read,
 * in ms. */
static uint64_t read_each(int ms)
{
	uint64_t read_ns = zcreq_now_ns(), now_ns, longest_ns = 0;
	int there;

	for (int i = 0; i < 5; i++) {
		load_for(&load, ms);
		ck_ok(ioctl(load.far, FIONREAD, &there));
		load_read(&load, (size_t)there);
		now_ns = zcreq_now_ns();
		longest_ns = now_ns - read_ns > longest_ns ? now_ns - read_ns : longest_ns;
		read_ns = now_ns;
	}
	return longest_ns / MS;
}

/*
 * It reads a little more often than the limit asks. The record that waits needs
 * many such reads, so no notification comes for much longer than the limit. What is there
 * is read whole: a packet of which a byte is left keeps the window closed, and nobody can
 * see from the other side that anything was read. A machine that was taken away for a
 * while makes it read less often than the limit asks: then nothing is shown, and it is
 * played again at half the pace.
 */
START_TEST(a_peer_that_reads_slowly_is_not_one_that_does_not_read)
{
	struct zcreq_stream_options options = {.stall_ms = 200, .not_reading_ms = 700};
	int pace_ms = 450;

	for (;;) {
		uint64_t longest_ms;

		load.spied = true;
		load_connect(&load, &unread, &options);
		load_submit(&load, REQUESTS, EACH_BYTES);
		longest_ms = read_each(pace_ms);
		say("%llu bytes read, after %llu ms at most\n",
		    (unsigned long long)load.received_bytes, (unsigned long long)longest_ms);
		if (longest_ms < options.not_reading_ms - 50 || pace_ms > 4000)
			break;
		pace_ms *= 2;
		options.not_reading_ms *= 2;
		teardown();
		setup();
	}
	ck_assert_int_eq(load.abort_status, 0);
	ck_assert_int_eq(zcreq_conn_state(load.conn), ZCREQ_CONN_OPEN);
	load.reading = true;
	ck_assert(load_until(&load, load_all_released, 20000));
	ck_assert_uint_eq(load.failed, 0);
	load_check_ledger(&load);
}
END_TEST

/* Its TCP keeps the window closed, so to its sender it is one that does not read. */
START_TEST(a_peer_that_takes_less_than_a_packet_does_not_say_that_it_reads)
{
	const struct zcreq_stream_options options = {.stall_ms = 200, .not_reading_ms = 700};

	load.spied = true;
	load_connect(&load, &unread, &options);
	load_submit(&load, REQUESTS, EACH_BYTES);
	for (int i = 0; i < 20 && !load.closes; i++) {
		load_for(&load, 100);
		load_read(&load, 100);
	}
	ck_assert_uint_ge(load.received_bytes, 500);
	ck_assert(load_until(&load, load_closed, 5000));
	ck_assert_int_eq(load.close_status, -ETIME);
	load_check_ledger(&load);
}
END_TEST

START_TEST(a_host_that_vanishes_with_its_window_closed_is_found)
{
	const struct zcreq_stream_options options = {
		.stall_ms = STALL_MS, .not_reading_ms = 60000,
	};
	uint64_t start_ns;

	load.spied = true;
	load_connect(&load, &unread, &options);
	load_submit(&load, REQUESTS, EACH_BYTES);
	load_for(&load, 700);
	ck_assert_uint_eq(verdicts_of(ZCREQ_STALL_VANISHED), 0);
	ck_ok(_i ? net_misdirect(&load.net, true) : net_cut(&load.net, true));
	start_ns = zcreq_now_ns();
	expect_abort(-ETIMEDOUT, start_ns, 0, _i ? "misdirected" : "cut");
}
END_TEST

/* 192 KB at 100 KB/s: one record, so not one notification for almost 2 s. */
START_TEST(a_slow_link_is_congested_and_left)
{
	const struct zcreq_stream_options options = {
		.stall_ms = STALL_MS, .not_reading_ms = 1000,
	};

	load.spied = true;
	load_connect(&load, &roomy, &options);
	ck_ok(net_slow(&load.net, 100000));
	load_submit(&load, 3, EACH_BYTES);
	ck_assert(load_until(&load, load_all_released, 30000));
	ck_assert_uint_eq(load.failed, 0);
	ck_assert_uint_ge(verdicts_of(ZCREQ_STALL_CONGESTED), 1);
	ck_assert_uint_eq(verdicts_of(ZCREQ_STALL_VANISHED), 0);
	ck_assert_uint_eq(verdicts_of(ZCREQ_STALL_NOT_READING), 0);
	ck_assert(load_until(&load, load_all_received, 5000));
	load_check_ledger(&load);
}
END_TEST

/* Slow first, then gone: being slow is no excuse for long. */
START_TEST(a_host_that_vanishes_behind_a_slow_link_is_found)
{
	uint64_t start_ns;

	load.spied = true;
	load_connect(&load, &roomy, &watched);
	ck_ok(net_slow(&load.net, 300000));
	load_submit(&load, REQUESTS, EACH_BYTES);
	load_for(&load, 700);
	ck_assert_uint_eq(verdicts_of(ZCREQ_STALL_VANISHED), 0);
	ck_ok(net_misdirect(&load.net, true));
	start_ns = zcreq_now_ns();
	expect_abort(-ETIMEDOUT, start_ns, 0, "slow, then gone");
}
END_TEST

START_TEST(an_idle_connection_asks_for_no_time)
{
	uint64_t now_ns = zcreq_now_ns();
	unsigned verdicts;

	load_connect(&load, &roomy, &watched);
	ck_assert_uint_eq(zcreq_turn(load.context, now_ns), ZCREQ_NEVER);
	load_submit(&load, 1, EACH_BYTES);
	ck_assert_uint_ne(zcreq_turn(load.context, now_ns), ZCREQ_NEVER);
	ck_assert(load_until(&load, load_all_released, 5000));
	verdicts = load.verdict_count; /* a slow machine takes its time to acknowledge */
	load_for(&load, 2 * STALL_MS);
	ck_assert_uint_eq(zcreq_turn(load.context, zcreq_now_ns()),
			  ZCREQ_NEVER);
	ck_assert_uint_eq(load.verdict_count, verdicts);
}
END_TEST

START_TEST(the_kernels_own_timeout_is_a_belt_to_these_braces)
{
	const struct zcreq_stream_options options = {.user_timeout_ms = 800};
	uint64_t start_ns;

	load.spied = true;
	load_connect(&load, _i ? &unread : &roomy, &options);
	if (!_i)
		ck_ok(net_misdirect(&load.net, true));
	start_ns = zcreq_now_ns();
	load_submit(&load, REQUESTS, EACH_BYTES);
	expect_abort(-ETIMEDOUT, start_ns, 500, _i ? "not reading" : "vanished");
	ck_assert_uint_eq(load.verdict_count, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("watchdog");
	TCase *group = real_group(suite, "verdicts", setup, teardown, NULL);

	tcase_add_loop_test(group,
			    field_spdk_3309_a_vanished_host_is_aborted_within_the_stall_limit, 0,
			    2 * NET_FAMILIES);
	tcase_add_loop_test(group, a_host_that_vanished_while_idle_is_found_with_the_next_send, 0,
			    3);
	tcase_add_loop_test(group, i12_a_host_that_vanishes_with_copied_bytes_is_found, 0, 2);
	tcase_add_test(group, i12_a_host_that_vanishes_while_idle_is_found_with_an_idle_limit);
	tcase_add_test(group, a_verdict_without_a_stream_tells_vanished_and_its_end_proves);
	tcase_add_test(group, a_peer_that_does_not_read_is_told_and_left);
	tcase_add_test(group, a_peer_that_does_not_read_is_aborted_after_its_own_limit);
	tcase_add_test(group, a_peer_that_reads_slowly_is_not_one_that_does_not_read);
	tcase_add_test(group, a_peer_that_takes_less_than_a_packet_does_not_say_that_it_reads);
	tcase_add_loop_test(group, a_host_that_vanishes_with_its_window_closed_is_found, 0, 2);
	tcase_add_test(group, an_idle_connection_asks_for_no_time);
	tcase_add_loop_test(group, the_kernels_own_timeout_is_a_belt_to_these_braces, 0, 2);
	group = real_group(suite, "slow links", setup, teardown, net_missing_slow());
	tcase_add_test(group, a_slow_link_is_congested_and_left);
	tcase_add_test(group, a_host_that_vanishes_behind_a_slow_link_is_found);
	return real_run(suite, sender_missing());
}
