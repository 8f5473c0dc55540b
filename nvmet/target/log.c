/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log.c - Get Log Page
 *
 * Owns: the pages: supported pages, errors, SMART / Health, firmware slot, command
 * effects, where it is reported the access to namespaces (ANA), and on a discovery controller
 * the discovery page.
 * Never: reports a figure that nobody counts; those are zero.
 *
 * Each page is made whole and then read from the offset that was asked for, so
 * that a host which reads it in pieces gets the pieces of one thing.
 */
#include <stdlib.h>
#include <string.h>

#include "command.h"

#define RETAIN_EVENT 0x8000u
#define DATA_UNIT_SECTORS 1000

static uint8_t page_of(const struct task *task)
{
	return (uint8_t)le32toh(task->sqe.cdw10);
}

static uint64_t offset_of(const struct task *task)
{
	return le32toh(task->sqe.cdw12) | (uint64_t)le32toh(task->sqe.cdw13) << 32;
}

static uint64_t length_of(const struct task *task)
{
	uint32_t low = le32toh(task->sqe.cdw10) >> 16, high = le32toh(task->sqe.cdw11) & 0xffff;

	return ((uint64_t)(low | high << 16) + 1) * 4;
}

static void reply_with(struct task *task, const void *bytes, size_t len)
{
	uint64_t offset = offset_of(task);

	if (offset > len) {
		task_complete(task, STATUS_DNR(NVME_SC_INVALID_FIELD));
		return;
	}
	if (task_reply_buffer(task, (uint32_t)length_of(task)) < 0) {
		task_complete(task, NVME_SC_INTERNAL);
		return;
	}
	task_put(task, 0, (const uint8_t *)bytes + offset, len - offset);
	task_complete(task, 0);
}

static void put_count(uint8_t field[16], uint64_t value)
{
	uint64_t little = htole64(value);

	memcpy(field, &little, sizeof(little));
}

static void fill_health(struct ctrl *ctrl, struct nvme_smart_log *log)
{
	struct health sum, *health = &sum;
	uint64_t hours;

	subsystem_health(ctrl->target->subsystem, health);
	hours = (zcreq_now_ns() - health->started_ns) / UINT64_C(3600000000000);
	log->critical_warning = health->critical_warning;
	log->avail_spare = 100;
	put_count(log->data_units_read,
		  (health->read_sectors + DATA_UNIT_SECTORS - 1) / DATA_UNIT_SECTORS);
	put_count(log->data_units_written,
		  (health->written_sectors + DATA_UNIT_SECTORS - 1) / DATA_UNIT_SECTORS);
	put_count(log->host_reads, health->reads);
	put_count(log->host_writes, health->writes);
	put_count(log->power_cycles, 1);
	put_count(log->power_on_hours, hours);
	put_count(log->media_errors, health->media_errors);
	put_count(log->num_err_log_entries, ctrl_errors(ctrl, NULL));
}

static void run_health(struct task *task)
{
	struct ctrl *ctrl = task->conn->ctrl;
	struct nvme_smart_log log;

	memset(&log, 0, sizeof(log));
	fill_health(ctrl, &log);
	if (!(le32toh(task->sqe.cdw10) & RETAIN_EVENT))
		ctrl->events_masked &= ~(uint32_t)CTRL_EVENT_DEGRADED;
	reply_with(task, &log, sizeof(log));
	ctrl_send_events(ctrl);
}

/* The newest entry comes first. */
static void run_errors(struct task *task)
{
	struct nvme_error_log_page log[ERROR_LOG_ENTRIES];

	ctrl_errors(task->conn->ctrl, log);
	reply_with(task, log, sizeof(log));
}

static void run_firmware(struct task *task)
{
	struct nvme_firmware_slot log;
	const char *version = ZCREQ_VERSION;
	size_t len = strlen(version);

	memset(&log, 0, sizeof(log));
	log.afi = 1;
	memset(log.frs[0], ' ', sizeof(log.frs[0]));
	memcpy(log.frs[0], version, len < sizeof(log.frs[0]) ? len : sizeof(log.frs[0]));
	reply_with(task, &log, sizeof(log));
}

static void run_effects(struct task *task)
{
	struct nvme_cmd_effects_log *log = calloc(1, sizeof(*log));
	const struct command *command;
	unsigned opcode;

	if (!log) {
		task_complete(task, NVME_SC_INTERNAL);
		return;
	}
	for (opcode = 0; opcode < 256; opcode++) {
		command = admin_command((uint8_t)opcode);
		if (command)
			log->acs[opcode] = htole32(command->effects);
		command = io_command((uint8_t)opcode);
		if (command)
			log->iocs[opcode] = htole32(command->effects);
	}
	reply_with(task, log, sizeof(*log));
	free(log);
}

#define GROUPS_ONLY 0x100u /* the command's RGO */

/* One group with all namespaces, whose state does not change. */
static void run_access(struct task *task)
{
	const struct target *target = task->conn->target;
	bool groups_only = le32toh(task->sqe.cdw10) & GROUPS_ONLY;
	uint32_t count = groups_only ? 0 : target->store_count, i;
	size_t len = sizeof(struct nvme_ana_log) + sizeof(struct nvme_ana_group_desc) + count * 4;
	struct nvme_ana_log *log = calloc(1, len);
	struct nvme_ana_group_desc *group;

	if (!log) {
		task_complete(task, NVME_SC_INTERNAL);
		return;
	}
	log->chgcnt = htole64(1);
	log->ngrps = htole16(1);
	group = (void *)(log + 1);
	group->grpid = htole32(ANA_GROUP);
	group->nnsids = htole32(count);
	group->chgcnt = htole64(1);
	group->state = (uint8_t)target->options.access;
	for (i = 0; i < count; i++)
		group->nsids[i] = htole32(i + 1);
	reply_with(task, log, len);
	free(log);
}

static void run_discovery(struct task *task)
{
	size_t len;
	uint8_t *log = discovery_log(task->conn, &len);

	if (log)
		reply_with(task, log, len);
	else
		task_complete(task, NVME_SC_INTERNAL);
	free(log);
}

static void run_supported(struct task *task);

/* The page's maker, or NULL. */
static void (*find(const struct task *task, uint8_t page))(struct task *)
{
	static void (*const pages[])(struct task *) = {
		[NVME_LOG_LID_SUPPORTED_LOG_PAGES] = run_supported,
		[NVME_LOG_LID_ERROR] = run_errors,
		[NVME_LOG_LID_SMART] = run_health,
		[NVME_LOG_LID_FW_SLOT] = run_firmware,
		[NVME_LOG_LID_CMD_EFFECTS] = run_effects,
	};

	if (task->conn->ctrl->discovery) {
		if (page == NVME_LOG_LID_DISCOVER)
			return run_discovery;
		return page == NVME_LOG_LID_SUPPORTED_LOG_PAGES ? run_supported : NULL;
	}
	if (page == NVME_LOG_LID_ANA)
		return task->conn->target->options.access ? run_access : NULL;
	return page < sizeof(pages) / sizeof(pages[0]) ? pages[page] : NULL;
}

static void run_supported(struct task *task)
{
	struct nvme_supported_log_pages log;
	unsigned page;

	memset(&log, 0, sizeof(log));
	for (page = 0; page < 256; page++)
		if (find(task, (uint8_t)page))
			log.lid_support[page] = htole32(1); /* supported, no more said */
	reply_with(task, &log, sizeof(log));
}

uint16_t log_page_check(struct task *task, uint32_t *len)
{
	uint32_t nsid = le32toh(task->sqe.nsid);

	if (!find(task, page_of(task)))
		return STATUS_DNR(STATUS_SPECIFIC(NVME_SC_INVALID_LOG_PAGE));
	if (page_of(task) == NVME_LOG_LID_SMART && nsid && nsid != NVME_NSID_ALL)
		return STATUS_DNR(NVME_SC_INVALID_FIELD); /* of the controller only */
	if (length_of(task) > TRANSFER_MAX || offset_of(task) % 4)
		return STATUS_DNR(NVME_SC_INVALID_FIELD);
	*len = (uint32_t)length_of(task);
	return 0;
}

void log_page_run(struct task *task)
{
	find(task, page_of(task))(task);
}
