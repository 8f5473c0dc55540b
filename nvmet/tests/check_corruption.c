/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * check_corruption.c - a session with one wrong byte, and one that breaks off
 *
 * The session brings up a controller and uses most of what there is: Connect,
 * properties, Identify, features, log pages, events, Abort; reads, writes in the
 * capsule and by R2T, Compare, Flush, Write Zeroes, a deallocation. It is run once
 * to learn how long its two streams are. Then it is run again for every byte of
 * both: with that byte changed, and cut off before it. Whatever becomes of that
 * session, the target has to go on serving another host, which is asked to write
 * and read back a block after each.
 *
 * Inside the data that is written, where one byte is like the next, only every
 * 61st is done; ZCREQ_TEST_FULL=1 does all. ZCREQ_TEST_MASKS=N tries N changes of
 * each byte (default 1, at most 9).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

/* How long for an answer that may not come, because the session is broken. When the
 * fault was not reached in that time, the target was only slow: again, patiently. */
#define STEP_MS 15
#define PATIENT_MS 2000
#define LARGE 16384

enum stream {
	ADMIN,
	IO,
	STREAMS,
};

struct session {
	struct ini_host host;
	struct ini_fault fault;
	enum stream faulty;
	uint32_t block_size;
	uint64_t length[STREAMS]; /* written by a session without a fault */
	bool whole;               /* it got to its end */
	bool reached;             /* the fault happened */
};

static int step_ms;

/* Where the I/O stream of the session without a fault has data. */
static struct {
	uint64_t begin, end;
} data_ranges[8];
static int data_range_count;
static bool learning;

#define DATA_STRIDE 61
#define HEADERS 112 /* of the capsule and of H2CData, and their digests */

static void learn_range(uint64_t begin, uint64_t end)
{
	if (!learning || end - begin < 1024 || data_range_count == 8)
		return;
	data_ranges[data_range_count].begin = begin + HEADERS;
	data_ranges[data_range_count++].end = end - 8;
}

/* The byte after @at that is to be done. */
static uint64_t next_place(enum stream stream, uint64_t at)
{
	for (int i = 0; stream == IO && i < data_range_count; i++)
		if (at >= data_ranges[i].begin && at + DATA_STRIDE < data_ranges[i].end)
			return at + DATA_STRIDE;
	return at + 1;
}

/* One command; false when the session is over. */
static bool step(struct ini_queue *queue, struct wire_sqe sqe, void *data, uint32_t len)
{
	uint64_t end = ini_now_ns() + (uint64_t)step_ms * 1000000u;
	uint64_t from = queue->sent_total;
	uint32_t before = queue->in_flight;

	if (!ini_submit(queue, &sqe, data, len, sqe.opcode & 1, 8192, NULL, NULL))
		return false;
	while (!queue->ended && queue->in_flight > before && ini_now_ns() < end)
		ini_poll(&queue, 1, step_ms);
	if (queue->id && sqe.opcode != nvme_admin_fabrics)
		learn_range(from, queue->sent_total);
	return !queue->ended && queue->in_flight == before;
}

static bool admin_steps(struct ini_queue *queue)
{
	static uint8_t page[4096];
	const struct wire_sqe commands[] = {
		{ .opcode = 0x7f, .nsid = nvme_fabrics_type_property_get, .cdw10 = 1 },
		{ .opcode = 0x7f, .nsid = nvme_fabrics_type_property_get, .cdw11 = NVME_REG_VS },
		{ .opcode = 0x7f, .nsid = nvme_fabrics_type_property_set, .cdw11 = NVME_REG_CC,
		  .cdw12 = 6u << 16 | 4u << 20 | 1 },
		{ .opcode = 0x7f, .nsid = nvme_fabrics_type_property_get, .cdw11 = NVME_REG_CSTS },
		{ .opcode = nvme_admin_identify, .cdw10 = NVME_IDENTIFY_CNS_CTRL },
		{ .opcode = nvme_admin_identify, .cdw10 = NVME_IDENTIFY_CNS_NS_ACTIVE_LIST },
		{ .opcode = nvme_admin_identify, .nsid = 1, .cdw10 = NVME_IDENTIFY_CNS_NS },
		{ .opcode = nvme_admin_get_log_page, .nsid = ~0u, .cdw10 = 127u << 16 | 2 },
		{ .opcode = nvme_admin_set_features, .cdw10 = NVME_FEAT_FID_NUM_QUEUES },
		{ .opcode = nvme_admin_set_features, .cdw10 = 0xb, .cdw11 = 0x100 },
		{ .opcode = nvme_admin_get_features, .cdw10 = 7 },
		{ .opcode = nvme_admin_keep_alive },
		{ .opcode = nvme_admin_abort_cmd, .cdw10 = 20u << 16 },
	};
	const uint32_t lengths[] = { 0, 0, 0, 0, 4096, 4096, 4096, 512, 0, 0, 0, 0, 0 };

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!step(queue, commands[i], lengths[i] ? page : NULL, lengths[i]))
			return false;
	return true;
}

static bool io_steps(struct ini_queue *queue, uint32_t size)
{
	static uint8_t data[LARGE], zero[4096];
	struct nvme_dsm_range range = { .nlb = 2, .slba = 60 };
	struct wire_sqe dsm = { .opcode = nvme_cmd_dsm, .nsid = 2, .cdw11 = 4 };
	uint32_t blocks = LARGE / size;

	return step(queue, ini_block_sqe(nvme_cmd_read, 2, 50, 1), data, size) &&
	       step(queue, ini_block_sqe(nvme_cmd_write, 2, 51, 1), zero, size) &&
	       step(queue, ini_block_sqe(nvme_cmd_write, 2, 64, blocks), data, LARGE) &&
	       step(queue, ini_block_sqe(nvme_cmd_read, 2, 64, blocks), data, LARGE) &&
	       step(queue, ini_block_sqe(nvme_cmd_compare, 2, 51, 1), zero, size) &&
	       step(queue, ini_block_sqe(nvme_cmd_write_zeroes, 2, 64, 4), NULL, 0) &&
	       step(queue, dsm, &range, sizeof(range)) &&
	       step(queue, (struct wire_sqe){ .opcode = nvme_cmd_flush, .nsid = 2 }, NULL, 0);
}

static struct ini_queue *open_queue(struct session *session, enum stream stream)
{
	struct ini_host host = session->host;

	if (session->faulty == stream)
		host.options.fault = session->fault;
	return ini_open(&host.options, (uint16_t)stream, 32, step_ms);
}

static bool connect_queue(struct session *session, struct ini_queue *queue, uint16_t controller)
{
	struct nvmf_connect_data data;
	struct wire_sqe sqe;

	if (queue->ended)
		return false;
	ini_make_connect(&session->host, controller, &sqe, queue->id, queue->depth, &data);
	if (!step(queue, sqe, &data, sizeof(data)) || ini_status(&queue->commands[0].cqe))
		return false;
	queue->controller = (uint16_t)queue->commands[0].cqe.result;
	return true;
}

/* The whole session, as far as it gets. */
static void run(struct session *session, int patience_ms)
{
	struct ini_queue *admin, *io = NULL, *faulty;

	step_ms = patience_ms;
	session->whole = false;
	admin = open_queue(session, ADMIN);
	if (connect_queue(session, admin, INI_ANY_CONTROLLER) && admin_steps(admin)) {
		io = open_queue(session, IO);
		if (connect_queue(session, io, admin->controller))
			session->whole = io_steps(io, session->block_size);
	}
	session->length[ADMIN] = admin->sent_total;
	session->length[IO] = io ? io->sent_total : 0;
	faulty = session->faulty == IO ? io : admin;
	session->reached = faulty && faulty->sent_total >= session->fault.offset &&
			   (faulty->ended || faulty->fault.kind == INI_FAULT_NONE);
	ini_close(io, session->fault.offset % 2);
	ini_close(admin, session->fault.offset % 3 == 0);
}

/* The bystander writes and reads back a block that no session touches on purpose. */
static void write_and_read(struct ini_controller *controller, uint32_t size, uint64_t number)
{
	static uint8_t data[4096], read[4096];

	memset(data, (int)(number * 37 + 11), size);
	memcpy(data, &number, sizeof(number));
	ck_assert_msg(ini_transfer(controller, 1, nvme_cmd_write, 1, 7, 1, data, size) == 0 &&
		      ini_transfer(controller, 1, nvme_cmd_read, 1, 7, 1, read, size) == 0,
		      "session %u: the other host is not served: %s", (unsigned)number,
		      controller->queues[1]->reason);
	ck_assert_msg(!memcmp(data, read, size), "session %u: wrong data", (unsigned)number);
}

static void report(const char *what, unsigned sessions, unsigned whole)
{
	struct target_stats stats;

	ck_assert_msg(target_settles(&fixture_target, 1, INI_WAIT_MS, &stats),
		      "%ld controllers are left, %ld requests in flight", stats.controllers,
		      stats.inflight);
	ck_assert_int_eq(stats.begun, stats.released);
	ck_assert_int_eq(stats.quarantined, 0);
	printf("%s: %u sessions, %u of them got to their end; %ld requests, all released\n", what,
	       sessions, whole, stats.released);
}

/* The session with the fault at every place of both streams. */
static void every_place(enum ini_fault_kind kind, const char *what, bool digests)
{
	static const uint8_t masks[] = { 0x01, 0xff, 0x80, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40 };
	struct session session = { .host = target_host(&fixture_target, 1, 1, 32) };
	struct ini_controller *bystander = fixture_connect(2, 1, 16);
	unsigned sessions = 0, whole = 0;
	unsigned changes = kind == INI_FAULT_XOR ? (unsigned)fixture_number("ZCREQ_TEST_MASKS", 1) : 1;
	uint64_t length[STREAMS];

	session.block_size = fixture_block_size(bystander);
	session.host.options.hdgst = session.host.options.ddgst = digests;
	data_range_count = 0;
	learning = !fixture_number("ZCREQ_TEST_FULL", 0);
	run(&session, PATIENT_MS);
	learning = false;
	ck_assert_msg(session.whole, "the session without a fault does not get to its end");
	memcpy(length, session.length, sizeof(length));
	for (session.faulty = ADMIN; session.faulty < STREAMS; session.faulty++)
		for (uint64_t at = 0; at < length[session.faulty]; at = next_place(session.faulty, at))
			for (unsigned i = 0; i < changes; i++) {
				session.fault = (struct ini_fault){ kind, at, masks[(at + i) % 9] };
				run(&session, STEP_MS);
				if (!session.reached)
					run(&session, PATIENT_MS);
				ck_assert_msg(session.reached, "no fault at %u", (unsigned)at);
				whole += session.whole;
				write_and_read(bystander, session.block_size, ++sessions);
			}
	report(what, sessions, whole);
	ck_assert(ini_controller_shutdown(bystander));
}

START_TEST(every_changed_byte_harms_its_own_session_only)
{
	every_place(INI_FAULT_XOR, "changed bytes", false);
}
END_TEST

START_TEST(every_changed_byte_with_digests_too)
{
	every_place(INI_FAULT_XOR, "changed bytes with digests", true);
}
END_TEST

START_TEST(every_truncation_harms_its_own_session_only)
{
	every_place(INI_FAULT_CUT, "truncations", false);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nvme corruption");
	TCase *tcase = tcase_create("corruption");

	target_need();
	tcase_add_checked_fixture(tcase, fixture_start, fixture_stop);
	tcase_set_timeout(tcase, 3000);
	tcase_add_test(tcase, every_changed_byte_harms_its_own_session_only);
	tcase_add_test(tcase, every_changed_byte_with_digests_too);
	tcase_add_test(tcase, every_truncation_harms_its_own_session_only);
	suite_add_tcase(suite, tcase);
	return fixture_run(suite);
}
