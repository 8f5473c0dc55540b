/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_own.c - a program with a queue of its own, which makes its sends itself
 *
 * The entries of the model that are not done are its queue. It gathers some of them, offers
 * them, calls sendmsg on the fake kernel and reports; between these the descriptor may be
 * processed, or the connection aborted. It finishes a request when the last byte of it was
 * taken, whatever the rest of the simulator has asked for before.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "sim/sim_inside.h"

/* of one call, and calls in a row */
#define MOST_PARTS 8
#define MOST_CALLS 6

/* A call that is being made. */
struct call {
	struct zcreq_part parts[MOST_PARTS];
	struct iovec iovs[MOST_PARTS];
	struct sim_request *requests[MOST_PARTS]; /* NULL: nobody's bytes */
	int count;
};

bool sim_own_pending(const struct sim_request *request)
{
	unsigned i;

	if (!request->conn->own || !sim_conn_lives(request->conn))
		return false;
	for (i = 0; i < request->send_count; i++)
		if (request->sends[i].entry &&
		    request->sends[i].entry->done < request->sends[i].entry->len)
			return true;
	return false;
}

bool sim_own_writes(const struct sim_conn *conn)
{
	const struct sim_entry *entry;

	if (conn->own)
		for (entry = conn->next_entry; entry; entry = TAILQ_NEXT(entry, in_conn))
			if (!entry->request)
				return true;
	return false;
}

uint64_t sim_own_quarantined(const struct sim_request *request)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < request->part_count; i++)
		if (fake_socket_unproven_part(request->conn->sock, request->parts[i].from,
					      request->parts[i].to))
			sum += request->parts[i].bytes;
	return sum;
}

/* The request that an entry is of, and where its bytes are. */
static const uint8_t *memory_of(struct sim_conn *conn, const struct sim_entry *entry,
				struct sim_request **of)
{
	struct sim_request *request;
	unsigned i;

	*of = NULL;
	if (!entry->request)
		return entry->bytes;
	LIST_FOREACH(request, &conn->world->live, in_world) {
		if (request != entry->request)
			continue;
		*of = request;
		for (i = 0; i < request->send_count; i++)
			if (request->sends[i].entry == entry)
				return request->sends[i].memory;
	}
	sim_fail(conn->world, "c%u: a send of a request that is gone is still queued",
		 conn->number);
}

static void gather(struct sim_conn *conn, struct call *call)
{
	int most = 1 + (int)sim_choose(conn->world, MOST_PARTS);
	const struct sim_entry *entry;
	struct sim_request *request;
	const uint8_t *memory;

	call->count = 0;
	for (entry = conn->next_entry; entry && call->count < most;
	     entry = TAILQ_NEXT(entry, in_conn)) {
		memory = memory_of(conn, entry, &request);
		if (request && request->part_count + MOST_PARTS >= SIM_PARTS)
			return;
		call->parts[call->count].bytes = entry->len - entry->done;
		call->parts[call->count].id = request ? request->id : (zcreq_id){ 0 };
		call->iovs[call->count].iov_base = (void *)(uintptr_t)(memory + entry->done);
		call->iovs[call->count].iov_len = entry->len - entry->done;
		call->requests[call->count++] = request;
	}
}

/* In the middle of it: something is processed, or all of it ends. No callback runs. */
static void meddle(struct sim_conn *conn)
{
	struct sim_world *world = conn->world;
	bool listened = sim_listen(world, false);
	short bits;

	if (sim_chance(world, 1, 8)) {
		bits = fake_socket_poll(conn->sock, zcreq_events(conn->conn));
		sim_trace(world, "process c%u 0x%x in the middle of a call", conn->number,
			  (unsigned)bits);
		if (zcreq_process(conn->conn, bits))
			sim_fail(world, "process failed");
	}
	if (sim_chance(world, 1, 60) && sim_conn_lives(conn)) {
		sim_trace(world, "abort c%u in the middle of a call", conn->number);
		sim_conn_error(conn, -EIO);
		sim_conn_ended(conn);
		if (zcreq_conn_abort(conn->conn, -EIO))
			sim_fail(world, "abort of a living connection failed");
	}
	sim_listen(world, listened);
}

/*
 * What the library holds for this call, until its range is proven: what was taken of each
 * part, or after an abort all of each part of which something was.
 */
static void note_parts(struct call *call, uint64_t from, uint64_t taken, bool whole)
{
	uint64_t left = taken, bytes;
	struct sim_request *request;
	int i;

	for (i = 0; i < call->count; i++) {
		bytes = call->parts[i].bytes < left ? call->parts[i].bytes : left;
		left -= bytes;
		request = call->requests[i];
		if (request && bytes)
			request->parts[request->part_count++] = (struct sim_part){
				whole ? call->parts[i].bytes : bytes, from, from + taken,
			};
	}
}

static int64_t make_call(struct sim_conn *conn, struct call *call, bool by_reference)
{
	const struct msghdr header = {
		.msg_iov = call->iovs,
		.msg_iovlen = (__typeof__(header.msg_iovlen))call->count,
	};

	return fake_socket_ops.sendmsg(fake_socket_fd(conn->sock), &header,
				       MSG_DONTWAIT | MSG_NOSIGNAL |
					       (by_reference ? MSG_ZEROCOPY : 0), conn->sock);
}

static void report(struct sim_conn *conn, struct call *call, int64_t result, bool by_reference,
		   uint64_t from)
{
	const bool lived = sim_conn_lives(conn);
	int ret = zcreq_sent(conn->conn, result, by_reference);

	sim_trace(conn->world, "c%u sent %lld%s: %d", conn->number, (long long)result,
		  by_reference ? " by reference" : "", ret);
	if (ret)
		sim_fail(conn->world, "c%u: a report says %d", conn->number, ret);
	if (result > 0 && by_reference)
		note_parts(call, from, (uint64_t)result, !lived);
	conn->wants_room |= result == -EAGAIN || result == -EINTR || result == 0 ||
			    (!by_reference && (result == -ENOBUFS || result == -ENOMEM));
}

/* Did it take anything? */
static bool one_call(struct sim_conn *conn)
{
	struct sim_world *world = conn->world;
	uint64_t calls, from = conn->checked;
	bool by_reference = false;
	int64_t result = -ECANCELED;
	struct call call;
	int ret;

	gather(conn, &call);
	if (!call.count)
		return false;
	ret = zcreq_offer(conn->conn, call.parts, call.count, &by_reference);
	sim_trace(world, "c%u offers %d parts%s: %d", conn->number, call.count,
		  by_reference ? " by reference" : "", ret);
	if (ret && ret != -EAGAIN && (ret != -ENOMEM || !world->fault.failed))
		sim_fail(world, "offer says %d", ret);
	conn->wants_room = ret == -EAGAIN;
	if (ret)
		return false;
	meddle(conn);
	by_reference = by_reference && !sim_chance(world, 1, 8);
	if (sim_conn_lives(conn))
		result = make_call(conn, &call, by_reference);
	sim_stream_check(conn);
	if (sim_conn_lives(conn))
		meddle(conn);
	calls = world->fault.calls;
	report(conn, &call, result, by_reference, from);
	if (world->fault.calls != calls && sim_conn_lives(conn))
		sim_fail(world, "I7: a report allocates");
	return result > 0;
}

static void finish_those_done(struct sim_conn *conn)
{
	struct sim_request *request, *next;

	for (request = LIST_FIRST(&conn->world->live); request; request = next) {
		next = LIST_NEXT(request, in_world);
		if (request->conn == conn && request->finishes && !request->finished)
			sim_finish_request(request, 0);
	}
}

void sim_own_pump(struct sim_conn *conn)
{
	unsigned calls = 0;

	if (!conn->own)
		return;
	while (calls++ < MOST_CALLS && conn->conn && sim_conn_lives(conn) && one_call(conn))
		continue;
	finish_those_done(conn);
}
