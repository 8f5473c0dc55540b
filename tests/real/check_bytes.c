/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_bytes.c - the stream at the receiver is exactly what was queued, whatever
 * the sizes, the limits of the kernel and the way in which the loop is written
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/net_tstamp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "real/sender.h"
#include "real/load.h"
#include "real/locked.h"
#include "real/raw.h"
#include "real/real.h"

#define ARENA_BYTES (24 << 20)

static struct load load;

static const struct net_pair roomy = {.near_sndbuf = 32 << 20};
static const struct net_pair tight = {.near_sndbuf = 16384};
static const struct net_pair unread = {.near_sndbuf = 32 << 20, .far_rcvbuf = 16384};

static void setup(void)
{
	load_init(&load, ARENA_BYTES);
	load.spied = true;
}

static void teardown(void)
{
	load_deinit(&load);
}

/* All that was queued arrives, and then the end. */
static void expect_whole_stream(void)
{
	load.reading = true;
	if (load_drain(&load, 0))
		ck_abort_msg("not open any more: %d", load.abort_status);
	ck_assert(load_until(&load, load_closed, 30000));
	ck_assert(load_until(&load, load_far_over, 10000));
	ck_assert(load.far_ended);
	ck_assert_uint_eq(load.received_bytes, load.queued_bytes);
	ck_assert_uint_eq(load.failed, 0);
	ck_assert_int_eq(load.close_status, 0);
	load_check_ledger(&load);
}

static size_t random_size(unsigned *seed)
{
	static const size_t most[] = {1, 40, 1500, 5000, 70000, 300000};

	return 1 + rand_r(seed) % most[rand_r(seed) % 6];
}

/* One request of one to four sends with writes before, between (as a header goes
 * out between two commands) and after. */
static void random_request(unsigned *seed)
{
	struct load_request *request;

	if (rand_r(seed) % 2)
		ck_ok(load_write(&load, 1 + rand_r(seed) % 200));
	request = load_begin(&load, random_size(seed));
	for (int more = rand_r(seed) % 4; more; more--)
		ck_ok(load_send(request, random_size(seed)));
	load_finish(request, 0);
	if (rand_r(seed) % 2)
		ck_ok(load_write(&load, random_size(seed) % ZCREQ_WRITE_MAX + 1));
}

START_TEST(writes_and_sends_of_any_size_arrive_as_they_were_queued)
{
	const struct zcreq_stream_options options = {
		.mode = _i % 3, .threshold_bytes = _i % 3 == ZCREQ_MODE_AUTO ? 4096 : 0,
	};
	const struct net_pair how = {
		.family = _i % NET_FAMILIES, .near_sndbuf = _i & 1 ? 20000 : 8 << 20,
		.far_rcvbuf = _i & 2 ? 8192 : 0,
	};
	unsigned seed = _i;

	load_connect(&load, &how, &options);
	for (int i = 0; i < 100 && load.queued_bytes < ARENA_BYTES - (2 << 20); i++) {
		random_request(&seed);
		if (rand_r(&seed) % 3 == 0)
			load_flush(&load);
		load.reading = rand_r(&seed) % 4;
		load_turn(&load, 0);
	}
	expect_whole_stream();
}
END_TEST

/* spdk 3664: the socket takes a part, at whatever byte it likes. */
START_TEST(field_spdk_3664_partial_sends_lose_and_repeat_nothing)
{
	unsigned parts = 0;

	load_connect(&load, &tight, NULL);
	load_submit(&load, 20, 100003);
	expect_whole_stream();
	for (size_t i = 0; i < load.spy.count; i++)
		parts += load.spy.batches[i].to % 100003 != 0;
	say("%u of %zu batches end inside a request\n", parts, load.spy.count);
	ck_assert_uint_ge(parts, 10);
}
END_TEST

/* spdk 3610: the last part is below the threshold and copied at once; the first is
 * in flight, and holds the request. */
START_TEST(field_spdk_3610_a_copied_last_part_releases_nothing_early)
{
	const struct zcreq_stream_options options = {.threshold_bytes = 16384};
	struct load_request *request;

	load_connect(&load, &roomy, &options);
	ck_ok(net_misdirect(&load.net, true));
	request = load_begin(&load, 400000);
	load_flush(&load);
	ck_ok(load_send(request, 100));
	load_finish(request, 0);
	load_flush(&load);
	ck_assert_uint_eq(load_stats(&load).copied_batches, 1);
	ck_assert_uint_eq(load_stats(&load).zerocopy_batches, 1);
	load_for(&load, 100);
	ck_assert_uint_eq(load.released, 0);
	ck_ok(net_misdirect(&load.net, false));
	expect_whole_stream();
}
END_TEST

/* ---- the loop ---- */

static void stamp(int fd)
{
	const int stamps = SOF_TIMESTAMPING_TX_ACK | SOF_TIMESTAMPING_TX_SCHED |
			   SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID;

	ck_ok(setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &stamps, sizeof(stamps)));
}

/* Edge-triggered: told once of each change, and never again. In the last round with
 * foreign messages in the queue, where stopping at one would be for ever. */
START_TEST(an_edge_triggered_loop_misses_nothing)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET};
	const struct net_pair how = {.near_sndbuf = 100000, .far_rcvbuf = _i == 1 ? 8192 : 0};
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	unsigned seed = _i, silent = 0;

	load_connect(&load, &how, NULL);
	if (_i == 2)
		stamp(load.near);
	event.data.fd = load.near;
	ck_ok(epoll_ctl(epoll, EPOLL_CTL_ADD, load.near, &event));
	event.events = EPOLLIN; /* the receiver's end as usual */
	event.data.fd = load.far;
	ck_ok(epoll_ctl(epoll, EPOLL_CTL_ADD, load.far, &event));
	if (sender_is_uring) {
		event.events = EPOLLIN | EPOLLET;
		event.data.fd = sender_fd(&load);
		ck_ok(epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event));
	}
	while (load.released < 1500) {
		while (load.count < 1500 && load.count - load.released < 32) {
			load_finish(load_begin(&load, 1 + rand_r(&seed) % 20000), 0);
			load_flush(&load);
		}
		zcreq_turn(load.context, zcreq_now_ns());
		sender_process(&load);
		if (epoll_wait(epoll, &event, 1, 100) <= 0) {
			ck_assert_uint_lt(silent++, 50);
			continue;
		}
		if (event.data.fd == load.far)
			load_read(&load, 1 << 20);
		else if (event.data.fd == load.near)
			ck_ok(zcreq_process(load.conn, event.events));
		zcreq_turn(load.context, zcreq_now_ns());
	}
	close(epoll);
	expect_whole_stream();
}
END_TEST

START_TEST(a_refused_send_is_told_when_there_is_room)
{
	const struct zcreq_stream_options options = {.limit_bytes = 1 << 20};
	struct load_request *request;
	unsigned refused = 0;

	load_connect(&load, &unread, &options);
	load.reading = true;
	for (int i = 0; i < 200; i++) {
		request = load_begin(&load, 0);
		while (load_send(request, 100000) == -EAGAIN) {
			unsigned rooms = load.rooms;

			refused++;
			while (load.rooms == rooms)
				load_turn(&load, 100);
		}
		load_finish(request, 0);
	}
	say("%u times refused, %u times room\n", refused, load.rooms);
	ck_assert_uint_gt(refused, 0);
	ck_assert_uint_ge(load.rooms, refused);
	expect_whole_stream();
}
END_TEST

/* ---- limits of the kernel ---- */

/* Containers with a small limit: nothing is in flight, so nothing would wake it. */
START_TEST(field_spdk_1592_grpc_29961_a_small_locked_memory_limit_copies_and_goes_on)
{
	ck_ok(locked_limit(65536));
	load_connect(&load, &roomy, NULL);
	for (int i = 0; i < 10; i++) {
		load_submit(&load, 4, _i ? 30000 : 500000);
		ck_assert(load_until(&load, load_all_released, 10000));
	}
	say("%llu times ENOBUFS, %llu batches copied, %llu not\n",
	    (unsigned long long)load_stats(&load).no_buffers,
	    (unsigned long long)load_stats(&load).copied_batches,
	    (unsigned long long)load_stats(&load).zerocopy_batches);
	if (sender_is_uring && real_linux_before(6, 15)) { /* which counts none of it */
		ck_assert_uint_eq(load_stats(&load).no_buffers, 0);
		ck_assert_uint_eq(load_stats(&load).copied_batches, 0);
	} else {
		ck_assert_uint_gt(load_stats(&load).no_buffers, 0);
		ck_assert_uint_gt(load_stats(&load).copied_batches, 0);
	}
	expect_whole_stream();
}
END_TEST

START_TEST(a_small_option_memory_reaps_or_copies_and_goes_on)
{
	ck_ok(net_sysctl(&load.net, NET_NEAR, "core/optmem_max", "4096"));
	load_connect(&load, &unread, NULL);
	load_submit(&load, 40, 500000);
	load_for(&load, 50);
	say("%llu times ENOBUFS, %llu batches copied, %llu not\n",
	    (unsigned long long)load_stats(&load).no_buffers,
	    (unsigned long long)load_stats(&load).copied_batches,
	    (unsigned long long)load_stats(&load).zerocopy_batches);
	if (!sender_is_uring) /* whose notifications take none of it */
		ck_assert_uint_gt(load_stats(&load).no_buffers, 0);
	ck_assert_uint_gt(load_stats(&load).zerocopy_batches, 0);
	expect_whole_stream();
}
END_TEST

/* ---- the policy, and sockets with a past ---- */

/* veth says COPIED each time: auto stops asking, for a while, and loses nothing. */
START_TEST(auto_gives_up_zerocopy_where_the_kernel_copies_anyway)
{
	const struct zcreq_stream_options options = {.threshold_bytes = 4096};
	struct zcreq_stats stats;

	load_connect(&load, &roomy, &options);
	for (int i = 0; i < 600; i++) {
		load_submit(&load, 1, 20000);
		ck_assert(load_until(&load, load_all_released, 5000));
	}
	stats = load_stats(&load);
	say("%llu batches by reference, %llu of them copied all the same, %llu copied\n",
	    (unsigned long long)stats.zerocopy_batches, (unsigned long long)stats.notified_copied,
	    (unsigned long long)stats.copied_batches);
	ck_assert_uint_gt(stats.notified_copied, 0);
	ck_assert_uint_gt(stats.copied_batches, stats.zerocopy_batches);
	expect_whole_stream();
}
END_TEST

/* Ids go on counting; whoever used the socket before says where they are. */
START_TEST(first_id_takes_over_a_socket_that_has_sent_before)
{
	const struct zcreq_stream_options options = {
		.flags = ZCREQ_STREAM_FIRST_ID, .first_id = 3,
	};
	struct raw_log heard = {0};
	char other[1000] = {0};

	load.spied = false;
	ck_ok(net_connect(&load.net, &roomy, &load.near, &load.far));
	raw_enable(load.near);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(raw_send(load.near, other, sizeof(other)), sizeof(other));
		ck_assert_int_eq(raw_read(load.far, other, sizeof(other), 1000), sizeof(other));
	}
	ck_assert(raw_await(load.near, &heard, 3, 2000));
	load_open(&load, &options);
	load_submit(&load, 10, 20000);
	ck_assert(load_until(&load, load_all_released, 5000));
	expect_whole_stream();
}
END_TEST

/* ---- a socket with a past: I13 ---- */

static struct zcreq_conn *none;

static int open_near(unsigned flags, uint32_t first_id, enum zcreq_mode mode)
{
	const struct zcreq_stream_options options = {
		.size = sizeof(options), .fd = load.near, .mode = mode,
		.flags = flags, .first_id = first_id,
	};

	return zcreq_stream_open(load.context, &options, &none);
}

/*
 * Somebody's own send is in flight, its proof not read: that proof would be taken for the
 * one of our first send. So the open is refused; with the right id nothing is mixed up.
 * In the second case the proof was read, and ours would never be believed.
 */
START_TEST(i13_a_socket_with_sends_of_its_own_is_refused)
{
	const struct zcreq_stream_options options = {
		.flags = ZCREQ_STREAM_FIRST_ID, .first_id = 1,
	};
	static char other[4000];
	struct raw_log heard = {0};

	load.spied = false;
	ck_ok(net_connect(&load.net, &roomy, &load.near, &load.far));
	raw_enable(load.near);
	ck_assert_int_eq(raw_send(load.near, other, sizeof(other)), sizeof(other));
	ck_assert_int_eq(raw_read(load.far, other, sizeof(other), 1000), sizeof(other));
	if (_i)
		ck_assert(raw_await(load.near, &heard, 1, 2000));
	ck_assert_int_eq(open_near(0, 0, ZCREQ_MODE_ALWAYS), -EBUSY);
	ck_assert_int_eq(open_near(0, 0, ZCREQ_MODE_AUTO), -EBUSY);
	ck_assert_int_eq(open_near(0, 1, ZCREQ_MODE_AUTO), -EINVAL);
	load_open(&load, &options);
	/* a ring's ids are none of the error queue's, where the other one still is */
	load.bogus_ranges = sender_is_uring && !_i;
	load_submit(&load, 10, 20000);
	ck_assert(load_until(&load, load_all_released, 5000));
	/* the other one came with one of ours, or by itself, and then fits to nothing */
	if (!sender_is_uring && !_i && load_stats(&load).bogus_ranges == 1)
		load.bogus_ranges = 1;
	expect_whole_stream();
}
END_TEST

/* What is not a past: SO_ZEROCOPY without data, as from a listener; data that were copied. */
START_TEST(i13_a_fresh_or_a_copying_socket_needs_no_first_id)
{
	char other[100] = {0};

	load.spied = false;
	ck_ok(net_connect(&load.net, &roomy, &load.near, &load.far));
	if (_i) {
		ck_assert_int_eq(send(load.near, other, sizeof(other), 0), sizeof(other));
		ck_assert_int_eq(raw_read(load.far, other, sizeof(other), 1000), sizeof(other));
	} else {
		raw_enable(load.near);
	}
	load_open(&load, NULL);
	load_submit(&load, 10, 20000);
	ck_assert(load_until(&load, load_all_released, 5000));
	expect_whole_stream();
}
END_TEST

START_TEST(a_descriptor_is_opened_once_in_a_context)
{
	int used, far, near;

	load.spied = false;
	ck_ok(net_connect(&load.net, &roomy, &load.near, &load.far));
	near = load.near;
	load_open(&load, NULL);
	ck_assert_int_eq(open_near(0, 0, ZCREQ_MODE_ALWAYS), -EEXIST);
	ck_assert_int_eq(open_near(0, 0, ZCREQ_MODE_NEVER), -EEXIST);
	/* the number of one that is closed, refused for another reason, and again */
	ck_ok(net_connect(&load.net, &roomy, &used, &far));
	raw_enable(used);
	ck_assert_int_eq(raw_send(used, "a", 1), 1);
	load_free_conn(&load);
	zcreq_turn(load.context, 0);
	ck_assert_int_eq(dup2(used, near), near);
	load.near = near;
	ck_assert_int_eq(open_near(0, 0, ZCREQ_MODE_ALWAYS), -EBUSY);
	ck_assert_int_eq(open_near(ZCREQ_STREAM_FIRST_ID, 1, ZCREQ_MODE_ALWAYS), 0);
	zcreq_conn_free(none);
	zcreq_turn(load.context, 0);
	load.near = -1;
	close(used);
	close(far);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bytes");
	TCase *group = real_group(suite, "bytes", setup, teardown, NULL);

	tcase_add_loop_test(group, writes_and_sends_of_any_size_arrive_as_they_were_queued, 0,
			    24);
	tcase_add_test(group, field_spdk_3664_partial_sends_lose_and_repeat_nothing);
	tcase_add_test(group, field_spdk_3610_a_copied_last_part_releases_nothing_early);
	tcase_add_loop_test(group, an_edge_triggered_loop_misses_nothing, 0, 3);
	tcase_add_test(group, a_refused_send_is_told_when_there_is_room);
	tcase_add_loop_test(
		group, field_spdk_1592_grpc_29961_a_small_locked_memory_limit_copies_and_goes_on,
		0, 2);
	tcase_add_test(group, auto_gives_up_zerocopy_where_the_kernel_copies_anyway);
	tcase_add_test(group, first_id_takes_over_a_socket_that_has_sent_before);
	tcase_add_loop_test(group, i13_a_socket_with_sends_of_its_own_is_refused, 0, 2);
	tcase_add_loop_test(group, i13_a_fresh_or_a_copying_socket_needs_no_first_id, 0, 2);
	tcase_add_test(group, a_descriptor_is_opened_once_in_a_context);
	group = real_group(suite, "option memory", setup, teardown, net_missing_optmem());
	tcase_add_test(group, a_small_option_memory_reaps_or_copies_and_goes_on);
	return real_run(suite, sender_missing());
}
