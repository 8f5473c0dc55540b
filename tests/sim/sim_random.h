/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_random.h - a small repeatable source of chance for the simulator
 *
 * Splitmix64: eight bytes of state, any seed is good, and the same numbers on
 * every machine. rand(3) is neither repeatable across C libraries nor private.
 */
#ifndef ZCREQ_SIM_RANDOM_H
#define ZCREQ_SIM_RANDOM_H

#include <stdint.h>

struct sim_random {
	uint64_t state;
};

static inline uint64_t sim_random_next(struct sim_random *random)
{
	uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/** A number from 0 to @limit - 1; 0 for a limit of 0. */
static inline uint64_t sim_random_below(struct sim_random *random, uint64_t limit)
{
	return limit ? sim_random_next(random) % limit : 0;
}

#endif
