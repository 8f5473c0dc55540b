/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fault.h - the n-th time that the library asks for something, it is refused
 *
 * A *crossing* is a moment at which the library asks for what may fail: an
 * allocation, or one of the calls of struct zcreq_socket_ops. They are counted
 * together, in the order in which they come. A *point* is one crossing, one error
 * that is plausible for it, and how often: once, or from there on.
 */
#ifndef ZCREQ_TESTS_FAULT_H
#define ZCREQ_TESTS_FAULT_H

#include <stdbool.h>

#include "sim/alloc_fault.h"
#include "sim/fake_kernel.h"

/* What a crossing is: an enum fake_call, or one of these; the last four are those
 * of a context in a loop. */
enum fault_kind {
	FAULT_ALLOC = FAKE_CALLS,
	FAULT_EPOLL_CREATE,
	FAULT_EPOLL_CTL,
	FAULT_EPOLL_WAIT,
	FAULT_EVENTFD,
};

/* What may become of a connection whose call fails so. */
enum fault_effect {
	FAULT_SURVIVED = 1, /* nothing that its owner hears of */
	FAULT_ENDS,         /* always the end: it is aborted with this error */
	FAULT_MAY_END,      /* the end, unless the call was only one way of asking */
};

/* An error of a crossing: @most is how often in a row it is worth to happen. */
struct fault_error {
	unsigned kind;
	int error;
	unsigned most;
	enum fault_effect effect;
};

extern const struct fault_error fault_errors[];
extern const unsigned fault_error_count;

/*
 * @at:        the crossing that fails, from 1; 0 is none
 * @what:      how
 * @times:     how often, from there on, crossings of that kind fail
 * @crossings: so far
 * @kinds:     what the crossings were, as many as there is room for
 * @failed:    how many of them failed
 * @opening:   the first that failed did so in zcreq_stream_open()
 */
struct fault {
	struct zcreq_allocator allocator;
	struct zcreq_allocator *inner;
	unsigned at;
	const struct fault_error *what;
	unsigned times;
	unsigned crossings;
	unsigned char kinds[4096];
	unsigned failed;
	bool opens;
	bool opening;
};

/* @inner is where memory comes from. */
void fault_init(struct fault *fault, struct zcreq_allocator *inner);

/* One more crossing: does it fail, with the error of @what? */
bool fault_crosses(struct fault *fault, unsigned kind);

/* The crossings of this socket count. */
void fault_watch(struct fault *fault, struct fake_socket *sock);

/* Nothing fails from now on. */
void fault_lift(struct fault *fault);

#endif
