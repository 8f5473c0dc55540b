/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * load.c - keeps a controller's queues full and judges every answer
 *
 * A slot is one command and its buffer, posted again from its own completion. Slot
 * n writes only every n-th group of blocks, so two writes never meet on a block;
 * reads go anywhere.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"
#include "support/witness.h"

#define KEEP_ALIVE_MS 500
#define FILL_BYTES 65536
#define ASK_EACH_NS 500000 /* the witness: who is asked each time is half of the load */

struct load_slot {
	struct load *load;
	uint32_t index;
	bool writing;
	uint64_t lba;
	uint64_t waited_ns;  /* until it was posted */
	uint8_t *data;
	uint32_t *oldest;
};

bool load_fill(struct ini_controller *controller, struct stamps *stamps)
{
	uint32_t blocks = FILL_BYTES / stamps->block_size;
	uint8_t *data = malloc(FILL_BYTES);
	bool right = data;

	for (uint64_t lba = 0; right && lba < stamps->blocks; lba += blocks) {
		if (blocks > stamps->blocks - lba)
			blocks = (uint32_t)(stamps->blocks - lba);
		stamps_write(stamps, lba, blocks, data);
		right = !ini_transfer(controller, 1, nvme_cmd_write, stamps->nsid, lba, blocks, data,
				      blocks * stamps->block_size);
		if (right)
			stamps_written(stamps, lba, blocks, data);
	}
	free(data);
	return right;
}

static void answered(struct ini_queue *queue, struct ini_command *command, void *arg);

/* A little too early is asked, and so too much is said of one command: half a millisecond. */
static uint64_t waited_until(struct load *load, uint64_t now_ns)
{
	if (now_ns - load->waited_at_ns >= ASK_EACH_NS) {
		load->waited_ns = witness_waited_ns();
		load->waited_at_ns = now_ns;
	}
	return load->waited_ns;
}

/* How long it took, and how much of that was the program's own. */
static void take_time(struct load_slot *slot, uint64_t ns)
{
	struct load *load = slot->load;
	uint64_t waited_ns;

	if (ns > load->slowest_ns)
		load->slowest_ns = ns;
	if (ns <= load->slowest_own_ns)
		return;
	waited_ns = witness_waited_ns() - slot->waited_ns;
	ns -= waited_ns < ns ? waited_ns : ns;
	if (ns > load->slowest_own_ns)
		load->slowest_own_ns = ns;
}

static void post(struct load_slot *slot, struct ini_queue *queue)
{
	struct load *load = slot->load;
	uint64_t groups = load->stamps->blocks / load->blocks, group;
	struct wire_sqe sqe;

	load->random = load->random * 6364136223846793005u + 1442695040888963407u;
	group = (load->random >> 20) % groups;
	slot->writing = load->mode == LOAD_WRITE || (load->mode == LOAD_MIXED && load->random >> 63);
	if (slot->writing) {
		group = group - group % load->slot_count + slot->index;
		if (group >= groups)
			group = slot->index;
	}
	slot->lba = group * load->blocks;
	if (slot->writing)
		stamps_write(load->stamps, slot->lba, load->blocks, slot->data);
	else
		stamps_posted(load->stamps, slot->lba, load->blocks, slot->oldest);
	sqe = ini_block_sqe(slot->writing ? nvme_cmd_write : nvme_cmd_read, load->stamps->nsid,
			    slot->lba, load->blocks);
	slot->waited_ns = waited_until(load, ini_now_ns());
	ini_submit(queue, &sqe, slot->data, load->blocks * load->stamps->block_size, slot->writing,
		   load->controller->in_capsule, answered, slot);
}

static void answered(struct ini_queue *queue, struct ini_command *command, void *arg)
{
	struct load_slot *slot = arg;
	struct load *load = slot->load;

	load->done++;
	take_time(slot, ini_now_ns() - command->start_ns);
	if (ini_status(&command->cqe))
		load->errors++;
	else if (slot->writing)
		stamps_written(load->stamps, slot->lba, load->blocks, slot->data);
	else
		load->wrong += stamps_wrong(load->stamps, slot->lba,
					    load->blocks * load->stamps->block_size, slot->data,
					    slot->oldest, &load->foreign);
	if (!load->stopping)
		post(slot, queue);
}

void load_start(struct load *load, struct ini_controller *controller, struct stamps *stamps,
		enum load_mode mode, uint32_t blocks, uint32_t depth)
{
	uint32_t queues = (uint32_t)controller->count - 1;

	*load = (struct load){ .controller = controller,
			       .stamps = stamps,
			       .mode = mode,
			       .blocks = blocks,
			       .slot_count = depth * queues,
			       .random = 1 + controller->id };
	load->slots = calloc(load->slot_count, sizeof(*load->slots));
	if (!load->slots || (mode != LOAD_READ && stamps->blocks / blocks < load->slot_count))
		abort();
	for (uint32_t i = 0; i < load->slot_count; i++) {
		struct load_slot *slot = &load->slots[i];

		*slot = (struct load_slot){ .load = load, .index = i };
		slot->data = malloc((size_t)blocks * stamps->block_size);
		slot->oldest = calloc(blocks, sizeof(*slot->oldest));
		if (!slot->data || !slot->oldest)
			abort();
		post(slot, controller->queues[1 + i % queues]);
	}
}

static void keep_alive(struct load *load, uint64_t now)
{
	struct wire_sqe sqe = { .opcode = nvme_admin_keep_alive };

	if (!load || now < load->beat_ns)
		return;
	load->beat_ns = now + KEEP_ALIVE_MS * 1000000u;
	ini_submit(load->controller->queues[0], &sqe, NULL, 0, false, 0, NULL, NULL);
}

void load_run(struct load *load, struct load *also, int ms)
{
	struct ini_queue *queues[2 * (INI_MAX_QUEUES + 1)];
	uint64_t now = ini_now_ns(), end = now + (uint64_t)ms * 1000000u;
	int count = 0;

	for (int i = 0; i < load->controller->count; i++)
		queues[count++] = load->controller->queues[i];
	for (int i = 0; also && i < also->controller->count; i++)
		queues[count++] = also->controller->queues[i];
	for (; now < end; now = ini_now_ns()) {
		keep_alive(load, now);
		keep_alive(also, now);
		if (!ini_poll(queues, count, 5) && load->controller->queues[0]->ended)
			return;
	}
}

void load_discard(struct load *load)
{
	for (uint32_t i = 0; i < load->slot_count; i++) {
		free(load->slots[i].data);
		free(load->slots[i].oldest);
	}
	free(load->slots);
}

bool load_stop(struct load *load, const char *name)
{
	struct ini_controller *controller = load->controller;
	uint64_t deadline = ini_now_ns() + (uint64_t)INI_WAIT_MS * 1000000u;
	bool right;

	load->stopping = true;
	while (ini_in_flight(controller) && ini_now_ns() < deadline)
		ini_controller_poll(controller, 100);
	right = load->done && !load->errors && !load->wrong && !ini_in_flight(controller);
	for (int i = 0; i < controller->count; i++) {
		const struct ini_queue *queue = controller->queues[i];

		if (queue->ended) {
			fprintf(stderr, "%s, queue %u: %s\n", name, queue->id, queue->reason);
			right = false;
		}
	}
	if (!right)
		fprintf(stderr, "%s: %" PRIu64 " done, %" PRIu64 " errors, %" PRIu64
			" wrong bytes (%" PRIu64 " foreign), %u in flight\n",
			name, load->done, load->errors, load->wrong, load->foreign,
			ini_in_flight(controller));
	load_discard(load);
	return right;
}
