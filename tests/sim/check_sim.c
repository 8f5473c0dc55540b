/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * check_sim.c - random lives of connections, each repeatable by its seed
 *
 *	check_sim                         what make check runs
 *	check_sim run [NAME=VALUE...]     REQUESTS= DETACHED= SECONDS= LIVES= FIRST= JOBS=
 *	check_sim seed N                  one life; told and shrunk if it fails
 *	check_sim replay FILE             a life that was told, "-" for stdin
 *
 * ZCREQ_SIM_OUTSIDE=1 leaves out what the library claims of its own structs;
 * ZCREQ_SIM_SEEDS=first:count gives make check other lives, ZCREQ_SIM_SHRINK_MS
 * the time that shrinking may take, ZCREQ_SIM_LIFE_MS that of a life.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/sim_run.h"
#include "sim/sim_shrink.h"
#include "support/suite.h"

#define USUAL_SECONDS 3
#define SHRINK_MS 4000

static unsigned shrink_ms(void)
{
	const char *ms = getenv("ZCREQ_SIM_SHRINK_MS");

	return ms ? (unsigned)strtoul(ms, NULL, 10) : SHRINK_MS;
}

static unsigned processors(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > 16 ? 16 : (unsigned)n;
}

START_TEST(any_life_keeps_the_invariants)
{
	struct sim_plan plan = {
		.seconds = USUAL_SECONDS,
		.jobs = processors(),
		.shrink_ms = shrink_ms(),
	};
	const char *seeds = getenv("ZCREQ_SIM_SEEDS");

	if (seeds) {
		ck_assert_int_eq(sscanf(seeds, "%" SCNu64 ":%" SCNu64, &plan.first_seed,
					&plan.lives), 2);
		plan.seconds = 0;
	}
	ck_assert_msg(sim_run(&plan), "a life failed; it is told above");
}
END_TEST

static void same_life(const struct sim_outcome *a, const struct sim_outcome *b)
{
	ck_assert_uint_eq(a->requests, b->requests);
	ck_assert_uint_eq(a->callbacks, b->callbacks);
	ck_assert_uint_eq(a->calls, b->calls);
	ck_assert_uint_eq(a->clock_ms, b->clock_ms);
}

/* Twice by its seed, then from the tape of the first. */
START_TEST(a_life_can_be_repeated)
{
	static struct sim_tape first, second, third;
	struct sim_outcome seen[3] = { 0 };

	sim_tape_clear(&first);
	sim_tape_clear(&second);
	sim_tape_clear(&third);
	sim_live(&(struct sim_life){ (uint64_t)_i, NULL, &first, &seen[0], false });
	sim_live(&(struct sim_life){ (uint64_t)_i, NULL, &second, &seen[1], false });
	ck_assert(sim_tape_same(&first, &second));
	same_life(&seen[0], &seen[1]);
	sim_live(&(struct sim_life){ (uint64_t)_i, &first, &third, &seen[2], false });
	ck_assert(sim_tape_same(&first, &third));
	same_life(&seen[0], &seen[2]);
}
END_TEST

START_TEST(a_tape_reads_as_it_was_written)
{
	static struct sim_tape tape, read;
	struct sim_outcome outcome = { 0 };
	struct sim_life life = { .seed = 7, .heard = &tape, .outcome = &outcome };
	FILE *file = tmpfile();
	uint32_t line;

	ck_assert_ptr_nonnull(file);
	sim_live(&life);
	for (line = 0; line < tape.lines; line++)
		sim_tape_print(&tape, line, file);
	rewind(file);
	ck_assert(sim_tape_read(&read, file));
	ck_assert(sim_tape_same(&tape, &read));
	fclose(file);
}
END_TEST

/* What is left out of a life is still a life: the base of shrinking. */
START_TEST(any_part_of_a_life_is_a_life)
{
	static struct sim_tape whole, part;
	struct sim_outcome outcome = { 0 };
	struct sim_life life = { .seed = (uint64_t)_i, .heard = &whole, .outcome = &outcome };
	uint32_t line, at;

	sim_tape_clear(&whole);
	sim_tape_clear(&part);
	sim_live(&life);
	for (line = 0; line < whole.lines; line++)
		if (line * 2654435761u >> 30)
			sim_tape_append(&part, &whole, line, line + 1);
	for (at = 0; at < part.draws; at++)
		if (at * 2654435761u >> 29 == 0)
			part.draw[at] /= 2;
	life.play = &part, life.heard = NULL;
	sim_live(&life);
}
END_TEST

/* A simulator in which nothing happens finds nothing. Only to a descriptor that is closed
 * nobody acknowledges anything: a drain has waited for it, and an abort has ended it, if
 * the transport takes any of that. */
START_TEST(every_accident_happens)
{
	struct sim_outcome seen = { 0 };
	struct sim_life life = { .outcome = &seen };
	unsigned event;

	for (life.seed = 0; life.seed < 400; life.seed++)
		sim_live(&life);
	for (event = 0; event < FAKE_EVENTS; event++) {
		printf("# %8" PRIu64 " %s\n", seen.happened[event],
		       fake_event_name((enum fake_event)event));
		if (event == FAKE_ORPHAN)
			continue;
		ck_assert_msg(seen.happened[event] >= 10, "%s: never, or hardly ever",
			      fake_event_name((enum fake_event)event));
	}
	ck_assert_uint_eq(seen.happened[FAKE_ORPHAN], 0);
	ck_assert_uint_gt(seen.quarantined, 0);
	ck_assert_uint_gt(seen.stats.aborted, 0);
	ck_assert_uint_gt(seen.stats.stale_handles, 0);
	ck_assert_uint_gt(seen.stats.bogus_ranges, 0);
	ck_assert_uint_gt(seen.stats.duplicate_ids, 0);
	ck_assert_uint_gt(seen.stats.no_buffers, 0);
	ck_assert_uint_gt(seen.stats.stalled_vanished, 0);
	ck_assert_uint_gt(seen.stats.stalled_not_reading, 0);
	ck_assert_uint_gt(seen.stats.stalled_congested, 0);
	ck_assert_uint_gt(seen.stats.detach_refused, 100);
	ck_assert_uint_gt(seen.detached, 1000);
	ck_assert_uint_eq(seen.stats.proved_detached, seen.detached_sends);
}
END_TEST

static int suite(void)
{
	Suite *suite = suite_create("sim");
	TCase *tcase = tcase_create("lives");

	tcase_set_timeout(tcase, 600);
	tcase_add_test(tcase, any_life_keeps_the_invariants);
	tcase_add_loop_test(tcase, a_life_can_be_repeated, 0, 20);
	tcase_add_test(tcase, a_tape_reads_as_it_was_written);
	tcase_add_loop_test(tcase, any_part_of_a_life_is_a_life, 0, 50);
	tcase_add_test(tcase, every_accident_happens);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}

static int usage(void)
{
	fprintf(stderr, "check_sim [run [REQUESTS=N] [DETACHED=N] [SECONDS=N] [LIVES=N] [FIRST=SEED]\n"
			"               [JOBS=N]\n"
			"          | seed N | replay FILE]\n");
	return 2;
}

/* An empty value is none, so that a makefile can hand on what it was not given. */
static bool set(struct sim_plan *plan, const char *word)
{
	const char *equals = strchr(word, '=');
	size_t len = equals ? (size_t)(equals - word) : 0;
	uint64_t value;
	char *end;

	if (!equals)
		return false;
	value = strtoull(equals + 1, &end, 0);
	if (*end)
		return false;
	if (!equals[1])
		return true;
	if (!strncmp(word, "REQUESTS", len))
		plan->requests = value;
	else if (!strncmp(word, "DETACHED", len))
		plan->detached = value;
	else if (!strncmp(word, "SECONDS", len))
		plan->seconds = (unsigned)value;
	else if (!strncmp(word, "LIVES", len))
		plan->lives = value;
	else if (!strncmp(word, "FIRST", len))
		plan->first_seed = value;
	else if (!strncmp(word, "JOBS", len) && value && value <= 64)
		plan->jobs = (unsigned)value;
	else
		return false;
	return true;
}

static int run(char **words)
{
	struct sim_plan plan = { .jobs = processors(), .shrink_ms = shrink_ms() };

	for (; *words; words++)
		if (!set(&plan, *words))
			return usage();
	if (!plan.requests && !plan.detached && !plan.seconds && !plan.lives)
		plan.seconds = USUAL_SECONDS;
	return sim_run(&plan) ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int replay(const char *name)
{
	static struct sim_tape tape;
	FILE *file = strcmp(name, "-") ? fopen(name, "r") : stdin;
	struct sim_end end;

	if (!file) {
		perror(name);
		return 2;
	}
	if (!sim_tape_read(&tape, file))
		return 2;
	end = sim_replay(0, &tape, true);
	printf("# ");
	if (end.status)
		sim_end_print(&end, stdout);
	else
		printf("no violation");
	putchar('\n');
	return end.status ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	if (argc == 1)
		return suite();
	if (!strcmp(argv[1], "run"))
		return run(argv + 2);
	if (argc == 3 && !strcmp(argv[1], "seed"))
		return sim_run_seed(strtoull(argv[2], NULL, 0), shrink_ms()) ? EXIT_SUCCESS :
									       EXIT_FAILURE;
	if (argc == 3 && !strcmp(argv[1], "replay"))
		return replay(argv[2]);
	return usage();
}
