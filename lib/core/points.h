/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trace.h - the points at which something is told to a ring or to a probe
 *
 * One function for each event of zcreq/trace.h, to be called where the state changes.
 * On the way of every request that is one comparison with memory at hand, and a
 * branch not taken to a function that is told nothing but what is in registers; such
 * a call is best the last of its function, so that nothing is saved for it. Elsewhere
 * it is a call.
 *
 * Probes are behind the same branch: their semaphore, which a tracer raises, is looked
 * at once in a tick and not at each point, so that nobody pays for them either.
 */
#ifndef ZCREQ_LIB_TRACE_H
#define ZCREQ_LIB_TRACE_H

#include <zcreq/trace.h>

#include "core/core.h"

#define ZCREQ_COLD __attribute__((cold))

/* Is anybody attached to a probe? */
bool zcreq_trace_probed(void);

/* trace.c: puts an event into the ring, if there is one. */
ZCREQ_COLD void zcreq_trace_put(struct zcreq_context *context, enum zcreq_trace_kind kind,
				uint32_t conn, uint64_t subject, int status, uint32_t first,
				uint32_t last);

/* trace_points.c: these are called when somebody listens; their names say "traced". */
ZCREQ_COLD void zcreq_traced_begin(const struct zcreq_request *request);
ZCREQ_COLD void zcreq_traced_send(const struct zcreq_conn *conn);
ZCREQ_COLD void zcreq_traced_take(const struct zcreq_request *request);
ZCREQ_COLD void zcreq_traced_drop(const struct zcreq_request *request, int status);
ZCREQ_COLD void zcreq_traced_finish(const struct zcreq_request *request);
ZCREQ_COLD void zcreq_traced_released(const struct zcreq_request *request);
ZCREQ_COLD void zcreq_traced_batch(const struct zcreq_conn *conn, uint32_t id, uint64_t bytes,
				   uint32_t first, uint32_t last);
ZCREQ_COLD void zcreq_traced_copy(const struct zcreq_conn *conn, uint64_t bytes, uint32_t first,
				  uint32_t last);
ZCREQ_COLD void zcreq_traced_notified(const struct zcreq_conn *conn, uint32_t lo, uint32_t hi,
				      bool copied);

#define ZCREQ_IF_TRACED(context, call) \
	do { \
		if (__builtin_expect((context)->tracing, 0)) \
			call; \
	} while (0)

static inline void zcreq_trace_begin(const struct zcreq_request *request)
{
	ZCREQ_IF_TRACED(request->conn->context, zcreq_traced_begin(request));
}

/* the last in the queue of a stream */
static inline void zcreq_trace_send(const struct zcreq_conn *conn)
{
	ZCREQ_IF_TRACED(conn->context, zcreq_traced_send(conn));
}

static inline void zcreq_trace_take(const struct zcreq_request *request)
{
	ZCREQ_IF_TRACED(request->conn->context, zcreq_traced_take(request));
}

static inline void zcreq_trace_drop(const struct zcreq_request *request, int status)
{
	ZCREQ_IF_TRACED(request->conn->context, zcreq_traced_drop(request, status));
}

static inline void zcreq_trace_finish(const struct zcreq_request *request)
{
	ZCREQ_IF_TRACED(request->conn->context, zcreq_traced_finish(request));
}

static inline void zcreq_trace_released(const struct zcreq_request *request)
{
	ZCREQ_IF_TRACED(request->conn->context, zcreq_traced_released(request));
}

/* by reference: accepted, or handed to a sender */
static inline void zcreq_trace_batch(const struct zcreq_conn *conn, uint32_t id, uint64_t bytes,
				     uint32_t first, uint32_t last)
{
	ZCREQ_IF_TRACED(conn->context, zcreq_traced_batch(conn, id, bytes, first, last));
}

static inline void zcreq_trace_copy(const struct zcreq_conn *conn, uint64_t bytes,
				    uint32_t first, uint32_t last)
{
	ZCREQ_IF_TRACED(conn->context, zcreq_traced_copy(conn, bytes, first, last));
}

static inline void zcreq_trace_notified(const struct zcreq_conn *conn, uint32_t lo, uint32_t hi,
					bool copied)
{
	ZCREQ_IF_TRACED(conn->context, zcreq_traced_notified(conn, lo, hi, copied));
}

/* trace_points.c: what happens now and then */
void zcreq_trace_settled(const struct zcreq_request *request);
void zcreq_trace_aborted(const struct zcreq_request *request, int status);
void zcreq_trace_quarantined(const struct zcreq_request *request);
void zcreq_trace_stale(struct zcreq_context *context, uint64_t handle);
void zcreq_trace_no_buffers(const struct zcreq_conn *conn, uint32_t pending);
void zcreq_trace_open(const struct zcreq_conn *conn);
void zcreq_trace_drain(const struct zcreq_conn *conn);
void zcreq_trace_stall(const struct zcreq_conn *conn, uint64_t quiet_ms);
void zcreq_trace_abort(const struct zcreq_conn *conn);
void zcreq_trace_disconnect(const struct zcreq_conn *conn, int result);
void zcreq_trace_closed(const struct zcreq_conn *conn);

#endif
