/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_kernel.c - what the ladder relies on, without the library: how pages in
 * flight are given back, and how they are not
 *
 * Each test is named as the claim that it makes of the kernel (doc/kernel.md).
 * Where one fails, the library's promises do not hold on that kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "real/net.h"
#include "real/raw.h"
#include "real/real.h"

#define MEMORY_BYTES (4 << 20)
#define EACH_BYTES 16384
#define SENDS 8

/* Sends in a row share one record of the kernel, and then one notification, up to
 * 512 KB. Of these each has its own. */
#define OWN_RECORD_BYTES (400 << 10)

static struct net net;
static int near, far;
static uint8_t *memory;
static struct raw_log heard;

static void setup(void)
{
	ck_ok(net_open(&net));
	memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	memset(memory, 'a', MEMORY_BYTES);
	heard = (struct raw_log){0};
}

static void teardown(void)
{
	munmap(memory, MEMORY_BYTES);
	net_close(&net);
}

static void connect_pair(struct net_pair how)
{
	if (!how.near_sndbuf)
		how.near_sndbuf = MEMORY_BYTES;
	ck_ok(net_connect(&net, &how, &near, &far));
	raw_enable(near);
}

/* The host is gone, and SENDS sends of EACH_BYTES, with one id each, are in flight. */
static void vanish_with_sends(enum net_family family)
{
	unsigned calls = 0;

	connect_pair((struct net_pair){.family = family});
	ck_ok(net_misdirect(&net, true));
	ck_assert_uint_eq(raw_fill(near, memory, SENDS * EACH_BYTES, EACH_BYTES, &calls),
			  SENDS * EACH_BYTES);
	ck_assert_uint_eq(calls, SENDS);
	raw_sleep_ms(100);
	ck_assert_uint_eq(raw_reap(near, &heard), 0);
}

/* The whole of the ladder stands on this one. */
START_TEST(disconnect_gives_all_proof_at_once_on_the_open_descriptor)
{
	static const char *const names[] = {"IPv4", "IPv6", "v4-mapped"};
	uint64_t start_ns;

	vanish_with_sends(_i);
	start_ns = raw_now_ns();
	ck_ok(raw_disconnect(near));
	raw_reap(near, &heard);
	say("%s: all %d ids %llu us after the call, in the order %s\n", names[_i], SENDS,
	    (unsigned long long)(raw_now_ns() - start_ns) / 1000, raw_text(&heard));
	ck_assert_msg(raw_complete(&heard, SENDS), "%s", raw_text(&heard));
	ck_assert_uint_eq(heard.control_bytes, _i == NET_IPV4 ? 48 : 60);
}
END_TEST

/*
 * A driver that drops packets at once and says so, as veth does without its other
 * end: TCP then takes what it would have sent as unsent, and probes as if the
 * window were closed (the watchdog has to know). What was sent before stays sent.
 */
START_TEST(disconnect_gives_all_proof_when_the_cable_is_cut)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);
	unsigned calls = 0;

	connect_pair((struct net_pair){.far_rcvbuf = 16384});
	if (_i)
		raw_fill(near, memory, SENDS * EACH_BYTES, EACH_BYTES, &calls);
	ck_ok(net_cut(&net, true));
	raw_fill(near, memory, SENDS * EACH_BYTES, EACH_BYTES, &calls);
	raw_sleep_ms(300);
	ck_ok(getsockopt(near, IPPROTO_TCP, TCP_INFO, &info, &len));
	say("sent %s the cut: %u segments unacknowledged, %u probes\n",
	    _i ? "before and after" : "after", info.tcpi_unacked, info.tcpi_probes);
	raw_reap(near, &heard);
	ck_assert_uint_lt(heard.ids, calls);
	ck_ok(raw_disconnect(near));
	ck_assert(raw_await(near, &heard, calls, 2000));
	ck_assert_msg(raw_complete(&heard, calls), "%s", raw_text(&heard));
}
END_TEST

START_TEST(disconnect_gives_all_proof_with_a_duplicate_of_the_descriptor)
{
	struct raw_log at_duplicate = {0};
	int duplicate;

	vanish_with_sends(NET_IPV4);
	duplicate = dup(near);
	ck_ok(raw_disconnect(near));
	raw_reap(_i ? duplicate : near, &heard);
	ck_assert_msg(raw_complete(&heard, SENDS), "%s", raw_text(&heard));
	ck_assert_uint_eq(raw_reap(_i ? near : duplicate, &at_duplicate), 0);
}
END_TEST

static void *sleep_in_recv(void *arg)
{
	char byte;

	return (void *)recv(*(int *)arg, &byte, 1, MSG_WAITALL);
}

/* Some kernels refuse with EBUSY; they have to give in once the sleeper is woken. */
START_TEST(disconnect_succeeds_with_a_thread_asleep_on_the_socket)
{
	struct timeval forever = {0};
	pthread_t sleeper;
	int ret, tries = 0;

	vanish_with_sends(NET_IPV4);
	setsockopt(near, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof(forever));
	ck_assert_int_ge(fcntl(near, F_SETFL, 0), 0);
	ck_ok(pthread_create(&sleeper, NULL, sleep_in_recv, &near));
	raw_sleep_ms(100);
	ret = raw_disconnect(near);
	say("first answer: %s\n", ret ? strerror(-ret) : "done");
	while (ret) {
		ck_assert_int_eq(ret, -EBUSY);
		ck_assert_int_lt(tries++, 1000);
		shutdown(near, SHUT_RDWR);
		raw_sleep_ms(1);
		ret = raw_disconnect(near);
	}
	raw_reap(near, &heard);
	ck_assert_msg(raw_complete(&heard, SENDS), "%s", raw_text(&heard));
	shutdown(near, SHUT_RDWR);
	ck_ok(pthread_join(sleeper, NULL));
}
END_TEST

/* Id 0 is acknowledged; of the rest the first is on its way, the tail is unsent. */
START_TEST(ids_come_out_of_order_when_a_connection_dies)
{
	const unsigned timeout_ms = 500;
	unsigned calls = 0, backwards = 0;
	char sink[4096];

	connect_pair((struct net_pair){0});
	ck_assert_int_eq(raw_send(near, memory, sizeof(sink)), sizeof(sink));
	ck_assert_int_eq(raw_read(far, sink, sizeof(sink), 2000), sizeof(sink));
	ck_assert(raw_await(near, &heard, 1, 2000));
	ck_ok(net_misdirect(&net, true));
	raw_fill(near, memory, SENDS * OWN_RECORD_BYTES, OWN_RECORD_BYTES, &calls);
	if (_i) {
		setsockopt(near, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
		ck_assert(raw_await(near, &heard, 1 + calls, 20000));
	} else {
		ck_ok(raw_disconnect(near));
		raw_reap(near, &heard);
	}
	say("%s: %s\n", _i ? "user timeout" : "disconnect", raw_text(&heard));
	ck_assert_msg(raw_complete(&heard, 1 + calls), "%s", raw_text(&heard));
	for (unsigned i = 1; i < heard.count; i++)
		backwards += heard.ranges[i].lo < heard.ranges[i - 1].lo;
	ck_assert_uint_ge(backwards, 1);
}
END_TEST

/* Step 5 of the ladder: what a queueing discipline has is not the socket's any more. */
START_TEST(proof_is_late_for_packets_in_a_queueing_discipline)
{
	uint64_t start_ns;
	unsigned calls = 0;

	connect_pair((struct net_pair){0});
	ck_ok(net_slow(&net, 49152));
	raw_fill(near, memory, SENDS * OWN_RECORD_BYTES, OWN_RECORD_BYTES, &calls);
	raw_sleep_ms(100);
	start_ns = raw_now_ns();
	ck_ok(raw_disconnect(near));
	raw_reap(near, &heard);
	say("%u ids, at once: %s\n", calls, raw_text(&heard));
	ck_assert_uint_gt(heard.ids, 0);
	ck_assert_uint_lt(heard.ids, calls);
	if (_i)
		ck_ok(net_drop_queue(&net));
	ck_assert(raw_await(near, &heard, calls, 20000));
	say("the last %llu us after the call%s: %s\n",
	    (unsigned long long)(heard.last_ns - start_ns) / 1000,
	    _i ? ", the filter was dropped" : "", raw_text(&heard));
	ck_assert_msg(raw_complete(&heard, calls), "%s", raw_text(&heard));
}
END_TEST

/* As when the sender's own port has lost its carrier and its neighbours with it. */
START_TEST(proof_is_late_for_packets_that_wait_for_a_neighbour)
{
	uint64_t start_ns;
	unsigned calls = 0;

	connect_pair((struct net_pair){0});
	ck_ok(net_forget(&net));
	raw_fill(near, memory, SENDS * OWN_RECORD_BYTES, OWN_RECORD_BYTES, &calls);
	start_ns = raw_now_ns();
	ck_ok(raw_disconnect(near));
	raw_reap(near, &heard);
	ck_assert_uint_lt(heard.ids, calls);
	ck_assert(raw_await(near, &heard, calls, 20000));
	say("the last %llu us after the call: %s\n",
	    (unsigned long long)(heard.last_ns - start_ns) / 1000, raw_text(&heard));
	ck_assert_msg(raw_complete(&heard, calls), "%s", raw_text(&heard));
}
END_TEST

START_TEST(shutdown_releases_nothing)
{
	vanish_with_sends(NET_IPV4);
	ck_ok(shutdown(near, SHUT_RDWR));
	ck_assert_msg(!raw_await(near, &heard, 1, 600), "%s", raw_text(&heard));
	ck_ok(raw_disconnect(near));
	raw_reap(near, &heard);
	ck_assert(raw_complete(&heard, SENDS));
}
END_TEST

/* close() and recycle: the peer gets the next user's data. */
START_TEST(close_goes_on_sending_what_is_overwritten)
{
	static char got[SENDS * EACH_BYTES];
	size_t next = 0;
	ssize_t len;

	vanish_with_sends(NET_IPV4);
	ck_ok(close(near));
	memset(memory, 'b', MEMORY_BYTES);
	ck_ok(net_misdirect(&net, false));
	len = raw_read(far, got, sizeof(got), 8000);
	for (ssize_t i = 0; i < len; i++)
		next += got[i] == 'b';
	say("%zd bytes received, %zu of them written after close()\n", len, next);
	ck_assert_int_eq(len, sizeof(got));
	ck_assert_uint_gt(next, 0);
}
END_TEST

/* The shortcut that looks as good as disconnect, until somebody has a duplicate. */
START_TEST(linger_0_close_releases_nothing_with_a_duplicate)
{
	const struct linger reset = {.l_onoff = 1};
	int duplicate;

	vanish_with_sends(NET_IPV4);
	duplicate = dup(near);
	ck_ok(setsockopt(near, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)));
	ck_ok(close(near));
	ck_assert(!raw_await(duplicate, &heard, 1, 300));
	ck_ok(raw_disconnect(duplicate));
	raw_reap(duplicate, &heard);
	ck_assert(raw_complete(&heard, SENDS));
}
END_TEST

/* A peer with a full window, so that a part is unsent. */
static unsigned fill_unread(void)
{
	unsigned calls = 0;

	connect_pair((struct net_pair){.far_rcvbuf = 16384});
	raw_fill(near, memory, 64 * EACH_BYTES, EACH_BYTES, &calls);
	ck_assert_uint_eq(calls, 64);
	return calls;
}

START_TEST(reset_by_the_peer_releases_with_econnreset)
{
	struct pollfd p = {.events = POLLIN | POLLOUT};
	unsigned calls = fill_unread();
	socklen_t len = sizeof(int);
	int error = 0;

	raw_await(near, &heard, calls, 200);
	ck_assert_uint_lt(heard.ids, calls);
	ck_ok(close(far)); /* with unread data: a reset */
	p.fd = near;
	for (int i = 0; i < 2000 && !(p.revents & POLLHUP); i++) {
		raw_sleep_ms(1);
		poll(&p, 1, 0);
	}
	ck_assert_int_eq(p.revents | POLLOUT, POLLIN | POLLOUT | POLLERR | POLLHUP);
	ck_ok(getsockopt(near, SOL_SOCKET, SO_ERROR, &error, &len));
	ck_assert_int_eq(error, ECONNRESET);
	ck_assert(raw_await(near, &heard, calls, 2000));
	ck_assert_msg(raw_complete(&heard, calls), "%s", raw_text(&heard));
}
END_TEST

START_TEST(a_peer_that_does_not_read_pins_until_it_reads)
{
	unsigned calls = fill_unread();
	ssize_t left = 64 * EACH_BYTES;
	uint64_t before;
	static char sink[64 * EACH_BYTES];

	raw_await(near, &heard, calls, 300);
	before = heard.ids;
	ck_assert_uint_lt(before, calls);
	raw_await(near, &heard, calls, 500);
	ck_assert_uint_eq(heard.ids, before);
	ck_assert_int_eq(raw_read(far, sink, left, 5000), left);
	ck_assert(raw_await(near, &heard, calls, 5000));
	ck_assert(raw_complete(&heard, calls));
}
END_TEST

/*
 * It answers no more often than every 500 ms (tcp_invalid_ratelimit), and probes are
 * 200, 400, ... ms apart: one without an answer proves nothing, two in a row do.
 */
START_TEST(an_alive_peer_leaves_at_most_one_window_probe_unanswered)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);
	unsigned before = 0, most = 0, quiet_ms = 0;

	fill_unread();
	for (int i = 0; i < 32; i++) {
		raw_sleep_ms(50);
		ck_ok(getsockopt(near, IPPROTO_TCP, TCP_INFO, &info, &len));
		/* seen twice: not one whose answer is still on its way */
		if (info.tcpi_probes == before && before > most)
			most = before;
		before = info.tcpi_probes;
		if (info.tcpi_last_ack_recv > quiet_ms)
			quiet_ms = info.tcpi_last_ack_recv;
	}
	say("%u probe without an answer, nothing heard for up to %u ms\n", most, quiet_ms);
	ck_assert_uint_le(most, 1);
}
END_TEST

/* The kernel's own watchdog, which cannot tell the two apart. */
START_TEST(user_timeout_kills_the_vanished_and_those_that_do_not_read)
{
	const unsigned timeout_ms = 600;
	unsigned calls = SENDS;
	socklen_t len = sizeof(int);
	uint64_t start_ns;
	int error = 0;

	if (_i)
		calls = fill_unread();
	else
		vanish_with_sends(NET_IPV4);
	ck_ok(setsockopt(near, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms)));
	start_ns = raw_now_ns();
	ck_assert(raw_await(near, &heard, calls, 30000));
	say("%s: 600 ms became %llu ms\n", _i ? "not reading" : "vanished",
	    (unsigned long long)(heard.last_ns - start_ns) / 1000000);
	ck_assert(raw_complete(&heard, calls));
	ck_ok(getsockopt(near, SOL_SOCKET, SO_ERROR, &error, &len));
	ck_assert_int_eq(error, ETIMEDOUT);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("kernel");
	TCase *group = real_group(suite, "ends", setup, teardown, NULL);

	tcase_add_loop_test(group, disconnect_gives_all_proof_at_once_on_the_open_descriptor, 0,
			    NET_FAMILIES);
	tcase_add_loop_test(group, disconnect_gives_all_proof_when_the_cable_is_cut, 0, 2);
	tcase_add_loop_test(group, disconnect_gives_all_proof_with_a_duplicate_of_the_descriptor,
			    0, 2);
	tcase_add_test(group, disconnect_succeeds_with_a_thread_asleep_on_the_socket);
	tcase_add_loop_test(group, ids_come_out_of_order_when_a_connection_dies, 0, 2);
	tcase_add_test(group, proof_is_late_for_packets_that_wait_for_a_neighbour);
	tcase_add_test(group, shutdown_releases_nothing);
	tcase_add_test(group, close_goes_on_sending_what_is_overwritten);
	tcase_add_test(group, linger_0_close_releases_nothing_with_a_duplicate);
	tcase_add_test(group, reset_by_the_peer_releases_with_econnreset);
	tcase_add_test(group, a_peer_that_does_not_read_pins_until_it_reads);
	tcase_add_test(group, an_alive_peer_leaves_at_most_one_window_probe_unanswered);
	tcase_add_loop_test(group, user_timeout_kills_the_vanished_and_those_that_do_not_read, 0,
			    2);
	group = real_group(suite, "queueing discipline", setup, teardown, net_missing_slow());
	tcase_add_loop_test(group, proof_is_late_for_packets_in_a_queueing_discipline, 0, 2);
	return real_run(suite, NULL);
}
