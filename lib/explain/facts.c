/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * facts.c - what the core knows of requests, connections and contexts
 *
 * This is also the only file that asks the dynamic linker (dladdr), for the place at
 * which a hold was taken.
 */
#include "explain/facts.h"

#include <dlfcn.h>
#include <string.h>

#include "base/words.h"

static const char *const state_names[] = {
	[ZCREQ_STATE_OPEN] = "open",
	[ZCREQ_STATE_FINISHED] = "finished",
	[ZCREQ_STATE_ABORTING] = "aborting",
	[ZCREQ_STATE_ABORTED_FINISHED] = "aborted-finished",
	[ZCREQ_STATE_QUARANTINED] = "quarantined",
	[ZCREQ_STATE_DONE] = "done",
};

/* ---- a request ---- */

/* No hold is older than its request: where a drop came between two of them before a turn,
 * the turn may have missed the second one. */
static uint32_t taken_since(const struct zcreq_hold_slot *hold)
{
	const uint32_t begun = hold->request->slot.since;

	return (int32_t)(hold->slot.since - begun) > 0 ? hold->slot.since : begun;
}

static struct zcreq_hold_facts look_at_hold(const struct zcreq_context *context,
					    const struct zcreq_hold_slot *hold)
{
	struct zcreq_hold_facts facts = {
		.handle = zcreq_slot_bits(&hold->slot),
		.age_ns = zcreq_facts_age_ns(context, taken_since(hold)),
		.taken_at = (uintptr_t)hold->taker,
	};
	const char *slash;
	Dl_info info;

	if (!dladdr(hold->taker, &info))
		return facts;
	slash = strrchr(info.dli_fname, '/');
	facts.taken_in = slash ? slash + 1 : info.dli_fname;
	facts.taken_at -= (uintptr_t)info.dli_fbase;
	facts.taken_by = info.dli_sname;
	return facts;
}

/* The holds of a request: the table of all is gone through, since nobody keeps lists. */
static void look_at_holds(const struct zcreq_request *request, struct zcreq_request_facts *facts)
{
	const struct zcreq_context *context = request->conn->context;
	uint32_t wanted = request->holds < ZCREQ_FACTS_HOLDS ? request->holds : ZCREQ_FACTS_HOLDS;

	for (uint32_t i = 0; i < context->holds.made && facts->holds_seen < wanted; i++) {
		const struct zcreq_hold_slot *hold = (const struct zcreq_hold_slot *)zcreq_slots_at(
			&context->holds, i, sizeof(*hold));

		if (zcreq_slot_in_use(&hold->slot) && hold->request == request)
			facts->holds[facts->holds_seen++] = look_at_hold(context, hold);
	}
}

static void look_at_request(const struct zcreq_request *request, uint64_t unacked_bytes,
			    struct zcreq_request_facts *facts)
{
	*facts = (struct zcreq_request_facts){
		.handle = request->slot.bits,
		.conn_number = request->conn->number,
		.status = request->status,
		.state = state_names[request->state],
		.age_ns = zcreq_facts_age_ns(request->conn->context, request->slot.since),
		.send_bytes = request->send_bytes,
		.send_count = request->sends,
		.hold_count = request->holds,
		.quarantine_in_ns = ZCREQ_UNKNOWN,
	};
	look_at_holds(request, facts);
	if (request->state == ZCREQ_STATE_DONE)
		zcreq_facts_wait(facts, "zcreq_turn()");
	if (request->state == ZCREQ_STATE_OPEN || request->state == ZCREQ_STATE_ABORTING)
		zcreq_facts_wait(facts, "its owner's zcreq_finish()");
	if (request->holds)
		zcreq_facts_wait(facts, "the caller's zcreq_drop()");
	if (request->sends)
		zcreq_sends_look(request, unacked_bytes, facts);
}

void zcreq_request_look(const struct zcreq_request *request, struct zcreq_request_facts *facts)
{
	uint64_t unacked_bytes = ZCREQ_UNKNOWN;

	if (request->sends) /* on a stream, then */
		unacked_bytes = zcreq_peer_look(zcreq_stream_of(request->conn)).unacked_bytes;
	look_at_request(request, unacked_bytes, facts);
}

/* ---- a connection ---- */

void zcreq_conn_look(const struct zcreq_conn *conn, uint32_t most,
		     struct zcreq_request_facts *requests, struct zcreq_conn_facts *facts)
{
	const struct zcreq_request *request;

	*facts = (struct zcreq_conn_facts){
		.number = conn->number,
		.status = conn->status,
		.cause = (enum zcreq_cause)conn->cause,
		.state = zcreq_conn_state_word(conn->state),
		.request_count = conn->request_count,
		.requests = requests,
	};
	if (zcreq_is_stream(conn))
		facts->stream = zcreq_stream_look(zcreq_stream_of(conn));
	TAILQ_FOREACH(request, &conn->requests, in_conn) {
		if (facts->requests_seen == most)
			break;
		look_at_request(request, facts->stream.peer.unacked_bytes,
				&requests[facts->requests_seen++]);
	}
}

/* ---- a context ---- */

/* Those with the oldest request first; without one they come last. In the end by their numbers. */
static bool is_older(const struct zcreq_conn *a, const struct zcreq_conn *b)
{
	const struct zcreq_request *first = TAILQ_FIRST(&a->requests);
	const struct zcreq_request *second = TAILQ_FIRST(&b->requests);
	const uint32_t now = a->context->now;

	if (first && second && first->slot.since != second->slot.since)
		return now - first->slot.since > now - second->slot.since;
	if (!first != !second)
		return first != NULL;
	return a->number < b->number;
}

static void swap(const struct zcreq_conn **a, const struct zcreq_conn **b)
{
	const struct zcreq_conn *conn = *a;

	*a = *b;
	*b = conn;
}

/* In a heap none is older than one below it, but for the one @at a place: that sinks. */
static void sink(const struct zcreq_conn **heap, uint32_t count, uint32_t at)
{
	for (uint32_t below = 2 * at + 1; below < count; below = 2 * at + 1) {
		if (below + 1 < count && is_older(heap[below], heap[below + 1]))
			below++;
		if (is_older(heap[below], heap[at]))
			break;
		swap(&heap[at], &heap[below]);
		at = below;
	}
}

static void make_heap(const struct zcreq_conn **conns, uint32_t count)
{
	for (uint32_t at = count / 2; at--;)
		sink(conns, count, at);
}

/* A heap's youngest is taken from its top, as often as there is one, and put behind the rest. */
static void sort(const struct zcreq_conn **conns, uint32_t count)
{
	make_heap(conns, count);
	while (count > 1) {
		swap(&conns[0], &conns[--count]);
		sink(conns, count, 0);
	}
}

uint32_t zcreq_context_oldest(const struct zcreq_context *context, const struct zcreq_conn **oldest,
			      uint32_t most, uint32_t *conn_count)
{
	const struct zcreq_conn *conn;
	uint32_t count = 0;

	*conn_count = 0;
	TAILQ_FOREACH(conn, &context->conns, in_context) {
		if (conn->state == ZCREQ_CONN_CLOSED)
			continue;
		++*conn_count;
		if (count < most) {
			oldest[count++] = conn;
			if (count == most)
				make_heap(oldest, count);
		} else if (most && is_older(conn, oldest[0])) {
			oldest[0] = conn;
			sink(oldest, count, 0);
		}
	}
	sort(oldest, count);
	return count;
}

void zcreq_context_look(const struct zcreq_context *context, struct zcreq_context_facts *facts)
{
	const struct zcreq_conn *oldest[ZCREQ_FACTS_CONNS];

	facts->stats = zcreq_context_look_stats(context);
	facts->conns_seen =
		zcreq_context_oldest(context, oldest, ZCREQ_FACTS_CONNS, &facts->conn_count);
	for (uint32_t i = 0; i < facts->conns_seen; i++)
		zcreq_conn_look(oldest[i], ZCREQ_FACTS_REQUESTS_OF_CONTEXT, facts->requests[i],
				&facts->conns[i]);
}
