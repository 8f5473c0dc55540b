/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * points.h - the points at which an event is told, to the log and to probes
 *
 * One function for each event of zcreq/trace.h, to be called where the state changes.
 * On the way of every request that is one comparison with memory at hand, and a
 * branch not taken to a function that is told nothing but what is in registers; such
 * a call is best the last of its function, so that nothing is saved for it. Elsewhere
 * it is a call.
 *
 * The log (log.c) is reached through one hook of the context, which is NULL until a
 * program starts one. Probes are behind the same branch: their semaphore, which a tracer
 * raises, is looked at once in a turn and not at each point, so that nobody pays for them
 * either. It is the library's one global variable that changes, and only a tracer from
 * outside the program changes it: probes are for any program that runs.
 *
 * A point is told what it needs in its arguments; it knows requests and connections and
 * looks at nothing above them.
 */
#ifndef ZCREQ_LIB_POINTS_H
#define ZCREQ_LIB_POINTS_H

#include <zcreq/trace.h>

#include "core/core.h"

#define ZCREQ_COLD __attribute__((cold))

/* Is anybody attached to a probe? */
bool zcreq_trace_probed(void);

/* These are called when somebody listens; their names say "traced". */
ZCREQ_COLD void zcreq_traced_begin(const struct zcreq_request *request);
/* for the stream, which asks whether anybody does before it looks for the arguments */
ZCREQ_COLD void zcreq_traced_send(const struct zcreq_request *request, uint32_t number,
				  uint64_t bytes);
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

/* What happens now and then. */
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
void zcreq_trace_detach(const struct zcreq_conn *conn, const struct zcreq_request *request,
			uint32_t sends, int result);

#endif
