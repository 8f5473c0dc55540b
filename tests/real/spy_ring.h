/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * spy_ring.h - a real ring, and a witness of what went in and came out
 *
 * What spy.h is for a socket: a zcreq_uring_ops table that makes the real calls and
 * writes down which bytes of the stream the kernel was given, which it took, and which
 * it has notified. Of one stream; the next submission comes after a result.
 */
#ifndef ZCREQ_TESTS_SPY_RING_H
#define ZCREQ_TESTS_SPY_RING_H

#include <liburing.h>

#include <zcreq/uring.h>

#include "real/spy.h"

struct spy_ring {
	struct io_uring ring;
	struct spy *spy;
	struct io_uring_sqe *fresh[16]; /* handed out, not submitted */
	int fresh_count;
};

extern const struct zcreq_uring_ops spy_ring_ops; /* its argument: a struct spy_ring */

void spy_ring_init(struct spy_ring *spied, struct spy *spy);
void spy_ring_deinit(struct spy_ring *spied);

#endif
