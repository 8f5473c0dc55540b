/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * poller_scene.h - a context, streams on the loopback, and a loop that sleeps as it is told
 */
#ifndef ZCREQ_TESTS_POLLER_SCENE_H
#define ZCREQ_TESTS_POLLER_SCENE_H

#include <stdbool.h>
#include <stdint.h>

#include <zcreq/zcreq.h>

#include "core/core.h"
#include "support/counting.h"

/* How the loop waits for the context's descriptor. */
enum wait { WAIT_POLL, WAIT_EPOLL, WAIT_EDGES, WAITS };

struct end {
	struct zcreq_conn *conn;
	int peer;             /* -1: closed */
	bool reader;          /* the peer reads while the loop sleeps */
	unsigned again;       /* sends that released makes, one after another */
	unsigned readable, read_bytes, released, closed;
	int status;
};

/* A source that counts how often it was woken. */
struct tick {
	struct zcreq_source source;
	int fd; /* negative: what its fd() returns */
	unsigned ticks;
};

struct call {
	struct zcreq_call call;
	unsigned calls;
};

extern struct counting memory;
extern struct zcreq_context *context;
extern struct end ends[3];
extern uint32_t stall_ms; /* of streams that are opened from now on */
extern unsigned turns;    /* of the loop, since it was asked to run last */
extern char big[8 << 20];

/* By a readable hook: all of it, one byte, nothing, or no more from now on. */
extern const struct zcreq_conn_hooks reads_all, reads_one, reads_nothing, switches_off;
extern const struct zcreq_request_hooks released_only;

void poller_setup(void);
void poller_teardown(void);

/* NULL: nobody reads. */
void open_end(struct end *end, const struct zcreq_conn_hooks *hooks);
void close_end(struct end *end);
void reset_peer(struct end *end);
void send_from(struct end *end, size_t len);

struct zcreq_source *tick_source(struct tick *tick);
void called(struct zcreq_call *call);

/* The context's descriptor, asked for now. */
void wait_by(enum wait wait);

/* Is it readable? */
bool due(void);

/* Runs until the counter is at least that; fails where it sleeps without end. */
void loop_until(const unsigned *counter, unsigned value);

/* Runs until it would sleep without end; fails where it does not come to that. */
void loop_until_quiet(void);

#endif
