/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * numbers.h - a set of small numbers: a bit for each up to the largest that was ever in it
 *
 * For descriptors, which the kernel gives from the lowest free one on.
 */
#ifndef ZCREQ_LIB_NUMBERS_H
#define ZCREQ_LIB_NUMBERS_H

#include <stdint.h>

#include "base/memory.h"

/* Begins as all zero. */
struct zcreq_numbers {
	uint64_t *words;
	uint32_t word_count;
};

/* Puts @number in: 0, -EEXIST if it is in, or -ENOMEM. */
int zcreq_numbers_put(struct zcreq_numbers *set, const struct zcreq_allocator *allocator,
		      uint32_t number);

/* Takes @number, which is in, out. */
void zcreq_numbers_drop(struct zcreq_numbers *set, uint32_t number);

void zcreq_numbers_deinit(struct zcreq_numbers *set, const struct zcreq_allocator *allocator);

#endif
