/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seeded.h - a context whose handles repeat, so that a run can be repeated
 *
 * No program can ask for that: two contexts with one seed would take each other's handles
 * for their own.
 */
#ifndef ZCREQ_TESTS_SEEDED_H
#define ZCREQ_TESTS_SEEDED_H

#include "core/core.h"

/* Of a context in which nothing has begun. */
static inline void seed_handles(struct zcreq_context *context, uint64_t seed)
{
	zcreq_assert(!context->requests.made && !context->holds.made);
	context->requests.seed = zcreq_mix(seed);
	context->holds.seed = zcreq_mix(seed + 1);
}

#endif
