/* SPDX-License-Identifier: BSD-2-Clause */
/* count.c - each message of the error queue is taken for one send */
#include <stdio.h>
#include <sys/socket.h>

#include "by-hand.h"

int main(void)
{
	enum { SENDS = 8, LEN = 1000 };
	struct pair pair;
	char *buffer = buffer_of(4096);
	unsigned done = 0, covered = 0;
	uint32_t lo, hi;

	pair_open(&pair, AF_INET);
	for (int i = 0; i < SENDS; i++)
		send_all(pair.fd, buffer, LEN);
	peer_reads(pair.peer, SENDS * LEN);
	while (covered < SENDS && told_within(pair.fd, 2000, &lo, &hi)) {
		done++; /* wrong: it may speak of many */
		covered += hi - lo + 1;
	}
	printf("%u sends are over, and fewer of them are %s\n", covered,
	       done < SENDS ? "counted" : "not counted");
	return !(covered == SENDS && done < SENDS);
}
