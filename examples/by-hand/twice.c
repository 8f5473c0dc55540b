/* SPDX-License-Identifier: BSD-2-Clause */
/* twice.c - two ways lead to the end of a request, and both are taken */
#include <stdio.h>
#include <sys/socket.h>

#include "by-hand.h"

struct request {
	uint32_t id;
	int completions;
};

static void complete(struct request *request)
{
	request->completions++; /* free(request), in a program that has not read this page */
}

/* The connection has failed: everything that is out is over. */
static void fail_all(struct request *request)
{
	complete(request);
}

int main(void)
{
	enum { LEN = 64 << 10 };
	struct request request = {0};
	struct pair pair;
	char *buffer = buffer_of(LEN);
	uint32_t lo, hi;

	pair_open(&pair, AF_INET);
	send_all(pair.fd, buffer, LEN);
	disconnect(pair.fd);
	fail_all(&request);
	while (told(pair.fd, &lo, &hi))
		if (request.id - lo <= hi - lo)
			complete(&request); /* wrong: nobody remembers that it was over */
	printf("the request was completed %s\n", request.completions == 2 ? "twice" : "once");
	return request.completions != 2;
}
