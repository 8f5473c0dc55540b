/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * life.c - the stream of one socket, and every request that it has not given back
 *
 * A request is called back when it was released, and so with proof. The callbacks of the
 * library only note it, since SPDK's may close the socket: zsock_complete() calls them later,
 * outside of the turn.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "zsock.h"

/* Of the memory that is there from the start; more is allocated. */
#define RESERVE_REQUESTS 64
#define RESERVE_MEMBERS 256

struct zsettings zsettings = {
	.mode = ZCREQ_MODE_AUTO, .stall_ms = 2000, .linger_ms = 2000, .close_ms = 200,
};

static void ended(struct life *life)
{
	life->phase = LIFE_ENDED;
	if (life->sock)
		zgroup_readable(life->sock);
}

static void on_abort(struct zcreq_conn *conn, int status, void *arg)
{
	struct life *life = arg;

	(void)conn;
	life->phase = LIFE_ABORTING;
	life->status = status;
	if (life->sock)
		zgroup_unwatch(life->sock);
}

static void on_closed(struct zcreq_conn *conn, int status, void *arg)
{
	struct life *life = arg;

	(void)conn;
	(void)status;
	if (life->sock)
		zgroup_unwatch(life->sock); /* the descriptor is still open */
	ended(life);
}

static const struct zcreq_conn_hooks conn_hooks = { .abort = on_abort, .closed = on_closed };

static void on_released(zcreq_id id, int status, void *arg)
{
	struct lend *lend = arg;
	struct life *life = lend->life;

	(void)id;
	lend->status = status;
	TAILQ_REMOVE(&life->lent, lend, link);
	TAILQ_INSERT_TAIL(&life->done, lend, link);
}

static void on_quarantined(zcreq_id id, void *arg)
{
	struct lend *lend = arg;

	(void)id;
	ended(lend->life); /* its user is not to wait for ever */
}

static const struct zcreq_request_hooks request_hooks = {
	.released = on_released, .quarantined = on_quarantined,
};

int life_open(struct zsock *sock, int fd)
{
	struct zcreq_context_options context = {
		.size = sizeof(context), .reserve_requests = RESERVE_REQUESTS,
	};
	struct zcreq_stream_options stream = {
		.size = sizeof(stream), .flags = ZCREQ_STREAM_KEEP_MEMORY, .fd = fd,
		.hooks = &conn_hooks, .mode = sock->zerocopy ? zsettings.mode : ZCREQ_MODE_NEVER,
		.threshold_bytes = sock->base.impl_opts.zerocopy_threshold,
		.stall_ms = sock->stall_ms, .linger_ms = zsettings.linger_ms,
		.reserve_sends = RESERVE_REQUESTS, .reserve_iovs = RESERVE_MEMBERS,
		.reserve_batches = RESERVE_REQUESTS,
	};
	struct life *life = calloc(1, sizeof(*life));
	int ret = -ENOMEM;

	if (!life)
		return ret;
	TAILQ_INIT(&life->lent);
	TAILQ_INIT(&life->done);
	TAILQ_INIT(&life->spare);
	life->sock = sock;
	stream.arg = life;
	if (zsettings.detach && sock->zerocopy)
		stream.flags |= ZCREQ_STREAM_DETACH;
	ret = zcreq_context_new(&context, &life->context);
	if (ret) {
		free(life);
		return ret;
	}
	ret = zcreq_stream_open(life->context, &stream, &life->conn);
	if (ret) {
		(void)!zcreq_context_free(life->context);
		free(life);
		return ret;
	}
	sock->life = life;
	return 0;
}

int life_send(struct life *life, struct spdk_sock_request *request)
{
	struct lend *lend = TAILQ_FIRST(&life->spare);
	int ret;

	if (lend)
		TAILQ_REMOVE(&life->spare, lend, link);
	else
		lend = calloc(1, sizeof(*lend));
	if (!lend)
		return -ENOMEM;
	lend->life = life;
	lend->request = request;
	ret = zcreq_send(life->conn, &request_hooks, lend, SPDK_SOCK_REQUEST_IOV(request, 0),
			 request->iovcnt, 0, NULL);
	if (ret)
		TAILQ_INSERT_HEAD(&life->spare, lend, link);
	else
		TAILQ_INSERT_TAIL(&life->lent, lend, link);
	return ret;
}

void life_turn(struct life *life)
{
	life->deadline_ns = zcreq_turn(life->context, zcreq_now_ns());
}

/* Waits, at most close_ms, for what a queueing discipline or a driver still has. */
static void await_proof(struct life *life)
{
	uint64_t end_ns = zcreq_now_ns() + zsettings.close_ms * (uint64_t)1000000;
	bool detached = !zsettings.detach;

	for (;;) {
		life_turn(life);
		if (TAILQ_EMPTY(&life->lent))
			return;
		if (!detached) {
			detached = true;
			if (zcreq_conn_detach(life->conn, 0) == 0)
				continue;
		}
		if (zcreq_now_ns() >= end_ns)
			return;
		usleep(100);
	}
}

void life_end(struct life *life)
{
	struct lend *lend;
	unsigned unproven = 0;

	life_turn(life);
	if (life->phase == LIFE_OPEN) {
		/* with nothing lent the peer gets what was written, and the end */
		if (TAILQ_EMPTY(&life->lent))
			zcreq_conn_drain(life->conn, zsettings.linger_ms);
		else
			zcreq_conn_abort(life->conn, -ECANCELED);
	}
	if (!TAILQ_EMPTY(&life->lent))
		await_proof(life);
	TAILQ_FOREACH(lend, &life->lent, link) {
		struct lend *told = TAILQ_FIRST(&life->spare);

		/* SPDK takes the request back now, whatever the kernel does. The lend stays for
		 * the library, another is called back. */
		if (told)
			TAILQ_REMOVE(&life->spare, told, link);
		else
			told = calloc(1, sizeof(*told));
		if (!told)
			abort(); /* or its user would wait for it for ever */
		told->request = lend->request;
		told->status = -ECANCELED;
		lend->request = NULL;
		TAILQ_INSERT_TAIL(&life->done, told, link);
		unproven++;
	}
	if (unproven)
		SPDK_ERRLOG("%u requests were cancelled by a close while the kernel still had "
			    "their memory: it may be sent as it will be then\n", unproven);
}

static void free_lends(struct lends *lends)
{
	struct lend *lend;

	while ((lend = TAILQ_FIRST(lends))) {
		TAILQ_REMOVE(lends, lend, link);
		free(lend);
	}
}

bool life_free(struct life *life)
{
	if (life->conn && life->phase == LIFE_ENDED) {
		zcreq_conn_free(life->conn);
		life->conn = NULL;
	}
	if (zcreq_context_free(life->context))
		return false;
	free_lends(&life->lent);
	free_lends(&life->done);
	free_lends(&life->spare);
	free(life);
	return true;
}

void life_leave(struct life *life)
{
	life->sock = NULL;
	life_turn(life);
	if (!life_free(life))
		reaper_take(life);
}
