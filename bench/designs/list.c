/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * list.c - a list of outstanding sends, rescanned for each id: SPDK's posix socket
 *
 * Re-implemented from its description. Requests are in the list in the order of
 * their sends. For each id of a notification the list is walked from its head; the
 * requests of one call are neighbours, so the walk ends at the first that does not
 * match after one that did. As long as notifications come in order, that is at
 * once.
 */
#include "designs.h"

#include <sys/queue.h>

struct request {
	TAILQ_ENTRY(request) link;
	uint32_t id;
	void (*done)(void *arg);
	void *arg;
};

static TAILQ_HEAD(, request) pending = TAILQ_HEAD_INITIALIZER(pending);
static TAILQ_HEAD(, request) spare = TAILQ_HEAD_INITIALIZER(spare);
static struct free_socket *sock;
static uint32_t next_id;

static void list_open(struct free_socket *socket, uint32_t most, void (*done)(void *arg))
{
	struct request *requests = design_memory(most, sizeof(*requests));

	sock = socket;
	for (uint32_t i = 0; i < most; i++) {
		requests[i].done = done;
		TAILQ_INSERT_TAIL(&spare, &requests[i], link);
	}
}

static void list_send(const struct iovec *iov)
{
	struct request *request = TAILQ_FIRST(&spare);

	TAILQ_REMOVE(&spare, request, link);
	hand_send(sock, iov);
	request->id = next_id++;
	TAILQ_INSERT_TAIL(&pending, request, link);
}

static void take_back(uint32_t id)
{
	struct request *request = TAILQ_FIRST(&pending);
	bool found = false;

	while (request) {
		struct request *next = TAILQ_NEXT(request, link);

		if (request->id == id) {
			found = true;
			TAILQ_REMOVE(&pending, request, link);
			request->done(request->arg);
			TAILQ_INSERT_HEAD(&spare, request, link);
		} else if (found) {
			break;
		}
		request = next;
	}
}

static void list_reap(void)
{
	uint32_t lo, hi;

	while (hand_told(sock, &lo, &hi)) {
		for (uint32_t ids = hi - lo + 1; ids; ids--)
			take_back(lo++);
	}
}

const struct design design_list = {"list", list_open, list_send, list_reap};
