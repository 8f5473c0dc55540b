/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_run.h - many lives, on several processors, until one fails or it is enough
 */
#ifndef ZCREQ_SIM_RUN_H
#define ZCREQ_SIM_RUN_H

#include <stdbool.h>
#include <stdint.h>

/** What is enough; a limit of 0 is none, and one of them has to be there. */
struct sim_plan {
	uint64_t first_seed;
	uint64_t lives;
	uint64_t requests;
	uint64_t detached; /* of them */
	unsigned seconds;
	unsigned jobs;
	unsigned shrink_ms; /* for a life that fails; 0: tell it as it was */
};

/**
 * Run a plan and say in one line what was run. If a life fails, say its seed and
 * how it failed, shrink it, and tell what is left on stdout, all of it as a tape
 * that can be replayed. Returns whether no life failed.
 */
bool sim_run(const struct sim_plan *plan);

/** Live one seed, and tell it in the same way if it fails. */
bool sim_run_seed(uint64_t seed, unsigned shrink_ms);

#endif
