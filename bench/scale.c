/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scale.c - what many connections, requests and sends cost
 *
 *	scale                 all that need no counting of instructions
 *	scale memory          bytes for a connection, a request and a send
 *	scale inflight        a million sends in flight in one context
 *	scale traffic         ten thousand connections at work
 *	scale abort           a thousand connections aborted at once, beside others
 *	scale turn COUNT      turns with so many connections that wait or are idle
 *	scale loop COUNT      turns of a libev loop with so many that are idle
 *
 * The last two are for callgrind: scripts/bench counts the instructions of the library
 * in what they have switched on.
 */
#include "scale.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <valgrind/callgrind.h>

#include "free_socket.h"

#define MILLION 1000000
#define SECOND ((uint64_t)1000000000)
#define TURNS 1000

size_t counted_bytes;

/* In front of each block; as large as what malloc promises to align to. */
union header {
	size_t bytes;
	max_align_t align;
};

static void *counted_calloc(size_t count, size_t size, void *arg)
{
	union header *header = calloc(1, sizeof(*header) + count * size);

	(void)arg;
	if (!header)
		return NULL;
	header->bytes = count * size;
	counted_bytes += header->bytes;
	return header + 1;
}

static void counted_free(void *memory, void *arg)
{
	union header *header = (union header *)memory - 1;

	(void)arg;
	counted_bytes -= header->bytes;
	free(header);
}

struct zcreq_context *counted_context(void)
{
	static const struct zcreq_allocator allocator = {
		.calloc = counted_calloc, .free = counted_free,
	};
	const struct zcreq_context_options options = {
		.size = sizeof(options), .allocator = &allocator,
	};
	struct zcreq_context *context;

	check(zcreq_context_new(&options, &context));
	return context;
}

void check(int ret)
{
	if (ret < 0) {
		fprintf(stderr, "scale: %s\n", strerror(-ret));
		exit(1);
	}
}

void want_descriptors(size_t count)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max < count) {
		limit.rlim_cur = limit.rlim_max = count; /* for those who may */
		if (!setrlimit(RLIMIT_NOFILE, &limit))
			return;
		getrlimit(RLIMIT_NOFILE, &limit);
		printf("skipped: %zu descriptors are needed, %llu are allowed\n", count,
		       (unsigned long long)limit.rlim_max);
		exit(EXIT_SKIPPED);
	}
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* ---- over a socket that costs nothing ---- */

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

static char buffer[SEND_BYTES];

static struct zcreq_conn *open_free(struct zcreq_context *context, struct free_socket *s)
{
	const struct zcreq_stream_options options = {
		.size = sizeof(options), .mode = ZCREQ_MODE_ALWAYS, .stall_ms = 1000,
		.socket_ops = &free_ops, .socket_arg = s,
	};
	struct zcreq_conn *conn;

	check(zcreq_stream_open(context, &options, &conn));
	return conn;
}

/* One request with one send, as a batch of its own. */
static void send_one(struct zcreq_context *context, struct zcreq_conn *conn)
{
	const struct iovec iov = {buffer, sizeof(buffer)};

	check(zcreq_send(conn, &ops, NULL, &iov, 1, 0, NULL));
	zcreq_turn(context, 0);
}

/* All that is in flight comes back. */
static void prove_all(struct zcreq_conn *conn, struct free_socket *s)
{
	s->ready = s->issued - s->tell;
	check(zcreq_process(conn, POLLERR));
	zcreq_turn(zcreq_conn_context(conn), 0);
}

static void leave(struct zcreq_context *context, struct zcreq_conn *conn)
{
	zcreq_conn_free(conn);
	zcreq_turn(context, 0);
	check(zcreq_context_free(context));
}

static void print_conn(const char *state, size_t bytes)
{
	printf("bench=scale what=connection state=%s bytes=%zu\n", state, bytes);
}

static void memory_of_connection(void)
{
	struct zcreq_context *context = counted_context();
	struct free_socket s = {.step = 1};
	struct zcreq_conn *conn;
	size_t before;

	/* the context's tables have their size, so that what follows is the connection's */
	conn = open_free(context, &s);
	for (int i = 0; i < 1024; i++)
		send_one(context, conn);
	prove_all(conn, &s);
	zcreq_conn_free(conn);
	zcreq_turn(context, 0);
	before = counted_bytes;
	s = (struct free_socket){.step = 1};
	conn = open_free(context, &s);
	print_conn("fresh", counted_bytes - before);
	send_one(context, conn);
	prove_all(conn, &s);
	print_conn("idle-after-1", counted_bytes - before);
	for (int i = 0; i < 1024; i++)
		send_one(context, conn);
	prove_all(conn, &s);
	print_conn("just-after-1024", counted_bytes - before);
	zcreq_turn(context, SECOND);
	zcreq_turn(context, 3 * SECOND);
	print_conn("idle-after-1024", counted_bytes - before);
	leave(context, conn);
}

/* What a request and its send take with @count of them in flight. */
static void memory_of_sends(uint64_t count)
{
	struct zcreq_context *context = counted_context();
	struct free_socket s = {.step = 1};
	struct zcreq_conn *conn = open_free(context, &s);
	zcreq_id *ids = calloc(count, sizeof(*ids));
	const struct iovec iov = {buffer, sizeof(buffer)};
	size_t start, requests;

	if (!ids)
		exit(1);
	start = counted_bytes;
	for (uint64_t i = 0; i < count; i++)
		check(zcreq_begin(conn, &ops, NULL, 0, &ids[i]));
	requests = counted_bytes - start;
	start = counted_bytes;
	for (uint64_t i = 0; i < count; i++) {
		check(zcreq_add(context, ids[i], &iov, 1, 0));
		check(zcreq_finish(context, ids[i], 0));
		zcreq_turn(context, 0);
	}
	printf("bench=scale what=memory inflight=%" PRIu64 " request_bytes=%.1f send_bytes=%.1f\n",
	       count, (double)requests / count, (double)(counted_bytes - start) / count);
	prove_all(conn, &s);
	leave(context, conn);
	free(ids);
}

static void scale_memory(void)
{
	memory_of_connection();
	memory_of_sends(1000);
	memory_of_sends(MILLION);
	memory_of_sends((1 << 20) + 1); /* the worst: one more than a ring has room for */
}

static void scale_inflight(void)
{
	struct zcreq_context *context = counted_context();
	struct free_socket s = {.step = 1};
	struct zcreq_conn *conn = open_free(context, &s);
	uint64_t start_ns = zcreq_now_ns(), sent_ns;

	released_count = 0;
	for (int i = 0; i < MILLION; i++)
		send_one(context, conn);
	sent_ns = zcreq_now_ns();
	prove_all(conn, &s);
	printf("bench=scale what=inflight sends=%d released=%" PRIu64 " send_ns=%.1f release_ns=%.1f\n",
	       MILLION, released_count, (double)(sent_ns - start_ns) / MILLION,
	       (double)(zcreq_now_ns() - sent_ns) / MILLION);
	leave(context, conn);
	if (released_count != MILLION)
		exit(1);
}

/* Turns in which no alarm goes off. Every second connection waits for proof. */
static void scale_turn(size_t count)
{
	struct zcreq_context *context = counted_context();
	struct free_socket *sockets = calloc(count, sizeof(*sockets));
	struct zcreq_conn *conn;

	if (!sockets)
		exit(1);
	for (size_t i = 0; i < count; i++) {
		sockets[i].step = 1;
		conn = open_free(context, &sockets[i]);
		send_one(context, conn);
		if (i % 2)
			prove_all(conn, &sockets[i]);
	}
	zcreq_turn(context, SECOND);
	CALLGRIND_START_INSTRUMENTATION;
	for (int i = 0; i < TURNS; i++)
		zcreq_turn(context, SECOND + i);
	CALLGRIND_STOP_INSTRUMENTATION;
	printf("bench=scale what=turn conns=%zu turns=%d\n", count, TURNS);
	free(sockets);
}

static size_t count_of(const char *text)
{
	return text ? strtoull(text, NULL, 0) : CROWD;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "all", *count = argc > 2 ? argv[2] : NULL;
	int all = !strcmp(what, "all");

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (all || !strcmp(what, "memory"))
		scale_memory();
	if (all || !strcmp(what, "inflight"))
		scale_inflight();
	if (all || !strcmp(what, "traffic"))
		scale_traffic();
	if (all || !strcmp(what, "abort"))
		scale_abort();
	if (!strcmp(what, "turn"))
		scale_turn(count_of(count));
	if (!strcmp(what, "loop"))
		scale_loop(count_of(count));
	return 0;
}
