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
static inline void seed_handles(struct zcreq_context *fresh, uint64_t seed)
{
	zcreq_assert(!fresh->requests.made && !fresh->holds.made);
	fresh->requests.seed = zcreq_mix(seed);
	fresh->holds.seed = zcreq_mix(seed + 1);
}

#endif
