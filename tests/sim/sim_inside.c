/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_inside.c - connections without a socket, and streams by sendmsg or a sender
 */
#include <poll.h>
#include <stdlib.h>

#include "core/check.h"
#include "stream/check.h"
#include "sim/sim_inside.h"
#include "sim/sim_nature.h"

/* Everything is claimed once in so many steps, a connection in each of fewer: what is
 * wrong stays wrong, and lives are short. */
#define ALL_CLAIMS 8
#define SOME_CLAIMS 4

static int open_bare(struct sim_conn *conn)
{
	struct zcreq_conn_options options = {
		.size = sizeof(options),
		.hooks = &sim_conn_hooks,
		.arg = conn,
	};

	return zcreq_conn_open(conn->world->context, &options, &conn->conn);
}

/* Somebody else sends, and speaks when it likes; some so that nothing is due at once. */
static void through_sender(struct sim_conn *conn, struct zcreq_stream_options *options)
{
	struct sim_world *world = conn->world;
	struct fake_sender_knobs knobs = {
		.inside_of = (unsigned)sim_choose(world, 4),
		.waits = sim_chance(world, 1, 2),
		.error_of = (unsigned)sim_choose(world, 3),
		.batches_most = 256,
		.shuffles = sim_chance(world, 1, 2),
		.lies = sim_chance(world, 1, 4),
		.mute = !conn->lets_go && sim_chance(world, 1, 4),
		.no_reap = !conn->lets_go && sim_chance(world, 1, 3),
		.no_cancel = sim_chance(world, 1, 4),
		.seed = sim_choose(world, UINT32_MAX),
	};

	conn->sender = fake_sender_new(conn->sock, &knobs);
	fake_sender_options(conn->sender, options);
}

static int open_stream(struct sim_conn *conn)
{
	struct zcreq_stream_options options = {
		.size = sizeof(options),
		.hooks = &sim_conn_hooks,
		.arg = conn,
	};
	int ret;

	sim_nature_socket(conn, &options);
	if (sim_chance(conn->world, 2, 5))
		through_sender(conn, &options);
	ret = zcreq_stream_open(conn->world->context, &options, &conn->conn);
	if (ret && fake_socket_ops.close(options.fd, conn->sock))
		sim_fail(conn->world, "the descriptor was not left to the caller");
	if (!ret)
		sim_nature_opened(conn);
	if (!ret && zcreq_events_watch(conn->conn, conn))
		sim_fail(conn->world, "not watched");
	return ret;
}

int sim_inside_open(struct sim_conn *conn)
{
	return sim_chance(conn->world, 1, 12) ? open_bare(conn) : open_stream(conn);
}

static void process(struct sim_conn *conn, short bits)
{
	bool listened = sim_listen(conn->world, true);

	sim_trace(conn->world, "process c%u 0x%x", conn->number, (unsigned)bits);
	if (zcreq_process(conn->conn, bits))
		sim_fail(conn->world, "process failed");
	sim_listen(conn->world, listened);
}

/* What its sender has to say makes callbacks due, and runs none. */
static void listen_to_sender(struct sim_conn *conn)
{
	bool listened = sim_listen(conn->world, false);
	bool spoke = fake_sender_process(conn->sender);

	sim_listen(conn->world, listened);
	if (!spoke)
		return;
	sim_trace(conn->world, "c%u's sender has spoken", conn->number);
	sim_dispatch(conn->world);
}

void sim_inside_turn(struct sim_conn *conn)
{
	short events, bits;

	if (!conn->sock)
		return;
	if (conn->sender)
		listen_to_sender(conn);
	if (!conn->conn)
		return;
	events = zcreq_events(conn->conn);
	bits = events ? fake_socket_poll(conn->sock, events) : 0;
	if (bits)
		process(conn, bits);
}

void sim_inside_mistake(struct sim_conn *conn)
{
	uint64_t bits = sim_choose(conn->world, 256) & ~(uint64_t)(POLLHUP | POLLNVAL);

	if (conn->sock)
		process(conn, (short)bits);
}

void sim_inside_listen(struct sim_world *world)
{
	struct sim_conn *conn;

	while ((conn = zcreq_events_next(world->context)))
		conn->told_events = zcreq_events(conn->conn);
}

void sim_inside_claims(const struct sim_world *world)
{
	static enum { UNASKED, CLAIMS, CLAIMS_NOT } said;
	const struct sim_conn *conn;

	if (said == UNASKED)
		said = getenv("ZCREQ_SIM_OUTSIDE") ? CLAIMS_NOT : CLAIMS;
	if (said == CLAIMS_NOT)
		return;
	if (world->step % ALL_CLAIMS == 0) {
		zcreq_context_check(world->context);
		zcreq_streams_check(world->context);
		return;
	}
	LIST_FOREACH(conn, &world->conns, in_world) {
		if (conn->conn && zcreq_is_stream(conn->conn) &&
		    (conn->number + world->step) % SOME_CLAIMS == 0)
			zcreq_stream_check(zcreq_stream_of(conn->conn));
	}
}

/*
 * The one place that looks inside: these sums are asserted by the library when a
 * connection closes, and would be wrong long before.
 */
void sim_inside_check(const struct sim_conn *conn)
{
	const struct zcreq_stream *stream = zcreq_stream_of(conn->conn);
	struct fake_socket_report report;
	uint64_t unsent = 0;

	if (!zcreq_is_stream(conn->conn) || conn->heard_closed)
		return;
	fake_socket_report(conn->sock, &report);
	if (sim_conn_lives(conn))
		unsent = conn->queued - conn->checked + report.untold_bytes;
	if (zcreq_conn_state(conn->conn) != ZCREQ_CONN_CLOSED &&
	    zcreq_events(conn->conn) != conn->told_events)
		sim_fail(conn->world, "c%u: events 0x%x, its watcher was told 0x%x", conn->number,
			 (unsigned)zcreq_events(conn->conn), (unsigned)conn->told_events);
	if (stream->queue.unsent_bytes != unsent)
		sim_fail(conn->world, "c%u: %llu bytes unsent, should be %llu", conn->number,
			 (unsigned long long)stream->queue.unsent_bytes, (unsigned long long)unsent);
	if (stream->ids.pending != report.ids_unproven)
		sim_fail(conn->world, "I2: c%u waits for %u ids, should be for %llu", conn->number,
			 stream->ids.pending, (unsigned long long)report.ids_unproven);
	if (stream->queue.held_bytes < unsent ||
	    (!stream->queue.held_bytes != (stream->queue.head == stream->queue.tail)))
		sim_fail(conn->world, "c%u: %llu bytes held by %u sends, %llu unsent", conn->number,
			 (unsigned long long)stream->queue.held_bytes,
			 stream->queue.tail - stream->queue.head, (unsigned long long)unsent);
}
