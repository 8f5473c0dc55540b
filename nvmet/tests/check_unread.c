/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_unread.c - what is answered to a host that does not read its answers
 *
 * A queue is filled to the last byte that may be queued on it: a long answer that the host
 * leaves where it is, and small ones behind it. What comes then is held, or its answer waits.
 * Read at last, every command has one answer, which is true.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"

#define CAP_BYTES 65536u
#define BLOCK 4096u
#define LONG_BYTES 61440u /* one block less than the cap */
#define SMALL_BYTES 24u   /* an answer without data, and the header of one with it */
#define MOST 600

/* So many small answers find room behind a long one; the next does not. */
#define SMALL_BEHIND(bytes) ((int)((CAP_BYTES - (bytes) - 2 * SMALL_BYTES) / SMALL_BYTES))

static void start(void)
{
	static const char *const arguments[] = { "--listen", "127.0.0.1:0", "--namespace", "mem:16M",
						 "--threads", "2", "--cap", "64K", "--send-buffer",
						 "4096", NULL };

	ck_assert(target_start(&fixture_target, -1, arguments));
}

/* One I/O queue, which is another thread's than the admin queue. */
static struct ini_controller *connect_unread(unsigned number)
{
	struct ini_host host = target_host(&fixture_target, number, 1, 256);

	host.options.receive_buffer = 2048;
	return fixture_connect_host(&host);
}

static struct wire_command capsule(uint8_t opcode, uint16_t cid, uint32_t len, uint32_t cdw10)
{
	struct wire_command pdu = { .common = { .type = WIRE_COMMAND, .hlen = 72, .plen = 72 } };

	pdu.sqe.opcode = opcode;
	pdu.sqe.flags = 0x40;
	pdu.sqe.cid = cid;
	pdu.sqe.sgl = (struct wire_sgl){ .len = len, .type = WIRE_SGL_TRANSPORT };
	pdu.sqe.cdw10 = cdw10;
	return pdu;
}

static void put(struct ini_queue *queue, struct wire_command pdu)
{
	fixture_put(queue, &pdu, sizeof(pdu), false);
}

/* Of the error log, from its start. */
static void put_log_page(struct ini_queue *queue, uint16_t cid, uint32_t len)
{
	struct wire_command pdu =
		capsule(nvme_admin_get_log_page, cid, len, NVME_LOG_LID_ERROR | (len / 4 - 1) << 16);

	pdu.sqe.nsid = NVME_NSID_ALL;
	put(queue, pdu);
}

/* What was sent has come and been acted on by all threads. Nothing is claimed if it has not. */
static void settle(struct ini_queue *queue)
{
	struct target_stats stats;

	ini_flush(queue);
	for (int i = 0; i < 3; i++) {
		usleep(20000);
		ck_assert(target_stats(&fixture_target, &stats));
	}
}

/* Reads until @answers completions have come, those of data included; each one's result and
 * status by its identifier, and no more than one for each. */
static void read_answers(struct ini_queue *queue, int answers, struct wire_cqe *of)
{
	static uint8_t bytes[CAP_BYTES];
	struct wire_response response;
	struct wire_common common;
	int room = 1 << 20;

	/* a small window opens by small steps, which takes minutes */
	ck_assert_int_eq(setsockopt(queue->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)), 0);
	memset(of, 0xff, MOST * sizeof(*of));
	while (answers) {
		fixture_read(queue, &common, sizeof(common));
		ck_assert_uint_le(common.plen, sizeof(bytes));
		fixture_read(queue, bytes + sizeof(common), common.plen - sizeof(common));
		if (common.type == WIRE_C2H_DATA)
			continue;
		ck_assert_int_eq(common.type, WIRE_RESPONSE);
		memcpy(&response, bytes, sizeof(response));
		ck_assert_uint_lt(response.cqe.cid, MOST);
		ck_assert_uint_eq(of[response.cqe.cid].cid, 0xffff);
		of[response.cqe.cid] = response.cqe;
		answers--;
	}
}

/* @small commands without data. */
static void fill(struct ini_queue *queue, int small, uint8_t opcode)
{
	for (int i = 0; i < small; i++)
		put(queue, capsule(opcode, (uint16_t)(100 + i), 0, 0));
}

/* ---- what is held and waits for an event, or for another thread ------------------------ */

/*
 * The answer of an Abort that another thread gives comes while the next command is half there:
 * it finds no room, and that command is held.
 */
static void hold_one(unsigned number, int small, bool event)
{
	struct ini_controller *controller = connect_unread(number);
	struct ini_queue *admin = controller->queues[0];
	static struct wire_cqe of[MOST];
	static const uint8_t data[64];
	struct wire_command last = capsule(event ? nvme_admin_async_event : nvme_admin_abort_cmd,
					   60, 0, 9998u << 16 | 1);

	put_log_page(admin, 2, LONG_BYTES - BLOCK / 2);
	settle(admin);
	fill(admin, small, nvme_admin_keep_alive);
	put(admin, capsule(nvme_admin_abort_cmd, 50, 0, 9999u << 16 | 1));
	last.common.pdo = 72;
	last.common.plen += sizeof(data);
	put(admin, last);
	ini_raw(admin, data, sizeof(data) - 8);
	settle(admin);
	ini_raw(admin, data, 8);
	settle(admin);
	if (event) /* once it is read, it is the only one there is */
		put(admin, capsule(nvme_admin_abort_cmd, 61, 0, 60u << 16));
	ini_flush(admin);
	read_answers(admin, 1 + small + 1 + (event ? 2 : 1), of);
	for (int i = 0; i < small; i++)
		ck_assert_uint_eq(ini_status(&of[100 + i]), 0);
	ck_assert_uint_eq(of[50].result & 1, 1);
	ck_assert_uint_eq(ini_status(&of[60]), event ? NVME_SC_ABORT_REQ : 0);
	if (event)
		ck_assert_uint_eq(of[61].result & 1, 0);
	put(admin, capsule(nvme_admin_keep_alive, 99, 0, 0));
	ini_flush(admin);
	read_answers(admin, 1, of);
	ck_assert_uint_eq(ini_status(&of[99]), 0);
	ini_controller_close(controller, false);
}

START_TEST(what_was_held_waits_in_one_place)
{
	const int most = SMALL_BEHIND(LONG_BYTES - BLOCK / 2);

	for (int small = most - 2; small <= most + 2; small++)
		hold_one((unsigned)small, small, _i == 0);
	ck_assert(target_alive(&fixture_target));
}
END_TEST

/* ---- small answers ------------------------------------------------------------------- */

START_TEST(small_answers_count_as_the_memory_that_they_take)
{
	struct ini_controller *controller = connect_unread(1);
	struct ini_queue *admin = controller->queues[0];
	static struct wire_cqe of[MOST];
	struct target_stats before, after;

	ck_assert(target_stats(&fixture_target, &before));
	for (uint16_t i = 0; i < 500; i++)
		put_log_page(admin, i, 4);
	settle(admin);
	ck_assert(target_stats(&fixture_target, &after));
	ck_assert_int_le(after.blocks_used - before.blocks_used, CAP_BYTES / BLOCK);
	ck_assert_int_gt(after.blocks_used, before.blocks_used);
	read_answers(admin, 500, of);
	for (int i = 0; i < 500; i++)
		ck_assert_uint_eq(ini_status(&of[i]), 0);
	ini_controller_close(controller, false);
}
END_TEST

/* ---- an Abort of what is done ---------------------------------------------------------- */

static void put_data(struct ini_queue *queue, const struct wire_data *r2t, const uint8_t *data)
{
	struct wire_data pdu = { .common = { .type = WIRE_H2C_DATA, .flags = WIRE_LAST, .hlen = 24,
					     .pdo = 24, .plen = 24 + BLOCK },
				 .cid = r2t->cid, .ttag = r2t->ttag, .len = BLOCK };

	ini_raw(queue, &pdu, sizeof(pdu));
	ini_raw(queue, data, BLOCK);
	ini_flush(queue);
}

/* A Write whose answer finds no room has been done. */
static void abort_write(struct ini_controller *reader, unsigned number, int small)
{
	struct ini_controller *controller = connect_unread(number);
	struct ini_queue *io = controller->queues[1];
	struct wire_sqe abort_it = { .opcode = nvme_admin_abort_cmd, .cdw10 = 7u << 16 | 1 };
	struct wire_command read = capsule(nvme_cmd_read, 1, LONG_BYTES, 0);
	static struct wire_cqe of[MOST];
	static uint8_t old[BLOCK], data[BLOCK];
	struct wire_cqe cqe;
	struct wire_data r2t;
	bool aborted;

	memset(old, small, BLOCK);
	ck_assert_int_eq(ini_transfer(reader, 1, nvme_cmd_write, 1, 100, 1, old, BLOCK), 0);
	fixture_put_write(io, 7, 100, 1, BLOCK);
	ini_flush(io);
	fixture_read(io, &r2t, sizeof(r2t));
	read.sqe.nsid = 1;
	read.sqe.cdw12 = LONG_BYTES / BLOCK - 1;
	put(io, read);
	settle(io);
	for (int i = 0; i < small; i++) {
		struct wire_command flush = capsule(nvme_cmd_flush, (uint16_t)(100 + i), 0, 0);

		flush.sqe.nsid = 1;
		put(io, flush);
	}
	settle(io);
	memset(data, 0xdd, BLOCK);
	put_data(io, &r2t, data);
	settle(io);
	ck_assert_int_eq(ini_wait(controller->queues[0], &abort_it, NULL, 0, false, 0, &cqe,
				  INI_WAIT_MS), 0);
	aborted = !(cqe.result & 1);
	read_answers(io, 1 + small + 1, of);
	ck_assert_uint_eq(ini_status(&of[7]), aborted ? NVME_SC_ABORT_REQ : 0);
	ck_assert_int_eq(ini_transfer(reader, 1, nvme_cmd_read, 1, 100, 1, data, BLOCK), 0);
	ck_assert_uint_eq(data[0], aborted ? (uint8_t)small : 0xdd);
	ini_controller_close(controller, false);
}

START_TEST(a_write_that_is_done_is_not_aborted)
{
	struct ini_controller *reader = fixture_connect(9, 1, 16);

	/* what comes behind them finds no room, or has the last of it */
	abort_write(reader, 1, SMALL_BEHIND(LONG_BYTES));
	abort_write(reader, 2, SMALL_BEHIND(LONG_BYTES) - 1);
	ini_controller_close(reader, false);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nvme unread");
	TCase *tcase = tcase_create("unread");

	target_need();
	tcase_add_checked_fixture(tcase, start, fixture_stop);
	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, what_was_held_waits_in_one_place, 0, 2);
	tcase_add_test(tcase, small_answers_count_as_the_memory_that_they_take);
	tcase_add_test(tcase, a_write_that_is_done_is_not_aborted);
	suite_add_tcase(suite, tcase);
	return fixture_run(suite);
}
