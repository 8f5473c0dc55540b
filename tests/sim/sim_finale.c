/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_finale.c - how every run ends: calm, the end of all connections, nothing left
 *
 * First a calm, in which healthy connections must come to rest with nothing
 * stuck. Then all is ended, one way or another. A kernel that clings must lead to
 * quarantine, and when it lets go at last, out of it. Then the context is freed,
 * and there must be no leak.
 */
#include <stdlib.h>

#include "sim/sim_inside.h"
#include "sim/sim_life.h"
#include "sim/sim_world.h"

static void make_kind(struct sim_conn *conn)
{
	struct fake_knobs *knobs = fake_socket_knobs(conn->sock);

	fake_socket_set_hook(conn->sock, NULL, NULL);
	fake_socket_return(conn->sock);
	fake_socket_window(conn->sock, FAKE_NEVER);
	knobs->accept_once_bytes = FAKE_NEVER;
	knobs->sndbuf_bytes += 100000;
	knobs->accept_bytes = FAKE_NEVER;
	fake_socket_let_go(conn->sock, UINT32_MAX);
	if (conn->sender)
		fake_sender_knobs(conn->sender)->mute = false;
}

static uint64_t progress_of(const struct sim_world *world)
{
	struct fake_socket_report report;
	const struct sim_conn *conn;
	uint64_t sum = world->callbacks;

	LIST_FOREACH(conn, &world->conns, in_world) {
		if (!conn->sock)
			continue;
		fake_socket_report(conn->sock, &report);
		sum += report.accepted_bytes + report.acked_bytes + report.messages_read +
		       report.closed;
	}
	return sum;
}

/* Loop turns until several in a row changed nothing. */
static void calm(struct sim_world *world)
{
	unsigned turn, still = 0;
	struct sim_conn *conn;
	uint64_t before;

	for (turn = 0; still < 25; turn++) {
		before = progress_of(world);
		LIST_FOREACH(conn, &world->conns, in_world) {
			if (!conn->sock)
				continue;
			fake_socket_ack(conn->sock, FAKE_NEVER);
			sim_inside_poll(conn);
		}
		sim_inside_hand_in(world);
		fake_kernel_advance_ms(world->kernel, 5);
		sim_turn(world);
		still = progress_of(world) == before ? still + 1 : 0;
		if (turn == 20000)
			sim_fail(world, "the calm never ends");
	}
	sim_settle(world);
}

static void check_calm(struct sim_world *world)
{
	struct fake_socket_report report;
	struct sim_request *request;
	struct sim_conn *conn;

	LIST_FOREACH(request, &world->live, in_world)
		if (!request->conn->ended && request->finished && !request->hold_count &&
		    !request->heard_released)
			sim_fail(world, "I1: r%u is stuck on a healthy connection c%u",
				 request->number, request->conn->number);
	LIST_FOREACH(conn, &world->conns, in_world) {
		if (!conn->sock || !sim_conn_lives(conn))
			continue;
		if (conn->wants_room)
			sim_fail(world, "c%u was refused room and never told of it", conn->number);
		if (conn->next_entry)
			sim_fail(world, "c%u does not send what is queued", conn->number);
		fake_socket_report(conn->sock, &report);
		if (report.unproven_bytes)
			sim_fail(world, "c%u leaves proof unread", conn->number);
	}
}

static void end_connections(struct sim_world *world)
{
	struct sim_conn *conn;
	unsigned how;

	LIST_FOREACH(conn, &world->conns, in_world) {
		how = (unsigned)sim_choose(world, 3);
		if (!conn->conn || !sim_conn_lives(conn))
			continue;
		if (how == 0 && sim_own_writes(conn)) /* it has not all been sent */
			how = 1;
		sim_trace(world, "end c%u by %u", conn->number, how);
		if (how == 0 && zcreq_conn_drain(conn->conn, 0) == 0) {
			conn->drained = true;
			continue;
		}
		if (how == 0)
			continue;
		sim_conn_error(conn, how == 1 ? -103 : -125);
		sim_conn_ended(conn);
		if (how == 1 && zcreq_conn_abort(conn->conn, -103))
			sim_fail(world, "abort of a living connection failed");
		if (how == 2) {
			zcreq_conn_free(conn->conn);
			conn->conn = NULL;
			world->handles--;
		}
	}
}

static void end_requests(struct sim_world *world)
{
	struct sim_request *request;

	LIST_FOREACH(request, &world->live, in_world) {
		if (!request->finished)
			sim_finish_request(request, 0);
		while (request->hold_count)
			sim_drop_one(request, request->hold_count - 1, 0);
	}
}

static bool waits_for_kernel(const struct sim_world *world)
{
	const struct sim_conn *conn;

	LIST_FOREACH(conn, &world->conns, in_world)
		if (conn->ended && conn->live)
			return true;
	return false;
}

/* Time goes by; what is not proven by then must be in quarantine. */
static void sit_out(struct sim_world *world)
{
	struct sim_request *request;
	unsigned i;

	if (!waits_for_kernel(world))
		return;
	for (i = 0; i < 12; i++) {
		sim_turn(world);
		fake_kernel_advance_ms(world->kernel, 500);
	}
	sim_turn(world);
	sim_settle(world);
	LIST_FOREACH(request, &world->live, in_world)
		if (!request->heard_released && request->conn->ended &&
		    request->conn->ended_ms + request->conn->linger_ms + 1000 <
			    fake_kernel_now_ms(world->kernel) &&
		    !request->heard_quarantined)
			sim_fail(world, "r%u is neither released nor in quarantine",
				 request->number);
}

static void let_go(struct sim_world *world)
{
	struct sim_conn *conn;

	LIST_FOREACH(conn, &world->conns, in_world) {
		if (!conn->sock || !conn->ended)
			continue;
		fake_socket_knobs(conn->sock)->qdisc_bytes = 0;
		fake_socket_kill(conn->sock, 110);
		fake_socket_let_go(conn->sock, UINT32_MAX);
		if (conn->sender)
			fake_sender_knobs(conn->sender)->mute = false;
	}
}

/* As a program would: sleep until the deadline that the turn gave. */
static void run_out(struct sim_world *world)
{
	uint64_t now, deadline;
	struct zcreq_stats stats;
	struct sim_conn *conn;
	unsigned turn;

	for (turn = 0; turn < 2000; turn++) {
		/* Also of what only now ends, by a deadline of its drain. */
		let_go(world);
		LIST_FOREACH(conn, &world->conns, in_world) {
			if (conn->sock)
				fake_socket_ack(conn->sock, FAKE_NEVER);
			sim_inside_poll(conn);
		}
		sim_inside_hand_in(world);
		now = sim_now_ns(world);
		deadline = sim_turn(world);
		if (zcreq_context_stats(world->context, &stats, sizeof(stats)))
			sim_fail(world, "no statistics");
		if (!stats.connections_now && !stats.requests_now)
			return;
		if (deadline == ZCREQ_NEVER)
			fake_kernel_advance_ms(world->kernel, 1);
		else
			fake_kernel_advance_ms(world->kernel,
					       (uint64_t)zcreq_timeout_ms(deadline, now));
	}
	sim_fail(world, "%llu connections and %llu requests never end",
		 (unsigned long long)stats.connections_now,
		 (unsigned long long)stats.requests_now);
}

/* The counters of all lives, for the one who asks whether anything happened. */
static void add_stats(struct sim_outcome *outcome, const struct zcreq_stats *stats)
{
	outcome->stats.aborted += stats->aborted;
	outcome->stats.stale_handles += stats->stale_handles;
	outcome->stats.bogus_ranges += stats->bogus_ranges;
	outcome->stats.duplicate_ids += stats->duplicate_ids;
	outcome->stats.no_buffers += stats->no_buffers;
	outcome->stats.stalled_vanished += stats->stalled_vanished;
	outcome->stats.stalled_not_reading += stats->stalled_not_reading;
	outcome->stats.stalled_congested += stats->stalled_congested;
	outcome->stats.proved_detached += stats->proved_detached;
	outcome->stats.detach_refused += stats->detach_refused;
}

static void check_all_gone(struct sim_world *world)
{
	struct sim_request *request;
	struct zcreq_stats stats;
	struct sim_conn *conn;
	uint64_t deadline;
	int ret;

	sim_settle(world);
	if (world->live_count)
		sim_fail(world, "I1: %u requests were never released", world->live_count);
	LIST_FOREACH(request, &world->dead, in_world)
		if (request->heard_released != 1 || request->heard_settled != 1)
			sim_fail(world, "I1: r%u was released %u times, settled %u",
				 request->number, request->heard_released,
				 request->heard_settled);
	LIST_FOREACH(conn, &world->conns, in_world) {
		if (conn->conn && conn->heard_closed != 1)
			sim_fail(world, "c%u heard closed %u times", conn->number,
				 conn->heard_closed);
		zcreq_conn_free(conn->conn);
		conn->conn = NULL;
		sim_inside_leave(conn);
	}
	if (fake_kernel_open_sockets(world->kernel))
		sim_fail(world, "%u descriptors leak", fake_kernel_open_sockets(world->kernel));
	if (zcreq_context_stats(world->context, &stats, sizeof(stats)) || stats.holds_now ||
	    stats.quarantined_now || stats.quarantined_bytes_now)
		sim_fail(world, "gauges are not zero: holds %llu, quarantined %llu, %llu bytes",
			 (unsigned long long)stats.holds_now,
			 (unsigned long long)stats.quarantined_now,
			 (unsigned long long)stats.quarantined_bytes_now);
	add_stats(world->outcome, &stats);
	/* One alarm may be left of what is gone; it must not come back. */
	deadline = sim_turn(world);
	if (deadline != ZCREQ_NEVER && zcreq_turn(world->context, deadline) != ZCREQ_NEVER)
		sim_fail(world, "an empty context waits for something");
	ret = zcreq_context_free(world->context);
	world->context = NULL;
	if (ret)
		sim_fail(world, "context_free says %d", ret);
	if (world->fault.live_blocks)
		sim_fail(world, "%llu blocks leak", (unsigned long long)world->fault.live_blocks);
}

void sim_finale(struct sim_world *world)
{
	struct sim_conn *conn;

	world->nested = 0;
	alloc_fault_arm(&world->fault, 0, 0);
	if (!sim_chance(world, 1, 3)) {
		LIST_FOREACH(conn, &world->conns, in_world)
			if (conn->sock && sim_conn_lives(conn))
				make_kind(conn);
		sim_trace(world, "calm");
		calm(world);
		check_calm(world);
	}
	end_connections(world);
	sim_settle(world);
	end_requests(world);
	sim_settle(world);
	LIST_FOREACH(conn, &world->conns, in_world)
		if (conn->sock && sim_conn_lives(conn))
			make_kind(conn);
	sim_trace(world, "sit out");
	sit_out(world);
	run_out(world);
	check_all_gone(world);
}
