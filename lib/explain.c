/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain.c - in words, what is waited for; and the version
 */
#include <errno.h>
#include <stdio.h>

#include <zcreq/version.h>

#include "core.h"

static const char *const state_names[] = {
	[ZCREQ_STATE_FREE] = "free",
	[ZCREQ_STATE_OPEN] = "open",
	[ZCREQ_STATE_FINISHED] = "finished",
	[ZCREQ_STATE_ABORTING] = "aborting",
	[ZCREQ_STATE_ABORTED_FINISHED] = "aborted-finished",
	[ZCREQ_STATE_QUARANTINED] = "quarantined",
	[ZCREQ_STATE_DONE] = "done",
};

static const char *const conn_state_names[] = {
	[ZCREQ_CONN_OPEN] = "open",
	[ZCREQ_CONN_DRAINING] = "draining",
	[ZCREQ_CONN_ABORTING] = "aborting",
	[ZCREQ_CONN_QUARANTINED] = "quarantined",
	[ZCREQ_CONN_CLOSED] = "closed",
};

static const char *plural(uint32_t n)
{
	return n == 1 ? "" : "s";
}

int zcreq_explain(const struct zcreq_context *context, zcreq_id id, char *text, size_t size)
{
	const struct zcreq_request *request;
	const char *owner;

	if (!context || (!text && size))
		return -EINVAL;
	request = (const struct zcreq_request *)zcreq_slots_find(&context->requests, id.bits,
								 sizeof(*request));
	if (!request)
		return -ESTALE;
	if (request->state == ZCREQ_STATE_DONE)
		return snprintf(text, size, "done, status %d: waits for dispatch",
				request->status);
	owner = request->state == ZCREQ_STATE_OPEN || request->state == ZCREQ_STATE_ABORTING
			? " and its owner's finish"
			: "";
	return snprintf(text, size,
			"%s, status %d: waits for %u send%s (%llu bytes) and %u hold%s of the caller%s",
			state_names[request->state], request->status, request->sends,
			plural(request->sends), (unsigned long long)request->send_bytes,
			request->holds, plural(request->holds), owner);
}

int zcreq_conn_explain(const struct zcreq_conn *conn, char *text, size_t size)
{
	int head, tail;

	if (!conn || (!text && size))
		return -EINVAL;
	head = snprintf(text, size, "%s, status %d: %u request%s not released",
			conn_state_names[conn->state], conn->status, conn->request_count,
			plural(conn->request_count));
	if ((size_t)head < size)
		tail = conn->transport->explain(conn, text + head, size - head);
	else
		tail = conn->transport->explain(conn, NULL, 0);
	return head + tail;
}

const char *zcreq_version(void)
{
	return ZCREQ_VERSION;
}
