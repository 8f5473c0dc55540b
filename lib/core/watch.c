/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * watch.c - of which connections the poller has to be told
 *
 * It owns the list of connections whose answer to zcreq_events() has changed since the
 * context's poller was told: a connection is in it if and only if its watch is CHANGED. So
 * a turn tells of those that changed, and does not ask each connection.
 *
 * What the answer is, and whether it has changed, is the stream's business (interest.c).
 */
#include "core/core.h"

const int8_t zcreq_watch_table[ZCREQ_WATCH_CHANGED + 1][ZCREQ_WATCH_EVENTS] = {
	[ZCREQ_WATCH_NONE] = {
		[ZCREQ_WATCH_BEGIN] = ZCREQ_WATCH_CHANGED,
		[ZCREQ_WATCH_END] = ZCREQ_WATCH_NONE,
		[ZCREQ_WATCH_CHANGE] = ZCREQ_WATCH_NONE,
		[ZCREQ_WATCH_TELL] = ZCREQ_IMPOSSIBLE,
	},
	[ZCREQ_WATCH_TOLD] = {
		[ZCREQ_WATCH_BEGIN] = ZCREQ_WATCH_CHANGED,
		[ZCREQ_WATCH_END] = ZCREQ_WATCH_NONE,
		[ZCREQ_WATCH_CHANGE] = ZCREQ_WATCH_CHANGED,
		[ZCREQ_WATCH_TELL] = ZCREQ_IMPOSSIBLE,
	},
	[ZCREQ_WATCH_CHANGED] = {
		[ZCREQ_WATCH_BEGIN] = ZCREQ_WATCH_CHANGED,
		[ZCREQ_WATCH_END] = ZCREQ_WATCH_NONE,
		[ZCREQ_WATCH_CHANGE] = ZCREQ_WATCH_CHANGED,
		[ZCREQ_WATCH_TELL] = ZCREQ_WATCH_TOLD,
	},
};

/* The only writer of conn->watch, and of the list. */
static void watch_event(struct zcreq_conn *conn, enum zcreq_watch_event event)
{
	struct zcreq_conn_list *changed = &conn->context->changed;
	uint8_t before = conn->watch;

	conn->watch = zcreq_state_after(zcreq_watch_table[before][event]);
	if (before == conn->watch)
		return;
	if (before == ZCREQ_WATCH_CHANGED)
		TAILQ_REMOVE(changed, conn, in_changed);
	if (conn->watch == ZCREQ_WATCH_CHANGED)
		TAILQ_INSERT_TAIL(changed, conn, in_changed);
}

void zcreq_conn_watch(struct zcreq_conn *conn, bool on)
{
	watch_event(conn, on ? ZCREQ_WATCH_BEGIN : ZCREQ_WATCH_END);
}

void zcreq_conn_changed(struct zcreq_conn *conn)
{
	watch_event(conn, ZCREQ_WATCH_CHANGE);
}

struct zcreq_conn *zcreq_conn_tell(struct zcreq_context *context)
{
	struct zcreq_conn *conn = TAILQ_FIRST(&context->changed);

	if (conn)
		watch_event(conn, ZCREQ_WATCH_TELL);
	return conn;
}
