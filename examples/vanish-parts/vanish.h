/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vanish.h - what the parts of the demo share
 *
 * The demo plays one accident eight times. A sender keeps `requests` requests in
 * flight, zero-copy; the link is cut under it; then one of eight ways is used to
 * get the buffers back. Each way runs in a process, two network namespaces and a
 * set of buffers of its own, and leaves a struct result in shared memory.
 *
 *	vanish.c    options, the processes, the table, the verdict
 *	rows.c      the stage of one row, and the ways themselves
 *	ring.c      an io_uring for way 7; no_ring.c where liburing is not there
 *	raw.c       a MSG_ZEROCOPY sender written by hand, for ways 1 to 4
 *	ledger.c    the buffers: who has them, since when, overwritten when free
 *	receiver.c  the other host: reads, and counts bytes that are not for it
 *	netns.c     two namespaces, a veth pair, the cut
 *	draw.c      the picture
 */
#ifndef VANISH_H
#define VANISH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

/* What the buffers hold: the data that was asked for, and whoever comes next. */
#define OWN_BYTE 'a'
#define FOREIGN_BYTE 'B'

enum {
	WAYS = 8,
	WARMUP_MS = 200,	 /* the transfer runs undisturbed */
	OUTAGE_MS = 3000,	 /* the link is down, and a way may take its time */
	RECOVERY_MS = 20000,	 /* then, at most, until the receiver's stream ends */
	USER_TIMEOUT_MS = 1000,
	STALL_MS = 500,
	ABORT_LIMIT_MS = 10,	 /* what is asked of ways 5, 7 and 8, without waited_ns */
	WATCHDOG_LIMIT_MS = 600, /* and of way 6 */
};

struct setup {
	unsigned requests;   /* in flight at the cut */
	size_t size_bytes;   /* of each */
	size_t total_bytes;  /* of all */
	size_t staged_bytes; /* at least so many are in the kernel's send queue then */
	unsigned together;   /* all rows at the same time, or one by one */
	unsigned batch;      /* requests in one system call of raw.c */
	const char *svg_path;
	const char *trace_path; /* what the zcreq rows leave, with .NUMBER; NULL: nothing */
};

/* One request's life in nanoseconds of now_ns(); 0 is "has not happened". */
struct life {
	uint64_t sent_ns;
	uint64_t released_ns;
	uint64_t foreign_bytes; /* of it, that the receiver was given */
};

enum result_state {
	RESULT_MISSING = 0, /* the row's process died */
	RESULT_CANNOT,	    /* this machine does not let us; see reason */
	RESULT_FAILED,	    /* something that must work did not; see reason */
	RESULT_MEASURED,
};

struct result {
	enum result_state state;
	char reason[160];
	uint64_t cut_ns;	 /* the link was down at this time */
	uint64_t back_ns;	 /* and up again at this one */
	uint64_t last_ns;	 /* the last release */
	uint64_t waited_ns;	 /* between the two, for a processor that others had */
	uint64_t completed;	 /* requests that came and went before the cut */
	unsigned in_flight;	 /* when the way of ending began */
	unsigned released;	 /* of these */
	unsigned doubles;	 /* completions of what was complete already */
	uint64_t queued_bytes;	 /* in the kernel's send queue at that time */
	uint64_t foreign_bytes;	 /* that the receiver was given */
	uint64_t received_bytes; /* in all */
	unsigned own_options;	 /* the namespace has a limit on option memory of its own */
	struct life *lives;	 /* one for each request in flight at the cut */
	struct life *earlier;	 /* and the one before in the same buffer */
};

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ---- netns.c ---- */

struct link {
	int near_netlink; /* the sender's namespace, by its route socket */
	int far_netlink;  /* the receiver's */
	int listener;	  /* a listening socket in there */
	unsigned own_options;
};

int netns_enter_user(void);
int link_open(struct link *link, size_t buffer_bytes);
int link_connect(size_t buffer_bytes);
int link_cut(const struct link *link);
int link_restore(const struct link *link);

/* The same accident with a queue in between: what is in it stays there. */
int link_jam(const struct link *link);
int link_clear(const struct link *link);

/* ---- receiver.c ---- */

enum receiver_end { RECEIVER_READING = 1, RECEIVER_EOF, RECEIVER_RESET, RECEIVER_GAVE_UP };

struct receiver {
	pthread_t thread;
	int listener;
	const struct setup *setup;
	struct life *lives; /* foreign bytes are written here, one life per request */
	_Atomic uint64_t give_up_ns;
	uint64_t received_bytes;
	uint64_t foreign_bytes;
	enum receiver_end end;
};

int receiver_start(struct receiver *receiver, int listener, const struct setup *setup,
		   struct life *lives);
void receiver_join(struct receiver *receiver, uint64_t give_up_ns);

/* ---- ledger.c ---- */

enum slot_state { SLOT_IDLE = 1, SLOT_IN_FLIGHT, SLOT_RELEASED, SLOT_RECYCLED };

struct slot {
	struct ledger *ledger;
	enum slot_state state;
	unsigned ids; /* raw.c: notification ids that cover it */
	unsigned char *memory;
	struct life *life;
	struct life *earlier;
};

struct ledger {
	const struct setup *setup;
	struct result *result;
	struct slot *slots;
	unsigned char *memory;
	unsigned next;	    /* the slot that is to be sent next; they go round */
	unsigned in_flight;
	unsigned unwritten; /* slots that are released, and belong to the next tenant */
	unsigned recycling; /* from now on, what is released is somebody else's */
	uint64_t waited_ns; /* of this thread, until the cut */
};

int ledger_init(struct ledger *ledger, const struct setup *setup, struct result *result);
struct slot *ledger_peek(struct ledger *ledger, unsigned ahead);
struct slot *ledger_send(struct ledger *ledger);
void ledger_release(struct slot *slot);
void ledger_overwrite(struct ledger *ledger);
void ledger_cut(struct ledger *ledger);
void ledger_recycle_from_now(struct ledger *ledger);

/* ---- raw.c ---- */

enum { RAW_IDS = 4096 };

struct raw {
	int fd;
	struct ledger *ledger;
	uint32_t next_id;
	struct {
		unsigned first; /* slot */
		unsigned count; /* 0 when no such id is in flight */
	} ids[RAW_IDS];
};

int raw_open(struct raw *raw, int fd, struct ledger *ledger, unsigned user_timeout_ms);
int raw_top_up(struct raw *raw);
int raw_reap(struct raw *raw);
int raw_wait(struct raw *raw, int timeout_ms);

/* ---- rows.c ---- */

struct row;

struct way {
	const char *title;   /* in the table */
	const char *label;   /* in the picture, two lines */
	const char *label2;
	int (*run)(struct row *row);
	unsigned limit_ms;   /* 0: a way that is shown, not judged */
};

extern const struct way ways[WAYS];

void row_rehearse(const struct setup *setup, struct result *result);
void row_play(const struct way *way, const struct setup *setup, struct result *result);

/* ---- ring.c ---- */

struct ring;
struct zcreq_conn;
struct zcreq_context;
struct zcreq_stream_options;

/* An error, e.g. -ENOSYS or -EPERM, if this machine has none for us. */
int ring_open(struct zcreq_context *context, struct ring **ring);
int ring_stream_open(struct ring *ring, struct zcreq_context *context,
		     const struct zcreq_stream_options *options, struct zcreq_conn **conn);
int ring_close(struct ring *ring);

/* ---- draw.c ---- */

int draw(FILE *file, const struct setup *setup, const struct result *results);

#endif
