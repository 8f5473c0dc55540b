/* SPDX-License-Identifier: BSD-2-Clause */
/* order.c - what was sent before is taken for over before */
#include <stdio.h>
#include <sys/socket.h>

#include "by-hand.h"

int main(void)
{
	enum { SENDS = 4, LEN = 400000 };
	struct pair pair;
	char *buffer = buffer_of(4096 * 98);
	uint32_t lo, hi, first_lo, mark;

	pair_open_link(&pair);
	send_all(pair.fd, buffer, 1000);
	peer_reads(pair.peer, 1000);
	need("the first", told_within(pair.fd, 2000, &lo, &hi) ? 0 : -1, false);
	cut();
	for (int i = 0; i < SENDS; i++) /* the first is on its way, and the tail is not sent */
		send_all(pair.fd, buffer, LEN);
	disconnect(pair.fd);
	need("a notification", told(pair.fd, &first_lo, &hi) ? 0 : -1, false);
	mark = hi; /* wrong: all up to here is over */
	while (told(pair.fd, &lo, &hi) && lo > first_lo)
		;
	printf("the first message: all up to the last send; the %s send came %s\n",
	       lo == 1 ? "first" : "other", lo < mark ? "after it" : "before");
	return !(first_lo > 1 && lo == 1);
}
