/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_api.c - any bytes as a life in the simulator
 *
 * An input is a tape of the simulator: each line a byte for the verb, one for how
 * many choices it has, then these, small numbers in one byte. The simulator's own
 * world, model and checks are the judge. A life that fails is told as text, for
 * "check_sim replay".
 */
#include <string.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "sim/sim_life.h"
#include "sim/sim_world.h"

struct input {
	const uint8_t *bytes;
	size_t left;
};

static struct sim_tape tape;
static struct sim_outcome outcome;

static uint64_t take(struct input *input, unsigned count)
{
	uint64_t number = 0;

	for (; count && input->left; count--, input->left--)
		number = number << 8 | *input->bytes++;
	return number;
}

/* 0 to 247 as they are; from there on so many bytes. */
static uint64_t take_choice(struct input *input)
{
	uint64_t first = take(input, 1);

	if (first < 248)
		return first;
	return take(input, first < 252 ? 2 : first < 255 ? 4 : 8);
}

static uint32_t take_verb(struct input *input)
{
	return sim_verb_pick(take(input, 1) % sim_verbs_weight());
}

static void read_tape(struct input *input)
{
	unsigned choices;

	sim_tape_clear(&tape);
	while (input->left && tape.lines < SIM_TAPE_LINES) {
		sim_tape_add_line(&tape, take_verb(input));
		for (choices = (unsigned)take(input, 1) % 32; choices && input->left; choices--)
			sim_tape_add_draw(&tape, take_choice(input));
	}
}

/* In the place of libc's: a failed life ends its process so, and a fuzzer has to see
 * it, with what the simulator's own parent process would have told. */
__attribute__((noreturn))
void _exit(int status)
{
	uint32_t line;

	fprintf(stderr, "status %d: %s\n", status, outcome.text);
	for (line = 0; line < tape.lines; line++)
		sim_tape_print(&tape, line, stderr);
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct input input = { bytes, len };

	memset(&outcome, 0, sizeof(outcome));
	read_tape(&input);
	sim_live(&(struct sim_life){ .play = &tape, .outcome = &outcome });
	return 0;
}
