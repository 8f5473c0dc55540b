/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * check_fields_errqueue.c - bugs that others shipped: ids, ranges and the error queue
 *
 * The other half of check_fields.c, which see.
 */
#include <poll.h>
#include <stdlib.h>
#include <time.h>

#include "sim/stage.h"
#include "support/suite.h"

static struct stage stage;

static void setup(void)
{
	stage_init(&stage);
}

static void teardown(void)
{
	stage_deinit(&stage);
}

/* Ranges that end at, start after and straddle 2^32: one release each, in any cut. */
START_TEST(field_spdk_3600)
{
	struct stage_request *requests[12];
	int i, cut = _i % 12;

	stage.knobs.first_id = UINT32_MAX - 5 + (uint32_t)(_i / 12);
	stage_open(&stage);
	for (i = 0; i < 12; i++)
		requests[i] = stage_sent(&stage, 10);
	fake_socket_ack(stage.sock, (uint64_t)cut * 10);
	stage_run(&stage);
	for (i = 0; i < 12; i++)
		ck_assert_uint_eq(requests[i]->released, i < cut);
	stage_ack_all(&stage);
	for (i = 0; i < 12; i++)
		stage_expect_released(requests[i], 0);
	ck_assert_uint_eq(stage_stats(&stage).notifications, 12);
	ck_assert_uint_eq(stage_stats(&stage).bogus_ranges, 0);
}
END_TEST

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* for (i = lo; i <= hi; i++) never ends at hi = UINT32_MAX. */
static void range_to_the_top(void)
{
	struct stage_request *request;

	stage.knobs.first_id = UINT32_MAX;
	stage_open(&stage);
	request = stage_sent(&stage, 10);
	stage_ack_all(&stage);
	stage_expect_released(request, 0);
}

/* Nor may a range of 2^32 - 1 ids cost more than what is in flight. */
static void range_around_the_circle(void)
{
	struct stage_request *request;
	double start = seconds();
	int i;

	stage_open(&stage);
	request = stage_sent(&stage, 10);
	for (i = 0; i < 1000; i++) {
		fake_socket_post(stage.sock, 1, UINT32_MAX, false);
		fake_socket_post(stage.sock, 1, 0xffffffff, true);
		fake_socket_post(stage.sock, 5, 3, false);
		fake_socket_post(stage.sock, 0, UINT32_MAX, false);
		fake_socket_post(stage.sock, 0, UINT32_MAX - 1, false);
		fake_socket_post(stage.sock, 0, 1, false);
	}
	stage_run(&stage);
	stage_expect_unreleased(request);
	ck_assert_uint_eq(stage_stats(&stage).bogus_ranges, 6000);
	ck_assert(seconds() - start < 2);
	stage_ack_all(&stage);
	stage_expect_released(request, 0);
}

START_TEST(field_folly_range_loop)
{
	range_to_the_top();
}
END_TEST

START_TEST(field_grpc_range_loop)
{
	range_around_the_circle();
}
END_TEST

static uint64_t sends_without_copying(int count)
{
	uint64_t before = stage_report(&stage).zerocopy_sends;

	while (count--) {
		stage_sent(&stage, 5000);
		stage_ack_all(&stage);
	}
	return stage_report(&stage).zerocopy_sends - before;
}

static void auto_mode(void)
{
	stage.options.mode = ZCREQ_MODE_AUTO;
	stage.options.threshold_bytes = 4096;
	stage_open(&stage);
}

/* One COPIED disables nothing. */
START_TEST(field_folly_copied)
{
	auto_mode();
	fake_socket_knobs(stage.sock)->copies = true;
	sends_without_copying(1);
	ck_assert_uint_eq(stage_stats(&stage).notified_copied, 1);
	fake_socket_knobs(stage.sock)->copies = false;
	ck_assert_uint_eq(sends_without_copying(300), 300);
}
END_TEST

/* A path that copies is left, but tried again; one that no longer does is used. */
START_TEST(field_libfabric_7887)
{
	auto_mode();
	fake_socket_knobs(stage.sock)->copies = true;
	sends_without_copying(200);
	ck_assert_uint_le(sends_without_copying(100), 20);
	fake_socket_knobs(stage.sock)->copies = false;
	sends_without_copying(2000);
	ck_assert_uint_eq(sends_without_copying(100), 100);
}
END_TEST

/* A range out of order is proof of itself only, and moves nothing backwards. */
static void in_order_of(const unsigned *order)
{
	struct stage_request *requests[5];
	unsigned i, j;

	stage.knobs.coalesce = false;
	stage_open(&stage);
	for (i = 0; i < 5; i++) {
		requests[i] = stage_sent(&stage, 100);
		ck_assert(fake_socket_pin(stage.sock, i));
	}
	fake_socket_ack(stage.sock, FAKE_NEVER);
	for (i = 0; i < 5; i++) {
		ck_assert(fake_socket_unpin(stage.sock, order[i]));
		stage_run(&stage);
		for (j = 0; j <= i; j++)
			stage_expect_released(requests[order[j]], 0);
		ck_assert_uint_eq(stage_stats(&stage).released, i + 1);
	}
}

START_TEST(field_libfabric_watermark)
{
	static const unsigned order[] = { 4, 1, 3, 0, 2 };

	in_order_of(order);
}
END_TEST

START_TEST(field_netty_15599)
{
	static const unsigned order[] = { 1, 0, 4, 3, 2 };

	in_order_of(order);
}
END_TEST

/* As many confirmations as sends, but not of each send: nothing is counted. */
START_TEST(field_ydb_counter)
{
	struct stage_request *first, *second;

	stage.knobs.post_twice = true;
	stage.knobs.coalesce = false;
	stage_open(&stage);
	first = stage_sent(&stage, 100);
	second = stage_sent(&stage, 100);
	fake_socket_ack(stage.sock, 100);
	stage_run(&stage);
	stage_expect_released(first, 0);
	stage_expect_unreleased(second);
	ck_assert_uint_eq(stage_stats(&stage).notifications, 1);
	stage_ack_all(&stage);
	stage_expect_released(second, 0);
}
END_TEST

START_TEST(field_ydb_order)
{
	static const unsigned order[] = { 3, 0, 4, 1, 2 };

	in_order_of(order);
}
END_TEST

/* 60 bytes of control message, on IPv6 and v4-mapped. */
static void sixty_bytes(enum fake_family family)
{
	struct stage_request *request;

	stage.knobs.family = family;
	stage_open(&stage);
	request = stage_sent(&stage, 100);
	fake_socket_post_timestamp(stage.sock, 200);
	stage_ack_all(&stage);
	stage_expect_released(request, 0);
	ck_assert_uint_eq(stage_report(&stage).messages_cut, 0);
	ck_assert_uint_eq(stage.messages, 1);
}

START_TEST(field_libfabric_12197)
{
	sixty_bytes(FAKE_IPV6);
}
END_TEST

START_TEST(field_spdk_2257)
{
	sixty_bytes(FAKE_V4MAPPED);
}
END_TEST

/* A wrapped range is no error, a foreign message is no error, nothing waits for ever. */
START_TEST(field_qemu_flush)
{
	struct stage_request *requests[6];
	int i;

	stage.knobs.first_id = UINT32_MAX - 2;
	stage_open(&stage);
	for (i = 0; i < 6; i++) {
		requests[i] = stage_sent(&stage, 100);
		fake_socket_post_icmp(stage.sock, 300, 0);
	}
	stage_run(&stage);
	ck_assert_uint_eq(stage.messages, 6);
	ck_assert_uint_eq(stage.origin, 2);
	stage_ack_all(&stage);
	for (i = 0; i < 6; i++)
		stage_expect_released(requests[i], 0);
	ck_assert_uint_eq(stage.aborts, 0);
	ck_assert_uint_eq(stage_stats(&stage).foreign_messages, 6);
}
END_TEST

/* They pass MSG_ZEROCOPY and never read the error queue: here it is part of events. */
static void error_queue_is_polled(void)
{
	struct stage_request *request;

	stage_open(&stage);
	ck_assert_int_ne(zcreq_events(stage.conn) & POLLERR, 0);
	request = stage_sent(&stage, 100);
	ck_assert_int_eq(zcreq_events(stage.conn), POLLERR);
	fake_socket_ack(stage.sock, FAKE_NEVER);
	ck_assert_uint_eq(stage_report(&stage).messages_unread, 1);
	ck_assert_int_eq(zcreq_process(stage.conn, POLLERR), 0);
	stage_turn(&stage);
	ck_assert_uint_eq(stage_report(&stage).messages_unread, 0);
	stage_expect_released(request, 0);
	ck_assert_int_eq(fake_socket_poll(stage.sock, zcreq_events(stage.conn)), 0);
}

START_TEST(field_monoio_errqueue)
{
	error_queue_is_polled();
}
END_TEST

START_TEST(field_glommio_errqueue)
{
	error_queue_is_polled();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fields, error queue");
	TCase *tcase = tcase_create("field cases");

	tcase_set_timeout(tcase, 30);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, field_spdk_3600, 0, 12 * 8);
	tcase_add_test(tcase, field_folly_range_loop);
	tcase_add_test(tcase, field_grpc_range_loop);
	tcase_add_test(tcase, field_folly_copied);
	tcase_add_test(tcase, field_libfabric_7887);
	tcase_add_test(tcase, field_libfabric_watermark);
	tcase_add_test(tcase, field_netty_15599);
	tcase_add_test(tcase, field_ydb_counter);
	tcase_add_test(tcase, field_ydb_order);
	tcase_add_test(tcase, field_libfabric_12197);
	tcase_add_test(tcase, field_spdk_2257);
	tcase_add_test(tcase, field_qemu_flush);
	tcase_add_test(tcase, field_monoio_errqueue);
	tcase_add_test(tcase, field_glommio_errqueue);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
