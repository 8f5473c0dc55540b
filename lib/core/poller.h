/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * poller.h - how a turn learns what has happened on descriptors, without knowing how
 *
 * The functions are the stream room's (stream/poller.c); core calls them through a table,
 * and makes no system call itself. A context has none until somebody asks for its
 * descriptor.
 */
#ifndef ZCREQ_LIB_POLLER_H
#define ZCREQ_LIB_POLLER_H

#include "core/core.h"

struct zcreq_poller_ops {
	/* What descriptors say is taken in. True: there may be more. */
	bool (*take)(struct zcreq_poller *poller);
	/* Waits for what those in the context's list of changed ones want now. Returns when
	 * it is to be called again because something was refused, or ZCREQ_NEVER. */
	uint64_t (*follow)(struct zcreq_poller *poller);
	void (*free)(struct zcreq_poller *poller);
};

struct zcreq_poller {
	const struct zcreq_poller_ops *ops;
	struct zcreq_context *context;
	int fd;
};

#endif
