/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stripes.c - the locks behind stripes.h, each on a cache line of its own
 */
#include "stripes.h"

#include <pthread.h>
#include <stdlib.h>

#define STRIPES 64 /* bits of the mask */

struct stripe {
	_Alignas(64) pthread_rwlock_t lock;
};

struct stripes {
	struct stripe stripe[STRIPES];
};

struct stripes *stripes_new(void)
{
	struct stripes *stripes = aligned_alloc(_Alignof(struct stripes), sizeof(*stripes));

	for (unsigned i = 0; stripes && i < STRIPES; i++)
		pthread_rwlock_init(&stripes->stripe[i].lock, NULL);
	return stripes;
}

void stripes_free(struct stripes *stripes)
{
	for (unsigned i = 0; stripes && i < STRIPES; i++)
		pthread_rwlock_destroy(&stripes->stripe[i].lock);
	free(stripes);
}

static uint64_t stripes_of(uint64_t first, uint64_t count)
{
	uint64_t piece = first / STRIPE_BLOCKS, last, mask = 0;

	if (!count)
		return 0;
	last = (first + count - 1) / STRIPE_BLOCKS;
	if (last - piece >= STRIPES)
		return UINT64_MAX;
	for (; piece <= last; piece++)
		mask |= (uint64_t)1 << piece % STRIPES;
	return mask;
}

uint64_t stripes_lock(struct stripes *stripes, uint64_t first, uint64_t count,
		      enum stripes_mode mode)
{
	uint64_t mask = stripes ? stripes_of(first, count) : 0, left;
	pthread_rwlock_t *lock;

	for (left = mask; left; left &= left - 1) {
		lock = &stripes->stripe[__builtin_ctzll(left)].lock;
		if (mode == STRIPES_WRITE)
			pthread_rwlock_wrlock(lock);
		else
			pthread_rwlock_rdlock(lock);
	}
	return mask;
}

void stripes_unlock(struct stripes *stripes, uint64_t held)
{
	for (; held; held &= held - 1)
		pthread_rwlock_unlock(&stripes->stripe[__builtin_ctzll(held)].lock);
}
