/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * queue.pml - lib/stream/sendq.c and lib/stream/ids.c: from the queue to batches, from proof to sends
 *
 * A send is known by its place in the order of the calls, a batch by its id. Whose
 * units a batch has, and what the kernel has said about it, is the kernel's own
 * record, which lib/ cannot see and the judge can.
 */

typedef Send {
	bit owner;
	bit gone;
	unsigned left : 2;    /* units not accepted yet */
	unsigned batches : 2; /* pending ones that have units of it */
};

/* what the kernel did with a batch */
#define IN_KERNEL 1
#define POSTED 2              /* let go of, and said so on the error queue */
#define CLAIMED 3             /* read, not believed yet */
#define READ 4                /* read and believed */

typedef Batch {
	unsigned state : 3;
	unsigned first : 2;
	unsigned last : 2;
	unsigned owners : 2;  /* a bit for each request that has units in it */
	bit pending;          /* lib/ waits for its proof */
	bit reset;            /* it was let go of because the connection died */
};

Send Q[SENDS];
Batch B[BATCHES];
byte q_next, q_tail, b_tail, pending;
bit dead;                     /* the connection is over, says the kernel */
bit mute;                     /* the kernel neither takes nor gives back any more */

#define UNSENT (q_next != q_tail)
#define IS(b, what) ((b) < BATCHES && B[(b) % BATCHES].state == (what))
#define ANY(what) (IS(0, what) || IS(1, what) || IS(2, what) || IS(3, what))
#define POSTED_ANY ANY(POSTED)
#define CLAIMED_ANY ANY(CLAIMED)

/* While the connection is alive, in the order of the ids; at its end in any. */
#define MAY_POST(b) (IS(b, IN_KERNEL) && !mute && (dead || (b) == 0 || !IS((b) - 1, IN_KERNEL)))

inline send(l)
{
	must(l, HOLD);
	Q[q_tail].owner = l;
	Q[q_tail].left = UNITS;
	q_tail++;
	R[l].sends++;
	R[l].sent++
}

inline send_over(s)
{
	Q[s].gone = 1;
	if
	:: Q[s].owner == 0 -> send_gone(0)
	:: else ->
		Q[s].owner = 0;
		send_gone(1)
	fi
}

/* Nothing is outstanding: the places of sends and batches are free to be used again. */
inline reuse()
{
	if
	:: !UNSENT && !pending && !POSTED_ANY && !CLAIMED_ANY && q_tail ->
		for (i : 0 .. SENDS - 1) {
			Q[i].gone = 0
		}
		for (i : 0 .. BATCHES - 1) {
			B[i].state = 0
		}
		q_next = 0;
		q_tail = 0;
		b_tail = 0
	:: else
	fi
}

inline skip_sent()
{
	do
	:: q_next < q_tail && !Q[q_next].left -> q_next++
	:: else -> break
	od
}

/* How many units a call takes: 1 to all. */
hidden byte bytes, unsent;

inline select_bytes()
{
	unsent = 0;
	for (i : q_next .. q_tail - 1) {
		unsent = unsent + Q[i].left
	}
	select (bytes : 1 .. unsent);
	skip
}

/* A call has taken so many units, by reference or as a copy. */
inline accept(units, by_reference)
{
	n = units;
	if
	:: by_reference -> B[b_tail].first = q_next
	:: else
	fi;
	do
	:: n ->
		part = (Q[q_next].left < n -> Q[q_next].left : n);
		n = n - part;
		Q[q_next].left = Q[q_next].left - part;
		if
		:: part ->
			R[Q[q_next].owner].accepted = 1;
			if
			:: by_reference ->
				Q[q_next].batches++;
				B[b_tail].last = q_next;
				B[b_tail].owners = B[b_tail].owners | (1 << Q[q_next].owner)
			:: else
			fi
		:: else
		fi;
		if
		:: Q[q_next].left -> break
		:: else
		fi;
		if
		:: part && !Q[q_next].batches -> send_over(q_next)
		:: else
		fi;
		q_next++
	:: else -> break
	od;
	skip_sent();
	if
	:: by_reference ->
		B[b_tail].state = IN_KERNEL;
		B[b_tail].pending = 1;
		b_tail++;
		pending++
	:: else
	fi
}

/* The proof for a batch. */
inline prove(b)
{
	if
	:: B[b].reset && (B[b].owners & 1) && !R[0].status -> R[0].cut = 1
	:: else
	fi;
	if
	:: B[b].reset && (B[b].owners & 2) && !R[1].status -> R[1].cut = 1
	:: else
	fi;
	B[b].reset = 0;
	B[b].owners = 0;
	B[b].pending = 0;
	pending--;
	for (j : B[b].first .. B[b].last) {
		if
		:: !Q[j].gone ->
			assert(BUG || Q[j].batches);
			Q[j].batches--;
			if
#ifdef M_PROOF_OF_A_PART
			:: !Q[j].batches ->
#else
			:: !Q[j].batches && !Q[j].left ->
#endif
				send_over(j)
			:: else
			fi
		:: else
		fi
	}
	B[b].first = 0;
	B[b].last = 0
}

/* What is unsent will not be sent: of one request, or with LIVES of all. */
inline drop_sends(l)
{
	for (j : q_next .. q_tail - 1) {
		if
		:: Q[j].left && ((l) == LIVES || Q[j].owner == (l)) ->
			Q[j].left = 0;
			R[Q[j].owner].cut = !R[Q[j].owner].status;
			if
#ifdef M_ACCEPTED_IS_UNSENT
			:: send_over(j)
#else
			:: !Q[j].batches -> send_over(j)
			:: else
#endif
			fi
		:: else
		fi
	}
	skip_sent()
}

/*
 * Other pages under the addresses of a request, and with that its sends are over. The
 * kernel has the old ones: its batches have nothing of the request any more, and their
 * proof is still to come.
 */
inline detach(l)
{
	for (j : 0 .. q_tail - 1) {
		if
		:: !Q[j].gone && Q[j].owner == (l) ->
			send_over(j);
#ifdef M_DETACHED_STAYS
			Q[j].owner = l;
			Q[j].gone = 0
#endif
		:: else
		fi
	}
#ifndef M_DETACHED_UNEXCHANGED
	for (i : 0 .. BATCHES - 1) {
		B[i].owners = B[i].owners & ~(1 << (l))
	}
#endif
	skip
}

/* Reads what was posted, and believes nothing yet. */
inline read_notifications()
{
	for (i : 0 .. BATCHES - 1) {
		if
		:: B[i].state == POSTED -> B[i].state = CLAIMED
		:: else
		fi
	}
}

inline believe()
{
	for (i : 0 .. BATCHES - 1) {
		if
		:: B[i].state == CLAIMED ->
			B[i].state = READ;
			if
			:: B[i].pending -> prove(i)
			:: else
			fi
		:: else
		fi
	}
}

/* Both, on a connection that is aborted already: there is nothing to ask. */
inline reap()
{
	for (i : 0 .. BATCHES - 1) {
		if
		:: B[i].state == POSTED ->
			B[i].state = READ;
			if
			:: B[i].pending -> prove(i)
			:: else
			fi
		:: else
		fi
	}
}

/* ---- the kernel's own steps -------------------------------------------------- */

inline post(b)
{
	B[b].state = POSTED;
	B[b].reset = dead && SENDING
}

inline die()
{
	dead = 1;
#ifdef KIND
	for (i : 0 .. BATCHES - 1) {
		if
		:: B[i].state == IN_KERNEL -> post(i)
		:: else
		fi
	}
#endif
	skip
}
