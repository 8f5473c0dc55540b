/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guard_scene.h - a guarded context, a stream on a stub, and memory to send from it
 *
 * What the tests of the guard begin and end with. Each report is kept in found.
 */
#ifndef ZCREQ_TESTS_GUARD_SCENE_H
#define ZCREQ_TESTS_GUARD_SCENE_H

#include <stdbool.h>
#include <stddef.h>

#include <zcreq/guard.h>
#include <zcreq/zcreq.h>

#include "support/counting.h"
#include "support/recorder.h"
#include "support/stub.h"

#define PAGE 4096
#define PAGES 8
#define BLOCK 256 /* as guard.h promises */

/* Every finding, in the order in which they came. */
struct findings {
	volatile unsigned count; /* of a signal handler, too */
	struct zcreq_guard_report last;
	char text[512];
	void (*inside)(void); /* the report; may be NULL */
};

struct scene {
	struct counting memory;
	struct stub stub;
	struct zcreq_context *context;
	struct zcreq_conn *conn;
	struct findings found;
	char *buffer; /* PAGES pages, and one before and behind that are not mapped */
};

extern struct scene scene;

/* One more context, that reports to found as well. */
struct zcreq_context *guarded_context(unsigned flags);

/* The guard goes on after a report. */
void open_scene(unsigned flags);

/* It does what the flags say; and what it finds goes to stderr. */
void open_scene_that_aborts(unsigned flags);
void open_scene_that_prints(unsigned flags);

/* Nothing is left, and nothing was leaked. */
void close_scene(void);

/* Begin, send, finish. */
void send_and_finish(struct heard *heard, const void *data, size_t len);
void send_iovecs_and_finish(struct heard *heard, const struct iovec *iov, int count);

/* The proof for all that is in flight comes, and is heard; or for the @n-th send. */
void prove(void);
void prove_send(uint32_t n);

/* A socket of the kernel's, over loopback, whose peer never reads. */
int connected_socket(void);

/* By a system call, which a protected page makes fail. */
bool can_write(char *address);

/* A write that stays where it is among the others. */
static inline void poke(char *address)
{
	*(volatile char *)address = 'b';
}

#endif
