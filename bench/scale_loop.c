/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scale_loop.c - turns of a libev loop in which one connection works and the rest is idle
 */
#include "scale.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <valgrind/callgrind.h>

#include <zcreq/ev.h>

#define TURNS 1000

static struct zcreq_conn *opened(struct zcreq_context *context, int fd)
{
	const struct zcreq_stream_options options = {
		.size = sizeof(options), .fd = fd, .mode = ZCREQ_MODE_NEVER, .stall_ms = 60000,
	};
	struct zcreq_conn *conn;

	check(zcreq_stream_open(context, &options, &conn));
	return conn;
}

void scale_loop(size_t count)
{
	struct zcreq_context *context = counted_context();
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	int *fds = calloc(count, sizeof(*fds));
	struct zcreq_conn *conn = NULL;
	struct zcreq_ev *ev;

	if (!fds || !loop)
		exit(1);
	crowd_join(fds, count, 0);
	check(zcreq_ev_new(loop, context, &ev));
	for (size_t i = 0; i < count; i++)
		conn = opened(context, fds[i]);
	for (int i = 0; i < 2 * TURNS; i++) {
		if (i == TURNS)
			CALLGRIND_START_INSTRUMENTATION;
		check(zcreq_write(conn, "!", 1));
		ev_run(loop, EVRUN_NOWAIT);
	}
	CALLGRIND_STOP_INSTRUMENTATION;
	printf("bench=scale what=loop conns=%zu turns=%d\n", count, TURNS);
	crowd_leave();
	free(fds);
}
