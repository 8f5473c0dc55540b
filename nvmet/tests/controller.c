/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * controller.c - brings a controller up and down, and the commands that need waiting
 *
 * Owns its queues. Nothing here misbehaves, and nothing here is fast: the tests'
 * loops and the benchmark work on the queues themselves.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller.h"

/* A completion that ini_wait() waits for. */
struct waiting {
	bool done;
	struct wire_cqe cqe;
};

static void wake(struct ini_queue *queue, struct ini_command *command, void *arg)
{
	struct waiting *waiting = arg;

	(void)queue;
	waiting->done = true;
	waiting->cqe = command->cqe;
}

int ini_wait(struct ini_queue *queue, const struct wire_sqe *sqe, void *data, uint32_t len,
	     bool to_controller, uint32_t in_capsule, struct wire_cqe *cqe, int timeout_ms)
{
	struct waiting waiting = { 0 };
	uint64_t deadline = ini_now_ns() + (uint64_t)timeout_ms * 1000000u;

	if (!ini_submit(queue, sqe, data, len, to_controller, in_capsule, wake, &waiting))
		return INI_NO_ANSWER;
	while (!waiting.done && !queue->ended) {
		uint64_t now = ini_now_ns();

		if (now >= deadline)
			break;
		ini_poll(&queue, 1, (int)((deadline - now) / 1000000u) + 1);
	}
	if (!waiting.done) {
		/* An ended queue completes nothing more, so nobody writes to this stack. */
		if (!queue->ended)
			ini_end(queue, "no answer to opcode 0x%x in %d ms", sqe->opcode, timeout_ms);
		return INI_NO_ANSWER;
	}
	if (cqe)
		*cqe = waiting.cqe;
	return ini_status(&waiting.cqe);
}

static struct wire_sqe fabrics_sqe(uint8_t type)
{
	return (struct wire_sqe){ .opcode = nvme_admin_fabrics, .nsid = type };
}

void ini_make_connect(const struct ini_host *host, uint16_t controller, struct wire_sqe *sqe,
		      uint16_t id, uint16_t depth, struct nvmf_connect_data *data)
{
	*sqe = fabrics_sqe(nvme_fabrics_type_connect);
	sqe->cdw10 = (uint32_t)id << 16;
	sqe->cdw11 = depth - 1u;
	sqe->cdw12 = id ? 0 : host->keep_alive_ms;
	memset(data, 0, sizeof(*data));
	memset(data->hostid, 0x5a, sizeof(data->hostid));
	memcpy(data->hostid, &host->host, sizeof(host->host));
	data->cntlid = controller;
	snprintf(data->subsysnqn, sizeof(data->subsysnqn), "%s", host->nqn);
	snprintf(data->hostnqn, sizeof(data->hostnqn), "nqn.2014-08.org.example:test-host-%u",
		 host->host);
}

int ini_connect(struct ini_queue *queue, const struct ini_host *host, uint16_t controller,
		uint16_t *connected)
{
	struct nvmf_connect_data data;
	struct wire_sqe sqe;
	struct wire_cqe cqe;
	int status;

	ini_make_connect(host, controller, &sqe, queue->id, queue->depth, &data);
	status = ini_wait(queue, &sqe, &data, sizeof(data), true, sizeof(data), &cqe, INI_WAIT_MS);
	if (status == NVME_SC_SUCCESS)
		*connected = queue->controller = (uint16_t)cqe.result;
	return status;
}

int ini_property_get(struct ini_queue *queue, uint32_t offset, uint64_t *value)
{
	struct wire_sqe sqe = fabrics_sqe(nvme_fabrics_type_property_get);
	struct wire_cqe cqe;
	int status;

	sqe.cdw10 = offset == NVME_REG_CAP; /* 8 bytes, else 4 */
	sqe.cdw11 = offset;
	status = ini_wait(queue, &sqe, NULL, 0, false, 0, &cqe, INI_WAIT_MS);
	if (status == NVME_SC_SUCCESS)
		*value = cqe.result;
	return status;
}

int ini_property_set(struct ini_queue *queue, uint32_t offset, uint32_t value)
{
	struct wire_sqe sqe = fabrics_sqe(nvme_fabrics_type_property_set);

	sqe.cdw11 = offset;
	sqe.cdw12 = value;
	return ini_wait(queue, &sqe, NULL, 0, false, 0, NULL, INI_WAIT_MS);
}

int ini_identify(struct ini_controller *controller, uint8_t cns, uint32_t nsid, void *page)
{
	struct wire_sqe sqe = { .opcode = nvme_admin_identify, .nsid = nsid, .cdw10 = cns };

	return ini_wait(controller->queues[0], &sqe, page, NVME_IDENTIFY_DATA_SIZE, false, 0, NULL,
			INI_WAIT_MS);
}

int ini_keep_alive(struct ini_controller *controller)
{
	struct wire_sqe sqe = { .opcode = nvme_admin_keep_alive };

	return ini_wait(controller->queues[0], &sqe, NULL, 0, false, 0, NULL, INI_WAIT_MS);
}

bool ini_namespace(struct ini_controller *controller, uint32_t nsid, struct ini_namespace *ns)
{
	static struct nvme_id_ns page;

	if (ini_identify(controller, NVME_IDENTIFY_CNS_NS, nsid, &page))
		return false;
	ns->blocks = page.nsze;
	ns->block_size = 1u << page.lbaf[page.flbas & 0xf].ds;
	return true;
}

struct wire_sqe ini_block_sqe(uint8_t opcode, uint32_t nsid, uint64_t lba, uint32_t blocks)
{
	return (struct wire_sqe){ .opcode = opcode,
				  .nsid = nsid,
				  .cdw10 = (uint32_t)lba,
				  .cdw11 = (uint32_t)(lba >> 32),
				  .cdw12 = blocks - 1 };
}

int ini_transfer(struct ini_controller *controller, int queue, uint8_t opcode, uint32_t nsid,
		 uint64_t lba, uint32_t blocks, void *data, uint32_t len)
{
	struct wire_sqe sqe = ini_block_sqe(opcode, nsid, lba, blocks);

	return ini_wait(controller->queues[queue], &sqe, data, len, opcode & 1,
			controller->in_capsule, NULL, INI_WAIT_MS);
}

int ini_controller_poll(struct ini_controller *controller, int timeout_ms)
{
	return ini_poll(controller->queues, controller->count, timeout_ms);
}

uint32_t ini_in_flight(const struct ini_controller *controller)
{
	uint32_t sum = 0;

	for (int i = 1; i < controller->count; i++)
		if (!controller->queues[i]->ended)
			sum += controller->queues[i]->in_flight;
	return sum;
}

__attribute__((format(printf, 2, 3)))
static bool fail(struct ini_controller *controller, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(controller->reason, sizeof(controller->reason), format, arguments);
	va_end(arguments);
	controller->failed = true;
	return false;
}

/* Opens the next queue and connects it. */
static bool add_queue(struct ini_controller *controller, const struct ini_host *host,
		      uint16_t depth)
{
	uint16_t id = (uint16_t)controller->count;
	struct ini_queue *queue = ini_open(&host->options, id, depth, INI_WAIT_MS);
	int status;

	controller->queues[controller->count++] = queue;
	if (queue->ended)
		return fail(controller, "queue %u: %s", id, queue->reason);
	status = ini_connect(queue, host, id ? controller->id : INI_ANY_CONTROLLER, &controller->id);
	if (status)
		return fail(controller, "queue %u: connect: status 0x%x %s", id,
			    (unsigned)status, queue->reason);
	return true;
}

static bool wait_ready(struct ini_controller *controller, uint32_t mask, uint32_t want)
{
	uint64_t deadline = ini_now_ns() + (uint64_t)INI_WAIT_MS * 1000000u;
	uint64_t status;

	while (ini_now_ns() < deadline) {
		if (ini_property_get(controller->queues[0], NVME_REG_CSTS, &status))
			return false;
		if ((status & mask) == want)
			return true;
		ini_poll(controller->queues, 1, 1);
	}
	return false;
}

/* From the admin queue's Connect to the number of queues: what every host does. */
static bool enable(struct ini_controller *controller, int io_queues)
{
	static struct nvme_id_ctrl page;
	struct ini_queue *admin = controller->queues[0];
	struct wire_sqe sqe = { .opcode = nvme_admin_set_features,
				.cdw10 = NVME_FEAT_FID_NUM_QUEUES };
	struct wire_cqe cqe;
	uint64_t cap;

	if (ini_property_get(admin, NVME_REG_CAP, &cap))
		return fail(controller, "CAP: %s", admin->reason);
	/* 64-byte and 16-byte queue entries, enabled */
	if (ini_property_set(admin, NVME_REG_CC, 6u << 16 | 4u << 20 | 1))
		return fail(controller, "CC: %s", admin->reason);
	if (!wait_ready(controller, 1, 1))
		return fail(controller, "CSTS.RDY: %s", admin->reason);
	if (ini_identify(controller, NVME_IDENTIFY_CNS_CTRL, 0, &page))
		return fail(controller, "Identify: %s", admin->reason);
	controller->in_capsule = page.ioccsz > 4 ? page.ioccsz * 16u - 64u : 0;
	controller->max_transfer = page.mdts && page.mdts < 20 ? 4096u << page.mdts : UINT32_MAX;
	if (!io_queues)
		return true;
	sqe.cdw11 = (uint32_t)(io_queues - 1) << 16 | (uint32_t)(io_queues - 1);
	if (ini_wait(admin, &sqe, NULL, 0, false, 0, &cqe, INI_WAIT_MS))
		return fail(controller, "number of queues: %s", admin->reason);
	if ((cqe.result & 0xffff) + 1 < (uint64_t)io_queues)
		return fail(controller, "only %u I/O queues", (unsigned)(cqe.result & 0xffff) + 1);
	return true;
}

struct ini_controller *ini_controller_open(const struct ini_host *host)
{
	struct ini_controller *controller = calloc(1, sizeof(*controller));
	uint16_t depth = host->depth ? host->depth : 128;

	if (!controller || host->io_queues > INI_MAX_QUEUES)
		abort();
	controller->options = host->options;
	controller->host = host->host;
	snprintf(controller->nqn, sizeof(controller->nqn), "%s", host->nqn);
	if (!add_queue(controller, host, INI_ADMIN_DEPTH) || !enable(controller, host->io_queues))
		return controller;
	for (int i = 0; i < host->io_queues; i++)
		if (!add_queue(controller, host, depth))
			break;
	return controller;
}

void ini_controller_close(struct ini_controller *controller, bool reset)
{
	if (!controller)
		return;
	for (int i = 0; i < controller->count; i++)
		ini_close(controller->queues[i], reset);
	free(controller);
}

bool ini_controller_shutdown(struct ini_controller *controller)
{
	bool right = !controller->queues[0]->ended;

	for (int i = 1; i < controller->count; i++) {
		ini_close(controller->queues[i], false);
		controller->queues[i] = NULL;
	}
	controller->count = 1;
	if (right) /* as above, with a normal shutdown; SHST 2 is complete */
		right = !ini_property_set(controller->queues[0], NVME_REG_CC,
					  6u << 16 | 4u << 20 | 1 << 14 | 1) &&
			wait_ready(controller, 3 << 2, 2 << 2);
	ini_controller_close(controller, false);
	return right;
}
