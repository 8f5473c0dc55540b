/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * identify.c - what the controller and its namespaces say of themselves
 *
 * Owns: every claim. Never: one that is not kept. A field that is not set here is
 * zero, which everywhere in Identify means "not supported" or "not reported".
 *
 * Built as one function per data structure, each filling a zeroed libnvme struct.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

#define DATA_SIZE NVME_IDENTIFY_DATA_SIZE
#define MODEL "zcreq-nvmet"
#define KEEP_ALIVE_UNIT 1 /* KAS: 100 ms */
#define VWC_FLUSH_ALL (3 << 1) /* Flush takes the identifier of all namespaces */
#define QUIESCE_TIME 386       /* CQT, of NVMe 2.1: older libnvme has no name for it */
#define ACCESS_TIME_S 1        /* ANATT: of a change that there is not, and not 0 */
#define DATA_DESCRIPTORS 1     /* in a capsule: the one of the command itself */

static uint8_t cns_of(const struct task *task)
{
	return (uint8_t)le32toh(task->sqe.cdw10);
}

static uint8_t csi_of(const struct task *task)
{
	return (uint8_t)(le32toh(task->sqe.cdw11) >> 24);
}

/* Text fields are padded with blanks and have no end. */
static void put_text(char *field, size_t size, const char *text)
{
	size_t len = strlen(text);

	memset(field, ' ', size);
	memcpy(field, text, len < size ? len : size);
}

/* One group, whose state is what it was told to be as long as the program runs: the event that
 * hosts have to be able to ask for never happens. */
static void fill_access(const struct target *target, struct nvme_id_ctrl *id)
{
	if (target->options.access == ACCESS_NOT_REPORTED)
		return;
	id->cmic |= NVME_CTRL_CMIC_MULTI_ANA_REPORTING;
	id->oaes = htole32(NVME_CTRL_OAES_ANA);
	id->anatt = ACCESS_TIME_S;
	id->anacap = (uint8_t)(1u << (target->options.access - ACCESS_OPTIMIZED)) |
		     NVME_CTRL_ANACAP_GRPID_NO_CHG;
	id->anagrpmax = htole32(ANA_GROUP);
	id->nanagrpid = htole32(1);
}

static uint32_t group_of(const struct target *target)
{
	return htole32(target->options.access == ACCESS_NOT_REPORTED ? 0 : ANA_GROUP);
}

/* What only a controller with namespaces has. */
static void fill_io_controller(const struct ctrl *ctrl, struct nvme_id_ctrl *id)
{
	const struct target *target = ctrl->target;

	id->cmic = NVME_CTRL_CMIC_MULTI_CTRL;
	id->cntrltype = NVME_CTRL_CNTRLTYPE_IO;
	id->acl = ABORT_LIMIT - 1;
	id->frmw = NVME_CTRL_FRMW_1ST_RO | 1 << 1; /* one slot, read only */
	id->lpa = NVME_CTRL_LPA_CMD_EFFECTS | NVME_CTRL_LPA_EXTENDED;
	id->sqes = 0x66;
	id->cqes = 0x44;
	id->nn = htole32(target->store_count);
	id->mnan = htole32(target->store_count);
	id->oncs = htole16(NVME_CTRL_ONCS_COMPARE | NVME_CTRL_ONCS_DSM |
			   NVME_CTRL_ONCS_WRITE_ZEROES);
	id->vwc = VWC_FLUSH_ALL;
	if (target_has_write_cache(target))
		id->vwc |= NVME_CTRL_VWC_PRESENT;
	id->ioccsz = htole32((sizeof(struct wire_sqe) + CAPSULE_DATA_MAX) / 16);
	id->iorcsz = htole32(sizeof(struct wire_cqe) / 16);
	id->msdbd = DATA_DESCRIPTORS;
	id->ofcs = htole16(NVME_CTRL_OFCS_DISCONNECT);
	memcpy(id->subnqn, target->options.nqn, strlen(target->options.nqn));
	fill_access(target, id);
}

/* Bytes that are reserved in the version that is claimed may say what a later one has there. */
static void put_quiesce_time(void *data, uint32_t ms)
{
	uint16_t little = htole16((uint16_t)ms);

	memcpy((uint8_t *)data + QUIESCE_TIME, &little, sizeof(little));
}

static uint16_t identify_ctrl(struct task *task, void *data)
{
	const struct ctrl *ctrl = task->conn->ctrl;
	struct nvme_id_ctrl *id = data;

	put_text(id->sn, sizeof(id->sn), ctrl->target->serial);
	put_text(id->mn, sizeof(id->mn), MODEL);
	put_text(id->fr, sizeof(id->fr), ZCREQ_VERSION);
	id->mdts = TRANSFER_SHIFT;
	id->cntlid = htole16(ctrl->cntlid);
	id->ver = htole32(NVME_VERSION);
	id->ctratt = htole32(NVME_CTRL_CTRATT_128_ID);
	id->aerl = AER_LIMIT - 1;
	id->elpe = ERROR_LOG_ENTRIES - 1;
	id->kas = htole16(KEEP_ALIVE_UNIT);
	id->maxcmd = htole16((uint16_t)ctrl->target->options.queue_size);
	id->sgls = htole32(1 | NVME_CTRL_SGLS_OFFSET); /* no alignment needed */
	if (ctrl->discovery) {
		id->cntrltype = NVME_CTRL_CNTRLTYPE_DISCOVERY;
		id->lpa = NVME_CTRL_LPA_EXTENDED;
		strcpy(id->subnqn, "nqn.2014-08.org.nvmexpress.discovery");
	} else {
		fill_io_controller(ctrl, id);
	}
	put_quiesce_time(data, ctrl->target->options.quiesce_ms);
	return 0;
}

/* Smaller logical blocks than those of memory: whole ones are cheaper to write. */
static void fill_granularity(const struct store *store, struct nvme_id_ns *id)
{
	uint16_t zero_based = htole16((uint16_t)((1u << (BLOCK_SHIFT - store->lba_shift)) - 1));

	if (!zero_based)
		return;
	/* NPWG to NOWS are there; newer libnvme's name for it has a second bit */
	id->nsfeat = 1 << 4;
	id->npwg = zero_based;
	id->npwa = zero_based;
	id->npdg = zero_based;
	id->npda = zero_based;
	id->nows = zero_based;
}

static uint16_t identify_ns(struct task *task, void *data)
{
	const struct store *store = target_namespace(task->conn->target,
						     le32toh(task->sqe.nsid));
	struct nvme_id_ns *id = data;

	if (!store)
		return STATUS_DNR(NVME_SC_INVALID_NS);
	id->nsze = id->ncap = id->nuse = htole64(store_lbas(store));
	id->nmic = 1; /* every controller has all namespaces */
	id->dlfeat = NVME_NS_DLFEAT_WRITE_ZEROES |
		     (store->deallocated_is_zero ? NVME_NS_DLFEAT_RB_ALL_0S
						 : NVME_NS_DLFEAT_RB_NR);
	id->anagrpid = group_of(task->conn->target);
	memcpy(id->nguid, store->nguid, sizeof(id->nguid));
	id->lbaf[0].ds = store->lba_shift;
	fill_granularity(store, id);
	return 0;
}

static uint16_t identify_active_list(struct task *task, void *data)
{
	struct nvme_ns_list *list = data;
	uint32_t after = le32toh(task->sqe.nsid), nsid;
	unsigned count = 0;

	if (after >= NVME_NSID_ALL - 1)
		return STATUS_DNR(NVME_SC_INVALID_NS);
	for (nsid = after + 1; nsid <= task->conn->target->store_count; nsid++)
		list->ns[count++] = htole32(nsid);
	return 0;
}

/* Where the next one goes. */
static void *put_descriptor(void *at, uint8_t type, const void *id, uint8_t len)
{
	struct nvme_ns_id_desc *descriptor = at;

	descriptor->nidt = type;
	descriptor->nidl = len;
	memcpy(descriptor->nid, id, len);
	return descriptor->nid + len;
}

static uint16_t identify_descriptors(struct task *task, void *data)
{
	static const uint8_t none[sizeof(((struct store *)0)->nguid)], csi = NVME_CSI_NVM;
	const struct store *store = target_namespace(task->conn->target,
						     le32toh(task->sqe.nsid));

	if (!store)
		return STATUS_DNR(NVME_SC_INVALID_NS);
	if (memcmp(store->nguid, none, sizeof(none)))
		data = put_descriptor(data, NVME_NIDT_NGUID, store->nguid, sizeof(store->nguid));
	data = put_descriptor(data, NVME_NIDT_UUID, store->uuid, sizeof(store->uuid));
	put_descriptor(data, NVME_NIDT_CSI, &csi, sizeof(csi));
	return 0;
}

static uint16_t need_nvm(const struct task *task)
{
	if (csi_of(task) != NVME_CSI_NVM)
		return STATUS_DNR(NVME_SC_INVALID_FIELD);
	return 0;
}

/* No protection information, no storage tags, no extended formats: all zero. */
static uint16_t identify_nvm_ns(struct task *task, void *data)
{
	(void)data;
	if (!target_namespace(task->conn->target, le32toh(task->sqe.nsid)))
		return STATUS_DNR(NVME_SC_INVALID_NS);
	return need_nvm(task);
}

static uint16_t identify_nvm_ctrl(struct task *task, void *data)
{
	struct nvme_id_ctrl_nvm *id = data;

	id->wzsl = TRANSFER_SHIFT;
	id->dmrl = DSM_RANGES_MAX;
	id->dmrsl = htole32(DSM_RANGE_BLOCKS_MAX);
	id->dmsl = htole64(DSM_BLOCKS_MAX);
	return need_nvm(task);
}

static uint16_t identify_nvm_list(struct task *task, void *data)
{
	uint16_t status = need_nvm(task);

	return status ? status : identify_active_list(task, data);
}

static uint16_t identify_independent(struct task *task, void *data)
{
	struct nvme_id_independent_id_ns *id = data;

	if (!target_namespace(task->conn->target, le32toh(task->sqe.nsid)))
		return STATUS_DNR(NVME_SC_INVALID_NS);
	id->nmic = 1;
	id->anagrpid = group_of(task->conn->target);
	id->nstat = 1; /* ready */
	return 0;
}

static uint16_t identify_command_sets(struct task *task, void *data)
{
	struct nvme_id_iocs *id = data;
	uint16_t cntid = (uint16_t)(le32toh(task->sqe.cdw10) >> 16);

	if (cntid != 0xffff && cntid != task->conn->ctrl->cntlid)
		return STATUS_DNR(NVME_SC_INVALID_FIELD);
	id->iocsc[0] = htole64(1 << NVME_CSI_NVM);
	return 0;
}

typedef uint16_t (*identify)(struct task *task, void *data);

static identify find(const struct task *task)
{
	static const identify common[] = {
		[NVME_IDENTIFY_CNS_NS] = identify_ns,
		[NVME_IDENTIFY_CNS_CTRL] = identify_ctrl,
		[NVME_IDENTIFY_CNS_NS_ACTIVE_LIST] = identify_active_list,
		[NVME_IDENTIFY_CNS_NS_DESC_LIST] = identify_descriptors,
		[NVME_IDENTIFY_CNS_CSI_NS] = identify_nvm_ns,
		[NVME_IDENTIFY_CNS_CSI_CTRL] = identify_nvm_ctrl,
		[NVME_IDENTIFY_CNS_CSI_NS_ACTIVE_LIST] = identify_nvm_list,
		[NVME_IDENTIFY_CNS_CSI_INDEPENDENT_ID_NS] = identify_independent,
		[NVME_IDENTIFY_CNS_COMMAND_SET_STRUCTURE] = identify_command_sets,
	};
	uint8_t cns = cns_of(task);

	if (task->conn->ctrl->discovery)
		return cns == NVME_IDENTIFY_CNS_CTRL ? identify_ctrl : NULL;
	return cns < sizeof(common) / sizeof(common[0]) ? common[cns] : NULL;
}

uint16_t identify_check(struct task *task, uint32_t *len)
{
	*len = DATA_SIZE;
	return find(task) ? 0 : STATUS_DNR(NVME_SC_INVALID_FIELD);
}

void identify_run(struct task *task)
{
	uint16_t status = NVME_SC_INTERNAL;
	void *data = calloc(1, DATA_SIZE);

	if (data)
		status = find(task)(task, data);
	if (!status && task_reply_buffer(task, DATA_SIZE) < 0)
		status = NVME_SC_INTERNAL;
	if (!status)
		task_put(task, 0, data, DATA_SIZE);
	free(data);
	task_complete(task, status);
}
