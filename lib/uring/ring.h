/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.h - an io_uring from the inside: what its three files share
 *
 *	ring.c     making one, and what the kernel can do
 *	send.c     submissions out, completions in: the sender of sender.h
 *	buffers.c  registered memory
 *	check.c    what holds of it between any two public calls
 *
 * A submission is named by its user_data: the tag, the number of its stream, the id
 * that the stream gave it. Results and notifications carry the same name, and only a
 * flag tells them apart; so neither order nor a descriptor's number means anything.
 */
#ifndef ZCREQ_LIB_RING_H
#define ZCREQ_LIB_RING_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include <zcreq/sender.h>
#include <zcreq/uring.h>

/* Linux 6.2; not in every header that is about */
#define RING_REPORT_USAGE (1u << 3)
#define RING_COPIED (1u << 31)

#define RING_STREAMS_MOST ((uint32_t)1 << 24)

/* The stream number of submissions that are nobody's: cancellations. */
#define RING_NOBODY (RING_STREAMS_MOST - 1)

/* Completions that are worked out together, so that a stream is asked once whether it
 * is alive for all the notifications among them. */
#define RING_ROUND 256

/* What a sendmsg submission points to until its result is here. */
struct ring_message {
	struct msghdr header;
	struct iovec iov[ZCREQ_SUBMISSION_IOVS];
	struct ring_message *next_free;
};

/* Whether completions are worked out now: not from inside that again. */
enum ring_work {
	RING_RESTS = 1,
	RING_WORKS,
	RING_ASKED, /* works, and somebody inside wanted it to look again */
	RING_OWES,  /* rests, and has not looked again yet */
};

enum ring_event {
	RING_BEGIN = 1, /* to work */
	RING_ASK,       /* to look again, from inside */
	RING_ANSWER,    /* it is about to */
	RING_END,       /* enough for now */
	RING_EVENTS,
};

extern const int8_t zcreq_ring_table[RING_OWES + 1][RING_EVENTS];

/* A registered buffer. */
struct ring_buffer {
	uintptr_t start, end;
	unsigned index; /* in the kernel's table */
};

struct ring_stream;

/* A completion, as it came. */
struct ring_completion {
	struct ring_stream *stream;
	uint32_t id;
	int32_t result;
	bool more, notification;
	int next; /* of the same stream in the round, or -1 */
};

/* One stream of a ring. */
struct ring_stream {
	struct zcreq_uring *uring;
	struct zcreq_conn *conn;
	uint32_t number;             /* of this stream, in the table */
	uint32_t pending;            /* submissions without a last word */
	struct ring_message *message; /* of the submission under way, or NULL */
	struct ring_stream *next;    /* in the round */
	int first, last;             /* its completions in the round; -1: none */
};

struct zcreq_uring {
	struct zcreq_context *context;
	struct zcreq_source source;  /* its part in the context's turns */
	const struct zcreq_uring_ops *ops;
	void *ops_arg;
	struct io_uring own;         /* a ring of the library's own, or */
	struct io_uring *ring;       /* the program's; NULL: neither, but a test's */
	int eventfd;                 /* -1: the context has not asked for it */
	uint8_t tag;
	uint8_t usage_flag;          /* RING_REPORT_USAGE where the kernel knows it */
	uint8_t work;                /* enum ring_work; written by send.c */
	uint32_t prepared;           /* entries that the kernel has not been told of */
	uint32_t in_flight;          /* submissions without a last word */
	struct ring_stream **streams; /* by number; NULL is free */
	uint32_t capacity, count, next_number;
	struct ring_message *free_messages;
	struct ring_buffer *buffers; /* registered, sorted by address */
	unsigned buffer_count;
	int round_count;
	struct ring_completion round[RING_ROUND];
};

/* Is it inside zcreq_ring_turn()? */
static inline bool ring_at_work(const struct zcreq_uring *uring)
{
	return uring->work == RING_WORKS || uring->work == RING_ASKED;
}

/* The user_data of a submission. */
static inline uint64_t ring_name(const struct zcreq_uring *uring, uint32_t number, uint32_t id)
{
	return (uint64_t)uring->tag << 56 | (uint64_t)number << 32 | id;
}

/* send.c */
extern const struct zcreq_sender_ops zcreq_ring_sender;

/* send.c: a source's turn. Hands to the kernel what was prepared, works out what has
 * completed, and goes on until nothing moves: how many completions, or an error. */
int zcreq_ring_turn(void *arg);

/* check.c: claims what holds of it between two public calls, and stops where it does not. */
void zcreq_uring_check(const struct zcreq_uring *uring);

/* buffers.c: the number of the registered buffer that has all of it, or -1. */
int zcreq_ring_buffer_of(const struct zcreq_uring *uring, const struct iovec *iov);

/* Does any registered buffer share a page with any of this memory? */
bool zcreq_ring_has_any(const struct zcreq_uring *uring, const struct iovec *memory, int count);

#endif
