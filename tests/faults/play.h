/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * play.h - short stories that together use all of the interface, told under faults
 *
 * A play is a stage with a fault in it. Its calls check for themselves that they
 * answer as their headers say: 0, or -ENOMEM if an allocation failed in this very
 * call (made again at once it must pass, if the fault was a single one), or what
 * follows from the connection's end. What is left to a play is to do things.
 */
#ifndef ZCREQ_TESTS_PLAY_H
#define ZCREQ_TESTS_PLAY_H

#include "faults/fault.h"
#include "sim/stage.h"

/*
 * @seen:       failures when the last call was made
 * @freed:      the connection was given up: nothing is heard of its end
 * @own_status: that the play itself aborted something with; 0 if it did not
 */
struct play {
	struct stage stage;
	struct fault fault;
	unsigned seen;
	bool freed;
	int own_status;
};

struct play_story {
	const char *name;
	/* knobs and options, before the socket is there */
	void (*set)(struct stage *stage);
	void (*act)(struct play *play);
};

extern const struct play_story play_stories[];
extern const unsigned play_story_count;

/* A context if there is none yet; a socket and a stream, or a connection without. */
void play_open(struct play *play);
void play_open_bare(struct play *play);

/* NULL if the connection has ended, or there is no memory. */
struct stage_request *play_begin(struct play *play);
void play_send(struct stage_request *request, size_t len);
void play_write(struct play *play, size_t len);
void play_finish(struct stage_request *request);

/* Begin, send, finish. */
struct stage_request *play_request(struct play *play, size_t len);

/* All that is queued, and all that comes of it. */
void play_flush(struct play *play);

#endif
