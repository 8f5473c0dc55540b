/* SPDX-License-Identifier: BSD-2-Clause */
/* reuse.c - the buffer is used again when send() has returned */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "by-hand.h"

int main(void)
{
	enum { LEN = 256 << 10 };
	struct pair pair;
	char *buffer = buffer_of(LEN);
	size_t taken, next;

	pair_open(&pair, AF_INET);
	taken = send_all(pair.fd, buffer, LEN);
	memset(buffer, NEXT, LEN); /* wrong: it was taken, and not copied */
	next = peer_reads(pair.peer, taken);
	printf("of the next content the peer got %s\n", next ? "some" : "nothing");
	return !next;
}
