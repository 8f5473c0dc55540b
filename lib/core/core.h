/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * core.h - context, request and connection from the inside: the sans-IO half
 *
 * Nothing in core makes a system call, and nothing in base but the seed of handles, which
 * reads the clock, and zcreq_bug(), which ends the program (tests/layers.sh). What a stream
 * adds to a connection hangs on struct zcreq_transport, so that nothing here looks upwards.
 *
 * Who waits for what is in three places only: a request's two counters (sends of
 * the stream, holds of the caller), its state, and its mailbox of callbacks that
 * are due. All three change through the functions named here.
 */
#ifndef ZCREQ_LIB_CORE_H
#define ZCREQ_LIB_CORE_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include <zcreq/conn.h>
#include <zcreq/context.h>
#include <zcreq/request.h>

#include "base/bug.h"
#include "base/numbers.h"
#include "base/options.h"
#include "base/queue.h"
#include "base/states.h"
#include "core/guarded.h"
#include "core/slot.h"
#include "core/transitions.h"

struct zcreq_keeper;
struct zcreq_message;
struct zcreq_poller;
struct zcreq_pool;
struct zcreq_source;
struct zcreq_threads;
struct zcreq_trace_event;
struct zcreq_trace_header;

/* The mailbox of a request or a connection: callbacks that are due, in the order
 * in which a turn runs them. Not empty means: it is on the context's queue. */
enum zcreq_due {
	ZCREQ_DUE_SETTLED = 1,
	ZCREQ_DUE_ABORTING = 2,
	ZCREQ_DUE_QUARANTINED = 4,
	ZCREQ_DUE_RELEASED = 8,
};

enum zcreq_conn_due {
	ZCREQ_CONN_DUE_ABORT = 1,
	ZCREQ_CONN_DUE_STALLED = 2,
	ZCREQ_CONN_DUE_MESSAGE = 4,
	ZCREQ_CONN_DUE_ROOM = 8,
	ZCREQ_CONN_DUE_CLOSED = 16,
	ZCREQ_CONN_DUE_READABLE = 32,
};

/* Does the context's poller know what zcreq_events() says of a connection? */
enum zcreq_watch {
	ZCREQ_WATCH_NONE = 1, /* it is not the poller's business */
	ZCREQ_WATCH_TOLD,    /* nothing has changed since it was told */
	ZCREQ_WATCH_CHANGED, /* in the context's list */
};

enum zcreq_watch_event {
	ZCREQ_WATCH_BEGIN = 1, /* the poller waits for it from now on */
	ZCREQ_WATCH_END,       /* and no longer */
	ZCREQ_WATCH_CHANGE,    /* what there is to wait for is not what it was */
	ZCREQ_WATCH_TELL,      /* the poller is being told */
	ZCREQ_WATCH_EVENTS,
};

extern const int8_t zcreq_watch_table[ZCREQ_WATCH_CHANGED + 1][ZCREQ_WATCH_EVENTS];

struct zcreq_request {
	struct zcreq_slot slot; /* first: see slot.h */
	uint32_t sends;         /* queued or in the kernel */
	uint32_t holds;         /* of the caller */
	uint64_t send_bytes;    /* of @sends */
	int32_t status;         /* the first error; not 0 means that settled was told */
	uint8_t state;          /* enum zcreq_state; written by zcreq_request_event() */
	uint8_t due;            /* enum zcreq_due */
	uint32_t first_send;    /* the transport's number of the first of @sends, if none is gone */
	uint32_t gone_sends;    /* that were accepted, and that it has outlived */
	struct zcreq_conn *conn;
	const struct zcreq_request_hooks *hooks;
	void *arg;
	TAILQ_ENTRY(zcreq_request) in_conn;
	STAILQ_ENTRY(zcreq_request) in_ready;
};

struct zcreq_hold_slot {
	struct zcreq_slot slot;
	struct zcreq_request *request;
	const void *taker;      /* where in the program it was taken */
	uint32_t next; /* index; these two are of a drop from another thread: threads.c */
	int32_t status;
};

/* What a stream adds to a connection. */
struct zcreq_transport {
	/* Was anything accepted of one request with sends, of which none is gone? */
	bool (*begun)(const struct zcreq_conn *conn, const struct zcreq_request *request);
	/* If nothing was, they are withdrawn. */
	void (*withdraw)(struct zcreq_conn *conn, struct zcreq_request *request);
	/* What was queued is sent, as far as there is room. */
	void (*flush)(struct zcreq_conn *conn);
	/* Every outcome is reported: make the kernel let go. */
	void (*abort)(struct zcreq_conn *conn);
	/*
	 * What is queued is followed by the end of the stream; of a draining connection
	 * without requests it is asked again and again, for the end has to be looked for.
	 * -EALREADY: it was asked for before. It may abort the connection.
	 */
	int (*end)(struct zcreq_conn *conn);
	/* Nothing queued, nothing in the kernel; of a draining one the peer has all. */
	bool (*idle)(const struct zcreq_conn *conn);
	/* Does what the time asks for; returns when it wants to be asked again. */
	uint64_t (*timers)(struct zcreq_conn *conn, uint64_t now_ns);
	/* Adds what can be told by looking. */
	void (*stats)(const struct zcreq_conn *conn, struct zcreq_stats *stats);
	/* The connection is closed: give everything back but the memory of conn. */
	void (*close)(struct zcreq_conn *conn);
#ifdef ZCREQ_DEBUG
	/* Claims what holds of it between two calls; or NULL. */
	void (*check)(const struct zcreq_conn *conn);
#endif
};

/* Connections that are disconnected in one turn: see ladder.c. */
#define ZCREQ_DISCONNECTS_AT_ONCE 32

TAILQ_HEAD(zcreq_request_list, zcreq_request);
TAILQ_HEAD(zcreq_conn_list, zcreq_conn);

struct zcreq_conn {
	struct zcreq_context *context;
	const struct zcreq_transport *transport;
	const struct zcreq_conn_hooks *hooks;
	void *arg;
	uint8_t state;          /* enum zcreq_conn_state; written by conn_event() in conn.c */
	uint8_t due;            /* enum zcreq_conn_due */
	uint8_t stall;          /* enum zcreq_stall, the last verdict, or 0 */
	uint8_t owners;         /* the caller, and the library until closed */
	uint8_t watch;          /* enum zcreq_watch; written by watch.c */
	short told_events;      /* zcreq_events() when the poller was told; 0: it was not */
	uint8_t cause;          /* enum zcreq_cause */
	bool reads;             /* the program wants the readable hook */
	int32_t status;         /* what it was aborted with */
	uint32_t number;        /* in its context, for those who read about it */
	uint32_t request_count;
	uint32_t drain_ms;      /* how long a drain may take; 0: as long as it takes */
	struct zcreq_request_list requests;
	uint64_t deadline_ns;   /* of drain, then of linger; 0 is not set yet */
	uint64_t alarm_ns;      /* when timers() is due; NEVER: not in the alarm list */
	struct zcreq_conn_list *timer_list; /* that in_timers is in: stirred, alarms, or NULL */
	STAILQ_HEAD(, zcreq_message) messages; /* foreign ones, for the hook */
	uint32_t message_count;
	bool keeps_messages;    /* their memory is kept, in @spare_messages */
	struct zcreq_message *spare_messages;
	TAILQ_ENTRY(zcreq_conn) in_timers;
	TAILQ_ENTRY(zcreq_conn) in_context;
	TAILQ_ENTRY(zcreq_conn) in_changed;
	TAILQ_ENTRY(zcreq_conn) in_queued; /* its tqe_prev is NULL: in no list */
	STAILQ_ENTRY(zcreq_conn) in_ready;
	struct zcreq_stats stats; /* what is counted; see stats.c for the rest */
};

/* Time in 32 bits, for what there is much of: in units of about a millisecond, and
 * comes round after seven weeks. */
#define ZCREQ_TIME_SHIFT 20

static inline uint32_t zcreq_time(uint64_t ns)
{
	return (uint32_t)(ns >> ZCREQ_TIME_SHIFT);
}

/* Where events are kept: see log.c, which alone writes this, but for the turn. */
struct zcreq_log {
	/* The one way from the points at which events are told to the log. NULL: there is
	 * no log, and a program that never starts one does not link its code. */
	void (*put)(struct zcreq_context *context, const struct zcreq_trace_event *event);
	struct zcreq_trace_header *header; /* the program's memory; events follow it */
	uint64_t (*clock_ns)(void);        /* of events; NULL: now_ns */
	uint64_t read_ns;                  /* when it was last read */
	uint32_t reading_left;             /* events that this will do for */
};

struct zcreq_context {
	struct zcreq_slots requests;
	struct zcreq_slots holds;
	STAILQ_HEAD(, zcreq_request) ready;    /* those with a mailbox that is not empty */
	STAILQ_HEAD(, zcreq_conn) ready_conns; /* the same of connections */
	uint32_t ready_conn_count;
	struct zcreq_conn_list queued;  /* something was queued that is still to be sent */
	struct zcreq_conn_list stirred; /* something happened since their timers were asked */
	struct zcreq_conn_list alarms;  /* those with an alarm_ns */
	struct zcreq_conn_list changed; /* those of which the poller has to be told */
	uint64_t next_alarm_ns;         /* not after the earliest of them */
	uint64_t now_ns;                /* of the last turn; 0: there was none */
	uint32_t now;                   /* the same, as zcreq_time() */
	bool moved;                     /* that is another one than in the turn before */
	bool tracing;                   /* a log, a guard, or an attached probe: points.h */
	struct zcreq_log log;
	const struct zcreq_request *running; /* its callbacks run, or it is NULL; it may be
						gone already, when released runs */
	uint32_t dispatch_depth;
#ifdef ZCREQ_DEBUG
	uint32_t turns;                 /* so far */
#endif
	uint32_t conn_number;           /* of the next connection */
	uint32_t disconnects_left;      /* in this turn */
	struct zcreq_conn_list conns;   /* that have not been freed by both owners */
	struct zcreq_numbers fds;       /* of the kernel, that streams have: see stream.c */
	struct zcreq_threads *threads;  /* NULL: no other thread has a part in it */
	struct zcreq_poller *poller;    /* NULL: nobody has asked for a descriptor; poller.h */
	struct zcreq_source *sources;   /* what else takes part in a turn */
	struct zcreq_keeper *keeper;    /* NULL: nobody keeps an account of it; keeper.h */
	struct zcreq_pool *pools;       /* of buffers: see memory/pool.h */
	uint64_t detached_most;         /* bytes that the kernel may keep of what was detached */
	struct zcreq_allocator allocator;
	struct zcreq_stats stats;       /* of connections that are gone, and of none */
	const struct zcreq_guard_hooks *guard_hooks; /* NULL: no guard; see guarded.h */
	void *guard;                    /* theirs */
};

/* The program has called; as call() in guarded.h. Without a guard a comparison. */
static inline bool zcreq_guard_hears(const struct zcreq_context *context,
				     const struct zcreq_conn *conn, enum zcreq_call_kind kind)
{
	return __builtin_expect(context->guard_hooks != NULL, 0) &&
	       context->guard_hooks->call(context->guard, conn, kind);
}

/* How long ago something was that was given the time of a turn, in 32 bits. */
static inline uint64_t zcreq_age_ns(const struct zcreq_context *context, uint32_t since)
{
	return (uint64_t)(context->now - since) << ZCREQ_TIME_SHIFT;
}

/* request.c */

/* The only writer of request->state, which is @state: 0, or the error that the table has. */
static inline int zcreq_request_event_in(struct zcreq_request *request, unsigned state,
					 enum zcreq_event event)
{
	int next = zcreq_request_transitions[state][event];

	if (next < 0)
		return next;
	zcreq_assert(next > 0);
	request->state = (uint8_t)next;
	return 0;
}

static inline int zcreq_request_event(struct zcreq_request *request, enum zcreq_event event)
{
	return zcreq_request_event_in(request, request->state, event);
}

/* For events of the library's own, in a state that is known: to be refused would be a defect. */
static inline void zcreq_request_must_in(struct zcreq_request *request, enum zcreq_state state,
					 enum zcreq_event event)
{
	int ret = zcreq_request_event_in(request, state, event);

	zcreq_assert(ret == 0);
}

/* Can a request be told by them? */
static inline bool zcreq_request_hooks_good(const struct zcreq_request_hooks *hooks)
{
	return hooks && hooks->released && ZCREQ_UNUSED(hooks);
}

/* A handle was refused, which is counted in @stats. */
__attribute__((cold)) void zcreq_stale(struct zcreq_context *context, struct zcreq_stats *stats,
				       uint64_t handle);

/* The request that @id names, or NULL, which is counted as a stale use. */
static inline struct zcreq_request *zcreq_request_find(struct zcreq_context *context, zcreq_id id)
{
	struct zcreq_slot *slot =
		zcreq_slots_find(&context->requests, id.bits, sizeof(struct zcreq_request));

	if (__builtin_expect(!slot, 0))
		zcreq_stale(context, &context->stats, id.bits);
	return (struct zcreq_request *)slot;
}

/* An event of the caller's: a handle that is past it is counted as a stale use. */
static inline int zcreq_request_may(struct zcreq_request *request, enum zcreq_event event)
{
	int ret = zcreq_request_event(request, event);

	if (__builtin_expect(ret == -ESTALE, 0))
		zcreq_stale(request->conn->context, &request->conn->stats, request->slot.bits);
	return ret;
}

/* The first that is due of a request. */
static inline void zcreq_request_ready(struct zcreq_context *context,
				       struct zcreq_request *request, unsigned due)
{
	request->due = (uint8_t)due;
	STAILQ_INSERT_TAIL(&context->ready, request, in_ready);
}

static inline void zcreq_request_due(struct zcreq_request *request, enum zcreq_due due)
{
	if (!request->due)
		zcreq_request_ready(request->conn->context, request, due);
	else
		request->due = (uint8_t)(request->due | due);
}

/* No send and no hold is left: if the owner has finished, that is the end of it. */
static inline void zcreq_request_last(struct zcreq_request *request)
{
	zcreq_request_must_in(request, request->state, ZCREQ_EVENT_LAST);
	if (request->state == ZCREQ_STATE_DONE)
		zcreq_request_due(request, request->status
						   ? ZCREQ_DUE_RELEASED
						   : ZCREQ_DUE_SETTLED | ZCREQ_DUE_RELEASED);
}

static inline void zcreq_request_check_last(struct zcreq_request *request)
{
	if (!(request->sends | request->holds))
		zcreq_request_last(request);
}

/* request.c: the same as the next, of any request. */
__attribute__((noinline)) void zcreq_request_send_gone_any(struct zcreq_request *request,
							   uint64_t bytes);

/* A send of the stream has gone, with proof. Most often it was the only one of a request of
 * which nothing was told yet: then no mail waits for it either. */
static inline void zcreq_request_send_gone(struct zcreq_context *context,
					   struct zcreq_request *request, uint64_t bytes)
{
	if (__builtin_expect(request->state != ZCREQ_STATE_FINISHED || request->sends != 1 ||
			     request->holds || request->status, 0)) {
		zcreq_request_send_gone_any(request, bytes);
		return;
	}
	request->sends = 0;
	request->send_bytes = 0;
	zcreq_request_must_in(request, ZCREQ_STATE_FINISHED, ZCREQ_EVENT_LAST);
	zcreq_request_ready(context, request, ZCREQ_DUE_SETTLED | ZCREQ_DUE_RELEASED);
}

/* The whole connection is aborted: the outcome of this request. */
void zcreq_request_abort(struct zcreq_request *request, int status);

/* @hold, which nobody else can drop any more, has been dropped. */
void zcreq_hold_gone(struct zcreq_context *context, struct zcreq_hold_slot *slot, zcreq_hold hold,
		     int status);

/* The linger deadline has passed. */
void zcreq_request_deadline(struct zcreq_request *request);

/* The callbacks of requests that are due now; what these make due is for the next time. */
void zcreq_requests_run(struct zcreq_context *context);

/* threads.c */

/* What other threads have dropped is gone, what they have posted is run. */
void zcreq_threads_take(struct zcreq_context *context);

/* Is there anything of theirs that was not taken? */
bool zcreq_threads_wait(const struct zcreq_threads *threads);

/* Counts those that found their hold gone. */
uint64_t zcreq_threads_stale(const struct zcreq_threads *threads);

/* 0, or -EBUSY while a post has not run, or another thread has not yet left
 * zcreq_post_drop() or zcreq_post(). */
int zcreq_threads_free(struct zcreq_context *context);

/* conn.c */

enum zcreq_conn_event {
	ZCREQ_CONN_EVENT_DRAIN = 1,
	ZCREQ_CONN_EVENT_ABORT,
	ZCREQ_CONN_EVENT_DEADLINE, /* no proof in time */
	ZCREQ_CONN_EVENT_EMPTY,    /* no request is left, and nothing on the wire */
	ZCREQ_CONN_EVENT_COUNT,
};

extern const int16_t zcreq_conn_transitions[ZCREQ_CONN_CLOSED + 1][ZCREQ_CONN_EVENT_COUNT];

void zcreq_conn_init(struct zcreq_conn *conn, struct zcreq_context *context,
		     const struct zcreq_transport *transport,
		     const struct zcreq_conn_hooks *hooks, void *arg);
void zcreq_conn_due(struct zcreq_conn *conn, enum zcreq_conn_due due);

/* As zcreq_conn_abort(), for @cause. */
int zcreq_conn_end_with(struct zcreq_conn *conn, int status, enum zcreq_cause cause);

/* Something that ends a connection may have happened: looks, and closes it. */
void zcreq_conn_close_if_over(struct zcreq_conn *conn);

static inline void zcreq_conn_check_end(struct zcreq_conn *conn)
{
	if (conn->state != ZCREQ_CONN_OPEN)
		zcreq_conn_close_if_over(conn);
}

/* The linger deadline has passed: quarantine. */
void zcreq_conn_deadline(struct zcreq_conn *conn);

/* One connection's hooks that are due; the connection may be gone afterwards. */
void zcreq_conn_run(struct zcreq_conn *conn);

/* The connection's timers want to be asked, in this turn or in the next. */
void zcreq_conn_stir(struct zcreq_conn *conn);

/* Something was queued: it is sent in this turn, or in the next. */
static inline void zcreq_conn_queued(struct zcreq_conn *conn)
{
	if (!conn->in_queued.tqe_prev)
		TAILQ_INSERT_TAIL(&conn->context->queued, conn, in_queued);
}

/* There is nothing to send any more. */
static inline void zcreq_conn_unqueued(struct zcreq_conn *conn)
{
	if (!conn->in_queued.tqe_prev)
		return;
	TAILQ_REMOVE(&conn->context->queued, conn, in_queued);
	conn->in_queued.tqe_prev = NULL;
}

/* Does what the time asks of one connection and sets its next alarm. */
void zcreq_conn_timers(struct zcreq_conn *conn, uint64_t now_ns);

/* watch.c */

/* The poller is told of it from now on, once to begin with; or no longer. */
void zcreq_conn_watch(struct zcreq_conn *conn, bool on);

/* What the poller waits for may not be what zcreq_events() says any more. */
void zcreq_conn_changed(struct zcreq_conn *conn);

/* The next of which the poller has to be told, which the caller does; or NULL. */
struct zcreq_conn *zcreq_conn_tell(struct zcreq_context *context);

/* stats.c: what is counted of a connection that is about to be freed is kept. */
void zcreq_stats_keep(const struct zcreq_conn *conn);

/* stats.c: for the library itself, as the two public functions. */
struct zcreq_stats zcreq_conn_look_stats(const struct zcreq_conn *conn);
struct zcreq_stats zcreq_context_look_stats(const struct zcreq_context *context);

/* May it queue anything? Open and draining ones may. */
static inline bool zcreq_conn_sends(const struct zcreq_conn *conn)
{
	return conn->state <= ZCREQ_CONN_DRAINING;
}

#endif
