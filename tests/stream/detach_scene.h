/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * detach_scene.h - a stream that may be detached, on a stub that keeps what it has
 *
 * Pages are exchanged by a function of the scene, which notes what it was asked for and says
 * what it was told to. That real pages are exchanged, and what goes out then, is in tests/memory
 * and tests/real.
 */
#ifndef ZCREQ_TESTS_DETACH_SCENE_H
#define ZCREQ_TESTS_DETACH_SCENE_H

#include <stdint.h>
#include <sys/uio.h>

#include <zcreq/memory.h>

#include "support/scene.h"

#define PAGE 4096

/* What the last exchange was asked for, and what the next will answer. */
extern struct exchange_asked {
	unsigned calls;
	int answer;
	unsigned flags;
	int count;
	struct iovec lent[8];
} asked;

/* It asserts that ranges are sorted and do not touch. */
int exchange_note(const struct iovec *lent, int count, unsigned flags, void *arg);
extern const struct zcreq_memory_ops exchange_noted;

extern const struct zcreq_request_hooks silent; /* nobody listens */
extern char pages[8 * PAGE];
extern struct heard more[4];

void detach_setup(void);    /* options are set; a test opens the stream */
void detach_teardown(void); /* and in the end the kernel lets go of everything */

/* One request with all of data, taken by the kernel; and aborted. */
void open_and_begin(void);
void send_and_abort(void);

/* A request with so many bytes of pages from @at, finished and taken. */
void send_pages(struct heard *request, size_t at, size_t bytes);
void abort_now(void);

/* Range @at of the last exchange. */
void expect_asked(int at, size_t start, size_t bytes);

/* So many sends are proven by an exchange, and so many bytes of them are the kernel's still. */
void expect_detached(uint64_t sends, uint64_t bytes);

#endif
