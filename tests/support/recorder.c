/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/recorder.h"

#include "support/suite.h"

static void inside(struct heard *heard, zcreq_id id, enum heard_callback callback)
{
	CLAIM(id.bits == heard->id.bits);
	if (heard->inside)
		heard->inside(heard, callback);
}

static void on_settled(zcreq_id id, int status, void *arg)
{
	struct heard *heard = arg;

	CLAIM(heard->settled == 0);
	CLAIM(heard->released == 0);
	heard->settled++;
	heard->status = status;
	inside(heard, id, HEARD_SETTLED);
}

static void on_aborting(zcreq_id id, int status, void *arg)
{
	struct heard *heard = arg;

	CLAIM(heard->settled == 1);
	CLAIM(heard->released == 0);
	CLAIM(status == heard->status);
	heard->aborting++;
	inside(heard, id, HEARD_ABORTING);
}

static void on_quarantined(zcreq_id id, void *arg)
{
	struct heard *heard = arg;

	CLAIM(heard->settled == 1);
	CLAIM(heard->released == 0);
	heard->quarantined++;
	inside(heard, id, HEARD_QUARANTINED);
}

static void on_released(zcreq_id id, int status, void *arg)
{
	struct heard *heard = arg;

	CLAIM(heard->settled == 1);
	CLAIM(heard->released == 0);
	CLAIM(status == heard->status);
	heard->released++;
	inside(heard, id, HEARD_RELEASED);
}

const struct zcreq_request_hooks heard_ops = {
	.settled = on_settled,
	.aborting = on_aborting,
	.quarantined = on_quarantined,
	.released = on_released,
};

static void conn_inside(struct zcreq_conn *conn, struct heard_conn *heard,
			enum heard_callback callback)
{
	if (heard->inside)
		heard->inside(conn, callback);
}

static void on_abort(struct zcreq_conn *conn, int status, void *arg)
{
	struct heard_conn *heard = arg;

	CLAIM(heard->abort == 0);
	CLAIM(heard->closed == 0);
	heard->abort++;
	heard->abort_status = status;
	conn_inside(conn, heard, HEARD_CONN_ABORT);
}

static void on_closed(struct zcreq_conn *conn, int status, void *arg)
{
	struct heard_conn *heard = arg;

	CLAIM(heard->closed == 0);
	heard->closed++;
	heard->closed_status = status;
	conn_inside(conn, heard, HEARD_CONN_CLOSED);
}

static void on_room(struct zcreq_conn *conn, void *arg)
{
	struct heard_conn *heard = arg;

	CLAIM(heard->closed == 0);
	heard->room++;
	conn_inside(conn, heard, HEARD_CONN_ROOM);
}

static void on_stalled(struct zcreq_conn *conn, enum zcreq_stall verdict, void *arg)
{
	struct heard_conn *heard = arg;

	(void)verdict;
	heard->stalled++;
	conn_inside(conn, heard, HEARD_CONN_STALLED);
}

static void on_message(struct zcreq_conn *conn, const struct msghdr *message, void *arg)
{
	struct heard_conn *heard = arg;

	(void)message;
	heard->message++;
	conn_inside(conn, heard, HEARD_CONN_MESSAGE);
}

const struct zcreq_conn_hooks heard_hooks = {
	.abort = on_abort,
	.closed = on_closed,
	.room = on_room,
	.stalled = on_stalled,
	.message = on_message,
};

zcreq_id heard_begin(struct zcreq_conn *conn, struct heard *heard)
{
	CLAIM(zcreq_begin(conn, &heard_ops, heard, 0, &heard->id) == 0);
	return heard->id;
}

zcreq_hold heard_take(struct zcreq_context *context, const struct heard *heard)
{
	zcreq_hold hold;

	CLAIM(zcreq_take(context, heard->id, &hold) == 0);
	return hold;
}

unsigned heard_calls(const struct heard *heard)
{
	return heard->settled + heard->aborting + heard->quarantined + heard->released;
}
