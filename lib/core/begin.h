/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * begin.h - how a request begins, and how its owner has nothing to add
 *
 * In a header because zcreq_send() is both at once, and is what a program calls most:
 * inlined there, neither is a call, and of the states only the last one is written.
 */
#ifndef ZCREQ_LIB_BEGIN_H
#define ZCREQ_LIB_BEGIN_H

#include "core/core.h"
#include "core/points.h"

/* request.c: none may begin; the guard is asked whether the connection was freed. */
__attribute__((cold)) void zcreq_request_refused(const struct zcreq_conn *conn);

/* A request is made of a place that is free, with one send already (1) or none (0), which has
 * @bytes and the transport's number @first. */
static inline struct zcreq_request *zcreq_request_make(struct zcreq_conn *conn,
						       const struct zcreq_request_hooks *hooks,
						       void *arg, uint32_t sends, uint64_t bytes,
						       uint32_t first)
{
	struct zcreq_context *context = conn->context;
	struct zcreq_request *request = (struct zcreq_request *)zcreq_slots_take(
		&context->requests, sizeof(*request));

	request->slot.since = context->now;
	request->sends = sends;
	request->holds = 0;
	request->send_bytes = bytes;
	request->status = 0;
	request->due = 0;
	request->first_send = first;
	request->gone_sends = 0;
	request->conn = conn;
	request->hooks = hooks;
	request->arg = arg;
	TAILQ_INSERT_TAIL(&conn->requests, request, in_conn);
	conn->request_count++;
	conn->stats.begun++;
	zcreq_request_must_in(request, ZCREQ_STATE_FREE, ZCREQ_EVENT_BEGIN);
	return request;
}

/* As zcreq_begin(), of arguments that are as they must be. */
static inline int zcreq_request_begin(struct zcreq_conn *conn,
				      const struct zcreq_request_hooks *hooks, void *arg,
				      struct zcreq_request **out)
{
	struct zcreq_slots *table;

	if (conn->state != ZCREQ_CONN_OPEN) {
		zcreq_request_refused(conn);
		return -ESHUTDOWN;
	}
	table = &conn->context->requests;
	if (zcreq_slots_full(table)) {
		int ret = zcreq_slots_grow(table, sizeof(struct zcreq_request));

		if (ret)
			return ret;
	}
	*out = zcreq_request_make(conn, hooks, arg, 0, 0, 0);
	zcreq_trace_begin(*out);
	return 0;
}

/* Its owner adds nothing to a request that has just begun, and has a send. */
static inline void zcreq_request_seal(struct zcreq_request *request)
{
	zcreq_request_must_in(request, ZCREQ_STATE_OPEN, ZCREQ_EVENT_FINISH);
}

#endif
