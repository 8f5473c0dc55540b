/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool.h - threads that compute answers, and know nothing of connections
 *
 * A job is the context's thread's until pool_push(), a worker's until its call is run, and
 * then the context's thread's again. Meanwhile only @wanted is touched from both sides.
 */
#ifndef POOL_H
#define POOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <zcreq/threads.h>
#include <zcreq/zcreq.h>

struct job {
	struct zcreq_call call; /* the first member: its address is the job's */
	struct job *next;       /* the pool's */
	zcreq_id id;
	void *owner;
	atomic_bool wanted;     /* false: the answer will not be sent */
	size_t len;
	uint8_t bytes[];        /* the call's 8, and room for the answer behind them */
};

/* 0, or -errno if there can be no threads. */
int pool_start(struct zcreq_context *context, unsigned workers);

/* A worker fills the job's bytes, and posts its call. */
void pool_push(struct job *job);

/* Returns when the last worker is gone. There are no jobs. */
void pool_stop(void);

#endif
