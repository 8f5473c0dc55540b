/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * attached.c - a program that links libzcreq-guard, and takes a guard if it is asked to
 *
 * Without a word it changes memory that is in flight, which nobody notices unless there
 * is a guard. Prints what zcreq_guard_reports() says at the end.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <zcreq/guard.h>
#include <zcreq/zcreq.h>

static char buffer[1000];

static void check(const char *what, int ret)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "%s: %d\n", what, ret);
	exit(1);
}

/* Over loopback; the peer waits in the listener's queue. */
static int connected_socket(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)},
	};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);

	check("bind", bind(listener, (struct sockaddr *)&address, len));
	check("listen", listen(listener, 1));
	check("getsockname", getsockname(listener, (struct sockaddr *)&address, &len));
	check("connect", connect(fd, (struct sockaddr *)&address, len));
	return fd;
}

static void note_released(zcreq_id id, int status, void *arg)
{
	(void)id;
	(void)status;
	*(bool *)arg = true;
}

int main(void)
{
	static const struct zcreq_request_hooks ops = {.released = note_released};
	struct zcreq_stream_options options = {.size = sizeof(options), .mode = ZCREQ_MODE_ALWAYS};
	const struct iovec iov = {buffer, sizeof(buffer)};
	struct zcreq_context *context;
	struct zcreq_conn *conn;
	bool released = false;
	zcreq_id id;

	check("context", zcreq_context_new(NULL, &context));
	check("attach", zcreq_guard_attach(context, NULL));
	options.fd = connected_socket();
	check("open", zcreq_stream_open(context, &options, &conn));
	check("begin", zcreq_begin(conn, &ops, &released, 0, &id));
	check("send", zcreq_add(context, id, &iov, 1, 0));
	check("finish", zcreq_finish(context, id, 0));
	buffer[500] = 'x';
	zcreq_turn(context, 0);
	while (!released) {
		struct pollfd wait = {.fd = options.fd, .events = zcreq_events(conn)};

		check("poll", poll(&wait, 1, 1000));
		check("process", zcreq_process(conn, wait.revents));
		zcreq_turn(context, 0);
	}
	printf("%d\n", zcreq_guard_reports(context));
	zcreq_conn_free(conn);
	zcreq_turn(context, 0);
	return -zcreq_context_free(context);
}
