/* SPDX-License-Identifier: BSD-2-Clause */
/* part.c - what send() has not refused counts as sent */
#include <stdio.h>
#include <sys/socket.h>

#include "by-hand.h"

int main(void)
{
	enum { LEN = 16 << 20 };
	struct pair pair;
	char *buffer = buffer_of(LEN);
	uint32_t lo, hi;
	bool done;
	ssize_t ret;

	pair_open(&pair, AF_INET);
	ret = send(pair.fd, buffer, LEN, MSG_ZEROCOPY | MSG_DONTWAIT);
	need("send", ret, false);
	peer_reads(pair.peer, (size_t)ret);
	done = told_within(pair.fd, 2000, &lo, &hi); /* wrong: the end of a part, not of all */
	printf("send() was successful, its id is %s, and the peer has %s\n",
	       done ? "back" : "out", ret < LEN ? "a part" : "all");
	return !(done && ret < LEN);
}
