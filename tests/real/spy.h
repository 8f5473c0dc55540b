/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * spy.h - the real kernel, and a witness of what was said to it and by it
 *
 * A socket_ops table that makes the real calls and writes down, independently of
 * the library, which bytes of the stream were accepted under which id, and which
 * ids have been notified. So when the library says released, a test can ask a
 * second opinion: had the kernel given back every byte of it by then? And when it
 * closes the descriptor: was anything still out?
 */
#ifndef ZCREQ_TESTS_SPY_H
#define ZCREQ_TESTS_SPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zcreq/stream.h>

/* Bytes [from, to) of the stream, as one call was accepted. */
struct spy_batch {
	uint64_t from, to;
	uint32_t id;
	bool by_reference; /* else copied: no id */
	bool proven;
};

struct spy {
	struct spy_batch *batches;
	size_t count, capacity;
	size_t *by_id;          /* batch of id, counting from 0 */
	size_t ids, id_capacity;
	uint64_t position;      /* bytes accepted, ever */
	uint64_t lent_to;       /* up to here they are in a ring's hands */
	size_t pinned;          /* batches by reference without proof */
	size_t pinned_at_close;
	unsigned closes, disconnects;
	uint64_t calls;         /* of any kind */
};

extern const struct zcreq_socket_ops spy_ops; /* its argument: a struct spy */

/* The kernel has accepted so many bytes; by reference: it will say when it is done. */
void spy_accepted(struct spy *spy, uint32_t id, uint64_t bytes, bool by_reference);

/* It is done with those of @id. */
void spy_notified(struct spy *spy, uint32_t id);

/* May bytes [from, to) of the stream be overwritten? What was never accepted may. */
bool spy_proven(const struct spy *spy, uint64_t from, uint64_t to);

void spy_deinit(struct spy *spy);

#endif
