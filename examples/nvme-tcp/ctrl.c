/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ctrl.c - controllers: registers, keep-alive, events, end
 *
 * Owns: the list of controllers and their ids.
 * Never: sends; never frees a queue: it aborts connections and waits for them.
 *
 * The registers are the four that Fabrics knows, computed or stored. A host that
 * does not keep alive has its queues aborted, which gives every buffer back at
 * once; there is nothing else to a dead host.
 */
#include "ctrl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "conn.h"

#define KEEP_ALIVE_GRACE_S .1
#define READY_TIMEOUT 10 /* CAP.TO, in half seconds; enabling takes no time here */
#define IO_SQE_SHIFT 6
#define IO_CQE_SHIFT 4
#define CSTS_RDY (1u << NVME_CSTS_RDY_SHIFT)
#define CSTS_CFS (1u << NVME_CSTS_CFS_SHIFT)
#define CSTS_SHUT_DOWN ((uint32_t)NVME_CSTS_SHST_CMPLT << NVME_CSTS_SHST_SHIFT)

/* A loop that was held up sees the timer and the host's command at the same time,
 * so the timer has to run out twice. */
static void on_keep_alive(struct ev_loop *loop, ev_timer *watcher, int revents)
{
	struct ctrl *ctrl = watcher->data;

	(void)revents;
	if (!ctrl->keep_alive_late) {
		ctrl->keep_alive_late = true;
		watcher->repeat = KEEP_ALIVE_GRACE_S;
		ev_timer_again(loop, watcher);
		return;
	}
	ev_timer_stop(loop, watcher);
	say("keep-alive ctrl=%u host=%s expired_ms=%" PRIu32, ctrl->cntlid, ctrl->hostnqn,
	    ctrl->kato_ms);
	ctrl_end(ctrl, -ETIMEDOUT);
}

static bool cntlid_used(const struct target *target, uint16_t cntlid)
{
	const struct ctrl *ctrl;

	TAILQ_FOREACH(ctrl, &target->ctrls, in_target)
		if (ctrl->cntlid == cntlid)
			return true;
	return false;
}

/* 1 to 0xffef, the range for dynamic controllers; there are fewer connections
 * than ids, so one is free. */
static uint16_t new_cntlid(struct target *target)
{
	do {
		target->last_cntlid = target->last_cntlid >= 0xffef ? 1 : target->last_cntlid + 1;
	} while (cntlid_used(target, target->last_cntlid));
	return target->last_cntlid;
}

struct ctrl *ctrl_new(struct target *target, bool discovery, uint32_t kato_ms)
{
	struct ctrl *ctrl = calloc(1, sizeof(*ctrl));

	if (!ctrl)
		return NULL;
	ctrl->target = target;
	ctrl->discovery = discovery;
	ctrl->cntlid = new_cntlid(target);
	ctrl->io_queues = discovery ? 0 : (uint16_t)target->options.io_queues;
	ctrl->write_cache = true;
	ctrl->started_ns = zcreq_now_ns();
	ctrl->cap = NVME_SET(target->options.queue_size - 1, CAP_MQES) |
		    (uint64_t)1 << NVME_CAP_CQR_SHIFT |
		    NVME_SET((uint64_t)READY_TIMEOUT, CAP_TO) |
		    NVME_SET((uint64_t)(discovery ? NVME_CAP_CSS_NVM
						  : NVME_CAP_CSS_NVM | NVME_CAP_CSS_CSI), CAP_CSS);
	TAILQ_INIT(&ctrl->events);
	ev_timer_init(&ctrl->keep_alive, on_keep_alive, 0., 0.);
	ctrl->keep_alive.data = ctrl;
	ctrl_set_keep_alive(ctrl, kato_ms);
	TAILQ_INSERT_TAIL(&target->ctrls, ctrl, in_target);
	return ctrl;
}

void ctrl_attach(struct ctrl *ctrl, struct conn *conn, uint16_t qid)
{
	ctrl->queues[qid] = conn;
	ctrl->conns++;
	conn->ctrl = ctrl;
	conn->qid = qid;
}

static void ctrl_free(struct ctrl *ctrl)
{
	uint64_t now = zcreq_now_ns();

	ev_timer_stop(ctrl->target->loop, &ctrl->keep_alive);
	TAILQ_REMOVE(&ctrl->target->ctrls, ctrl, in_target);
	say("controller-gone ctrl=%u host=%s reason=\"%s\" commands=%" PRIu64 " released=%" PRIu64
	    " bytes=%" PRIu64 " end_ms=%.3f up_ms=%" PRIu64 " blocks_used=%" PRIu64,
	    ctrl->cntlid, ctrl->hostnqn,
	    ctrl->end_status ? strerror(-ctrl->end_status) : "disconnected", ctrl->commands,
	    ctrl->released, ctrl->bytes, ctrl->ending ? (double)(now - ctrl->end_ns) / 1e6 : 0.,
	    (now - ctrl->started_ns) / 1000000, ctrl->target->pool.used);
	free(ctrl);
}

void ctrl_detach(struct ctrl *ctrl, struct conn *conn)
{
	if (ctrl->queues[conn->qid] == conn)
		ctrl->queues[conn->qid] = NULL;
	ctrl->conns--;
	ctrl->commands += conn->commands;
	ctrl->released += conn->released;
	ctrl->bytes += conn->read_bytes + conn->written_bytes;
	if (conn->qid == 0)
		ctrl_end(ctrl, conn->end_status);
	if (!ctrl->conns)
		ctrl_free(ctrl);
}

static void end_queues(struct ctrl *ctrl, unsigned first, int status)
{
	unsigned qid;

	for (qid = first; qid <= IO_QUEUES_MAX; qid++)
		if (ctrl->queues[qid])
			conn_abort(ctrl->queues[qid], status);
}

void ctrl_end(struct ctrl *ctrl, int status)
{
	if (ctrl->ending)
		return;
	ctrl->ending = true;
	ctrl->end_status = status;
	ctrl->end_ns = zcreq_now_ns();
	ctrl->csts &= ~CSTS_RDY;
	ev_timer_stop(ctrl->target->loop, &ctrl->keep_alive);
	end_queues(ctrl, 0, status ? status : -ECONNABORTED);
}

bool ctrl_ready(const struct ctrl *ctrl)
{
	return ctrl->csts & CSTS_RDY;
}

bool ctrl_command_sets(const struct ctrl *ctrl)
{
	return NVME_CC_CSS(ctrl->cc) == NVME_CC_CSS_CSI;
}

uint16_t ctrl_read_register(const struct ctrl *ctrl, uint32_t offset, bool wide, uint64_t *value)
{
	if (wide != nvme_is_64bit_reg(offset))
		return STATUS_DNR(NVME_SC_INVALID_FIELD);
	switch (offset) {
	case NVME_REG_CAP:
		*value = ctrl->cap;
		return 0;
	case NVME_REG_VS:
		*value = NVME_VERSION;
		return 0;
	case NVME_REG_CC:
		*value = ctrl->cc;
		return 0;
	case NVME_REG_CSTS:
		*value = ctrl->csts;
		return 0;
	default:
		return STATUS_DNR(NVME_SC_INVALID_FIELD);
	}
}

/* What CC must say for this controller to be enabled. A discovery controller has
 * no I/O queues, so entry sizes do not matter there. */
static bool acceptable(const struct ctrl *ctrl, uint32_t cc)
{
	uint32_t css = NVME_CC_CSS(cc);

	if (NVME_CC_MPS(cc) != 0 || NVME_CC_AMS(cc) != NVME_CC_AMS_RR)
		return false;
	if (ctrl->discovery)
		return css == NVME_CC_CSS_NVM;
	return (css == NVME_CC_CSS_NVM || css == NVME_CC_CSS_CSI) &&
	       NVME_CC_IOSQES(cc) == IO_SQE_SHIFT && NVME_CC_IOCQES(cc) == IO_CQE_SHIFT;
}

/* Controller reset: the I/O queues go, the admin queue stays for the next enable. */
static void disable(struct ctrl *ctrl)
{
	ctrl->csts = 0;
	ctrl->events_pending = 0;
	ctrl->events_masked = 0;
	ctrl->event_config = 0;
	while (!TAILQ_EMPTY(&ctrl->events))
		task_free(TAILQ_FIRST(&ctrl->events));
	end_queues(ctrl, 1, -ECONNABORTED);
}

static void shut_down(struct ctrl *ctrl)
{
	unsigned i;

	for (i = 0; i < ctrl->target->store_count; i++)
		ctrl->target->stores[i]->ops->flush(ctrl->target->stores[i]);
	ctrl->csts |= CSTS_SHUT_DOWN;
}

uint16_t ctrl_write_register(struct ctrl *ctrl, uint32_t offset, bool wide, uint64_t value)
{
	uint32_t cc = (uint32_t)value, old = ctrl->cc;

	if (offset != NVME_REG_CC || wide)
		return STATUS_DNR(NVME_SC_INVALID_FIELD);
	ctrl->cc = cc;
	if (NVME_CC_EN(cc) && !NVME_CC_EN(old))
		ctrl->csts = acceptable(ctrl, cc) ? CSTS_RDY : CSTS_CFS;
	if (!NVME_CC_EN(cc) && NVME_CC_EN(old))
		disable(ctrl);
	if (NVME_CC_SHN(cc) != NVME_CC_SHN_NONE && NVME_CC_SHN(old) == NVME_CC_SHN_NONE)
		shut_down(ctrl);
	return 0;
}

void ctrl_set_keep_alive(struct ctrl *ctrl, uint32_t kato_ms)
{
	ctrl->kato_ms = kato_ms;
	ctrl->keep_alive_late = false;
	ctrl->keep_alive.repeat = kato_ms / 1e3;
	ev_timer_again(ctrl->target->loop, &ctrl->keep_alive); /* 0 stops it */
}

void ctrl_heard(struct ctrl *ctrl)
{
	if (!ctrl->ending)
		ctrl_set_keep_alive(ctrl, ctrl->kato_ms);
}

void ctrl_park(struct ctrl *ctrl, struct task *task)
{
	task->state = TASK_PARKED;
	ctrl->event_count++;
	TAILQ_INSERT_TAIL(&ctrl->events, task, in_queue);
	ctrl_send_events(ctrl);
}

void ctrl_unpark(struct ctrl *ctrl, struct task *task)
{
	ctrl->event_count--;
	TAILQ_REMOVE(&ctrl->events, task, in_queue);
}

void ctrl_send_events(struct ctrl *ctrl)
{
	struct task *task = TAILQ_FIRST(&ctrl->events);

	if (!task || !(ctrl->events_pending & ~ctrl->events_masked & CTRL_EVENT_DEGRADED))
		return;
	ctrl->events_pending &= ~(uint32_t)CTRL_EVENT_DEGRADED;
	ctrl->events_masked |= CTRL_EVENT_DEGRADED;
	task->result = NVME_AER_SMART | NVME_AER_SMART_SUBSYSTEM_RELIABILITY << 8 |
		       NVME_LOG_LID_SMART << 16;
	task_complete(task, 0);
}

void ctrls_event(struct target *target, enum ctrl_event event)
{
	struct ctrl *ctrl;

	TAILQ_FOREACH(ctrl, &target->ctrls, in_target) {
		if (ctrl->discovery || ctrl->ending ||
		    !(ctrl->event_config & NVME_FEATURE_AENCFG_SMART_CRIT_DEGRADED))
			continue;
		ctrl->events_pending |= event;
		ctrl_send_events(ctrl);
	}
}

void ctrl_log_error(struct ctrl *ctrl, const struct task *task)
{
	struct nvme_error_log_page *entry = &ctrl->errors[ctrl->error_count % ERROR_LOG_ENTRIES];
	bool io = task->conn->qid != 0;

	memset(entry, 0, sizeof(*entry));
	entry->error_count = htole64(++ctrl->error_count);
	entry->sqid = htole16(task->conn->qid);
	entry->cmdid = task->sqe.cid;
	entry->status_field = htole16((uint16_t)(task->status << 1));
	entry->parm_error_location = htole16(0xffff); /* not told */
	entry->nsid = task->sqe.nsid;
	entry->lba = io ? htole64(le32toh(task->sqe.cdw10) |
				  (uint64_t)le32toh(task->sqe.cdw11) << 32) : 0;
	entry->trtype = NVMF_TRTYPE_TCP;
}
