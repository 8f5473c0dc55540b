/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * points.c - what each event says, to the probe of its name and to the log
 */
#include <string.h>

#include "core/points.h"

#ifdef ZCREQ_USDT
#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>

/* All probes have one semaphore, under the name that each of them has for it. It is for
 * tracers to write and for the library to read, and has to be a global to be found. */
unsigned short zcreq_open_semaphore __attribute__((section(".probes"), visibility("hidden")));

#define PROBE(name, ...) \
	do { \
		extern unsigned short zcreq_##name##_semaphore \
			__attribute__((visibility("hidden"))); \
		DTRACE_PROBE5(zcreq, name, __VA_ARGS__); \
	} while (0)
#define SAME_SEMAPHORE(name) \
	extern unsigned short zcreq_##name##_semaphore \
		__attribute__((alias("zcreq_open_semaphore"), visibility("hidden")));

SAME_SEMAPHORE(begin)
SAME_SEMAPHORE(send)
SAME_SEMAPHORE(take)
SAME_SEMAPHORE(drop)
SAME_SEMAPHORE(finish)
SAME_SEMAPHORE(batch)
SAME_SEMAPHORE(copy)
SAME_SEMAPHORE(notified)
SAME_SEMAPHORE(no_buffers)
SAME_SEMAPHORE(settled)
SAME_SEMAPHORE(released)
SAME_SEMAPHORE(aborted)
SAME_SEMAPHORE(quarantined)
SAME_SEMAPHORE(drain)
SAME_SEMAPHORE(stall)
SAME_SEMAPHORE(abort)
SAME_SEMAPHORE(disconnect)
SAME_SEMAPHORE(closed)
SAME_SEMAPHORE(stale)
SAME_SEMAPHORE(mark)
SAME_SEMAPHORE(detach)

bool zcreq_trace_probed(void)
{
	return *(volatile unsigned short *)&zcreq_open_semaphore != 0;
}
#else
#define PROBE(name, ...) ((void)0)

bool zcreq_trace_probed(void)
{
	return false;
}
#endif

static ZCREQ_COLD void keep(struct zcreq_context *context, enum zcreq_trace_kind kind,
			    uint32_t conn, uint64_t subject, int status, uint32_t first,
			    uint32_t last)
{
	const struct zcreq_trace_event event = {
		.subject = subject,
		.conn = conn,
		.kind = (uint16_t)kind,
		.status = (int16_t)(status < INT16_MIN ? INT16_MIN : status),
		.first = first,
		.last = last,
	};

	if (context->log.put)
		context->log.put(context, &event);
}

/* Somebody listens. */
#define TOLD(context, KIND, name, conn, subject, status, first, last) \
	do { \
		PROBE(name, conn, subject, status, first, last); \
		keep(context, ZCREQ_TRACE_##KIND, conn, subject, status, first, last); \
	} while (0)

#define REQUEST_TOLD(KIND, name, request, status, first, last) \
	TOLD((request)->conn->context, KIND, name, (request)->conn->number, \
	     (request)->slot.bits, status, first, last)

#define CONN_TOLD(KIND, name, connection, subject, status, first, last) \
	TOLD((connection)->context, KIND, name, (connection)->number, subject, status, first, last)

/* The same, if somebody does. */
#define REQUEST_POINT(KIND, name, request, status, first, last) \
	ZCREQ_IF_TRACED((request)->conn->context, \
			REQUEST_TOLD(KIND, name, request, status, first, last))

#define CONN_POINT(KIND, name, connection, subject, status, first, last) \
	ZCREQ_IF_TRACED((connection)->context, \
			CONN_TOLD(KIND, name, connection, subject, status, first, last))

static uint32_t in_32_bits(uint64_t number)
{
	return number < UINT32_MAX ? (uint32_t)number : UINT32_MAX;
}

/* Four of the points are calls of the program's as well: a guard hears of them here. */
static void called(const struct zcreq_request *request)
{
	zcreq_guard_hears(request->conn->context, NULL, ZCREQ_CALL_DOES);
}

/* ---- requests ---- */

void zcreq_traced_begin(const struct zcreq_request *request)
{
	called(request);
	REQUEST_TOLD(BEGIN, begin, request, 0, 0, 0);
}

void zcreq_traced_send(const struct zcreq_request *request, uint32_t number, uint64_t bytes)
{
	REQUEST_TOLD(SEND, send, request, 0, number, in_32_bits(bytes));
}

void zcreq_traced_take(const struct zcreq_request *request)
{
	called(request);
	REQUEST_TOLD(TAKE, take, request, 0, request->holds, 0);
}

void zcreq_traced_drop(const struct zcreq_request *request, int status)
{
	called(request);
	REQUEST_TOLD(DROP, drop, request, status, request->holds, 0);
}

void zcreq_traced_finish(const struct zcreq_request *request)
{
	called(request);
	REQUEST_TOLD(FINISH, finish, request, request->status, 0, 0);
}

void zcreq_trace_settled(const struct zcreq_request *request)
{
	REQUEST_POINT(SETTLED, settled, request, request->status, 0, 0);
}

void zcreq_traced_released(const struct zcreq_request *request)
{
	REQUEST_TOLD(RELEASED, released, request, request->status, 0, 0);
}

void zcreq_trace_aborted(const struct zcreq_request *request, int status)
{
	REQUEST_POINT(ABORTED, aborted, request, status, 0, 0);
}

void zcreq_trace_quarantined(const struct zcreq_request *request)
{
	REQUEST_POINT(QUARANTINED, quarantined, request, 0, 0, 0);
}

void zcreq_trace_stale(struct zcreq_context *context, uint64_t handle)
{
	ZCREQ_IF_TRACED(context, TOLD(context, STALE, stale, 0, handle, -ESTALE, 0, 0));
}

/* ---- what goes to the kernel, and what it says ---- */

void zcreq_traced_batch(const struct zcreq_conn *conn, uint32_t id, uint64_t bytes,
			uint32_t first, uint32_t last)
{
	CONN_TOLD(BATCH, batch, conn, (uint64_t)in_32_bits(bytes) << 32 | id, 0, first, last);
}

void zcreq_traced_copy(const struct zcreq_conn *conn, uint64_t bytes, uint32_t first,
		       uint32_t last)
{
	CONN_TOLD(COPY, copy, conn, (uint64_t)in_32_bits(bytes) << 32, 0, first, last);
}

void zcreq_traced_notified(const struct zcreq_conn *conn, uint32_t lo, uint32_t hi, bool copied)
{
	CONN_TOLD(NOTIFIED, notified, conn, 0, copied, lo, hi);
}

void zcreq_trace_no_buffers(const struct zcreq_conn *conn, uint32_t pending)
{
	CONN_POINT(NO_BUFFERS, no_buffers, conn, 0, -ENOBUFS, pending, 0);
}

/* ---- connections ---- */

void zcreq_trace_open(const struct zcreq_conn *conn)
{
	CONN_POINT(OPEN, open, conn, 0, 0, 0, 0);
}

void zcreq_trace_detach(const struct zcreq_conn *conn, const struct zcreq_request *request,
			uint32_t sends, int result)
{
	CONN_POINT(DETACH, detach, conn, request ? request->slot.bits : 0, result, sends, 0);
}

void zcreq_trace_drain(const struct zcreq_conn *conn)
{
	CONN_POINT(DRAIN, drain, conn, 0, 0, 0, 0);
}

void zcreq_trace_stall(const struct zcreq_conn *conn, uint64_t quiet_ms)
{
	CONN_POINT(STALL, stall, conn, 0, conn->stall, in_32_bits(quiet_ms), 0);
}

void zcreq_trace_abort(const struct zcreq_conn *conn)
{
	CONN_POINT(ABORT, abort, conn, 0, conn->status, conn->cause, 0);
}

void zcreq_trace_disconnect(const struct zcreq_conn *conn, int result)
{
	CONN_POINT(DISCONNECT, disconnect, conn, 0, result, 0, 0);
}

void zcreq_trace_closed(const struct zcreq_conn *conn)
{
	CONN_POINT(CLOSED, closed, conn, 0, conn->status, conn->cause, 0);
}

/* ---- of the program's own ---- */

void zcreq_trace_mark(struct zcreq_context *context, const char *text)
{
	char kept[16] = "";
	uint64_t subject;
	uint32_t words[2];

	if (!context || !text)
		return;
	memcpy(kept, text, strnlen(text, sizeof(kept)));
	memcpy(&subject, kept, sizeof(subject));
	memcpy(words, kept + sizeof(subject), sizeof(words));
	ZCREQ_IF_TRACED(context, TOLD(context, MARK, mark, 0, subject, 0, words[0], words[1]));
}
