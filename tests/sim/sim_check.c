/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_check.c - what must hold at any time, and what after a dispatch
 */
#include <stdio.h>

#include "sim_world.h"

static void check_sockets(struct sim_world *world)
{
	struct fake_socket_report report;
	struct sim_conn *conn;

	for (conn = world->conns; conn; conn = conn->next) {
		if (!conn->sock)
			continue;
		sim_stream_check(conn);
		fake_socket_report(conn->sock, &report);
		if (report.closed_holding_bytes || report.closed_unproven_bytes)
			sim_fail(world, "I9: c%u: descriptor closed over %llu bytes held, %llu unproven",
				 conn->number, (unsigned long long)report.closed_holding_bytes,
				 (unsigned long long)report.closed_unproven_bytes);
		if (report.foreign_bytes)
			sim_fail(world, "c%u: %llu foreign bytes at the peer", conn->number,
				 (unsigned long long)report.foreign_bytes);
		if (report.messages_cut)
			sim_fail(world, "c%u: a control message was cut", conn->number);
	}
}

static void check_stats(struct sim_world *world)
{
	struct zcreq_stats stats;

	if (zcreq_context_stats(world->context, &stats, sizeof(stats)))
		sim_fail(world, "no statistics");
	if (stats.begun != world->request_count)
		sim_fail(world, "%llu begun, should be %u", (unsigned long long)stats.begun,
			 world->request_count);
	if (stats.begun - stats.released != stats.requests_now)
		sim_fail(world, "begun %llu - released %llu is not %llu now",
			 (unsigned long long)stats.begun, (unsigned long long)stats.released,
			 (unsigned long long)stats.requests_now);
	if (stats.stale_handles != world->stale)
		sim_fail(world, "I3: %llu stale handles counted, should be %llu",
			 (unsigned long long)stats.stale_handles, (unsigned long long)world->stale);
}

void sim_check(struct sim_world *world)
{
	fake_kernel_audit(world->kernel);
	if (fake_kernel_violations(world->kernel))
		sim_fail(world, "%s", fake_kernel_violation(world->kernel, 0));
	if (world->fault.bad_frees)
		sim_fail(world, "free of what is not allocated");
	check_sockets(world);
	check_stats(world);
}

static uint64_t held_of(const struct sim_request *request)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < request->buffer_count; i++)
		sum += fake_kernel_references(request->conn->world->kernel,
					      request->buffers[i].memory, request->buffers[i].len);
	return sum;
}

/* Nothing is due: every request must have heard what is known about it. */
static void check_settled(struct sim_world *world)
{
	struct sim_request *request;
	struct sim_conn *conn;

	for (request = world->requests; request; request = request->next) {
		conn = request->conn;
		if (request->heard_released)
			continue;
		if ((request->error || conn->ended) && !request->heard_settled)
			sim_fail(world, "I4: r%u of c%u has no outcome after a dispatch",
				 request->number, conn->number);
		if ((conn->ended || request->withdrawn) && !request->finished && !request->heard_aborting)
			sim_fail(world, "r%u of c%u heard no aborting", request->number,
				 conn->number);
		if (!request->finished || request->hold_count)
			continue;
		if (!request->buffer_count || request->withdrawn)
			sim_fail(world, "I1: r%u has nothing to wait for", request->number);
		if (conn->ended && conn->lets_go)
			sim_fail(world, "I5: r%u of c%u not released, held %llu", request->number,
				 conn->number, (unsigned long long)held_of(request));
	}
}

static void check_closed(struct sim_world *world)
{
	struct fake_socket_report report;
	struct sim_conn *conn;

	for (conn = world->conns; conn; conn = conn->next) {
		if (!conn->ended || !conn->lets_go || conn->live)
			continue;
		if (conn->conn && !conn->heard_closed)
			sim_fail(world, "c%u has nothing left and is not closed", conn->number);
		if (!conn->sock)
			continue;
		fake_socket_report(conn->sock, &report);
		if (!report.closed)
			sim_fail(world, "c%u has nothing left, its descriptor is open",
				 conn->number);
	}
}

void sim_settle(struct sim_world *world)
{
	unsigned round;
	int ran;

	for (round = 0; round < 1000; round++) {
		ran = zcreq_dispatch(world->context);
		if (ran < 0)
			sim_fail(world, "dispatch says %d", ran);
		if (!ran)
			break;
	}
	if (round == 1000)
		sim_fail(world, "dispatch never ends");
	sim_check(world);
	check_settled(world);
	check_closed(world);
}
