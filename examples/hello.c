/* SPDX-License-Identifier: BSD-2-Clause */
/* hello.c - send a buffer without copying it, and learn when it is yours again */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <zcreq/zcreq.h>

#include "scaffold.h" /* check(), connect_pair(), allocate(), read_away() */

/* README.md shows what follows */
static void released(zcreq_id id, int status, void *buffer)
{
	(void)id;
	printf("released, status %d: the buffer is ours again\n", status);
	free(buffer);
}

static int send_buffer(struct zcreq_conn *conn, void *buffer, size_t len)
{
	static const struct zcreq_request_hooks hooks = {.released = released};
	const struct iovec iov = {buffer, len};

	return zcreq_send(conn, &hooks, buffer, &iov, 1, 0, NULL);
}
/* README.md shows what is above */

int main(void)
{
	struct zcreq_stream_options options = {.size = sizeof(options), .stall_ms = 500};
	struct zcreq_context *context;
	struct zcreq_conn *conn;
	int fds[2];

	connect_pair(fds);
	options.fd = fds[0];
	check("context", zcreq_context_new(NULL, &context));
	check("open", zcreq_stream_open(context, &options, &conn));
	check("send", send_buffer(conn, allocate(1 << 20), 1 << 20));
	check("drain", zcreq_conn_drain(conn, 0));
	for (;;) {
		struct pollfd fd[] = {{zcreq_context_fd(context), POLLIN, 0}, {fds[1], POLLIN, 0}};
		uint64_t now_ns = zcreq_now_ns(), deadline_ns = zcreq_turn(context, now_ns);
		if (zcreq_conn_state(conn) == ZCREQ_CONN_CLOSED)
			break;
		poll(fd, 2, zcreq_timeout_ms(deadline_ns, now_ns));
		if (fd[1].revents && !read_away(fds[1]))
			fds[1] = -1; /* its end: nothing more to poll for */
	}
	zcreq_conn_free(conn);
	check("context", zcreq_context_free(context));
	return 0;
}
