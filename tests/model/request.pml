/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * request.pml - lib/core/request.c: two counters, a state, a mailbox; handles of lib/core/slot.c
 *
 * A request keeps its record for ever here, and lib/ uses it again; so a place of a
 * table is only what it is to handles: used or not, and in which generation. One bit
 * of generation is enough, since no place is used more than twice.
 */

typedef Request {
	unsigned state : 3;
	unsigned sends : 2;
	unsigned holds : 2;
	unsigned due : 4;
	bit ready;            /* on the queue of those with callbacks due */
	bit status;           /* some error */
	bit accepted;         /* the kernel took some of it */
	bit slot;             /* the handle */
	bit generation;

	/* what its owner did and heard, for the judge */
	bit begun;
	bit finished;
	unsigned sent : 2;
	unsigned took : 2;
	unsigned held : 2;    /* holds that it has not dropped */
	bit settled;
	bit quarantined;
	bit released;
	bit cut;              /* not all of it was delivered */
};

typedef Place {
	bit used;
	bit generation;
};

typedef Hold {
	bit held;
	unsigned place : 3;   /* the handle */
	bit generation;
};

Request R[LIVES];
Place slots[LIVES];
#ifdef HANDLES
Place hold_slots[LIVES * HOLDS];
Hold H[LIVES * HOLDS];
#endif

#define NOBODY LIVES
byte running;                 /* who is in the middle of its callbacks */
byte news;                    /* those of them that are still to come */

/* scratch of one step */
hidden short next;
hidden byte i, j, k, n, part;

#define LISTED(l) (R[l].begun && R[l].state != FREE)
#define OWNED(l) (R[l].begun && !R[l].finished)
#define CELL(l, event) request_table[R[l].state * EVENTS + (event)]
#define MAY(l, event) (CELL(l, event) < REFUSED)

/* The only writer of a state. */
inline must(l, event)
{
	next = CELL(l, event);
	assert(BUG || (next > 0 && next < REFUSED));
	R[l].state = (next < REFUSED -> next : R[l].state)
}

inline make_due(l, what)
{
	if
	:: !R[l].due -> R[l].ready = 1
	:: else
	fi;
	R[l].due = R[l].due | (what)
}

inline settle(l, error)
{
	if
	:: (error) && !R[l].status ->
		R[l].status = 1;
		make_due(l, DUE_SETTLED)
	:: else
	fi
}

#ifdef M_LAST_IGNORES_SENDS
#define NOTHING_LEFT(l) (R[l].holds == 0)
#else
#define NOTHING_LEFT(l) (R[l].sends == 0 && R[l].holds == 0)
#endif

inline check_last(l)
{
	if
	:: NOTHING_LEFT(l) ->
		must(l, LAST);
		if
		:: R[l].state == DONE && R[l].status -> make_due(l, DUE_RELEASED)
		:: R[l].state == DONE && !R[l].status ->
			make_due(l, (DUE_SETTLED | DUE_RELEASED))
		:: else
		fi
	:: else
	fi
}

inline late_proof(l)
{
#ifndef M_QUARANTINED_WITHOUT_SENDS
	if
	:: R[l].state == QUARANTINED && !R[l].sends -> must(l, PROVEN_ALL)
	:: else
	fi
#endif
	skip
}

inline send_gone(l)
{
	assert(BUG || R[l].sends > 0);
	R[l].sends--;
	late_proof(l);
#ifdef M_LATE_PROOF_LOST
	if
	:: conn_state != CONN_QUARANTINED -> check_last(l)
	:: else
	fi
#else
	check_last(l)
#endif
}

inline request_deadline(l)
{
	if
	:: R[l].sends && R[l].state == ABORTED_FINISHED ->
		must(l, DEADLINE);
		make_due(l, DUE_QUARANTINED)
	:: else
	fi
}

/* ---- handles: looked up whenever one may have ended --------------------------- */

#define FINDS(place, handle) (place.used && place.generation == handle.generation)

inline look_up(l)
{
	if
	:: R[l].begun ->
		assert(I3 || FINDS(slots[R[l].slot], R[l]) == !R[l].released);
		/* a second finish, and what comes after it */
		assert(I3 || !R[l].finished || CELL(l, FINISH) == STALE);
		assert(I3 || !R[l].finished || CELL(l, HOLD) == STALE)
	:: else
	fi
}

inline look_up_all()
{
	look_up(0);
	look_up(1);
#ifdef HANDLES
	for (i : 0 .. HOLDS - 1) {
		assert(I3 || i >= R[0].took || FINDS(hold_slots[H[i].place], H[i]) == H[i].held);
		assert(I3 || i >= R[1].took || FINDS(hold_slots[H[HOLDS + i].place], H[HOLDS + i]) ==
		       H[HOLDS + i].held)
	}
#endif
	skip
}

/* A place's use ends: its handle is stale from here on. */
inline give(entry)
{
#ifndef M_HANDLE_STAYS
	entry.used = 0;
#ifndef M_NO_GENERATION
	entry.generation = !entry.generation;
#endif
#endif
	skip
}

/* ---- calls of the owner -------------------------------------------------------- */

inline begin(l)
{
	R[l].slot = slots[0].used;
	slots[R[l].slot].used = 1;
	R[l].generation = slots[R[l].slot].generation;
	R[l].begun = 1;
	must(l, BEGIN);
	look_up_all()
}

inline finish(l, error)
{
	must(l, FINISH);
	R[l].finished = 1;
	settle(l, error);
	check_last(l);
	if
	:: conn_state == CONN_QUARANTINED -> request_deadline(l)
	:: else
	fi;
	look_up_all();
#ifndef HANDLES
	R[l].took = 0;
#endif
	R[l].sent = 0
}

inline take(l)
{
	must(l, HOLD);
#ifdef HANDLES
	k = (l) * HOLDS + R[l].took;
	H[k].place = (hold_slots[R[l].took].used -> HOLDS + R[l].took : R[l].took);
	hold_slots[H[k].place].used = 1;
	H[k].generation = hold_slots[H[k].place].generation;
	H[k].held = 1;
#endif
	R[l].held++;
	R[l].took++;
	R[l].holds++;
	look_up_all()
}

/* Which of its holds makes no difference: it is the last. */
inline drop(l, error)
{
#ifdef HANDLES
	for (i : 0 .. R[l].took - 1) {
		if
		:: H[(l) * HOLDS + i].held -> k = (l) * HOLDS + i
		:: else
		fi
	}
	assert(I3 || FINDS(hold_slots[H[k].place], H[k]));
	H[k].held = 0;
	give(hold_slots[H[k].place]);
#endif
	R[l].held--;
	R[l].holds--;
	settle(l, error);
	check_last(l);
	look_up_all()
}

inline aborted(l)
{
	must(l, ABORT);
	R[l].accepted = 0;
#ifdef M_SETTLE_WITH_PROOF
	if
	:: R[l].sends -> R[l].status = 1
	:: else -> settle(l, 1)
	fi;
#else
	settle(l, 1);
#endif
	if
	:: R[l].state == ABORTING -> make_due(l, DUE_ABORTING)
	:: else
	fi
}

/* Nothing of it was accepted: withdrawn. */
inline abort_request(l)
{
	aborted(l);
	if
	:: R[l].sends -> drop_sends(l); conn_check_end()
	:: else
	fi
}

/* ---- callbacks of one request, one at a time ----------------------------- */

#define RUNS(l) (running == (l) || (running == NOBODY && R[l].ready))

/* The state is asked again: an earlier callback may have moved it on. */
#ifdef M_QUARANTINED_UNASKED
#define TELLS_QUARANTINE(l) (news & DUE_QUARANTINED)
#else
#define TELLS_QUARANTINE(l) ((news & DUE_QUARANTINED) && R[l].state == QUARANTINED)
#endif

inline request_run(l)
{
	if
	:: running == NOBODY ->
		R[l].ready = 0;
		news = R[l].due;
#ifndef M_MAILBOX_EMPTIED_LATE
		R[l].due = 0;
#endif
		running = l
	:: else
	fi;
	if
	:: news & DUE_SETTLED ->
		assert(I4 || !R[l].settled);
		R[l].settled = 1;
		news = news & ~DUE_SETTLED
	:: !(news & DUE_SETTLED) && (news & (DUE_ABORTING | DUE_QUARANTINED)) ->
		if
		:: TELLS_QUARANTINE(l) ->
			assert(I1 || !R[l].released);
			assert(I1 || IN_DOUBT(l));
			R[l].quarantined = 1
		:: else
		fi;
		news = news & ~(DUE_ABORTING | DUE_QUARANTINED)
	:: else ->
		retire(l);
		news = 0
	fi;
	if
	:: !news ->
		running = NOBODY;
#ifdef M_MAILBOX_EMPTIED_LATE
		R[l].due = 0
#endif
	:: else
	fi
}

/* It leaves everything; then released is called. */
inline retire(l)
{
	assert(I1 || !R[l].released);
	assert(I2 || PROVEN(l));
	assert(I2 || !R[l].held);
	assert(SUCCESS || R[l].status || !R[l].cut);
	assert(I4 || R[l].settled);
	must(l, REPORTED);
	R[l].released = 1;
	give(slots[R[l].slot]);
	look_up_all();
	R[l].accepted = 0;
	R[l].quarantined = 0;
	R[l].cut = 0;
	conn_check_end()
}
