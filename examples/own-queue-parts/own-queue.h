/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * own-queue.h - what the framework (own-queue.c) and its hosts (hosts.c) share
 */
#ifndef OWN_QUEUE_H
#define OWN_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zcreq/zcreq.h>

#include "../vanish-parts/vanish.h" /* a link to cut */

enum { QUEUE = 64, JOBS = 96, JOB_BYTES = 64 << 10, SNDBUF = 4 << 20, MS = 1000000,
       TICK_MS = 10 /* at most, of the kernel's clock */ };

/* A buffer that goes round: filled, queued, sent, released, and filled again. */
struct job {
	struct sock *sock;
	zcreq_id id;
	char *memory;
	size_t done; /* taken by the kernel */
	int busy;
};

struct sock {
	int fd, far; /* far is the other host's end, read by this program as well */
	struct zcreq_conn *conn;
	struct job jobs[JOBS];
	struct job *queue[QUEUE];
	int queued, closed, status;
	unsigned long long released, failed, received, foreign;
};

extern struct zcreq_context *context;

/* ---- own-queue.c ---- */

/* Ends the program with an error that should not be. */
void must(const char *what, long ret);

void sock_open(struct sock *sock, int fd, int far);
void sock_free(struct sock *sock);

/* One round of the loop: nothing in it waits. With @filling new buffers are queued. */
void poll_once(struct sock **socks, int count, bool filling);

/* ---- hosts.c ---- */

/* The other host reads what is there. */
void far_read(struct sock *sock);

#endif
