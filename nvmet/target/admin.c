/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admin.c - which admin commands there are, and the small ones among them
 *
 * Owns: the table that decides, for the queue and for the effects log alike, so
 * that what is claimed is what is there. Keep Alive, Abort and Asynchronous Event
 * Request are here; the larger ones have files of their own.
 *
 * Never: says that a command was aborted whose data is on its way.
 */
#include <errno.h>
#include <string.h>

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

/*
 * A command can be taken back as long as nothing of it is on the wire: an event
 * request, a write that was not asked for its data, a read that is held or whose answer
 * is blocked, a deallocation between two of its slices, and a read whose answer is queued
 * and has not begun to leave. The rest completes as usual, and so does everything on a queue
 * that another thread serves: an Abort is a wish.
 */
static bool abort_task(struct task *task)
{
	switch (task->state) {
	case TASK_PARKED:
	case TASK_HELD:
	case TASK_WORKING:
	case TASK_WAITING:
		task_complete(task, NVME_SC_ABORT_REQ);
		return true;
	case TASK_BLOCKED:
		/* with the status the completion goes without data; a request that
		 * has begun has to be let go first, and is better left to complete */
		if (task->begun || task->status)
			return false;
		task->status = NVME_SC_ABORT_REQ;
		return true;
	case TASK_SENDING:
		return task_withdraw(task);
	default:
		return false;
	}
}

void abort_run(struct task *task)
{
	uint32_t dw10 = le32toh(task->sqe.cdw10);
	uint16_t qid = (uint16_t)dw10, cid = (uint16_t)(dw10 >> 16);
	struct ctrl *ctrl = task->conn->ctrl;
	struct task *other = NULL;
	struct conn *conn;

	task->result = 1; /* not aborted */
	if (!ctrl_queue(ctrl, qid, &conn)) {
		task_complete(task, STATUS_DNR(NVME_SC_INVALID_FIELD));
		return;
	}
	if (conn)
		other = TAILQ_FIRST(&conn->tasks);
	for (; other; other = TAILQ_NEXT(other, in_conn))
		if (other != task && le16toh(other->sqe.cid) == cid)
			break;
	if (other && abort_task(other))
		task->result = 0;
	task_complete(task, 0);
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
