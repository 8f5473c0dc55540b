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

static const struct zcreq_request_hooks ops = {.released = released};

/* 16 Ki events */
static uint64_t trace_memory[64 / 8 + (1 << 14) * 4];

static uint64_t run_zcreq(int fd, size_t size, uint64_t end_ns, enum zcreq_mode mode,
			  int traced)
{
	const struct zcreq_trace_options trace = {
		.size = sizeof(trace), .memory = trace_memory,
		.memory_bytes = sizeof(trace_memory), .clock_ns = zcreq_now_ns,
	};
	struct zcreq_stream_options o = {.size = sizeof(o), .fd = dup(fd), .mode = mode};
	struct zcreq_context *context;
	struct zcreq_conn *conn;
	uint64_t bytes = 0;
	unsigned n = 0;

	check(zcreq_context_new(NULL, &context));
	if (traced)
		check(zcreq_trace_start(context, &trace));
	check(zcreq_stream_open(context, &o, &conn));
	while (zcreq_now_ns() < end_ns) {
		struct pollfd p = {o.fd, 0, 0};

		while (requests_inflight < WINDOW) {
			struct iovec iov = {buffers + (n++ % WINDOW) * size, size};

			check(zcreq_send(conn, &ops, NULL, &iov, 1, 0, NULL));
			requests_inflight++;
			bytes += size;
		}
		zcreq_turn(context, zcreq_now_ns());
		if (requests_inflight < WINDOW)
			continue;
		p.events = zcreq_events(conn);
		poll(&p, 1, -1);
		check(zcreq_process(conn, p.revents));
	}
	check(zcreq_conn_drain(conn, 0));
	while (zcreq_conn_state(conn) != ZCREQ_CONN_CLOSED) {
		uint64_t now_ns = zcreq_now_ns(), deadline_ns = zcreq_turn(context, now_ns);
		struct pollfd p = {o.fd, zcreq_events(conn), 0};

		if (zcreq_conn_state(conn) == ZCREQ_CONN_CLOSED)
			break;
		poll(&p, 1, zcreq_timeout_ms(deadline_ns, now_ns));
		check(zcreq_process(conn, p.revents));
	}
	zcreq_conn_free(conn);
	while (zcreq_context_free(context))
		zcreq_turn(context, zcreq_now_ns());
	return bytes;
}

uint64_t run_always(int fd, size_t size, uint64_t end_ns)
{
	return run_zcreq(fd, size, end_ns, ZCREQ_MODE_ALWAYS, 0);
}

uint64_t run_auto(int fd, size_t size, uint64_t end_ns)
{
	return run_zcreq(fd, size, end_ns, ZCREQ_MODE_AUTO, 0);
}

uint64_t run_traced(int fd, size_t size, uint64_t end_ns)
{
	return run_zcreq(fd, size, end_ns, ZCREQ_MODE_ALWAYS, 1);
}
