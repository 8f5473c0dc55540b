/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * check_fake_kernel.c - the judge is judged: the fake kernel against doc/kernel.md
 *
 * No library here: plain calls through the table, as the library would make them.
 * A fake that is wrong in the kernel's favour would let every other test pass.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <linux/errqueue.h>
#include <linux/tcp.h>

#include "sim/alloc_fault.h"
#include "sim/fake_kernel.h"
#include "support/suite.h"

#define SEND_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL)
#define ZC_FLAGS (SEND_FLAGS | MSG_ZEROCOPY)

static struct fake_kernel *kernel;
static struct fake_knobs knobs;
static struct fake_socket *sock;
static uint8_t memory[65536];

static void setup(void)
{
	size_t i;

	for (i = 0; i < sizeof(memory); i++)
		memory[i] = (uint8_t)(i * 7 + i / 251);
	kernel = fake_kernel_new();
	fake_socket_knobs_init(&knobs);
}

static void teardown(void)
{
	fake_kernel_free(kernel);
}

static void open_socket(void)
{
	int one = 1;

	sock = fake_socket_new(kernel, &knobs);
	ck_assert_int_eq(fake_socket_ops.setsockopt(fake_socket_fd(sock), SOL_SOCKET, SO_ZEROCOPY,
						    &one, sizeof(one), sock), 0);
}

static ssize_t send_bytes(size_t at, size_t len, int flags)
{
	struct iovec iov = { memory + at, len };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	return fake_socket_ops.sendmsg(fake_socket_fd(sock), &message, flags, sock);
}

struct told {
	ssize_t ret;
	uint32_t lo;
	uint32_t hi;
	int origin;
	int code;
	int flags;
	size_t cmsg_len;
	size_t control_len;
};

static struct told read_queue(size_t room)
{
	uint8_t control[256], payload[64];
	struct iovec iov = { payload, sizeof(payload) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = room };
	struct sock_extended_err error;
	struct told told;
	struct cmsghdr *c, *last = NULL;

	memset(&told, 0, sizeof(told));
	memset(&error, 0, sizeof(error));
	told.ret = fake_socket_ops.recvmsg(fake_socket_fd(sock), &message,
					   MSG_ERRQUEUE | MSG_DONTWAIT, sock);
	if (told.ret < 0)
		return told;
	for (c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
		last = c;
	if (last && last->cmsg_len >= CMSG_LEN(sizeof(error)))
		memcpy(&error, CMSG_DATA(last), sizeof(error));
	told.lo = error.ee_info;
	told.hi = error.ee_data;
	told.origin = error.ee_origin;
	told.code = error.ee_code;
	told.flags = message.msg_flags;
	told.cmsg_len = last ? last->cmsg_len : 0;
	told.control_len = message.msg_controllen;
	return told;
}

static void expect(uint32_t lo, uint32_t hi)
{
	struct told told = read_queue(256);

	ck_assert_int_eq(told.ret, 0);
	ck_assert_int_eq(told.origin, SO_EE_ORIGIN_ZEROCOPY);
	ck_assert_uint_eq(told.lo, lo);
	ck_assert_uint_eq(told.hi, hi);
}

static void expect_empty(void)
{
	ck_assert_int_eq(read_queue(256).ret, -EAGAIN);
}

START_TEST(ids_only_for_accepted_bytes)
{
	struct fake_socket_report report;

	knobs.sndbuf_bytes = 64000;
	open_socket();
	ck_assert_int_eq(send_bytes(0, 0, ZC_FLAGS), 0);
	fake_socket_unreadable(sock, memory + 63800, 10);
	ck_assert_int_eq(send_bytes(63800, 10, ZC_FLAGS), -EFAULT);
	ck_assert_int_eq(send_bytes(0, 100, SEND_FLAGS), 100);
	ck_assert_int_eq(send_bytes(63790, 20, ZC_FLAGS), -EFAULT);
	ck_assert_int_eq(send_bytes(0, 65000, ZC_FLAGS), 63712);
	ck_assert_int_eq(send_bytes(0, 4000, ZC_FLAGS), 188);
	ck_assert_int_eq(send_bytes(0, 1, ZC_FLAGS), -EAGAIN);
	fake_socket_report(sock, &report);
	ck_assert_uint_eq(report.next_id, 2);
	ck_assert_uint_eq(report.held_bytes, 63900);
	ck_assert_uint_eq(report.copied_sends, 1);
	fake_socket_ack(sock, FAKE_NEVER);
	expect(0, 1);
	expect_empty();
}
END_TEST

START_TEST(ids_wrap_and_coalesce)
{
	knobs.first_id = UINT32_MAX - 1;
	open_socket();
	ck_assert_int_eq(send_bytes(0, 10, ZC_FLAGS), 10);
	ck_assert_int_eq(send_bytes(10, 10, ZC_FLAGS), 10);
	ck_assert_int_eq(send_bytes(20, 10, ZC_FLAGS), 10);
	fake_socket_ack(sock, 29);
	expect(UINT32_MAX - 1, UINT32_MAX);
	fake_socket_ack(sock, 1);
	expect(0, 0);
	expect_empty();
	ck_assert_uint_eq(fake_kernel_violations(kernel), 0);
}
END_TEST

START_TEST(death_tells_tail_first)
{
	int i;

	knobs.cwnd_bytes = 10;
	open_socket();
	for (i = 0; i < 9; i++)
		ck_assert_int_eq(send_bytes(i * 10, 10, ZC_FLAGS), 10);
	fake_socket_ack(sock, 10);
	expect(0, 0);
	fake_socket_vanish(sock);
	ck_assert_int_eq(fake_socket_ops.disconnect(fake_socket_fd(sock), sock), 0);
	ck_assert_uint_eq(fake_kernel_references(kernel, memory, 90), 0);
	ck_assert_uint_eq(fake_kernel_unproven(kernel, memory, 90), 80);
	expect(2, 8);
	expect(1, 1);
	expect_empty();
	ck_assert_uint_eq(fake_kernel_unproven(kernel, memory, 90), 0);
}
END_TEST

START_TEST(small_sends_share_a_record)
{
	int i;

	knobs.record_bytes = 524288;
	knobs.cwnd_bytes = 1;
	open_socket();
	for (i = 0; i < 5; i++)
		ck_assert_int_eq(send_bytes(i * 10, 10, ZC_FLAGS), 10);
	fake_socket_ack(sock, 49);
	expect_empty();
	fake_socket_ack(sock, 1);
	expect(0, 4);
}
END_TEST

START_TEST(changed_memory_is_seen_twice)
{
	struct fake_socket_report report;

	open_socket();
	ck_assert_int_eq(send_bytes(0, 100, ZC_FLAGS), 100);
	ck_assert_int_eq(fake_socket_ops.close(fake_socket_fd(sock), sock), 0);
	memory[50] ^= 1;
	fake_kernel_audit(kernel);
	ck_assert_uint_eq(fake_kernel_violations(kernel), 1);
	ck_assert_uint_eq(fake_socket_ack(sock, FAKE_NEVER), 100);
	fake_socket_report(sock, &report);
	ck_assert_uint_eq(report.closed_holding_bytes, 100);
	ck_assert_uint_eq(report.foreign_bytes, 1);
	ck_assert_uint_eq(fake_kernel_violations(kernel), 2);
	ck_assert_ptr_nonnull(fake_kernel_violation(kernel, 1));
	ck_assert_ptr_null(fake_kernel_violation(kernel, 2));
}
END_TEST

START_TEST(copied_memory_is_free_at_once)
{
	open_socket();
	ck_assert_int_eq(send_bytes(0, 100, SEND_FLAGS), 100);
	fake_socket_knobs(sock)->copies = true;
	ck_assert_int_eq(send_bytes(100, 100, ZC_FLAGS), 100);
	memset(memory, 0, 200);
	ck_assert_uint_eq(fake_kernel_references(kernel, memory, 200), 0);
	ck_assert_int_eq(read_queue(48).code, SO_EE_CODE_ZEROCOPY_COPIED);
	fake_socket_ack(sock, FAKE_NEVER);
	expect_empty();
	ck_assert_uint_eq(fake_kernel_violations(kernel), 0);
}
END_TEST

START_TEST(control_message_has_48_or_60_bytes)
{
	/* behind a header of 16 bytes; with 32 bits it has 12 */
	const size_t bytes = _i == FAKE_IPV4 ? 32 : 44;
	struct told told;

	knobs.family = (enum fake_family)_i;
	open_socket();
	fake_socket_post(sock, 3, 4, false);
	fake_socket_post(sock, 5, 6, false);
	fake_socket_post_timestamp(sock, 0);
	fake_socket_post_icmp(sock, 100, 0);
	told = read_queue(256);
	ck_assert_uint_eq(told.cmsg_len, CMSG_LEN(bytes));
	ck_assert_uint_eq(told.control_len, CMSG_SPACE(bytes));
	told = read_queue(48);
	ck_assert_int_eq(!!(told.flags & MSG_CTRUNC), _i != FAKE_IPV4);
	ck_assert_uint_eq(told.lo, 5);
	told = read_queue(256);
	ck_assert_int_eq(told.origin, SO_EE_ORIGIN_TIMESTAMPING);
	told = read_queue(256);
	ck_assert_int_eq(told.origin, SO_EE_ORIGIN_ICMP);
	ck_assert_int_eq(told.ret, 64);
	ck_assert_int_ne(told.flags & MSG_TRUNC, 0);
}
END_TEST

START_TEST(limits_give_no_buffers)
{
	int i;

	knobs.locked_pages = 16;
	open_socket();
	ck_assert_int_eq(send_bytes(0, 60 * 1024, ZC_FLAGS), -ENOBUFS);
	ck_assert_int_eq(send_bytes(0, 56 * 1024, ZC_FLAGS), 56 * 1024);
	ck_assert_int_eq(send_bytes(0, 1, ZC_FLAGS), -ENOBUFS);
	ck_assert_int_eq(send_bytes(0, 1, SEND_FLAGS), 1);
	fake_socket_ack(sock, FAKE_NEVER);
	ck_assert_int_eq(send_bytes(0, 1, ZC_FLAGS), 1);

	knobs.locked_pages = FAKE_NEVER;
	knobs.optmem_bytes = 20480;
	open_socket();
	for (i = 0; i < 24; i++)
		ck_assert_int_eq(send_bytes(0, 1, ZC_FLAGS), 1);
	ck_assert_int_eq(send_bytes(0, 1, ZC_FLAGS), -ENOBUFS);
	fake_socket_ack(sock, FAKE_NEVER);
	ck_assert_int_eq(send_bytes(0, 1, ZC_FLAGS), 1);
}
END_TEST

/* The limit is a user's, and all sockets are of one. */
START_TEST(locked_memory_is_counted_over_all_sockets)
{
	struct fake_socket *first;

	knobs.locked_pages = 16;
	open_socket();
	ck_assert_int_eq(send_bytes(0, 40 * 1024, ZC_FLAGS), 40 * 1024);
	first = sock;
	open_socket();
	ck_assert_int_eq(send_bytes(0, 20 * 1024, ZC_FLAGS), -ENOBUFS);
	fake_socket_ack(first, FAKE_NEVER);
	ck_assert_int_eq(send_bytes(0, 20 * 1024, ZC_FLAGS), 20 * 1024);
}
END_TEST

START_TEST(a_part_of_the_stream_is_unproven_until_it_is_read)
{
	open_socket();
	ck_assert_int_eq(send_bytes(0, 10, ZC_FLAGS), 10);
	ck_assert_int_eq(send_bytes(10, 10, SEND_FLAGS), 10);
	ck_assert_int_eq(send_bytes(20, 10, ZC_FLAGS), 10);
	ck_assert(fake_socket_unproven_part(sock, 9, 11));
	ck_assert(!fake_socket_unproven_part(sock, 10, 20));
	ck_assert(fake_socket_unproven_part(sock, 29, 30));
	ck_assert(!fake_socket_unproven_part(sock, 30, 40));
	fake_socket_ack(sock, FAKE_NEVER);
	ck_assert_uint_eq(fake_socket_unproven(sock, memory, 30), 20);
	ck_assert(fake_socket_unproven_part(sock, 0, 1));
	expect(0, 1);
	ck_assert(!fake_socket_unproven_part(sock, 0, 30));
	ck_assert_uint_eq(fake_socket_unproven(sock, memory, 30), 0);
}
END_TEST

START_TEST(memory_is_unreadable_until_it_is_somebody_elses)
{
	open_socket();
	fake_socket_unreadable(sock, memory + 5, 1);
	ck_assert_int_eq(send_bytes(0, 10, ZC_FLAGS), -EFAULT); /* one packet */
	ck_assert_int_eq(send_bytes(5, 10, ZC_FLAGS), -EFAULT);
	fake_socket_readable(sock, memory, 5);
	ck_assert_int_eq(send_bytes(5, 10, ZC_FLAGS), -EFAULT);
	fake_socket_readable(sock, memory, 6);
	ck_assert_int_eq(send_bytes(5, 10, ZC_FLAGS), 10);
}
END_TEST

START_TEST(queueing_discipline_lets_go_late)
{
	knobs.qdisc_bytes = 15;
	knobs.qdisc_ms = 720;
	open_socket();
	ck_assert_int_eq(send_bytes(0, 10, ZC_FLAGS), 10);
	ck_assert_int_eq(send_bytes(10, 10, ZC_FLAGS), 10);
	ck_assert_int_eq(send_bytes(20, 10, ZC_FLAGS), 10);
	fake_socket_kill(sock, ECONNRESET);
	ck_assert_int_eq(fake_socket_poll(sock, POLLIN | POLLOUT), 0x1d);
	expect(2, 2);
	fake_kernel_advance_ms(kernel, 719);
	expect_empty();
	fake_kernel_advance_ms(kernel, 1);
	expect(0, 1);
	ck_assert_int_eq(send_bytes(0, 1, ZC_FLAGS), -ECONNRESET);
	ck_assert_int_eq(send_bytes(0, 1, ZC_FLAGS), -EPIPE);
}
END_TEST

static struct tcp_info get_info(void)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	ck_assert_int_eq(fake_socket_ops.getsockopt(fake_socket_fd(sock), IPPROTO_TCP, TCP_INFO,
						    &info, &len, sock), 0);
	ck_assert_uint_eq(len, sizeof(info));
	return info;
}

START_TEST(tcp_info_tells_vanished_from_not_reading)
{
	struct tcp_info info;

	open_socket();
	fake_socket_window(sock, 0);
	ck_assert_int_eq(send_bytes(0, 1000, ZC_FLAGS), 1000);
	fake_kernel_advance_ms(kernel, 60000);
	info = get_info();
	ck_assert_uint_eq(info.tcpi_unacked, 0);
	ck_assert_uint_eq(info.tcpi_notsent_bytes, 1000);
	ck_assert_uint_eq(info.tcpi_snd_wnd, 0);
	ck_assert_uint_eq(info.tcpi_probes, 0);
	ck_assert_uint_gt(info.tcpi_backoff, 4);
	ck_assert_uint_lt(info.tcpi_last_ack_recv, 60000);
	fake_socket_window(sock, 2000);
	ck_assert_uint_eq(fake_socket_ack(sock, FAKE_NEVER), 1000);
	ck_assert_int_eq(send_bytes(0, 1000, ZC_FLAGS), 1000);
	fake_socket_vanish(sock);
	fake_kernel_advance_ms(kernel, 5000);
	info = get_info();
	ck_assert_uint_eq(info.tcpi_unacked, 1);
	ck_assert_uint_eq(info.tcpi_last_ack_recv, 5000);
	ck_assert_uint_gt(info.tcpi_retransmits, 2);
	fake_kernel_advance_ms(kernel, 2000000);
	info = get_info();
	ck_assert_uint_eq(info.tcpi_state, 7);
}
END_TEST

START_TEST(user_timeout_kills_both)
{
	int limit_ms = 3000;

	open_socket();
	ck_assert_int_eq(fake_socket_ops.setsockopt(fake_socket_fd(sock), IPPROTO_TCP,
						    TCP_USER_TIMEOUT, &limit_ms, sizeof(limit_ms),
						    sock), 0);
	if (_i)
		fake_socket_vanish(sock);
	else
		fake_socket_window(sock, 0);
	ck_assert_int_eq(send_bytes(0, 1000, ZC_FLAGS), 1000);
	fake_kernel_advance_ms(kernel, 2900);
	expect_empty();
	fake_kernel_advance_ms(kernel, 300);
	expect(0, 0);
	ck_assert_int_eq(send_bytes(0, 1, SEND_FLAGS), -ETIMEDOUT);
}
END_TEST

START_TEST(misuse_is_a_violation)
{
	struct fake_socket *other;

	open_socket();
	ck_assert_int_eq(fake_socket_ops.close(fake_socket_fd(sock), sock), 0);
	other = fake_socket_new(kernel, NULL);
	ck_assert_int_eq(fake_socket_fd(other), fake_socket_fd(sock));
	ck_assert_int_eq(send_bytes(0, 1, SEND_FLAGS), -EBADF);
	ck_assert_int_eq(fake_socket_ops.shutdown(7, SHUT_RDWR, other), -EBADF);
	ck_assert_uint_eq(fake_kernel_violations(kernel), 2);
}
END_TEST

START_TEST(planned_failures_come_in_turn)
{
	int i;

	open_socket();
	fake_socket_fail(sock, FAKE_SENDMSG, 2, 2, EINTR);
	fake_socket_fail(sock, FAKE_DISCONNECT, 1, 1, ENOMEM);
	for (i = 0; i < 5; i++)
		ck_assert_int_eq(send_bytes(0, 1, ZC_FLAGS), i == 1 || i == 2 ? -EINTR : 1);
	fake_socket_knobs(sock)->disconnect_busy = 1;
	ck_assert_int_eq(fake_socket_ops.disconnect(fake_socket_fd(sock), sock), -ENOMEM);
	ck_assert_int_eq(fake_socket_ops.disconnect(fake_socket_fd(sock), sock), -EBUSY);
	ck_assert_int_eq(fake_socket_ops.disconnect(fake_socket_fd(sock), sock), 0);
	expect(0, 2);
}
END_TEST

START_TEST(allocator_fails_and_counts)
{
	struct alloc_fault fault;
	void *a, *b;

	alloc_fault_init(&fault);
	alloc_fault_arm(&fault, 2, 1);
	a = fault.allocator.calloc(3, 5, fault.allocator.arg);
	b = fault.allocator.calloc(3, 5, fault.allocator.arg);
	ck_assert_ptr_nonnull(a);
	ck_assert_ptr_null(b);
	ck_assert_uint_eq(fault.live_bytes, 15);
	fault.allocator.free(a, fault.allocator.arg);
	ck_assert_uint_eq(fault.live_blocks, 0);
	ck_assert_uint_eq(fault.failed, 1);
	ck_assert_uint_eq(fault.bad_frees, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fake_kernel");
	TCase *tcase = tcase_create("facts");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, ids_only_for_accepted_bytes);
	tcase_add_test(tcase, ids_wrap_and_coalesce);
	tcase_add_test(tcase, death_tells_tail_first);
	tcase_add_test(tcase, small_sends_share_a_record);
	tcase_add_test(tcase, changed_memory_is_seen_twice);
	tcase_add_test(tcase, copied_memory_is_free_at_once);
	tcase_add_loop_test(tcase, control_message_has_48_or_60_bytes, 0, 3);
	tcase_add_test(tcase, limits_give_no_buffers);
	tcase_add_test(tcase, locked_memory_is_counted_over_all_sockets);
	tcase_add_test(tcase, a_part_of_the_stream_is_unproven_until_it_is_read);
	tcase_add_test(tcase, memory_is_unreadable_until_it_is_somebody_elses);
	tcase_add_test(tcase, queueing_discipline_lets_go_late);
	tcase_add_test(tcase, tcp_info_tells_vanished_from_not_reading);
	tcase_add_loop_test(tcase, user_timeout_kills_both, 0, 2);
	tcase_add_test(tcase, misuse_is_a_violation);
	tcase_add_test(tcase, planned_failures_come_in_turn);
	tcase_add_test(tcase, allocator_fails_and_counts);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
