/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * histogram.h - how long things took: 32 buckets for each doubling of nanoseconds
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BUCKETS 1200

struct histogram {
	uint64_t count, slowest_ns;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

static inline void histogram_add(struct histogram *histogram, uint64_t ns)
{
	unsigned high = ns < 32 ? 5 : 63 - (unsigned)__builtin_clzll(ns);
	unsigned index = (high - 5) * 32 + (unsigned)(ns >> (high - 5) & 31);

	histogram->buckets[index < HISTOGRAM_BUCKETS ? index : HISTOGRAM_BUCKETS - 1]++;
	histogram->count++;
	if (ns > histogram->slowest_ns)
		histogram->slowest_ns = ns;
}

/* Microseconds below which the share @part of all was. */
static inline double histogram_percentile(const struct histogram *histogram, double part)
{
	uint64_t want = (uint64_t)((double)histogram->count * part), sum = 0;
	unsigned i = 0;

	while (i < HISTOGRAM_BUCKETS - 1 && (sum += histogram->buckets[i]) <= want)
		i++;
	return (double)((32ull + i % 32) << i / 32) / 1000;
}

#endif
