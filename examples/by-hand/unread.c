/* SPDX-License-Identifier: BSD-2-Clause */
/* unread.c - the error queue is nobody's business */
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "by-hand.h"

int main(void)
{
	enum { ROUNDS = 1000 };
	struct pair pair;
	char *buffer = buffer_of(4096);
	int woken = 0;

	pair_open(&pair, AF_INET);
	send_all(pair.fd, buffer, 4096);
	peer_reads(pair.peer, 4096);
	for (int i = 0; i < ROUNDS; i++) {
		struct pollfd poller = {.fd = pair.fd, .events = POLLIN};

		woken += poll(&poller, 1, 1000) > 0; /* wrong: POLLERR is not asked for, and comes */
	}
	printf("of %d sleeps %s ended at once\n", ROUNDS, woken == ROUNDS ? "all" : "not all");
	return woken != ROUNDS;
}
