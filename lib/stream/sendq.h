/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sendq.h - the queue of sends of one stream, from the call to the proof
 *
 * Two fifos. One has the sends, in the order of the calls; the other their iovecs,
 * in the same order, so that what can go next is always one run of an array that
 * sendmsg takes as it is. An iovec's place is free when the kernel has accepted
 * its bytes (the kernel pins pages, not iovecs); a send's place is free when it is
 * gone: no byte left to accept, and no batch that has bytes of it still pending.
 *
 *	   head              next            tail
 *	----|--- accepted ----|--- unsent ----|----
 *
 * A send can straddle batches and a batch can straddle sends: each send counts
 * the pending batches that touch it, which is all there is to "the last part was
 * copied, the first is still in flight". The batch that takes its last byte is counted
 * from the start, so that a call that takes whole sends by reference touches none of them.
 */
#ifndef ZCREQ_LIB_SENDQ_H
#define ZCREQ_LIB_SENDQ_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/core.h"
#include "stream/writebuf.h"

/* There can be a million of them, so each has 40 bytes: whose it is takes one word, and
 * its iovecs begin where those of the send before it end. */
struct zcreq_send {
	uintptr_t owner;     /* a request, or a write's chunk with bit 0 set, or nobody with
				that bit alone, or with bit 1; 0: gone */
	uint64_t total_bytes;
	uint64_t left_bytes; /* not accepted yet; of those before next it says nothing */
	uint32_t batches;    /* pending ones that have bytes of it, and while some are left the
				one that will take the last */
	uint32_t end_iov;
	uint32_t since;      /* the turn after it was queued, as zcreq_time() */
	uint32_t guarded;    /* a guard's entry of it; 0: nobody watches its memory */
};

/* Why a request's send is gone: what there was for the last of its bytes. */
enum zcreq_gone {
	ZCREQ_GONE_NOTIFIED = 0,
	ZCREQ_GONE_COPIED,
	ZCREQ_GONE_UNSENT,
	ZCREQ_GONE_DETACHED,
	ZCREQ_GONE_REASONS,
};

#define ZCREQ_SEND_WRITE ((uintptr_t)1)

/* Its request has its memory back, and the kernel the pages that were there. */
#define ZCREQ_SEND_DETACHED ((uintptr_t)2)

#define ZCREQ_SEND_NO_REQUEST (ZCREQ_SEND_WRITE | ZCREQ_SEND_DETACHED)

/* The request that it belongs to, or NULL. */
static inline struct zcreq_request *zcreq_send_request(const struct zcreq_send *send)
{
	return send->owner & ZCREQ_SEND_NO_REQUEST ? NULL : (struct zcreq_request *)send->owner;
}

struct zcreq_sendq {
	struct zcreq_context *context; /* its memory, its time, and where owners are told */
	struct zcreq_send *sends;
	struct iovec *iovs;
	uint32_t send_mask, iov_mask; /* capacity - 1 */
	uint32_t head, next, tail;    /* of sends */
	uint32_t iov_next, iov_tail;
	uint32_t stamped;             /* sends from here on were queued since the last turn */
	uint64_t unsent_bytes;        /* queued, not accepted */
	uint64_t held_bytes;          /* of all sends that are not gone */
	uint64_t detached_bytes;      /* of these, that no request waits for */
	uint64_t gone[ZCREQ_GONE_REASONS]; /* requests' sends, by enum zcreq_gone */
	struct zcreq_writebuf writes;
};

void zcreq_sendq_init(struct zcreq_sendq *q, struct zcreq_context *context);
void zcreq_sendq_deinit(struct zcreq_sendq *q);

/* Does it keep more than a quiet connection needs? */
bool zcreq_sendq_is_large(const struct zcreq_sendq *q);

/* Gives back what an empty queue keeps; the next send allocates again. */
void zcreq_sendq_trim(struct zcreq_sendq *q);

/* Makes room for so many sends, and iovecs of theirs, in an empty queue: 0 or -ENOMEM. */
int zcreq_sendq_reserve(struct zcreq_sendq *q, uint32_t sends, uint32_t iovs);

/* Makes room for one more send of so many iovecs: 0 or -ENOMEM. */
int zcreq_sendq_grow(struct zcreq_sendq *q, uint32_t iovcnt);

/* Is there room for it? A fifo that is not there yet has a capacity of 0. */
static inline bool zcreq_sendq_fits(const struct zcreq_sendq *q, uint32_t iovcnt)
{
	return q->tail - q->head < q->send_mask + 1 &&
	       q->iov_tail - q->iov_next + iovcnt <= q->iov_mask + 1;
}

static inline struct zcreq_send *zcreq_sendq_at(const struct zcreq_sendq *q, uint32_t number)
{
	return &q->sends[number & q->send_mask];
}

/* Has the kernel accepted all of this send, which is not before the head? */
static inline bool zcreq_sendq_accepted(const struct zcreq_sendq *q, uint32_t number)
{
	return number - q->head < q->next - q->head;
}

/* How many of its bytes it has not. */
static inline uint64_t zcreq_sendq_left(const struct zcreq_sendq *q, uint32_t number)
{
	return zcreq_sendq_accepted(q, number) ? 0 : zcreq_sendq_at(q, number)->left_bytes;
}

/* Puts a send of a request, or a write in a chunk, at the tail; it fits. */
static inline void zcreq_sendq_append(struct zcreq_sendq *q, uintptr_t owner,
				      const struct iovec *iov, uint32_t iovcnt,
				      uint64_t total_bytes)
{
	struct zcreq_send *send = zcreq_sendq_at(q, q->tail++);
	uint32_t iov_tail = q->iov_tail;

	/* with nothing unsent, from the start of the fifo: one run is one call */
	if (q->iov_next == iov_tail)
		q->iov_next = iov_tail = (iov_tail + q->iov_mask) & ~q->iov_mask;
	send->owner = owner;
	send->total_bytes = total_bytes;
	send->left_bytes = total_bytes;
	send->batches = 1;
	send->guarded = 0;
	send->since = q->context->now;
	/* empty ones are left out, so that the first of a run never is */
	for (uint32_t i = 0; i < iovcnt; i++) {
		if (iov[i].iov_len)
			q->iovs[iov_tail++ & q->iov_mask] = iov[i];
	}
	send->end_iov = q->iov_tail = iov_tail;
	q->unsent_bytes += total_bytes;
	q->held_bytes += total_bytes;
}

/* Queues a send of a request, for which there is a place. */
static inline void zcreq_sendq_put(struct zcreq_sendq *q, struct zcreq_request *request,
				   const struct iovec *iov, uint32_t iovcnt, uint64_t total_bytes)
{
	if (!request->sends)
		request->first_send = q->tail;
	zcreq_sendq_append(q, (uintptr_t)request, iov, iovcnt, total_bytes);
	request->sends++;
	request->send_bytes += total_bytes;
}

/* Queues a send of a request; iovcnt is in range, the total not 0. 0 or -ENOMEM. */
static inline int zcreq_sendq_push(struct zcreq_sendq *q, struct zcreq_request *request,
				   const struct iovec *iov, uint32_t iovcnt,
				   uint64_t total_bytes)
{
	if (__builtin_expect(!zcreq_sendq_fits(q, iovcnt), 0)) {
		int ret = zcreq_sendq_grow(q, iovcnt);

		if (ret)
			return ret;
	}
	zcreq_sendq_put(q, request, iov, iovcnt, total_bytes);
	return 0;
}

/* What was queued since the last turn begins now, which is another time. */
void zcreq_sendq_stamp(struct zcreq_sendq *q);

/* It is a turn: the same, and what is queued from here on is for the next one. */
static inline void zcreq_sendq_mark(struct zcreq_sendq *q)
{
	if (__builtin_expect(q->context->moved, 0))
		zcreq_sendq_stamp(q);
	q->stamped = q->tail;
}

/* Queues a copy of a few bytes. 0 or -ENOMEM. */
int zcreq_sendq_write(struct zcreq_sendq *q, const void *data, uint32_t len);

/* sendq.c: the same as the next, of any queue. */
uint32_t zcreq_sendq_peek_part(const struct zcreq_sendq *q, uint64_t most_bytes,
			       uint32_t most_iovs, struct iovec **iov, uint64_t *bytes);

/*
 * What to hand to the next call: a run of at most @most_iovs iovecs, ending with the
 * one that brings it to @most_bytes. Returns their number; 0 if nothing is unsent.
 */
static inline uint32_t zcreq_sendq_peek(const struct zcreq_sendq *q, uint64_t most_bytes,
					uint32_t most_iovs, struct iovec **iov, uint64_t *bytes)
{
	uint32_t at = q->iov_next & q->iov_mask, run = q->iov_tail - q->iov_next;

	/* most often all that there is, whose sum is known */
	if (__builtin_expect(q->unsent_bytes >= most_bytes || run > most_iovs ||
			     run > q->iov_mask + 1 - at, 0))
		return zcreq_sendq_peek_part(q, most_bytes, most_iovs, iov, bytes);
	*iov = &q->iovs[at];
	*bytes = q->unsent_bytes;
	return run;
}

/* A range of sends, both included. */
struct zcreq_send_range {
	uint32_t first;
	uint32_t last;
};

/* sendq.c: the same as the next, of any call. */
struct zcreq_send_range zcreq_sendq_accept_part(struct zcreq_sendq *q, uint64_t bytes,
						bool by_reference);

/*
 * A call has accepted @bytes of what peek gave. With @by_reference every send it
 * touches now waits for this batch; else what is wholly accepted and waits for
 * no batch is gone, as a copy.
 */
static inline struct zcreq_send_range zcreq_sendq_accept(struct zcreq_sendq *q, uint64_t bytes,
							 bool by_reference)
{
	struct zcreq_send_range range = {.first = q->next, .last = q->tail - 1};

	zcreq_assert(bytes && bytes <= q->unsent_bytes);
	if (!by_reference || bytes < q->unsent_bytes)
		return zcreq_sendq_accept_part(q, bytes, by_reference);
	/* all that is unsent: this is the batch that each send counts already */
	q->unsent_bytes = 0;
	q->next = q->tail;
	q->iov_next = q->iov_tail;
	return range;
}

/*
 * For a call that says later how much it took: what peek gave is in its hands, up to
 * a send that was withdrawn and waits for a batch before; @bytes and @iovcnt are cut
 * there. Every send that they touch waits for one more batch, and can no longer be
 * withdrawn. When it has spoken, what it took is accepted, not by reference: the batch
 * is counted already.
 */
struct zcreq_send_range zcreq_sendq_lend(struct zcreq_sendq *q, uint64_t *bytes, int *iovcnt);

/*
 * For calls that somebody else makes from a queue of their own (own.c): a place for so many
 * more sends, 0 or -ENOMEM; one without iovecs, of a request or of nobody (NULL); and, after
 * such a call, the bytes beyond those @taken are not sends at all.
 */
int zcreq_sendq_make_room(struct zcreq_sendq *q, uint32_t sends);
void zcreq_sendq_note(struct zcreq_sendq *q, struct zcreq_request *request, uint64_t bytes);
void zcreq_sendq_give_back(struct zcreq_sendq *q, uint64_t taken);

/* A batch is no longer read, which is known by @why. */
void zcreq_sendq_prove(struct zcreq_sendq *q, uint32_t first, uint32_t last,
		       enum zcreq_gone why);

/* The sends of one request or, with NULL, of all requests, of which nothing is unsent, have
 * their memory back. Returns how many those are. */
uint32_t zcreq_sendq_detach(struct zcreq_sendq *q, const struct zcreq_request *request);

/* Drops what is unsent, of one request or, with NULL, of all. */
void zcreq_sendq_drop(struct zcreq_sendq *q, const struct zcreq_request *request);

#endif
