/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * watcher.h - a poller that waits for nothing, and keeps what it was told
 *
 * For streams on a stub, which no epoll takes: it shows of which connections a turn tells
 * the poller, how often, and what it is told.
 */
#ifndef ZCREQ_TESTS_WATCHER_H
#define ZCREQ_TESTS_WATCHER_H

#include <zcreq/stream.h>

#include "core/poller.h"

/* Of which it was told, in that order; the test sets the count back. */
static struct {
	struct zcreq_conn *conns[64];
	unsigned count;
} told_of;

static inline bool watcher_take(struct zcreq_poller *poller)
{
	(void)poller;
	return false;
}

static inline uint64_t watcher_follow(struct zcreq_poller *poller)
{
	struct zcreq_conn *conn;

	while ((conn = zcreq_conn_tell(poller->context))) {
		if (conn->told_events == zcreq_events(conn))
			continue;
		conn->told_events = zcreq_events(conn);
		told_of.conns[told_of.count++ % 64] = conn;
	}
	return ZCREQ_NEVER;
}

static inline void watcher_free(struct zcreq_poller *poller)
{
	(void)poller;
}

/* The context has it from now on; its streams are watched by zcreq_conn_watch(). */
static inline void watcher_open(struct zcreq_context *context)
{
	static const struct zcreq_poller_ops ops = {
		.take = watcher_take, .follow = watcher_follow, .free = watcher_free,
	};
	static struct zcreq_poller watcher;

	watcher = (struct zcreq_poller){.ops = &ops, .context = context, .fd = -1};
	context->poller = &watcher;
}

#endif
