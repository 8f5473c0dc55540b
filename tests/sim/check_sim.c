/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * check_sim.c - random lives of connections, each repeatable by its seed
 *
 * ZCREQ_SIM_SEEDS=first:count runs others than the usual ones, ZCREQ_SIM_TRACE=1
 * tells each step. A failure prints the seed and the step.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim_world.h"

#define USUAL_SEEDS 400

static void run(uint64_t seed)
{
	struct sim_world world;
	unsigned steps;

	sim_world_init(&world, seed);
	steps = 50 + (unsigned)sim_random_below(&world.random, 900);
	for (world.step = 0; world.step < steps; world.step++) {
		world.nested = 25;
		sim_action(&world);
		if (sim_random_chance(&world.random, 1, 2))
			sim_settle(&world);
		else if (sim_random_chance(&world.random, 1, 4))
			sim_check(&world);
	}
	sim_finale(&world);
	sim_world_deinit(&world);
}

START_TEST(any_life_keeps_the_invariants)
{
	run((uint64_t)_i);
}
END_TEST

int main(void)
{
	const char *seeds = getenv("ZCREQ_SIM_SEEDS");
	Suite *suite = suite_create("sim");
	TCase *tcase = tcase_create("seeds");
	int first = 0, count = USUAL_SEEDS, failed;
	SRunner *runner;

	if (seeds && sscanf(seeds, "%d:%d", &first, &count) != 2) {
		fprintf(stderr, "ZCREQ_SIM_SEEDS=first:count\n");
		return EXIT_FAILURE;
	}
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, any_life_keeps_the_invariants, first, first + count);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
