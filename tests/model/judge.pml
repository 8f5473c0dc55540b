/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * judge.pml - the invariants
 *
 * Those about a single step are assertions where the step is: I1 twice, I2, I3, I9, I11,
 * SUCCESS. Those about what must not stay are here: on a state in which
 * nothing is due, nobody may wait for nothing. They need no fairness, so they hold
 * on the whole of the state space; the formulas say the same in terms of
 * "at last" (the end of zcreq.pml), on a smaller one.
 */

#define OF(b, l) ((b) < BATCHES && ((B[(b) % BATCHES].owners >> (l)) & 1))
#define UNREAD(b, l) (OF(b, l) && B[(b) % BATCHES].state != READ)
#define QUEUED(s, l) ((s) < SENDS && (s) < q_tail && Q[(s) % SENDS].owner == (l) && Q[(s) % SENDS].left)

/* I2: the kernel has said so for each batch with units of it, and it gets no more. */
#define IN_DOUBT(l) (UNREAD(0, l) || UNREAD(1, l) || UNREAD(2, l) || UNREAD(3, l))
#define WAITS(l) (QUEUED(0, l) || QUEUED(1, l) || QUEUED(2, l))
#define PROVEN(l) (!IN_DOUBT(l) && !WAITS(l))

/* No call is under way, no callback, and none is due. */
#define QUIET (call == IDLE && running == NOBODY && !R[0].ready && !R[1].ready && !conn_ready)

/* Its owner has done all that is an owner's. */
#define LEFT(l) (R[l].begun && R[l].finished && !R[l].held && !R[l].released)

#define LOST(l) (LEFT(l) && !WAITS(l) && !IN_DOUBT(l))
#define UNREPORTED(l) (LEFT(l) && conn_state == CONN_QUARANTINED && !R[l].quarantined)
#define UNTOLD(l) (R[l].begun && ENDING && call == IDLE && !R[l].settled && \
	!(R[l].ready && (R[l].due & DUE_SETTLED)) && !(running == (l) && (news & DUE_SETTLED)))
#define KEPT(l) (LEFT(l) && ENDING)
