/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lifecycle.c - what the bookkeeping of one request costs, from begin to released
 *
 * Over a socket that costs nothing (free_socket.h). A steady number of requests is
 * kept in flight: each turn begins some, each with one send, has the oldest come back,
 * and is over when zcreq_turn() has sent the ones and reported the others. With a turn of 1
 * every request pays for its own sendmsg, recvmsg and turn; a larger turn is what a loaded
 * loop does, and spreads these over a batch.
 *
 *	lifecycle INFLIGHT [REQUESTS [TURN]]
 *
 * prints nanoseconds; scripts/bench runs it under callgrind too and counts the
 * instructions outside of this program's own code.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>

#include "free_socket.h"

/* Sends that the library takes in one call, at this size. */
#define TURN_MOST 128

static uint64_t released_count;

static void released(zcreq_id id, int status, void *arg)
{
	(void)id;
	(void)arg;
	if (status)
		abort();
	released_count++;
}

static const struct zcreq_request_hooks ops = {.released = released};

static void check(int ret)
{
	if (ret < 0) {
		fprintf(stderr, "lifecycle: %s\n", strerror(-ret));
		exit(1);
	}
}

static char buffer[SEND_BYTES];

/* One request more, queued. */
static void begin_one(struct zcreq_conn *conn)
{
	const struct iovec iov = {buffer, sizeof(buffer)};

	check(zcreq_send(conn, &ops, NULL, &iov, 1, 0, NULL));
}

/* Some requests more in flight, as one batch. */
static void begin_turn(struct zcreq_conn *conn, uint64_t turn)
{
	for (uint64_t i = 0; i < turn; i++)
		begin_one(conn);
}

static void turns(struct free_socket *s, struct zcreq_context *context, struct zcreq_conn *conn,
		  uint64_t count, uint64_t turn)
{
	uint64_t until = released_count;

	for (uint64_t i = 0; i < count; i += turn) {
		begin_turn(conn, turn);
		if (s->issued == s->tell) /* nothing can come back before this has gone out */
			zcreq_turn(context, 0);
		until += turn;
		while (released_count < until) {
			s->ready++; /* the oldest batch comes back */
			check(zcreq_process(conn, POLLERR));
			zcreq_turn(context, 0);
		}
	}
}

int main(int argc, char **argv)
{
	uint64_t inflight = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	uint64_t requests = argc > 2 ? strtoull(argv[2], NULL, 0) : 2000000;
	uint64_t turn = argc > 3 ? strtoull(argv[3], NULL, 0) : 1, start_ns, ns;
	struct free_socket s = {.step = 1};
	struct zcreq_stream_options o = {
		.size = sizeof(o), .fd = 0, .mode = ZCREQ_MODE_ALWAYS,
		.socket_ops = &free_ops, .socket_arg = &s,
	};
	struct zcreq_context *context;
	struct zcreq_conn *conn;

	if (!turn || turn > TURN_MOST || !inflight || inflight % turn || !requests ||
	    requests % turn) {
		fprintf(stderr, "usage: lifecycle INFLIGHT [REQUESTS [TURN]]; TURN, at most %d, "
				"divides both\n", TURN_MOST);
		return 2;
	}
	check(zcreq_context_new(NULL, &context));
	check(zcreq_stream_open(context, &o, &conn));
	for (uint64_t i = turn; i < inflight; i += turn) {
		begin_turn(conn, turn);
		zcreq_turn(context, 0);
	}
	turns(&s, context, conn, 100 * turn, turn); /* tables have their size, caches are warm */
	released_count = 0;
	CALLGRIND_START_INSTRUMENTATION;
	start_ns = zcreq_now_ns();
	turns(&s, context, conn, requests, turn);
	ns = zcreq_now_ns() - start_ns;
	CALLGRIND_STOP_INSTRUMENTATION;
	if (released_count != requests)
		abort();
	printf("bench=lifecycle inflight=%" PRIu64 " turn=%" PRIu64 " requests=%" PRIu64
	       " ns=%.1f\n", inflight, turn, requests, (double)ns / requests);
	return 0;
}
