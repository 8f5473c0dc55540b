/* SPDX-License-Identifier: BSD-2-Clause */
/* wrap.c - a loop over the ids of a range, at the end of 32 bits */
#include <stdio.h>

#include "by-hand.h"

enum { ENOUGH = 1000 }; /* of a loop that would never end */

/* What has been told when so many sends were made before. */
static unsigned over(uint32_t lo, uint32_t hi)
{
	unsigned turns = 0;

	for (uint32_t id = lo; id <= hi; id++) /* wrong: hi may be less, or the last there is */
		if (++turns == ENOUGH)
			break;
	return turns;
}

int main(void)
{
	unsigned last = over(UINT32_MAX - 2, UINT32_MAX), around = over(UINT32_MAX, 1);

	printf("3 ids up to the last: %s; 3 ids around it: %u were seen\n",
	       last == ENOUGH ? "no end" : "an end", around);
	return !(last == ENOUGH && around == 0);
}
