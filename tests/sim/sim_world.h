/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_world.h - a small world of connections and requests, and what must hold in it
 *
 * The world is one context on one fake kernel. sim_actions.c does things to it by
 * choice; sim_hear.c hears the callbacks; both keep a model of their own of what
 * was asked for: per connection the bytes that must appear, in order, and per
 * request which buffers are borrowed, which holds are out and which error came
 * first. The model never asks the library what it believes, except for the state
 * of a connection, which the library may end by itself.
 *
 *	sim_life.c      one life: by seed or from a tape
 *	sim_world.c     the model
 *	sim_hear.c      callbacks and hooks
 *	sim_check.c     what must hold after every step, and after every turn
 *	sim_actions.c   what a caller does
 *	sim_forge.c     handles that nobody gave
 *	sim_own.c       a caller that makes its own sends
 *	sim_detach.c    a caller that leaves pages to the kernel
 *	sim_memory.c    where the buffers are
 *	sim_inside.c    what opens a connection and lets the kernel speak
 *	sim_nature.c    what kernel, network and peer do
 *	sim_finale.c    how every life ends
 */
#ifndef ZCREQ_SIM_WORLD_H
#define ZCREQ_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include <zcreq/conn.h>
#include <zcreq/request.h>
#include <zcreq/sender.h>
#include <zcreq/stream.h>

#include "base/queue.h"
#include "sim/alloc_fault.h"
#include "sim/fake_kernel.h"
#include "sim/fake_sender.h"
#include "sim/sim_memory.h"
#include "sim/sim_random.h"
#include "sim/sim_tape.h"

#define SIM_CONNS 6
#define SIM_HOLDS 6
#define SIM_SENDS 24
#define SIM_PARTS 128    /* of a request: what calls of a program's own took of it */
#define SIM_LIVE 40      /* requests of one connection */
#define SIM_SEND_MOST 40000

struct sim_world;

/** A run of bytes that must appear in the stream: part of sim_pattern. */
struct sim_entry {
	TAILQ_ENTRY(sim_entry) in_conn;
	const struct sim_request *request; /* NULL for a write */
	const uint8_t *bytes;
	size_t len;
	size_t done;      /* accepted by the kernel */
	uint64_t offset;  /* in the stream, once done is not 0 */
};

struct sim_send {
	struct sim_entry *entry;
	uint8_t *memory;
	size_t len;
	bool detached;    /* the kernel has other pages than those here */
};

/** A connection, also after it was freed: until the world ends. */
struct sim_conn {
	LIST_ENTRY(sim_conn) in_world; /* conns, or gone */
	struct sim_world *world;
	struct zcreq_conn *conn;  /* NULL once it was freed */
	struct fake_socket *sock; /* NULL for one without a socket */
	struct fake_sender *sender; /* NULL: it sends by itself */
	struct zcreq_source source; /* of the sender; turn is NULL: it speaks between turns */
	TAILQ_HEAD(sim_entries, sim_entry) entries;
	struct sim_entry *next_entry; /* the first that is not done; NULL: all are */
	uint64_t queued;          /* bytes, less what was withdrawn */
	uint64_t checked;         /* bytes of the stream that were compared */
	unsigned number;
	unsigned live;            /* requests not released */
	bool own;                 /* the program makes the sends: next_entry is its queue */
	bool lets_go;             /* this kernel gives everything back at once */
	bool ended;               /* abort or free was asked for, or the abort hook came */
	bool drained;             /* drain was asked for */
	bool stream_ended;        /* its end was asked for */
	bool wants_room;
	short bits;               /* of poll, that the program has not handed in yet */
	uint64_t sendmsg_calls;   /* before something was queued last */
	bool racy;                /* it may die in the middle of a call */
	unsigned heard_abort;
	unsigned heard_closed;
	uint64_t alive_ms;        /* the last turn that found it alive */
	uint64_t ended_ms;        /* linger counts from here, or later */
	uint32_t linger_ms;
	uint32_t stall_ms;
	bool detachable;
	uint32_t detach_ms;
	const struct zcreq_conn *inside; /* also when it was freed, until its socket closes */
	const struct sim_request *asked; /* to be detached; NULL: all */
	bool asks;                /* the program is in a call that detaches */
	bool answered;            /* in it pages were to be exchanged, with this answer */
	int answer;
	unsigned unasked;         /* exchanges by the library itself */
	uint64_t detached_sends;
};

/** Bytes that a request waits for, until this part of the stream is proven. */
struct sim_part {
	uint64_t bytes, from, to;
};

/** A request, also after it was released: until the world ends. */
struct sim_request {
	LIST_ENTRY(sim_request) in_world; /* live, or dead */
	struct sim_conn *conn;
	zcreq_id id;
	zcreq_hold holds[SIM_HOLDS];
	struct sim_send sends[SIM_SENDS];
	unsigned hold_count;
	unsigned send_count;
	unsigned number;
	bool finished;
	bool finishes;            /* when the last of its own sends is done */
	struct sim_part parts[SIM_PARTS];
	unsigned part_count;
	bool withdrawn;
	int error;                /* the first that we know of */
	int told;                 /* what settled said */
	unsigned heard_settled;
	unsigned heard_released;
	unsigned heard_aborting;
	unsigned heard_quarantined;
};

/** How the program learns what happens on sockets. */
enum sim_habit {
	SIM_POLLS = 0, /* polls one, hands it in, and turns */
	SIM_GATHERS,   /* hands in what it polled before, of several, and turns once */
	SIM_SLEEPS,    /* only turns: a poller is behind the context */
};

LIST_HEAD(sim_conns, sim_conn);
LIST_HEAD(sim_requests, sim_request);
LIST_HEAD(sim_ghosts, sim_ghost);

/** Where choices come from: a seed, or a tape; and who listens. */
struct sim_choices {
	struct sim_random random;
	const struct sim_tape *play; /* NULL: by seed */
	struct sim_tape *heard;      /* NULL: nobody listens */
	uint32_t at, end;            /* of the draws of the line that is played */
};

struct sim_world {
	uint64_t seed;
	unsigned step;
	struct sim_choices choices;
	struct sim_outcome *outcome;
	struct alloc_fault fault;
	struct fake_kernel *kernel;
	struct zcreq_context *context;
	struct sim_poller *poller; /* NULL: the program polls */
	enum sim_habit habit;
	struct sim_conns conns, gone;
	struct sim_requests live, dead;
	unsigned conn_count;      /* ever */
	unsigned active;          /* in conns */
	unsigned handles;         /* of these, not freed by the caller */
	unsigned request_count;   /* ever */
	unsigned live_count;
	unsigned dead_count;
	unsigned holds;           /* out */
	unsigned quarantined;     /* heard so, and not released */
	unsigned nested;          /* actions that callbacks may still do */
	unsigned acted;           /* actions in this step */
	bool inside;              /* an action of a callback */
	bool in_callback;
	bool spoke;               /* a source or the poller had something to say */
	bool listens;             /* a call is made from which callbacks may come */
	bool trace;
	uint64_t calls_seen;      /* system calls at the begin of the step */
	uint64_t work_seen;       /* what they achieved */
	uint64_t stale;           /* calls that had to be refused as stale */
	uint64_t callbacks;
	struct sim_memory memory; /* of streams that may be detached */
	struct sim_ghosts ghosts; /* sends that are the kernel's alone */
	uint64_t detached_most;   /* bytes of them; 0: no limit */
	bool accidents;           /* much is detached in this life */
	bool to_detach;           /* the connection that is being opened is for that */
	uint64_t turn_ms;         /* what the last outermost turn was told; 0: there was none */
};

/** All bytes of all worlds are runs of this, at a place that hardly repeats. */
extern uint8_t sim_pattern[];
const uint8_t *sim_pattern_at(unsigned request, unsigned send);

/* Choices: 0 is always the plainest. */

/** A number from 0 to @limit - 1. */
uint64_t sim_choose(struct sim_world *world, uint64_t limit);

/** True in @parts of @whole cases. */
static inline bool sim_chance(struct sim_world *world, unsigned parts, unsigned whole)
{
	return sim_choose(world, whole) >= whole - parts;
}

/** Says what is wrong and ends the process. */
__attribute__((noreturn, format(printf, 2, 3)))
void sim_fail(const struct sim_world *world, const char *format, ...);

/** What happens, for a reader. */
__attribute__((format(printf, 2, 3)))
void sim_tell(const struct sim_world *world, const char *format, ...);

#define sim_trace(world, ...) \
	do { \
		if ((world)->trace) \
			sim_tell(world, __VA_ARGS__); \
	} while (0)

/* sim_world.c */
void sim_world_init(struct sim_world *world, uint64_t seed);
void sim_world_deinit(struct sim_world *world);
uint64_t sim_now_ns(const struct sim_world *world);

/** A turn at the kernel's time; what it answers. */
uint64_t sim_turn(struct sim_world *world);

/** Another one, as if no time had passed; true if the next is due at once. */
bool sim_turn_again(struct sim_world *world);

/** From now on callbacks may come, or not; what was before. */
static inline bool sim_listen(struct sim_world *world, bool listens)
{
	bool before = world->listens;

	world->listens = listens;
	return before;
}

struct sim_entry *sim_entry_add(struct sim_conn *conn, const struct sim_request *request,
				const uint8_t *bytes, size_t len);
void sim_entries_drop(struct sim_conn *conn, struct sim_request *request);
uint64_t sim_accepted_of(const struct sim_request *request);
void sim_stream_check(struct sim_conn *conn);

/** The library knows no end of this connection yet. */
bool sim_conn_lives(const struct sim_conn *conn);

/** All requests of the connection that have no outcome meet this error. */
void sim_conn_error(struct sim_conn *conn, int status);
void sim_conn_ended(struct sim_conn *conn);

/* sim_hear.c */
extern const struct zcreq_request_hooks sim_request_ops;
extern const struct zcreq_conn_hooks sim_conn_hooks;

/* sim_check.c */

/** What must hold at any time. */
void sim_check(struct sim_world *world);

/** What must hold of the deadline that an outermost turn gave. */
void sim_check_deadline(const struct sim_world *world, uint64_t deadline_ns);

/** I10: a turn has said that nothing is due before @deadline_ns. */
void sim_check_quiet(struct sim_world *world, uint64_t deadline_ns);

/** Turns until nothing is due, then checks what must hold at such a moment. */
void sim_settle(struct sim_world *world);

/* sim_actions.c */
struct sim_verb {
	const char *name;
	void (*act)(struct sim_world *world);
	unsigned weight; /* 0: not by chance */
};

extern const struct sim_verb sim_verbs[]; /* ends with a NULL */

/** A verb by its weight: a number below sim_verbs_weight(). */
unsigned sim_verb_pick(uint64_t value);
unsigned sim_verbs_weight(void);

void sim_callback_action(struct sim_world *world);
void sim_open(struct sim_world *world);
void sim_forge(struct sim_world *world);

/** Several requests at once, and a turn. */
void sim_burst(struct sim_conn *conn);
struct sim_conn *sim_any_conn(struct sim_world *world);
struct sim_request *sim_any_request(struct sim_world *world);
void sim_finish_request(struct sim_request *request, int status);
void sim_drop_one(struct sim_request *request, unsigned n, int status);

/* sim_finale.c: bring the world to its end, everything released and freed */
void sim_finale(struct sim_world *world);

#endif
