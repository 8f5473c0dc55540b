/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * abort.c - Abort, also of a command on a queue that another thread serves
 *
 * Owns: the wishes of a controller: which command another thread is to take back, and what it
 * answered. A wish is written down in the controller and the thread is woken to look, as with
 * all that threads want of each other; the answer comes back the same way.
 *
 * Never: says that a command was aborted whose data is on its way, or keeps an Abort waiting for
 * a queue that has gone.
 */
#include <errno.h>

#include "command.h"

/*
 * A command can be taken back as long as it has done nothing and nothing of it is on the
 * wire: an event request, a write that was not asked for its data, what is held, a
 * deallocation between two of its slices, and a read whose answer is queued and has not begun
 * to leave. The rest completes as usual, what was done and waits for room to say so with it:
 * an Abort is a wish.
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
	case TASK_SENDING:
		return task_withdraw(task);
	default:
		return false;
	}
}

/* On the queue's own thread. @except: the Abort itself */
static bool abort_on_queue(struct conn *conn, uint16_t cid, const struct task *except)
{
	struct task *task;

	TAILQ_FOREACH(task, &conn->tasks, in_conn)
		if (task != except && le16toh(task->sqe.cid) == cid)
			return abort_task(task);
	return false;
}

static pthread_mutex_t *lock_of(const struct ctrl *ctrl)
{
	return &ctrl->target->subsystem->lock;
}

/* False: the queue has gone meanwhile, or there are as many wishes as may be. */
static bool wish(struct ctrl *ctrl, struct task *task, uint16_t qid, uint16_t cid)
{
	struct target *where = NULL;
	struct abort_wish *wish = ctrl->wishes;

	pthread_mutex_lock(lock_of(ctrl));
	while (wish < ctrl->wishes + ABORT_LIMIT && wish->state != WISH_NONE)
		wish++;
	if (wish < ctrl->wishes + ABORT_LIMIT && ctrl->queues[qid].conn) {
		*wish = (struct abort_wish){ WISH_ASKED, task, qid, cid, false };
		where = ctrl->queues[qid].target;
	}
	pthread_mutex_unlock(lock_of(ctrl));
	if (!where)
		return false;
	task_enter(task, TASK_ASKING);
	target_wake(where);
	return true;
}

void abort_run(struct task *task)
{
	uint32_t dw10 = le32toh(task->sqe.cdw10);
	uint16_t qid = (uint16_t)dw10, cid = (uint16_t)(dw10 >> 16);
	struct ctrl *ctrl = task->conn->ctrl;
	struct conn *conn;

	task->result = 1; /* not aborted */
	if (!ctrl_queue(ctrl, qid, &conn)) {
		task_complete(task, STATUS_DNR(NVME_SC_INVALID_FIELD));
		return;
	}
	if (!conn && wish(ctrl, task, qid, cid))
		return;
	if (conn && abort_on_queue(conn, cid, task))
		task->result = 0;
	task_complete(task, 0);
}

/* The next one for this queue, without the lock: only its thread ends what it began. */
static struct abort_wish *asked_of(struct conn *conn)
{
	struct ctrl *ctrl = conn->ctrl;
	struct abort_wish *found = NULL;
	unsigned i;

	pthread_mutex_lock(lock_of(ctrl));
	for (i = 0; i < ABORT_LIMIT && !found; i++)
		if (ctrl->wishes[i].state == WISH_ASKED && ctrl->wishes[i].qid == conn->qid)
			found = &ctrl->wishes[i];
	pthread_mutex_unlock(lock_of(ctrl));
	return found;
}

void aborts_look_at_queue(struct conn *conn)
{
	struct ctrl *ctrl = conn->ctrl;
	struct abort_wish *wish;
	bool aborted;

	while (conn->qid && (wish = asked_of(conn))) {
		aborted = abort_on_queue(conn, wish->cid, NULL);
		pthread_mutex_lock(lock_of(ctrl));
		wish->aborted = aborted;
		wish->state = WISH_ANSWERED;
		pthread_mutex_unlock(lock_of(ctrl));
		target_wake(ctrl->target);
	}
}

void aborts_queue_gone(struct ctrl *ctrl, uint16_t qid)
{
	unsigned i;

	for (i = 0; i < ABORT_LIMIT; i++)
		if (ctrl->wishes[i].state == WISH_ASKED && ctrl->wishes[i].qid == qid) {
			ctrl->wishes[i].state = WISH_ANSWERED;
			target_wake(ctrl->target);
		}
}

void aborts_look(struct ctrl *ctrl)
{
	struct task *task;
	unsigned i;

	for (i = 0; i < ABORT_LIMIT; i++) {
		task = NULL;
		pthread_mutex_lock(lock_of(ctrl));
		if (ctrl->wishes[i].state == WISH_ANSWERED) {
			task = ctrl->wishes[i].task;
			if (task && ctrl->wishes[i].aborted)
				task->result = 0;
			ctrl->wishes[i].state = WISH_NONE;
		}
		pthread_mutex_unlock(lock_of(ctrl));
		if (task)
			task_complete(task, 0);
	}
}

void abort_forget(struct task *task)
{
	struct ctrl *ctrl = task->conn->ctrl;
	unsigned i;

	pthread_mutex_lock(lock_of(ctrl));
	for (i = 0; i < ABORT_LIMIT; i++)
		if (ctrl->wishes[i].task == task)
			ctrl->wishes[i].task = NULL;
	pthread_mutex_unlock(lock_of(ctrl));
}
