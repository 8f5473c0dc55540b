/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_hear.c - what the library says, held against the model at that moment
 *
 * Each check names the invariant of doc/architecture.md that it is for, where it is one.
 * Every callback may then act, as a program would.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim_detach.h"
#include "sim/sim_inside.h"
#include "sim/sim_life.h"
#include "sim/sim_world.h"

static uint64_t memory_unproven(const struct sim_request *request)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < request->send_count; i++)
		sum += fake_socket_unproven(request->conn->sock, request->sends[i].memory,
					    request->sends[i].len);
	return sum;
}

/* I6: a callback begins, where one may; there is never one within another. */
static void enter(struct sim_world *world)
{
	if (!world->listens)
		sim_fail(world, "I6: a callback from a call that makes none");
	if (world->in_callback)
		sim_fail(world, "I6: a callback inside a callback");
	world->in_callback = true;
	world->listens = false;
	world->callbacks++;
}

static void leave(struct sim_world *world)
{
	sim_callback_action(world);
	world->in_callback = false;
	world->listens = true;
}

static void on_settled(zcreq_id id, int status, void *arg)
{
	struct sim_request *request = arg;
	struct sim_world *world = request->conn->world;
	unsigned i;

	sim_trace(world, "-> settled r%u %d", request->number, status);
	enter(world);
	if (id.bits != request->id.bits)
		sim_fail(world, "settled with another's id");
	if (request->heard_settled++ || request->heard_released)
		sim_fail(world, "I1: r%u settled twice or late", request->number);
	if (status > 0 || (request->error && status != request->error))
		sim_fail(world, "r%u settled with %d, the first error was %d", request->number,
			 status, request->error);
	if (!request->error && status && sim_conn_lives(request->conn))
		sim_fail(world, "r%u failed with %d and nobody knows why", request->number, status);
	request->told = status;
	sim_stream_check(request->conn);
	for (i = 0; i < request->send_count && !status; i++) {
		const struct sim_entry *entry = request->sends[i].entry;

		if (!entry || entry->done < entry->len)
			sim_fail(world, "r%u succeeded with unsent bytes", request->number);
		if (fake_socket_lost(request->conn->sock, entry->offset,
				     entry->offset + entry->len))
			sim_fail(world, "r%u succeeded, its bytes were lost", request->number);
	}
	if (!status && !request->finished)
		sim_fail(world, "r%u succeeded before it was finished", request->number);
	leave(world);
}

static void on_released(zcreq_id id, int status, void *arg)
{
	struct sim_request *request = arg;
	struct sim_world *world = request->conn->world;
	unsigned i;

	sim_trace(world, "-> released r%u %d", request->number, status);
	enter(world);
	if (id.bits != request->id.bits)
		sim_fail(world, "released with another's id");
	if (request->heard_released++)
		sim_fail(world, "I1: r%u released twice", request->number);
	if (!request->heard_settled || request->told != status)
		sim_fail(world, "r%u released with %d, settled with %d", request->number, status,
			 request->told);
	if (request->hold_count || !request->finished)
		sim_fail(world, "I2: r%u released with %u holds, finished %d", request->number,
			 request->hold_count, request->finished);
	if (request->conn->sock)
		sim_detach_notice(request->conn);
	if (memory_unproven(request))
		sim_fail(world, "I2: r%u released, the kernel holds %llu bytes", request->number,
			 (unsigned long long)memory_unproven(request));
	for (i = 0; i < request->send_count; i++) {
		fake_socket_readable(request->conn->sock, request->sends[i].memory,
				     request->sends[i].len);
		memset(request->sends[i].memory, 0xdb, request->sends[i].len);
		sim_memory_give(&world->memory, request->sends[i].memory);
	}
	request->send_count = 0;
	request->conn->live--;
	world->quarantined -= request->heard_quarantined;
	LIST_REMOVE(request, in_world);
	LIST_INSERT_HEAD(&world->dead, request, in_world);
	world->live_count--;
	world->dead_count++;
	leave(world);
}

static void on_aborting(zcreq_id id, int status, void *arg)
{
	struct sim_request *request = arg;
	struct sim_world *world = request->conn->world;

	sim_trace(world, "-> aborting r%u %d", request->number, status);
	enter(world);
	if (id.bits != request->id.bits || status >= 0)
		sim_fail(world, "aborting r%u with status %d", request->number, status);
	if (request->heard_aborting++ || request->finished || request->heard_released)
		sim_fail(world, "r%u heard aborting %u times, finished %d, released %u",
			 request->number, request->heard_aborting, request->finished,
			 request->heard_released);
	if (request->finishes || sim_chance(world, 2, 3))
		sim_finish_request(request, -EIO);
	leave(world);
}

static void on_quarantined(zcreq_id id, void *arg)
{
	struct sim_request *request = arg;
	struct sim_world *world = request->conn->world;
	uint64_t waited = fake_kernel_now_ms(world->kernel) - request->conn->ended_ms;

	sim_trace(world, "-> quarantined r%u", request->number);
	enter(world);
	if (id.bits != request->id.bits || request->heard_quarantined++ || request->heard_released)
		sim_fail(world, "r%u quarantined twice or late", request->number);
	if (!request->conn->ended || waited < request->conn->linger_ms)
		sim_fail(world, "r%u quarantined after %llu ms, linger is %u", request->number,
			 (unsigned long long)waited, request->conn->linger_ms);
	if (sim_detach_missed(request->conn))
		sim_fail(world, "r%u quarantined, and not detached before", request->number);
	/* the proof may come between the deadline and this; then it is not told */
	if (!memory_unproven(request))
		sim_fail(world, "r%u quarantined, all of it was proven", request->number);
	world->quarantined++;
	world->outcome->quarantined++;
	leave(world);
}

const struct zcreq_request_hooks sim_request_ops = {
	.released = on_released,
	.settled = on_settled,
	.aborting = on_aborting,
	.quarantined = on_quarantined,
};

static void hook_abort(struct zcreq_conn *handle, int status, void *arg)
{
	struct sim_conn *conn = arg;

	sim_trace(conn->world, "-> abort c%u %d", conn->number, status);
	enter(conn->world);
	if (handle != conn->conn || status >= 0 || conn->heard_abort++ || conn->heard_closed)
		sim_fail(conn->world, "abort hook of c%u: freed, twice or late", conn->number);
	/* If the library did it, then not before the turn that still found it alive. */
	if (!conn->ended) {
		sim_conn_ended(conn);
		conn->ended_ms = conn->alive_ms;
	}
	leave(conn->world);
}

static void hook_closed(struct zcreq_conn *handle, int status, void *arg)
{
	struct sim_conn *conn = arg;
	struct fake_socket_report report;

	sim_trace(conn->world, "-> closed c%u %d", conn->number, status);
	enter(conn->world);
	if (handle != conn->conn || conn->heard_closed++)
		sim_fail(conn->world, "closed hook of c%u: freed or twice", conn->number);
	if (conn->live)
		sim_fail(conn->world, "c%u closed with %u requests", conn->number, conn->live);
	if (status > 0 || (status && !conn->heard_abort) || (!status && conn->heard_abort))
		sim_fail(conn->world, "c%u closed with %d, aborted %u", conn->number, status,
			 conn->heard_abort);
	sim_stream_check(conn);
	if (conn->sock) {
		fake_socket_report(conn->sock, &report);
		if (report.closed)
			sim_fail(conn->world, "c%u: descriptor closed before the hook",
				 conn->number);
		if (report.unproven_bytes)
			sim_fail(conn->world, "I9: c%u closed, %llu bytes unproven", conn->number,
				 (unsigned long long)report.unproven_bytes);
		if (!status && (report.acked_bytes != report.accepted_bytes || !report.fin_acked))
			sim_fail(conn->world, "I11: c%u drained, the peer has %llu of %llu bytes",
				 conn->number, (unsigned long long)report.acked_bytes,
				 (unsigned long long)report.accepted_bytes);
		if (zcreq_conn_cause(handle) == ZCREQ_CAUSE_NONE ||
		    !status != (zcreq_conn_cause(handle) == ZCREQ_CAUSE_DRAINED))
			sim_fail(conn->world, "c%u closed with %d because of %d", conn->number,
				 status, zcreq_conn_cause(handle));
		if (!status && conn->next_entry)
			sim_fail(conn->world, "c%u drained with unsent bytes", conn->number);
	}
	leave(conn->world);
}

static void hook_room(struct zcreq_conn *handle, void *arg)
{
	struct sim_conn *conn = arg;

	sim_trace(conn->world, "-> room c%u", conn->number);
	enter(conn->world);
	if (handle != conn->conn || conn->heard_abort)
		sim_fail(conn->world, "room hook of c%u after its end", conn->number);
	conn->wants_room = false;
	if (sim_chance(conn->world, 1, 2))
		sim_own_pump(conn);
	leave(conn->world);
}

static void hook_stalled(struct zcreq_conn *handle, enum zcreq_stall verdict, void *arg)
{
	struct fake_socket_report report;
	struct sim_conn *conn = arg;

	sim_trace(conn->world, "-> stalled c%u %d", conn->number, verdict);
	enter(conn->world);
	if (handle != conn->conn || conn->heard_closed)
		sim_fail(conn->world, "stalled hook of c%u after its end", conn->number);
	fake_socket_report(conn->sock, &report);
	if (verdict == ZCREQ_STALL_VANISHED && report.asked_heard_ms < conn->stall_ms)
		sim_fail(conn->world, "c%u called vanished, heard %llu ms ago", conn->number,
			 (unsigned long long)report.asked_heard_ms);
	leave(conn->world);
}

static void hook_message(struct zcreq_conn *handle, const struct msghdr *message, void *arg)
{
	struct sim_conn *conn = arg;

	sim_trace(conn->world, "-> message c%u", conn->number);
	enter(conn->world);
	if (handle != conn->conn || !message || conn->heard_closed)
		sim_fail(conn->world, "message hook of c%u after its end", conn->number);
	leave(conn->world);
}

const struct zcreq_conn_hooks sim_conn_hooks = {
	.abort = hook_abort,
	.closed = hook_closed,
	.room = hook_room,
	.stalled = hook_stalled,
	.message = hook_message,
};
