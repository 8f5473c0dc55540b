/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * senders_zcreq.c - the library through the socket
 */
#include "senders.h"

#include <poll.h>
#include <unistd.h>

#include <zcreq/zcreq.h>

static unsigned requests_inflight;

static void released(zcreq_id id, int status, void *arg)
{
	(void)id;
	(void)arg;
	check(status);
	requests_inflight--;
}

static const struct zcreq_ops ops = {.released = released};

static uint64_t run_zcreq(int fd, size_t size, uint64_t end_ns, enum zcreq_mode mode)
{
	struct zcreq_stream_options o = {.size = sizeof(o), .fd = dup(fd), .mode = mode};
	struct zcreq_context *context;
	struct zcreq_conn *conn;
	uint64_t bytes = 0;
	unsigned n = 0;

	check(zcreq_context_new(NULL, &context));
	check(zcreq_stream_open(context, &o, &conn));
	while (zcreq_now_ns() < end_ns) {
		struct pollfd p = {o.fd, 0, 0};

		while (requests_inflight < WINDOW) {
			struct iovec iov = {buffers + (n++ % WINDOW) * size, size};
			zcreq_id id;

			check(zcreq_begin(conn, &ops, NULL, &id));
			check(zcreq_send(conn, id, &iov, 1, 0));
			check(zcreq_finish(context, id, 0));
			requests_inflight++;
			bytes += size;
		}
		check(zcreq_flush(conn));
		check(zcreq_dispatch(context));
		if (requests_inflight < WINDOW)
			continue;
		p.events = zcreq_events(conn);
		poll(&p, 1, -1);
		check(zcreq_process(conn, p.revents));
	}
	check(zcreq_conn_drain(conn, ZCREQ_NEVER));
	while (zcreq_conn_state(conn) != ZCREQ_CONN_CLOSED) {
		struct pollfd p = {o.fd, zcreq_events(conn), 0};

		poll(&p, 1, -1);
		check(zcreq_process(conn, p.revents));
	}
	zcreq_conn_free(conn);
	check(zcreq_dispatch(context));
	check(zcreq_context_free(context));
	return bytes;
}

uint64_t run_always(int fd, size_t size, uint64_t end_ns)
{
	return run_zcreq(fd, size, end_ns, ZCREQ_MODE_ALWAYS);
}

uint64_t run_auto(int fd, size_t size, uint64_t end_ns)
{
	return run_zcreq(fd, size, end_ns, ZCREQ_MODE_AUTO);
}
