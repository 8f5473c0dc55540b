/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_socket.c - the library's own system calls: results as -errno, errno left alone
 *
 * Loopback only. What the calls do to a connection is for tests/real.
 */
#include "support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <zcreq/zcreq.h>

#include "stream/socket.h"
#include "support/emulated.h"

#define NO_FD (-1)
#define MARK 4711 /* no call may change errno */

static const struct zcreq_socket_ops *ops = &zcreq_kernel_socket;
static int ends[2]; /* ours, the peer's */
static int no_socket;
static char bytes[100];

static void setup(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)},
	};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	ends[0] = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, len), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	ck_assert_int_eq(connect(ends[0], (struct sockaddr *)&address, len), 0);
	ends[1] = accept(listener, NULL, NULL);
	ck_assert_int_ge(ends[1], 0);
	close(listener);
	memset(bytes, 'z', sizeof(bytes));
	no_socket = open("/dev/null", O_RDONLY);
	errno = MARK;
}

static void teardown(void)
{
	ck_assert_int_eq(errno, MARK);
	close(ends[0]);
	close(ends[1]);
	close(no_socket);
}

static struct msghdr message_of(struct iovec *iov)
{
	*iov = (struct iovec){.iov_base = bytes, .iov_len = sizeof(bytes)};
	return (struct msghdr){.msg_iov = iov, .msg_iovlen = 1};
}

START_TEST(each_failure_is_its_errno)
{
	struct iovec iov;
	struct msghdr message = message_of(&iov);
	int value = 1;
	socklen_t len = sizeof(value);

	ck_assert_int_eq(ops->sendmsg(NO_FD, &message, 0, NULL), -EBADF);
	ck_assert_int_eq(ops->recvmsg(NO_FD, &message, 0, NULL), -EBADF);
	ck_assert_int_eq(ops->getsockopt(NO_FD, SOL_SOCKET, SO_TYPE, &value, &len, NULL), -EBADF);
	ck_assert_int_eq(ops->setsockopt(NO_FD, SOL_SOCKET, SO_KEEPALIVE, &value, len, NULL),
			 -EBADF);
	ck_assert_int_eq(ops->disconnect(NO_FD, NULL), -EBADF);
	ck_assert_int_eq(ops->shutdown(NO_FD, SHUT_RDWR, NULL), -EBADF);
	ck_assert_int_eq(ops->close(NO_FD, NULL), -EBADF);
	ck_assert_int_eq(ops->recvmsg(ends[0], &message, MSG_DONTWAIT, NULL), -EAGAIN);
}
END_TEST

START_TEST(messages_go_out_and_come_in)
{
	struct iovec iov;
	struct msghdr message = message_of(&iov);

	ck_assert_int_eq(ops->sendmsg(ends[0], &message, 0, NULL), sizeof(bytes));
	memset(bytes, 0, sizeof(bytes));
	ck_assert_int_eq(ops->recvmsg(ends[1], &message, MSG_WAITALL, NULL), sizeof(bytes));
	ck_assert_int_eq(bytes[0], 'z');
	ck_assert_int_eq(bytes[sizeof(bytes) - 1], 'z');
}
END_TEST

START_TEST(options_are_set_and_read)
{
	int value = 1;
	socklen_t len = sizeof(value);

	ck_assert_int_eq(ops->setsockopt(ends[0], SOL_SOCKET, SO_KEEPALIVE, &value, len, NULL), 0);
	value = 0;
	ck_assert_int_eq(ops->getsockopt(ends[0], SOL_SOCKET, SO_KEEPALIVE, &value, &len, NULL),
			 0);
	ck_assert_int_eq(value, 1);
	ck_assert_uint_eq(len, sizeof(value));
}
END_TEST

START_TEST(shutdown_ends_one_direction)
{
	ck_assert_int_eq(ops->shutdown(ends[0], SHUT_WR, NULL), 0);
	ck_assert_int_eq(recv(ends[1], bytes, sizeof(bytes), 0), 0);
	ck_assert_int_eq(send(ends[1], "x", 1, 0), 1);
	ck_assert_int_eq(recv(ends[0], bytes, sizeof(bytes), 0), 1);
}
END_TEST

START_TEST(disconnect_resets_and_keeps_the_descriptor)
{
	int domain = 0;
	socklen_t len = sizeof(domain);

	ck_assert_int_eq(ops->disconnect(ends[0], NULL), 0);
	ck_assert_int_eq(recv(ends[1], bytes, sizeof(bytes), 0), -1);
	ck_assert_int_eq(errno, ECONNRESET);
	ck_assert_int_eq(getsockopt(ends[0], SOL_SOCKET, SO_DOMAIN, &domain, &len), 0);
	ck_assert_int_eq(domain, AF_INET);
	errno = MARK;
}
END_TEST

START_TEST(a_socket_of_the_programs_own_is_ended)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	if (emulated_states())
		return;
	ck_assert_int_eq(zcreq_socket_disconnect(NO_FD), -EBADF);
	ck_assert_int_eq(zcreq_socket_disconnect(no_socket), -ENOTSOCK);
	ck_assert_int_eq(zcreq_socket_disconnect(ends[0]), 0);
	ck_assert_int_eq(recv(ends[1], bytes, sizeof(bytes), 0), -1);
	ck_assert_int_eq(errno, ECONNRESET);
	ck_assert_int_eq(getsockopt(ends[0], IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	ck_assert_int_eq(info.tcpi_state, 7);
	errno = MARK;
}
END_TEST

START_TEST(a_verdict_is_refused_on_what_has_no_peer)
{
	int datagrams = socket(AF_INET, SOCK_DGRAM, 0), fresh = socket(AF_INET, SOCK_STREAM, 0);
	int ret;

	if (emulated_states())
		return;
	errno = MARK;
	ck_assert_int_eq(zcreq_socket_verdict(ends[0], 0), -EINVAL);
	ck_assert_int_eq(zcreq_socket_verdict(NO_FD, 1), -EBADF);
	ck_assert_int_eq(zcreq_socket_verdict(no_socket, 1), -ENOTSOCK);
	ret = zcreq_socket_verdict(datagrams, 1);
	ck_assert(ret == -EOPNOTSUPP || ret == -ENOPROTOOPT);
	ck_assert_int_eq(zcreq_socket_verdict(fresh, 1), -ENOTCONN);
	close(datagrams);
	close(fresh);
}
END_TEST

/* All acknowledged, heard within the limit, and a window that is closed. */
START_TEST(a_verdict_on_a_peer_that_lives)
{
	static char much[1 << 20];
	int sndbuf = sizeof(much);

	if (emulated_tcp())
		return;
	ck_assert_int_eq(zcreq_socket_verdict(ends[0], 1), 0);
	ck_assert_int_eq(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf)), 0);
	do
		send(ends[0], much, sizeof(much), MSG_DONTWAIT);
	while (!zcreq_socket_verdict(ends[0], 100000));
	errno = MARK;
	ck_assert_int_eq(zcreq_socket_verdict(ends[0], 100000), ZCREQ_STALL_NOT_READING);
}
END_TEST

START_TEST(close_closes)
{
	ck_assert_int_eq(ops->close(ends[0], NULL), 0);
	ck_assert_int_eq(ops->close(ends[0], NULL), -EBADF);
	ck_assert_int_eq(recv(ends[1], bytes, sizeof(bytes), 0), 0);
}
END_TEST

START_TEST(the_clock_is_the_monotonic_one)
{
	struct timespec before, after;
	uint64_t now_ns;

	clock_gettime(CLOCK_MONOTONIC, &before);
	now_ns = zcreq_now_ns();
	clock_gettime(CLOCK_MONOTONIC, &after);
	ck_assert_uint_ge(now_ns, (uint64_t)before.tv_sec * 1000000000 + before.tv_nsec);
	ck_assert_uint_le(now_ns, (uint64_t)after.tv_sec * 1000000000 + after.tv_nsec);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("socket");
	TCase *calls = tcase_create("calls");

	tcase_add_checked_fixture(calls, setup, teardown);
	tcase_add_test(calls, each_failure_is_its_errno);
	tcase_add_test(calls, messages_go_out_and_come_in);
	tcase_add_test(calls, options_are_set_and_read);
	tcase_add_test(calls, shutdown_ends_one_direction);
	tcase_add_test(calls, disconnect_resets_and_keeps_the_descriptor);
	tcase_add_test(calls, a_socket_of_the_programs_own_is_ended);
	tcase_add_test(calls, a_verdict_is_refused_on_what_has_no_peer);
	tcase_add_test(calls, a_verdict_on_a_peer_that_lives);
	tcase_add_test(calls, close_closes);
	tcase_add_test(calls, the_clock_is_the_monotonic_one);
	suite_add_tcase(s, calls);
	return suite_run(s);
}
