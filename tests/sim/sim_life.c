/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_life.c - one life: choose a verb, do it, check; and at the end the finale
 *
 * The first choice of each line is whether to settle after it, because a program
 * does not turn after each call either.
 */
#include <stdlib.h>

#include "sim/sim_life.h"
#include "sim/sim_world.h"

/* Actions inside callbacks, for each line. */
#define NESTED 25

static uint32_t finale(void)
{
	uint32_t verb = 0;

	while (sim_verbs[verb].act != sim_finale)
		verb++;
	return verb;
}

static void begin_line(struct sim_world *world, uint32_t verb)
{
	struct sim_choices *choices = &world->choices;

	choices->at = choices->end = 0;
	if (choices->play && world->step < choices->play->lines) {
		choices->at = choices->play->line[world->step].first;
		choices->end = sim_tape_end(choices->play, world->step);
	}
	if (choices->heard)
		sim_tape_add_line(choices->heard, verb);
	if (world->trace && choices->play && world->step < choices->play->lines)
		sim_tape_print(choices->play, world->step, stdout);
}

static void live_line(struct sim_world *world, uint32_t verb)
{
	bool settles;

	begin_line(world, verb);
	settles = sim_chance(world, 1, 2);
	world->nested = NESTED;
	sim_verbs[verb].act(world);
	if (settles)
		sim_settle(world);
	else
		sim_check(world);
	world->step++;
}

static void live_by_seed(struct sim_world *world)
{
	struct sim_random *random = &world->choices.random;
	unsigned weight = sim_verbs_weight();
	unsigned steps = 20 + (unsigned)sim_random_below(random, 980);

	while (world->step < steps)
		live_line(world, sim_verb_pick(sim_random_below(random, weight)));
}

static void live_by_tape(struct sim_world *world, const struct sim_tape *tape)
{
	while (world->step < tape->lines && sim_verbs[tape->line[world->step].verb].weight)
		live_line(world, tape->line[world->step].verb);
}

static void sum_up(const struct sim_world *world, struct sim_outcome *outcome)
{
	uint64_t calls, work;
	unsigned event;

	for (event = 0; event < FAKE_EVENTS; event++)
		outcome->happened[event] +=
			fake_kernel_happened(world->kernel, (enum fake_event)event);
	fake_kernel_effort(world->kernel, &calls, &work);
	outcome->lives++;
	outcome->requests += world->request_count;
	outcome->callbacks += world->callbacks;
	outcome->calls += calls;
	outcome->clock_ms += fake_kernel_now_ms(world->kernel);
}

void sim_live(const struct sim_life *life)
{
	struct sim_world world = {
		.outcome = life->outcome,
		.trace = life->trace,
		.choices = {
			.random = { life->seed },
			.play = life->play,
			.heard = life->heard,
		},
	};

	life->outcome->seed = life->seed;
	sim_world_init(&world, life->seed);
	if (life->play)
		live_by_tape(&world, life->play);
	else
		live_by_seed(&world);
	begin_line(&world, finale());
	sim_finale(&world);
	sum_up(&world, life->outcome);
	sim_world_deinit(&world);
}
