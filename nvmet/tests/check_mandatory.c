/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_mandatory.c - what the specification demands is there, and what is claimed is there
 *
 * The lists of NVMe 1.4 and NVMe over Fabrics 1.1, for an I/O controller and for discovery:
 * properties, commands, features, log pages, Identify. And what tools do that keep to it less.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#define BLOCK 4096u
#define DISCOVERY "nqn.2014-08.org.nvmexpress.discovery"
#define SPECIFIC(code) (NVME_SCT_CMD_SPECIFIC << NVME_SCT_SHIFT | NVME_SC_##code)

/* Where a command has to be answered with success. */
enum where { ADMIN = 1, IO, DISCOVER };

static const struct mandatory {
	const char *name;
	enum where where;
	struct wire_sqe sqe;
	uint32_t len;
} mandatory[] = {
#define LOG(where, page, bytes) \
	{ "Get Log Page " #page, where, { .opcode = nvme_admin_get_log_page, .nsid = NVME_NSID_ALL, \
	  .cdw10 = (page) | ((bytes) / 4 - 1) << 16 }, bytes }
#define GET(where, feature, len) \
	{ "Get Features " #feature, where, { .opcode = nvme_admin_get_features, .cdw10 = feature, \
	  .cdw11 = (len) != 0 }, len }
#define SET(where, feature, value) \
	{ "Set Features " #feature, where, { .opcode = nvme_admin_set_features, .cdw10 = feature, \
	  .cdw11 = value }, 0 }
#define IDENTIFY(where, cns, ns) \
	{ "Identify " #cns, where, { .opcode = nvme_admin_identify, .nsid = ns, .cdw10 = cns }, 4096 }
#define PROPERTY(where, offset, wide) \
	{ "Property Get " #offset, where, { .opcode = nvme_admin_fabrics, \
	  .nsid = nvme_fabrics_type_property_get, .cdw10 = wide, .cdw11 = offset }, 0 }
	PROPERTY(ADMIN, NVME_REG_CAP, 1),
	PROPERTY(ADMIN, NVME_REG_VS, 0),
	PROPERTY(ADMIN, NVME_REG_CC, 0),
	PROPERTY(ADMIN, NVME_REG_CSTS, 0),
	IDENTIFY(ADMIN, NVME_IDENTIFY_CNS_NS, 1),
	IDENTIFY(ADMIN, NVME_IDENTIFY_CNS_CTRL, 0),
	IDENTIFY(ADMIN, NVME_IDENTIFY_CNS_NS_ACTIVE_LIST, 0),
	IDENTIFY(ADMIN, NVME_IDENTIFY_CNS_NS_DESC_LIST, 1),
	LOG(ADMIN, NVME_LOG_LID_ERROR, 64),
	LOG(ADMIN, NVME_LOG_LID_SMART, 512),
	LOG(ADMIN, NVME_LOG_LID_FW_SLOT, 512),
	GET(ADMIN, NVME_FEAT_FID_ARBITRATION, 0),
	GET(ADMIN, NVME_FEAT_FID_POWER_MGMT, 0),
	GET(ADMIN, NVME_FEAT_FID_TEMP_THRESH, 0),
	GET(ADMIN, NVME_FEAT_FID_ERR_RECOVERY, 0),
	GET(ADMIN, NVME_FEAT_FID_NUM_QUEUES, 0),
	GET(ADMIN, NVME_FEAT_FID_WRITE_ATOMIC, 0),
	GET(ADMIN, NVME_FEAT_FID_ASYNC_EVENT, 0),
	GET(ADMIN, NVME_FEAT_FID_KATO, 0),
	GET(ADMIN, NVME_FEAT_FID_HOST_ID, 16),
	/* as they are: what a host that restores its settings does */
	SET(ADMIN, NVME_FEAT_FID_ARBITRATION, 7),
	SET(ADMIN, NVME_FEAT_FID_POWER_MGMT, 0),
	SET(ADMIN, NVME_FEAT_FID_TEMP_THRESH, 0xffff),
	SET(ADMIN, NVME_FEAT_FID_TEMP_THRESH, 0x100000),
	SET(ADMIN, NVME_FEAT_FID_ERR_RECOVERY, 0),
	SET(ADMIN, NVME_FEAT_FID_WRITE_ATOMIC, 0),
	SET(ADMIN, NVME_FEAT_FID_ASYNC_EVENT, 0),
	SET(ADMIN, NVME_FEAT_FID_KATO, 30000),
	{ "Abort", ADMIN, { .opcode = nvme_admin_abort_cmd, .cdw10 = 31u << 16 }, 0 },
	{ "Keep Alive", ADMIN, { .opcode = nvme_admin_keep_alive }, 0 },
	{ "Flush", IO, { .opcode = nvme_cmd_flush, .nsid = 1 }, 0 },
	{ "Write", IO, { .opcode = nvme_cmd_write, .nsid = 1 }, BLOCK },
	{ "Read", IO, { .opcode = nvme_cmd_read, .nsid = 1 }, BLOCK },
	PROPERTY(DISCOVER, NVME_REG_CAP, 1),
	PROPERTY(DISCOVER, NVME_REG_VS, 0),
	PROPERTY(DISCOVER, NVME_REG_CC, 0),
	PROPERTY(DISCOVER, NVME_REG_CSTS, 0),
	IDENTIFY(DISCOVER, NVME_IDENTIFY_CNS_CTRL, 0),
	LOG(DISCOVER, NVME_LOG_LID_DISCOVER, 1024),
	/* of one with a keep-alive timer, which this may have */
	GET(DISCOVER, NVME_FEAT_FID_ASYNC_EVENT, 0),
	GET(DISCOVER, NVME_FEAT_FID_KATO, 0),
	SET(DISCOVER, NVME_FEAT_FID_KATO, 30000),
	{ "Keep Alive", DISCOVER, { .opcode = nvme_admin_keep_alive }, 0 },
};

#define MANDATORY ((int)(sizeof(mandatory) / sizeof(mandatory[0])))

static struct ini_controller *connect_discovery(void)
{
	struct ini_host host = target_host(&fixture_target, 1, 0, 32);

	host.nqn = DISCOVERY;
	return fixture_connect_host(&host);
}

static int command(struct ini_controller *controller, enum where where, struct wire_sqe sqe, void *data,
		   uint32_t len)
{
	return ini_wait(controller->queues[where == IO], &sqe, len ? data : NULL, len, sqe.opcode & 1,
			BLOCK, NULL, INI_WAIT_MS);
}

START_TEST(what_is_mandatory_is_there)
{
	static uint8_t data[BLOCK];
	struct ini_controller *io = fixture_connect(1, 1, 32), *discovery = connect_discovery();
	int status, failed = 0;

	for (int i = 0; i < MANDATORY; i++) {
		const struct mandatory *one = &mandatory[i];

		status = command(one->where == DISCOVER ? discovery : io, one->where, one->sqe, data,
				 one->len);
		if (status) {
			printf("%s%s: status 0x%x\n", one->where == DISCOVER ? "discovery: " : "",
			       one->name, (unsigned)status);
			failed++;
		}
	}
	ck_assert_int_eq(failed, 0);
	ini_controller_close(io, false);
	ini_controller_close(discovery, false);
}
END_TEST

static int log_page(struct ini_controller *controller, uint32_t page, void *data)
{
	return command(controller, ADMIN,
		       (struct wire_sqe){ .opcode = nvme_admin_get_log_page, .nsid = NVME_NSID_ALL,
					  .cdw10 = page | (BLOCK / 4 - 1) << 16 }, data, BLOCK);
}

/* The effects log, against each opcode that moves no data; those that do are refused for
 * another reason if they are there. */
START_TEST(commands_that_are_claimed_are_those_that_are_there)
{
	static struct nvme_cmd_effects_log log;
	struct ini_controller *controller = fixture_connect(1, 1, 32);
	bool claimed;
	int status;

	ck_assert_int_eq(log_page(controller, NVME_LOG_LID_CMD_EFFECTS, &log), 0);
	for (uint32_t i = 0; i < 512; i++) {
		uint8_t opcode = (uint8_t)i;
		enum where where = i < 256 ? ADMIN : IO;

		if (opcode == nvme_admin_fabrics || (where == ADMIN && opcode == nvme_admin_async_event))
			continue; /* of another list; waits for an event */
		claimed = (where == IO ? log.iocs : log.acs)[opcode] & NVME_CMD_EFFECTS_CSUPP;
		status = command(controller, where, (struct wire_sqe){ .opcode = opcode, .nsid = 9,
								       .cdw10 = 0xff }, NULL, 0);
		ck_assert_msg(claimed == (status != NVME_SC_INVALID_OPCODE), "%s 0x%x: status 0x%x",
			      where == IO ? "I/O" : "admin", opcode, (unsigned)status);
	}
	ini_controller_close(controller, false);
}
END_TEST

START_TEST(log_pages_that_are_claimed_are_those_that_are_there)
{
	struct ini_controller *controller = _i ? connect_discovery() : fixture_connect(1, 0, 32);
	struct nvme_supported_log_pages supported;
	uint8_t *data = malloc(BLOCK);
	int status;

	ck_assert_int_eq(log_page(controller, NVME_LOG_LID_SUPPORTED_LOG_PAGES, data), 0);
	memcpy(&supported, data, sizeof(supported));
	for (uint32_t page = 0; page < 256; page++) {
		status = log_page(controller, page, data);
		ck_assert_int_eq(status, supported.lid_support[page] ? 0 : SPECIFIC(INVALID_LOG_PAGE));
	}
	free(data);
	ini_controller_close(controller, false);
}
END_TEST

/* Each feature can be read or is invalid, and says the same again when it is set to what it
 * is; one that is what it is refuses anything else. */
START_TEST(features_are_there_or_refused_and_keep_what_they_say)
{
	struct ini_controller *controller = fixture_connect(1, 0, 32);
	struct ini_queue *admin = controller->queues[0];
	uint8_t data[16];
	int there = 0, status;

	for (uint32_t feature = 0; feature < 256; feature++) {
		bool id = feature == NVME_FEAT_FID_HOST_ID;
		struct wire_sqe get = { .opcode = nvme_admin_get_features, .cdw10 = feature, .cdw11 = id };
		struct wire_sqe set = { .opcode = nvme_admin_set_features, .cdw10 = feature };
		struct wire_cqe cqe = { 0 };

		status = ini_wait(admin, &get, id ? data : NULL, id ? 16 : 0, false, 0, &cqe, INI_WAIT_MS);
		if (status) {
			ck_assert_int_eq(status, NVME_SC_INVALID_FIELD);
			continue;
		}
		there++;
		set.cdw11 = (uint32_t)cqe.result;
		status = ini_wait(admin, &set, NULL, 0, false, 0, NULL, INI_WAIT_MS);
		ck_assert_msg(status == (id ? SPECIFIC(FEATURE_NOT_CHANGEABLE) : 0), "0x%x: 0x%x", feature,
			      (unsigned)status);
		if (feature > NVME_FEAT_FID_ERR_RECOVERY && feature != NVME_FEAT_FID_WRITE_ATOMIC)
			continue;
		set.cdw11 ^= 1;
		status = ini_wait(admin, &set, NULL, 0, false, 0, NULL, INI_WAIT_MS);
		ck_assert_int_eq(status, SPECIFIC(FEATURE_NOT_CHANGEABLE));
	}
	ck_assert_int_eq(there, 9);
	ini_controller_close(controller, false);
}
END_TEST

/* --- what tools do --------------------------------------------------------------- */

/* Tools that were told no host name send none. */
START_TEST(host_without_a_name_is_served_and_told)
{
	struct ini_host host = target_host(&fixture_target, 1, 0, 32);
	struct ini_queue *queue = ini_open(&host.options, 0, 32, INI_WAIT_MS);
	struct nvmf_connect_data data;
	struct wire_sqe sqe;

	ini_make_connect(&host, INI_ANY_CONTROLLER, &sqe, 0, 32, &data);
	memset(data.hostnqn, 0, sizeof(data.hostnqn));
	ck_assert_int_eq(ini_wait(queue, &sqe, &data, sizeof(data), true, sizeof(data), NULL, INI_WAIT_MS),
			 0);
	ck_assert(target_log_find(&fixture_target, 0, "nameless", "qid=0", INI_WAIT_MS, NULL));
	ini_close(queue, false);
	queue = ini_open(&host.options, 0, 32, INI_WAIT_MS);
	strcpy(data.hostnqn, "nqn.with a blank");
	ck_assert_int_eq(ini_wait(queue, &sqe, &data, sizeof(data), true, sizeof(data), NULL, INI_WAIT_MS),
			 SPECIFIC(CONNECT_INVALID_PARAM));
	ini_close(queue, false);
}
END_TEST

/* A queue that is never full has one entry more than commands. */
START_TEST(queue_for_128_commands_is_accepted)
{
	struct ini_host host = target_host(&fixture_target, 1, 1, 129);
	struct ini_controller *controller = fixture_connect_host(&host);

	fixture_serves(controller);
	ck_assert(ini_controller_shutdown(controller));
}
END_TEST

#define READS 100
#define READ_BYTES 131072u
#define ON_THEIR_WAY 8 /* at most: what the buffers of two sockets take */

struct ends {
	unsigned done, aborted;
	uint16_t head;
};

static void note_end(struct ini_queue *queue, struct ini_command *read, void *arg)
{
	struct ends *ends = arg;

	(void)queue;
	ends->done++;
	ends->head = read->cqe.sqhd;
	if (ini_status(&read->cqe) == NVME_SC_ABORT_REQ)
		ends->aborted++;
	else
		ck_assert_uint_eq(ini_status(&read->cqe), 0);
}

static void start_with_small_buffers(void)
{
	static const char *const arguments[] = { "--listen", "127.0.0.1:0", "--namespace", "mem:16M",
						 "--send-buffer", "65536", NULL };

	ck_assert(target_start(&fixture_target, -1, arguments));
}

/* One Abort for each read that none took back so far. */
static unsigned abort_reads(struct ini_controller *controller, bool *taken)
{
	unsigned now = 0;
	struct wire_cqe cqe;

	for (uint32_t id = 0; id < READS; id++) {
		struct wire_sqe abort_it = { .opcode = nvme_admin_abort_cmd, .cdw10 = id << 16 | 1 };

		if (taken[id])
			continue;
		ck_assert_int_eq(ini_wait(controller->queues[0], &abort_it, NULL, 0, false, 0, &cqe,
					  INI_WAIT_MS), 0);
		taken[id] = !(cqe.result & 1);
		now += taken[id];
	}
	return now;
}

/*
 * 12.5 MiB of answers, more than the cap, and the sockets take few: the others can be taken back,
 * and each command is answered once, as Abort said. Abort finds none that the target has not read,
 * be it slow or without room for its answer; so those are asked for again.
 */
START_TEST(abort_takes_back_what_is_not_on_its_way)
{
	struct ini_host host = target_host(&fixture_target, 1, 1, 128);
	struct wire_sqe read = ini_block_sqe(nvme_cmd_read, 1, 0, READ_BYTES / BLOCK);
	uint64_t end = ini_now_ns() + INI_WAIT_MS * 1000000ull;
	struct ini_controller *controller;
	uint8_t *data = malloc(READ_BYTES);
	bool aborted[READS] = { false };
	struct ends ends = { 0 };
	unsigned taken = 0;

	host.options.receive_buffer = 65536;
	controller = fixture_connect_host(&host);
	for (int i = 0; i < READS; i++)
		ck_assert(ini_submit(controller->queues[1], &read, data, READ_BYTES, false, 0, note_end,
				     &ends));
	ini_flush(controller->queues[1]);
	while (taken < READS - ON_THEIR_WAY && ini_now_ns() < end)
		taken += abort_reads(controller, aborted);
	while (ends.done < READS)
		ck_assert(ini_poll(controller->queues + 1, 1, INI_WAIT_MS));
	printf("%d reads of 128 KiB, none of them read: Abort took back %u\n", READS, taken);
	ck_assert_uint_eq(ends.aborted, taken);
	ck_assert_uint_eq(ends.head, (READS + 1) % 128); /* with Connect */
	ck_assert_uint_ge(taken, READS - ON_THEIR_WAY);
	fixture_serves(controller);
	free(data);
	ck_assert(ini_controller_shutdown(controller));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nvme mandatory");
	TCase *tcase = tcase_create("mandatory"), *unread = tcase_create("unread");

	target_need();
	tcase_add_checked_fixture(tcase, fixture_start, fixture_stop);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, what_is_mandatory_is_there);
	tcase_add_test(tcase, commands_that_are_claimed_are_those_that_are_there);
	tcase_add_loop_test(tcase, log_pages_that_are_claimed_are_those_that_are_there, 0, 2);
	tcase_add_test(tcase, features_are_there_or_refused_and_keep_what_they_say);
	tcase_add_test(tcase, host_without_a_name_is_served_and_told);
	tcase_add_test(tcase, queue_for_128_commands_is_accepted);
	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(unread, start_with_small_buffers, fixture_stop);
	tcase_set_timeout(unread, 60);
	tcase_add_test(unread, abort_takes_back_what_is_not_on_its_way);
	suite_add_tcase(suite, unread);
	return fixture_run(suite);
}
