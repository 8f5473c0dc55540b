/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * axis.c - time to place
 *
 * A host vanishes in a millisecond, and then nothing happens for half a second. So
 * time is drawn in runs in which things happen, each to a scale of its own, and
 * what is empty between them is a break of one width. The width of a run grows with
 * the square root of its length: the short ones are what the reader came for.
 */
#include <math.h>
#include <stdlib.h>

#include "timeline.h"

#define BREAK_WIDTH 58.0
#define RUN_LEAST 24.0

static int by_time(const void *a, const void *b)
{
	uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;

	return first < second ? -1 : first > second;
}

/* The shortest silence that is worth a break: there is room for AXIS_RUNS runs. */
static uint64_t shortest_break(const uint64_t *times, size_t count)
{
	uint64_t span = count ? times[count - 1] - times[0] : 0;

	for (uint64_t gap = span / 12 + 1;; gap *= 2) {
		size_t runs = 1;

		for (size_t i = 1; i < count; i++)
			runs += times[i] - times[i - 1] > gap;
		if (runs <= AXIS_RUNS)
			return gap;
	}
}

static void find_runs(struct axis *axis, const uint64_t *times, size_t count)
{
	uint64_t gap = shortest_break(times, count);

	axis->count = 1;
	axis->runs[0].from_ns = axis->runs[0].to_ns = count ? times[0] : 0;
	for (size_t i = 1; i < count; i++) {
		if (times[i] - times[i - 1] > gap)
			axis->runs[axis->count++].from_ns = times[i];
		axis->runs[axis->count - 1].to_ns = times[i];
	}
}

void axis_make(struct axis *axis, uint64_t *times, size_t count, double left, double right)
{
	double weights = 0, x = left, width;

	qsort(times, count, sizeof(*times), by_time);
	find_runs(axis, times, count);
	for (unsigned i = 0; i < axis->count; i++)
		weights += sqrt((double)(axis->runs[i].to_ns - axis->runs[i].from_ns));
	width = right - left - (axis->count - 1) * BREAK_WIDTH - axis->count * RUN_LEAST;
	for (unsigned i = 0; i < axis->count; i++) {
		struct run *run = &axis->runs[i];
		double weight = sqrt((double)(run->to_ns - run->from_ns));

		run->from_x = x;
		x += RUN_LEAST + (weights > 0 ? width * weight / weights : width / axis->count);
		run->to_x = x;
		x += BREAK_WIDTH;
	}
}

double axis_place(const struct axis *axis, uint64_t time_ns)
{
	const struct run *run = axis->runs, *last = &axis->runs[axis->count - 1];

	while (run < last && time_ns >= run[1].from_ns)
		run++;
	if (time_ns <= run->from_ns)
		return run->from_x;
	if (time_ns <= run->to_ns)
		return run->from_x + (run->to_x - run->from_x) *
					     (double)(time_ns - run->from_ns) /
					     (double)(run->to_ns - run->from_ns);
	if (run == last)
		return run->to_x;
	return run->to_x + (run[1].from_x - run->to_x) * (double)(time_ns - run->to_ns) /
				   (double)(run[1].from_ns - run->to_ns);
}
