/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gain_table.c - what bench/gain has measured, as lines of key=value words
 */
#include "gain_table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CELLS_MOST 128
#define REACHED 0.98

static struct gain_cell *cells[CELLS_MOST]; /* in order of path, pages and size */
static unsigned cell_count;

struct gain_cell *gain_table_cell(const struct gain_case *c)
{
	for (unsigned i = 0; i < cell_count; i++)
		if (cells[i]->c.path == c->path && cells[i]->c.huge == c->huge &&
		    cells[i]->c.bytes == c->bytes)
			return cells[i];
	cells[cell_count] = calloc(1, sizeof(**cells));
	if (!cells[cell_count] || cell_count + 1 == CELLS_MOST)
		die("gain: memory");
	cells[cell_count]->c = *c;
	return cells[cell_count++];
}

static void print_case(const char *before, const struct gain_case *c)
{
	printf("bench=gain %spath=%s pages=%s", before, gain_path_names[c->path],
	       c->huge ? "huge" : "4k");
}

/* Processor time against that of the first way. */
static double cost(const struct gain_cell *cell, unsigned way)
{
	return median_ratio(cell->results[way].cpu, cell->results[0].cpu, cell->rounds);
}

static void print_ways(const struct gain_cell *cell)
{
	for (unsigned i = 0; i < cell->ways; i++) {
		const struct gain_result *r = &cell->results[i];

		print_case("", &cell->c);
		printf(" bytes=%zu way=%s cpu_ns_per_kib=%.1f cpu=%.3f throughput=%.3f\n",
		       cell->c.bytes, r->name, median(r->cpu, cell->rounds), cost(cell, i),
		       median_ratio(r->mbps, cell->results[0].mbps, cell->rounds));
	}
}

/* From where on way @way costs less than send(2), at every size measured: between the two
 * sizes where it changes sides, as a straight line on a logarithmic axis. */
static void print_crossover(unsigned first, unsigned end, unsigned way)
{
	unsigned from = end, best = first;
	double bytes = 0, before, here;

	while (from > first && cost(cells[from - 1], way) < 1)
		from--;
	for (unsigned i = first; i < end; i++)
		if (cost(cells[i], way) < cost(cells[best], way))
			best = i;
	print_case("", &cells[first]->c);
	printf(" crossover=%s from_kib=", cells[first]->results[way].name);
	if (from < end) {
		bytes = (double)cells[from]->c.bytes;
		if (from > first) {
			before = cost(cells[from - 1], way);
			here = cost(cells[from], way);
			bytes /= pow(bytes / (double)cells[from - 1]->c.bytes,
				     (1 - here) / (before - here));
		}
		printf("%.2f", bytes / 1024);
	} else {
		printf("none");
	}
	printf(" best_cpu=%.3f at_bytes=%zu\n", cost(cells[best], way), cells[best]->c.bytes);
}

static const struct gain_result *find(const struct gain_cell *cell, const char *name)
{
	for (unsigned i = 0; i < cell->ways; i++)
		if (!strcmp(cell->results[i].name, name))
			return &cell->results[i];
	return NULL;
}

/* @again: the same calls as @copies, on another connection. */
static const struct {
	const char *copies, *refers, *chooses, *again;
} modes[] = {
	{"never", "always", "auto", "never-again"},
	{"never+batch", "always+batch", "auto+batch", "never-again+batch"},
	{"uring-never", "uring", "uring-auto", "uring-never-again"},
};

struct judged {
	const struct gain_result *better, *chooses;
	double reached, control, copy_by_reference, throughput;
};

/* What it reaches of the better of both, by processor time, and what the same calls reach of
 * each other: 1, but for the noise. False: not all of them were measured. */
static bool judge(const struct gain_cell *cell, unsigned mode, struct judged *j)
{
	const struct gain_result *copies = find(cell, modes[mode].copies),
				 *refers = find(cell, modes[mode].refers),
				 *again = find(cell, modes[mode].again);

	j->chooses = find(cell, modes[mode].chooses);
	if (!copies || !refers || !j->chooses || !again)
		return false;
	j->copy_by_reference = median_ratio(copies->cpu, refers->cpu, cell->rounds);
	j->better = j->copy_by_reference < 1 ? copies : refers;
	j->reached = median_ratio(j->better->cpu, j->chooses->cpu, cell->rounds);
	j->throughput = median_ratio(j->chooses->mbps, j->better->mbps, cell->rounds);
	j->control = median_ratio(copies->cpu, again->cpu, cell->rounds);
	return true;
}

static void print_auto(const struct gain_cell *cell, const struct judged *j)
{
	print_case("", &cell->c);
	printf(" bytes=%zu auto=%s better=%s reached=%.3f control=%.3f throughput=%.3f "
	       "copy/zerocopy=%.3f\n",
	       cell->c.bytes, j->chooses->name, j->better->name, j->reached, j->control,
	       j->throughput, j->copy_by_reference);
}

/* Each cell of a mode, those that fall short again, and how many do. */
static void print_mode(unsigned mode)
{
	unsigned count = 0, missed = 0, noise = 0;
	struct judged j;

	for (unsigned i = 0; i < cell_count; i++)
		if (judge(cells[i], mode, &j)) {
			print_auto(cells[i], &j);
			count++;
			missed += j.reached < REACHED;
			noise += j.control < REACHED;
		}
	for (unsigned i = 0; i < cell_count; i++)
		if (judge(cells[i], mode, &j) && j.reached < REACHED)
			printf("short: %s %s %zu: %s reaches %.3f of %s\n",
			       gain_path_names[cells[i]->c.path], cells[i]->c.huge ? "huge" : "4k",
			       cells[i]->c.bytes, j.chooses->name, j.reached, j.better->name);
	if (count)
		printf("bench=gain auto=%s cells=%u short=%u short_of_itself=%u\n",
		       modes[mode].chooses, count, missed, noise);
}

static bool same_curve(unsigned a, unsigned b)
{
	return cells[a]->c.path == cells[b]->c.path && cells[a]->c.huge == cells[b]->c.huge;
}

void gain_table_print(void)
{
	unsigned next;

	for (unsigned i = 0; i < cell_count; i++)
		print_ways(cells[i]);
	for (unsigned first = 0; first < cell_count; first = next) {
		for (next = first; next < cell_count && same_curve(first, next);)
			next++;
		for (unsigned way = 1; way < cells[first]->ways; way++)
			print_crossover(first, next, way);
	}
	for (unsigned mode = 0; mode < sizeof(modes) / sizeof(*modes); mode++)
		print_mode(mode);
}
