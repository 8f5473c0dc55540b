/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_check.c - what must hold after every step, and when nothing is due
 */
#include "sim/sim_detach.h"
#include "sim/sim_inside.h"
#include "sim/sim_world.h"

/* System calls that one action may make beside those that achieved something: a few
 * for each connection, and the failures that were planned. */
#define CALLS_LEAST 200

static unsigned long long ull(uint64_t number)
{
	return number;
}

static void check_socket(const struct sim_conn *conn)
{
	struct fake_socket_report report;

	fake_socket_report(conn->sock, &report);
	if (report.closed_holding_bytes || report.closed_unproven_bytes)
		sim_fail(conn->world, "I9: c%u: descriptor closed over %llu bytes held, %llu unproven",
			 conn->number, ull(report.closed_holding_bytes),
			 ull(report.closed_unproven_bytes));
	if (report.foreign_bytes)
		sim_fail(conn->world, "c%u: %llu foreign bytes at the peer", conn->number,
			 ull(report.foreign_bytes));
	if (report.messages_cut)
		sim_fail(conn->world, "c%u: a control message was cut", conn->number);
}

static void check_stats(const struct sim_world *world)
{
	struct zcreq_stats stats;

	if (zcreq_context_stats(world->context, &stats, sizeof(stats)))
		sim_fail(world, "no statistics");
	if (stats.begun != world->request_count)
		sim_fail(world, "%llu begun, should be %u", ull(stats.begun), world->request_count);
	if (stats.requests_now != world->live_count || stats.released != world->dead_count)
		sim_fail(world, "I1: %llu now and %llu released, should be %u and %u",
			 ull(stats.requests_now), ull(stats.released), world->live_count,
			 world->dead_count);
	if (stats.holds_now != world->holds)
		sim_fail(world, "%llu holds, should be %u", ull(stats.holds_now), world->holds);
	if (stats.stale_handles != world->stale)
		sim_fail(world, "I3: %llu stale handles counted, should be %llu",
			 ull(stats.stale_handles), ull(world->stale));
}

/* I8: calls are made for what there is to do, not over and over. */
static void check_work(struct sim_world *world)
{
	uint64_t calls, work;

	fake_kernel_effort(world->kernel, &calls, &work);
	if (calls - world->calls_seen > CALLS_LEAST * (1 + world->acted) +
						4 * (work - world->work_seen))
		sim_fail(world, "I8: %llu system calls for %llu messages and sends",
			 ull(calls - world->calls_seen), ull(work - world->work_seen));
	world->calls_seen = calls;
	world->work_seen = work;
	world->acted = 0;
}

void sim_check(struct sim_world *world)
{
	struct sim_conn *conn;

	fake_kernel_audit(world->kernel);
	if (fake_kernel_violations(world->kernel))
		sim_fail(world, "%s", fake_kernel_violation(world->kernel, 0));
	if (world->fault.bad_frees)
		sim_fail(world, "free of what is not allocated");
	LIST_FOREACH(conn, &world->conns, in_world) {
		if (!conn->sock)
			continue;
		sim_stream_check(conn);
		check_socket(conn);
		if (conn->conn)
			sim_inside_check(conn);
	}
	sim_detach_check(world);
	check_stats(world);
	check_work(world);
	sim_inside_claims(world);
}

/* I12: somebody will look at whoever owes the acknowledgement of anything, copies included. */
void sim_check_deadline(const struct sim_world *world, uint64_t deadline_ns)
{
	struct fake_socket_report report;
	const struct sim_conn *conn;

	if (deadline_ns != ZCREQ_NEVER)
		return;
	LIST_FOREACH(conn, &world->conns, in_world) {
		if (!conn->sock || !conn->stall_ms || !sim_conn_lives(conn))
			continue;
		fake_socket_report(conn->sock, &report);
		if (!report.died && report.accepted_bytes > report.acked_bytes)
			sim_fail(world, "I12: c%u has %llu bytes unacknowledged, nobody will look",
				 conn->number, ull(report.accepted_bytes - report.acked_bytes));
	}
}

static uint64_t held_of(const struct sim_request *request)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < request->send_count; i++)
		sum += fake_kernel_references(request->conn->world->kernel,
					      request->sends[i].memory, request->sends[i].len);
	return sum;
}

/* The kernel has taken all of it, and given all of it back, and the library has read
 * that. */
static bool is_proven(const struct sim_request *request)
{
	unsigned i;

	for (i = 0; i < request->send_count; i++) {
		const struct sim_entry *entry = request->sends[i].entry;

		if (request->sends[i].detached)
			continue;
		if (request->conn->sock && fake_socket_lent(request->conn->sock,
							    request->sends[i].memory,
							    request->sends[i].len))
			return false;
		if (entry && (entry->done < entry->len ||
			      fake_socket_unproven_part(request->conn->sock, entry->offset,
							entry->offset + entry->len)))
			return false;
	}
	return true;
}

/* Nothing is due: a request must have heard what is known about it. */
static void check_request(const struct sim_request *request)
{
	const struct sim_world *world = request->conn->world;
	const struct sim_conn *conn = request->conn;

	if ((request->error || conn->ended) && !request->heard_settled)
		sim_fail(world, "I4: r%u of c%u has no outcome after a turn", request->number,
			 conn->number);
	if ((conn->ended || request->withdrawn) && !request->finished && !request->heard_aborting)
		sim_fail(world, "r%u of c%u heard no aborting", request->number, conn->number);
	if (!request->finished || request->hold_count)
		return;
	if (conn->ended && conn->lets_go)
		sim_fail(world, "I5: r%u of c%u not released, held %llu", request->number,
			 conn->number, ull(held_of(request)));
	if (is_proven(request))
		sim_fail(world, "I1: r%u of c%u is lost, it has nothing to wait for",
			 request->number, conn->number);
}

/* Nothing is due: a connection that has nothing left is closed. */
static bool check_conn(const struct sim_conn *conn)
{
	struct fake_socket_report report = { .closed = true };
	bool over;

	if (conn->sock)
		fake_socket_report(conn->sock, &report);
	if (conn->ended && conn->lets_go && !conn->live) {
		if (conn->conn && !conn->heard_closed)
			sim_fail(conn->world, "c%u has nothing left and is not closed", conn->number);
		if (!report.closed)
			sim_fail(conn->world, "c%u has nothing left, its descriptor is open",
				 conn->number);
	}
	over = conn->conn ? conn->heard_closed : report.closed && !conn->live;
	if (conn->sock && over != report.closed)
		sim_fail(conn->world, "I9: c%u: descriptor closed %d, connection %d", conn->number,
			 report.closed, over);
	return over;
}

/* The sends of a request in quarantine of which the kernel may hold anything. */
static uint64_t quarantined_bytes(const struct sim_request *request)
{
	uint64_t sum = 0;
	unsigned i;

	if (request->conn->own)
		return sim_own_quarantined(request);
	for (i = 0; i < request->send_count; i++) {
		const struct sim_entry *entry = request->sends[i].entry;

		if (request->sends[i].detached)
			continue;
		if ((entry && entry->done &&
		     fake_socket_unproven_part(request->conn->sock, entry->offset,
					       entry->offset + entry->done)) ||
		    fake_socket_lent(request->conn->sock, request->sends[i].memory,
				     request->sends[i].len))
			sum += request->sends[i].len;
	}
	return sum;
}

static void check_gauges(const struct sim_world *world, unsigned open)
{
	const struct sim_request *request;
	struct zcreq_stats stats;
	uint64_t bytes = 0, count = 0;

	if (zcreq_context_stats(world->context, &stats, sizeof(stats)))
		sim_fail(world, "no statistics");
	if (stats.connections_now != open)
		sim_fail(world, "%llu connections, should be %u", ull(stats.connections_now), open);
	if (world->quarantined || stats.quarantined_now)
		LIST_FOREACH(request, &world->live, in_world) {
			uint64_t held = request->heard_quarantined ? quarantined_bytes(request) : 0;
			bool in = zcreq_request_state(world->context, request->id) ==
				  ZCREQ_STATE_QUARANTINED;

			if (in != (held > 0))
				sim_fail(world, "I1: r%u is %sin quarantine, with %llu bytes unproven",
					 request->number, in ? "" : "not ", ull(held));
			bytes += held;
			count += in;
		}
	if (stats.quarantined_now != count || stats.quarantined_bytes_now != bytes)
		sim_fail(world, "I1: %llu requests and %llu bytes in quarantine, should be %llu and %llu",
			 ull(stats.quarantined_now), ull(stats.quarantined_bytes_now),
			 ull(count), ull(bytes));
}

/* A turn without any reason, at once after one that says that nothing is due. */
static void check_nothing_due(struct sim_world *world)
{
	uint64_t callbacks = world->callbacks, calls, calls_before, work;
	bool listened = sim_listen(world, true);

	fake_kernel_effort(world->kernel, &calls_before, &work);
	world->spoke = false;
	zcreq_turn(world->context, 0);
	fake_kernel_effort(world->kernel, &calls, &work);
	sim_listen(world, listened);
	if (world->spoke) /* that wakes by itself */
		return;
	if (world->callbacks != callbacks)
		sim_fail(world, "I10: a turn ended, and %llu callbacks were due",
			 ull(world->callbacks - callbacks));
	if (calls != calls_before)
		sim_fail(world, "I10: a turn ended, and %llu system calls were due",
			 ull(calls - calls_before));
}

void sim_check_quiet(struct sim_world *world, uint64_t deadline_ns)
{
	const struct sim_conn *conn;

	LIST_FOREACH(conn, &world->conns, in_world)
		if (conn->conn && conn->sock)
			sim_inside_quiet(conn, deadline_ns);
	if (sim_chance(world, 1, 4))
		check_nothing_due(world);
}

/* Of a connection that is over and freed nothing is looked at again. */
static void retire(struct sim_conn *conn)
{
	sim_inside_leave(conn);
	LIST_REMOVE(conn, in_world);
	LIST_INSERT_HEAD(&conn->world->gone, conn, in_world);
	conn->world->active--;
}

void sim_settle(struct sim_world *world)
{
	struct sim_request *request;
	struct sim_conn *conn, *next;
	unsigned round, open = 0;

	for (round = 0; round < 1000 && sim_turn_again(world); round++)
		continue;
	if (round == 1000)
		sim_fail(world, "I6: turns never end");
	sim_check(world);
	LIST_FOREACH(request, &world->live, in_world)
		check_request(request);
	for (conn = LIST_FIRST(&world->conns); conn; conn = next) {
		next = LIST_NEXT(conn, in_world);
		if (!check_conn(conn))
			open++;
		else if (!conn->conn)
			retire(conn);
	}
	check_gauges(world, open);
}
