/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * request.c - the life of a request: one table of states, and who may move it
 *
 * The boolean that programs keep beside a request ("PDU in use") is replaced by
 * two counters, sends of the stream and holds of the caller, and by a state that
 * only one function writes. A request ends when both counters are zero and its
 * owner has finished; nothing else ends it.
 *
 * A status that is not 0 has been told (settled is due or was called): the first
 * error wins because the second finds the place taken.
 */
#include <errno.h>

#include "base/bug.h"
#include "core/begin.h"
#include "core/core.h"
#include "core/guarded.h"
#include "core/points.h"

#define REQUEST_SIZE sizeof(struct zcreq_request)
#define HOLD_SIZE sizeof(struct zcreq_hold_slot)

/* For events of the library's own: to be refused would be a defect. */
static void must(struct zcreq_request *request, enum zcreq_event event)
{
	zcreq_request_must_in(request, request->state, event);
}

void zcreq_stale(struct zcreq_context *context, struct zcreq_stats *stats, uint64_t handle)
{
	stats->stale_handles++;
	zcreq_trace_stale(context, handle);
}

/* The status becomes known, unless it was. */
static void settle(struct zcreq_request *request, int status)
{
	if (status && !request->status) {
		request->status = status;
		zcreq_trace_settled(request);
		zcreq_request_due(request, ZCREQ_DUE_SETTLED);
	}
}

void zcreq_request_refused(const struct zcreq_conn *conn)
{
	zcreq_guard_hears(conn->context, conn, ZCREQ_CALL_DOES);
}

int zcreq_begin(struct zcreq_conn *conn, const struct zcreq_request_hooks *hooks, void *arg,
		unsigned flags, zcreq_id *id)
{
	struct zcreq_request *request;
	int ret;

	if (!conn || !zcreq_request_hooks_good(hooks) || flags || !id)
		return -EINVAL;
	ret = zcreq_request_begin(conn, hooks, arg, &request);
	if (!ret)
		id->bits = request->slot.bits;
	return ret;
}

int zcreq_finish(struct zcreq_context *context, zcreq_id id, int status)
{
	struct zcreq_request *request;
	int ret;

	if (!context || status > 0)
		return -EINVAL;
	request = zcreq_request_find(context, id);
	if (!request)
		return -ESTALE;
	ret = zcreq_request_may(request, ZCREQ_EVENT_FINISH);
	if (ret)
		return ret;
	settle(request, status);
	zcreq_request_check_last(request);
	if (__builtin_expect(request->conn->state == ZCREQ_CONN_QUARANTINED, 0))
		zcreq_request_deadline(request);
	zcreq_trace_finish(request);
	return 0;
}

int zcreq_take(struct zcreq_context *context, zcreq_id id, zcreq_hold *hold)
{
	struct zcreq_request *request;
	struct zcreq_hold_slot *taken;
	int ret;

	if (!context || !hold)
		return -EINVAL;
	request = zcreq_request_find(context, id);
	if (!request)
		return -ESTALE;
	ret = zcreq_request_may(request, ZCREQ_EVENT_HOLD);
	if (ret)
		return ret;
	if (zcreq_slots_full(&context->holds)) {
		ret = zcreq_slots_grow(&context->holds, HOLD_SIZE);
		if (ret)
			return ret;
	}
	taken = (struct zcreq_hold_slot *)zcreq_slots_take(&context->holds, HOLD_SIZE);
	taken->request = request;
	taken->slot.since = context->now;
	taken->taker = __builtin_return_address(0);
	request->holds++;
	request->conn->stats.holds_now++;
	hold->bits = zcreq_slot_bits(&taken->slot);
	zcreq_trace_take(request);
	return 0;
}

void zcreq_hold_gone(struct zcreq_context *context, struct zcreq_hold_slot *slot, zcreq_hold hold,
		     int status)
{
	struct zcreq_request *request = slot->request;

	zcreq_slots_end_early(&context->holds, &slot->slot, hold.bits);
	request->conn->stats.holds_now--;
	request->conn->stats.proved_caller++;
	request->holds--;
	zcreq_trace_drop(request, status);
	settle(request, status);
	zcreq_request_check_last(request);
}

int zcreq_drop(struct zcreq_context *context, zcreq_hold hold, int status)
{
	struct zcreq_slot *slot;

	if (!context || status > 0)
		return -EINVAL;
	/* if another thread may drop it at this moment, the one that claims it does */
	slot = context->threads
		       ? zcreq_slots_claim(&context->holds, hold.bits, HOLD_SIZE)
		       : zcreq_slots_find(&context->holds, hold.bits, HOLD_SIZE);
	if (!slot) {
		zcreq_stale(context, &context->stats, hold.bits);
		return -ESTALE;
	}
	zcreq_hold_gone(context, (struct zcreq_hold_slot *)slot, hold, status);
	return 0;
}

/* The outcome of a request whose abort the table has just allowed. */
static void aborted(struct zcreq_request *request, int status)
{
	request->conn->stats.aborted++;
	zcreq_trace_aborted(request, status);
	settle(request, status);
	if (request->state == ZCREQ_STATE_ABORTING)
		zcreq_request_due(request, ZCREQ_DUE_ABORTING);
}

/* Has the kernel taken any of its bytes? */
static bool has_begun(const struct zcreq_request *request)
{
	const struct zcreq_conn *conn = request->conn;

	return request->gone_sends || (request->sends && conn->transport->begun(conn, request));
}

int zcreq_abort(struct zcreq_context *context, zcreq_id id, int status)
{
	struct zcreq_request *request;
	int ret;

	if (!context || status >= 0)
		return -EINVAL;
	zcreq_guard_hears(context, NULL, ZCREQ_CALL_DOES);
	request = zcreq_request_find(context, id);
	if (!request)
		return -ESTALE;
	if (request->state <= ZCREQ_STATE_FINISHED && has_begun(request))
		return -EBUSY;
	ret = zcreq_request_may(request, ZCREQ_EVENT_ABORT);
	if (ret)
		return ret;
	aborted(request, status);
	if (request->sends)
		request->conn->transport->withdraw(request->conn, request);
	return 0;
}

void zcreq_request_abort(struct zcreq_request *request, int status)
{
	if (zcreq_request_event(request, ZCREQ_EVENT_ABORT) == 0)
		aborted(request, status);
}

void zcreq_request_deadline(struct zcreq_request *request)
{
	struct zcreq_stats *stats = &request->conn->stats;

	/* for the caller's own holds the library waits: only the caller can know */
	if (!request->sends || request->state != ZCREQ_STATE_ABORTED_FINISHED)
		return;
	must(request, ZCREQ_EVENT_DEADLINE);
	stats->quarantined_now++;
	stats->quarantined_bytes_now += request->send_bytes;
	zcreq_trace_quarantined(request);
	zcreq_request_due(request, ZCREQ_DUE_QUARANTINED);
}

/* Proof of a send of a request in quarantine: with the last of them it has left it. */
static void late_proof(struct zcreq_request *request, uint64_t bytes)
{
	struct zcreq_stats *stats = &request->conn->stats;

	stats->quarantined_bytes_now -= bytes;
	if (request->sends)
		return;
	must(request, ZCREQ_EVENT_PROVEN);
	stats->quarantined_now--;
}

void zcreq_request_send_gone_any(struct zcreq_request *request, uint64_t bytes)
{
	zcreq_assert(request->sends);
	request->sends--;
	request->send_bytes -= bytes;
	request->gone_sends += bytes > 0;
	if (request->state == ZCREQ_STATE_QUARANTINED)
		late_proof(request, bytes);
	zcreq_request_check_last(request);
}

/* Takes a request that is about to be reported out of everything. */
static inline void retire(struct zcreq_context *context, struct zcreq_request *request)
{
	struct zcreq_conn *conn = request->conn;

	zcreq_assert(request->state == ZCREQ_STATE_DONE);
	zcreq_request_must_in(request, ZCREQ_STATE_DONE, ZCREQ_EVENT_REPORTED);
	TAILQ_REMOVE(&conn->requests, request, in_conn);
	conn->request_count--;
	zcreq_trace_released(request);
	zcreq_slots_give(&context->requests, &request->slot);
	zcreq_conn_check_end(conn);
}

/* The callbacks that come before the last one. */
static void run_news(struct zcreq_request *request, unsigned due)
{
	const struct zcreq_request_hooks *hooks = request->hooks;
	const zcreq_id id = {request->slot.bits};

	if (due & ZCREQ_DUE_SETTLED && hooks->settled)
		hooks->settled(id, request->status, request->arg);
	/* the states are asked again: an earlier callback may have moved it on */
	if (due & ZCREQ_DUE_ABORTING && hooks->aborting && request->state == ZCREQ_STATE_ABORTING)
		hooks->aborting(id, request->status, request->arg);
	if (due & ZCREQ_DUE_QUARANTINED && hooks->quarantined &&
	    request->state == ZCREQ_STATE_QUARANTINED)
		hooks->quarantined(id, request->arg);
}

/* Its callbacks that are due; with the last of them it is gone. */
static inline void run(struct zcreq_context *context, struct zcreq_request *request)
{
	const struct zcreq_request_hooks *hooks = request->hooks;
	unsigned due = request->due;
	const zcreq_id id = {request->slot.bits};

	request->due = 0;
	if (hooks->settled || due != (ZCREQ_DUE_SETTLED | ZCREQ_DUE_RELEASED))
		run_news(request, due);
	if (!(due & ZCREQ_DUE_RELEASED))
		return;
	retire(context, request);
	/* the slot is free from here on, but nobody has taken it yet */
	hooks->released(id, request->status, request->arg);
}

void zcreq_requests_run(struct zcreq_context *context)
{
	struct zcreq_request *request = STAILQ_FIRST(&context->ready), *next;

	if (!request)
		return;
	STAILQ_INIT(&context->ready);
	do {
		next = request->in_ready.stqe_next;
		context->running = request;
		run(context, request);
		request = next;
	} while (request);
	context->running = NULL;
}

struct zcreq_conn *zcreq_request_conn(const struct zcreq_context *context, zcreq_id id)
{
	const struct zcreq_slot *slot;
	struct zcreq_conn *conn;

	if (!context)
		return NULL;
	slot = zcreq_slots_find(&context->requests, id.bits, REQUEST_SIZE);
	/* the library has its share in a connection until its last request has been reported */
	if (!slot && context->running &&
	    zcreq_slot_had(&context->requests, &context->running->slot, id.bits))
		slot = &context->running->slot;
	conn = slot ? ((const struct zcreq_request *)slot)->conn : NULL;
	return conn && conn->owners == 2 ? conn : NULL;
}

int zcreq_request_state(const struct zcreq_context *context, zcreq_id id)
{
	const struct zcreq_slot *slot;

	if (!context)
		return -EINVAL;
	zcreq_guard_hears(context, NULL, ZCREQ_CALL_LOOKS);
	slot = zcreq_slots_find(&context->requests, id.bits, REQUEST_SIZE);
	return slot ? ((const struct zcreq_request *)slot)->state : -ESTALE;
}
