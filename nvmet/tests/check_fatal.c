/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * check_fatal.c - PDUs that are wrong end their own connection, with the right reason
 *
 * A table: what is sent, at which stage of a connection, and which fatal error
 * status has to come back in the C2HTermReq. A second host has to be served before
 * and after.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "crc32c.h"
#include "fixture.h"

#define END_MS INI_WAIT_MS
#define CLOSE_MS (2 * INI_WAIT_MS)

/** Where the wrong PDU comes. */
enum stage {
	BARE,      /**< instead of the ICReq */
	ICREQ,     /**< after the ICReq */
	IO,        /**< on an I/O queue in use */
	IO_DIGEST, /**< the same with both digests */
	R2T,       /**< on an I/O queue with a write that waits for its data */
};

struct wrong {
	const char *name;
	enum stage stage;
	void (*send)(struct ini_queue *queue);
	unsigned fatal;      /**< a bit for each status that is right */
	int information;     /**< of the TermReq, or -1: not looked at */
};

#define IS(status) (1u << (status))

static struct wire_data pending; /* the R2T of stage R2T */

static void icreq_with(struct ini_queue *queue, size_t offset, uint8_t value)
{
	struct wire_ic icreq;

	ini_make_icreq(&icreq, false, false);
	((uint8_t *)&icreq)[offset] = value;
	ini_raw(queue, &icreq, sizeof(icreq));
}

static void icreq_version(struct ini_queue *queue)
{
	icreq_with(queue, offsetof(struct wire_ic, pfv), 1);
}

static void icreq_header_length(struct ini_queue *queue)
{
	icreq_with(queue, offsetof(struct wire_common, hlen), 64);
}

static void icreq_length(struct ini_queue *queue)
{
	icreq_with(queue, offsetof(struct wire_common, plen), 132);
}

static void icreq_alignment(struct ini_queue *queue)
{
	icreq_with(queue, offsetof(struct wire_ic, pda), 32);
}

static void unknown_type(struct ini_queue *queue)
{
	icreq_with(queue, 0, 0x0b);
}

static void icreq_again(struct ini_queue *queue)
{
	icreq_with(queue, 0, WIRE_ICREQ);
}

static void icresp(struct ini_queue *queue)
{
	icreq_with(queue, 0, WIRE_ICRESP);
}

/* A command capsule with one Read of one block, and what a test changes in it. */
static struct wire_command capsule(void)
{
	return (struct wire_command){
		.common = { .type = WIRE_COMMAND, .hlen = 72, .plen = 72 },
		.sqe = { .opcode = nvme_cmd_read, .flags = 0x40, .cid = 77, .nsid = 1,
			 .sgl = { .len = 4096, .type = WIRE_SGL_TRANSPORT } },
	};
}

static void capsule_first(struct ini_queue *queue)
{
	struct wire_command pdu = capsule();

	ini_raw(queue, &pdu, sizeof(pdu));
}

static void capsule_header_length(struct ini_queue *queue)
{
	struct wire_command pdu = capsule();

	pdu.common.hlen = 80;
	ini_raw(queue, &pdu, sizeof(pdu));
}

static void capsule_too_short(struct ini_queue *queue)
{
	struct wire_command pdu = capsule();

	pdu.common.plen = 40;
	ini_raw(queue, &pdu, sizeof(pdu));
}

static void capsule_too_long(struct ini_queue *queue)
{
	struct wire_command pdu = capsule();

	pdu.common.pdo = 72;
	pdu.common.plen = 0x7fffffff;
	ini_raw(queue, &pdu, sizeof(pdu));
}

static void capsule_data_offset(struct ini_queue *queue)
{
	struct wire_command pdu = capsule();
	uint8_t data[4096] = { 0 };

	pdu.sqe.opcode = nvme_cmd_write;
	pdu.sqe.sgl.type = WIRE_SGL_IN_CAPSULE;
	pdu.common.plen += sizeof(data);
	pdu.common.pdo = 20;
	ini_raw(queue, &pdu, sizeof(pdu));
	ini_raw(queue, data, sizeof(data));
}

static void header_digest(struct ini_queue *queue)
{
	struct wire_command pdu = capsule();
	uint32_t crc;

	pdu.common.flags = WIRE_HDGST;
	pdu.common.plen = 76;
	crc = crc32c(0, &pdu, sizeof(pdu)) ^ 1;
	ini_raw(queue, &pdu, sizeof(pdu));
	ini_raw(queue, &crc, sizeof(crc));
}

/* H2CData of @len bytes that the test makes wrong. */
static void h2c_data(struct ini_queue *queue, uint16_t cid, uint16_t ttag, uint32_t offset,
		     uint32_t len)
{
	static const uint8_t data[65536];
	struct wire_data pdu = { .common = { .type = WIRE_H2C_DATA, .flags = WIRE_LAST, .hlen = 24,
					     .pdo = 24, .plen = 24 + len },
				 .cid = cid, .ttag = ttag, .offset = offset, .len = len };

	ini_raw(queue, &pdu, sizeof(pdu));
	ini_raw(queue, data, len < sizeof(data) ? len : sizeof(data));
}

static void data_never_asked_for(struct ini_queue *queue)
{
	h2c_data(queue, 3, 9, 0, 4096);
}

static void data_wrong_tag(struct ini_queue *queue)
{
	h2c_data(queue, pending.cid, (uint16_t)(pending.ttag + 1), 0, 4096);
}

static void data_wrong_command(struct ini_queue *queue)
{
	h2c_data(queue, (uint16_t)(pending.cid + 1), pending.ttag, 0, 4096);
}

static void data_wrong_offset(struct ini_queue *queue)
{
	h2c_data(queue, pending.cid, pending.ttag, 4096, 4096);
}

static void data_out_of_range(struct ini_queue *queue)
{
	h2c_data(queue, pending.cid, pending.ttag, 0x40000000, 4096);
}

static void data_too_much(struct ini_queue *queue)
{
	h2c_data(queue, pending.cid, pending.ttag, 0, 0x40000000);
}

static void data_empty(struct ini_queue *queue)
{
	h2c_data(queue, pending.cid, pending.ttag, 0, 0);
}

static void data_ends_early(struct ini_queue *queue)
{
	h2c_data(queue, pending.cid, pending.ttag, 0, 512);
}

static void data_length_differs(struct ini_queue *queue)
{
	struct wire_data pdu = { .common = { .type = WIRE_H2C_DATA, .flags = WIRE_LAST, .hlen = 24,
					     .pdo = 24, .plen = 24 + 4096 },
				 .cid = pending.cid, .ttag = pending.ttag, .len = 2048 };
	static const uint8_t data[4096];

	ini_raw(queue, &pdu, sizeof(pdu));
	ini_raw(queue, data, sizeof(data));
}

#define FIELD IS(WIRE_FATAL_FIELD)
#define SEQUENCE IS(WIRE_FATAL_SEQUENCE)
#define RANGE IS(WIRE_FATAL_RANGE)
#define LIMIT IS(WIRE_FATAL_LIMIT)

static const struct wrong table[] = {
	{ "ICReq of version 1", BARE, icreq_version, FIELD | IS(WIRE_FATAL_PARAMETER), 8 },
	{ "ICReq with a wrong header length", BARE, icreq_header_length, FIELD, 2 },
	{ "ICReq with a wrong length", BARE, icreq_length, FIELD, 4 },
	{ "ICReq with data alignment 32", BARE, icreq_alignment, FIELD | IS(WIRE_FATAL_PARAMETER), 10 },
	{ "unknown type first", BARE, unknown_type, FIELD | SEQUENCE, -1 },
	{ "command first", BARE, capsule_first, SEQUENCE, -1 },
	{ "ICResp from a host", BARE, icresp, FIELD | SEQUENCE, -1 },
	{ "second ICReq", ICREQ, icreq_again, SEQUENCE, -1 },
	{ "unknown type", IO, unknown_type, FIELD, 0 },
	{ "ICReq on a queue in use", IO, icreq_again, SEQUENCE, -1 },
	{ "command with a wrong header length", IO, capsule_header_length, FIELD, 2 },
	{ "command that is too short", IO, capsule_too_short, FIELD, 4 },
	{ "command of 2 GiB", IO, capsule_too_long, FIELD | LIMIT, -1 },
	{ "command with data inside its header", IO, capsule_data_offset, FIELD, 3 },
	{ "wrong header digest", IO_DIGEST, header_digest, IS(WIRE_FATAL_HDGST), -1 },
	{ "data that was never asked for", IO, data_never_asked_for, FIELD | SEQUENCE, -1 },
	{ "data with a wrong tag", R2T, data_wrong_tag, FIELD, 10 },
	{ "data for another command", R2T, data_wrong_command, FIELD, 8 },
	{ "data out of order", R2T, data_wrong_offset, FIELD | SEQUENCE | RANGE, -1 },
	{ "data out of range", R2T, data_out_of_range, RANGE | FIELD, -1 },
	{ "data of 1 GiB", R2T, data_too_much, LIMIT | RANGE | FIELD, -1 },
	{ "data of no bytes", R2T, data_empty, FIELD | RANGE | LIMIT, -1 },
	{ "last data before the end", R2T, data_ends_early, FIELD | SEQUENCE | RANGE, -1 },
	{ "data length that is not the PDU's", R2T, data_length_differs, FIELD | RANGE, -1 },
};

#define CASES ((int)(sizeof(table) / sizeof(table[0])))

/* A queue at the stage that the case needs. */
static struct ini_queue *queue_at(enum stage stage, struct ini_controller **controller)
{
	struct ini_host host = target_host(&fixture_target, 1, 1, 128);

	*controller = NULL;
	switch (stage) {
	case BARE:
		return ini_open_bare(&host.options, 0, 128, END_MS);
	case ICREQ:
		return ini_open(&host.options, 0, 128, END_MS);
	case IO_DIGEST:
		host.options.hdgst = host.options.ddgst = true;
		break;
	default:
		break;
	}
	*controller = fixture_connect_host(&host);
	if (stage == R2T)
		fixture_post_write((*controller)->queues[1], 65536, fixture_block_size(*controller),
				   &pending);
	return (*controller)->queues[1];
}

START_TEST(wrong_pdu_ends_its_connection_with_the_right_reason)
{
	const struct wrong *wrong = &table[_i];
	struct ini_controller *bystander = fixture_connect(2, 1, 16), *controller;
	struct ini_queue *queue = queue_at(wrong->stage, &controller);

	ck_assert_msg(!queue->ended, "%s: %s", wrong->name, queue->reason);
	fixture_serves(bystander);
	wrong->send(queue);
	ck_assert_msg(fixture_wait_end(queue, END_MS), "%s: nothing happened", wrong->name);
	ck_assert_msg(queue->fatal && IS(queue->fatal) & wrong->fatal, "%s: %s", wrong->name,
		      queue->reason);
	if (wrong->information >= 0)
		ck_assert_msg(queue->fatal_info == (uint32_t)wrong->information, "%s: %s",
			      wrong->name, queue->reason);
	fixture_serves(bystander);
	if (controller)
		ini_controller_close(controller, false);
	else
		ini_close(queue, false);
	ini_controller_close(bystander, false);
}
END_TEST

static void count_answer(struct ini_queue *queue, struct ini_command *command, void *arg)
{
	(void)queue;
	ck_assert_uint_eq(ini_status(&command->cqe), 0);
	++*(unsigned *)arg;
}

/* What came in the same packet, and before it, is answered before the connection ends. */
START_TEST(commands_before_a_wrong_pdu_are_answered)
{
	struct ini_controller *controller = fixture_connect(1, 1, 64);
	struct ini_queue *queue = controller->queues[1];
	uint32_t block = fixture_block_size(controller);
	struct wire_sqe sqe = ini_block_sqe(nvme_cmd_read, 1, 0, 1);
	uint8_t *data = calloc(50, block);
	unsigned answers = 0;

	for (size_t i = 0; i < 50; i++)
		ck_assert_ptr_nonnull(ini_submit(queue, &sqe, data + i * block, block, false,
						 controller->in_capsule, count_answer, &answers));
	unknown_type(queue);
	ck_assert(fixture_wait_end(queue, END_MS) && queue->fatal);
	ck_assert_uint_eq(answers, 50);
	free(data);
	ini_controller_close(controller, false);
}
END_TEST

/* The host has some time to read the TermReq and to close; this one does not. */
START_TEST(target_closes_after_its_term_request)
{
	struct ini_controller *controller = fixture_connect(1, 1, 16);
	struct ini_queue *queue = controller->queues[1];

	unknown_type(queue);
	ck_assert(fixture_wait_end(queue, END_MS) && queue->fatal);
	queue->ended = false;
	ck_assert(fixture_wait_end(queue, CLOSE_MS));
	ck_assert_msg(queue->closed_by_target, "%s", queue->reason);
	ini_controller_close(controller, false);
}
END_TEST

START_TEST(host_term_request_closes_the_connection)
{
	struct ini_controller *controller = fixture_connect(1, 1, 16);
	struct ini_queue *queue = controller->queues[1];
	struct wire_term term = { .common = { .type = WIRE_H2C_TERM, .hlen = 24, .plen = 24 + 8 },
				  .fes = 1 };

	ini_raw(queue, &term, sizeof(term));
	ini_raw(queue, &term, 8);
	ck_assert(fixture_wait_end(queue, END_MS));
	ck_assert_msg(queue->closed_by_target && !queue->fatal, "%s", queue->reason);
	ini_controller_close(controller, false);
}
END_TEST

START_TEST(silence_before_the_icreq_harms_nobody)
{
	struct ini_host host = target_host(&fixture_target, 1, 0, 16);
	struct ini_queue *queues[64];
	struct ini_controller *bystander;

	for (int i = 0; i < 64; i++)
		queues[i] = ini_open_bare(&host.options, 0, 16, END_MS);
	bystander = fixture_connect(2, 1, 16);
	fixture_serves(bystander);
	for (int i = 0; i < 64; i++)
		ini_close(queues[i], i % 2);
	fixture_serves(bystander);
	ini_controller_close(bystander, false);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nvme fatal errors");
	TCase *tcase = tcase_create("fatal");

	target_need();
	tcase_add_checked_fixture(tcase, fixture_start, fixture_stop);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, wrong_pdu_ends_its_connection_with_the_right_reason, 0, CASES);
	tcase_add_test(tcase, commands_before_a_wrong_pdu_are_answered);
	tcase_add_test(tcase, target_closes_after_its_term_request);
	tcase_add_test(tcase, host_term_request_closes_the_connection);
	tcase_add_test(tcase, silence_before_the_icreq_harms_nobody);
	suite_add_tcase(suite, tcase);
	return fixture_run(suite);
}
