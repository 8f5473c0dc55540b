/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_world.h - a small world of connections and requests, and what must hold in it
 *
 * The world is one context on one fake kernel. sim_actions.c does things to it by
 * chance; sim_world.c hears the callbacks and keeps a model of its own of what
 * was asked for: per connection the bytes that must appear, in order, and per
 * request which buffers are borrowed, which holds are out and which error came
 * first. The model never asks the library what it believes, except for the state
 * of a connection, which the library may end by itself.
 */
#ifndef ZCREQ_SIM_WORLD_H
#define ZCREQ_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include <zcreq/conn.h>
#include <zcreq/request.h>
#include <zcreq/stream.h>

#include "alloc_fault.h"
#include "fake_kernel.h"
#include "sim_random.h"

#define SIM_CONNS 6
#define SIM_HOLDS 6
#define SIM_BUFFERS 24

struct sim_world;
struct sim_request;

/* A run of bytes that must appear in the stream; kept as they were when queued. */
struct sim_entry {
	struct sim_entry *next;
	struct sim_request *request; /* NULL for a write */
	uint8_t *bytes;
	size_t len;
	size_t done;      /* accepted by the kernel */
	uint64_t offset;  /* in the stream, once done is not 0 */
};

struct sim_buffer {
	uint8_t *memory;
	size_t len;
};

/* A connection, also after it was freed: until the world ends. */
struct sim_conn {
	struct sim_conn *next;
	struct sim_world *world;
	struct zcreq_conn *conn;  /* NULL once it was freed */
	struct fake_socket *sock; /* NULL for one without a socket */
	struct sim_entry *entries;
	struct sim_entry *entries_tail;
	uint64_t checked;         /* bytes of the stream that were compared */
	unsigned number;
	unsigned live;            /* requests not released */
	bool lets_go;             /* this kernel gives everything back at once */
	bool ended;               /* abort or free was asked for, or the abort hook came */
	bool drained;             /* drain was asked for */
	bool wants_room;
	bool racy;                /* it may die in the middle of a call */
	unsigned heard_abort;
	unsigned heard_closed;
	uint64_t ended_ms;
	uint32_t linger_ms;
	uint32_t stall_ms;
};

/* A request, also after it was released: until the world ends. */
struct sim_request {
	struct sim_request *next;
	struct sim_conn *conn;
	zcreq_id id;
	zcreq_hold holds[SIM_HOLDS];
	struct sim_buffer buffers[SIM_BUFFERS];
	struct sim_entry *entries[SIM_BUFFERS];
	unsigned hold_count;
	unsigned buffer_count;
	unsigned entry_count;
	unsigned number;
	bool finished;
	bool withdrawn;
	int error;                /* the first that we know of */
	int told;                 /* what settled said */
	unsigned heard_settled;
	unsigned heard_released;
	unsigned heard_aborting;
	unsigned heard_quarantined;
};

struct sim_world {
	uint64_t seed;
	unsigned step;
	struct sim_random random;
	struct alloc_fault fault;
	struct fake_kernel *kernel;
	struct zcreq_context *context;
	struct sim_conn *conns;
	struct sim_request *requests;
	unsigned conn_count;
	unsigned request_count;
	unsigned nested;          /* actions that callbacks may still do */
	bool inside;              /* a callback is running */
	bool trace;
	bool in_callback;
	uint64_t stale;           /* calls that had to be refused as stale */
	uint64_t callbacks;
	uint64_t tick_ms;         /* what the library was last told */
};

/** Says what is wrong, with the seed, and ends the process. */
__attribute__((noreturn, format(printf, 2, 3)))
void sim_fail(const struct sim_world *world, const char *format, ...);

__attribute__((format(printf, 2, 3)))
void sim_trace(const struct sim_world *world, const char *format, ...);

/* sim_world.c */
void sim_world_init(struct sim_world *world, uint64_t seed);
void sim_world_deinit(struct sim_world *world);
uint64_t sim_now_ns(const struct sim_world *world);
uint64_t sim_tick(struct sim_world *world);
extern const struct zcreq_ops sim_request_ops;
extern const struct zcreq_conn_hooks sim_conn_hooks;

void sim_entry_add(struct sim_conn *conn, struct sim_request *request, const uint8_t *bytes,
		   size_t len);
void sim_entries_drop(struct sim_conn *conn, struct sim_request *request);
uint64_t sim_accepted_of(const struct sim_request *request);
void sim_stream_check(struct sim_conn *conn);

/** The library knows no end of this connection yet. */
bool sim_conn_lives(const struct sim_conn *conn);

/** All requests of the connection that have no outcome meet this error. */
void sim_conn_error(struct sim_conn *conn, int status);
void sim_conn_ended(struct sim_conn *conn);

/** Dispatch until nothing is due, then check what must hold at such a moment. */
void sim_settle(struct sim_world *world);

/** What must hold at any time. */
void sim_check(struct sim_world *world);

/* sim_actions.c */
void sim_action(struct sim_world *world);
void sim_drive(struct sim_conn *conn);
void sim_callback_action(struct sim_world *world);
void sim_finish_request(struct sim_request *request, int status);
void sim_drop_one(struct sim_request *request, unsigned n, int status);

/** Bring the world to its end: everything released, everything freed. */
void sim_finale(struct sim_world *world);

#endif
