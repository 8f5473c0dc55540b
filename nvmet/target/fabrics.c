/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fabrics.c - Fabrics commands: Connect, Property Get and Set, Disconnect
 *
 * Owns: which commands a queue takes at which time, and what a Connect has to say
 * before a connection becomes a queue of a controller.
 *
 * Never: answers half of a Connect; a wrong field is named in the answer, as the
 * host's log wants it (IPO, IATTR).
 */
#include <errno.h>
#include <string.h>

#include "command.h"

#define DISCOVERY_NQN "nqn.2014-08.org.nvmexpress.discovery"
#define CNTLID_ANY 0xffff
#define CATTR_DISABLE_SQFLOW 0x04
#define IN_DATA 0x10000 /* IATTR: the offset is into the data */
#define SQSIZE_FIELD 44
#define QID_FIELD 42
#define PROPERTY_WIDE 0x1

static uint16_t invalid_parameter(struct task *task, uint32_t where)
{
	task->result = where;
	return STATUS_DNR(STATUS_SPECIFIC(NVME_SC_CONNECT_INVALID_PARAM));
}

static uint16_t check_connect(struct task *task, uint32_t *len)
{
	uint32_t dw10 = le32toh(task->sqe.cdw10);
	uint32_t sqsize = le32toh(task->sqe.cdw11) & 0xffff;

	if (task->conn->ctrl)
		return STATUS_DNR(NVME_SC_CMD_SEQ_ERROR);
	if (dw10 & 0xffff)
		return STATUS_DNR(STATUS_SPECIFIC(NVME_SC_CONNECT_FORMAT));
	if (sqsize == 0 || sqsize >= task->conn->target->options.queue_size)
		return invalid_parameter(task, SQSIZE_FIELD);
	*len = sizeof(struct nvmf_connect_data);
	return 0;
}

/* Names are printed, so a blank or a control character is no part of one. */
static bool is_name(const char *nqn)
{
	size_t len = strnlen(nqn, NVME_NQN_LENGTH), i;

	for (i = 0; i < len; i++)
		if ((unsigned char)nqn[i] <= ' ' || nqn[i] == 0x7f)
			return false;
	return len <= NQN_MAX;
}

static uint16_t connect_admin(struct task *task, const struct nvmf_connect_data *data)
{
	struct conn *conn = task->conn;
	struct target *target = conn->target;
	bool discovery = !strcmp(data->subsysnqn, DISCOVERY_NQN);
	struct ctrl *ctrl;
	uint16_t status;

	if (!discovery && strcmp(data->subsysnqn, target->options.nqn))
		return invalid_parameter(task, IN_DATA | offsetof(struct nvmf_connect_data,
								  subsysnqn));
	if (!discovery && !target_allows(target, data->hostnqn)) {
		say("not-allowed %s host=%s", conn->peer, data->hostnqn);
		return STATUS_DNR(STATUS_SPECIFIC(NVME_SC_CONNECT_INVALID_HOST));
	}
	if (le16toh(data->cntlid) != CNTLID_ANY)
		return invalid_parameter(task, IN_DATA | offsetof(struct nvmf_connect_data,
								  cntlid));
	status = ctrl_new(target, data, discovery, le32toh(task->sqe.cdw12), &ctrl);
	if (status)
		return status;
	pthread_mutex_lock(&target->subsystem->lock);
	ctrl_attach(ctrl, conn, 0);
	pthread_mutex_unlock(&target->subsystem->lock);
	return 0;
}

static struct ctrl *find_ctrl(const struct subsystem *subsystem,
			      const struct nvmf_connect_data *data)
{
	struct ctrl *ctrl;

	TAILQ_FOREACH(ctrl, &subsystem->ctrls, in_subsystem)
		if (ctrl->cntlid == le16toh(data->cntlid) && !ctrl->ending)
			return ctrl;
	return NULL;
}

/* Under the lock: the controller may be another thread's. */
static uint16_t join(struct task *task, const struct nvmf_connect_data *data, uint16_t qid)
{
	struct ctrl *ctrl = find_ctrl(task->conn->target->subsystem, data);
	const struct conn *old;

	if (!ctrl)
		return invalid_parameter(task, IN_DATA | offsetof(struct nvmf_connect_data,
								  cntlid));
	if (strcmp(data->subsysnqn, task->conn->target->options.nqn))
		return invalid_parameter(task, IN_DATA | offsetof(struct nvmf_connect_data,
								  subsysnqn));
	if (strcmp(data->hostnqn, ctrl->hostnqn))
		return STATUS_DNR(STATUS_SPECIFIC(NVME_SC_CONNECT_INVALID_HOST));
	if (memcmp(data->hostid, ctrl->hostid, sizeof(ctrl->hostid)))
		return invalid_parameter(task, IN_DATA | offsetof(struct nvmf_connect_data,
								  hostid));
	if (qid > ctrl->io_queues)
		return invalid_parameter(task, QID_FIELD);
	old = ctrl->queues[qid].conn; /* of an earlier epoch: on its way out */
	if (!ctrl_ready(ctrl) || (old && old->epoch == ctrl->epoch))
		return STATUS_DNR(NVME_SC_CMD_SEQ_ERROR);
	ctrl_attach(ctrl, task->conn, qid);
	return 0;
}

static uint16_t connect_io(struct task *task, const struct nvmf_connect_data *data, uint16_t qid)
{
	pthread_mutex_t *lock = &task->conn->target->subsystem->lock;
	uint16_t status;

	pthread_mutex_lock(lock);
	status = join(task, data, qid);
	pthread_mutex_unlock(lock);
	return status;
}

static void tell(const struct conn *conn)
{
	if (!*conn->ctrl->hostnqn) /* not to the specification, and what some tools do */
		say("nameless %s ctrl=%u qid=%u", conn->peer, conn->ctrl->cntlid, conn->qid);
	say("connect %s ctrl=%u qid=%u host=%s subsystem=%s queue_size=%u hdgst=%d ddgst=%d "
	    "sqflow=%d thread=%u", conn->peer, conn->ctrl->cntlid, conn->qid, conn->ctrl->hostnqn,
	    conn->ctrl->discovery ? "discovery" : conn->target->options.nqn, conn->queue_size,
	    conn->agreed.header_digest, conn->agreed.data_digest, !conn->flow_disabled,
	    conn->target->number);
}

static void run_connect(struct task *task)
{
	uint16_t qid = (uint16_t)(le32toh(task->sqe.cdw10) >> 16);
	uint32_t dw11 = le32toh(task->sqe.cdw11);
	struct nvmf_connect_data data;
	struct conn *conn = task->conn;
	uint16_t status;

	task_get(task, 0, &data, sizeof(data));
	if (!is_name(data.subsysnqn) || !*data.subsysnqn)
		status = invalid_parameter(task, IN_DATA | offsetof(struct nvmf_connect_data,
								    subsysnqn));
	else if (!is_name(data.hostnqn))
		status = invalid_parameter(task, IN_DATA | offsetof(struct nvmf_connect_data,
								    hostnqn));
	else
		status = qid ? connect_io(task, &data, qid) : connect_admin(task, &data);
	if (!status) {
		conn->queue_size = (uint16_t)((dw11 & 0xffff) + 1);
		conn->flow_disabled = (dw11 >> 16) & CATTR_DISABLE_SQFLOW;
		conn->sqhd = 0;
		ev_timer_stop(conn->target->loop, &conn->deadline);
		task->result = conn->ctrl->cntlid;
		tell(conn);
	}
	task_complete(task, status);
}

static void run_property_get(struct task *task)
{
	bool wide = le32toh(task->sqe.cdw10) & PROPERTY_WIDE;

	task_complete(task, ctrl_read_register(task->conn->ctrl, le32toh(task->sqe.cdw11), wide,
					       &task->result));
}

static void run_property_set(struct task *task)
{
	bool wide = le32toh(task->sqe.cdw10) & PROPERTY_WIDE;
	uint64_t value = le32toh(task->sqe.cdw12) | (uint64_t)le32toh(task->sqe.cdw13) << 32;

	task_complete(task, ctrl_write_register(task->conn->ctrl, le32toh(task->sqe.cdw11), wide,
						value));
}

static uint16_t check_property(struct task *task, uint32_t *len)
{
	(void)len;
	return task->conn->qid ? STATUS_DNR(NVME_SC_INVALID_OPCODE) : 0;
}

static uint16_t check_disconnect(struct task *task, uint32_t *len)
{
	(void)len;
	if (le32toh(task->sqe.cdw10) & 0xffff)
		return STATUS_DNR(STATUS_SPECIFIC(NVME_SC_CONNECT_FORMAT));
	if (!task->conn->qid)
		return STATUS_DNR(STATUS_SPECIFIC(NVME_SC_DISCONNECT_INVALID_QTYPE));
	return 0;
}

/* The answer is the last thing on the queue; the other commands on it are lost,
 * as the host knows. */
static void run_disconnect(struct task *task)
{
	struct conn *conn = task->conn;

	task_complete(task, 0);
	conn_drain(conn, conn->target->options.drain_ms);
}

const struct command *fabrics_command(uint8_t type)
{
	static const struct command connect = { check_connect, run_connect, 0, NULL };
	static const struct command get = { check_property, run_property_get, 0, NULL };
	static const struct command set = { check_property, run_property_set, 0, NULL };
	static const struct command disconnect = { check_disconnect, run_disconnect, 0, NULL };

	switch (type) {
	case nvme_fabrics_type_connect:
		return &connect;
	case nvme_fabrics_type_property_get:
		return &get;
	case nvme_fabrics_type_property_set:
		return &set;
	case nvme_fabrics_type_disconnect:
		return &disconnect;
	default:
		return NULL;
	}
}

uint16_t command_find(struct task *task, const struct command **command)
{
	const struct conn *conn = task->conn;
	const struct ctrl *ctrl = conn->ctrl;
	bool fabrics = task->sqe.opcode == nvme_admin_fabrics;
	uint8_t type = (uint8_t)le32toh(task->sqe.nsid);

	if (!ctrl && !(fabrics && type == nvme_fabrics_type_connect))
		return STATUS_DNR(NVME_SC_CMD_SEQ_ERROR);
	if (!fabrics && !ctrl_ready(ctrl))
		return STATUS_DNR(NVME_SC_CMD_SEQ_ERROR);
	if (!fabrics && conn->qid && conn->target->options.access == ACCESS_INACCESSIBLE)
		return STATUS_PATH(NVME_SC_ANA_INACCESSIBLE);
	if (fabrics)
		*command = fabrics_command(type);
	else if (conn->qid)
		*command = io_command(task->sqe.opcode);
	else if (ctrl->discovery)
		*command = discovery_command(task->sqe.opcode);
	else
		*command = admin_command(task->sqe.opcode);
	return *command ? 0 : STATUS_DNR(NVME_SC_INVALID_OPCODE);
}
