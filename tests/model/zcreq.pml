/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zcreq.pml - the protocol of lib/, for spin: who may do what when, and what never happens
 *
 * One connection, two requests; each request is given sends and holds, as many as
 * the configuration says. Everything that has a will of its own is a process: the
 * owner of each request, who ends the connection, the program's loop, callbacks, the
 * watchdog, the timer, and the kernel. A process does one call of the library at a
 * time, or one callback, and spin tries every order of them. A call of an owner
 * between two of them is one from inside a callback.
 *
 *	request.pml  lib/core/request.c, the handles of lib/core/slot.c, callbacks of a request
 *	queue.pml    lib/stream/sendq.c and lib/stream/ids.c: sends, batches, proof
 *	fin.pml      lib/stream/fin.c: the end of the stream, and its acknowledgement
 *	conn.pml     lib/core/conn.c and lib/stream/ladder.c: the end of the connection
 *	judge.pml    the invariants that speak of a state
 *
 * The state tables are not here: they are printed from lib/ (tables.c).
 *
 * What is left out, and why that is sound:
 *
 *  - Bytes. A send is UNITS of them; a batch is any run of the queue's units, so
 *    every way to cut sends into batches is there.
 *  - Ids and ranges. A notification names one batch; a range is several of them
 *    at once, and one that is not in flight changes nothing (check_ids).
 *  - The order of the callbacks that are due. Any mailbox may be next, which is more than
 *    lib/ does. The bound on rounds only lets a turn stop earlier.
 *  - Time. A deadline that has been set passes at any moment afterwards; the
 *    watchdog may find its stall whenever something is outstanding.
 *  - EINTR, EAGAIN, EBUSY from below, -ENOMEM: nothing happens, and is tried again.
 *  - Pages. To exchange them is one step, and one that is refused is none; all of a
 *    connection is one request after the other.
 *  - Copies of the error code. A status is none or some; the first wins because the
 *    place is taken.
 *  - Calls that the library refuses without a change, except that every handle that
 *    has ended is looked up after each step in which that could have gone wrong.
 *  - What can never matter again: places of sends and batches are used again when
 *    nothing is outstanding, so that histories that differ only in it are one state.
 *  - zcreq_conn_free(), which to a request is an abort; the memory of a connection.
 *  - zcreq_write(), foreign messages, room, senders (lib/stream/sender.c), several
 *    connections: none of these takes part in what a request waits for.
 *
 * How the kernel is: KIND gives everything back at once when it is disconnected or
 * the peer resets. Otherwise it may refuse to disconnect, give back late, in any
 * order, or never.
 */
#include "tables.pml"

/* Of the two requests so many are ever detached. */
#ifndef DETACHES
#define DETACHES 2
#endif

#ifndef UNITS
#define UNITS 1
#endif
#ifndef SENDS0
#define SENDS0 2
#define HOLDS0 1
#define SENDS1 1
#define HOLDS1 2
#endif
#define LIVES 2
#define SENDS (SENDS0 + SENDS1)
#define HOLDS 3              /* places for holds of one request */
#define BATCHES (SENDS * UNITS)

#define SENDS_OF(l) ((l) == 0 -> SENDS0 : SENDS1)
#define HOLDS_OF(l) ((l) == 0 -> HOLDS0 : HOLDS1)

/* Invariants by name: assert(I1 || it holds), so that the report says which. Never
 * true, unless a run is to look at the others only (-DI1=1). */
#ifndef I1
hidden byte I1;
#endif
#ifndef I2
hidden byte I2;
#endif
#ifndef I3
hidden byte I3;
#endif
#ifndef I4
hidden byte I4;
#endif
#ifndef I5
hidden byte I5;
#endif
#ifndef I9
hidden byte I9;
#endif
#ifndef I11
hidden byte I11;
#endif
#ifndef SUCCESS
hidden byte SUCCESS;
#endif
#ifndef BUG
hidden byte BUG;
#endif

/* What a call does while the kernel may move: the steps of the ladder, and of reap. */
#define IDLE 0
#define CALL_REAP 1       /* ladder: what was said already */
#define CALL_DISCONNECT 2
#define CALL_REAP_AGAIN 3 /* ladder: what disconnecting has posted */
#define CALL_ASK 4        /* notifications were read: is the socket alive? */
#define CALL_BELIEVE 5
byte call;

byte conn_state;
#define SENDING (conn_state <= CONN_DRAINING)
#define ENDING (conn_state == CONN_ABORTING || conn_state == CONN_QUARANTINED)
#define CONN_LIVES (conn_state != CONN_CLOSED)

#include "judge.pml"
#include "queue.pml"
#include "request.pml"
#include "fin.pml"
#include "conn.pml"

/* The owner of one request. Both may act inside any callback. */
proctype Owner(byte me)
{
end:
	do
	:: d_step { call == IDLE && !R[me].begun && (me == 0 || R[0].begun) && conn_state == CONN_OPEN ->
		begin(me) }
	:: d_step { call == IDLE && OWNED(me) && R[me].sent < SENDS_OF(me) && MAY(me, HOLD) ->
		send(me) }
	:: d_step { call == IDLE && OWNED(me) && R[me].took < HOLDS_OF(me) && MAY(me, HOLD) ->
		take(me) }
	:: d_step { call == IDLE && R[me].held -> drop(me, 0) }
	:: d_step { call == IDLE && OWNED(me) -> finish(me, 0) }
#ifdef ERRORS
	:: d_step { call == IDLE && R[me].held -> drop(me, 1) }
	:: d_step { call == IDLE && OWNED(me) -> finish(me, 1) }
#endif
	:: d_step { call == IDLE && ENDING && R[me].sends && me < DETACHES -> detach(me) }
#ifndef NO_REQUEST_ABORT
	:: d_step { call == IDLE && LISTED(me) && MAY(me, ABORT) && !R[me].accepted ->
		abort_request(me) }
#endif
	od
}

/* Whoever ends the connection, or never does. */
proctype End()
{
end:
	do
	:: d_step { call == IDLE && SENDING -> conn_abort() }
	:: d_step { call == IDLE && conn_state == CONN_OPEN -> conn_drain() }
	:: break
	od
}

/* A program may read at any time, but after an abort zcreq_events() does not ask for
 * it: what must follow without a timer must follow without this too. */
#ifdef NO_TIMERS
#define MAY_READ SENDING
#else
#define MAY_READ CONN_LIVES
#endif

/* The program's loop: sends what is queued, reads what the kernel says. */
proctype Loop()
{
end:
	do
	:: atomic { call == IDLE && SENDING && UNSENT && !dead && !mute ->
		select_bytes();
		if
		:: d_step { accept(bytes, 1); conn_check_end() }
#ifndef NO_COPY
		:: d_step { accept(bytes, 0); conn_check_end() }
#endif
		fi }
	:: d_step { call == IDLE && MAY_READ && POSTED_ANY -> read_notifications(); call = CALL_ASK }
	/* POLLHUP, an empty error queue, or a send that fails */
	:: d_step { call == IDLE && SENDING && dead && fin == FIN_NONE -> conn_abort() }
	:: d_step { call == IDLE && FIN_TELLS -> fin_look() }
	od
}

/* The rest of a call that is under way: nobody but the kernel moves meanwhile. */
proctype Call()
{
end:
	do
	:: d_step { call == CALL_REAP -> reap(); call = CALL_DISCONNECT }
	:: atomic { call == CALL_DISCONNECT ->
#if defined(M_DISCONNECT_BY_TIMER)
		ladder = LADDER_REFUSED;
#else
		let_go();
#endif
		call = CALL_REAP_AGAIN }
	:: d_step { call == CALL_REAP_AGAIN ->
#ifndef M_REAP_ONCE
		reap();
#endif
		conn_check_end();
		call = (CLAIMED_ANY -> CALL_BELIEVE : IDLE) }
	:: d_step { call == CALL_ASK ->
		if
#ifndef M_BELIEVE_AT_ONCE
		:: SENDING && dead -> conn_abort()
#endif
		:: else -> call = CALL_BELIEVE
		fi }
	:: d_step { call == CALL_BELIEVE -> believe(); conn_check_end(); call = IDLE }
	od
}

/* The callbacks of zcreq_turn(), one after another. */
proctype Dispatch()
{
end:
	do
	:: d_step { call == IDLE && CONN_RUNS -> conn_run() }
	:: d_step { call == IDLE && RUNS(0) -> request_run(0) }
	:: d_step { call == IDLE && RUNS(1) -> request_run(1) }
	od
}

/* The timers of zcreq_turn(), where they find something to do. */
proctype Timer()
{
end:
	do
	:: d_step { call == IDLE && conn_state == CONN_DRAINING -> conn_abort() }
	:: atomic { call == IDLE && ENDING && pending && ladder == LADDER_REFUSED -> let_go() }
	:: d_step { call == IDLE && ENDING && POSTED_ANY -> reap(); conn_check_end() }
	:: d_step { call == IDLE && conn_state == CONN_ABORTING && pending -> conn_deadline() }
	od
}

/* The watchdog: no progress, whatever the reason. */
proctype Watchdog()
{
end:
	do
	:: d_step { call == IDLE && SENDING && (UNSENT || pending) -> conn_abort() }
	od
}

/* The kernel and the peer. */
proctype Kernel()
{
end:
	do
	:: d_step { MAY_POST(0) -> post(0) }
#if BATCHES > 1
	:: d_step { MAY_POST(1) -> post(1) }
#endif
#if BATCHES > 2
	:: d_step { MAY_POST(2) -> post(2) }
#endif
#if BATCHES > 3
	:: d_step { MAY_POST(3) -> post(3) }
#endif
	:: d_step { !dead && SENDING -> die() }
	:: d_step { MAY_ACK_END -> peer_has_end = 1 }
#ifndef NO_MUTE
	:: d_step { !mute -> mute = 1 }
#endif
	od
}

/* Says so when one of these is true; else it is never heard of. */
proctype Judge()
{
end:
	do
	:: d_step { QUIET && (LOST(0) || LOST(1)) -> assert(I1) }
	:: d_step { QUIET && (UNREPORTED(0) || UNREPORTED(1)) -> assert(I1) }
	:: d_step { UNTOLD(0) || UNTOLD(1) -> assert(I4) }
#ifdef KIND
	:: d_step { QUIET && (KEPT(0) || KEPT(1)) -> assert(I5) }
#endif
	:: d_step { QUIET && conn_state == CONN_CLOSED && !heard_closed -> assert(BUG) }
	od
}

/* Mutations of the tables; everything else that is broken on purpose is in place. */
inline break_tables()
{
#ifdef M_FINISH_TWICE
	request_table[FINISHED * EVENTS + FINISH] = FINISHED;
#endif
#ifdef M_QUARANTINE_IS_THE_END
	request_table[QUARANTINED * EVENTS + PROVEN_ALL] = QUARANTINED;
#endif
	skip
}

init
{
	atomic {
		break_tables();
		R[0].state = FREE;
		R[1].state = FREE;
		conn_state = CONN_OPEN;
		ladder = LADDER_NONE;
		running = NOBODY;
		run Owner(0);
		run Owner(1);
		run End();
		run Loop();
		run Call();
		run Dispatch();
#ifndef NO_TIMERS
		run Timer();
		run Watchdog();
#endif
		run Kernel();
#ifndef LIVENESS
		run Judge();
#endif
	}
}

#ifdef LIVENESS
/* With weak fairness: each process that could go on for ever does at last. */
#define W WATCHED
ltl i1 { [] (R[W].begun -> <> (R[W].released || R[W].quarantined)) }
ltl i4 { [] ((R[W].begun && ENDING) -> <> R[W].settled) }
ltl i5 { [] ((R[W].begun && ENDING) -> <> R[W].released) }
#endif
