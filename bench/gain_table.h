/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gain_table.h - from rounds to lines: medians, crossovers, and what falls short
 */
#ifndef BENCH_GAIN_TABLE_H
#define BENCH_GAIN_TABLE_H

#include "gain.h"
#include "median.h"

#define GAIN_WAYS_MOST 20

struct gain_case {
	enum gain_path path;
	bool huge;
	size_t bytes;
};

struct gain_result {
	const char *name;
	double cpu[ROUNDS_MOST];  /* ns of processor for a KiB */
	double mbps[ROUNDS_MOST];
};

struct gain_cell {
	struct gain_case c;
	struct gain_result results[GAIN_WAYS_MOST]; /* the first is what all are compared with */
	unsigned ways;
	int rounds;
};

/* The cell of a case: that of before, or a new one. */
struct gain_cell *gain_table_cell(const struct gain_case *c);

/* Each way in each case, the crossovers, auto against the better of both, and a line for
 * each case in which it falls short. */
void gain_table_print(void);

#endif
