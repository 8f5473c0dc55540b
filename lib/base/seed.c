/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seed.c - a number that no other context of this process has
 *
 * Two contexts differ in their address, two at one address in the time. Not a secret:
 * it keeps handles apart that a mistake mixes up, not those that somebody forges.
 */
#include "base/seed.h"

#include <time.h>

uint64_t zcreq_seed(const void *owner)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return zcreq_mix((uintptr_t)owner) ^
	       zcreq_mix((uint64_t)now.tv_sec << 32 ^ (uint64_t)now.tv_nsec);
}
