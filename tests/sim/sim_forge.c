/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_forge.c - handles that nobody gave, and what is told of those that somebody did
 */
#include <errno.h>

#include <zcreq/explain.h>

#include "sim/sim_world.h"

/* Handles that were never given, and the text of those that were. */
void sim_forge(struct sim_world *world)
{
	zcreq_id id = { sim_choose(world, UINT64_MAX) };
	zcreq_hold hold = { sim_choose(world, UINT64_MAX) };
	struct sim_request *request = sim_any_request(world);
	struct sim_conn *conn = sim_any_conn(world);
	char text[200];

	world->stale += 2;
	if (zcreq_finish(world->context, id, 0) != -ESTALE ||
	    zcreq_drop(world->context, hold, 0) != -ESTALE)
		sim_fail(world, "I3: a forged handle was taken");
	/* A request's handle is no hold's, and the other way round. */
	if (request) {
		world->stale++;
		if (zcreq_drop(world->context, (zcreq_hold){ request->id.bits }, 0) != -ESTALE)
			sim_fail(world, "I3: a request was taken for a hold");
		(void)zcreq_request_explain(world->context, request->id, ZCREQ_TEXT, text,
					    sim_choose(world, 200));
	}
	if (conn && zcreq_conn_explain(conn->conn, ZCREQ_TEXT, text, sizeof(text)) <= 0)
		sim_fail(world, "a connection without explanation");
}
