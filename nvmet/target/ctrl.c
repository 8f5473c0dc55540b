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
#include "subsystem.h"

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
	ctrl_end(ctrl, ctrl->target, -ETIMEDOUT);
}

static void lock(const struct ctrl *ctrl)
{
	pthread_mutex_lock(&ctrl->target->subsystem->lock);
}

static void unlock(const struct ctrl *ctrl)
{
	pthread_mutex_unlock(&ctrl->target->subsystem->lock);
}

static bool cntlid_used(const struct subsystem *subsystem, uint16_t cntlid)
{
	const struct ctrl *ctrl;

	TAILQ_FOREACH(ctrl, &subsystem->ctrls, in_subsystem)
		if (ctrl->cntlid == cntlid)
			return true;
	return false;
}

/* 1 to 0xffef, the range for dynamic controllers; there are fewer connections
 * than ids, so one is free. */
static uint16_t new_cntlid(struct subsystem *subsystem)
{
	do {
		subsystem->last_cntlid = subsystem->last_cntlid >= 0xffef
						 ? 1
						 : subsystem->last_cntlid + 1;
	} while (cntlid_used(subsystem, subsystem->last_cntlid));
	return subsystem->last_cntlid;
}

/* By hand: NVME_SET() shifts 64 bits in some releases of libnvme and 32 in others. */
static uint64_t cap_of(const struct options *options, bool discovery)
{
	unsigned css = discovery ? NVME_CAP_CSS_NVM : NVME_CAP_CSS_NVM | NVME_CAP_CSS_CSI;

	return (uint64_t)(options->queue_size - 1) << NVME_CAP_MQES_SHIFT |
	       (uint64_t)1 << NVME_CAP_CQR_SHIFT |
	       (uint64_t)READY_TIMEOUT << NVME_CAP_TO_SHIFT | (uint64_t)css << NVME_CAP_CSS_SHIFT;
}

static void init(struct ctrl *ctrl, struct target *target, const struct nvmf_connect_data *data,
		 bool discovery)
{
	ctrl->target = target;
	ctrl->discovery = discovery;
	memcpy(ctrl->hostnqn, data->hostnqn, sizeof(ctrl->hostnqn));
	memcpy(ctrl->hostid, data->hostid, sizeof(ctrl->hostid));
	ctrl->io_queues = discovery ? 0 : (uint16_t)target->options.io_queues;
	ctrl->write_cache = true;
	ctrl->started_ns = zcreq_now_ns();
	ctrl->cap = cap_of(&target->options, discovery);
	TAILQ_INIT(&ctrl->events);
	ev_timer_init(&ctrl->keep_alive, on_keep_alive, 0., 0.);
	ctrl->keep_alive.data = ctrl;
}

/* Under the lock. */
static unsigned ctrls_of_host(const struct subsystem *subsystem, const char *hostnqn)
{
	const struct ctrl *ctrl;
	unsigned count = 0;

	TAILQ_FOREACH(ctrl, &subsystem->ctrls, in_subsystem)
		count += !ctrl->ending && !strcmp(ctrl->hostnqn, hostnqn);
	return count;
}

/* Enters it among the others, unless its host has enough of them. */
static bool enter(struct ctrl *ctrl)
{
	struct subsystem *subsystem = ctrl->target->subsystem;
	bool one_more;

	lock(ctrl);
	one_more = ctrls_of_host(subsystem, ctrl->hostnqn) < ctrl->target->options.host_ctrls_max;
	if (one_more) {
		ctrl->cntlid = new_cntlid(subsystem);
		TAILQ_INSERT_TAIL(&subsystem->ctrls, ctrl, in_subsystem);
	}
	unlock(ctrl);
	return one_more;
}

uint16_t ctrl_new(struct target *target, const struct nvmf_connect_data *data, bool discovery,
		  uint32_t kato_ms, struct ctrl **ctrl)
{
	*ctrl = calloc(1, sizeof(**ctrl));
	if (!*ctrl)
		return NVME_SC_INTERNAL;
	init(*ctrl, target, data, discovery);
	if (!enter(*ctrl)) {
		free(*ctrl);
		return STATUS_SPECIFIC(NVME_SC_CONNECT_CTRL_BUSY); /* one of them may go */
	}
	ctrl_set_keep_alive(*ctrl, kato_ms);
	TAILQ_INSERT_TAIL(&target->ctrls, *ctrl, in_target);
	return 0;
}

void ctrl_attach(struct ctrl *ctrl, struct conn *conn, uint16_t qid)
{
	ctrl->queues[qid].conn = conn;
	ctrl->queues[qid].target = conn->target;
	ctrl->conns++;
	conn->ctrl = ctrl;
	conn->qid = qid;
	conn->epoch = ctrl->epoch;
}

static void set_csts(struct ctrl *ctrl, uint32_t csts)
{
	__atomic_store_n(&ctrl->csts, csts, __ATOMIC_RELAXED);
}

static void ctrl_free(struct ctrl *ctrl)
{
	uint64_t now = zcreq_now_ns();

	say("controller-gone ctrl=%u host=%s reason=\"%s\" commands=%" PRIu64 " released=%" PRIu64
	    " bytes=%" PRIu64 " end_ms=%.3f up_ms=%" PRIu64 " blocks_used=%" PRIu64,
	    ctrl->cntlid, ctrl->hostnqn,
	    ctrl->end_status ? strerror(-ctrl->end_status) : "disconnected", ctrl->commands,
	    ctrl->released, ctrl->bytes, ctrl->ending ? (double)(now - ctrl->end_ns) / 1e6 : 0.,
	    (now - ctrl->started_ns) / 1000000, subsystem_blocks_used(ctrl->target->subsystem));
	free(ctrl);
}

/* The admin queue's end is the controller's, so nothing of it is left on its thread
 * when another thread's connection is the last. */
void ctrl_detach(struct ctrl *ctrl, struct conn *conn)
{
	bool last;

	if (conn->qid == 0) {
		ctrl_end(ctrl, conn->target, conn->end_status);
		TAILQ_REMOVE(&conn->target->ctrls, ctrl, in_target);
	}
	lock(ctrl);
	if (ctrl->queues[conn->qid].conn == conn) {
		ctrl->queues[conn->qid].conn = NULL;
		aborts_queue_gone(ctrl, conn->qid);
	}
	ctrl->commands += conn->commands;
	ctrl->released += conn->released;
	ctrl->bytes += conn->read_bytes + conn->written_bytes;
	last = !--ctrl->conns;
	if (last)
		TAILQ_REMOVE(&ctrl->target->subsystem->ctrls, ctrl, in_subsystem);
	unlock(ctrl);
	if (last)
		ctrl_free(ctrl);
}

/* Aborts the queues from @first on that are here, and has the others looked at. Those
 * that are here can only leave on this thread. */
static void end_queues(struct ctrl *ctrl, unsigned first, int status)
{
	struct conn *here[IO_QUEUES_MAX + 1];
	unsigned qid, count = 0, elsewhere = 0;

	lock(ctrl);
	for (qid = first; qid <= IO_QUEUES_MAX; qid++) {
		if (!ctrl->queues[qid].conn)
			continue;
		if (ctrl->queues[qid].target == ctrl->target)
			here[count++] = ctrl->queues[qid].conn;
		else
			elsewhere++;
	}
	unlock(ctrl);
	while (count)
		conn_abort(here[--count], status);
	if (elsewhere)
		subsystem_wake_others(ctrl->target);
}

/* What its other threads abort their queues with, and this one. */
static int queue_status(const struct ctrl *ctrl)
{
	return ctrl->end_status ? ctrl->end_status : -ECONNABORTED;
}

static void ask_end(struct ctrl *ctrl, int status)
{
	lock(ctrl);
	if (!ctrl->end_asked && !ctrl->ending) {
		ctrl->end_asked = true;
		ctrl->end_status = status;
	}
	unlock(ctrl);
	target_wake(ctrl->target);
}

void ctrl_end(struct ctrl *ctrl, struct target *here, int status)
{
	if (here != ctrl->target) {
		ask_end(ctrl, status);
		return;
	}
	if (ctrl->ending)
		return;
	ctrl->end_ns = zcreq_now_ns();
	lock(ctrl);
	if (!ctrl->end_asked)
		ctrl->end_status = status;
	set_csts(ctrl, ctrl->csts & ~CSTS_RDY);
	__atomic_store_n(&ctrl->ending, true, __ATOMIC_RELEASE);
	unlock(ctrl);
	ev_timer_stop(ctrl->target->loop, &ctrl->keep_alive);
	end_queues(ctrl, 0, queue_status(ctrl));
}

static bool has_ended(const struct ctrl *ctrl)
{
	return __atomic_load_n(&ctrl->ending, __ATOMIC_ACQUIRE);
}

bool ctrl_is_over(const struct conn *conn)
{
	return has_ended(conn->ctrl) ||
	       (conn->qid &&
		conn->epoch != __atomic_load_n(&conn->ctrl->epoch, __ATOMIC_RELAXED));
}

/* Queues whose controller ends, or was disabled since they were connected, or wishes something
 * of them. */
static void look_at_conns(struct target *target)
{
	struct conn *conn;

	TAILQ_FOREACH(conn, &target->conns, in_target) {
		if (!conn->ctrl || conn->phase == CONN_ENDING)
			continue;
		if (ctrl_is_over(conn))
			conn_abort(conn, has_ended(conn->ctrl) ? queue_status(conn->ctrl)
							       : -ECONNABORTED);
		else
			aborts_look_at_queue(conn);
	}
}

static bool end_is_asked(struct ctrl *ctrl)
{
	bool asked;

	lock(ctrl);
	asked = ctrl->end_asked && !ctrl->ending;
	unlock(ctrl);
	return asked;
}

static void look_for_events(struct target *target);

void ctrls_look(struct target *target)
{
	struct ctrl *ctrl;

	/* an abort only makes hooks due: no controller goes in here */
	TAILQ_FOREACH(ctrl, &target->ctrls, in_target) {
		if (end_is_asked(ctrl))
			ctrl_end(ctrl, target, 0);
		aborts_look(ctrl);
	}
	look_at_conns(target);
	look_for_events(target);
}

bool ctrl_queue(struct ctrl *ctrl, uint16_t qid, struct conn **conn)
{
	bool there = false;

	*conn = NULL;
	lock(ctrl);
	if (qid <= IO_QUEUES_MAX && ctrl->queues[qid].conn) {
		there = true;
		if (ctrl->queues[qid].target == ctrl->target)
			*conn = ctrl->queues[qid].conn;
	}
	unlock(ctrl);
	return there;
}

bool ctrl_has_io_queue(struct ctrl *ctrl)
{
	struct conn *conn;
	uint16_t qid;

	for (qid = 1; qid <= IO_QUEUES_MAX; qid++)
		if (ctrl_queue(ctrl, qid, &conn))
			return true;
	return false;
}

void ctrl_set_io_queues(struct ctrl *ctrl, uint16_t queues)
{
	lock(ctrl);
	ctrl->io_queues = queues;
	unlock(ctrl);
}

bool ctrl_write_cache(const struct ctrl *ctrl)
{
	return __atomic_load_n(&ctrl->write_cache, __ATOMIC_RELAXED);
}

bool ctrl_ready(const struct ctrl *ctrl)
{
	return __atomic_load_n(&ctrl->csts, __ATOMIC_RELAXED) & CSTS_RDY;
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
	lock(ctrl);
	set_csts(ctrl, 0);
	__atomic_store_n(&ctrl->epoch, ctrl->epoch + 1, __ATOMIC_RELAXED);
	unlock(ctrl);
	ctrl->events_pending = 0;
	ctrl->events_masked = 0;
	ctrl->event_config = 0;
	while (!TAILQ_EMPTY(&ctrl->events))
		task_vanish(TAILQ_FIRST(&ctrl->events));
	end_queues(ctrl, 1, -ECONNABORTED);
}

static void shut_down(struct ctrl *ctrl)
{
	struct target *target = ctrl->target;
	unsigned i;

	/* a shutdown has no status: the next flush says so too (store_file.c) */
	for (i = 0; i < target->store_count; i++)
		if (target->stores[i]->ops->flush(target->stores[i]) < 0)
			ctrls_medium_failed(target);
	set_csts(ctrl, ctrl->csts | CSTS_SHUT_DOWN);
	ctrl_heard(ctrl);
}

uint16_t ctrl_write_register(struct ctrl *ctrl, uint32_t offset, bool wide, uint64_t value)
{
	uint32_t cc = (uint32_t)value, old = ctrl->cc;

	if (offset != NVME_REG_CC || wide)
		return STATUS_DNR(NVME_SC_INVALID_FIELD);
	ctrl->cc = cc;
	if (NVME_CC_EN(cc) && !NVME_CC_EN(old)) {
		set_csts(ctrl, acceptable(ctrl, cc) ? CSTS_RDY : CSTS_CFS);
		ctrl_heard(ctrl);
	}
	if (!NVME_CC_EN(cc) && NVME_CC_EN(old))
		disable(ctrl);
	if (NVME_CC_SHN(cc) != NVME_CC_SHN_NONE && NVME_CC_SHN(old) == NVME_CC_SHN_NONE)
		shut_down(ctrl);
	return 0;
}

/* A host that has shut the controller down need not keep it alive: it closes when it likes. */
void ctrl_set_keep_alive(struct ctrl *ctrl, uint32_t kato_ms)
{
	bool shut_down = ctrl->csts & CSTS_SHUT_DOWN;

	ctrl->kato_ms = kato_ms;
	ctrl->keep_alive_late = false;
	ctrl->keep_alive.repeat = shut_down ? 0. : kato_ms / 1e3;
	ev_timer_again(ctrl->target->loop, &ctrl->keep_alive); /* 0 stops it */
}

void ctrl_heard(struct ctrl *ctrl)
{
	if (!ctrl->ending)
		ctrl_set_keep_alive(ctrl, ctrl->kato_ms);
}

void ctrl_park(struct ctrl *ctrl, struct task *task)
{
	task_enter(task, TASK_PARKED);
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

/* On this thread are the admin queues of its own controllers. */
static void look_for_events(struct target *target)
{
	unsigned degraded = __atomic_load_n(&target->subsystem->degraded, __ATOMIC_RELAXED);
	struct ctrl *ctrl;

	if (target->degraded_seen == degraded)
		return;
	target->degraded_seen = degraded;
	TAILQ_FOREACH(ctrl, &target->ctrls, in_target) {
		if (ctrl->discovery || ctrl->ending ||
		    !(ctrl->event_config & NVME_FEATURE_AENCFG_SMART_CRIT_DEGRADED))
			continue;
		ctrl->events_pending |= CTRL_EVENT_DEGRADED;
		ctrl_send_events(ctrl);
	}
}

void ctrls_medium_failed(struct target *target)
{
	__atomic_fetch_add(&target->health.media_errors, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&target->health.critical_warning, NVME_SMART_CRIT_DEGRADED,
			 __ATOMIC_RELAXED);
	__atomic_fetch_add(&target->subsystem->degraded, 1, __ATOMIC_RELAXED);
	subsystem_wake_others(target);
	look_for_events(target);
}

uint64_t ctrl_errors(struct ctrl *ctrl, struct nvme_error_log_page *log)
{
	uint64_t errors, i;

	lock(ctrl);
	errors = ctrl->error_count;
	if (log)
		memset(log, 0, sizeof(ctrl->errors));
	for (i = 0; log && i < errors && i < ERROR_LOG_ENTRIES; i++)
		log[i] = ctrl->errors[(errors - 1 - i) % ERROR_LOG_ENTRIES];
	unlock(ctrl);
	return errors;
}

void ctrl_log_error(struct ctrl *ctrl, const struct task *task)
{
	struct nvme_error_log_page *entry;
	bool io = task->conn->qid != 0;

	lock(ctrl);
	entry = &ctrl->errors[ctrl->error_count % ERROR_LOG_ENTRIES];
	memset(entry, 0, sizeof(*entry));
	entry->error_count = htole64(++ctrl->error_count);
	entry->sqid = htole16(task->conn->qid);
	entry->cmdid = task->sqe.cid;
	entry->status_field = htole16((uint16_t)(task->status << 1));
	entry->parm_error_location = htole16(0xffff); /* not told */
	entry->nsid = task->sqe.nsid;
	entry->lba = io ? htole64(le32toh(task->sqe.cdw10) |
				  (uint64_t)le32toh(task->sqe.cdw11) << 32) : 0;
	if (task->status == NVME_SC_TRAN_TPORT_ERROR) /* others are not the transport's */
		entry->trtype = NVMF_TRTYPE_TCP;
	unlock(ctrl);
}
