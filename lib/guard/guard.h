/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guard.h - what the guard of a context does at the events that it watches
 *
 * A context without a guard has none of this: a NULL in the context and in each stream,
 * and a 0 in each send, which whoever calls here has looked at.
 */
#ifndef ZCREQ_LIB_GUARD_H
#define ZCREQ_LIB_GUARD_H

#include <stdint.h>
#include <sys/uio.h>

#include <zcreq/guard.h>

struct zcreq_guard;
struct zcreq_guarded_socket; /* one descriptor */
struct zcreq_request;
struct zcreq_stream;

/* The guard that the options, or else the environment, ask for; NULL for neither. */
int zcreq_guard_new(const struct zcreq_allocator *allocator,
		    const struct zcreq_guard_options *options, struct zcreq_guard **guard);
void zcreq_guard_free(struct zcreq_guard *guard);

/* The send of so many iovecs that was queued last, the @number-th. */
void zcreq_guard_send(struct zcreq_stream *stream, struct zcreq_request *request,
		      const struct iovec *iov, uint32_t iovcnt, uint32_t number);

/* The end of a send, before its owner can hear of it; @entry is not 0. */
void zcreq_guard_send_gone(struct zcreq_request *request, uint32_t entry);

/* A stream on a descriptor of the kernel's: from its opening, at each look, to its end. */
void zcreq_guard_open(struct zcreq_stream *stream);
void zcreq_guard_look(struct zcreq_stream *stream);
void zcreq_guard_close(struct zcreq_stream *stream);

#endif
