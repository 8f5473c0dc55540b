/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream.h - a stream from the inside: what the files of this room share
 *
 *	stream.c    opening, and what a connection asks of its transport
 *	queue.c     sends and writes that the program puts on it
 *	loop.c      zcreq_process(): what to do with revents
 *	send.c      batches out to the socket
 *	proof.c     claims read from the error queue, judged, believed; dying
 *	sender.c    both of these through a sender, which answers later
 *	own.c       the sends that a program makes itself
 *	retry.c     memory is short: sending goes on in a while
 *	interest.c  what to wait for
 *	room.c      what fits below the limit
 *	poller.c    the context's descriptor, behind which all of them stand
 *	fin.c       the end of the stream, and whether the peer has all
 *	ladder.c    abort: how the kernel is made to let go, and what if it does not
 *	detach.c    other pages under the addresses of what it does not let go
 *	watchdog.c  who has stopped, and why
 *	trim.c      what an idle one need not keep
 *	reserve.c   what one has from the start, and keeps
 *
 * What each is made of has a header of its own: sendq.h (the sends, and the bytes of
 * writebuf.h), ids.h (which batch a notification speaks of), policy.h (whether not to
 * copy), loans.h (which memory was lent), errqueue.h (one message), socket.h (the kernel's
 * functions).
 */
#ifndef ZCREQ_LIB_STREAM_H
#define ZCREQ_LIB_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include <zcreq/memory.h>
#include <zcreq/sender.h>
#include <zcreq/stream.h>

#include "core/core.h"
#include "stream/policy.h"
#include "stream/sendq.h"
#include "stream/ids.h"
#include "stream/loans.h"

#define ZCREQ_MS ((uint64_t)1000000)

/* Between two tries of what the machine has no memory for. */
#define ZCREQ_RETRY_NS (10 * ZCREQ_MS)

struct tcp_info;

/* How far down the abort ladder a stream is: ladder.c. */
enum zcreq_ladder {
	ZCREQ_LADDER_NONE = 1, /* not aborted */
	ZCREQ_LADDER_WAITING,  /* for its turn to be disconnected */
	ZCREQ_LADDER_REFUSED,  /* the kernel would not disconnect: ask again */
	ZCREQ_LADDER_LET_GO,   /* disconnected: only packets on their way out are left */
};

enum zcreq_ladder_event {
	ZCREQ_LADDER_ABORT = 1,
	ZCREQ_LADDER_REFUSE,     /* by the kernel */
	ZCREQ_LADDER_DISCONNECT, /* and now it has */
	ZCREQ_LADDER_EVENTS,
};

extern const int8_t zcreq_ladder_table[ZCREQ_LADDER_LET_GO + 1][ZCREQ_LADDER_EVENTS];

/* Whether memory is short: retry.c. */
enum zcreq_retry {
	ZCREQ_RETRY_NONE = 1, /* nothing keeps the stream from sending */
	ZCREQ_RETRY_SOON,     /* not before a while, which begins when timers are asked */
	ZCREQ_RETRY_LATER,    /* not before retry_ns */
};

enum zcreq_retry_event {
	ZCREQ_RETRY_SHORT = 1, /* of memory */
	ZCREQ_RETRY_TURN,      /* the time is known */
	ZCREQ_RETRY_DUE,       /* the while is over */
	ZCREQ_RETRY_EVENTS,
};

extern const int8_t zcreq_retry_table[ZCREQ_RETRY_LATER + 1][ZCREQ_RETRY_EVENTS];

/* Whether the watchdog counts: watchdog.c. */
enum zcreq_look {
	ZCREQ_LOOK_ASLEEP = 1,   /* nobody owed anything when it looked last */
	ZCREQ_LOOK_IDLE,         /* the same, and the idle limit counts */
	ZCREQ_LOOK_IDLE_DOUBTED, /* that is over, but the look came too late to be believed */
	ZCREQ_LOOK_AWAKE,        /* something is outstanding, or may be unacknowledged */
	ZCREQ_LOOK_DOUBTED,      /* the same, and the last look found reason to abort, which
				    the next one has to find again */
};

enum zcreq_look_event {
	ZCREQ_LOOK_NOTHING = 1, /* is outstanding or unacknowledged */
	ZCREQ_LOOK_SILENCE,     /* nothing is, and there is a limit for that as well */
	ZCREQ_LOOK_SOMETHING,   /* is outstanding or unacknowledged */
	ZCREQ_LOOK_DOUBT,       /* there was reason to abort, but perhaps not the peer's */
	ZCREQ_LOOK_EVENTS,
};

extern const int8_t zcreq_look_table[ZCREQ_LOOK_DOUBTED + 1][ZCREQ_LOOK_EVENTS];

/* How far the end of the stream is: fin.c. From SENT on nothing more can be sent. */
enum zcreq_fin {
	ZCREQ_FIN_NONE = 1, /* the stream goes on */
	ZCREQ_FIN_ASKED,    /* it ends after what is queued */
	ZCREQ_FIN_SENT,     /* it has ended here; has the peer all of it? */
	ZCREQ_FIN_DEAF,     /* the same, and poll(2) says POLLHUP without end */
	ZCREQ_FIN_ACKED,    /* the peer's kernel has every byte and the end */
	ZCREQ_FIN_OVER,     /* the same, and poll(2) says POLLHUP */
};

enum zcreq_fin_event {
	ZCREQ_FIN_ASK = 1,
	ZCREQ_FIN_SHUT,   /* the socket was shut down for sending */
	ZCREQ_FIN_HANGUP, /* poll(2) said POLLHUP: the peer has ended as well */
	ZCREQ_FIN_ACK,    /* of all */
	ZCREQ_FIN_EVENTS,
};

extern const int8_t zcreq_fin_table[ZCREQ_FIN_OVER + 1][ZCREQ_FIN_EVENTS];

/* Whose turn it is with a sender: sender.c. From CALLING on a submission is under way. The
 * same of a program that makes its own sends (own.c): SENDERS from the offer to the report,
 * SOCKETS while it waits to be told of room. */
enum zcreq_sender_turn {
	ZCREQ_SENDER_TURN_OURS = 1, /* to submit what is next, if there is anything */
	ZCREQ_SENDER_TURN_SOCKETS,  /* it was full: POLLOUT tells */
	ZCREQ_SENDER_TURN_CALLING,  /* inside submit(), and no result yet */
	ZCREQ_SENDER_TURN_SENDERS,  /* to say what has become of it */
	ZCREQ_SENDER_TURN_ROOM,     /* the same, and there was room in the socket meanwhile */
};

enum zcreq_sender_event {
	ZCREQ_SENDER_SUBMIT = 1, /* submit() is about to be called */
	ZCREQ_SENDER_RETURNED,   /* it has returned, and the result is still to come */
	ZCREQ_SENDER_RESULT,     /* of the submission under way */
	ZCREQ_SENDER_FULL,       /* the result was that the socket took nothing */
	ZCREQ_SENDER_ROOM,       /* there is some, says POLLOUT */
	ZCREQ_SENDER_EVENTS,
};

extern const int8_t zcreq_sender_table[ZCREQ_SENDER_TURN_ROOM + 1][ZCREQ_SENDER_EVENTS];

/* What the error queue has said of the call that is not reported yet: own.c. */
enum zcreq_early {
	ZCREQ_EARLY_NOTHING = 1,
	ZCREQ_EARLY_NOTIFIED,
	ZCREQ_EARLY_COPIED,
};

/* A stream whose sends somebody else makes: a sender, or the program. */
struct zcreq_sending {
	const struct zcreq_sender_ops *ops; /* NULL: there is no sender */
	void *arg;
	uint8_t turn;        /* enum zcreq_sender_turn; written by sender.c */
	uint8_t early;       /* enum zcreq_early; of a program's own call */
	bool by_reference;   /* of the submission under way */
	uint32_t copies;     /* batches to copy, because one by reference found no memory */
	uint64_t lent_bytes; /* under way */
};

struct zcreq_stream {
	struct zcreq_conn conn; /* first */
	const struct zcreq_socket_ops *ops;
	void *ops_arg;
	int fd;                    /* -1 when closed */
	void *guarded;             /* a guard's; NULL: nobody watches the descriptor */
	uint32_t stall_ms, not_reading_ms, idle_ms, linger_ms;
	uint32_t batch_bytes;      /* after which a batch takes no further iovec */
	uint64_t limit_bytes;
	uint64_t room_below_bytes; /* held bytes at which the room hook is owed; 0: it is not */
	struct zcreq_sendq queue;
	struct zcreq_ids ids;
	struct zcreq_loans *loans; /* NULL: its requests cannot be detached */
	const struct zcreq_memory_ops *memory_ops; /* NULL: exchange.c */
	void *memory_arg;
	uint32_t detach_ms;        /* 0: not by itself, or not any more */
	uint32_t first_id;
	bool had_past;             /* ids before @first_id are somebody else's */
	bool foreign_ids;          /* no id is ours, and there may be others: see own.c */
	struct zcreq_policy policy;
	struct zcreq_sending sending;
	uint8_t ladder;            /* enum zcreq_ladder; written by ladder.c */
	uint8_t retry;             /* enum zcreq_retry; written by retry.c */
	bool keeps;                /* it gives no memory back while it is idle */
	uint8_t look;              /* enum zcreq_look; written by watchdog.c */
	uint8_t fin;               /* enum zcreq_fin; written by fin.c */
	uint64_t base_acked;       /* tcpi_bytes_acked before our bytes; NEVER: not known */
	uint64_t ended_ns;         /* from FIN_SENT on: when the end was sent */
	uint64_t fin_ns;           /* when to look for the acknowledgement; 0: not set yet */
	uint64_t poll_gap_ns;      /* between two looks, for that or while lingering */
	uint64_t retry_ns;         /* RETRY_LATER: no sending before this */
	uint64_t progress;         /* bytes accepted and ids notified, ever */
	uint64_t progress_seen;    /* at the last turn that noted it */
	uint64_t proved_seen;      /* notifications, ever, at that time */
	uint32_t window_seen;      /* tcpi_snd_wnd at the last look */
	uint64_t quiet_since_ns;   /* from LOOK_AWAKE on: no progress since */
	uint64_t owed_since_ns;    /* the same: who was not heard since owes since then; NEVER:
				    * all that was sent is proven */
	uint64_t copied_seen;      /* batches copied when the last proof was noted */
	uint64_t look_ns;          /* unless LOOK_ASLEEP: when to look next */
	uint64_t acked_seen;       /* tcpi_bytes_acked at the last look */
	uint64_t unread_since_ns;  /* the last look that found one of these grown */
	uint64_t trim_ns;          /* when its memory goes, if it stays as idle; 0: never */
	uint64_t trim_progress;    /* at the last look at that */
};

extern const struct zcreq_transport zcreq_stream_transport;
extern const struct zcreq_transport zcreq_own_transport; /* with ZCREQ_STREAM_OWN_SENDS */

static inline struct zcreq_stream *zcreq_stream_of(const struct zcreq_conn *conn)
{
	return (struct zcreq_stream *)conn;
}

/* Is it a stream, and does it send what is queued on it? */
static inline bool zcreq_queues(const struct zcreq_conn *conn)
{
	return conn && conn->transport == &zcreq_stream_transport;
}

/* Is it a stream on which the program makes the sends itself? */
static inline bool zcreq_is_own(const struct zcreq_conn *conn)
{
	return conn && conn->transport == &zcreq_own_transport;
}

/* Is this connection one of ours? */
static inline bool zcreq_is_stream(const struct zcreq_conn *conn)
{
	return zcreq_queues(conn) || zcreq_is_own(conn);
}

/* What to say of one on which nothing can be queued. */
static inline int zcreq_queues_not(const struct zcreq_conn *conn)
{
	return zcreq_is_own(conn) ? -EOPNOTSUPP : -EINVAL;
}

/* Has a sender, or the program, something of which it has not told the result? */
static inline bool zcreq_stream_lent(const struct zcreq_stream *stream)
{
	return stream->sending.turn >= ZCREQ_SENDER_TURN_CALLING;
}

/* Is sending put off, for want of memory? */
static inline bool zcreq_stream_put_off(const struct zcreq_stream *stream)
{
	return stream->retry != ZCREQ_RETRY_NONE;
}

/* stream.c: its guard looks at the descriptor. */
__attribute__((cold)) void zcreq_stream_guard_looks(const struct zcreq_stream *stream);

/* The descriptor is about to be used: is it still ours? */
static inline void zcreq_stream_guard(const struct zcreq_stream *stream)
{
	if (__builtin_expect(stream->guarded != NULL, 0))
		zcreq_stream_guard_looks(stream);
}

/* Does anything wait, here or in the kernel? */
static inline bool zcreq_stream_outstanding(const struct zcreq_stream *stream)
{
	return stream->queue.unsent_bytes || stream->ids.pending;
}

/* loop.c and interest.c: zcreq_process() and zcreq_events(), for the library itself. */
void zcreq_stream_process(struct zcreq_stream *stream, short revents);
short zcreq_stream_events(const struct zcreq_stream *stream);

/* interest.c: compares them with what the watcher was told. */
void zcreq_stream_compare_events(struct zcreq_stream *stream);

/* Something has happened that zcreq_events() may depend on. */
static inline void zcreq_stream_events_changed(struct zcreq_stream *stream)
{
	if (__builtin_expect(stream->conn.watch == ZCREQ_WATCH_TOLD, 0))
		zcreq_stream_compare_events(stream);
}

/* The kernel moved, so the watchdog's period begins again. */
static inline void zcreq_stream_progressed(struct zcreq_stream *stream, uint64_t amount)
{
	stream->progress += amount;
	if (stream->stall_ms)
		zcreq_conn_stir(&stream->conn);
}

/* room.c: a send or a write that does not fit: -EAGAIN, and the room hook is owed. */
__attribute__((cold)) int zcreq_stream_refuse(struct zcreq_stream *stream, uint64_t len);

/* Are so many bytes within the limit, with those that are held? */
static inline bool zcreq_stream_has_room(const struct zcreq_stream *stream, uint64_t len)
{
	uint64_t held;

	return !__builtin_add_overflow(stream->queue.held_bytes, len, &held) &&
	       held <= stream->limit_bytes;
}

/* Is there room for so many bytes? 0 or -EAGAIN. */
static inline int zcreq_stream_check_room(struct zcreq_stream *stream, uint64_t len)
{
	if (__builtin_expect(!stream->queue.held_bytes || zcreq_stream_has_room(stream, len), 1))
		return 0;
	return zcreq_stream_refuse(stream, len);
}

/* Something was queued: it is sent, and the watchdog looks, in this turn or in the next. */
static inline void zcreq_stream_queued(struct zcreq_stream *stream)
{
	zcreq_conn_queued(&stream->conn);
	if (stream->stall_ms)
		zcreq_conn_stir(&stream->conn);
	zcreq_stream_events_changed(stream);
}

/* loop.c: something may have left: does that make room, or end the connection? */
void zcreq_stream_follow_up(struct zcreq_stream *stream);

/* send.c: sends what it can; an error of the socket aborts the connection. */
void zcreq_stream_flush(struct zcreq_stream *stream);

/* send.c: ENOBUFS for a batch by reference: option memory, which what is in flight
 * has, or with nothing in flight the limit on locked memory. */
void zcreq_stream_no_buffers(struct zcreq_stream *stream);

/* send.c: the transport has answered -EOPNOTSUPP to a batch by reference, as TLS in the
 * kernel does, which was switched on after SO_ZEROCOPY had been accepted. */
__attribute__((cold)) void zcreq_stream_unsupported(struct zcreq_stream *stream);

/* send.c: a send has failed: tries again in a while, or aborts. */
void zcreq_stream_failed(struct zcreq_stream *stream, int error);

/* proof.c: reads the error queue; the number of messages, or an error. */
int zcreq_stream_reap(struct zcreq_stream *stream);

/* proof.c: one of the ids in flight is no longer referenced; false: told before. */
bool zcreq_stream_prove(struct zcreq_stream *stream, uint32_t id, bool copied);

/* proof.c: before notifications are believed; aborts what has died. */
void zcreq_stream_die_if_dead(struct zcreq_stream *stream);

/* proof.c: the socket is dead: aborts with its error, or with @otherwise if it has none. */
void zcreq_stream_die(struct zcreq_stream *stream, int otherwise);

/* sender.c: submits what is next, if nothing is under way and the socket is not full. */
void zcreq_sender_flush(struct zcreq_stream *stream);

/* sender.c: the socket is not full any more. */
void zcreq_sender_room(struct zcreq_stream *stream);

/* sender.c: the only writer of the turn. */
void zcreq_sender_event(struct zcreq_stream *stream, enum zcreq_sender_event event);

/* sender.c: a submission has taken nothing. */
void zcreq_sender_failed(struct zcreq_stream *stream, int error);

/* own.c: the program is told that there is room, if it waits for some. */
void zcreq_own_room(struct zcreq_stream *stream);

/* own.c: claims ids lo..hi of a program's own calls: what is left of them to be proven now,
 * up to *hi; false: nothing. */
bool zcreq_own_claims(struct zcreq_stream *stream, uint32_t lo, uint32_t *hi, bool copied);

/* Is the end of the stream on its way, so that the peer owes its acknowledgement? */
static inline bool zcreq_fin_waits(const struct zcreq_stream *stream)
{
	return stream->fin == ZCREQ_FIN_SENT || stream->fin == ZCREQ_FIN_DEAF;
}

/* fin.c: the stream has not ended; what the socket says of it before. */
void zcreq_fin_init(struct zcreq_stream *stream, const struct tcp_info *info);

/* fin.c: the transport's end. */
int zcreq_fin_end(struct zcreq_conn *conn);

/* fin.c: ends the stream if it is time, and looks whether the peer has all. */
void zcreq_fin_go_on(struct zcreq_stream *stream);

/* fin.c: poll(2) has said POLLHUP after the end. */
void zcreq_fin_hangup(struct zcreq_stream *stream);

/* fin.c: timers while the acknowledgement is missing; may abort the connection. */
uint64_t zcreq_fin_timers(struct zcreq_stream *stream, uint64_t now_ns);

/* fin.c: does this say that the peer's kernel has every byte and the end? */
bool zcreq_fin_is_acked(const struct zcreq_stream *stream, const struct tcp_info *info);

/* proof.c: what an error of the socket is the cause of. */
enum zcreq_cause zcreq_stream_cause(int error);

/* retry.c: memory is short: nothing is sent until a while after the next turn. */
void zcreq_retry_later(struct zcreq_stream *stream);

/* retry.c: sends again when it is time; returns when that is. */
uint64_t zcreq_retry_timers(struct zcreq_stream *stream, uint64_t now_ns);

/* ladder.c: the transport's abort, and its timers afterwards. */
void zcreq_ladder_abort(struct zcreq_conn *conn);
uint64_t zcreq_ladder_timers(struct zcreq_stream *stream, uint64_t now_ns);

/* detach.c: by itself, if it is time. */
uint64_t zcreq_detach_timers(struct zcreq_stream *stream, uint64_t now_ns);

/* Does a stream remember which memory its sends have lent? */
static inline bool zcreq_wants_loans(const struct zcreq_stream_options *o)
{
	return o->flags & ZCREQ_STREAM_DETACH || o->detach_ms;
}

/* reserve.c: can so much be asked for? And then it is there, or -ENOMEM. */
bool zcreq_reserve_possible(const struct zcreq_stream_options *o);
int zcreq_reserve(struct zcreq_stream *stream, const struct zcreq_allocator *allocator,
		  const struct zcreq_stream_options *o);

/* reserve.c: gives back all memory that a stream with nothing outstanding has. */
void zcreq_reserve_give(struct zcreq_stream *stream, const struct zcreq_allocator *allocator);

/* trim.c: timers of a stream that is idle and keeps memory that it may not need. */
uint64_t zcreq_trim_timers(struct zcreq_stream *stream, uint64_t now_ns);

/* trim.c: does it keep more than a quiet one needs? */
bool zcreq_trim_wants(const struct zcreq_stream *stream);

/* watchdog.c: timers while open or draining; may abort the connection. */
uint64_t zcreq_watchdog_timers(struct zcreq_stream *stream, uint64_t now_ns);

#endif
