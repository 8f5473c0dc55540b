/* SPDX-License-Identifier: BSD-2-Clause */
/* closed.c - the socket is closed, so its buffers are free */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "by-hand.h"

int main(void)
{
	enum { LEN = 256 << 10 };
	struct pair pair;
	char *buffer = buffer_of(LEN);
	size_t taken, next;

	pair_open(&pair, AF_INET);
	taken = send_all(pair.fd, buffer, LEN);
	close(pair.fd);
	memset(buffer, NEXT, LEN); /* wrong: the kernel goes on sending, and tells nobody */
	next = peer_reads(pair.peer, taken);
	printf("after close() the peer got %s\n", next ? "the next content" : "its own");
	return !next;
}
