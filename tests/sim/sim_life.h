/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_life.h - one life of a world, and how it ended
 */
#ifndef ZCREQ_SIM_LIFE_H
#define ZCREQ_SIM_LIFE_H

#include <zcreq/context.h>

#include "sim/fake_kernel.h"
#include "sim/sim_tape.h"

/** What sim_fail() exits with; anything else is a crash or a sanitizer. */
#define SIM_EXIT 3

/** What is known of a process's lives, in memory that outlives the process. */
struct sim_outcome {
	uint64_t seed;      /* of the life that it lives, or of the last one */
	uint64_t lives;     /* lived to the end */
	uint64_t requests;  /* in these */
	uint64_t callbacks; /* "; with what follows a fingerprint of a life */
	uint64_t calls;     /* "; system calls */
	uint64_t clock_ms;  /* " */
	uint64_t happened[FAKE_EVENTS]; /* to the kernel */
	struct zcreq_stats stats; /* of the library, summed up */
	uint64_t quarantined;
	uint64_t detached;       /* requests, and sends of them */
	uint64_t detached_sends;
	const char *format; /* of the failure: the kind of it */
	char text[256];     /* the failure */
};

struct sim_life {
	uint64_t seed;
	const struct sim_tape *play; /* what to live; NULL: by the seed */
	struct sim_tape *heard;      /* written as it goes; may be NULL */
	struct sim_outcome *outcome;
	bool trace;                  /* tell on stdout what happens, as a tape */
};

/** Returns if all went well, else ends the process. */
void sim_live(const struct sim_life *life);

#endif
