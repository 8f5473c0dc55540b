/* SPDX-License-Identifier: BSD-2-Clause */
/* last.c - a request is over with its last part, which was copied */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "by-hand.h"

int main(void)
{
	enum { DATA = 64 << 10, TRAILER = 16 };
	struct pair pair;
	char *buffer = buffer_of(DATA);
	char trailer[TRAILER] = {0};
	size_t taken, next;

	pair_open(&pair, AF_INET);
	taken = send_all(pair.fd, buffer, DATA);
	if (send(pair.fd, trailer, TRAILER, MSG_DONTWAIT) == TRAILER) /* copied: it is small */
		memset(buffer, NEXT, DATA); /* wrong: the last part is over, the first is not */
	next = peer_reads(pair.peer, taken);
	printf("the copied part was over at once; of the others the peer got %s\n",
	       next ? "the next content" : "its own");
	return !next;
}
