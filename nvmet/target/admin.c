/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admin.c - which admin commands there are, and the small ones among them
 *
 * Owns: the table that decides, for the queue and for the effects log alike, so
 * that what is claimed is what is there. Keep Alive and Asynchronous Event Request are
 * here; the larger ones have files of their own.
 *
 * Never: a claim beside the table.
 */
#include "command.h"

void keep_alive_run(struct task *task)
{
	ctrl_heard(task->conn->ctrl);
	task_complete(task, 0);
}

void async_event_run(struct task *task)
{
	struct ctrl *ctrl = task->conn->ctrl;

	if (ctrl->event_count >= AER_LIMIT)
		task_complete(task, STATUS_DNR(STATUS_SPECIFIC(NVME_SC_ASYNC_LIMIT)));
	else
		ctrl_park(ctrl, task);
}

const struct command *admin_command(uint8_t opcode)
{
	static const struct command commands[] = {
		[nvme_admin_get_log_page] = { log_page_check, log_page_run,
					      NVME_CMD_EFFECTS_CSUPP, NULL },
		[nvme_admin_identify] = { identify_check, identify_run, NVME_CMD_EFFECTS_CSUPP, NULL },
		[nvme_admin_abort_cmd] = { NULL, abort_run, NVME_CMD_EFFECTS_CSUPP, NULL },
		[nvme_admin_set_features] = { set_features_check, set_features_run,
					      NVME_CMD_EFFECTS_CSUPP, NULL },
		[nvme_admin_get_features] = { get_features_check, get_features_run,
					      NVME_CMD_EFFECTS_CSUPP, NULL },
		[nvme_admin_async_event] = { NULL, async_event_run, NVME_CMD_EFFECTS_CSUPP, NULL },
		[nvme_admin_keep_alive] = { NULL, keep_alive_run, NVME_CMD_EFFECTS_CSUPP, NULL },
	};

	if (opcode >= sizeof(commands) / sizeof(commands[0]) || !commands[opcode].run)
		return NULL;
	return &commands[opcode];
}
