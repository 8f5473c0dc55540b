/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_shrink.h - a life that fails, cut down to the few lines that it takes
 */
#ifndef ZCREQ_SIM_SHRINK_H
#define ZCREQ_SIM_SHRINK_H

#include "sim/sim_life.h"

/** Processor time after which a life is taken to hang: 1000, since under valgrind one takes 200,
 * or ZCREQ_SIM_LIFE_MS, since emulated one has taken 1100. */
unsigned sim_life_ms(void);

/** How a process that lived ended. */
struct sim_end {
	int status;         /* as wait(2) has it */
	const char *format; /* the kind of its failure; NULL if it did not say */
	char text[256];     /* the failure */
};

/** Memory that a process and those that it forks have in common; zero. */
void *sim_share(size_t size);

/** A life ends by itself within so much processor time, or is ended by SIGVTALRM. */
void sim_limit_ms(unsigned ms);

/** Live this seed in a process of its own and write down what is chosen. */
struct sim_end sim_record(uint64_t seed, struct sim_tape *tape);

/** Live a tape in a process of its own; tell what happens on stdout, or nothing. */
struct sim_end sim_replay(uint64_t seed, const struct sim_tape *tape, bool tell);

/**
 * Find a shorter tape that ends as @tape does, as long as @ms allow. Lines are left
 * out, then numbers, then numbers are made smaller; what still fails alike stays.
 */
void sim_shrink(uint64_t seed, struct sim_tape *tape, const struct sim_end *end, unsigned ms);

/** In words. */
void sim_end_print(const struct sim_end *end, FILE *to);

#endif
