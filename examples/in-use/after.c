/* SPDX-License-Identifier: BSD-2-Clause */
/* after.c - the same framework, and the library knows who uses the buffer */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <zcreq/zcreq.h>

#include "../by-hand/by-hand.h"
#include "in-use.h"

enum state { TRANSFERRING = 1, COMPLETED, FREE };

struct request {
	struct qpair *qpair;
	char *data;
	size_t sent;
	zcreq_id id;
	enum state state;
};

struct qpair {
	struct zcreq_conn *conn;
	struct request requests[REQUESTS];
	struct request *queue[QUEUE];
	int queued;
};

static struct zcreq_context *context;

static void must(const char *what, int ret)
{
	errno = -ret;
	need(what, ret, false);
}

/* ---- a request ---- */

/* The outcome: the host is told, statistics are kept. The data may still be read. */
static void settled(zcreq_id id, int status, void *arg)
{
	struct request *request = arg;

	(void)id;
	(void)status;
	request->state = COMPLETED;
}

/* Nobody reads the data any more. This is the only place that gives it back. */
static void released(zcreq_id id, int status, void *arg)
{
	struct request *request = arg;

	(void)id;
	(void)status;
	request->state = FREE;
	data_free(request->data);
}

/* The connection has ended, and some of it is in our queue: it will never be sent. */
static void aborting(zcreq_id id, int status, void *arg)
{
	struct request *request = arg;
	struct qpair *qpair = request->qpair;
	int kept = 0;

	for (int i = 0; i < qpair->queued; i++)
		if (qpair->queue[i] != request)
			qpair->queue[kept++] = qpair->queue[i];
	qpair->queued = kept;
	must("finish", zcreq_finish(context, id, status));
}

static const struct zcreq_request_hooks of_request = {
	.settled = settled, .released = released, .aborting = aborting,
};

static void request_send(struct request *request)
{
	request->state = TRANSFERRING;
	must("begin", zcreq_begin(request->qpair->conn, &of_request, request, 0, &request->id));
	request->qpair->queue[request->qpair->queued++] = request;
}

/* ---- a queue pair ---- */

static void qpair_advance(struct qpair *qpair, size_t bytes)
{
	int gone = 0;

	while (bytes) {
		struct request *request = qpair->queue[gone];
		size_t left = DATA_BYTES - request->sent, part = bytes < left ? bytes : left;

		bytes -= part;
		request->sent += part;
		if (request->sent < DATA_BYTES)
			break;
		must("finish", zcreq_finish(context, request->id, 0));
		gone++;
	}
	qpair->queued -= gone;
	memmove(qpair->queue, qpair->queue + gone, (size_t)qpair->queued * sizeof(*qpair->queue));
}

static void qpair_flush(struct qpair *qpair)
{
	struct zcreq_part parts[QUEUE];
	struct iovec iov[QUEUE];
	struct msghdr message = {.msg_iov = iov};
	bool zerocopy;
	ssize_t ret;

	for (int i = 0; i < qpair->queued; i++) {
		struct request *request = qpair->queue[i];

		iov[i] = (struct iovec){request->data + request->sent, DATA_BYTES - request->sent};
		parts[i] = (struct zcreq_part){request->id, iov[i].iov_len};
	}
	message.msg_iovlen = (__typeof__(message.msg_iovlen))qpair->queued;
	if (!qpair->queued || zcreq_offer(qpair->conn, parts, qpair->queued, &zerocopy))
		return;
	ret = sendmsg(zcreq_stream_fd(qpair->conn), &message,
		      MSG_DONTWAIT | MSG_NOSIGNAL | (zerocopy ? MSG_ZEROCOPY : 0));
	must("sent", zcreq_sent(qpair->conn, ret < 0 ? -errno : ret, zerocopy));
	if (ret > 0)
		qpair_advance(qpair, (size_t)ret);
}

static uint64_t ns_of_ticks(uint64_t count, uint64_t hz)
{
	return count / hz * 1000000000 + count % hz * 1000000000 / hz;
}

void qpair_poll(struct qpair *qpair)
{
	struct pollfd fd = {.events = zcreq_events(qpair->conn)};

	qpair_flush(qpair);
	fd.fd = fd.events ? zcreq_stream_fd(qpair->conn) : -1;
	if (poll(&fd, 1, 0) > 0)
		must("process", zcreq_process(qpair->conn, fd.revents));
	zcreq_turn(context, ns_of_ticks(ticks(), ticks_hz()));
}

void qpair_disconnect(struct qpair *qpair)
{
	int ret = zcreq_conn_abort(qpair->conn, -ETIMEDOUT);

	must("abort", ret == -EALREADY ? 0 : ret); /* the watchdog may have seen it first */
}

struct qpair *qpair_open(int fd)
{
	struct zcreq_stream_options options = {
		.size = sizeof(options), .flags = ZCREQ_STREAM_OWN_SENDS, .fd = fd,
		.stall_ms = 2000,
	};
	struct qpair *qpair = calloc(1, sizeof(*qpair));

	need("memory", qpair ? 0 : -1, false);
	must("context", zcreq_context_new(NULL, &context));
	must("open", zcreq_stream_open(context, &options, &qpair->conn));
	for (int i = 0; i < REQUESTS; i++) {
		qpair->requests[i].qpair = qpair;
		qpair->requests[i].data = buffer_of(DATA_BYTES);
		request_send(&qpair->requests[i]);
	}
	return qpair;
}

int qpair_waiting(const struct qpair *qpair)
{
	int waiting = 0;

	for (int i = 0; i < REQUESTS; i++)
		waiting += qpair->requests[i].state != FREE;
	return waiting;
}

void qpair_destroy(struct qpair *qpair)
{
	zcreq_conn_free(qpair->conn);
	free(qpair);
	zcreq_turn(context, ns_of_ticks(ticks(), ticks_hz()));
	must("context", zcreq_context_free(context));
}
