/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_servers.c - hello, and the examples with threads, with many subscribers and with
 * sockets of their own do what they say, and free what is to be freed
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "examples/server.h"
#include "real/real.h"

static uint8_t bytes[2 << 20];

START_TEST(hello_says_that_its_buffer_is_back)
{
	ck_ok(system("said=$(examples/hello) && [ \"${said#released, status 0}\" != \"$said\" ]"));
}
END_TEST

/* ---- rpc-threads ---- */

static void start_rpc(void)
{
	server_start("rpc-threads", (const char *const[]){"0.0.0.0:0", NULL});
}

static void call(int fd, uint32_t number, uint32_t len)
{
	const uint32_t words[2] = {htonl(number), htonl(len)};

	client_send(fd, words, sizeof(words));
}

/* Any answer; returns its number. */
static uint32_t expect_answer(int fd, uint32_t *len)
{
	uint32_t words[2], value;

	client_read(fd, words, sizeof(words));
	*len = ntohl(words[1]);
	expect(*len <= sizeof(bytes));
	client_read(fd, bytes, *len);
	value = words[0];
	for (uint32_t i = 0; i < *len; i++) {
		for (int round = 0; round < 16; round++)
			value = value * 1664525 + 1013904223;
		expect(bytes[i] == (uint8_t)(value >> 24));
	}
	return ntohl(words[0]);
}

static void call_small(int fd)
{
	uint32_t len;

	call(fd, 7, 100);
	ck_assert_uint_eq(expect_answer(fd, &len), 7);
	ck_assert_uint_eq(len, 100);
}

START_TEST(each_call_is_answered_once_in_any_order)
{
	enum { CALLS = 60 };
	uint32_t sum = 0, len;
	int fd;

	start_rpc();
	fd = client_connect(NET_FAR);
	for (uint32_t i = 0; i < CALLS; i++)
		call(fd, i, i % 5 ? i * 1000 : 1 << 20);
	for (uint32_t i = 0; i < CALLS; i++) {
		uint32_t number = expect_answer(fd, &len);

		ck_assert_uint_lt(number, CALLS);
		ck_assert_uint_eq(len, number % 5 ? number * 1000 : 1 << 20);
		sum += 1 + number;
	}
	ck_assert_uint_eq(sum, CALLS * (CALLS + 1) / 2);
	/* calls before the end of the client's stream are answered, in full */
	for (uint32_t i = 0; i < 5; i++)
		call(fd, i, 500000);
	ck_ok(shutdown(fd, SHUT_WR));
	for (uint32_t i = 0; i < 5; i++)
		expect_answer(fd, &len);
	client_expect_end(fd);
	server_says("10.9.0.2", "gone: drained; 65 calls, 0 cancelled, 0 now");
	server_stop();
}
END_TEST

START_TEST(a_call_that_makes_no_sense_ends_its_client_alone)
{
	int far, near;
	char byte;

	start_rpc();
	far = client_connect(NET_FAR);
	near = client_connect(NET_NEAR);
	call(far, 1, (1 << 20) + 1);
	ck_assert_int_le(recv(far, &byte, 1, 0), 0);
	server_says("10.9.0.2", "gone: aborted");
	call_small(near);
	server_stop();
}
END_TEST

/* Resets with a short call answered and long ones behind it; returns how many of those
 * had begun, in the queue or with a worker, and did not get their answer out. */
static unsigned long reset_with_jobs(void)
{
	const struct linger none = {.l_onoff = 1};
	struct sockaddr_in self;
	socklen_t size = sizeof(self);
	uint32_t words[16], len;
	const char *line;
	char name[32];
	int fd = client_connect(NET_FAR);

	ck_ok(getsockname(fd, (struct sockaddr *)&self, &size));
	snprintf(name, sizeof(name), "10.9.0.2:%u ", ntohs(self.sin_port));
	for (uint32_t i = 0; i < 8; i++) {
		words[2 * i] = htonl(i);
		words[2 * i + 1] = htonl(i ? 1 << 20 : 1);
	}
	client_send(fd, words, sizeof(words));
	ck_assert_uint_eq(expect_answer(fd, &len), 0);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	close(fd);
	line = server_says(name, "gone: reset");
	ck_assert_uint_eq(server_number(line, " now"), 0);
	return server_number(line, " cancelled");
}

/* Requests that are open wait for their owner. How many of the calls have begun when the
 * reset comes is the machine's to say, but not that it is none again and again. */
START_TEST(a_client_that_resets_leaves_its_jobs_to_be_finished)
{
	unsigned long cancelled = 0;
	int near;

	start_rpc();
	near = client_connect(NET_NEAR);
	for (int i = 0; i < 10; i++) {
		cancelled += reset_with_jobs();
		call_small(near);
	}
	ck_assert_uint_gt(cancelled, 0);
	server_stop();
}
END_TEST

START_TEST(a_client_that_vanishes_gets_no_answer_and_keeps_no_job)
{
	int far, near;

	start_rpc();
	far = client_connect(NET_FAR);
	near = client_connect(NET_NEAR);
	call_small(far);
	for (uint32_t i = 0; i < 100; i++)
		call(far, i, 1 << 20);
	client_read(far, bytes, 100000);
	client_vanishes(far, call_small, near);
	server_stop();
}
END_TEST

START_TEST(rpc_ends_with_jobs_under_way)
{
	int fd;

	start_rpc();
	fd = client_connect(NET_FAR);
	call_small(fd);
	for (uint32_t i = 0; i < 5; i++)
		call(fd, i, 1 << 20);
	client_read(fd, bytes, 8); /* it has begun */
	client_read(fd, bytes, 1 << 20);
	server_ask_to_end();
	while (recv(fd, bytes, sizeof(bytes), 0) > 0)
		;
	server_says("10.9.0.2", "gone: drained");
	server_has_ended();
}
END_TEST

static uint64_t processor_ms(void)
{
	struct timespec used;
	clockid_t clock;

	ck_ok(clock_getcpuclockid(server.pid, &clock));
	ck_ok(clock_gettime(clock, &used));
	return (uint64_t)used.tv_sec * 1000 + (uint64_t)used.tv_nsec / 1000000;
}

/* Those who have no place yet make the listener readable all the time. */
START_TEST(a_server_without_descriptors_waits_for_some)
{
	enum { CLIENTS = 60 };
	const struct rlimit few = {32, 32};
	uint64_t before_ms;
	int fds[CLIENTS];

	start_rpc();
	ck_ok(prlimit(server.pid, RLIMIT_NOFILE, &few, NULL));
	for (int i = 0; i < CLIENTS; i++)
		fds[i] = client_connect(NET_NEAR);
	call_small(fds[0]);
	before_ms = processor_ms();
	sleep(1);
	ck_assert_uint_lt(processor_ms() - before_ms, 200);
	for (int i = 0; i < CLIENTS; i++)
		close(fds[i]);
	call_small(client_connect(NET_NEAR));
	server_stop();
}
END_TEST

/* ---- fanout ---- */

#define MESSAGE_BYTES 65536u

static void start_fanout(void)
{
	server_start("fanout", (const char *const[]){"0.0.0.0:0", "5", "65536", NULL});
}

/* The next message; returns its number. */
static uint32_t expect_message(int fd)
{
	uint32_t words[2];

	client_read(fd, words, sizeof(words));
	ck_assert_uint_eq(ntohl(words[1]), MESSAGE_BYTES);
	client_read(fd, bytes, MESSAGE_BYTES);
	for (uint32_t i = 0; i < MESSAGE_BYTES; i++)
		expect(bytes[i] == (uint8_t)ntohl(words[0]));
	return ntohl(words[0]);
}

static void take_message(int fd)
{
	expect_message(fd);
}

/* What was published is released to the last, however its subscribers ended. */
static void stop_fanout(void)
{
	const char *line;
	unsigned long published;

	server_stop();
	line = server_says(" published", " freed");
	published = server_number(line, " published");
	ck_assert_uint_gt(published, 0);
	ck_assert_uint_eq(published, server_number(line, " freed"));
}

START_TEST(each_subscriber_gets_each_message)
{
	enum { SUBSCRIBERS = 20, MESSAGES = 20 };
	uint32_t first[SUBSCRIBERS];
	int fds[SUBSCRIBERS];

	start_fanout();
	for (int i = 0; i < SUBSCRIBERS; i++) {
		fds[i] = client_connect(i % 2 ? NET_FAR : NET_NEAR);
		first[i] = expect_message(fds[i]);
	}
	for (uint32_t n = 1; n < MESSAGES; n++) {
		/* in turn, so that all of them keep up; what one misses shows in the numbers */
		for (int i = 0; i < SUBSCRIBERS; i++)
			ck_assert_uint_ge(expect_message(fds[i]), first[i] + n);
	}
	for (int i = 0; i < SUBSCRIBERS; i++)
		close(fds[i]);
	stop_fanout();
}
END_TEST

START_TEST(a_slow_subscriber_misses_messages_and_keeps_a_bounded_number)
{
	uint32_t last, number, gaps = 0;
	int slow, fast;

	start_fanout();
	slow = client_connect(NET_FAR);
	fast = client_connect(NET_NEAR);
	last = expect_message(slow);
	for (int i = 0; i < 400; i++) /* far more than fit into socket and limit */
		expect_message(fast);
	/* all that came is whole and in order, and some are missing */
	for (int i = 0; i < 400 && !gaps; i++) {
		number = expect_message(slow);
		ck_assert_uint_gt(number, last);
		gaps += number != last + 1;
		last = number;
	}
	ck_assert_uint_gt(gaps, 0);
	close(slow);
	ck_assert_uint_gt(server_number(server_says("10.9.0.2", "gone: "), " missed"), 0);
	stop_fanout();
}
END_TEST

START_TEST(a_subscriber_that_vanishes_keeps_no_message)
{
	int far, near;

	start_fanout();
	far = client_connect(NET_FAR);
	near = client_connect(NET_NEAR);
	expect_message(far);
	client_vanishes(far, take_message, near);
	stop_fanout();
}
END_TEST

/* ---- own-sockets ---- */

#define BLOCK_BYTES (256u << 10)

static void start_own(void)
{
	server_start("own-sockets", (const char *const[]){"0.0.0.0:0", NULL});
}

static void expect_block(int fd, unsigned number)
{
	client_read(fd, bytes, BLOCK_BYTES);
	for (uint32_t i = 0; i < BLOCK_BYTES; i++)
		expect(bytes[i] == (uint8_t)number);
}

static void ask_block(int fd)
{
	static unsigned number;

	client_send(fd, "b", 1);
	expect_block(fd, number++);
}

START_TEST(blocks_arrive_whole_through_the_frameworks_own_sends)
{
	char calls[200] = {0};
	int fd;

	start_own();
	fd = client_connect(NET_FAR);
	client_send(fd, calls, 1);
	expect_block(fd, 0);
	client_send(fd, calls, sizeof(calls));
	ck_ok(shutdown(fd, SHUT_WR));
	for (unsigned i = 1; i <= sizeof(calls); i++)
		expect_block(fd, i);
	client_expect_end(fd);
	server_says("10.9.0.2", "gone: drained; 201 blocks, 0 now");
	server_stop();
}
END_TEST

START_TEST(own_sockets_give_back_what_a_client_has_that_vanishes)
{
	int far, near;

	start_own();
	far = client_connect(NET_FAR);
	near = client_connect(NET_NEAR);
	client_send(far, bytes, 200);
	client_read(far, bytes, BLOCK_BYTES);
	client_vanishes(far, ask_block, near);
	server_stop();
}
END_TEST

START_TEST(own_sockets_survive_a_reset_and_an_end_with_blocks_under_way)
{
	const struct linger none = {.l_onoff = 1};
	int fd;

	start_own();
	fd = client_connect(NET_FAR);
	client_send(fd, bytes, 200);
	client_read(fd, bytes, BLOCK_BYTES);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	close(fd);
	server_says("10.9.0.2", " 0 now");
	fd = client_connect(NET_FAR);
	client_send(fd, bytes, 200);
	client_read(fd, bytes, BLOCK_BYTES);
	server_stop();
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("examples: servers");
	TCase *group;

	group = real_group(suite, "hello", server_setup, server_teardown, NULL);
	tcase_add_test(group, hello_says_that_its_buffer_is_back);
	group = real_group(suite, "rpc-threads", server_setup, server_teardown, NULL);
	tcase_add_test(group, each_call_is_answered_once_in_any_order);
	tcase_add_test(group, a_call_that_makes_no_sense_ends_its_client_alone);
	tcase_add_test(group, a_client_that_resets_leaves_its_jobs_to_be_finished);
	tcase_add_test(group, a_client_that_vanishes_gets_no_answer_and_keeps_no_job);
	tcase_add_test(group, rpc_ends_with_jobs_under_way);
	tcase_add_test(group, a_server_without_descriptors_waits_for_some);
	group = real_group(suite, "fanout", server_setup, server_teardown, NULL);
	tcase_add_test(group, each_subscriber_gets_each_message);
	tcase_add_test(group, a_slow_subscriber_misses_messages_and_keeps_a_bounded_number);
	tcase_add_test(group, a_subscriber_that_vanishes_keeps_no_message);
	group = real_group(suite, "own-sockets", server_setup, server_teardown, NULL);
	tcase_add_test(group, blocks_arrive_whole_through_the_frameworks_own_sends);
	tcase_add_test(group, own_sockets_give_back_what_a_client_has_that_vanishes);
	tcase_add_test(group, own_sockets_survive_a_reset_and_an_end_with_blocks_under_way);
	return real_run(suite, NULL);
}
