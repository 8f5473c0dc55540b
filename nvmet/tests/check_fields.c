/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_fields.c - bugs that other NVMe/TCP targets shipped, as a host brings them about
 *
 * Each test is named after what was published; doc/field-cases.md has the list. A second
 * host is served before and after.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "fixture.h"

#define BLOCK 4096u
#define END_MS INI_WAIT_MS

static struct ini_controller *bystander;

static void setup(void)
{
	fixture_start();
}

static void meet(void)
{
	bystander = fixture_connect(2, 1, 16);
	fixture_serves(bystander);
}

/* Nothing is left but the bystander's two connections. */
static void part(void)
{
	uint64_t deadline = ini_now_ns() + (uint64_t)INI_WAIT_MS * 1000000u;
	struct target_stats stats;

	fixture_serves(bystander);
	do {
		ck_assert(target_stats(&fixture_target, &stats));
	} while ((stats.connections != 2 || stats.controllers != 1) && ini_now_ns() < deadline);
	ck_assert_int_eq(stats.connections, 2);
	ck_assert_int_eq(stats.controllers, 1);
	ck_assert_int_eq(stats.begun, stats.released);
	ini_controller_close(bystander, false);
}

static void write_block(struct ini_controller *controller, uint64_t lba, int value)
{
	uint8_t data[BLOCK];

	memset(data, value, sizeof(data));
	ck_assert_int_eq(ini_transfer(controller, 1, nvme_cmd_write, 1, lba, 1, data, BLOCK), 0);
}

/* The byte that all of @blocks blocks consist of. */
static int block_value(struct ini_controller *controller, uint64_t lba, uint32_t blocks)
{
	uint8_t *data = malloc((size_t)blocks * BLOCK);
	int value;

	ck_assert_int_eq(ini_transfer(controller, 1, nvme_cmd_read, 1, lba, blocks, data,
				      blocks * BLOCK), 0);
	value = data[0];
	ck_assert(!memcmp(data, data + 1, (size_t)blocks * BLOCK - 1));
	free(data);
	return value;
}

/* The beginning of an H2CData, as long as @sent says, of one that is @len long. */
static void put_h2c(struct ini_queue *queue, uint16_t cid, uint16_t ttag, uint32_t len, uint32_t sent)
{
	static const uint8_t data[65536];
	struct wire_data pdu = { .common = { .type = WIRE_H2C_DATA, .flags = WIRE_LAST, .hlen = 24,
					     .pdo = 24, .plen = 24 + len },
				 .cid = cid, .ttag = ttag, .len = len };

	ini_raw(queue, &pdu, sizeof(pdu));
	ini_raw(queue, data, sent);
	ini_flush(queue);
}

START_TEST(field_cve_2026_46135_icreq_then_close_at_once)
{
	struct ini_host host = target_host(&fixture_target, 1, 0, 16);
	struct ini_queue *queue;
	struct wire_ic icreq;

	meet();
	ini_make_icreq(&icreq, false, false);
	for (int i = 0; i < 300; i++) {
		queue = ini_open_bare(&host.options, 0, 16, END_MS);
		ini_raw(queue, &icreq, i % 3 == 2 ? sizeof(icreq) / 2 : sizeof(icreq));
		ini_flush(queue);
		ini_close(queue, i % 2);
	}
	part();
}
END_TEST

START_TEST(field_cve_2026_22998_data_before_connect)
{
	struct ini_host host = target_host(&fixture_target, 1, 0, 16);
	struct ini_queue *queue;

	meet();
	queue = ini_open(&host.options, 0, 16, END_MS);
	put_h2c(queue, 0, 0, BLOCK, BLOCK);
	ck_assert(fixture_wait_end(queue, END_MS));
	ck_assert_msg(queue->fatal, "%s", queue->reason);
	ini_close(queue, false);
	part();
}
END_TEST

START_TEST(field_cve_2026_22998_data_for_a_read_in_flight)
{
	struct ini_controller *controller;
	struct ini_queue *queue;
	struct wire_sqe read = ini_block_sqe(nvme_cmd_read, 1, 0, 256);
	uint8_t *data = malloc(256 * BLOCK);
	struct ini_command *command;

	meet();
	controller = fixture_connect(1, 1, 16);
	queue = controller->queues[1];
	command = ini_submit(queue, &read, data, 256 * BLOCK, false, 0, NULL, NULL);
	for (uint16_t tag = 0; tag < 4; tag++) /* one is enough; no tag is anybody's */
		put_h2c(queue, (uint16_t)(command - queue->commands), tag, BLOCK, BLOCK);
	ck_assert(fixture_wait_end(queue, END_MS));
	ck_assert_msg(queue->fatal, "%s", queue->reason);
	ini_controller_close(controller, false);
	free(data);
	part();
}
END_TEST

/* Of two PDUs the first is wrong, or the second; the Write fails, nothing of it is there, and
 * the connection lives. */
START_TEST(field_cve_2026_64535_wrong_digest_before_the_last_data)
{
	struct ini_host host = target_host(&fixture_target, 1, 1, 16);
	uint32_t bytes = 256 * 1024, blocks = bytes / BLOCK;
	struct ini_controller *controller;
	uint8_t *data = malloc(bytes);
	struct ini_queue *queue;

	meet();
	host.options.ddgst = true;
	controller = fixture_connect_host(&host);
	queue = controller->queues[1];
	ck_assert_uint_lt(queue->maxh2cdata, bytes);
	memset(data, 1, bytes);
	ck_assert_int_eq(ini_transfer(controller, 1, nvme_cmd_write, 1, 0, blocks, data, bytes), 0);
	memset(data, 2, bytes);
	queue->fault = (struct ini_fault){
		INI_FAULT_XOR,
		queue->sent_total + 72 + 24 + 1000 + (_i ? queue->maxh2cdata + 4 + 24 : 0), 0x10
	};
	ck_assert_int_eq(ini_transfer(controller, 1, nvme_cmd_write, 1, 0, blocks, data, bytes),
			 NVME_SC_TRAN_TPORT_ERROR);
	ck_assert_int_eq(block_value(controller, 0, blocks), 1);
	ck_assert_int_eq(ini_transfer(controller, 1, nvme_cmd_write, 1, 0, blocks, data, bytes), 0);
	ck_assert_int_eq(block_value(controller, 0, blocks), 2);
	ini_controller_close(controller, false);
	free(data);
	part();
}
END_TEST

/* The data of a Write that is refused arrives with a wrong digest. */
START_TEST(field_cve_2026_64534_wrong_digest_of_a_command_that_failed)
{
	struct ini_host host = target_host(&fixture_target, 1, 1, 16);
	struct ini_controller *controller;
	uint8_t data[BLOCK] = { 0 };
	struct ini_queue *queue;

	meet();
	host.options.ddgst = true;
	controller = fixture_connect_host(&host);
	queue = controller->queues[1];
	ck_assert_uint_ge(controller->in_capsule, BLOCK);
	for (int i = 0; i < 20; i++) {
		queue->fault = (struct ini_fault){ INI_FAULT_XOR, queue->sent_total + 72 + 100, 0x10 };
		ck_assert_int_eq(ini_transfer(controller, 1, nvme_cmd_write, 1, UINT64_C(1) << 40, 1,
					      data, BLOCK), NVME_SC_LBA_RANGE);
	}
	write_block(controller, 9, 3);
	ck_assert_int_eq(block_value(controller, 9, 1), 3);
	ini_controller_close(controller, false);
	part();
}
END_TEST

/* A good Write behind the bad PDU, in the same packet: it is not looked at. */
START_TEST(field_cve_2026_52989_nothing_after_a_bad_length_is_read)
{
	struct ini_controller *controller;
	struct ini_queue *queue;
	struct wire_command bad = { .common = { .type = WIRE_COMMAND, .hlen = 72,
						.plen = _i ? 0x7fffffff : 40 } };
	struct wire_sqe sqe = ini_block_sqe(nvme_cmd_write, 1, 4, 1);
	uint8_t data[BLOCK];

	meet();
	write_block(bystander, 4, 1);
	controller = fixture_connect(1, 1, 16);
	queue = controller->queues[1];
	memset(data, 2, sizeof(data));
	ini_raw(queue, &bad, sizeof(bad));
	for (int i = 0; i < 4; i++)
		ck_assert(ini_submit(queue, &sqe, data, BLOCK, true, BLOCK, NULL, NULL));
	ck_assert(fixture_wait_end(queue, END_MS));
	ck_assert_msg(queue->fatal, "%s", queue->reason);
	ck_assert_int_eq(block_value(bystander, 4, 1), 1);
	ini_controller_close(controller, false);
	part();
}
END_TEST

/* How a Read was completed, and where the queue's head was then. */
struct completed {
	unsigned reads, by_flag;
	uint16_t head;
};

static void note_how(struct ini_queue *queue, struct ini_command *command, void *arg)
{
	struct completed *completed = arg;

	ck_assert_uint_eq(ini_status(&command->cqe), 0);
	completed->reads++;
	if (queue->header.common.type == WIRE_C2H_DATA)
		completed->by_flag++;
	else
		completed->head = command->cqe.sqhd;
}

/* 0: the host wants the queue's head in each completion, so none may be left out; 1: not */
START_TEST(field_spdk_00c2f8cd49_success_flag_only_without_flow_control)
{
	struct ini_host host = target_host(&fixture_target, 1, 1, 16);
	struct wire_sqe read = ini_block_sqe(nvme_cmd_read, 1, 0, 1), connect;
	struct completed completed = { 0 };
	struct nvmf_connect_data data;
	struct ini_controller *controller;
	struct ini_queue *queue;
	uint8_t block[BLOCK];

	meet();
	controller = fixture_connect_host(&host);
	if (_i) { /* its only I/O queue once more, without flow control */
		host.io_queues = 2;
		ini_controller_close(controller, false);
		controller = fixture_connect_host(&host);
		ini_close(controller->queues[2], false);
		ck_assert(target_log_find(&fixture_target, 0, "disconnect", "qid=2", END_MS, NULL));
		queue = controller->queues[2] = ini_open(&host.options, 2, 16, END_MS);
		ini_make_connect(&host, controller->id, &connect, 2, 16, &data);
		connect.cdw11 |= 1 << 18;
		ck_assert_int_eq(ini_wait(queue, &connect, &data, sizeof(data), true, sizeof(data), NULL,
					  END_MS), 0);
	}
	queue = controller->queues[1 + _i];
	for (unsigned i = 1; i <= 100; i++) {
		ck_assert(ini_submit(queue, &read, block, BLOCK, false, 0, note_how, &completed));
		while (completed.reads < i)
			ck_assert(ini_poll(&queue, 1, END_MS));
		if (!_i) /* Connect was the first */
			ck_assert_uint_eq(completed.head, (i + 1) % 16);
	}
	ck_assert_uint_eq(completed.by_flag, _i ? 100 : 0);
	ini_controller_close(controller, false);
	part();
}
END_TEST

/* The host neither sends the rest of the PDU, nor reads, nor closes. */
START_TEST(field_spdk_3603_error_inside_a_pdu_ends_the_queue)
{
	struct ini_controller *controller;
	struct ini_queue *queue;
	struct wire_data r2t;

	meet();
	controller = fixture_connect(1, 1, 16);
	queue = controller->queues[1];
	fixture_post_write(queue, 65536, BLOCK, &r2t);
	if (_i) /* the error is in a later PDU */
		put_h2c(queue, r2t.cid, r2t.ttag, 65536, 1000);
	else
		put_h2c(queue, r2t.cid, (uint16_t)(r2t.ttag + 1), 65536, 1000);
	if (_i) {
		ini_close(queue, false); /* half of a PDU, then the end of the stream */
		controller->queues[1] = NULL;
		controller->count = 1;
	}
	ck_assert(target_log_find(&fixture_target, 0, _i ? "disconnect" : "abort", "qid=1", INI_WAIT_MS,
				  NULL));
	ck_assert(!controller->queues[0]->ended);
	ini_controller_close(controller, false);
	part();
}
END_TEST

/* The host was lost by its keep-alive with a Write that waits for its data, wrote the same
 * block over another path, and then the old data comes after all. */
START_TEST(field_spdk_3593_no_write_of_a_lost_connection_acts_later)
{
	struct ini_host host = target_host(&fixture_target, 1, 1, 16);
	struct ini_controller *lost;
	struct wire_data r2t;
	char line[512];

	meet();
	host.keep_alive_ms = 500;
	lost = fixture_connect_host(&host);
	fixture_post_write(lost->queues[1], 65536, BLOCK, &r2t);
	put_h2c(lost->queues[1], r2t.cid, r2t.ttag, 65536, 30000);
	ck_assert(target_log_find(&fixture_target, 0, "controller-gone", NULL, INI_WAIT_MS, line));
	write_block(bystander, 0, 7);
	ini_raw(lost->queues[1], (uint8_t[35536]){ 0 }, 35536);
	ini_flush(lost->queues[1]);
	ck_assert(fixture_wait_end(lost->queues[1], END_MS));
	ck_assert_int_eq(block_value(bystander, 0, 1), 7);
	ini_controller_close(lost, false);
	part();
}
END_TEST

START_TEST(field_truenas_proxmox_96_no_larger_transfer_than_is_reported)
{
	struct ini_controller *controller;
	uint32_t most = 32u << 20;
	uint8_t *data = malloc(most);

	meet();
	controller = fixture_connect(1, 1, 16);
	ck_assert_uint_lt(controller->max_transfer, most);
	for (uint32_t bytes = controller->max_transfer + BLOCK; bytes <= most; bytes += 31 * BLOCK * 64)
		for (int opcode = nvme_cmd_write; opcode <= nvme_cmd_read; opcode++)
			ck_assert_int_eq(ini_transfer(controller, 1, (uint8_t)opcode, 1, 0, bytes / BLOCK,
						      data, bytes), NVME_SC_INVALID_FIELD);
	ck_assert_int_eq(ini_transfer(controller, 1, nvme_cmd_read, 1, 0, controller->max_transfer / BLOCK,
				      data, controller->max_transfer), 0);
	ini_controller_close(controller, false);
	free(data);
	part();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nvme field cases");
	TCase *tcase = tcase_create("fields");

	target_need();
	tcase_add_checked_fixture(tcase, setup, fixture_stop);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, field_cve_2026_46135_icreq_then_close_at_once);
	tcase_add_test(tcase, field_cve_2026_22998_data_before_connect);
	tcase_add_test(tcase, field_cve_2026_22998_data_for_a_read_in_flight);
	tcase_add_loop_test(tcase, field_cve_2026_64535_wrong_digest_before_the_last_data, 0, 2);
	tcase_add_test(tcase, field_cve_2026_64534_wrong_digest_of_a_command_that_failed);
	tcase_add_loop_test(tcase, field_cve_2026_52989_nothing_after_a_bad_length_is_read, 0, 2);
	tcase_add_loop_test(tcase, field_spdk_00c2f8cd49_success_flag_only_without_flow_control, 0, 2);
	tcase_add_loop_test(tcase, field_spdk_3603_error_inside_a_pdu_ends_the_queue, 0, 2);
	tcase_add_test(tcase, field_spdk_3593_no_write_of_a_lost_connection_acts_later);
	tcase_add_test(tcase, field_truenas_proxmox_96_no_larger_transfer_than_is_reported);
	suite_add_tcase(suite, tcase);
	return fixture_run(suite);
}
