/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_end.c - how a queue and a controller end, and that nothing of them acts afterwards
 *
 * A host that leaves in order is never met by a reset, nor left before it leaves, whichever of
 * the usual orders it keeps to. A host that is lost has a time, which Identify tells (CQT),
 * after which no Write of it changes anything.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"
#include "support/witness.h"

#define BLOCK 4096u
#define CC_ENABLED 0x460001
#define CC_SHUT_DOWN 0x464001
#define CSTS 0x1c
#define CC 0x14

/* --- in order -------------------------------------------------------------------- */

/* What the target sends from now on, until it closes or resets: 0 or ECONNRESET. */
static int read_to_the_end(struct ini_queue *queue, size_t *bytes)
{
	struct pollfd poller = { .fd = queue->fd, .events = POLLIN };
	uint8_t some[4096];
	ssize_t n;

	for (*bytes = 0;; *bytes += (size_t)n) {
		ck_assert_int_eq(poll(&poller, 1, INI_WAIT_MS), 1);
		n = recv(queue->fd, some, sizeof(some), 0);
		if (n <= 0)
			return n < 0 ? errno : 0;
	}
}

static void closes_in_order(struct ini_queue *queue)
{
	size_t bytes;

	ck_assert_int_eq(shutdown(queue->fd, SHUT_WR), 0);
	ck_assert_int_eq(read_to_the_end(queue, &bytes), 0);
	ck_assert_uint_eq(bytes, 0);
}

static void is_silent_for(struct ini_queue *queue, int ms)
{
	struct pollfd poller = { .fd = queue->fd, .events = POLLIN };

	ck_assert_int_eq(poll(&poller, 1, ms), 0);
}

static uint64_t property(struct ini_queue *admin, uint32_t offset)
{
	uint64_t value;

	ck_assert_int_eq(ini_property_get(admin, offset, &value), 0);
	return value;
}

/* Event requests that wait, I/O queues closed without a Disconnect, a shutdown that is asked
 * after until it is complete, and then the admin queue: SPDK's order. */
START_TEST(host_that_leaves_is_left_by_nobody_before)
{
	struct ini_controller *controller = fixture_connect(1, 3, 32);
	struct wire_sqe event = { .opcode = 0x0c };
	struct ini_queue *admin = controller->queues[0];

	for (int i = 0; i < 4; i++)
		ck_assert(ini_submit(admin, &event, NULL, 0, false, 0, NULL, NULL));
	fixture_serves(controller);
	for (int qid = 1; qid <= 3; qid++)
		closes_in_order(controller->queues[qid]);
	ck_assert_uint_eq(property(admin, CC), CC_ENABLED);
	ck_assert_uint_eq(property(admin, CSTS), 1);
	ck_assert_int_eq(ini_property_set(admin, CC, CC_SHUT_DOWN), 0);
	ck_assert_uint_eq(property(admin, CSTS), 2 << 2 | 1);
	is_silent_for(admin, 300);
	ck_assert_uint_eq(property(admin, CSTS), 2 << 2 | 1);
	closes_in_order(admin);
	ck_assert(target_log_find(&fixture_target, 0, "controller-gone", "reason=\"disconnected\"",
				  INI_WAIT_MS, NULL));
	ck_assert_int_eq(target_log_count(&fixture_target, 0, "disconnect", NULL), 4);
	ck_assert_int_eq(target_log_count(&fixture_target, 0, "abort", NULL), 0);
	ck_assert_int_eq(target_log_count(&fixture_target, 0, "protocol", NULL), 0);
	ini_controller_close(controller, false);
}
END_TEST

/* The answer to Disconnect is the last that comes on the queue, and the others stay. */
START_TEST(disconnect_is_answered_and_ends_its_queue)
{
	struct ini_controller *controller = fixture_connect(1, 2, 32);
	struct wire_sqe disconnect = { .opcode = 0x7f, .nsid = 0x08 };
	size_t bytes;

	ck_assert_int_eq(ini_wait(controller->queues[2], &disconnect, NULL, 0, false, 0, NULL, INI_WAIT_MS),
			 0);
	if (!controller->queues[2]->ended) {
		ck_assert_int_eq(read_to_the_end(controller->queues[2], &bytes), 0);
		ck_assert_uint_eq(bytes, 0);
	}
	fixture_serves(controller);
	ck_assert(ini_controller_shutdown(controller));
}
END_TEST

/* Before the shutdown it has to, see check_commands. */
START_TEST(host_that_has_shut_down_need_not_keep_alive)
{
	struct ini_host host = target_host(&fixture_target, 1, 0, 32);
	struct ini_controller *controller;
	struct ini_queue *admin;

	host.keep_alive_ms = 300;
	controller = fixture_connect_host(&host);
	admin = controller->queues[0];
	ck_assert_int_eq(ini_property_set(admin, CC, CC_SHUT_DOWN), 0);
	is_silent_for(admin, 1000);
	ck_assert_uint_eq(property(admin, CSTS), 2 << 2 | 1);
	/* and has to again when it has come back */
	ck_assert_int_eq(ini_property_set(admin, CC, 0), 0);
	ck_assert_int_eq(ini_property_set(admin, CC, CC_ENABLED), 0);
	ck_assert(fixture_wait_end(admin, INI_WAIT_MS));
	ck_assert_int_eq(target_log_count(&fixture_target, 0, "keep-alive", NULL), 1);
	ini_controller_close(controller, false);
}
END_TEST

/* --- lost ------------------------------------------------------------------------ */

#define QUEUES 6
#define DEPTH 32
#define LOST_MS 300
#define REGION 16u /* blocks that both hosts write */
#define ROUNDS 4

static char path[] = "check_end.XXXXXX";

static void start_threads(void)
{
	static char spec[64];
	static const char *const arguments[] = { "--listen", "127.0.0.1:0", "--namespace", "mem:64M",
						 "--namespace", spec, "--threads", "3", NULL };

	close(mkstemp(path));
	snprintf(spec, sizeof(spec), "file:%s:%u", path, 16u << 20);
	ck_assert(target_start(&fixture_target, -1, arguments));
}

static void stop_threads(void)
{
	fixture_stop();
	unlink(path);
	strcpy(path, "check_end.XXXXXX");
}

/* As the specification has it: bytes 387:386 of Identify Controller. */
static int quiesce_ms(struct ini_controller *controller)
{
	static uint8_t page[BLOCK];

	ck_assert_int_eq(ini_identify(controller, 0x01, 0, page), 0);
	return page[386] | page[387] << 8;
}

static void sleep_until(uint64_t ns)
{
	while (ini_now_ns() < ns)
		poll(NULL, 0, 1);
}

/* Writes of one block, and of four that the target has to ask for, as many as fit. */
static void push(struct ini_controller *lost, uint32_t nsid)
{
	static uint8_t data[4 * BLOCK];

	memset(data, 1, sizeof(data));
	for (int qid = 1; qid <= QUEUES; qid++) {
		struct wire_sqe one = ini_block_sqe(0x01, nsid, (uint64_t)qid, 1);
		struct wire_sqe four = ini_block_sqe(0x01, nsid, (uint64_t)qid * 2, 4);

		while (!lost->queues[qid]->ended &&
		       ini_submit(lost->queues[qid], &one, data, BLOCK, true, lost->in_capsule, NULL, NULL) &&
		       ini_submit(lost->queues[qid], &four, data, 4 * BLOCK, true, lost->in_capsule, NULL,
				  NULL))
			;
	}
	ini_poll(lost->queues + 1, QUEUES, 0);
}

/* The host writes on without a Keep Alive until it is given up, and goes on: what it sends
 * afterwards, and what is on its way, may act until the time is over. */
static void lose(struct ini_controller *lost, uint32_t nsid, int cqt, off_t from)
{
	uint64_t end = ini_now_ns() + UINT64_C(10000000000);

	while (!target_log_find(&fixture_target, from, "keep-alive", NULL, 0, NULL)) {
		ck_assert_uint_lt(ini_now_ns(), end);
		push(lost, nsid);
	}
	end = ini_now_ns() + (uint64_t)cqt * 1000000;
	while (ini_now_ns() < end)
		push(lost, nsid);
}

/* 1: in memory, 2: in a file */
START_TEST(no_write_acts_after_the_command_quiesce_time)
{
	struct ini_controller *other = fixture_connect(2, 1, 16), *lost;
	uint32_t nsid = (uint32_t)_i;
	static uint8_t data[REGION * BLOCK];
	struct ini_host host;
	char line[512];
	int cqt = quiesce_ms(other);

	ck_assert_int_gt(cqt, 0);
	witness_start();
	for (int round = 0; round < ROUNDS; round++) {
		off_t from = target_log_end(&fixture_target);

		host = target_host(&fixture_target, 1, QUEUES, DEPTH);
		host.keep_alive_ms = LOST_MS;
		lost = fixture_connect_host(&host);
		witness_lost_ms();
		lose(lost, nsid, cqt, from);
		sleep_until(ini_now_ns() + (uint64_t)witness_lost_ms() * 1000000);
		memset(data, 2, sizeof(data));
		ck_assert_int_eq(ini_transfer(other, 1, 0x01, nsid, 0, REGION, data, sizeof(data)), 0);
		for (uint64_t end = ini_now_ns() + 50000000; ini_now_ns() < end;)
			push(lost, nsid);
		ck_assert_int_eq(ini_transfer(other, 1, 0x02, nsid, 0, REGION, data, sizeof(data)), 0);
		for (size_t i = 0; i < sizeof(data); i++)
			ck_assert_msg(data[i] == 2, "round %d: byte %zu was written later", round, i);
		ck_assert(target_log_find(&fixture_target, from, "controller-gone", NULL, INI_WAIT_MS, line));
		printf("namespace %u, round %d: CQT %d ms, %s\n", nsid, round, cqt, strstr(line, "end_ms"));
		ini_controller_close(lost, false);
	}
	ini_controller_close(other, false);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nvme end");
	TCase *order = tcase_create("in order"), *loss = tcase_create("lost");

	target_need();
	tcase_add_checked_fixture(order, fixture_start, fixture_stop);
	tcase_set_timeout(order, 60);
	tcase_add_test(order, host_that_leaves_is_left_by_nobody_before);
	tcase_add_test(order, disconnect_is_answered_and_ends_its_queue);
	tcase_add_test(order, host_that_has_shut_down_need_not_keep_alive);
	suite_add_tcase(suite, order);
	tcase_add_checked_fixture(loss, start_threads, stop_threads);
	tcase_set_timeout(loss, 120);
	tcase_add_loop_test(loss, no_write_acts_after_the_command_quiesce_time, 1, 3);
	suite_add_tcase(suite, loss);
	return fixture_run(suite);
}
