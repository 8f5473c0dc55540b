/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recorder.h - callbacks that count, and refuse what must never be heard
 *
 * One struct heard per request, one struct heard_conn per connection. The
 * recorder itself asserts what holds for every request: settled and released at
 * most once, settled first, with one status, and nothing after released.
 */
#ifndef ZCREQ_TESTS_RECORDER_H
#define ZCREQ_TESTS_RECORDER_H

#include <zcreq/conn.h>
#include <zcreq/request.h>

enum heard_callback {
	HEARD_SETTLED,
	HEARD_ABORTING,
	HEARD_QUARANTINED,
	HEARD_RELEASED,
	HEARD_CONN_ABORT,
	HEARD_CONN_CLOSED,
	HEARD_CONN_ROOM,
	HEARD_CONN_STALLED,
	HEARD_CONN_MESSAGE,
	HEARD_CALLBACKS,
};

struct heard {
	unsigned settled, aborting, quarantined, released;
	int status; /* that settled was told */
	zcreq_id id;
	void (*inside)(struct heard *heard, enum heard_callback callback); /* may be NULL */
};

struct heard_conn {
	unsigned abort, closed, room, stalled, message;
	int abort_status, closed_status;
	void (*inside)(struct zcreq_conn *conn, enum heard_callback callback); /* may be NULL */
};

/* With a struct heard as the request's argument. */
extern const struct zcreq_request_hooks heard_ops;

/* With a struct heard_conn as the connection's argument. */
extern const struct zcreq_conn_hooks heard_hooks;

/* Begins a request that is recorded; asserts that it could. */
zcreq_id heard_begin(struct zcreq_conn *conn, struct heard *heard);

/* Takes a hold; asserts that it could. */
zcreq_hold heard_take(struct zcreq_context *context, const struct heard *heard);

/* Callbacks heard so far. */
unsigned heard_calls(const struct heard *heard);

#endif
