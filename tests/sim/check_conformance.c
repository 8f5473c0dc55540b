/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * check_conformance.c - the list below the table of doc/field-cases.md: ids, ranges, messages
 *
 * Each test's name is the claim; conform_ are those of the list. The others of it:
 * ends in check_conformance_ends.c, transports in check_conformance_sender.c, what
 * callbacks may do and what may fail in check_reentry.c.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/errqueue.h>

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

START_TEST(conform_zero_length_sends_are_refused_and_members_are_not)
{
	struct stage_request *request;
	uint8_t byte = 'x';
	struct iovec iov[3] = { { &byte, 0 }, { NULL, 0 }, { &byte, 1 } };

	stage_open(&stage);
	request = stage_begin(&stage);
	ck_assert_int_eq(zcreq_add(stage.context, request->id, iov, 2, 0),
			 -EINVAL);
	ck_assert_int_eq(zcreq_add(stage.context, request->id, iov, 0, 0),
			 -EINVAL);
	ck_assert_int_eq(zcreq_write(stage.conn, &byte, 0), -EINVAL);
	ck_assert_int_eq(zcreq_add(stage.context, request->id, iov, 3, 0),
			 0);
	ck_assert_int_eq(zcreq_finish(stage.context, request->id, 0), 0);
	stage_ack_all(&stage);
	stage_expect_released(request, 0);
	ck_assert_uint_eq(stage_report(&stage).accepted_bytes, 1);
}
END_TEST

/* Refused calls take no id: the books of both sides agree afterwards. */
static void expect_same_books(void)
{
	struct fake_socket_report report = stage_report(&stage);

	ck_assert_uint_eq(stage_stats(&stage).zerocopy_batches, report.zerocopy_sends);
	ck_assert_uint_eq(stage_stats(&stage).notifications, report.zerocopy_sends);
	if (!stage_sends) /* a sender's ids count what was submitted */
		ck_assert_uint_eq(report.next_id, report.zerocopy_sends);
	ck_assert_uint_eq(stage_stats(&stage).bogus_ranges, 0);
}

START_TEST(conform_refused_sends_take_no_id)
{
	struct stage_request *requests[3];
	int i;

	stage.knobs.sndbuf_bytes = 150;
	stage_open(&stage);
	for (i = 0; i < 3; i++)
		requests[i] = stage_sent(&stage, 100);
	fake_socket_fail(stage.sock, FAKE_SENDMSG, 1, 3, EAGAIN);
	stage_flush(&stage);
	stage_flush(&stage);
	stage_ack_all(&stage);
	for (i = 0; i < 3; i++)
		stage_expect_released(requests[i], 0);
	expect_same_books();
}
END_TEST

START_TEST(conform_epipe_takes_no_id)
{
	struct stage_request *first, *second;

	stage_open(&stage);
	first = stage_sent(&stage, 100);
	fake_socket_fail(stage.sock, FAKE_SENDMSG, 1, 1, EPIPE);
	second = stage_sent(&stage, 100);
	stage_run(&stage);
	ck_assert_int_eq(stage.abort_status, -EPIPE);
	stage_expect_released(first, -EPIPE);
	stage_expect_released(second, -EPIPE);
	ck_assert_uint_eq(stage_report(&stage).zerocopy_sends, 1);
	expect_same_books();
}
END_TEST

/* EFAULT in the first packet or in a later one: what was accepted is awaited, the rest is over. */
START_TEST(conform_unreadable_memory_aborts_and_keeps_the_books)
{
	static const size_t bad_at[] = { 0, 50, 150000, 250000 };
	static uint8_t memory[300000];
	struct iovec iov[3] = {
		{ memory, 100000 }, { memory + 100000, 100000 }, { memory + 200000, 100000 },
	};
	struct stage_request *request;

	memset(memory, 'm', sizeof(memory));
	stage_open(&stage);
	fake_socket_unreadable(stage.sock, memory + bad_at[_i], 20);
	request = stage_begin(&stage);
	ck_assert_int_eq(zcreq_add(stage.context, request->id, iov, 3, 0),
			 0);
	ck_assert_int_eq(zcreq_finish(stage.context, request->id, 0), 0);
	stage_flush(&stage);
	stage_run(&stage);
	ck_assert_int_eq(stage.abort_status, -EFAULT);
	stage_expect_released(request, -EFAULT);
	ck_assert_uint_eq(fake_kernel_unproven(stage.kernel, memory, sizeof(memory)), 0);
	ck_assert_uint_eq(stage_report(&stage).zerocopy_sends, bad_at[_i] > 50);
	expect_same_books();
}
END_TEST

START_TEST(conform_one_request_over_many_ids_is_released_once)
{
	struct stage_request *request;

	stage.knobs.accept_bytes = 7;
	stage.knobs.coalesce = _i != 0;
	stage_open(&stage);
	request = stage_sent(&stage, 1000);
	stage_run(&stage);
	ck_assert_uint_eq(stage_report(&stage).next_id, 143);
	fake_socket_ack(stage.sock, 999);
	stage_run(&stage);
	stage_expect_unreleased(request);
	stage_ack_all(&stage);
	stage_expect_released(request, 0);
}
END_TEST

START_TEST(conform_many_requests_in_one_id_are_all_released)
{
	struct stage_request *requests[100];
	int i;

	stage_open(&stage);
	for (i = 0; i < 100; i++)
		requests[i] = stage_request(&stage, 50);
	stage_flush(&stage);
	ck_assert_uint_eq(stage_report(&stage).next_id, 1);
	fake_socket_ack(stage.sock, 4999);
	stage_run(&stage);
	ck_assert_uint_eq(stage_stats(&stage).released, 0);
	stage_ack_all(&stage);
	for (i = 0; i < 100; i++)
		stage_expect_released(requests[i], 0);
}
END_TEST

/* As MSG_MORE does: several sends share one record and come as one range. */
START_TEST(conform_shared_record_releases_nobody_early)
{
	struct stage_request *requests[5];
	int i;

	stage.knobs.record_bytes = 524288;
	stage.knobs.cwnd_bytes = 1;
	stage_open(&stage);
	for (i = 0; i < 5; i++)
		requests[i] = stage_sent(&stage, 20);
	ck_assert_uint_eq(stage_report(&stage).next_id, 5);
	ck_assert_uint_eq(stage_report(&stage).records_held, 1);
	fake_socket_ack(stage.sock, 99);
	stage_run(&stage);
	ck_assert_uint_eq(stage_stats(&stage).released, 0);
	stage_ack_all(&stage);
	for (i = 0; i < 5; i++)
		stage_expect_released(requests[i], 0);
}
END_TEST

/* A socket's next id is first_id: what is before it was never in flight here. */
static void counting_from(uint32_t first)
{
	struct stage_request *request;

	stage.knobs.first_id = first;
	stage_open(&stage);
	request = stage_sent(&stage, 10);
	fake_socket_post(stage.sock, first - 3, first - 1, false);
	stage_run(&stage);
	stage_expect_unreleased(request);
	ck_assert_uint_eq(stage_stats(&stage).notifications, 0);
	stage_ack_all(&stage);
	stage_expect_released(request, 0);
	ck_assert_uint_eq(stage_stats(&stage).notifications, 1);
}

START_TEST(conform_accepted_socket_starts_at_0)
{
	counting_from(0);
}
END_TEST

START_TEST(conform_reconnect_continues_ids)
{
	static const uint32_t firsts[] = { 1, 4711, UINT32_MAX };

	counting_from(firsts[_i]);
}
END_TEST

/* A send of somebody else's is in flight when the stream is opened, and is proven first. */
START_TEST(i13_proof_of_a_foreign_send_proves_none_of_ours)
{
	char foreign[100] = { 0 };
	struct iovec iov = { foreign, sizeof(foreign) };
	const struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct zcreq_conn *none = NULL;
	struct stage_request *request;

	stage_open(&stage);
	zcreq_conn_free(stage.conn);
	zcreq_turn(stage.context, 0);
	stage.knobs.zerocopy_on = true;
	stage.sock = fake_socket_new(stage.kernel, &stage.knobs);
	stage.options.fd = fake_socket_fd(stage.sock);
	stage.options.socket_arg = stage.sock;
	ck_assert_int_eq(fake_socket_ops.sendmsg(stage.options.fd, &message,
						 MSG_ZEROCOPY | MSG_DONTWAIT | MSG_NOSIGNAL,
						 stage.sock),
			 sizeof(foreign));
	stage.options.flags = 0;
	ck_assert_int_eq(zcreq_stream_open(stage.context, &stage.options, &none), -EBUSY);
	stage.options.flags = ZCREQ_STREAM_FIRST_ID;
	stage.options.first_id = 1;
	ck_assert_int_eq(zcreq_stream_open(stage.context, &stage.options, &stage.conn), 0);
	request = stage_sent(&stage, 10);
	fake_socket_ack(stage.sock, sizeof(foreign));
	if (!_i) { /* else the kernel makes one notification of both: 0 to 1 */
		stage_run(&stage);
		stage_expect_unreleased(request);
	}
	fake_socket_ack(stage.sock, FAKE_NEVER);
	stage_run(&stage);
	stage_expect_released(request, 0);
	ck_assert_uint_eq(stage_stats(&stage).bogus_ranges, !_i);
}
END_TEST

START_TEST(conform_duplicate_range_is_counted_and_ignored)
{
	struct stage_request *first, *second;

	stage.knobs.post_twice = true;
	stage_open(&stage);
	first = stage_sent(&stage, 10);
	second = stage_sent(&stage, 10);
	fake_socket_ack(stage.sock, 10);
	stage_run(&stage);
	stage_expect_released(first, 0);
	stage_expect_unreleased(second);
	stage_ack_all(&stage);
	stage_expect_released(second, 0);
	ck_assert_uint_eq(stage_stats(&stage).notifications, 2);
	ck_assert_uint_ge(stage_stats(&stage).duplicate_ids + stage_stats(&stage).bogus_ranges, 2);
}
END_TEST

/* One send over four ids, of which only the middle two are told, and told again. */
static void told_again(uint32_t lo, uint32_t hi)
{
	struct stage_request *request;
	uint32_t id;

	stage.knobs.accept_bytes = 10;
	stage.knobs.coalesce = false;
	stage_open(&stage);
	request = stage_sent(&stage, 40);
	for (id = 0; id < 4; id++)
		ck_assert(fake_socket_pin(stage.sock, id));
	fake_socket_ack(stage.sock, FAKE_NEVER);
	for (id = 1; id < 3; id++)
		ck_assert(fake_socket_unpin(stage.sock, id));
	fake_socket_post(stage.sock, lo, hi, false);
	fake_socket_post(stage.sock, lo, hi, false);
	stage_run(&stage);
	ck_assert_uint_eq(stage_stats(&stage).duplicate_ids, 2 * (hi - lo + 1));
	stage_expect_unreleased(request);
	ck_assert(fake_socket_unpin(stage.sock, 0));
	stage_run(&stage);
	stage_expect_unreleased(request);
	ck_assert(fake_socket_unpin(stage.sock, 3));
	stage_run(&stage);
	stage_expect_released(request, 0);
}

START_TEST(conform_duplicate_range_of_a_part_releases_nothing)
{
	told_again(1, 1);
}
END_TEST

START_TEST(conform_overlap_with_a_part_releases_nothing)
{
	told_again(1, 2);
}
END_TEST

/* Ids that were never given prove nothing, also where the range has real ones. */
START_TEST(conform_never_issued_ids_are_refused)
{
	struct stage_request *request;

	stage.knobs.first_id = 100;
	stage_open(&stage);
	request = stage_sent(&stage, 10);
	switch (_i) {
	case 0: fake_socket_post(stage.sock, 101, 101, false); break;
	case 1: fake_socket_post(stage.sock, 100, 101, false); break;
	case 2: fake_socket_post(stage.sock, 100, 99, false); break;
	case 3: fake_socket_post(stage.sock, 0, UINT32_MAX, false); break;
	case 4: fake_socket_post(stage.sock, 1u << 31, (1u << 31) + 5, false); break;
	case 5: fake_socket_post(stage.sock, 101, 100, false); break;
	case 6: fake_socket_post(stage.sock, 99, 101, false); break;
	case 7: fake_socket_post(stage.sock, 98, 99, false); break;
	case 8: fake_socket_post(stage.sock, 100 - (1u << 31), 100, false); break;
	}
	stage_run(&stage);
	stage_expect_unreleased(request);
	ck_assert_uint_eq(stage_stats(&stage).bogus_ranges, 1);
	ck_assert_uint_eq(stage.aborts, 0);
	stage_ack_all(&stage);
	stage_expect_released(request, 0);
}
END_TEST

/* A range that reaches back into what is done already releases nobody else. */
START_TEST(conform_overlap_with_completed_ids_is_survived)
{
	struct stage_request *first, *second, *third;

	stage.knobs.coalesce = false;
	stage_open(&stage);
	first = stage_sent(&stage, 10);
	second = stage_sent(&stage, 10);
	third = stage_sent(&stage, 10);
	fake_socket_ack(stage.sock, 10);
	stage_run(&stage);
	stage_expect_released(first, 0);
	fake_socket_post(stage.sock, 0, 0, false);
	stage_run(&stage);
	stage_expect_unreleased(second);
	fake_socket_ack(stage.sock, 10);
	fake_socket_post(stage.sock, 0, 1, false);
	stage_run(&stage);
	stage_expect_released(second, 0);
	stage_expect_unreleased(third);
	stage_ack_all(&stage);
	stage_expect_released(third, 0);
	ck_assert_uint_eq(stage_stats(&stage).notifications, 3);
}
END_TEST

START_TEST(conform_messages_between_ranges_are_handed_on)
{
	struct stage_request *requests[4];
	int i;

	stage.knobs.family = (enum fake_family)_i;
	stage_open(&stage);
	for (i = 0; i < 4; i++) {
		requests[i] = stage_sent(&stage, 10);
		fake_socket_ack(stage.sock, 10);
		fake_socket_post_timestamp(stage.sock, i * 200);
		fake_socket_ack(stage.sock, 10);
		fake_socket_post_icmp(stage.sock, i * 200, 0);
	}
	ck_assert(stage_process(&stage)); /* one call reads them all */
	for (i = 0; i < 4; i++)
		stage_expect_released(requests[i], 0);
	ck_assert_uint_eq(stage.messages, 8);
	ck_assert_uint_eq(stage.origin, 2);
	ck_assert_uint_eq(stage_stats(&stage).foreign_messages, 8);
	ck_assert_uint_eq(stage_report(&stage).messages_cut, 0);
	ck_assert_uint_eq(stage.aborts, 0);
}
END_TEST

/* Control data that is short, cut, nothing or a lie is survived and proves nothing. */
START_TEST(conform_broken_control_messages_are_survived)
{
	struct stage_request *request;
	uint8_t bytes[64];
	size_t header = 0;

	memset(bytes, 0, sizeof(bytes));
	stage_open(&stage);
	request = stage_sent(&stage, 10);
	if (_i == 100) {
		fake_socket_knobs(stage.sock)->control_lies = true;
		fake_socket_post(stage.sock, 0, 0, false);
	} else {
		/* cmsg_len of any value in front of so many bytes */
		header = (size_t)_i * 3;
		memcpy(bytes, &header, sizeof(header));
		fake_socket_post_raw(stage.sock, bytes, (size_t)_i % 64);
	}
	stage_run(&stage);
	fake_socket_knobs(stage.sock)->control_lies = false;
	stage_expect_unreleased(request);
	stage_ack_all(&stage);
	stage_expect_released(request, 0);
}
END_TEST

/* A notification that was cut before its range ends: what is behind is somebody's else. */
START_TEST(conform_cut_control_message_proves_nothing)
{
	struct sock_extended_err error = { .ee_origin = SO_EE_ORIGIN_ZEROCOPY };
	struct cmsghdr header = { .cmsg_level = SOL_IP, .cmsg_type = IP_RECVERR };
	uint8_t cut[CMSG_SPACE(sizeof(error))];
	struct stage_request *request;

	header.cmsg_len = CMSG_LEN((size_t)_i);
	memcpy(cut, &header, sizeof(header));
	memcpy(cut + CMSG_LEN(0), &error, sizeof(error));
	stage_open(&stage);
	request = stage_sent(&stage, 10);
	fake_socket_post_raw(stage.sock, cut, sizeof(cut));
	stage_run(&stage);
	stage_expect_unreleased(request);
	stage_ack_all(&stage);
	stage_expect_released(request, 0);
}
END_TEST

START_TEST(a_request_belongs_to_one_connection)
{
	struct stage_request *request;
	struct zcreq_conn *first;
	uint8_t byte = 'x';
	struct iovec iov = { &byte, 1 };

	stage_open(&stage);
	first = stage.conn;
	request = stage_begin(&stage);
	stage_open_another(&stage);
	ck_assert_int_eq(zcreq_add(stage.context, request->id, &iov, 1, 1), -EINVAL);
	ck_assert_int_eq(zcreq_add(stage.context, request->id, &iov, 1, 0), 0);
	ck_assert_int_eq(zcreq_events(stage.conn), POLLERR);
	ck_assert_int_eq(zcreq_events(first), POLLERR | POLLOUT);
	stage_finish(request);
	zcreq_conn_free(first);
	stage_run(&stage);
	stage_expect_released(request, -ECANCELED);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_test(tcase, conform_zero_length_sends_are_refused_and_members_are_not);
	tcase_add_test(tcase, conform_refused_sends_take_no_id);
	tcase_add_test(tcase, conform_epipe_takes_no_id);
	tcase_add_loop_test(tcase, conform_unreadable_memory_aborts_and_keeps_the_books, 0, 4);
	tcase_add_loop_test(tcase, conform_one_request_over_many_ids_is_released_once, 0, 2);
	tcase_add_test(tcase, conform_many_requests_in_one_id_are_all_released);
	if (!stage_sends) /* each batch of a sender has its own */
		tcase_add_test(tcase, conform_shared_record_releases_nobody_early);
	tcase_add_test(tcase, conform_accepted_socket_starts_at_0);
	tcase_add_loop_test(tcase, conform_reconnect_continues_ids, 0, 3);
	if (!stage_sends) /* a sender uses no ids of the socket */
		tcase_add_loop_test(tcase, i13_proof_of_a_foreign_send_proves_none_of_ours, 0, 2);
	tcase_add_test(tcase, conform_duplicate_range_is_counted_and_ignored);
	if (!stage_sends) { /* what a sender says twice: check_sender_proof */
		tcase_add_test(tcase, conform_duplicate_range_of_a_part_releases_nothing);
		tcase_add_test(tcase, conform_overlap_with_a_part_releases_nothing);
	}
	tcase_add_loop_test(tcase, conform_never_issued_ids_are_refused, 0, 9);
	tcase_add_test(tcase, conform_overlap_with_completed_ids_is_survived);
	tcase_add_loop_test(tcase, conform_messages_between_ranges_are_handed_on, 0, 3);
	tcase_add_loop_test(tcase, conform_broken_control_messages_are_survived, 0, 101);
	tcase_add_loop_test(tcase, conform_cut_control_message_proves_nothing, 0, 16);
	tcase_add_test(tcase, a_request_belongs_to_one_connection);
}

int main(void)
{
	Suite *suite = suite_create("conformance");
	TCase *tcase = tcase_create("claims");

	tcase_set_timeout(tcase, 30);
	tcase_add_checked_fixture(tcase, setup, teardown);
	add_tests(tcase);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
