/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * features.c - Get and Set Features
 *
 * Owns: the features that exist: Volatile Write Cache (where a namespace has one),
 * Number of Queues, Asynchronous Event Configuration, Keep Alive Timer, Host
 * Identifier; and those that an I/O controller must have and that are what they are here:
 * Arbitration, Power Management, Temperature Threshold, Error Recovery, Write Atomicity.
 * Never: accepts a value that would have no effect.
 *
 * Nothing is saveable, so a Select or Save field is an invalid field.
 */
#include "command.h"

#define SAVE 0x80000000u
#define SELECT_MASK 0x700u
#define HOST_ID_EXTENDED 0x1
#define WRITE_CACHE_ENABLE 0x1
#define EVENTS_SMART 0xffu /* the critical warnings: those never raised here are harmless */

#define EVENTS_ACCESS (1u << 11) /* where it is reported; it does not change */

static uint32_t known_events(const struct ctrl *ctrl)
{
	if (ctrl->discovery)
		return 0;
	return EVENTS_SMART | (ctrl->target->options.access ? EVENTS_ACCESS : 0);
}

static uint8_t feature_of(const struct task *task)
{
	return (uint8_t)le32toh(task->sqe.cdw10);
}

#define ARBITRATION_NO_LIMIT 0x7u
#define TEMPERATURE_SENSOR_MASK 0xf0000u
#define TEMPERATURE_UNDER 0x100000u
#define TEMPERATURE_NEVER 0xffffu

/* What cannot be changed: commands are taken as they come, there is one power state, no
 * temperature, no time limit of errors, and each write is whole. */
static bool is_fixed(const struct task *task, uint32_t *value)
{
	*value = 0;
	switch (feature_of(task)) {
	case NVME_FEAT_FID_ARBITRATION:
		*value = ARBITRATION_NO_LIMIT;
		return true;
	case NVME_FEAT_FID_TEMP_THRESH:
		if (!(le32toh(task->sqe.cdw11) & TEMPERATURE_UNDER))
			*value = TEMPERATURE_NEVER;
		return true;
	case NVME_FEAT_FID_POWER_MGMT:
	case NVME_FEAT_FID_ERR_RECOVERY:
	case NVME_FEAT_FID_WRITE_ATOMIC:
		return true;
	default:
		return false;
	}
}

static bool exists(const struct task *task)
{
	const struct ctrl *ctrl = task->conn->ctrl;
	uint32_t value;

	switch (feature_of(task)) {
	case NVME_FEAT_FID_ASYNC_EVENT:
	case NVME_FEAT_FID_KATO:
		return true;
	case NVME_FEAT_FID_TEMP_THRESH: /* there is the composite one only */
		return !ctrl->discovery && !(le32toh(task->sqe.cdw11) & TEMPERATURE_SENSOR_MASK);
	case NVME_FEAT_FID_NUM_QUEUES:
	case NVME_FEAT_FID_HOST_ID:
		return !ctrl->discovery;
	case NVME_FEAT_FID_VOLATILE_WC:
		return !ctrl->discovery && target_has_write_cache(ctrl->target);
	default:
		return !ctrl->discovery && is_fixed(task, &value);
	}
}

uint16_t get_features_check(struct task *task, uint32_t *len)
{
	if (!exists(task) || (le32toh(task->sqe.cdw10) & SELECT_MASK))
		return STATUS_DNR(NVME_SC_INVALID_FIELD);
	if (feature_of(task) != NVME_FEAT_FID_HOST_ID)
		return 0;
	/* over Fabrics there is the 128 bit form only */
	if (!(le32toh(task->sqe.cdw11) & HOST_ID_EXTENDED))
		return STATUS_DNR(NVME_SC_INVALID_FIELD);
	*len = sizeof(task->conn->ctrl->hostid);
	return 0;
}

static uint32_t queue_counts(const struct ctrl *ctrl)
{
	uint32_t zero_based = ctrl->io_queues - 1u;

	return zero_based | zero_based << 16;
}

void get_features_run(struct task *task)
{
	const struct ctrl *ctrl = task->conn->ctrl;
	uint16_t status = 0;
	uint32_t value;

	if (is_fixed(task, &value)) {
		task->result = value;
		task_complete(task, 0);
		return;
	}
	switch (feature_of(task)) {
	case NVME_FEAT_FID_ASYNC_EVENT:
		task->result = ctrl->event_config;
		break;
	case NVME_FEAT_FID_KATO:
		task->result = ctrl->kato_ms;
		break;
	case NVME_FEAT_FID_NUM_QUEUES:
		task->result = queue_counts(ctrl);
		break;
	case NVME_FEAT_FID_VOLATILE_WC:
		task->result = ctrl->write_cache ? WRITE_CACHE_ENABLE : 0;
		break;
	default: /* the host identifier: nothing else passed the check */
		if (task_reply_buffer(task, sizeof(ctrl->hostid)) < 0)
			status = NVME_SC_INTERNAL;
		else
			task_put(task, 0, ctrl->hostid, sizeof(ctrl->hostid));
	}
	task_complete(task, status);
}

uint16_t set_features_check(struct task *task, uint32_t *len)
{
	uint32_t fixed, wish = le32toh(task->sqe.cdw11);

	(void)len;
	if (le32toh(task->sqe.cdw10) & SAVE)
		return STATUS_DNR(STATUS_SPECIFIC(NVME_SC_FEATURE_NOT_SAVEABLE));
	if (!exists(task))
		return STATUS_DNR(NVME_SC_INVALID_FIELD);
	if (feature_of(task) == NVME_FEAT_FID_TEMP_THRESH)
		wish &= ~TEMPERATURE_UNDER; /* says which one */
	/* the host identifier came with Connect */
	if ((is_fixed(task, &fixed) && wish != fixed) ||
	    feature_of(task) == NVME_FEAT_FID_HOST_ID)
		return STATUS_DNR(STATUS_SPECIFIC(NVME_SC_FEATURE_NOT_CHANGEABLE));
	return 0;
}

/* As many of each as the smaller wish, and not more than there are. */
static uint16_t set_queue_counts(struct ctrl *ctrl, uint32_t wish)
{
	uint32_t sq = (wish & 0xffff) + 1, cq = (wish >> 16) + 1, count = sq < cq ? sq : cq;

	if (ctrl_has_io_queue(ctrl))
		return STATUS_DNR(NVME_SC_CMD_SEQ_ERROR);
	if (sq > 0xffff || cq > 0xffff)
		return STATUS_DNR(NVME_SC_INVALID_FIELD);
	if (count > ctrl->target->options.io_queues)
		count = ctrl->target->options.io_queues;
	ctrl_set_io_queues(ctrl, (uint16_t)count);
	return 0;
}

void set_features_run(struct task *task)
{
	struct ctrl *ctrl = task->conn->ctrl;
	uint32_t value = le32toh(task->sqe.cdw11), fixed;
	uint16_t status = 0;

	if (is_fixed(task, &fixed)) { /* and was set to what it is */
		task_complete(task, 0);
		return;
	}
	switch (feature_of(task)) {
	case NVME_FEAT_FID_ASYNC_EVENT:
		if (value & ~known_events(ctrl))
			status = STATUS_DNR(NVME_SC_INVALID_FIELD);
		else
			ctrl->event_config = value;
		break;
	case NVME_FEAT_FID_KATO:
		ctrl_set_keep_alive(ctrl, value);
		break;
	case NVME_FEAT_FID_NUM_QUEUES:
		status = set_queue_counts(ctrl, value);
		task->result = status ? 0 : queue_counts(ctrl);
		break;
	default: /* the write cache */
		__atomic_store_n(&ctrl->write_cache, !!(value & WRITE_CACHE_ENABLE),
				 __ATOMIC_RELAXED);
	}
	task_complete(task, status);
}
