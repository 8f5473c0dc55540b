/* SPDX-License-Identifier: BSD-2-Clause */
/* with-zcreq.c - the same by the library: the host vanishes, and the buffers come back once */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <zcreq/zcreq.h>

#include "by-hand.h"

enum { BUFFERS = 4, LEN = 256 << 10 };

static struct zcreq_context *context;
static struct zcreq_conn *conn;
static char *buffers[BUFFERS];
static int back, failed;

static void released(zcreq_id id, int status, void *buffer)
{
	(void)id;
	memset(buffer, NEXT, LEN);
	back++;
	failed += status != 0;
}

static const struct zcreq_request_hooks hooks = {.released = released};

static void turn_until(int count)
{
	while (back < count) {
		struct pollfd fd = {.fd = zcreq_context_fd(context), .events = POLLIN};
		uint64_t now = zcreq_now_ns();
		uint64_t deadline = zcreq_turn(context, now);

		if (back < count)
			poll(&fd, 1, zcreq_timeout_ms(deadline, now));
	}
}

int main(void)
{
	struct zcreq_stream_options options = {.size = sizeof(options), .stall_ms = 500};
	struct pair pair;
	bool vanished;

	pair_open_link(&pair);
	options.fd = pair.fd;
	need("context", zcreq_context_new(NULL, &context), false);
	need("open", zcreq_stream_open(context, &options, &conn), false);
	cut();
	for (int i = 0; i < BUFFERS; i++) {
		struct iovec iov = {.iov_base = buffer_of(LEN), .iov_len = LEN};

		buffers[i] = iov.iov_base;
		need("send", zcreq_send(conn, &hooks, buffers[i], &iov, 1, 0, NULL), false);
	}
	turn_until(BUFFERS);
	vanished = zcreq_conn_cause(conn) == ZCREQ_CAUSE_VANISHED;
	printf("%d buffers are back, each once, %s\n", back,
	       failed == BUFFERS && vanished ? "because the host has vanished" : "for some reason");
	zcreq_conn_free(conn);
	zcreq_turn(context, zcreq_now_ns());
	need("context", zcreq_context_free(context), false);
	return !(back == BUFFERS && failed == BUFFERS && vanished);
}
