/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring_script.h - an io_uring that does as it is told: submissions in, completions out
 *
 * Not a model of the kernel. A test reads what was submitted, and posts what it wants
 * to be found; a socket under the stream is a stub.
 */
#ifndef ZCREQ_TESTS_RING_SCRIPT_H
#define ZCREQ_TESTS_RING_SCRIPT_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include <zcreq/uring.h>

#include "support/stub.h"

/* IORING_SEND_ZC_REPORT_USAGE, which is not in every header that is about */
#define REPORT_USAGE 8

#define SCRIPT_ENTRIES 16
#define SCRIPT_COMPLETIONS 16384

struct script_completion {
	uint64_t user_data;
	int32_t res;
	uint32_t flags;
};

struct ring_script {
	struct io_uring_sqe entries[SCRIPT_ENTRIES]; /* a ring */
	unsigned made, submitted, room; /* so many can be made and not submitted */
	struct script_completion queue[SCRIPT_COMPLETIONS]; /* a ring */
	unsigned head, tail;
	int submit_error, peek_error, eventfd_error, register_error;
	unsigned submits, runs, fds;
	int fd;
	unsigned registered; /* buffers */
	void (*on_run)(struct ring_script *script);
	void *arg; /* for on_run */
};

extern const struct zcreq_uring_ops script_ops;

/* Room for all entries; the next completion answers the question of a new ring. */
void script_init(struct ring_script *script);

/* Options of a ring on it. */
struct zcreq_uring_options script_options(struct ring_script *script);

/* The entry that was made last, or before that one. */
struct io_uring_sqe *script_last(struct ring_script *script);
struct io_uring_sqe *script_before_last(struct ring_script *script);

void script_post(struct ring_script *script, uint64_t user_data, int res, unsigned flags);

/* The last entry's result, and a notification for it. */
void script_result(struct ring_script *script, int res, bool more);
void script_notify(struct ring_script *script, uint64_t user_data, bool copied);

#endif
