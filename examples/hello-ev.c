/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hello-ev.c - send a buffer without copying it, in a libev loop, and hear when it
 * is ours again
 *
 * Two sockets on loopback. The one end is a stream of a context in the loop, the
 * other is read by a plain watcher until the stream ends; then the loop has nothing
 * left to do, and returns by itself.
 */
#include <ev.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <zcreq/ev.h>
#include <zcreq/zcreq.h>

static char buffer[1 << 20];
static struct zcreq_ev *ev;

static void released(zcreq_id id, int status, void *arg)
{
	(void)id;
	printf("status %d: all of it was taken, the buffer is ours again\n", status);
	memset(arg, 0, sizeof(buffer));
}

static const struct zcreq_request_hooks request_hooks = { .released = released };

static void closed(struct zcreq_conn *conn, int status, void *arg)
{
	(void)arg;
	printf("closed, status %d\n", status);
	zcreq_conn_free(conn);
	zcreq_ev_free(ev); /* it kept the loop going */
}

static const struct zcreq_conn_hooks hooks = { .closed = closed };

static void readable(struct ev_loop *loop, ev_io *watcher, int revents)
{
	static char bytes[65536];
	static size_t total;
	ssize_t len = recv(watcher->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	(void)revents;
	if (len > 0) {
		total += (size_t)len;
	} else if (len == 0) {
		printf("the peer has read %zu bytes\n", total);
		ev_io_stop(loop, watcher);
	}
}

static int connected_pair(int fd[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	fd[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&address, len) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&address, &len) ||
	    connect(fd[0], (struct sockaddr *)&address, len))
		return -1;
	fd[1] = accept(listener, NULL, NULL);
	close(listener);
	return fd[1] < 0 ? -1 : 0;
}

int main(void)
{
	struct zcreq_stream_options options = { .size = sizeof(options), .hooks = &hooks };
	struct iovec iov = { buffer, sizeof(buffer) };
	struct ev_loop *loop = EV_DEFAULT;
	struct zcreq_context *context;
	struct zcreq_conn *conn;
	ev_io reader;
	int fd[2];

	if (connected_pair(fd))
		return 1;
	options.fd = fd[0];
	if (zcreq_context_new(NULL, &context) || zcreq_ev_new(loop, context, &ev) ||
	    zcreq_stream_open(context, &options, &conn))
		return 1;
	ev_io_init(&reader, readable, fd[1], EV_READ);
	ev_io_start(loop, &reader);

	if (zcreq_send(conn, &request_hooks, buffer, &iov, 1, 0, NULL) ||
	    zcreq_conn_drain(conn, 0))
		return 1;
	ev_run(loop, 0);

	close(fd[1]);
	return zcreq_context_free(context) != 0;
}
