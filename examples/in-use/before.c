/* SPDX-License-Identifier: BSD-2-Clause */
/* before.c - a request whose buffer is guarded by a flag, pdu_in_use */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../by-hand/by-hand.h"
#include "in-use.h"

enum state { TRANSFERRING = 1, COMPLETED, FREE };

struct request {
	struct qpair *qpair;
	char *data;
	size_t sent;
	uint32_t last_id; /* of the call that took its last byte */
	enum state state;
	bool pdu_in_use;
};

struct qpair {
	int fd;
	uint32_t next_id;
	struct request requests[REQUESTS];
	struct request *queue[QUEUE];
	int queued;
};

/* ---- a request ---- */

static void request_process(struct request *request)
{
	switch (request->state) {
	case TRANSFERRING:
		if (request->pdu_in_use)
			return;
		request->state = COMPLETED;
		/* fall through */
	case COMPLETED:
		if (request->pdu_in_use)
			return; /* the write is not done: freeing it now would free it twice */
		request->state = FREE;
		data_free(request->data);
		/* fall through */
	case FREE:
		return;
	}
}

static void write_done(struct request *request)
{
	request->pdu_in_use = false;
	request_process(request);
}

static void request_send(struct request *request)
{
	request->state = TRANSFERRING;
	request->pdu_in_use = true;
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
		request->last_id = qpair->next_id;
		gone += request->sent == DATA_BYTES;
	}
	qpair->queued -= gone;
	memmove(qpair->queue, qpair->queue + gone, (size_t)qpair->queued * sizeof(*qpair->queue));
}

static void qpair_flush(struct qpair *qpair)
{
	struct iovec iov[QUEUE];
	struct msghdr message = {.msg_iov = iov};
	ssize_t ret;

	for (int i = 0; i < qpair->queued; i++) {
		struct request *request = qpair->queue[i];

		iov[i] = (struct iovec){request->data + request->sent, DATA_BYTES - request->sent};
	}
	message.msg_iovlen = (__typeof__(message.msg_iovlen))qpair->queued;
	if (!qpair->queued)
		return;
	ret = sendmsg(qpair->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_ZEROCOPY);
	if (ret > 0) {
		qpair_advance(qpair, (size_t)ret);
		qpair->next_id++;
	}
}

static void qpair_reap(struct qpair *qpair)
{
	uint32_t lo, hi;

	while (told(qpair->fd, &lo, &hi))
		for (int i = 0; i < REQUESTS; i++) {
			struct request *request = &qpair->requests[i];

			if (request->sent == DATA_BYTES && request->last_id - lo <= hi - lo)
				write_done(request);
		}
}

void qpair_poll(struct qpair *qpair)
{
	qpair_flush(qpair);
	qpair_reap(qpair);
}

void qpair_disconnect(struct qpair *qpair)
{
	for (int i = 0; i < REQUESTS; i++) {
		qpair->requests[i].state = COMPLETED;
		request_process(&qpair->requests[i]);
	}
}

struct qpair *qpair_open(int fd)
{
	struct qpair *qpair = calloc(1, sizeof(*qpair));

	need("memory", qpair ? 0 : -1, false);
	qpair->fd = fd;
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
	close(qpair->fd);
	free(qpair);
}
