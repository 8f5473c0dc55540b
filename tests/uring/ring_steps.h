/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring_steps.h - the parts of a turn one at a time, for tests of what is between them
 */
#ifndef ZCREQ_TESTS_RING_STEPS_H
#define ZCREQ_TESTS_RING_STEPS_H

#include "core/core.h"
#include "uring/ring.h"

/* What is queued on the connection is prepared, and not submitted. */
static inline void ring_prepare(struct zcreq_conn *conn)
{
	conn->transport->flush(conn);
}

/* The ring's part, and then a turn: what the ring's part has answered. */
static inline int ring_process(struct zcreq_uring *uring)
{
	int ret = zcreq_ring_turn(uring);

	zcreq_turn(uring->context, 0);
	return ret;
}

#endif
