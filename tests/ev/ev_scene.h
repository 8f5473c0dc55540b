/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ev_scene.h - a libev loop with a context in it, and connections over loopback
 *
 * What the tests of libzcreq-ev share: a loop that counts how often it goes to sleep,
 * connections with a peer to read or reset, and their callbacks.
 */
#ifndef ZCREQ_TESTS_EV_SCENE_H
#define ZCREQ_TESTS_EV_SCENE_H

#include <ev.h>
#include <stdbool.h>

#include <zcreq/ev.h>
#include <zcreq/zcreq.h>

#define BIG ((size_t)8 << 20)

extern struct ev_loop *loop;
extern struct zcreq_context *context;
extern struct zcreq_ev *ev;
extern unsigned turns; /* how often the loop went to sleep */

/* One connection with a peer, and what was heard of it. */
struct end {
	struct zcreq_conn *conn;
	int peer;
	unsigned released, aborted, closed;
	int status;
	void (*on_released)(struct end *end);
};

extern struct end ends[3];

/* Counts, and calls on_released; with a struct end as the request's argument. */
void released(zcreq_id id, int status, void *arg);
extern const struct zcreq_request_hooks ops;

/* A fixture: all of the above, and an end to it without leaks. */
void scene_setup(void);
void scene_teardown(void);

/* Runs until no end is open any more, or so many milliseconds. False: time out. */
bool run_for(double ms);

/* Two connected sockets. */
void pair(int fd[2]);

/* A stream in the context; closed, it frees itself. */
void open_end(struct end *end);

/* Its connection is freed, and no hook is called for it any more. */
void free_end(struct end *end);

/* One request. */
void send_from(struct end *end, size_t len);
void reset_peer(struct end *end);

/* Of an ev_io: reads on the other side, in the same loop. Of an ev_timer: no more. */
void drink(struct ev_loop *loop_, ev_io *watcher, int revents);
void nothing(struct ev_loop *loop_, ev_timer *watcher, int revents);

#endif
