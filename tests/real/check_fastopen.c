/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_fastopen.c - TCP Fast Open: data before the connection is one
 *
 * What the kernel does with zero-copy sends then, and that a stream is opened only when
 * the handshake is over. Without cookies, which a namespace of its own may allow itself.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <zcreq/zcreq.h>

#include "real/net.h"
#include "real/raw.h"
#include "real/real.h"

#define BYTES 50000
#define FAST "519" /* client, server, both without cookies */

/* As in tcpi_state. */
enum { ESTABLISHED = 1, SYN_SENT = 2, SYN_RECV = 3 };

static struct net net;
static struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = 0};
static int listener;
static char memory[BYTES];
static struct zcreq_context *context;
static struct raw_log seen;
static unsigned released;

static void setup(void)
{
	const int many = 16;
	socklen_t len = sizeof(address);

	ck_ok(net_open(&net));
	ck_ok(net_sysctl(&net, NET_NEAR, "ipv4/tcp_fastopen", FAST));
	ck_ok(net_sysctl(&net, NET_FAR, "ipv4/tcp_fastopen", FAST));
	ck_assert_int_eq(inet_pton(AF_INET, "10.9.0.1", &address.sin_addr), 1);
	listener = net_socket(&net, NET_NEAR, AF_INET, SOCK_STREAM, 0);
	ck_ok(bind(listener, (struct sockaddr *)&address, len));
	ck_ok(setsockopt(listener, IPPROTO_TCP, TCP_FASTOPEN, &many, sizeof(many)));
	ck_ok(listen(listener, many));
	ck_ok(getsockname(listener, (struct sockaddr *)&address, &len));
	ck_ok(zcreq_context_new(NULL, &context));
}

static void teardown(void)
{
	for (unsigned i = 0; i < 100 && zcreq_context_free(context); i++) {
		zcreq_turn(context, zcreq_now_ns());
		poll(NULL, 0, 10);
	}
	close(listener);
	net_close(&net);
}

static int state_of(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	ck_ok(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len));
	return info.tcpi_state;
}

/* A client in far whose first data are in its SYN. */
static int fast_client(int flags)
{
	int fd = net_socket(&net, NET_FAR, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	ck_assert_int_ge(fd, 0);
	if (flags & MSG_ZEROCOPY)
		raw_enable(fd);
	/* what fits into the SYN is taken */
	ck_assert_int_gt((int)sendto(fd, memory, BYTES, MSG_FASTOPEN | flags,
				     (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Before the handshake is over a socket has the least send buffer that its congestion control
 * wants, which with some is less than this. */
static void send_all(int fd)
{
	const int room = 4 * BYTES;

	ck_ok(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)));
	ck_assert_int_eq((int)raw_send(fd, memory, BYTES), BYTES);
}

static void on_released(zcreq_id id, int status, void *arg)
{
	(void)id;
	(void)arg;
	ck_ok(status);
	released++;
}

static int open_stream(int fd, enum zcreq_mode mode, unsigned flags, uint32_t first_id,
		       struct zcreq_conn **conn)
{
	const struct zcreq_stream_options options = {
		.size = sizeof(options), .fd = fd, .mode = mode, .flags = flags,
		.first_id = first_id,
	};

	return zcreq_stream_open(context, &options, conn);
}

/* A request goes out and comes back, and ids were used. @peer reads, or its window may close
 * over what else was sent; -1: nothing else was, and it has not been accepted. */
static void serve(struct zcreq_conn *conn, int peer)
{
	static const struct zcreq_request_hooks hooks = {.released = on_released};
	const struct iovec iov = {.iov_base = memory, .iov_len = BYTES};
	struct zcreq_stats stats;
	static char sink[65536];

	ck_ok(zcreq_send(conn, &hooks, NULL, &iov, 1, 0, NULL));
	zcreq_turn(context, zcreq_now_ns());
	while (!released) {
		struct pollfd wait[] = {
			{.fd = zcreq_stream_fd(conn), .events = zcreq_events(conn)},
			{.fd = peer, .events = POLLIN},
		};

		ck_assert_int_ge(poll(wait, 2, 5000), 1);
		if (wait[1].revents)
			ck_assert_int_gt(recv(peer, sink, sizeof(sink), MSG_DONTWAIT), 0);
		ck_ok(zcreq_process(conn, wait[0].revents));
		zcreq_turn(context, zcreq_now_ns());
	}
	ck_ok(zcreq_conn_stats(conn, &stats, sizeof(stats)));
	ck_assert_uint_ge(stats.zerocopy_batches, 1);
	ck_assert_uint_eq(stats.bogus_ranges, 0);
	zcreq_conn_free(conn);
}

/* The first send takes an id, and the whole of it is notified with that. */
START_TEST(a_send_with_the_syn_takes_an_id)
{
	int fd = fast_client(MSG_ZEROCOPY);

	ck_assert(raw_await(fd, &seen, 1, 5000));
	ck_assert(raw_complete(&seen, 1));
	ck_assert_int_eq(state_of(fd), ESTABLISHED);
	close(fd);
}
END_TEST

/* Then such a socket has a past, which a stream has to be told; without MSG_ZEROCOPY not. */
START_TEST(a_client_that_has_sent_with_its_syn_has_a_past)
{
	int fd = fast_client(_i ? MSG_ZEROCOPY : 0);
	struct zcreq_conn *conn;

	if (_i) {
		ck_assert(raw_await(fd, &seen, 1, 5000));
		ck_assert_int_eq(open_stream(fd, ZCREQ_MODE_ALWAYS, 0, 0, &conn), -EBUSY);
	} else {
		struct pollfd wait = {.fd = fd, .events = POLLOUT};

		ck_assert_int_eq(poll(&wait, 1, 5000), 1);
	}
	ck_ok(open_stream(fd, ZCREQ_MODE_ALWAYS, _i ? ZCREQ_STREAM_FIRST_ID : 0, (uint32_t)_i,
			  &conn));
	serve(conn, -1);
}
END_TEST

/* connect(2) returns at once, and nothing has been sent: it is no connection yet. */
START_TEST(a_deferred_connect_is_refused)
{
	int fd = net_socket(&net, NET_FAR, AF_INET, SOCK_STREAM, 0);
	const int on = 1;
	struct zcreq_conn *conn;

	ck_ok(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on)));
	ck_ok(connect(fd, (struct sockaddr *)&address, sizeof(address)));
	ck_assert_int_eq(state_of(fd), SYN_SENT);
	ck_assert_int_eq(open_stream(fd, ZCREQ_MODE_AUTO, 0, 0, &conn), -ENOTCONN);
	close(fd);
}
END_TEST

/*
 * accept(2) hands out a socket whose handshake is not over. The kernel takes a zero-copy
 * send there and gives it an id; a stream is refused until the peer has acknowledged. Near's
 * answers are lost until then.
 */
START_TEST(an_accepted_socket_whose_handshake_is_not_over_is_refused)
{
	struct zcreq_conn *conn;
	struct pollfd wait;
	int client, fd;

	ck_ok(net_misdirect(&net, true));
	client = fast_client(0);
	wait = (struct pollfd){.fd = listener, .events = POLLIN};
	ck_assert_int_eq(poll(&wait, 1, 5000), 1);
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(state_of(fd), SYN_RECV);
	wait = (struct pollfd){.fd = fd, .events = POLLIN | POLLOUT};
	ck_assert_int_eq(poll(&wait, 1, 0), 1);
	ck_assert_int_eq(wait.revents, POLLIN | POLLOUT); /* as if it were one */
	ck_assert_int_eq(open_stream(fd, ZCREQ_MODE_ALWAYS, 0, 0, &conn), -ENOTCONN);
	if (_i) {
		raw_enable(fd);
		send_all(fd);
		ck_assert_uint_eq(raw_reap(fd, &seen), 0);
	}
	ck_ok(net_misdirect(&net, false)); /* the SYN-ACK comes again after a second */
	while (state_of(fd) != ESTABLISHED)
		poll(NULL, 0, 10);
	if (_i)
		ck_assert_int_eq(open_stream(fd, ZCREQ_MODE_ALWAYS, 0, 0, &conn), -EBUSY);
	ck_ok(open_stream(fd, ZCREQ_MODE_ALWAYS, _i ? ZCREQ_STREAM_FIRST_ID : 0, (uint32_t)_i,
			  &conn));
	serve(conn, client);
	close(client);
}
END_TEST

/* What was sent in that state comes back as ever when the socket is disconnected. */
START_TEST(a_disconnect_before_the_handshake_is_over_gives_proof)
{
	struct pollfd wait;
	int client, fd;

	ck_ok(net_misdirect(&net, true));
	client = fast_client(0);
	wait = (struct pollfd){.fd = listener, .events = POLLIN};
	ck_assert_int_eq(poll(&wait, 1, 5000), 1);
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	raw_enable(fd);
	send_all(fd);
	ck_ok(raw_disconnect(fd));
	ck_assert(raw_await(fd, &seen, 1, 3000));
	ck_assert(raw_complete(&seen, 1));
	close(fd);
	close(client);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fastopen");
	TCase *kernel = real_group(s, "kernel", setup, teardown, NULL);
	TCase *streams = real_group(s, "streams", setup, teardown, NULL);

	tcase_add_test(kernel, a_send_with_the_syn_takes_an_id);
	tcase_add_test(kernel, a_disconnect_before_the_handshake_is_over_gives_proof);
	tcase_add_loop_test(streams, a_client_that_has_sent_with_its_syn_has_a_past, 0, 2);
	tcase_add_test(streams, a_deferred_connect_is_refused);
	tcase_add_loop_test(streams, an_accepted_socket_whose_handshake_is_not_over_is_refused, 0,
			    2);
	return real_run(s, net_missing());
}
