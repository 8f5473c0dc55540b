/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * maps.h - what the kernel says of the mappings of this process: /proc/self/smaps
 *
 * Nothing but this file tells everything that matters of memory that somebody else has
 * mapped. It is long, and the kernel goes through all pages for it, so it is asked where an
 * accident has happened and nowhere else. It is read in pieces, without memory of its own.
 */
#ifndef ZCREQ_LIB_MAPS_H
#define ZCREQ_LIB_MAPS_H

#include <stdint.h>

#include <zcreq/memory.h>

/* Advice that new pages are to be given as well. */
enum zcreq_advice {
	ZCREQ_ADVICE_HUGE = 1,
	ZCREQ_ADVICE_NOT_HUGE = 2,
	ZCREQ_ADVICE_NO_DUMP = 4,
};

struct zcreq_mapping {
	uintptr_t start, end;
	int access;         /* PROT_ bits */
	unsigned advice;    /* enum zcreq_advice */
	enum zcreq_memory kind;
};

/*
 * Calls @each for one mapping after the other, by address, until it returns something else
 * than 0, which is returned; or 0 at the end, or an error of open(2) or read(2).
 */
int zcreq_maps_walk(int (*each)(const struct zcreq_mapping *mapping, void *arg), void *arg);

#endif
