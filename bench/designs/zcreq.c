/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zcreq.c - the library: ids, queue of sends, requests
 *
 * All that it does for a request, not only what the others do as well: handles and
 * states checked at each step, the queue of sends, the socket asked whether it is
 * alive before proof is believed, callbacks from one place. One call for
 * each request, as the others have it; what batches save is in bench/lifecycle.
 */
#include "designs.h"

#include <poll.h>
#include <stdlib.h>

static struct zcreq_context *context;
static struct zcreq_conn *conn;
static void (*owner)(void *arg);

static void check(int ret)
{
	if (ret < 0)
		abort();
}

static void released(zcreq_id id, int status, void *arg)
{
	(void)id;
	check(status);
	owner(arg);
}

static const struct zcreq_request_hooks ops = {.released = released};

static void zcreq_open(struct free_socket *socket, uint32_t most, void (*done)(void *arg))
{
	const struct zcreq_stream_options o = {
		.size = sizeof(o), .fd = 0, .mode = ZCREQ_MODE_ALWAYS,
		.socket_ops = &free_ops, .socket_arg = socket,
	};

	(void)most;
	owner = done;
	check(zcreq_context_new(NULL, &context));
	check(zcreq_stream_open(context, &o, &conn));
}

static void send_one(const struct iovec *iov)
{

	check(zcreq_send(conn, &ops, NULL, iov, 1, 0, NULL));
	zcreq_turn(context, 0);
}

static void reap(void)
{
	check(zcreq_process(conn, POLLERR));
	zcreq_turn(context, 0);
}

const struct design design_zcreq = {"zcreq", zcreq_open, send_one, reap};
