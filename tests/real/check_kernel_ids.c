/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_kernel_ids.c - what the window and the policy rely on, without the library:
 * who is given an id, what the error queue does, and when the kernel refuses
 *
 * Each test is named as the claim that it makes of the kernel (doc/kernel.md).
 */
#include <errno.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "real/locked.h"
#include "real/net.h"
#include "real/raw.h"
#include "real/real.h"

#define MEMORY_BYTES (4 << 20)
#define LARGE_BYTES (1 << 20) /* within the usual limit on locked memory */

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static struct net net;
static int near = -1, far = -1;
static uint8_t *memory, *sink;
static struct raw_log heard;

static void setup(void)
{
	ck_ok(net_open(&net));
	memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	memset(memory, 'a', MEMORY_BYTES);
	sink = malloc(MEMORY_BYTES);
	heard = (struct raw_log){0};
}

static void teardown(void)
{
	free(sink);
	munmap(memory, MEMORY_BYTES);
	net_close(&net);
}

static void connect_pair(struct net_pair how)
{
	ck_ok(net_connect(&net, &how, &near, &far));
	raw_enable(near);
}

/* Makes the next notification carry an id that tells how many went before. */
static uint32_t next_id(void)
{
	unsigned before = heard.count;

	ck_assert_int_eq(raw_send(near, memory, 1), 1);
	ck_assert_int_gt(raw_read(far, sink, MEMORY_BYTES, 100), 0);
	ck_assert(raw_await(near, &heard, heard.ids + 1, 5000));
	ck_assert_uint_gt(heard.count, before);
	return heard.ranges[heard.count - 1].hi;
}

START_TEST(a_partial_send_takes_one_id_and_eagain_none)
{
	ssize_t ret;

	connect_pair((struct net_pair){.near_sndbuf = 262144, .far_rcvbuf = 16384});
	ret = raw_send(near, memory, LARGE_BYTES);
	say("%zd bytes of %d accepted\n", ret, LARGE_BYTES);
	ck_assert_int_gt(ret, 0);
	ck_assert_int_lt(ret, LARGE_BYTES);
	while (raw_send(near, memory, LARGE_BYTES) > 0)
		; /* what the peer's own buffer makes room for takes ids, and is read */
	ck_assert_int_eq(raw_send(near, memory, LARGE_BYTES), -EAGAIN);
	while (raw_read(far, sink, MEMORY_BYTES, 100) > 0)
		raw_reap(near, &heard);
	ck_assert_uint_eq(next_id() + 1, heard.ids);
}
END_TEST

START_TEST(refused_and_empty_sends_take_no_id)
{
	struct iovec iov[2] = {{memory, 4096}, {NULL, 4096}};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};
	ssize_t ret;

	connect_pair((struct net_pair){.near_sndbuf = MEMORY_BYTES});
	ck_assert_uint_eq(next_id(), 0);
	ck_assert_int_eq(raw_send(near, memory, 0), 0);
	ck_assert_int_eq(raw_send(near, NULL, 4096), -EFAULT);
	ck_assert_int_eq(send(near, memory, 1, MSG_DONTWAIT), 1);
	ck_assert_uint_eq(next_id(), 1);
	/* both members fit into one packet, which is taken back as a whole */
	ck_assert_int_eq(sendmsg(near, &m, MSG_ZEROCOPY | MSG_DONTWAIT), -1);
	ck_assert_int_eq(errno, EFAULT);
	ck_assert_uint_eq(next_id(), 2);
	/* cut short by the second member, packets after the start: one id */
	iov[0].iov_len = 1 << 20;
	ret = sendmsg(near, &m, MSG_ZEROCOPY | MSG_DONTWAIT);
	say("%zd bytes of 1 MiB accepted before the bad member\n", ret);
	ck_assert_int_gt(ret, 0);
	ck_assert_int_eq(raw_read(far, sink, ret, 1000), ret);
	ck_assert(raw_await(near, &heard, 4, 2000));
	ck_assert_uint_eq(next_id(), 4);
	ck_assert_msg(raw_complete(&heard, 5), "%s", raw_text(&heard));
}
END_TEST

/* A listening socket of our own, on the loopback; returns where it listens. */
static struct sockaddr_in listen_here(int *listener)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(at);

	*listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_ok(bind(*listener, (struct sockaddr *)&at, sizeof(at)));
	ck_ok(listen(*listener, 4));
	ck_ok(getsockname(*listener, (struct sockaddr *)&at, &len));
	return at;
}

START_TEST(an_accepted_socket_inherits_zerocopy_and_starts_at_0)
{
	struct sockaddr_in at;
	int listener, on = 0;
	socklen_t len = sizeof(on);

	at = listen_here(&listener);
	raw_enable(listener);
	far = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_ok(connect(far, (struct sockaddr *)&at, sizeof(at)));
	near = accept(listener, NULL, NULL);
	ck_ok(getsockopt(near, SOL_SOCKET, SO_ZEROCOPY, &on, &len));
	ck_assert_int_eq(on, 1);
	ck_assert_uint_eq(next_id(), 0);
}
END_TEST

START_TEST(ids_go_on_after_disconnect_and_reconnect)
{
	struct sockaddr_in at;
	int listener;

	at = listen_here(&listener);
	near = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	raw_enable(near);
	ck_ok(connect(near, (struct sockaddr *)&at, sizeof(at)));
	far = accept(listener, NULL, NULL);
	ck_assert_uint_eq(next_id(), 0);
	ck_assert_uint_eq(next_id(), 1);
	ck_ok(raw_disconnect(near));
	ck_ok(connect(near, (struct sockaddr *)&at, sizeof(at)));
	far = accept(listener, NULL, NULL);
	ck_assert_uint_eq(next_id(), 2);
}
END_TEST

static int error_of(int fd)
{
	socklen_t len = sizeof(int);
	int error = -1;

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	return error;
}

START_TEST(pollerr_stays_until_the_queue_is_read_and_disturbs_nothing)
{
	struct pollfd p = {.events = POLLOUT};

	connect_pair((struct net_pair){0});
	p.fd = near;
	ck_assert_int_eq(raw_send(near, memory, 4096), 4096);
	ck_assert_int_eq(raw_read(far, sink, 4096, 1000), 4096);
	for (int i = 0; i < 2000 && !(p.revents & POLLERR); i++) {
		raw_sleep_ms(1);
		ck_assert_int_ge(poll(&p, 1, 0), 0);
	}
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(poll(&p, 1, 0), 1);
		ck_assert_int_eq(p.revents, POLLERR | POLLOUT);
		ck_assert_int_eq(error_of(near), 0);
		ck_assert_int_eq(send(near, memory, 8, MSG_DONTWAIT), 8);
		ck_assert_int_eq(send(far, memory, 8, MSG_DONTWAIT), 8);
		ck_assert_int_eq(raw_read(near, sink, 8, 1000), 8);
	}
	ck_assert_uint_eq(raw_reap(near, &heard), 1);
	ck_assert_int_eq(poll(&p, 1, 0), 1);
	ck_assert_int_eq(p.revents, POLLOUT);
}
END_TEST

START_TEST(peeking_at_the_error_queue_consumes_it)
{
	char control[256];
	struct msghdr m = {.msg_control = control, .msg_controllen = sizeof(control)};

	connect_pair((struct net_pair){0});
	ck_assert_int_eq(raw_send(near, memory, 4096), 4096);
	ck_assert_int_eq(raw_read(far, sink, 4096, 1000), 4096);
	while (recvmsg(near, &m, MSG_ERRQUEUE | MSG_PEEK | MSG_DONTWAIT) < 0)
		raw_sleep_ms(1);
	raw_sleep_ms(50);
	ck_assert_uint_eq(raw_reap(near, &heard), 0);
}
END_TEST

START_TEST(small_sends_share_one_record_and_wait_for_each_other)
{
	unsigned calls = 0;

	connect_pair((struct net_pair){.near_sndbuf = MEMORY_BYTES});
	ck_ok(net_misdirect(&net, true));
	raw_fill(near, memory, 64 * 4096, 4096, &calls);
	ck_assert_uint_eq(calls, 64);
	ck_ok(raw_disconnect(near));
	raw_reap(near, &heard);
	ck_assert_uint_eq(heard.count, 1);
	ck_assert(raw_complete(&heard, 64));
}
END_TEST

START_TEST(locked_memory_limit_is_enobufs_with_nothing_in_flight)
{
	connect_pair((struct net_pair){.near_sndbuf = MEMORY_BYTES});
	ck_ok(locked_limit(65536));
	ck_assert_int_eq(raw_send(near, memory, 1 << 20), -ENOBUFS);
	ck_assert_int_eq(send(near, memory, 1 << 20, MSG_DONTWAIT), 1 << 20);
	ck_assert_int_eq(raw_read(far, sink, 1 << 20, 2000), 1 << 20);
	ck_assert_uint_eq(next_id(), 0);
}
END_TEST

START_TEST(option_memory_limit_is_enobufs_until_something_is_proven)
{
	unsigned calls = 0;

	ck_ok(net_sysctl(&net, NET_NEAR, "core/optmem_max", "4096"));
	connect_pair((struct net_pair){.near_sndbuf = MEMORY_BYTES, .far_rcvbuf = 16384});
	raw_fill(near, memory, MEMORY_BYTES, 512 << 10, &calls);
	say("%u sends of 512 KB with 4096 bytes of option memory\n", calls);
	ck_assert_uint_gt(calls, 0);
	ck_assert_uint_lt(calls, 8);
	ck_assert_int_eq(raw_send(near, memory, 512 << 10), -ENOBUFS);
	ck_assert_int_gt(send(near, memory, 4096, MSG_DONTWAIT), 0);
	while (heard.ids < calls && raw_read(far, sink, MEMORY_BYTES, 100) > 0)
		raw_reap(near, &heard);
	ck_assert(raw_await(near, &heard, calls, 2000));
	ck_assert_int_gt(raw_send(near, memory, 512 << 10), 0);
}
END_TEST

/* What takes MSG_ZEROCOPY, copies, and says nothing: no id, no notification. */
static void expect_silence(int from, int to)
{
	ck_assert_int_eq(raw_send(from, memory, 16384), 16384);
	ck_assert_int_eq(raw_read(to, sink, 16384, 2000), 16384);
	ck_assert(!raw_await(from, &heard, 1, 100));
}

START_TEST(without_so_zerocopy_a_send_copies_in_silence)
{
	ck_ok(net_connect(&net, &(struct net_pair){0}, &near, &far));
	expect_silence(near, far);
}
END_TEST

START_TEST(unix_sockets_copy_in_silence)
{
	const int one = 1;
	int fds[2];

	ck_ok(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	ck_assert_int_eq(setsockopt(fds[0], SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)), -1);
	expect_silence(fds[0], fds[1]);
}
END_TEST

START_TEST(mptcp_refuses_so_zerocopy_and_copies_in_silence)
{
	const int one = 1;

	ck_ok(net_connect(&net, &(struct net_pair){.protocol = IPPROTO_MPTCP}, &near, &far));
	ck_assert_int_eq(setsockopt(near, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)), -1);
	expect_silence(near, far);
}
END_TEST

START_TEST(timestamps_share_the_queue_and_do_not_stop_it)
{
	const int stamps = SOF_TIMESTAMPING_TX_ACK | SOF_TIMESTAMPING_SOFTWARE |
			   SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_TX_SCHED;
	char control[512];
	struct msghdr m = {.msg_control = control, .msg_controllen = sizeof(control)};
	int messages = 0;

	connect_pair((struct net_pair){0});
	ck_ok(setsockopt(near, SOL_SOCKET, SO_TIMESTAMPING, &stamps, sizeof(stamps)));
	ck_assert_int_eq(raw_send(near, memory, 16384), 16384);
	ck_assert_int_eq(raw_read(far, sink, 16384, 2000), 16384);
	raw_sleep_ms(100);
	while (recvmsg(near, &m, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0) {
		m.msg_controllen = sizeof(control);
		messages++;
	}
	say("%d messages for one send\n", messages);
	ck_assert_int_ge(messages, 2);
}
END_TEST

static const char *missing_mptcp(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);

	if (fd < 0)
		return "no MPTCP";
	close(fd);
	return NULL;
}

int main(void)
{
	Suite *suite = suite_create("kernel ids");
	TCase *group = real_group(suite, "ids", setup, teardown, NULL);

	tcase_add_test(group, a_partial_send_takes_one_id_and_eagain_none);
	tcase_add_test(group, refused_and_empty_sends_take_no_id);
	tcase_add_test(group, an_accepted_socket_inherits_zerocopy_and_starts_at_0);
	tcase_add_test(group, ids_go_on_after_disconnect_and_reconnect);
	tcase_add_test(group, pollerr_stays_until_the_queue_is_read_and_disturbs_nothing);
	tcase_add_test(group, peeking_at_the_error_queue_consumes_it);
	tcase_add_test(group, small_sends_share_one_record_and_wait_for_each_other);
	tcase_add_test(group, locked_memory_limit_is_enobufs_with_nothing_in_flight);
	tcase_add_test(group, without_so_zerocopy_a_send_copies_in_silence);
	tcase_add_test(group, unix_sockets_copy_in_silence);
	tcase_add_test(group, timestamps_share_the_queue_and_do_not_stop_it);
	group = real_group(suite, "option memory", setup, teardown, net_missing_optmem());
	tcase_add_test(group, option_memory_limit_is_enobufs_until_something_is_proven);
	group = real_group(suite, "mptcp", setup, teardown, missing_mptcp());
	tcase_add_test(group, mptcp_refuses_so_zerocopy_and_copies_in_silence);
	return real_run(suite, NULL);
}
