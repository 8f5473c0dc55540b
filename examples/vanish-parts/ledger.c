/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ledger.c - the buffers: who has them, since when, and what is in them
 *
 * Plays the application. It owns one buffer for each request, hands them out in
 * turn, and takes them back when told that a request is released, whoever says
 * so and with whatever right: the ledger believes it, as applications do.
 *
 * While the transfer runs, a buffer that came back is simply sent again. From
 * ledger_recycle_from_now() on it belongs to the next tenant, whose bytes are
 * written over it once, as soon as nothing more is told in this turn: the time of a
 * release is not that of a tenant who writes. If the kernel was still reading, the receiver
 * will see them. A buffer that comes back while it is not out is counted as a
 * double completion and nothing else happens to it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "vanish.h"

/*
 * How long this thread has waited for a processor, in all: the second number of its
 * schedstat. 0 where the kernel does not count it.
 */
static uint64_t waited_ns(void)
{
	FILE *file = fopen("/proc/thread-self/schedstat", "re");
	uint64_t waited = 0;

	if (file && fscanf(file, "%*u %" SCNu64, &waited) != 1)
		waited = 0;
	if (file)
		fclose(file);
	return waited;
}

int ledger_init(struct ledger *ledger, const struct setup *setup, struct result *result)
{
	size_t total_bytes = setup->requests * setup->size_bytes;
	unsigned i;

	memset(ledger, 0, sizeof(*ledger));
	ledger->setup = setup;
	ledger->result = result;
	ledger->slots = calloc(setup->requests, sizeof(*ledger->slots));
	if (!ledger->slots)
		return -ENOMEM;
	ledger->memory = mmap(NULL, total_bytes, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ledger->memory == MAP_FAILED)
		return -errno;
	memset(ledger->memory, OWN_BYTE, total_bytes);
	for (i = 0; i < setup->requests; i++)
		ledger->slots[i] = (struct slot){
			.ledger = ledger,
			.state = SLOT_IDLE,
			.memory = ledger->memory + i * setup->size_bytes,
			.life = &result->lives[i],
			.earlier = &result->earlier[i],
		};
	return 0;
}

/* The slot that will be handed out after @ahead others, or NULL if it is still out. */
struct slot *ledger_peek(struct ledger *ledger, unsigned ahead)
{
	struct slot *slot;

	if (ahead >= ledger->setup->requests || ledger->recycling)
		return NULL;
	slot = &ledger->slots[(ledger->next + ahead) % ledger->setup->requests];
	return slot->state == SLOT_IDLE ? slot : NULL;
}

/* Hand out the next slot. Call only after ledger_peek() has shown it. */
struct slot *ledger_send(struct ledger *ledger)
{
	struct slot *slot = &ledger->slots[ledger->next];

	*slot->earlier = *slot->life;
	*slot->life = (struct life){.sent_ns = now_ns()};
	slot->state = SLOT_IN_FLIGHT;
	ledger->next = (ledger->next + 1) % ledger->setup->requests;
	ledger->in_flight++;
	return slot;
}

void ledger_release(struct slot *slot)
{
	struct ledger *ledger = slot->ledger;
	struct result *result = ledger->result;

	if (slot->state != SLOT_IN_FLIGHT) {
		result->doubles++;
		return;
	}
	ledger->in_flight--;
	slot->life->released_ns = now_ns();
	if (!ledger->recycling) {
		slot->state = SLOT_IDLE;
		result->completed++;
		return;
	}
	slot->state = SLOT_RELEASED;
	ledger->unwritten++;
	result->released++;
	result->last_ns = slot->life->released_ns;
	if (!ledger->in_flight)
		result->waited_ns = waited_ns() - ledger->waited_ns;
}

/* The next tenants write. */
void ledger_overwrite(struct ledger *ledger)
{
	for (unsigned i = 0; ledger->unwritten; i++) {
		struct slot *slot = &ledger->slots[i];

		if (slot->state != SLOT_RELEASED)
			continue;
		memset(slot->memory, FOREIGN_BYTE, ledger->setup->size_bytes);
		slot->state = SLOT_RECYCLED;
		ledger->unwritten--;
	}
}

/* The link is down: what the row takes is counted from here. */
void ledger_cut(struct ledger *ledger)
{
	ledger->waited_ns = waited_ns();
	ledger->result->cut_ns = now_ns();
}

void ledger_recycle_from_now(struct ledger *ledger)
{
	ledger->recycling = 1;
	ledger->result->in_flight = ledger->in_flight;
}
