/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_tape.c - see sim_tape.h
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim_tape.h"
#include "sim/sim_world.h"

static void full(void)
{
	fprintf(stderr, "a life of more than %d lines or %u choices\n", SIM_TAPE_LINES,
		SIM_TAPE_DRAWS);
	abort();
}

void sim_tape_add_line(struct sim_tape *tape, uint32_t verb)
{
	if (tape->lines == SIM_TAPE_LINES)
		full();
	tape->line[tape->lines].verb = verb;
	tape->line[tape->lines++].first = tape->draws;
}

void sim_tape_add_draw(struct sim_tape *tape, uint64_t value)
{
	if (tape->draws == SIM_TAPE_DRAWS)
		full();
	tape->draw[tape->draws++] = value;
}

void sim_tape_append(struct sim_tape *tape, const struct sim_tape *of, uint32_t from, uint32_t to)
{
	uint32_t line, at, end;

	for (line = from; line < to; line++) {
		sim_tape_add_line(tape, of->line[line].verb);
		end = sim_tape_end(of, line);
		while (end > of->line[line].first && !of->draw[end - 1])
			end--;
		for (at = of->line[line].first; at < end; at++)
			sim_tape_add_draw(tape, of->draw[at]);
	}
}

bool sim_tape_same(const struct sim_tape *a, const struct sim_tape *b)
{
	return a->lines == b->lines && a->draws == b->draws &&
	       !memcmp(a->line, b->line, a->lines * sizeof(a->line[0])) &&
	       !memcmp(a->draw, b->draw, a->draws * sizeof(a->draw[0]));
}

void sim_tape_print(const struct sim_tape *tape, uint32_t line, FILE *to)
{
	uint32_t at, end = sim_tape_end(tape, line);

	fputs(sim_verbs[tape->line[line].verb].name, to);
	for (at = tape->line[line].first; at < end; at++)
		fprintf(to, tape->draw[at] < 100000 ? " %" PRIu64 : " 0x%" PRIx64, tape->draw[at]);
	fputc('\n', to);
}

static bool read_line(struct sim_tape *tape, char *text)
{
	char *word, *rest, *end;
	unsigned verb;

	text[strcspn(text, "#\n")] = '\0';
	word = strtok_r(text, " \t", &rest);
	if (!word)
		return true;
	for (verb = 0; sim_verbs[verb].name; verb++)
		if (!strcmp(word, sim_verbs[verb].name))
			break;
	if (!sim_verbs[verb].name) {
		fprintf(stderr, "no such verb: %s\n", word);
		return false;
	}
	sim_tape_add_line(tape, verb);
	while ((word = strtok_r(NULL, " \t", &rest))) {
		sim_tape_add_draw(tape, strtoull(word, &end, 0));
		if (*end) {
			fprintf(stderr, "no number: %s\n", word);
			return false;
		}
	}
	return true;
}

bool sim_tape_read(struct sim_tape *tape, FILE *from)
{
	char *text = NULL;
	size_t room = 0;
	bool good = true;

	sim_tape_clear(tape);
	while (good && getline(&text, &room, from) >= 0)
		good = read_line(tape, text);
	free(text);
	return good;
}
