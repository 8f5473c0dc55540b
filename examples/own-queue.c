/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * own-queue.c - a framework with a queue of its own, which loses a host and goes on
 *
 * The framework queues at most 64 iovecs for a socket and calls sendmsg(2) itself. The
 * library is told before (zcreq_offer) and after (zcreq_sent), and does the rest: proof,
 * watchdog, abort, drain. The loop only polls and never sleeps. Who is at the other end,
 * how one of them vanishes, and what must be true then is in own-queue-parts/hosts.c.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "own-queue-parts/own-queue.h"

struct zcreq_context *context;

void must(const char *what, long ret)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "own-queue: %s: %s\n", what, strerror((int)-ret));
	exit(1);
}

static void released(zcreq_id id, int status, void *arg)
{
	struct job *job = arg;

	(void)id;
	memset(job->memory, FOREIGN_BYTE, JOB_BYTES); /* it is ours again */
	job->busy = 0;
	job->sock->released++;
	job->sock->failed += status != 0;
}

/* The connection has ended and some of it is in our queue still: forget it. */
static void aborting(zcreq_id id, int status, void *arg)
{
	struct sock *sock = ((struct job *)arg)->sock;
	int kept = 0;

	for (int i = 0; i < sock->queued; i++)
		if (sock->queue[i] != arg)
			sock->queue[kept++] = sock->queue[i];
	sock->queued = kept;
	must("finish", zcreq_finish(context, id, status));
}

static void closed(struct zcreq_conn *conn, int status, void *arg)
{
	struct sock *sock = arg;

	(void)conn;
	sock->closed = 1;
	sock->status = status;
}

static const struct zcreq_request_hooks of_job = {.released = released, .aborting = aborting};
static const struct zcreq_conn_hooks of_sock = {.closed = closed};

void sock_open(struct sock *sock, int fd, int far)
{
	const struct zcreq_stream_options options = {
		.size = sizeof(options), .flags = ZCREQ_STREAM_OWN_SENDS, .fd = fd,
		.hooks = &of_sock, .arg = sock, .stall_ms = STALL_MS,
	};

	*sock = (struct sock){.fd = fd, .far = far};
	must("connect", fd < 0 || far < 0 ? -errno : 0);
	must("open", zcreq_stream_open(context, &options, &sock->conn));
	for (int i = 0; i < JOBS; i++) {
		sock->jobs[i] = (struct job){.sock = sock, .memory = malloc(JOB_BYTES)};
		must("memory", sock->jobs[i].memory ? 0 : -ENOMEM);
	}
}

void sock_free(struct sock *sock)
{
	for (int i = 0; i < JOBS; i++)
		free(sock->jobs[i].memory);
	zcreq_conn_free(sock->conn);
	close(sock->far);
}

/* Each buffer that is ours is filled and queued. */
static void sock_fill(struct sock *sock)
{
	for (int i = 0; i < JOBS; i++) {
		struct job *job = &sock->jobs[i];

		if (job->busy || sock->queued == QUEUE ||
		    zcreq_begin(sock->conn, &of_job, job, 0, &job->id))
			continue; /* an aborted connection takes no more */
		memset(job->memory, OWN_BYTE, JOB_BYTES);
		job->done = 0;
		job->busy = 1;
		sock->queue[sock->queued++] = job;
	}
}

/* So many bytes are away; a request is finished with its last one. */
static void sock_advance(struct sock *sock, size_t bytes)
{
	int gone = 0;

	while (bytes) {
		struct job *job = sock->queue[gone];
		size_t left = JOB_BYTES - job->done, part = bytes < left ? bytes : left;

		bytes -= part;
		job->done += part;
		if (job->done < JOB_BYTES)
			break;
		must("finish", zcreq_finish(context, job->id, 0));
		gone++;
	}
	sock->queued -= gone;
	memmove(sock->queue, sock->queue + gone, (size_t)sock->queued * sizeof(*sock->queue));
}

/* One call for all that is queued. */
static void sock_flush(struct sock *sock)
{
	struct zcreq_part parts[QUEUE];
	struct iovec iov[QUEUE];
	const struct msghdr message = {
		.msg_iov = iov,
		.msg_iovlen = (__typeof__(message.msg_iovlen))sock->queued, /* an int with musl */
	};
	bool zerocopy;
	ssize_t ret;

	for (int i = 0; i < sock->queued; i++) {
		struct job *job = sock->queue[i];

		iov[i] = (struct iovec){job->memory + job->done, JOB_BYTES - job->done};
		parts[i] = (struct zcreq_part){job->id, iov[i].iov_len};
	}
	/* refused: later. The loop comes by again, so there is no need for a room hook */
	if (!sock->queued || zcreq_offer(sock->conn, parts, sock->queued, &zerocopy))
		return;
	ret = sendmsg(sock->fd, &message,
		      MSG_DONTWAIT | MSG_NOSIGNAL | (zerocopy ? MSG_ZEROCOPY : 0));
	must("report", zcreq_sent(sock->conn, ret < 0 ? -errno : ret, zerocopy));
	if (ret > 0)
		sock_advance(sock, (size_t)ret);
}

/* One round of the loop: nothing in it waits. */
void poll_once(struct sock **socks, int count, bool filling)
{
	for (int i = 0; i < count; i++) {
		struct pollfd fd = {.fd = -1};

		far_read(socks[i]);
		if (socks[i]->closed)
			continue;
		if (filling)
			sock_fill(socks[i]);
		sock_flush(socks[i]);
		fd.events = zcreq_events(socks[i]->conn);
		fd.fd = fd.events ? socks[i]->fd : -1; /* 0: not now, not even for errors */
		if (poll(&fd, 1, 0) > 0)
			must("process", zcreq_process(socks[i]->conn, fd.revents));
	}
	zcreq_turn(context, now_ns());
}
