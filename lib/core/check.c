/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check.c - what holds of the core's structs between any two public calls
 *
 * A defect is cheapest where it happens. What goes wrong with a counter or a list shows
 * much later, in another call, as a request that is never released or an assertion about
 * something else; here it shows in the step that did it.
 *
 * It changes nothing and calls nobody back. It repeats nothing that the code does: the
 * counters that the code keeps are counted again from what they count.
 */
#include "core/check.h"

#include "core/message.h"

uint32_t zcreq_slots_check(const struct zcreq_slots *table, size_t size)
{
	uint32_t used = 0, free = 0, index;

	zcreq_assert(table->made <= table->limit);
	for (index = 0; index < table->made; index++)
		used += zcreq_slot_in_use(zcreq_slots_at(table, index, size));
	for (index = table->free; index != ZCREQ_SLOT_NONE; free++) {
		const struct zcreq_slot *slot;

		zcreq_assert(index < table->made);
		zcreq_assert(free < table->made); /* or the chain is a circle */
		slot = zcreq_slots_at(table, index, size);
		zcreq_assert(!zcreq_slot_in_use(slot));
		index = slot->next_free;
	}
	zcreq_assert(used + free == table->made);
	return used;
}

void zcreq_request_check(const struct zcreq_request *request)
{
	const struct zcreq_conn *conn = request->conn;
	const bool waits = request->sends || request->holds;

	zcreq_assert(zcreq_slots_find(&conn->context->requests, request->slot.bits,
				      sizeof(*request)) == &request->slot);
	zcreq_assert(request->hooks && request->hooks->released);
	zcreq_assert(!request->sends == !request->send_bytes);
	zcreq_assert(request->status <= 0);
	switch ((enum zcreq_state)request->state) {
	case ZCREQ_STATE_OPEN:
		break;
	case ZCREQ_STATE_FINISHED:
		zcreq_assert(waits);
		break;
	case ZCREQ_STATE_ABORTING:
		zcreq_assert(request->status);
		break;
	case ZCREQ_STATE_ABORTED_FINISHED:
		zcreq_assert(waits && request->status);
		/* the deadline has passed: only the caller's own holds are waited for */
		zcreq_assert(conn->state != ZCREQ_CONN_QUARANTINED || !request->sends);
		break;
	case ZCREQ_STATE_QUARANTINED:
		zcreq_assert(request->sends && request->status);
		zcreq_assert(conn->state == ZCREQ_CONN_QUARANTINED);
		break;
	case ZCREQ_STATE_DONE:
		zcreq_assert(!waits && request->due & ZCREQ_DUE_RELEASED);
		break;
	case ZCREQ_STATE_FREE:
	default:
		zcreq_bug("a request is in no state that it can be seen in");
	}
	zcreq_assert(request->state == ZCREQ_STATE_DONE || !(request->due & ZCREQ_DUE_RELEASED));
	/* as long as nothing was told of it, nothing is due */
	zcreq_assert(request->state == ZCREQ_STATE_DONE || request->status || !request->due);
	zcreq_assert(zcreq_conn_sends(conn) || request->state >= ZCREQ_STATE_ABORTING);
}

/* Counts what the connection counts of its requests. */
static void check_requests(const struct zcreq_conn *conn)
{
	uint64_t holds = 0, quarantined = 0, bytes = 0;
	const struct zcreq_request *request;
	uint32_t count = 0;

	TAILQ_FOREACH(request, &conn->requests, in_conn) {
		zcreq_assert(request->conn == conn);
		zcreq_assert(count++ < conn->request_count);
		zcreq_request_check(request);
		holds += request->holds;
		if (request->state == ZCREQ_STATE_QUARANTINED) {
			quarantined++;
			bytes += request->send_bytes;
		}
	}
	zcreq_assert(count == conn->request_count);
	zcreq_assert(conn->stats.holds_now == holds);
	zcreq_assert(conn->stats.quarantined_now == quarantined);
	zcreq_assert(conn->stats.quarantined_bytes_now == bytes);
}

/* In which of the context's lists it may be, and when it wants to be looked at. */
static void check_lists(const struct zcreq_conn *conn)
{
	const struct zcreq_context *context = conn->context;

	zcreq_assert(conn->watch >= ZCREQ_WATCH_NONE && conn->watch <= ZCREQ_WATCH_CHANGED);
	zcreq_assert(conn->watch == ZCREQ_WATCH_NONE || context->poller);
	zcreq_assert(!conn->timer_list || conn->timer_list == &context->stirred ||
		     conn->timer_list == &context->alarms);
	zcreq_assert(conn->timer_list != &context->alarms ||
		     conn->alarm_ns >= context->next_alarm_ns);
	zcreq_assert(conn->message_count <= ZCREQ_MESSAGES_MAX);
	zcreq_assert(!conn->message_count == STAILQ_EMPTY(&conn->messages));
}

void zcreq_conn_check(const struct zcreq_conn *conn)
{
	zcreq_assert(conn->context && conn->transport && conn->hooks);
	zcreq_assert(conn->owners == 1 || conn->owners == 2);
	check_requests(conn);
	check_lists(conn);
	switch ((enum zcreq_conn_state)conn->state) {
	case ZCREQ_CONN_OPEN:
		zcreq_assert(!conn->status);
		break;
	case ZCREQ_CONN_DRAINING:
		zcreq_assert(!conn->status);
		zcreq_assert(conn->request_count || !conn->transport->idle(conn));
		break;
	case ZCREQ_CONN_ABORTING:
	case ZCREQ_CONN_QUARANTINED:
		zcreq_assert(conn->status < 0);
		zcreq_assert(conn->request_count || !conn->transport->idle(conn));
		break;
	case ZCREQ_CONN_CLOSED:
		zcreq_assert(!conn->request_count);
		zcreq_assert(conn->due & ZCREQ_CONN_DUE_CLOSED || !conn->stats.connections_now);
		break;
	default:
		zcreq_bug("a connection is in no state");
	}
}

static uint32_t count_due(const struct zcreq_conn *conn)
{
	const struct zcreq_request *request;
	uint32_t due = 0;

	TAILQ_FOREACH(request, &conn->requests, in_conn)
		due += request->due != 0;
	return due;
}

/* What is due stands in a list, with something in its mailbox. */
static void check_ready(const struct zcreq_context *context, uint32_t due)
{
	const struct zcreq_request *request;
	const struct zcreq_conn *conn;
	uint32_t requests = 0, conns = 0;

	STAILQ_FOREACH(request, &context->ready, in_ready) {
		zcreq_assert(request->due);
		zcreq_assert(requests++ < context->requests.made);
	}
	STAILQ_FOREACH(conn, &context->ready_conns, in_ready) {
		zcreq_assert(conn->due);
		conns++;
	}
	/* a round of a turn takes those that it runs out first */
	zcreq_assert(context->dispatch_depth || requests == due);
	zcreq_assert(context->dispatch_depth || conns == context->ready_conn_count);
}

/* Those that changed are those whose watch says so. */
static void check_changed(const struct zcreq_context *context, uint32_t changed)
{
	const struct zcreq_conn *conn;

	TAILQ_FOREACH(conn, &context->changed, in_changed) {
		zcreq_assert(conn->watch == ZCREQ_WATCH_CHANGED);
		zcreq_assert(changed);
		changed--;
	}
	zcreq_assert(!changed);
}

void zcreq_context_check(const struct zcreq_context *context)
{
	const struct zcreq_conn *conn;
	uint64_t requests = 0, holds = 0;
	uint32_t changed = 0, due = 0;

	TAILQ_FOREACH(conn, &context->conns, in_context) {
		zcreq_assert(conn->context == context);
		zcreq_conn_check(conn);
#ifdef ZCREQ_DEBUG
		if (conn->transport->check)
			conn->transport->check(conn);
#endif
		requests += conn->request_count;
		holds += conn->stats.holds_now;
		changed += conn->watch == ZCREQ_WATCH_CHANGED;
		due += count_due(conn);
	}
	zcreq_assert(zcreq_slots_check(&context->requests, sizeof(struct zcreq_request)) ==
		     requests);
	zcreq_assert(zcreq_slots_check(&context->holds, sizeof(struct zcreq_hold_slot)) == holds);
	check_ready(context, due);
	check_changed(context, changed);
}
