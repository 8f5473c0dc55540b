/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_run.c - see sim_run.h
 *
 * Each job is a process that lives one seed after the other; all of one job have
 * the same remainder, so that what a seed is does not depend on how many there are.
 * A life has no process of its own: that would take longer than the life.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sim/sim_run.h"
#include "sim/sim_shrink.h"

#define JOBS_MOST 64

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool enough(const struct sim_plan *plan, const struct sim_outcome *outcome, double start_s)
{
	return (plan->lives && outcome->lives * plan->jobs >= plan->lives) ||
	       (plan->requests && outcome->requests * plan->jobs >= plan->requests) ||
	       (plan->detached && outcome->detached * plan->jobs >= plan->detached) ||
	       (plan->seconds && now_s() - start_s >= plan->seconds);
}

static void work(const struct sim_plan *plan, unsigned job, struct sim_outcome *outcome)
{
	struct sim_life life = { .seed = plan->first_seed + job, .outcome = outcome };
	double start_s = now_s();

	for (; !enough(plan, outcome, start_s); life.seed += plan->jobs) {
		if (plan->lives && life.seed - plan->first_seed >= plan->lives)
			break;
		sim_limit_ms(sim_life_ms());
		sim_live(&life);
	}
	sim_limit_ms(0);
	exit(0);
}

/* Waits for all; when one fails, ends the others. Returns its number, or -1. */
static int wait_for_all(const struct sim_plan *plan, pid_t *pids)
{
	unsigned left = plan->jobs, job;
	int failed = -1, status;
	pid_t pid;

	while (left && (pid = wait(&status)) > 0) {
		for (job = 0; job < plan->jobs && pids[job] != pid; job++)
			continue;
		if (job == plan->jobs)
			continue;
		pids[job] = 0;
		left--;
		if (!status || failed >= 0)
			continue;
		failed = (int)job;
		for (job = 0; job < plan->jobs; job++)
			if (pids[job])
				kill(pids[job], SIGKILL);
	}
	return failed;
}

bool sim_run_seed(uint64_t seed, unsigned shrink_ms)
{
	struct sim_tape *tape = sim_share(sizeof(*tape));
	struct sim_end end = sim_record(seed, tape);
	uint32_t lines = tape->lines;

	if (!end.status)
		return true;
	printf("# seed %" PRIu64 " fails: ", seed);
	sim_end_print(&end, stdout);
	putchar('\n');
	if (shrink_ms) {
		sim_shrink(seed, tape, &end, shrink_ms);
		printf("# shrunk from %" PRIu32 " lines to %" PRIu32 "\n", lines, tape->lines);
	}
	printf("# to repeat: check_sim replay FILE, with what follows in FILE\n");
	sim_replay(seed, tape, true);
	fflush(stdout);
	return false;
}

bool sim_run(const struct sim_plan *plan)
{
	struct sim_outcome *outcomes = sim_share(JOBS_MOST * sizeof(*outcomes)), all = { 0 };
	double start_s = now_s(), took_s;
	pid_t pids[JOBS_MOST];
	unsigned job;
	int failed;

	if (!plan->jobs || plan->jobs > JOBS_MOST)
		abort();
	fflush(NULL);
	for (job = 0; job < plan->jobs; job++) {
		pids[job] = fork();
		if (pids[job] < 0)
			abort();
		if (!pids[job])
			work(plan, job, &outcomes[job]);
	}
	failed = wait_for_all(plan, pids);
	took_s = now_s() - start_s;
	for (job = 0; job < plan->jobs; job++) {
		all.lives += outcomes[job].lives;
		all.requests += outcomes[job].requests;
		all.calls += outcomes[job].calls;
		all.callbacks += outcomes[job].callbacks;
		all.detached += outcomes[job].detached;
	}
	printf("# sim: %" PRIu64 " requests in %" PRIu64 " lives, %" PRIu64 " detached, %" PRIu64
	       " callbacks, %" PRIu64 " system calls, %.1f s, %.0f requests/s on %u processes: %s\n",
	       all.requests, all.lives, all.detached, all.callbacks, all.calls, took_s,
	       (double)all.requests / took_s, plan->jobs, failed < 0 ? "no violation" : "FAILED");
	if (failed < 0)
		return true;
	if (sim_run_seed(outcomes[failed].seed, plan->shrink_ms))
		printf("# seed %" PRIu64 " fails only after those before it, a defect of the simulator: %s\n",
		       outcomes[failed].seed, outcomes[failed].text);
	return false;
}
