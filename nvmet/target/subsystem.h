/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * subsystem.h - what the threads have in common
 *
 * Owns: the list of controllers, the threads, and how far the end has come. A Read or
 * a Write touches none of it.
 *
 * Never: a message between threads. What has to happen is written down where it
 * belongs (a controller is ending, the program is), and threads are woken to look; each
 * acts on its own connections. So nothing needs memory at a bad time, gets lost, or
 * is late for somebody who has gone.
 */
#ifndef NVMET_SUBSYSTEM_H
#define NVMET_SUBSYSTEM_H

#include <pthread.h>

#include "target.h"

#define THREADS_MAX 64

/* In this order, and never back. */
enum ending { ENDING_NOT, ENDING_DRAIN, ENDING_ABORT, ENDING_GIVE_UP };

struct totals {
	struct zcreq_stats stats;
	unsigned controllers, queues, connections;
	uint64_t blocks_used;
};

struct subsystem {
	/* constant once the threads run */
	struct target *threads[THREADS_MAX]; /* the first one accepts and hears signals */
	unsigned thread_count;
	struct sockaddr_storage addresses[LISTENERS_MAX];
	unsigned address_count;
	void *pages;       /* of statistics, one for each thread; NULL: none */
	size_t page_bytes; /* of each */

	pthread_mutex_t lock; /* of these, and of what ctrl.h says */
	TAILQ_HEAD(, ctrl) ctrls;
	uint16_t last_cntlid;
	struct totals totals;
	unsigned totals_round, totals_left; /* threads that have not added theirs */

	/* atomic */
	unsigned conn_count; /* of all threads */
	unsigned finished;   /* threads */
	unsigned degraded;   /* media errors, that hosts may have asked to hear of */
	enum ending ending;
};

/* 0, or -errno. */
int subsystem_init(struct subsystem *subsystem, const struct options *options);
/* Serves until it was told to stop and everything has ended. 0, or -errno. */
int subsystem_run(struct subsystem *subsystem);
void subsystem_deinit(struct subsystem *subsystem);

/* Every other thread is to look at what has changed. */
void subsystem_wake_others(const struct target *target);
/* A thread's turn comes round: the descriptor is its own then. */
void subsystem_hand_over(struct subsystem *subsystem, int fd,
			 const struct sockaddr_storage *peer);
void subsystem_end(struct target *target, enum ending ending);
uint64_t subsystem_blocks_used(const struct subsystem *subsystem);
void subsystem_health(const struct subsystem *subsystem, struct health *sum);
/* Prints one line, when all threads have added what is theirs. */
void subsystem_tell_stats(struct target *target);

/* This thread looks at what has changed. */
void target_look(struct target *target);

#endif
