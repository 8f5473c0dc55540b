/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seed.h - numbers that are as good as random for telling handles apart
 */
#ifndef ZCREQ_LIB_SEED_H
#define ZCREQ_LIB_SEED_H

#include <stdint.h>

/* Spreads the bits of a seed (the finisher of splitmix64). */
static inline uint64_t zcreq_mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

/* A seed for @owner, which is alive. Reads the clock. */
uint64_t zcreq_seed(const void *owner);

#endif
