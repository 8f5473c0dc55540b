/* SPDX-License-Identifier: BSD-2-Clause */
/* enobufs.c - ENOBUFS is taken for "wait for a notification" */
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "../vanish-parts/vanish.h"
#include "by-hand.h"

int main(void)
{
	enum { LEN = 1 << 20 };
	const struct rlimit limit = {65536, 65536}; /* of locked memory, as a container has it */
	struct pair pair;
	char *buffer = buffer_of(LEN);
	uint32_t lo, hi;
	ssize_t ret, copied;
	bool heard;

	pair_open(&pair, AF_INET);
	errno = -netns_enter_user(); /* no privilege to lock more */
	need("a user namespace", errno ? -1 : 0, true);
	need("setrlimit", setrlimit(RLIMIT_MEMLOCK, &limit), true);
	ret = send(pair.fd, buffer, LEN, MSG_ZEROCOPY | MSG_DONTWAIT);
	if (ret < 0 && errno != ENOBUFS)
		need("send", ret, false);
	heard = told_within(pair.fd, 300, &lo, &hi); /* wrong: nothing is in flight */
	copied = send(pair.fd, buffer, LEN, MSG_DONTWAIT);
	printf("the send was %s, %s, and a copy is %s\n", ret < 0 ? "refused" : "taken",
	       heard ? "a notification came" : "no notification comes",
	       copied > 0 ? "taken" : "refused");
	return !(ret < 0 && !heard && copied > 0);
}
