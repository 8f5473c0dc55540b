/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_tape.h - the choices of one life, to be told, read again and cut down
 *
 * A life is a list of lines, each a verb and the numbers that were chosen while it
 * was carried out, in callbacks too. Played back, a line takes its numbers in the
 * same order; where they run out, 0 is chosen, and 0 is always the plainest choice:
 * the newest object, the smallest size, no accident. So a line can be left out or
 * lose numbers and what remains is still a life, which is all that shrinking needs.
 *
 * As text: one line each, numbers in C notation, "#" begins a comment.
 */
#ifndef ZCREQ_SIM_TAPE_H
#define ZCREQ_SIM_TAPE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define SIM_TAPE_LINES 2048
#define SIM_TAPE_DRAWS (1u << 17)

struct sim_tape {
	uint32_t lines;
	uint32_t draws;
	struct {
		uint32_t verb;
		uint32_t first; /* draw; the line ends where the next begins */
	} line[SIM_TAPE_LINES];
	uint64_t draw[SIM_TAPE_DRAWS];
};

static inline void sim_tape_clear(struct sim_tape *tape)
{
	tape->lines = tape->draws = 0;
}

static inline uint32_t sim_tape_end(const struct sim_tape *tape, uint32_t line)
{
	return line + 1 < tape->lines ? tape->line[line + 1].first : tape->draws;
}

/** Both end the program when the tape is full: no life is that long. */
void sim_tape_add_line(struct sim_tape *tape, uint32_t verb);
void sim_tape_add_draw(struct sim_tape *tape, uint64_t value);

/** Lines @from to @to without the end; zeros at the end of a line are left out. */
void sim_tape_append(struct sim_tape *tape, const struct sim_tape *of, uint32_t from, uint32_t to);

bool sim_tape_same(const struct sim_tape *a, const struct sim_tape *b);

/** One line as text, without comment. */
void sim_tape_print(const struct sim_tape *tape, uint32_t line, FILE *to);

/** False, after saying why on stderr, if it is no tape. */
bool sim_tape_read(struct sim_tape *tape, FILE *from);

#endif
