/* SPDX-License-Identifier: BSD-2-Clause */
/* hello-uring.c - hello.c through an io_uring: one call is another, and one is new */
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zcreq/uring.h>
#include <zcreq/zcreq.h>

static void check(const char *what, int ret)
{
	if (ret < 0) {
		fprintf(stderr, "hello-uring: %s: %s\n", what, strerror(-ret));
		exit(1);
	}
}

/* Two ends of a TCP connection on loopback; any connected socket will do. */
static void connect_pair(int fds[2])
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&addr, len) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&addr, &len) ||
	    connect(fds[0], (struct sockaddr *)&addr, len) ||
	    (fds[1] = accept(listener, NULL, NULL)) < 0) {
		perror("hello-uring: connect");
		exit(1);
	}
}

static void released(zcreq_id id, int status, void *buffer)
{
	(void)id;
	printf("released, status %d: the buffer is ours again\n", status);
	free(buffer);
}

static const struct zcreq_request_hooks hooks = {.released = released};

int main(void)
{
	struct zcreq_stream_options options = {.size = sizeof(options), .stall_ms = 500};
	struct zcreq_context *context;
	struct zcreq_uring *uring;
	struct zcreq_conn *conn;
	struct iovec iov = {.iov_len = 1 << 20};
	int fds[2];

	connect_pair(fds);
	options.fd = fds[0];
	check("context", zcreq_context_new(NULL, &context));
	/* where there is no io_uring, a NULL ring sends through the socket */
	if (zcreq_uring_new(context, NULL, &uring) < 0)
		puts("no io_uring here: through the socket");
	check("open", zcreq_uring_stream_open(uring, context, &options, &conn));

	iov.iov_base = calloc(1, iov.iov_len);
	check("send", zcreq_send(conn, &hooks, iov.iov_base, &iov, 1, 0, NULL));
	check("drain", zcreq_conn_drain(conn, 0));

	while (zcreq_conn_state(conn) != ZCREQ_CONN_CLOSED) {
		static char sink[1 << 16];
		struct pollfd fd[] = {{zcreq_context_fd(context), POLLIN, 0}, {fds[1], POLLIN, 0}};
		uint64_t now_ns = zcreq_now_ns();

		poll(fd, 2, zcreq_timeout_ms(zcreq_turn(context, now_ns), now_ns));
		if (fd[1].revents && recv(fds[1], sink, sizeof(sink), 0) < 0)
			perror("hello-uring: recv");
	}
	zcreq_conn_free(conn);
	check("ring", zcreq_uring_free(uring));
	check("context", zcreq_context_free(context));
	return 0;
}
