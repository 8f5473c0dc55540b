/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sender_scene.h - one stream through a scripted sender, and requests on it
 *
 * What the tests of sender.h begin and end with. At the end nothing is lost or
 * leaked, and nothing was ever sent on the socket itself.
 */
#ifndef ZCREQ_TESTS_SENDER_SCENE_H
#define ZCREQ_TESTS_SENDER_SCENE_H

#include "support/counting.h"
#include "support/recorder.h"
#include "support/script.h"

extern struct counting counting;
extern struct zcreq_context *context;
extern struct script script;
extern struct zcreq_stream_options options; /* until open_stream() */
extern struct zcreq_conn *conn;
extern struct heard_conn heard_conn;
extern struct heard heard[8];
extern uint8_t memory[8][64];

void scene_setup(void);
void scene_teardown(void);

void open_stream(void);

/* Queues a send of a request. */
void queue(struct heard *request, const void *data, size_t len);

/* The n-th request with one send of memory[n], finished; queued only, or a turn as well. */
struct heard *request_of(unsigned n, size_t len);
struct heard *sent(unsigned n, size_t len);

/* A turn; how often was it released then? */
unsigned released(const struct heard *request);

struct zcreq_stats stats(void);

#endif
