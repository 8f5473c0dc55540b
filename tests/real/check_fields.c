/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_fields.c - bugs that others shipped, staged on the real kernel
 *
 * Those of doc/field-cases.md that no other program here stages already. Not here,
 * because no kernel can be brought to it in the time of a test: ids that wrap at 2^32
 * (spdk 3600, the two range loops).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "real/sender.h"
#include "real/load.h"
#include "real/real.h"

#define ARENA_BYTES (16 << 20)
#define EACH_BYTES 65536
#define REQUESTS 40 /* several records of the kernel */
#define SLOW 65536  /* bytes in a second */

static struct load load;

static const struct net_pair roomy = {.near_sndbuf = 32 << 20};

static void setup(void)
{
	load_init(&load, ARENA_BYTES);
	load.spied = true;
}

static void teardown(void)
{
	load_deinit(&load);
}

/* The disconnect path completes the request; then the late write callback does. */
START_TEST(field_spdk_2445_a_late_write_callback_is_stale)
{
	struct load_request *request;
	zcreq_hold hold;

	load_connect(&load, &roomy, NULL);
	ck_ok(net_misdirect(&load.net, true));
	request = load_begin(&load, EACH_BYTES);
	ck_ok(zcreq_take(load.context, request->id, &hold));
	load_flush(&load);
	ck_ok(load_abort(&load, -ECONNRESET));
	zcreq_turn(load.context, 0);
	ck_assert_uint_eq(request->settled, 1);
	ck_assert_uint_eq(request->released, 0);
	ck_ok(zcreq_drop(load.context, hold, -ECONNRESET));
	/* the packet may be on its way through the cable still */
	ck_assert(load_until(&load, load_all_released, 5000));
	ck_assert_uint_eq(request->released, 1);
	ck_assert_int_eq(zcreq_drop(load.context, hold, 0), -ESTALE);
	ck_assert_int_eq(zcreq_finish(load.context, request->id, 0), -ESTALE);
	ck_assert_uint_eq(load_stats(&load).stale_handles, 2);
	load_check_ledger(&load);
}
END_TEST

START_TEST(field_spdk_1685_a_second_completion_is_stale)
{
	struct load_request *request;

	load_connect(&load, &roomy, NULL);
	request = load_begin(&load, EACH_BYTES);
	load_finish(request, 0);
	ck_assert_int_eq(zcreq_finish(load.context, request->id, -EIO), -ESTALE);
	load_flush(&load);
	ck_assert(load_until(&load, load_all_released, 5000));
	ck_assert_int_eq(request->status, 0);
	ck_assert_int_eq(zcreq_finish(load.context, request->id, 0), -ESTALE);
	ck_assert_uint_eq(load_stats(&load).stale_handles, 2);
	load_check_ledger(&load);
}
END_TEST

/* A listener stops, with packets in a filter: on each way the proof comes first. */
START_TEST(field_spdk_3760_no_way_to_close_releases_without_proof)
{
	static const char *const ways[] = {"free", "abort", "drain", "reset by the peer"};

	load_connect(&load, &roomy, NULL);
	ck_ok(net_slow(&load.net, SLOW));
	load_submit(&load, REQUESTS, EACH_BYTES);
	load_for(&load, 100);
	if (_i == 0) {
		load_free_conn(&load);
	} else if (_i == 1) {
		ck_ok(load_abort(&load, -ESHUTDOWN));
	} else if (_i == 2) {
		ck_ok(load_drain(&load, 1));
	} else {
		const struct linger reset = {.l_onoff = 1};

		load.reading = false;
		ck_ok(setsockopt(load.far, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)));
		ck_ok(close(load.far));
		load.far = -1;
	}
	load_turn(&load, 0);
	ck_assert_uint_lt(load.released, load.count);
	ck_assert_int_ge(fcntl(load.near, F_GETFD), 0);
	ck_assert(load_until(&load, load_all_released, 20000));
	load_for(&load, 20);
	say("%s: %zu of %zu failed\n", ways[_i], load.failed, load.count);
	ck_assert_uint_gt(load.failed, 0);
	ck_assert_uint_eq(load.spy.closes, 1);
	load_check_ledger(&load);
}
END_TEST

/* Aborted sends are no success, although the kernel tells of them as of delivered ones. */
START_TEST(field_spdk_3760_success_is_not_what_a_death_gives_back)
{
	const struct net_pair how = {.near_sndbuf = 32 << 20, .far_rcvbuf = 16384};

	load_connect(&load, &how, NULL);
	load_submit(&load, REQUESTS, EACH_BYTES);
	ck_ok(close(load.far)); /* with unread data: a reset */
	load.far = -1;
	ck_assert(load_until(&load, load_closed, 10000));
	ck_assert_int_eq(load.abort_status, -ECONNRESET);
	ck_assert_uint_eq(load.failed, load.count); /* none of them fits into the window */
	load_check_ledger(&load);
}
END_TEST

/* The outcome at once, the buffers when the filter has let go, the descriptor last. */
START_TEST(field_spdk_abort_requests_outcome_and_release_are_two_events)
{
	load_connect(&load, &roomy, NULL);
	ck_ok(net_slow(&load.net, SLOW));
	load_submit(&load, REQUESTS, EACH_BYTES);
	load_for(&load, 100);
	ck_ok(load_abort(&load, -ECANCELED));
	zcreq_turn(load.context, 0);
	ck_assert(load_all_settled(&load));
	ck_assert_uint_lt(load.released, load.count);
	ck_assert_uint_eq(load.closes, 0);
	ck_assert(load_until(&load, load_closed, 20000));
	for (size_t i = 0; i < load.count; i++)
		ck_assert_int_eq(load.requests[i].status, -ECANCELED);
	load_check_ledger(&load);
}
END_TEST

/*
 * A death tells of the unsent tail first (tests/scenarios/kernel/death-tail-first.trace), with
 * the front in a filter: at the first proof, what is in front of it is not proven.
 */
static void proof_out_of_order(void)
{
	size_t front = 0;

	load_connect(&load, &roomy, NULL);
	ck_ok(net_slow(&load.net, SLOW));
	load_submit(&load, REQUESTS, EACH_BYTES);
	load_for(&load, 100);
	ck_ok(load_abort(&load, -EIO));
	zcreq_turn(load.context, 0);
	while (front < load.count && !load.requests[front].released)
		front++;
	say("%zu released at once, the first of them is number %zu\n", load.released, front);
	ck_assert_uint_lt(load.released, load.count);
	if (!sender_is_uring) /* which tells of none before the last of a chain */
		ck_assert_uint_gt(load.released, 0);
	ck_assert_uint_gt(front, 0);
	ck_assert(load_until(&load, load_closed, 20000));
	load_check_ledger(&load);
}

START_TEST(field_libfabric_watermark_is_not_moved_by_a_range_behind_it)
{
	proof_out_of_order();
}
END_TEST

START_TEST(field_netty_15599_notifications_are_not_first_in_first_out)
{
	proof_out_of_order();
}
END_TEST

START_TEST(field_ydb_counter_is_not_what_says_which_is_proven)
{
	proof_out_of_order();
}
END_TEST

static struct zcreq_socket_ops uncut_ops; /* as spy_ops, but for: */

/* A range survives the cut, a message behind a timestamp does not. */
static ssize_t expect_uncut(int fd, struct msghdr *message, int flags, void *arg)
{
	ssize_t ret = spy_ops.recvmsg(fd, message, flags, arg);

	expect(ret < 0 || !(message->msg_flags & MSG_CTRUNC));
	return ret;
}

static void connect_uncut(enum net_family family)
{
	const struct net_pair how = {.near_sndbuf = 32 << 20, .family = family};
	const struct zcreq_stream_options options = {
		.socket_ops = &uncut_ops, .socket_arg = &load.spy,
	};

	uncut_ops = spy_ops;
	uncut_ops.recvmsg = expect_uncut;
	load.spied = sender_is_uring; /* or load_open() puts its own table there */
	load_connect(&load, &how, sender_is_uring ? NULL : &options);
	load.spied = true;
}

/* Notifications of 60 bytes, and of 124 behind a timestamp. */
static void sixty_bytes(enum net_family family)
{
	const int stamps = SOF_TIMESTAMPING_TX_ACK | SOF_TIMESTAMPING_SOFTWARE |
			   SOF_TIMESTAMPING_OPT_ID;

	connect_uncut(family);
	if (!sender_is_uring)
		ck_ok(setsockopt(load.near, SOL_SOCKET, SO_TIMESTAMPING, &stamps, sizeof(stamps)));
	for (int i = 0; i < 20; i++) {
		load_submit(&load, 4, 10000);
		load_turn(&load, 0);
	}
	ck_assert(load_until(&load, load_all_released, 10000));
	load_for(&load, 50);
	ck_assert_uint_eq(load.failed, 0);
	ck_assert_uint_eq(load.aborts, 0);
	ck_assert_uint_eq(load_stats(&load).foreign_lost, 0);
	if (!sender_is_uring)
		ck_assert_uint_gt(load.messages, 0);
	load_check_ledger(&load);
}

START_TEST(field_libfabric_12197_control_messages_of_ipv6)
{
	sixty_bytes(NET_IPV6);
}
END_TEST

START_TEST(field_spdk_2257_control_messages_of_a_mapped_address)
{
	sixty_bytes(NET_MAPPED);
}
END_TEST

static void wait_until_acknowledged(void)
{
	int left = 1;

	for (int i = 0; i < 2000 && left; i++) {
		load_read(&load, 1 << 20);
		usleep(1000);
		ck_ok(ioctl(load.near, SIOCOUTQ, &left));
	}
	ck_assert_int_eq(left, 0);
}

/* Whoever waits for zcreq_events() and calls zcreq_process() has read the error queue. */
static void error_queue_is_polled(void)
{
	struct pollfd p = {0};

	load_connect(&load, &roomy, NULL);
	load_submit(&load, 4, 10000);
	wait_until_acknowledged();
	ck_assert_int_eq(zcreq_events(load.conn), POLLERR); /* 0 says: do not poll */
	p = (struct pollfd){.fd = load.near, .events = zcreq_events(load.conn)};
	ck_assert_int_eq(poll(&p, 1, 2000), 1);
	ck_assert_int_eq(p.revents, POLLERR);
	ck_ok(zcreq_process(load.conn, p.revents));
	zcreq_turn(load.context, zcreq_now_ns());
	ck_assert_uint_eq(load.released, 4);
	p.events = zcreq_events(load.conn);
	ck_assert_int_eq(poll(&p, 1, 0), 0);
	load_check_ledger(&load);
}

START_TEST(field_monoio_errqueue_is_read)
{
	error_queue_is_polled();
}
END_TEST

START_TEST(field_glommio_errqueue_is_read)
{
	error_queue_is_polled();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fields");
	TCase *group = real_group(suite, "fields", setup, teardown, NULL);

	tcase_add_test(group, field_spdk_2445_a_late_write_callback_is_stale);
	tcase_add_test(group, field_spdk_1685_a_second_completion_is_stale);
	tcase_add_test(group, field_spdk_3760_success_is_not_what_a_death_gives_back);
	tcase_add_test(group, field_libfabric_12197_control_messages_of_ipv6);
	tcase_add_test(group, field_spdk_2257_control_messages_of_a_mapped_address);
	if (!sender_is_uring) {
		tcase_add_test(group, field_monoio_errqueue_is_read);
		tcase_add_test(group, field_glommio_errqueue_is_read);
	}
	group = real_group(suite, "over a filter", setup, teardown, net_missing_slow());
	tcase_add_loop_test(group, field_spdk_3760_no_way_to_close_releases_without_proof, 0, 4);
	tcase_add_test(group, field_spdk_abort_requests_outcome_and_release_are_two_events);
	tcase_add_test(group, field_libfabric_watermark_is_not_moved_by_a_range_behind_it);
	tcase_add_test(group, field_netty_15599_notifications_are_not_first_in_first_out);
	tcase_add_test(group, field_ydb_counter_is_not_what_says_which_is_proven);
	return real_run(suite, sender_missing());
}
