/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * median.h - of the rounds of a benchmark
 */
#ifndef MEDIAN_H
#define MEDIAN_H

#include <stdlib.h>
#include <string.h>

#define ROUNDS_MOST 99

static inline int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static inline double median(const double *values, int n)
{
	double sorted[ROUNDS_MOST];

	memcpy(sorted, values, (size_t)n * sizeof(*values));
	qsort(sorted, (size_t)n, sizeof(*sorted), by_value);
	return sorted[n / 2];
}

/* The median of the ratios of neighbours in time: noise hits both alike. */
static inline double median_ratio(const double *a, const double *b, int n)
{
	double ratios[ROUNDS_MOST];

	for (int i = 0; i < n; i++)
		ratios[i] = a[i] / b[i];
	return median(ratios, n);
}

#endif
