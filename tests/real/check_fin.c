/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_fin.c - the end of a stream on the real kernel: nothing before it is lost
 *
 * Loopback, and a peer that is another socket of the same process. What the program here
 * does in a turn is what zcreq/stream.h says: wait for zcreq_events(), at most until the
 * deadline of the last turn. It reads nothing of what the peer sends, but where a test says so.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <zcreq/zcreq.h>

#include "real/real.h"

/* Far more than the peer takes, and less than a send buffer of net.core.wmem_max holds, which is
 * 212,992, doubled, by default on many kernels: 425,633 went into it. */
#define BYTES 300000

static char memory[BYTES], sink[65536];
static struct zcreq_context *context;
static struct zcreq_conn *conn;
static int near, far;
static size_t received;
static unsigned turns, closed;
static int closed_status;
static enum zcreq_cause cause;

static void on_released(zcreq_id id, int status, void *arg)
{
	(void)id;
	(void)status;
	(void)arg;
}

static void on_closed(struct zcreq_conn *c, int status, void *arg)
{
	(void)arg;
	closed++;
	closed_status = status;
	cause = (enum zcreq_cause)zcreq_conn_cause(c);
}

static const struct zcreq_request_hooks request_hooks = {.released = on_released};
static const struct zcreq_conn_hooks conn_hooks = {.closed = on_closed};

static void setup(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr = {htonl(INADDR_LOOPBACK)}};
	const int much = 4 << 20, little = 20000;
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	ck_ok(bind(listener, (struct sockaddr *)&address, len));
	ck_ok(listen(listener, 1));
	ck_ok(getsockname(listener, (struct sockaddr *)&address, &len));
	near = socket(AF_INET, SOCK_STREAM, 0);
	ck_ok(connect(near, (struct sockaddr *)&address, len));
	far = accept(listener, NULL, NULL);
	close(listener);
	ck_assert_int_ge(far, 0);
	ck_ok(setsockopt(near, SOL_SOCKET, SO_SNDBUF, &much, sizeof(much)));
	ck_ok(setsockopt(far, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little)));
	ck_ok(zcreq_context_new(NULL, &context));
}

static void open_stream(enum zcreq_mode mode, uint32_t stall_ms)
{
	const struct zcreq_stream_options options = {
		.size = sizeof(options), .fd = near, .hooks = &conn_hooks, .mode = mode,
		.stall_ms = stall_ms,
	};

	ck_ok(zcreq_stream_open(context, &options, &conn));
}

static void teardown(void)
{
	zcreq_conn_free(conn);
	for (unsigned i = 0; i < 100 && zcreq_context_free(context); i++) {
		zcreq_turn(context, zcreq_now_ns());
		poll(NULL, 0, 10);
	}
	close(far);
}

/* One turn; the far end reads if it is asked to. */
static void turn(bool reads)
{
	const uint64_t now_ns = zcreq_now_ns();
	const int wait_ms = zcreq_timeout_ms(zcreq_turn(context, now_ns),
				             now_ns);
	const short events = closed ? 0 : zcreq_events(conn);
	struct pollfd fds[] = {
		{events ? zcreq_stream_fd(conn) : -1, events, 0},
		{reads ? far : -1, POLLIN, 0},
	};
	ssize_t got;

	turns++;
	if (closed && !reads)
		return;
	poll(fds, 2, wait_ms < 0 || wait_ms > 100 ? 100 : wait_ms);
	if (fds[0].revents)
		ck_ok(zcreq_process(conn, fds[0].revents));
	if (!fds[1].revents)
		return;
	got = recv(far, sink, sizeof(sink), MSG_DONTWAIT);
	if (got > 0)
		received += (size_t)got;
}

enum { FIN_WAIT1 = 4, FIN_WAIT2 = 5, CLOSED = 7, LAST_ACK = 9 };

static struct tcp_info info_of_near(void)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	ck_ok(getsockopt(near, IPPROTO_TCP, TCP_INFO, &info, &len));
	return info;
}

static void await_state(int state)
{
	for (int i = 0; i < 5000 && info_of_near().tcpi_state != state; i++)
		poll(NULL, 0, 1);
	ck_assert_int_eq(info_of_near().tcpi_state, state);
}

static void run_until_closed(bool reads, unsigned most_ms)
{
	const uint64_t until_ns = zcreq_now_ns() + most_ms * UINT64_C(1000000);

	while (!closed && zcreq_now_ns() < until_ns)
		turn(reads);
	ck_assert_uint_eq(closed, 1);
}

static void send_all(void)
{
	const struct iovec iov = {.iov_base = memory, .iov_len = sizeof(memory)};

	ck_ok(zcreq_send(conn, &request_hooks, NULL, &iov, 1, 0, NULL));
}

/* With one byte of the peer's unread close() alone resets: 65,536 of 1,000,000 arrived. */
START_TEST(i11_a_drain_loses_nothing_with_a_byte_unread)
{
	static const enum zcreq_mode modes[] = {ZCREQ_MODE_NEVER, ZCREQ_MODE_ALWAYS};
	ssize_t got;

	open_stream(modes[_i], 0);
	send_all();
	ck_assert_int_eq(send(far, "x", 1, 0), 1);
	ck_ok(zcreq_conn_drain(conn, 0));
	run_until_closed(true, 20000);
	while ((got = recv(far, sink, sizeof(sink), MSG_DONTWAIT)) > 0)
		received += (size_t)got;
	say("%zu of %d bytes arrived, then %s\n", received, BYTES,
	    got ? strerror(errno) : "the end");
	ck_assert_uint_eq(received, BYTES);
	ck_assert_int_eq((int)got, 0);
	ck_assert_int_eq(closed_status, 0);
	ck_assert_int_eq(cause, ZCREQ_CAUSE_DRAINED);
}
END_TEST

START_TEST(i11_a_duplicate_of_the_descriptor_does_not_keep_the_stream_open)
{
	int duplicate = dup(near);

	open_stream(ZCREQ_MODE_NEVER, 0);
	send_all();
	ck_ok(zcreq_conn_drain(conn, 0));
	run_until_closed(true, 20000);
	while (received < BYTES)
		turn(true);
	ck_assert_int_eq((int)recv(far, sink, 1, 0), 0);
	ck_assert_int_eq(closed_status, 0);
	close(duplicate);
}
END_TEST

/* A peer that has the end and reads nothing: not acknowledged, not an end, not a busy
 * loop, although poll(2) says POLLHUP when its own end has come. */
START_TEST(i11_what_is_not_acknowledged_is_an_error_at_the_deadline)
{
	open_stream(ZCREQ_MODE_NEVER, 0);
	send_all();
	zcreq_turn(zcreq_conn_context(conn), zcreq_now_ns());
	ck_ok(shutdown(far, SHUT_WR));
	ck_ok(zcreq_conn_drain(conn, 500));
	turns = 0;
	run_until_closed(false, 5000);
	say("%u turns in 500 ms\n", turns);
	ck_assert_uint_lt(turns, 100);
	ck_assert_int_eq(closed_status, -ETIMEDOUT);
	ck_assert_int_eq(cause, ZCREQ_CAUSE_DRAIN_DEADLINE);
}
END_TEST

/* The peer's end came first: the state is LAST_ACK, then CLOSE. */
START_TEST(i11_the_peers_end_may_come_first)
{
	open_stream(ZCREQ_MODE_NEVER, 0);
	send_all();
	ck_ok(shutdown(far, SHUT_WR));
	ck_ok(zcreq_conn_drain(conn, 0));
	run_until_closed(true, 20000);
	while (received < BYTES)
		turn(true);
	ck_assert_int_eq(closed_status, 0);
}
END_TEST

/* It is a reset although the program has read the socket's error away. */
START_TEST(i11_a_reset_is_an_error_though_its_errno_was_read)
{
	const struct linger reset = {.l_onoff = 1};
	int error = 0, duplicate = dup(near);
	socklen_t len = sizeof(error);

	open_stream(ZCREQ_MODE_NEVER, 0);
	send_all();
	zcreq_turn(zcreq_conn_context(conn), zcreq_now_ns());
	ck_ok(zcreq_conn_drain(conn, 0));
	ck_ok(setsockopt(far, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)));
	close(far);
	far = -1;
	ck_ok(getsockopt(duplicate, SOL_SOCKET, SO_ERROR, &error, &len));
	ck_assert_int_eq(error, ECONNRESET);
	run_until_closed(false, 5000);
	ck_assert_int_eq(closed_status, -ECONNRESET);
	ck_assert_int_eq(cause, ZCREQ_CAUSE_RESET);
	close(duplicate);
}
END_TEST

/* close() of a socket with SO_LINGER waits in FIN_WAIT1: 3 s were 3,173 ms of the loop. */
START_TEST(close_does_not_wait_for_the_linger_time_of_the_program)
{
	const struct linger linger = {.l_onoff = 1, .l_linger = 3};
	uint64_t begin_ns, longest_ns = 0;

	ck_ok(setsockopt(near, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	open_stream(ZCREQ_MODE_NEVER, 0);
	send_all();
	zcreq_turn(zcreq_conn_context(conn), zcreq_now_ns());
	if (_i)
		ck_ok(zcreq_conn_abort(conn, -ECANCELED));
	else
		ck_ok(zcreq_conn_drain(conn, 0));
	while (!closed) {
		begin_ns = zcreq_now_ns();
		turn(!_i);
		if (zcreq_now_ns() - begin_ns > longest_ns)
			longest_ns = zcreq_now_ns() - begin_ns;
	}
	say("the longest turn took %llu ms\n", (unsigned long long)longest_ns / 1000000);
	ck_assert_uint_lt(longest_ns, UINT64_C(1500000000));
}
END_TEST

START_TEST(reading_goes_on_after_the_end)
{
	char byte = 0;

	open_stream(ZCREQ_MODE_NEVER, 0);
	ck_ok(zcreq_write(conn, "request", 7));
	ck_ok(zcreq_conn_end(conn));
	zcreq_turn(zcreq_conn_context(conn), zcreq_now_ns());
	ck_assert_int_eq((int)recv(far, sink, 8, MSG_WAITALL), 7);
	ck_assert_int_eq((int)send(far, "!", 1, 0), 1);
	ck_assert_int_eq((int)recv(zcreq_stream_fd(conn), &byte, 1, 0), 1);
	ck_assert_int_eq(byte, '!');
	ck_ok(zcreq_conn_drain(conn, 0));
	run_until_closed(true, 5000);
	ck_assert_int_eq(closed_status, 0);
}
END_TEST

static size_t answered;
static bool answer_ended;

static void on_readable(struct zcreq_conn *c, void *arg)
{
	ssize_t got = recv(zcreq_stream_fd(c), sink, 4096, MSG_DONTWAIT);

	(void)arg;
	answered += got > 0 ? (size_t)got : 0;
	if (got)
		return;
	answer_ended = true;
	ck_ok(zcreq_stream_reading(c, false));
}

static const struct zcreq_conn_hooks reader_hooks = {
	.closed = on_closed, .readable = on_readable,
};

/* Both ends are on their way before the answer is read, and poll(2) says POLLHUP. */
START_TEST(an_answer_after_the_end_is_read_to_its_end)
{
	const struct zcreq_stream_options options = {
		.size = sizeof(options), .fd = near, .hooks = &reader_hooks,
	};

	ck_ok(zcreq_stream_open(context, &options, &conn));
	ck_ok(zcreq_write(conn, "request", 7));
	ck_ok(zcreq_conn_end(conn));
	while (received < 7)
		turn(true);
	ck_assert_int_eq((int)send(far, memory, 100000, 0), 100000);
	ck_ok(shutdown(far, SHUT_WR));
	await_state(CLOSED);
	for (int i = 0; i < 200 && !answer_ended; i++)
		turn(false);
	ck_assert_uint_eq(answered, 100000);
	ck_assert(answer_ended);
	ck_assert_int_eq(zcreq_events(conn), 0);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_OPEN);
	ck_ok(zcreq_conn_drain(conn, 0));
	run_until_closed(false, 5000);
	ck_assert_int_eq(closed_status, 0);
}
END_TEST

/* Everything is acknowledged, and a request still waits for the program. */
START_TEST(a_reset_after_the_acknowledgement_is_an_error)
{
	const struct linger reset = {.l_onoff = 1};
	zcreq_id id;

	open_stream(ZCREQ_MODE_NEVER, 0);
	ck_ok(zcreq_begin(conn, &request_hooks, NULL, 0, &id));
	ck_ok(zcreq_write(conn, "request", 7));
	ck_ok(zcreq_conn_end(conn));
	while (received < 7)
		turn(true);
	while (info_of_near().tcpi_state != FIN_WAIT2)
		turn(false);
	ck_ok(setsockopt(far, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)));
	close(far);
	far = -1;
	for (int i = 0; i < 50 && zcreq_conn_state(conn) == ZCREQ_CONN_OPEN; i++)
		turn(false);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_ABORTING);
	ck_assert_int_eq(zcreq_conn_cause(conn), ZCREQ_CAUSE_RESET);
	ck_ok(zcreq_finish(context, id, 0));
	run_until_closed(false, 5000);
	ck_assert_int_eq(closed_status, -ECONNRESET);
}
END_TEST

/* ---- what the kernel says, without the library ---- */

static short revents_of_near(void)
{
	struct pollfd wait = {.fd = near, .events = POLLIN | POLLOUT};

	ck_assert_int_eq(poll(&wait, 1, 0), 1);
	return wait.revents;
}

/* FIN_WAIT2, then CLOSE with the peer's end: the end counts as a byte, and stays counted. */
START_TEST(the_kernel_counts_the_end_as_an_acknowledged_byte)
{
	uint64_t base = info_of_near().tcpi_bytes_acked;

	ck_assert_int_eq((int)send(near, memory, 1000, 0), 1000);
	ck_ok(shutdown(near, SHUT_WR));
	await_state(FIN_WAIT2);
	ck_assert_uint_eq(info_of_near().tcpi_bytes_acked, base + 1001);
	ck_assert_int_eq((int)recv(far, sink, 1000, MSG_WAITALL), 1000);
	ck_ok(close(far));
	far = -1;
	await_state(CLOSED);
	ck_assert_uint_eq(info_of_near().tcpi_bytes_acked, base + 1001);
	ck_ok(close(near));
}
END_TEST

/* CLOSE again, but by a death: some bytes were never acknowledged, and whoever reads takes the
 * error away. */
START_TEST(the_kernel_does_not_count_the_end_of_one_that_died)
{
	const struct linger hard = {.l_onoff = 1};
	uint64_t base = info_of_near().tcpi_bytes_acked;
	ssize_t sent = send(near, memory, BYTES, MSG_DONTWAIT);
	socklen_t len = sizeof(int);
	int error = -1;

	ck_assert_int_eq((int)sent, BYTES);
	ck_ok(shutdown(near, SHUT_WR));
	ck_assert_int_eq(info_of_near().tcpi_state, FIN_WAIT1);
	ck_ok(setsockopt(far, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)));
	ck_ok(close(far));
	far = -1;
	await_state(CLOSED);
	ck_assert_uint_lt(info_of_near().tcpi_bytes_acked, base + BYTES + 1);
	ck_assert_int_eq((int)recv(near, sink, 1, MSG_DONTWAIT), -1);
	ck_assert_int_eq(errno, ECONNRESET);
	ck_ok(getsockopt(near, SOL_SOCKET, SO_ERROR, &error, &len));
	ck_assert_int_eq(error, 0);
	ck_ok(close(near));
}
END_TEST

/* Nothing of it is acknowledged, and poll says that all is over; again and again. */
START_TEST(poll_says_hangup_while_both_ends_are_on_their_way)
{
	ck_assert_int_eq((int)send(near, memory, BYTES, MSG_DONTWAIT), BYTES);
	ck_assert_int_eq(revents_of_near() & POLLHUP, 0);
	ck_ok(shutdown(far, SHUT_WR));
	await_state(8); /* CLOSE_WAIT */
	ck_assert_int_eq(revents_of_near() & POLLHUP, 0);
	ck_ok(shutdown(near, SHUT_WR));
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(info_of_near().tcpi_state, LAST_ACK);
		ck_assert_int_eq(revents_of_near() & POLLHUP, POLLHUP);
	}
	ck_ok(close(near));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fin");
	TCase *fin = real_group(s, "fin", setup, teardown, NULL);
	TCase *kernel = real_group(s, "kernel", setup, teardown, NULL);

	tcase_add_loop_test(fin, i11_a_drain_loses_nothing_with_a_byte_unread, 0, 2);
	tcase_add_test(fin, i11_a_duplicate_of_the_descriptor_does_not_keep_the_stream_open);
	tcase_add_test(fin, i11_what_is_not_acknowledged_is_an_error_at_the_deadline);
	tcase_add_test(fin, i11_the_peers_end_may_come_first);
	tcase_add_test(fin, i11_a_reset_is_an_error_though_its_errno_was_read);
	tcase_add_loop_test(fin, close_does_not_wait_for_the_linger_time_of_the_program, 0, 2);
	tcase_add_test(fin, reading_goes_on_after_the_end);
	tcase_add_test(fin, an_answer_after_the_end_is_read_to_its_end);
	tcase_add_test(fin, a_reset_after_the_acknowledgement_is_an_error);
	tcase_add_test(kernel, the_kernel_counts_the_end_as_an_acknowledged_byte);
	tcase_add_test(kernel, the_kernel_does_not_count_the_end_of_one_that_died);
	tcase_add_test(kernel, poll_says_hangup_while_both_ends_are_on_their_way);
	return real_run(s, NULL);
}
