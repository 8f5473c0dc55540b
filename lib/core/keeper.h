/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keeper.h - somebody above core who keeps an account of a context, without core knowing how
 *
 * The functions are the explain room's (explain/page.c); core calls them through a table. A
 * context has no keeper until the program asks for a page: until then it is a comparison
 * where alarms ring, where a connection closes, and where a context ends.
 */
#ifndef ZCREQ_LIB_KEEPER_H
#define ZCREQ_LIB_KEEPER_H

#include "core/core.h"

struct zcreq_keeper_ops {
	/* Does what the time asks for; returns when it wants to be asked again. */
	uint64_t (*timers)(struct zcreq_keeper *keeper, uint64_t now_ns);
	/* A connection has ended, and nobody has heard of it yet. */
	void (*closed)(struct zcreq_keeper *keeper, const struct zcreq_conn *conn);
	/* The context goes; this is the last call. */
	void (*free)(struct zcreq_keeper *keeper);
};

struct zcreq_keeper {
	const struct zcreq_keeper_ops *ops;
	struct zcreq_context *context;
};

#endif
