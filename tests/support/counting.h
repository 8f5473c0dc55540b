/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * counting.h - an allocator that counts what is not freed, and fails on order
 *
 * The contexts of nearly all tests here are made on it, so that a test ends with
 * a proof that nothing was leaked, also without a sanitizer. What is freed is
 * filled with 0xdd, so that a stale read is not harmless by chance.
 */
#ifndef ZCREQ_TESTS_COUNTING_H
#define ZCREQ_TESTS_COUNTING_H

#include <stdbool.h>

#include <zcreq/context.h>

struct counting {
	struct zcreq_allocator allocator;
	unsigned calls;   /* of calloc */
	unsigned fail_at; /* the one that fails, from 1; 0: none */
	bool exhausted;   /* all fail */
	unsigned failed;
	long live;        /* blocks not freed */
};

void counting_init(struct counting *counting);

/* A context on this allocator; 0 is the default limit. Its handles repeat. */
struct zcreq_context *counting_context(struct counting *counting, uint32_t max_requests);

/* The context must be free of everything, and leave nothing behind. */
void counting_end(struct counting *counting, struct zcreq_context *context);

/* The counters, asserted to be readable; and all that the library claims of itself holds. */
struct zcreq_stats stats_of(const struct zcreq_context *context);

#endif
