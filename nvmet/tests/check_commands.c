/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * check_commands.c - what commands do and the status that wrong ones get
 *
 * Reads and writes of all sizes with every combination of digests, the status of
 * commands that cannot be done, Connect, Abort, events, and the keep-alive.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crc32c.h"
#include "fixture.h"

#define ANSWER_MS INI_WAIT_MS

static int wait_command(struct ini_queue *queue, struct wire_sqe sqe, void *data, uint32_t len,
			struct wire_cqe *cqe)
{
	int status = ini_wait(queue, &sqe, data, len, sqe.opcode & 1, 4096, cqe, ANSWER_MS);

	ck_assert_msg(status != INI_NO_ANSWER, "opcode 0x%x: %s", sqe.opcode, queue->reason);
	return status;
}

/* --- data ---------------------------------------------------------------- */

START_TEST(every_size_reads_back_as_written)
{
	struct ini_host host = target_host(&fixture_target, 1, 2, 32);
	struct ini_controller *controller;
	uint8_t *written, *read;
	uint32_t size, most = 1 << 20;

	host.options.hdgst = _i & 1;
	host.options.ddgst = _i & 2;
	controller = fixture_connect_host(&host);
	size = fixture_block_size(controller);
	if (most > controller->max_transfer)
		most = controller->max_transfer;
	written = malloc(most);
	read = malloc(most);
	for (uint32_t len = size; len <= most; len += len < 32 * size ? size : 17 * size) {
		uint32_t nsid = len / size % 2 + 1, blocks = len / size;

		for (uint32_t i = 0; i < len; i++)
			written[i] = (uint8_t)(i * 7 + i / 251 + len);
		ck_assert_int_eq(ini_transfer(controller, 1, nvme_cmd_write, nsid, blocks, blocks,
					      written, len), 0);
		memset(read, 0, len);
		ck_assert_msg(ini_transfer(controller, 2, nvme_cmd_read, nsid, blocks, blocks, read,
					   len) == 0, "%u bytes: %s", len, controller->queues[2]->reason);
		ck_assert_msg(!memcmp(written, read, len), "%u bytes differ", len);
	}
	free(written);
	free(read);
	ck_assert(ini_controller_shutdown(controller));
}
END_TEST

START_TEST(mixed_load_over_four_queues_is_right)
{
	struct ini_host host = target_host(&fixture_target, 1, 4, 64);
	struct ini_controller *controller;
	struct stamps stamps;
	struct load load;

	host.options.hdgst = _i & 1;
	host.options.ddgst = _i & 2;
	controller = fixture_connect_host(&host);
	fixture_stamps(&stamps, controller, 1, 16 << 20);
	load_start(&load, controller, &stamps, LOAD_MIXED, 4 + (uint32_t)_i, 32);
	load_run(&load, NULL, 500);
	ck_assert(load_stop(&load, "mixed load"));
	stamps_deinit(&stamps);
	ck_assert(ini_controller_shutdown(controller));
}
END_TEST

START_TEST(wrong_data_digest_fails_the_write_only)
{
	struct ini_host host = target_host(&fixture_target, 1, 1, 16);
	struct ini_controller *controller;
	struct ini_queue *queue;
	uint32_t size;
	uint8_t *data, *read;

	host.options.ddgst = true;
	controller = fixture_connect_host(&host);
	queue = controller->queues[1];
	size = fixture_block_size(controller);
	data = malloc(size);
	read = malloc(size);
	memset(data, 1, size);
	ck_assert_int_eq(ini_transfer(controller, 1, nvme_cmd_write, 1, 3, 1, data, size), 0);
	memset(data, 2, size);
	/* with in-capsule data: header, data, digest; the fault is in the last byte */
	queue->fault = (struct ini_fault){ INI_FAULT_XOR, queue->sent_total + 72 + size + 3, 0x10 };
	if (controller->in_capsule < size)
		queue->fault.offset += 24;
	ck_assert_int_eq(ini_transfer(controller, 1, nvme_cmd_write, 1, 3, 1, data, size),
			 NVME_SC_TRAN_TPORT_ERROR);
	ck_assert_int_eq(ini_transfer(controller, 1, nvme_cmd_read, 1, 3, 1, read, size), 0);
	for (uint32_t i = 0; i < size; i++)
		ck_assert_int_eq(read[i], 1);
	free(data);
	free(read);
	ini_controller_close(controller, false);
}
END_TEST

/* By the offsets of the specification: the newest entry of 64 bytes comes first. */
START_TEST(error_log_tells_what_failed_and_whose_error_it_is)
{
	struct ini_host host = target_host(&fixture_target, 1, 1, 16);
	struct wire_sqe log = { .opcode = 0x02, .nsid = 0xffffffff, .cdw10 = 0x01 | 31u << 16 };
	struct ini_controller *controller;
	struct ini_queue *queue;
	uint8_t entries[128], *data;
	uint32_t size;

	host.options.ddgst = true;
	controller = fixture_connect_host(&host);
	queue = controller->queues[1];
	size = fixture_block_size(controller);
	data = calloc(1, size);
	ck_assert_int_eq(ini_transfer(controller, 1, 0x02, 2, 0x1122334455, 1, data, size), 0x80);
	queue->fault = (struct ini_fault){ INI_FAULT_XOR, queue->sent_total + 72 + 9, 0x10 };
	ck_assert_int_eq(ini_transfer(controller, 1, 0x01, 1, 3, 1, data, size), 0x22);
	ck_assert_int_eq(wait_command(controller->queues[0], log, entries, sizeof(entries), NULL), 0);
	for (int i = 0; i < 2; i++) {
		const uint8_t *entry = entries + 64 * i;
		const uint8_t lba[8] = { i ? 0x55 : 3, i ? 0x44 : 0, i ? 0x33 : 0, i ? 0x22 : 0, i ? 0x11 : 0 };

		ck_assert_uint_eq(entry[0], 2u - (unsigned)i); /* which error it was */
		ck_assert_uint_eq(entry[8] | entry[9] << 8, 1); /* SQID */
		ck_assert_uint_eq((entry[12] | entry[13] << 8) >> 1 & 0x7ff, i ? 0x80 : 0x22);
		ck_assert_uint_eq(entry[14] | entry[15] << 8, 0xffff); /* no parameter is told */
		ck_assert_int_eq(memcmp(entry + 16, lba, 8), 0);
		ck_assert_uint_eq(entry[24], i ? 2 : 1); /* NSID */
		ck_assert_uint_eq(entry[29], i ? 0 : 3); /* TRTYPE: TCP, if it is the transport's */
	}
	free(data);
	ini_controller_close(controller, false);
}
END_TEST

START_TEST(other_block_commands)
{
	struct ini_controller *controller = fixture_connect(1, 1, 16);
	struct ini_queue *queue = controller->queues[1];
	uint32_t size = fixture_block_size(controller);
	struct nvme_dsm_range range = { .nlb = 4, .slba = 40 };
	struct wire_sqe dsm = { .opcode = nvme_cmd_dsm, .nsid = 1, .cdw11 = 4 };
	uint8_t *data = malloc(4 * size), *zero = calloc(4, size);

	memset(data, 3, 4 * size);
	ck_assert_int_eq(ini_transfer(controller, 1, nvme_cmd_write, 1, 40, 4, data, 4 * size), 0);
	ck_assert_int_eq(ini_transfer(controller, 1, nvme_cmd_compare, 1, 40, 4, data, 4 * size), 0);
	ck_assert_int_eq(ini_transfer(controller, 1, nvme_cmd_compare, 1, 40, 4, zero, 4 * size),
			 NVME_SCT_MEDIA << NVME_SCT_SHIFT | NVME_SC_COMPARE_FAILED);
	ck_assert_int_eq(wait_command(queue, ini_block_sqe(nvme_cmd_write_zeroes, 1, 40, 2), NULL, 0,
				      NULL), 0);
	ck_assert_int_eq(ini_transfer(controller, 1, nvme_cmd_read, 1, 40, 4, data, 4 * size), 0);
	ck_assert_msg(!memcmp(data, zero, 2 * size) && data[2 * size] == 3, "write zeroes");
	ck_assert_int_eq(ini_wait(queue, &dsm, &range, sizeof(range), true, sizeof(range), NULL,
				  ANSWER_MS), 0);
	ck_assert_int_eq(wait_command(queue, (struct wire_sqe){ .opcode = nvme_cmd_flush, .nsid = 1 },
				      NULL, 0, NULL), 0);
	free(data);
	free(zero);
	ini_controller_close(controller, false);
}
END_TEST

/* --- the status of what cannot be done -------------------------------------- */

#define GENERIC(code) (NVME_SC_##code)
#define SPECIFIC(code) (NVME_SCT_CMD_SPECIFIC << NVME_SCT_SHIFT | NVME_SC_##code)

static const struct refused {
	const char *name;
	int queue;
	struct wire_sqe sqe;
	uint32_t len;
	int status[3]; /**< any of these is right */
} refused[] = {
	{ "unknown I/O opcode", 1, { .opcode = 0x7c, .nsid = 1 }, 0, { GENERIC(INVALID_OPCODE) } },
	{ "unknown admin opcode", 0, { .opcode = 0x70 }, 0, { GENERIC(INVALID_OPCODE) } },
	{ "unknown fabrics type", 0, { .opcode = 0x7f, .nsid = 0x70 }, 0,
	  { GENERIC(INVALID_FIELD), GENERIC(INVALID_OPCODE) } },
	{ "read of namespace 9", 1, { .opcode = 2, .nsid = 9 }, 4096, { GENERIC(INVALID_NS) } },
	{ "read of namespace 0", 1, { .opcode = 2 }, 4096, { GENERIC(INVALID_NS) } },
	{ "flush of namespace 9", 1, { .opcode = 0, .nsid = 9 }, 0, { GENERIC(INVALID_NS) } },
	{ "read past the end", 1, { .opcode = 2, .nsid = 1, .cdw11 = 1 }, 4096, { GENERIC(LBA_RANGE) } },
	{ "read that wraps", 1, { .opcode = 2, .nsid = 1, .cdw10 = ~0u, .cdw11 = ~0u, .cdw12 = 1 }, 8192,
	  { GENERIC(LBA_RANGE) } },
	{ "write past the end", 1, { .opcode = 1, .nsid = 1, .cdw11 = 1 }, 4096, { GENERIC(LBA_RANGE) } },
	{ "read of more than its buffer", 1, { .opcode = 2, .nsid = 1, .cdw12 = 31 }, 4096,
	  { GENERIC(SGL_INVALID_DATA), GENERIC(INVALID_FIELD) } },
	{ "write of more than its data", 1, { .opcode = 1, .nsid = 1, .cdw12 = 31 }, 4096,
	  { GENERIC(SGL_INVALID_DATA), GENERIC(INVALID_FIELD) } },
	{ "identify of an unknown kind", 0, { .opcode = 6, .cdw10 = 0xf0 }, 4096, { GENERIC(INVALID_FIELD) } },
	{ "identify of namespace 9", 0, { .opcode = 6, .nsid = 9, .cdw10 = 3 }, 4096, { GENERIC(INVALID_NS) } },
	{ "unknown log page", 0, { .opcode = 2, .cdw10 = 0x03ff00bf }, 4096,
	  { SPECIFIC(INVALID_LOG_PAGE), GENERIC(INVALID_FIELD) } },
	{ "unknown feature", 0, { .opcode = 0xa, .cdw10 = 0xb0 }, 0, { GENERIC(INVALID_FIELD) } },
	{ "setting an unknown feature", 0, { .opcode = 9, .cdw10 = 0xb0 }, 0, { GENERIC(INVALID_FIELD) } },
	{ "property that does not exist", 0, { .opcode = 0x7f, .nsid = 4, .cdw11 = 0x3000 }, 0,
	  { GENERIC(INVALID_FIELD) } },
	{ "connect on a connected queue", 1, { .opcode = 0x7f, .nsid = 1, .cdw10 = 1 << 16, .cdw11 = 31 }, 1024,
	  { GENERIC(CMD_SEQ_ERROR), SPECIFIC(CONNECT_INVALID_PARAM), GENERIC(INVALID_OPCODE) } },
};

#define REFUSED ((int)(sizeof(refused) / sizeof(refused[0])))

START_TEST(what_cannot_be_done_gets_the_right_status)
{
	const struct refused *test = &refused[_i];
	struct ini_controller *controller = fixture_connect(1, 1, 32);
	static uint8_t data[8192];
	int status = wait_command(controller->queues[test->queue], test->sqe, test->len ? data : NULL,
				  test->len, NULL);
	bool right = status && (status == test->status[0] || status == test->status[1] ||
				status == test->status[2]);

	ck_assert_msg(right, "%s: status 0x%x", test->name, (unsigned)status);
	fixture_serves(controller);
	ck_assert(ini_controller_shutdown(controller));
}
END_TEST

/* --- Connect ---------------------------------------------------------------- */

static int try_connect(struct ini_host host, uint16_t id, uint16_t controller)
{
	struct ini_queue *queue = ini_open(&host.options, id, host.depth ? host.depth : 32, ANSWER_MS);
	uint16_t got;
	int status;

	ck_assert_msg(!queue->ended, "%s", queue->reason);
	status = ini_connect(queue, &host, controller, &got);
	ini_close(queue, false);
	return status;
}

START_TEST(connect_is_refused_when_it_should)
{
	struct ini_controller *controller = fixture_connect(1, 1, 32);
	struct ini_host host = target_host(&fixture_target, 1, 1, 32), other = host;

	other.host = 2;
	ck_assert_int_ne(try_connect(other, 2, controller->id), 0);
	ck_assert_int_ne(try_connect(host, 2, (uint16_t)(controller->id + 100)), 0);
	ck_assert_int_ne(try_connect(host, 1, controller->id), 0); /* exists */
	host.nqn = "nqn.2014-08.org.example:somebody-else";
	ck_assert_int_eq(try_connect(host, 0, INI_ANY_CONTROLLER), SPECIFIC(CONNECT_INVALID_PARAM));
	fixture_serves(controller);
	ini_controller_close(controller, false);
}
END_TEST

START_TEST(commands_before_connect_are_refused)
{
	struct ini_host host = target_host(&fixture_target, 1, 1, 32);
	struct ini_queue *queue = ini_open(&host.options, 0, 32, ANSWER_MS);
	struct wire_sqe sqe = { .opcode = nvme_admin_identify, .cdw10 = 1 };
	uint8_t page[4096];

	ck_assert_int_ne(ini_wait(queue, &sqe, page, sizeof(page), false, 0, NULL, ANSWER_MS), 0);
	ini_close(queue, false);
}
END_TEST

/* --- Abort, events, the keep-alive ------------------------------------------- */

static void count(struct ini_queue *queue, struct ini_command *command, void *arg)
{
	int *counted = arg;

	(void)queue;
	counted[0]++;
	counted[1] = ini_status(&command->cqe);
}

START_TEST(abort_ends_a_waiting_event_request)
{
	struct ini_controller *controller = fixture_connect(1, 0, 32);
	struct ini_queue *admin = controller->queues[0];
	struct wire_sqe event = { .opcode = nvme_admin_async_event };
	struct wire_sqe abort_it = { .opcode = nvme_admin_abort_cmd };
	struct ini_command *command;
	struct wire_cqe cqe;
	int counted[2] = { 0 };

	command = ini_submit(admin, &event, NULL, 0, false, 0, count, counted);
	abort_it.cdw10 = (uint32_t)(command - admin->commands) << 16;
	ck_assert_int_eq(wait_command(admin, abort_it, NULL, 0, &cqe), 0);
	ck_assert_int_eq(cqe.result & 1, 0);
	for (int i = 0; i < INI_WAIT_MS / 10 && !counted[0]; i++)
		ini_poll(&admin, 1, 10);
	ck_assert_int_eq(counted[0], 1);
	ck_assert_int_eq(counted[1], NVME_SC_ABORT_REQ);
	abort_it.cdw10 = 30u << 16; /* nothing there: answered, and said so */
	ck_assert_int_eq(wait_command(admin, abort_it, NULL, 0, &cqe), 0);
	ck_assert_int_eq(cqe.result & 1, 1);
	ini_controller_close(controller, false);
}
END_TEST

START_TEST(event_requests_are_limited)
{
	struct ini_controller *controller = fixture_connect(1, 0, 32);
	struct ini_queue *admin = controller->queues[0];
	static struct nvme_id_ctrl page;
	struct wire_sqe event = { .opcode = nvme_admin_async_event };
	int counted[2] = { 0 };

	ck_assert_int_eq(ini_identify(controller, NVME_IDENTIFY_CNS_CTRL, 0, &page), 0);
	ck_assert_int_lt(page.aerl, 20);
	for (int i = 0; i < page.aerl + 1; i++)
		ini_submit(admin, &event, NULL, 0, false, 0, count, counted);
	ck_assert_int_eq(wait_command(admin, event, NULL, 0, NULL), SPECIFIC(ASYNC_LIMIT));
	ck_assert_int_eq(counted[0], 0);
	ini_controller_close(controller, false);
}
END_TEST

/* A reset takes the event requests away unanswered; their places in the queue are free again. */
START_TEST(queue_head_counts_what_a_reset_took_away)
{
	struct ini_controller *controller = fixture_connect(1, 0, 32);
	struct ini_queue *admin = controller->queues[0];
	struct wire_sqe event = { .opcode = nvme_admin_async_event };
	struct wire_sqe alive = { .opcode = nvme_admin_keep_alive };
	struct wire_cqe before, after;
	uint64_t enabled;

	ck_assert_int_eq(ini_property_get(admin, NVME_REG_CC, &enabled), 0);
	ck_assert_int_eq(wait_command(admin, alive, NULL, 0, &before), 0);
	for (int i = 0; i < 4; i++)
		ini_submit(admin, &event, NULL, 0, false, 0, NULL, NULL);
	ck_assert_int_eq(ini_property_set(admin, NVME_REG_CC, 0), 0);
	ck_assert_int_eq(ini_property_set(admin, NVME_REG_CC, (uint32_t)enabled), 0);
	ck_assert_int_eq(wait_command(admin, alive, NULL, 0, &after), 0);
	ck_assert_uint_eq((after.sqhd - before.sqhd + 32u) % 32, 4 + 2 + 1);
	ini_controller_close(controller, false);
}
END_TEST

/* A host may not do that; a target may refuse it, but need not notice. */
START_TEST(identifier_that_is_in_use_harms_nobody)
{
	struct ini_controller *controller = fixture_connect(1, 0, 32), *other = fixture_connect(2, 1, 32);
	struct ini_queue *admin = controller->queues[0];
	struct wire_command pdu = { .common = { .type = WIRE_COMMAND, .hlen = 72, .plen = 72 } };
	struct wire_sqe event = { .opcode = nvme_admin_async_event };
	int counted[2] = { 0 };
	struct ini_command *command = ini_submit(admin, &event, NULL, 0, false, 0, count, counted);

	pdu.sqe = command->sqe;
	pdu.sqe.opcode = nvme_admin_get_features;
	pdu.sqe.cdw10 = NVME_FEAT_FID_NUM_QUEUES;
	for (int i = 0; i < 3; i++)
		ini_raw(admin, &pdu, sizeof(pdu));
	for (int i = 0; i < INI_WAIT_MS / 10 && !counted[0] && !admin->ended; i++)
		ini_poll(&admin, 1, 10);
	ck_assert(admin->ended || counted[0]);
	ini_controller_close(controller, false);
	fixture_serves(other);
	ck_assert(ini_controller_shutdown(other));
}
END_TEST

START_TEST(keep_alive_expiry_ends_the_silent_controller_only)
{
	struct ini_host host = target_host(&fixture_target, 1, 2, 16);
	struct ini_controller *silent, *alive;
	struct target_stats stats;
	uint64_t start, took;

	host.keep_alive_ms = 1000;
	silent = fixture_connect_host(&host);
	host.host = 2;
	alive = fixture_connect_host(&host);
	start = ini_now_ns();
	while (ini_now_ns() - start < 4000000000u) {
		bool ended = true;

		ck_assert_int_eq(ini_keep_alive(alive), 0);
		ini_controller_poll(silent, 100);
		for (int i = 0; i < silent->count; i++)
			ended &= silent->queues[i]->ended;
		if (ended)
			break;
	}
	took = (ini_now_ns() - start) / 1000000u;
	printf("keep-alive of 1000 ms expired after %u ms\n", (unsigned)took);
	ck_assert_int_ge((int)took, 900);
	ck_assert_int_le((int)took, 3500);
	fixture_serves(alive);
	ck_assert(target_settles(&fixture_target, 1, INI_WAIT_MS, &stats));
	ini_controller_close(silent, false);
	ck_assert(ini_controller_shutdown(alive));
}
END_TEST

START_TEST(idle_target_uses_no_processor)
{
	struct ini_controller *controller = fixture_connect(1, 4, 128);
	long before = target_cpu_ms(&fixture_target), after;
	uint64_t end = ini_now_ns() + 2000000000u;

	while (ini_now_ns() < end)
		ini_controller_poll(controller, 100);
	after = target_cpu_ms(&fixture_target);
	printf("idle for 2000 ms with 5 queues: %ld ms of processor time\n", after - before);
	ck_assert_int_le((int)(after - before), 40);
	ini_controller_close(controller, false);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nvme commands");
	TCase *tcase = tcase_create("commands");

	target_need();
	tcase_add_checked_fixture(tcase, fixture_start, fixture_stop);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, every_size_reads_back_as_written, 0, 4);
	tcase_add_loop_test(tcase, mixed_load_over_four_queues_is_right, 0, 4);
	tcase_add_test(tcase, wrong_data_digest_fails_the_write_only);
	tcase_add_test(tcase, error_log_tells_what_failed_and_whose_error_it_is);
	tcase_add_test(tcase, other_block_commands);
	tcase_add_loop_test(tcase, what_cannot_be_done_gets_the_right_status, 0, REFUSED);
	tcase_add_test(tcase, connect_is_refused_when_it_should);
	tcase_add_test(tcase, commands_before_connect_are_refused);
	tcase_add_test(tcase, abort_ends_a_waiting_event_request);
	tcase_add_test(tcase, event_requests_are_limited);
	tcase_add_test(tcase, queue_head_counts_what_a_reset_took_away);
	tcase_add_test(tcase, identifier_that_is_in_use_harms_nobody);
	tcase_add_test(tcase, keep_alive_expiry_ends_the_silent_controller_only);
	tcase_add_test(tcase, idle_target_uses_no_processor);
	suite_add_tcase(suite, tcase);
	return fixture_run(suite);
}
