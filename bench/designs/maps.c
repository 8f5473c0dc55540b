/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * maps.c - two hash maps, id to buffer and buffer to count: folly's AsyncSocket
 *
 * Re-implemented from its description. A send enters its id with its buffer into
 * the first map, and counts one more use of the buffer in the second. A
 * notification takes the id out of the first and one use out of the second, which
 * owns the buffer; with the last the buffer is given back. The maps are of the
 * standard library's kind: buckets of nodes that are allocated one by one. They
 * have as many buckets as there can be nodes, and never have to grow.
 */
#include "designs.h"

#include <stdlib.h>

struct buffer {
	struct buffer *next_spare;
	void (*done)(void *arg);
	void *arg;
};

struct node {
	struct node *next;
	uint64_t key;
	union {
		struct buffer *buffer; /* of an id */
		uint32_t uses;         /* of a buffer */
	};
};

struct map {
	struct node **buckets;
	uint32_t shift;
};

static struct free_socket *sock;
static struct buffer *spare;
static struct map ids, uses;
static uint32_t next_id;

static void map_init(struct map *map, uint32_t most)
{
	uint32_t count = 16;

	for (map->shift = 60; count < most; map->shift--)
		count *= 2;
	map->buckets = design_memory(count, sizeof(*map->buckets));
}

/* Where the node of @key hangs, or would. */
static struct node **map_find(struct map *map, uint64_t key)
{
	struct node **at = &map->buckets[key * 0x9e3779b97f4a7c15u >> map->shift];

	while (*at && (*at)->key != key)
		at = &(*at)->next;
	return at;
}

static struct node *map_add(struct node **at, uint64_t key)
{
	*at = design_memory(1, sizeof(**at));
	(*at)->key = key;
	return *at;
}

static void map_erase(struct node **at)
{
	struct node *node = *at;

	*at = node->next;
	free(node);
}

static void maps_open(struct free_socket *socket, uint32_t most, void (*done)(void *arg))
{
	struct buffer *buffers = design_memory(most, sizeof(*buffers));

	sock = socket;
	map_init(&ids, most);
	map_init(&uses, most);
	for (uint32_t i = 0; i < most; i++) {
		buffers[i].done = done;
		buffers[i].next_spare = spare;
		spare = &buffers[i];
	}
}

static void maps_send(const struct iovec *iov)
{
	struct buffer *buffer = spare;
	struct node **at = map_find(&uses, (uintptr_t)buffer);

	spare = buffer->next_spare;
	hand_send(sock, iov);
	map_add(map_find(&ids, next_id), next_id)->buffer = buffer;
	next_id++;
	if (!*at)
		map_add(at, (uintptr_t)buffer);
	(*at)->uses++;
}

static void take_back(uint32_t id)
{
	struct node **at = map_find(&ids, id);
	struct buffer *buffer;

	if (!*at)
		abort();
	buffer = (*at)->buffer;
	map_erase(at);
	at = map_find(&uses, (uintptr_t)buffer);
	if (--(*at)->uses)
		return;
	map_erase(at);
	buffer->done(buffer->arg);
	buffer->next_spare = spare;
	spare = buffer;
}

static void maps_reap(void)
{
	uint32_t lo, hi;

	while (hand_told(sock, &lo, &hi)) {
		for (uint32_t count = hi - lo + 1; count; count--)
			take_back(lo++);
	}
}

const struct design design_maps = {"maps", maps_open, maps_send, maps_reap};
