/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reclaim.c - how long from an abort to the last buffer, with so many sends in flight?
 *
 * On the real kernel: a connection over a veth pair in namespaces of this program's
 * own, whose packets go to a link-layer address that nobody has, so that nothing is
 * ever acknowledged and all of it is in flight. Then abort, with
 *
 *	CALL sends in one call   1: an id for each send; 1000: as a loaded loop has it
 *
 *	reclaim [ROUNDS [MOST]]
 *
 * prints medians: the call of zcreq_conn_abort() itself, in which the kernel lets go
 * and says so, and all of it up to the last released callback.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zcreq/zcreq.h>

#include "../tests/real/net.h"
#include "congestion.h"
#include "median.h"

#define SEND_BYTES 512
#define MOST 100000
#define CALL 1000
#define ROOM_BYTES (1 << 30) /* of the socket: each send of its own has its overhead */

static struct net net;
static uint8_t *memory;
static uint32_t released_count;
static uint64_t last_ns;

static void check(int ret, const char *what)
{
	if (ret < 0) {
		fprintf(stderr, "reclaim: %s: %s\n", what, strerror(-ret));
		exit(1);
	}
}

static void released(zcreq_id id, int status, void *arg)
{
	(void)id;
	(void)arg;
	if (!status)
		abort(); /* it was acknowledged: then it was not in flight */
	released_count++;
	last_ns = zcreq_now_ns();
}

static const struct zcreq_request_hooks ops = {.released = released};

static void fill(struct zcreq_context *context, struct zcreq_conn *conn, uint32_t count,
		 uint32_t call)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct iovec iov = {memory + (size_t)i * SEND_BYTES, SEND_BYTES};

		check(zcreq_send(conn, &ops, NULL, &iov, 1, 0, NULL), "send");
		if ((i + 1) % call == 0 || i + 1 == count)
			zcreq_turn(context, 0);
	}
}

struct result {
	double abort_us[ROUNDS_MOST], last_us[ROUNDS_MOST];
	uint64_t ids;
};

/* All of it in the kernel, by reference, or this would measure something else. */
static uint64_t ids_in_flight(struct zcreq_context *context, uint32_t count)
{
	struct zcreq_stats stats;

	check(zcreq_context_stats(context, &stats, sizeof(stats)), "stats");
	if (stats.sent_bytes != (uint64_t)count * SEND_BYTES || stats.copied_batches ||
	    released_count) {
		fprintf(stderr, "reclaim: of %" PRIu32 " sends %" PRIu64 " bytes are in the kernel, %"
			PRIu64 " batches as copies\n", count, stats.sent_bytes, stats.copied_batches);
		exit(1);
	}
	return stats.zerocopy_batches;
}

static void one_round(struct result *result, int round, uint32_t count, uint32_t call)
{
	const struct net_pair how = {.near_sndbuf = ROOM_BYTES};
	struct zcreq_stream_options o = {.size = sizeof(o), .mode = ZCREQ_MODE_ALWAYS};
	struct zcreq_context *context;
	struct zcreq_conn *conn;
	uint64_t start_ns;
	int far;

	check(net_connect(&net, &how, &o.fd, &far), "connect");
	print_congestion(o.fd);
	set_congestion(o.fd);
	set_congestion(far);
	check(net_misdirect(&net, true), "misdirect");
	check(zcreq_context_new(NULL, &context), "context");
	check(zcreq_stream_open(context, &o, &conn), "open");
	released_count = 0;
	fill(context, conn, count, call);
	result->ids = ids_in_flight(context, count);
	start_ns = zcreq_now_ns();
	check(zcreq_conn_abort(conn, -ECANCELED), "abort");
	result->abort_us[round] = (double)(zcreq_now_ns() - start_ns) / 1e3;
	while (released_count < count)
		zcreq_turn(context, zcreq_now_ns());
	result->last_us[round] = (double)(last_ns - start_ns) / 1e3;
	zcreq_conn_free(conn);
	while (zcreq_context_free(context))
		zcreq_turn(context, zcreq_now_ns());
	close(far);
	check(net_misdirect(&net, false), "neighbours");
}

static void measure(uint32_t count, uint32_t call, int rounds)
{
	static struct result r;

	for (int round = 0; round < rounds; round++)
		one_round(&r, round, count, call);
	printf("bench=reclaim call=%" PRIu32 " inflight=%" PRIu32 " ids=%" PRIu64
	       " abort_us=%.1f last_us=%.1f\n", call, count, r.ids, median(r.abort_us, rounds),
	       median(r.last_us, rounds));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 9;
	uint32_t most = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 0) : MOST;
	const char *missing = net_missing();

	if (rounds < 1 || rounds > ROUNDS_MOST || !most || most > MOST) {
		fprintf(stderr, "usage: reclaim [ROUNDS [MOST]]; MOST is up to %d\n", MOST);
		return 2;
	}
	if (!missing)
		missing = net_missing_lock();
	if (!missing)
		missing = net_missing_optmem();
	if (missing) {
		fprintf(stderr, "reclaim: %s\n", missing);
		return 77;
	}
	memory = aligned_alloc(4096, (size_t)MOST * SEND_BYTES);
	if (!memory)
		check(-ENOMEM, "memory");
	memset(memory, 'z', (size_t)MOST * SEND_BYTES);
	check(net_open(&net), "network");
	check(net_sysctl(&net, NET_NEAR, "core/optmem_max", "1000000000"), "optmem_max");
	for (uint32_t call = 1; call <= CALL; call *= CALL)
		for (uint32_t count = 1; count <= most; count *= 10)
			measure(count, call, rounds);
	return 0;
}
