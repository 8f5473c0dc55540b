/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * controller.h - a host's connection to a subsystem: admin queue and I/O queues
 *
 * What a good host does, in the fewest calls. Calls that wait take a limit, and
 * serve all queues of the controller while they do. To misbehave, use the queues
 * directly (initiator.h).
 */
#ifndef TESTS_NVME_CONTROLLER_H
#define TESTS_NVME_CONTROLLER_H

#include <nvme/types.h>

#include "initiator.h"

#define INI_MAX_QUEUES 32
#define INI_ADMIN_DEPTH 32
#define INI_WAIT_MS 30000 /* for what has to come: nothing is claimed of the time */

/** What ini_wait() and the calls on top of it return beside an NVMe status. */
enum { INI_NO_ANSWER = -1 };

struct ini_namespace {
	uint64_t blocks;
	uint32_t block_size;
};

struct ini_controller {
	struct ini_options options;
	char nqn[NVME_NQN_LENGTH];
	unsigned host;              /**< hosts with different numbers have different names */
	struct ini_queue *queues[INI_MAX_QUEUES + 1]; /**< [0] is the admin queue */
	int count;                  /**< all of them */
	uint16_t id;
	uint32_t in_capsule;        /**< bytes of data that a command may carry */
	uint32_t max_transfer;      /**< bytes of one command; UINT32_MAX: no limit */
	bool failed;
	char reason[INI_REASON + 64];
};

/** How a controller is made; zeroes are sensible but for @nqn and the address. */
struct ini_host {
	struct ini_options options;
	const char *nqn;
	unsigned host;
	int io_queues;
	uint16_t depth;             /**< of the I/O queues; 0 is 128 */
	uint32_t keep_alive_ms;
};

/**
 * ini_controller_open() - connect, enable, identify, and connect the I/O queues
 *
 * Always returns a controller; when it did not come up, @failed is set and
 * @reason says at which step.
 */
struct ini_controller *ini_controller_open(const struct ini_host *host);

/** Closes every queue; with @reset by RST. */
void ini_controller_close(struct ini_controller *controller, bool reset);

/** Normal shutdown (CC.SHN), then the close. False when it was not confirmed. */
bool ini_controller_shutdown(struct ini_controller *controller);

/** Fabrics Connect on a queue that is open; a status, or INI_NO_ANSWER. */
int ini_connect(struct ini_queue *queue, const struct ini_host *host, uint16_t controller,
		uint16_t *connected);

/** Fills @data for a Connect of @host. */
void ini_make_connect(const struct ini_host *host, uint16_t controller, struct wire_sqe *sqe,
		      uint16_t id, uint16_t depth, struct nvmf_connect_data *data);

/**
 * ini_wait() - submit one command and wait for its completion
 * @cqe:  written on an answer; may be NULL
 *
 * Returns the status (type and code), or INI_NO_ANSWER when the queue ended or
 * @timeout_ms passed.
 */
int ini_wait(struct ini_queue *queue, const struct wire_sqe *sqe, void *data, uint32_t len,
	     bool to_controller, uint32_t in_capsule, struct wire_cqe *cqe, int timeout_ms);

/** Property Get and Set; statuses as above. */
int ini_property_get(struct ini_queue *queue, uint32_t offset, uint64_t *value);
int ini_property_set(struct ini_queue *queue, uint32_t offset, uint32_t value);

int ini_identify(struct ini_controller *controller, uint8_t cns, uint32_t nsid, void *page);
int ini_keep_alive(struct ini_controller *controller);

/** Sizes of a namespace, from Identify. */
bool ini_namespace(struct ini_controller *controller, uint32_t nsid, struct ini_namespace *ns);

/** The command of a Read, Write or other block command on @blocks blocks. */
struct wire_sqe ini_block_sqe(uint8_t opcode, uint32_t nsid, uint64_t lba, uint32_t blocks);

/** Reads or writes @blocks blocks on I/O queue @queue and waits for it. */
int ini_transfer(struct ini_controller *controller, int queue, uint8_t opcode, uint32_t nsid,
		 uint64_t lba, uint32_t blocks, void *data, uint32_t len);

/** ini_poll() on all queues of the controller. */
int ini_controller_poll(struct ini_controller *controller, int timeout_ms);

/** Commands in flight on the I/O queues. */
uint32_t ini_in_flight(const struct ini_controller *controller);

#endif
