/* SPDX-License-Identifier: BSD-2-Clause */
/* vanished.c - the buffer comes back with the notification, so one waits for it */
#include <stdio.h>
#include <sys/socket.h>

#include "by-hand.h"

int main(void)
{
	enum { LEN = 64 << 10 };
	struct pair pair;
	char *buffer = buffer_of(LEN);
	uint32_t lo, hi;
	bool waited, shut, ended;

	pair_open_link(&pair);
	cut();
	send_all(pair.fd, buffer, LEN);
	waited = told_within(pair.fd, 1000, &lo, &hi); /* wrong: who should acknowledge it? */
	shutdown(pair.fd, SHUT_RDWR);
	shut = told(pair.fd, &lo, &hi); /* wrong as well */
	disconnect(pair.fd);
	ended = told(pair.fd, &lo, &hi);
	printf("after a second %s, after shutdown() %s, after connect(AF_UNSPEC) %s\n",
	       waited ? "it is back" : "nothing", shut ? "it is back" : "nothing",
	       ended ? "it is back" : "nothing");
	return !(!waited && !shut && ended);
}
