/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conn.pml - lib/core/conn.c and lib/stream/ladder.c: the ways to the end of the connection
 */

byte ladder;
bit conn_ready;   /* its mailbox, of which only closed is here: the other hooks change nothing */
bit heard_closed;

#define LADDER_NONE 0
#define LADDER_REFUSED 1
#define LADDER_LET_GO 2

inline conn_must(event)
{
	next = conn_table[conn_state * CONN_EVENTS + (event)];
	assert(BUG || (next > 0 && next < REFUSED));
	conn_state = next
}

/* What the kernel has of sends that were detached keeps the connection too. */
#ifdef M_DETACHED_CLOSES
#define OUTSTANDING 0
#else
#define OUTSTANDING pending
#endif

/* Is a state other than open over? */
inline conn_check_end()
{
	reuse();
	if
	:: conn_state != CONN_OPEN && CONN_LIVES && !LISTED(0) && !LISTED(1) && !UNSENT && !OUTSTANDING ->
		fin_end();
		if
		:: conn_state != CONN_DRAINING || FIN_OVER ->
			in_order = (conn_state == CONN_DRAINING);
			conn_must(CONN_EMPTY);
			conn_ready = 1
		:: else
		fi
	:: else
	fi
}

#ifdef M_ABORT_SPARES_FINISHED
#define ABORTS(l) (LISTED(l) && R[l].state == OPEN)
#else
#define ABORTS(l) (LISTED(l) && MAY(l, ABORT))
#endif

inline abort_one(l)
{
	if
	:: ABORTS(l) -> aborted(l)
	:: else
	fi;
#ifdef M_RELEASED_ON_ABORT
	if
	:: LISTED(l) && R[l].finished -> make_due(l, DUE_RELEASED)
	:: else
	fi
#endif
}

/* Up to the point where the kernel comes into it; the rest is the ladder. */
inline conn_abort()
{
	conn_must(CONN_ABORT);
	abort_one(0);
	abort_one(1);
	drop_sends(LIVES);
	call = CALL_REAP
}

/* connect(AF_UNSPEC), twice if it must: an atomic step, not a deterministic one. */
inline let_go()
{
	if
	:: d_step {
		ladder = LADDER_LET_GO;
		die() }
#ifndef KIND
	:: ladder == LADDER_NONE -> ladder = LADDER_REFUSED
#endif
	fi
}

inline conn_drain()
{
	conn_must(CONN_DRAIN);
	conn_check_end()
}

inline conn_deadline()
{
	conn_must(CONN_DEADLINE);
	if
	:: LISTED(0) -> request_deadline(0)
	:: else
	fi;
	if
	:: LISTED(1) -> request_deadline(1)
	:: else
	fi
}

/* ---- callbacks of the connection ---------------------------------------------- */

#define CONN_RUNS (running == NOBODY && conn_ready)

/* The closed hook, then the descriptor. */
inline conn_run()
{
	assert(BUG || (!heard_closed && !LISTED(0) && !LISTED(1)));
	assert(I11 || !in_order || peer_has_end);
	assert(I9 || !(ANY(IN_KERNEL) || ANY(POSTED) || ANY(CLAIMED)));
	conn_ready = 0;
	heard_closed = 1
}
