/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * begin.h - how a request begins, and how its owner has nothing to add
 *
 * In a header because zcreq_send() is both at once, and is what a program calls most:
 * inlined there, neither is a call, and the compiler knows what the other has just written.
 */
#ifndef ZCREQ_LIB_BEGIN_H
#define ZCREQ_LIB_BEGIN_H

#include "core/core.h"
#include "core/points.h"

/* For events of the library's own: to be refused would be a defect. */
static inline void zcreq_request_must(struct zcreq_request *request, enum zcreq_event event)
{
	int ret = zcreq_request_event(request, event);

	zcreq_assert(ret == 0);
}

/* request.c: none may begin; the guard is asked whether the connection was freed. */
__attribute__((cold)) void zcreq_request_refused(const struct zcreq_conn *conn);

/* As zcreq_begin(), of arguments that are as they must be. */
static inline int zcreq_request_begin(struct zcreq_conn *conn,
				      const struct zcreq_request_hooks *hooks, void *arg,
				      struct zcreq_request **out)
{
	struct zcreq_request *request;
	struct zcreq_slots *table;

	if (conn->state != ZCREQ_CONN_OPEN) {
		zcreq_request_refused(conn);
		return -ESHUTDOWN;
	}
	table = &conn->context->requests;
	if (zcreq_slots_full(table)) {
		int ret = zcreq_slots_grow(table, sizeof(*request));

		if (ret)
			return ret;
	}
	request = (struct zcreq_request *)zcreq_slots_take(table, sizeof(*request));
	request->slot.since = conn->context->now;
	request->sends = 0;
	request->holds = 0;
	request->send_bytes = 0;
	request->status = 0;
	request->state = ZCREQ_STATE_FREE;
	request->due = 0;
	request->gone_sends = 0;
	request->conn = conn;
	request->hooks = hooks;
	request->arg = arg;
	zcreq_request_must(request, ZCREQ_EVENT_BEGIN);
	TAILQ_INSERT_TAIL(&conn->requests, request, in_conn);
	conn->request_count++;
	conn->stats.begun++;
	zcreq_trace_begin(request);
	*out = request;
	return 0;
}

/* Its owner adds nothing to an open request that has a send. */
static inline void zcreq_request_seal(struct zcreq_request *request)
{
	zcreq_request_must(request, ZCREQ_EVENT_FINISH);
	zcreq_trace_finish(request);
}

#endif
