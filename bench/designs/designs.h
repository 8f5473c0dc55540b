/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * designs.h - ways of knowing which request a notification id belongs to
 *
 * One function makes a request of one send with an id of its own, the other reads
 * what the socket tells and calls the owner for each request that has come back.
 * That is all of it for the designs that were published: they are written here
 * from their descriptions, as little as each can do with, and only their
 * bookkeeping; no line is theirs. Where one left a choice, it got the faster.
 */
#ifndef BENCH_DESIGNS_H
#define BENCH_DESIGNS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "../free_socket.h"

struct design {
	const char *name;
	/* Never more than @most requests at once; @done is called for each, at its end. */
	void (*open)(struct free_socket *socket, uint32_t most, void (*done)(void *arg));
	void (*send)(const struct iovec *iov);
	void (*reap)(void);
};

extern const struct design design_list, design_map, design_maps, design_zcreq;

void *design_memory(size_t count, size_t size);

/* What the published ones share: one call that sends, and one that reads what the
 * socket tells of, false if that is nothing. */
void hand_send(struct free_socket *socket, const struct iovec *iov);
bool hand_told(struct free_socket *socket, uint32_t *lo, uint32_t *hi);

#endif
