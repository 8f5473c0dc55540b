/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * script.h - a sender that does as it is told, for tests of sender.h word by word
 *
 * Not a model of io_uring (tests/sim/fake_sender.h is one): it keeps what was
 * submitted last, and the test answers for it. It insists on what sender.h promises
 * to a sender: one submission at a time, ids that count up, nothing new once the
 * connection is aborted, nothing under way or without proof when it closes.
 */
#ifndef ZCREQ_TESTS_SCRIPT_H
#define ZCREQ_TESTS_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#include <zcreq/sender.h>

#include "support/stub.h"

#define SCRIPT_STREAM 4096

struct script {
	struct stub stub; /* the socket below */
	/* from inside submit(), when all is noted; its return value is submit's */
	int (*submitting)(struct script *script);
	void (*cancelling)(struct script *script);
	void (*reaping)(struct script *script);
	struct zcreq_conn *conn;
	uint32_t id;               /* of the last submission */
	uint64_t bytes;
	bool by_reference;
	bool under_way;
	int iovcnt;
	struct iovec iov[ZCREQ_SUBMISSION_IOVS];
	uint32_t awaited;          /* proofs */
	unsigned submits, cancels, reaps, closes;
	unsigned depth;            /* of submit() within submit() */
	uint8_t stream[SCRIPT_STREAM]; /* what was taken, as it was then */
	uint64_t taken;
};

/* Every function of a sender; and the one that is required. */
extern const struct zcreq_sender_ops script_ops, script_submit_only;

/* Options for a stream through it: mode always, nothing else set. */
struct zcreq_stream_options script_options(struct script *script);

/* Initialises a script and opens a stream through it; asserts that it opened. */
void script_open(struct script *script, struct zcreq_context *context,
		 const struct zcreq_stream_options *options);

/* The result of the last submission, which the library has to take. */
void script_result(struct script *script, int64_t result, bool more);

/* The proof for one id, which the library has to believe; or not. */
void script_proof(struct script *script, uint32_t id);
void script_no_proof(struct script *script, uint32_t id);

#endif
