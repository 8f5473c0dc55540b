/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * check_conformance.c - the list below the table of field-cases.md: ids, ranges, messages, ends
 *
 * Each test's name is the claim. Not here: ring exit with NOTIFs outstanding and
 * completion-queue overflow, which are io_uring's. What callbacks may do, failing
 * calls and failing allocations are in check_reentry.c.
 */
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/errqueue.h>

#include "stage.h"

static struct stage stage;

static void setup(void)
{
	stage_init(&stage);
}

static void teardown(void)
{
	stage_deinit(&stage);
}

START_TEST(zero_length_sends_are_refused_and_zero_length_members_are_not)
{
	struct stage_request *request;
	uint8_t byte = 'x';
	struct iovec iov[3] = { { &byte, 0 }, { NULL, 0 }, { &byte, 1 } };

	stage_open(&stage);
	request = stage_begin(&stage);
	ck_assert_int_eq(zcreq_send(stage.conn, request->id, iov, 2, 0), -EINVAL);
	ck_assert_int_eq(zcreq_send(stage.conn, request->id, iov, 0, 0), -EINVAL);
	ck_assert_int_eq(zcreq_write(stage.conn, &byte, 0), -EINVAL);
	ck_assert_int_eq(zcreq_send(stage.conn, request->id, iov, 3, 0), 0);
	ck_assert_int_eq(zcreq_finish(stage.context, request->id, 0), 0);
	stage_ack_all(&stage);
	stage_expect_released(request, 0);
	ck_assert_uint_eq(stage_report(&stage).accepted_bytes, 1);
}
END_TEST

/* Refused calls take no id: the books of both sides agree afterwards. */
START_TEST(refused_sends_take_no_id)
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
	ck_assert_uint_eq(stage_stats(&stage).zerocopy_batches, stage_report(&stage).next_id);
	ck_assert_uint_eq(stage_stats(&stage).notifications, stage_report(&stage).next_id);
	ck_assert_uint_eq(stage_stats(&stage).bogus_ranges, 0);
}
END_TEST

/* EFAULT in the first packet or in a later one: what was accepted is awaited, the rest is over. */
START_TEST(unreadable_memory_aborts_and_keeps_the_books)
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
	ck_assert_int_eq(zcreq_send(stage.conn, request->id, iov, 3, 0), 0);
	ck_assert_int_eq(zcreq_finish(stage.context, request->id, 0), 0);
	stage_flush(&stage);
	stage_run(&stage);
	ck_assert_int_eq(stage.abort_status, -EFAULT);
	stage_expect_released(request, -EFAULT);
	ck_assert_uint_eq(fake_kernel_unproven(stage.kernel, memory, sizeof(memory)), 0);
	ck_assert_uint_eq(stage_report(&stage).next_id, bad_at[_i] > 50);
	ck_assert_uint_eq(stage_stats(&stage).bogus_ranges, 0);
}
END_TEST

START_TEST(one_request_over_many_ids_is_released_once)
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

START_TEST(many_requests_in_one_id_are_all_released)
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
START_TEST(a_shared_record_releases_nobody_early)
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

/* After disconnect and reconnect the socket goes on counting; accepted ones start at 0. */
START_TEST(ids_go_on_where_the_socket_is)
{
	static const uint32_t firsts[] = { 0, 1, 4711, UINT32_MAX };
	struct stage_request *request;

	stage.knobs.first_id = firsts[_i];
	stage_open(&stage);
	request = stage_sent(&stage, 10);
	fake_socket_post(stage.sock, firsts[_i] - 3, firsts[_i] - 1, false);
	stage_run(&stage);
	stage_expect_unreleased(request);
	ck_assert_uint_eq(stage_stats(&stage).notifications, 0);
	stage_ack_all(&stage);
	stage_expect_released(request, 0);
	ck_assert_uint_eq(stage_stats(&stage).notifications, 1);
}
END_TEST

START_TEST(a_range_told_twice_is_counted_and_ignored)
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

/* Ids that were never given prove nothing, also where the range has real ones. */
START_TEST(ids_never_given_are_refused)
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
START_TEST(overlap_with_completed_ids_is_survived)
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

START_TEST(messages_between_ranges_are_handed_on)
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
	stage_run(&stage);
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
START_TEST(broken_control_messages_are_survived)
{
	struct stage_request *request;
	uint8_t bytes[64];
	size_t header = 0;

	memset(bytes, 0, sizeof(bytes));
	stage_open(&stage);
	request = stage_sent(&stage, 10);
	if (_i == 100) {
		fake_socket_knobs(stage.sock)->control_lies = true;
		fake_socket_post_icmp(stage.sock, 0, 0);
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
START_TEST(a_cut_range_proves_nothing)
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
	ck_assert_int_eq(zcreq_send(stage.conn, request->id, &iov, 1, 0), -EINVAL);
	ck_assert_int_eq(zcreq_send(first, request->id, &iov, 1, 1), -EINVAL);
	stage_finish(request);
	zcreq_conn_free(first);
	stage_run(&stage);
	stage_expect_released(request, 0);
}
END_TEST

START_TEST(a_hang_up_without_an_error_is_epipe)
{
	struct stage_request *request;

	stage_open(&stage);
	request = stage_sent(&stage, 100);
	fake_socket_kill(stage.sock, 0);
	stage_run(&stage);
	ck_assert_int_eq(stage.abort_status, -EPIPE);
	stage_expect_released(request, -EPIPE);
}
END_TEST

START_TEST(completion_before_sendmsg_returned_is_taken)
{
	struct stage_request *requests[10];
	int i;

	stage.knobs.auto_ack = true;
	stage.knobs.accept_bytes = 33;
	stage_open(&stage);
	for (i = 0; i < 10; i++)
		requests[i] = stage_sent(&stage, 100);
	stage_run(&stage);
	for (i = 0; i < 10; i++)
		stage_expect_released(requests[i], 0);
}
END_TEST

START_TEST(reset_by_the_peer_releases_all)
{
	struct stage_request *requests[6];
	int i;

	stage.knobs.death_order = (enum fake_death_order)_i;
	stage.knobs.cwnd_bytes = 150;
	stage.knobs.sndbuf_bytes = 450;
	stage_open(&stage);
	for (i = 0; i < 6; i++)
		requests[i] = stage_sent(&stage, 100);
	fake_socket_ack(stage.sock, 100);
	stage_run(&stage);
	stage_expect_released(requests[0], 0);
	fake_socket_kill(stage.sock, ECONNRESET);
	ck_assert_int_eq(fake_socket_poll(stage.sock, POLLIN | POLLOUT), 0x1d);
	stage_run(&stage);
	ck_assert_int_eq(stage.abort_status, -ECONNRESET);
	for (i = 1; i < 6; i++)
		stage_expect_released(requests[i], -ECONNRESET);
	ck_assert_uint_eq(stage.closes, 1);
}
END_TEST

/* The peer is reset before the descriptor is closed: a duplicate of it weakens nothing. */
START_TEST(abort_resets_before_it_closes)
{
	stage_open(&stage);
	stage_sent(&stage, 100);
	ck_assert_int_eq(zcreq_conn_abort(stage.conn, -EIO), 0);
	ck_assert(stage_report(&stage).reset_sent);
	ck_assert(!stage_report(&stage).closed);
	ck_assert_uint_eq(stage_report(&stage).held_bytes, 0);
	stage_run(&stage);
	ck_assert(stage_report(&stage).closed);
}
END_TEST

static void ack_inside(struct fake_socket *sock, enum fake_call call, void *arg)
{
	const enum fake_call *when = arg;

	if (call == *when)
		fake_socket_ack(sock, 150);
}

/* The peer acknowledges while the abort is on its way. */
START_TEST(abort_racing_completion_releases_once)
{
	static const enum fake_call calls[] = { FAKE_RECVMSG, FAKE_DISCONNECT, FAKE_CLOSE };
	enum fake_call when = calls[_i];
	struct stage_request *requests[4];
	int i;

	stage_open(&stage);
	for (i = 0; i < 4; i++)
		requests[i] = stage_sent(&stage, 100);
	fake_socket_set_hook(stage.sock, ack_inside, &when);
	ck_assert_int_eq(zcreq_conn_abort(stage.conn, -EIO), 0);
	stage_run(&stage);
	for (i = 0; i < 4; i++)
		stage_expect_released(requests[i], -EIO);
	ck_assert_uint_eq(stage.closes, 1);
}
END_TEST

/* Late by any time below linger_ms: released; above: quarantined first. */
START_TEST(late_notifications_release)
{
	struct stage_request *request;

	stage.knobs.qdisc_bytes = FAKE_NEVER;
	stage.knobs.qdisc_ms = (uint64_t)_i * 250 + 1;
	stage.options.linger_ms = 1000;
	stage_open(&stage);
	request = stage_sent(&stage, 100);
	ck_assert_int_eq(zcreq_conn_abort(stage.conn, -EIO), 0);
	stage_wait_ms(&stage, stage.knobs.qdisc_ms - 1);
	stage_expect_unreleased(request);
	stage_wait_ms(&stage, 1000 + 50);
	stage_expect_released(request, -EIO);
	ck_assert_uint_eq(request->quarantined, stage.knobs.qdisc_ms > 1000);
	ck_assert_uint_eq(stage.closes, 1);
}
END_TEST

START_TEST(handles_of_reused_slots_stay_stale)
{
	struct stage_request *request;
	zcreq_id first, ids[300];
	int i, j;

	stage_open(&stage);
	request = stage_request(&stage, 1);
	first = request->id;
	stage_flush(&stage);
	stage_ack_all(&stage);
	for (i = 0; i < 300; i++) {
		request = stage_sent(&stage, 1);
		ids[i] = request->id;
		ck_assert_uint_ne(request->id.bits, first.bits);
		for (j = 0; j < i; j++)
			ck_assert_uint_ne(ids[i].bits, ids[j].bits);
		ck_assert_int_eq(zcreq_finish(stage.context, first, 0), -ESTALE);
		stage_ack_all(&stage);
	}
	ck_assert_uint_eq(stage_stats(&stage).stale_handles, 300);
}
END_TEST

/* The descriptor number of a closed connection is used again while it is remembered. */
START_TEST(reused_descriptor_numbers_are_kept_apart)
{
	struct zcreq_conn *old;
	struct stage_request *request;
	int fd;

	stage_open(&stage);
	old = stage.conn;
	fd = fake_socket_fd(stage.sock);
	ck_assert_int_eq(zcreq_conn_abort(old, -EIO), 0);
	stage_run(&stage);
	stage_open_another(&stage);
	ck_assert_int_eq(fake_socket_fd(stage.sock), fd);
	request = stage_sent(&stage, 100);
	ck_assert_int_eq(zcreq_process(old, POLLERR | POLLHUP | POLLOUT), 0);
	ck_assert_int_eq(zcreq_flush(old), 0);
	ck_assert_int_eq(zcreq_stream_fd(old), -EBADF);
	ck_assert_int_eq(zcreq_events(old), 0);
	zcreq_conn_free(old);
	ck_assert_int_eq(zcreq_conn_state(stage.conn), ZCREQ_CONN_OPEN);
	stage_ack_all(&stage);
	stage_expect_released(request, 0);
}
END_TEST

/* A kernel that refuses to disconnect is asked again, and shut down in between. */
START_TEST(busy_disconnect_is_tried_again)
{
	struct stage_request *request;

	stage.knobs.disconnect_busy = (unsigned)_i;
	stage_open(&stage);
	request = stage_sent(&stage, 100);
	ck_assert_int_eq(zcreq_conn_abort(stage.conn, -EIO), 0);
	stage_run(&stage);
	ck_assert_uint_eq(request->settled, 1);
	stage_wait_ms(&stage, 500);
	stage_expect_released(request, -EIO);
	ck_assert_uint_eq(stage_report(&stage).disconnects, 1);
	ck_assert_uint_eq(stage.closes, 1);
	ck_assert_uint_eq(request->quarantined, 0);
}
END_TEST

/* All queued bytes leave, in the order of the calls, whatever the socket takes. */
START_TEST(sends_and_writes_keep_their_order)
{
	uint8_t expected[20 * 15], *at = expected;
	struct stage_request *request;
	const uint8_t *got;
	size_t len;
	int i;

	stage.options.mode = ZCREQ_MODE_AUTO;
	stage.options.threshold_bytes = 1 + (uint32_t)_i;
	stage.knobs.accept_bytes = 1 + (uint64_t)_i;
	stage.knobs.sndbuf_bytes = 23;
	stage_open(&stage);
	for (i = 0; i < 20; i++) {
		request = stage_request(&stage, 10);
		memcpy(at, request->memory, 10);
		memset(at + 10, 'A' + i, 5);
		ck_assert_int_eq(zcreq_write(stage.conn, at + 10, 5), 0);
		at += 15;
	}
	stage_flush(&stage);
	stage_ack_all(&stage);
	got = fake_socket_received(stage.sock, &len);
	ck_assert_uint_eq(len, sizeof(expected));
	ck_assert_mem_eq(got, expected, len);
	ck_assert_uint_eq(stage_stats(&stage).released, 20);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_test(tcase, zero_length_sends_are_refused_and_zero_length_members_are_not);
	tcase_add_test(tcase, refused_sends_take_no_id);
	tcase_add_loop_test(tcase, unreadable_memory_aborts_and_keeps_the_books, 0, 4);
	tcase_add_loop_test(tcase, one_request_over_many_ids_is_released_once, 0, 2);
	tcase_add_test(tcase, many_requests_in_one_id_are_all_released);
	tcase_add_test(tcase, a_shared_record_releases_nobody_early);
	tcase_add_loop_test(tcase, ids_go_on_where_the_socket_is, 0, 4);
	tcase_add_test(tcase, a_range_told_twice_is_counted_and_ignored);
	tcase_add_loop_test(tcase, ids_never_given_are_refused, 0, 6);
	tcase_add_test(tcase, overlap_with_completed_ids_is_survived);
	tcase_add_loop_test(tcase, messages_between_ranges_are_handed_on, 0, 3);
	tcase_add_loop_test(tcase, broken_control_messages_are_survived, 0, 101);
	tcase_add_loop_test(tcase, a_cut_range_proves_nothing, 0, 16);
	tcase_add_test(tcase, a_request_belongs_to_one_connection);
	tcase_add_test(tcase, a_hang_up_without_an_error_is_epipe);
	tcase_add_test(tcase, completion_before_sendmsg_returned_is_taken);
	tcase_add_loop_test(tcase, reset_by_the_peer_releases_all, 0, 4);
	tcase_add_test(tcase, abort_resets_before_it_closes);
	tcase_add_loop_test(tcase, abort_racing_completion_releases_once, 0, 3);
	tcase_add_loop_test(tcase, late_notifications_release, 0, 8);
	tcase_add_test(tcase, handles_of_reused_slots_stay_stale);
	tcase_add_test(tcase, reused_descriptor_numbers_are_kept_apart);
	tcase_add_loop_test(tcase, busy_disconnect_is_tried_again, 0, 8);
	tcase_add_loop_test(tcase, sends_and_writes_keep_their_order, 0, 12);
}

int main(void)
{
	Suite *suite = suite_create("conformance");
	TCase *tcase = tcase_create("claims");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 30);
	tcase_add_checked_fixture(tcase, setup, teardown);
	add_tests(tcase);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
