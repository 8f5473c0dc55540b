/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * in-use.h - the reactor of doc/replacing-in-use.md, which serves before.c or after.c
 *
 * A framework with its own queue, its own sendmsg(2), and pollers that never sleep. A queue
 * pair has requests; each sends its data to the host, and its data is free for the next
 * command when it is over. in-use.c has the reactor, the host, and how it vanishes.
 */
#ifndef IN_USE_H
#define IN_USE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REQUESTS = 24, DATA_BYTES = 64 << 10, QUEUE = 64 };

struct qpair;

/* ---- before.c, after.c ---- */

/* Each request of it sends its data. */
struct qpair *qpair_open(int fd);

/* The framework's poller for a queue pair, called over and over. */
void qpair_poll(struct qpair *qpair);

/* The keep-alive timer of its host has expired: it is to go. */
void qpair_disconnect(struct qpair *qpair);

/* How many requests are not over. The queue pair can go when there are none. */
int qpair_waiting(const struct qpair *qpair);
void qpair_destroy(struct qpair *qpair);

/* ---- in-use.c ---- */

/* A counter of ticks, as a poll-mode framework has one. */
uint64_t ticks(void);
uint64_t ticks_hz(void);

/* A buffer that is over, for whatever reason: somebody else's from now on. */
void data_free(char *data);

#endif
