/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scene.h - what most tests begin and end with: a context, a stream on a stub, a request
 *
 * One of each, by its plain name, so that a test reads as a small program. A test that
 * needs more of them makes the others itself. The fixtures come in pairs: what was set
 * up is taken down, and taking it down is a test of its own: everything that was begun
 * has been released, the socket was closed once and not used afterwards, and no memory
 * is left. The scene finishes no request: that is for the test to do.
 *
 * Time stands still until a test gives zcreq_turn() a later one: with 0 it is a turn at the
 * same time.
 */
#ifndef ZCREQ_TESTS_SCENE_H
#define ZCREQ_TESTS_SCENE_H

#include <stdint.h>

#include <zcreq/zcreq.h>

#include "support/counting.h"
#include "support/recorder.h"
#include "support/stub.h"

#define MS ((uint64_t)1000000)
#define SECOND (1000 * MS)

extern struct counting memory;
extern struct zcreq_context *context;
extern struct stub stub;
extern struct zcreq_stream_options options; /* of the stream, until scene_open() */
extern struct zcreq_conn *conn;             /* NULL: not opened, or freed by the test */
extern struct heard_conn hooks;             /* what was heard of it */
extern struct heard heard;                  /* of the request */
extern char data[64];                       /* to send from */

/* ---- how it begins ---- */

void scene_setup(void);       /* the context and the stub; a test opens the stream */
void scene_setup_open(void);  /* and the stream on it */
void scene_setup_bare(void);  /* the context and a connection without a socket */

/* Opens the stream with the options as they are, or another; asserts that it opened. */
void scene_open(void);
struct zcreq_conn *scene_open_another(const struct zcreq_stream_options *with);

/* Opens a connection without a socket; asserts that it opened. */
void scene_open_bare(void);

/* ---- what nearly every request goes through ---- */

void scene_begin(void);          /* begun, and all of data is with the kernel */
void scene_finish(int status);
void scene_sent(void);           /* begun, sent and finished */

/* One send of all of data, queued; the call has to take it. */
void scene_queue(const struct heard *request);

/* The proof for everything that is in flight comes, and is read. */
void scene_prove(void);

/* ---- how it ends ---- */

/* The connection is freed, and with the next turn all is back. */
void scene_teardown(void);

/*
 * The same for a test that stops half-way: the request is finished if it was not, the
 * socket answers again, the last proof comes, and time passes every limit.
 */
void scene_teardown_late(void);

#endif
