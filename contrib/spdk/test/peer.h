/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * peer.h - one socket of a module of SPDK, and a plain one at the other end of a cable
 *
 * The near end is SPDK's: a listener, an accepted socket, a group. The far end is a descriptor
 * in another network namespace of the same process (tests/real/net.h), which can be cut off.
 */
#ifndef ZCREQ_SPDK_TEST_PEER_H
#define ZCREQ_SPDK_TEST_PEER_H

#include <stdint.h>

#include <spdk/sock.h>

#include "real/net.h"

enum { JOBS = 16, JOB_BYTES = 128 * 1024, STALL_MS = 500, SKIPPED = 77 };

/* A request, its only member right behind it, as SPDK's interface demands. */
struct job {
	struct spdk_sock_request request;
	struct iovec iov;
	char *data;
	int called, status;
	uint64_t called_ns;
};

struct scene {
	struct net net;
	struct spdk_sock *listener, *sock;
	struct spdk_sock_group *group;
	int peer; /* non-blocking */
	int told; /* how often the group said that there is something to read */
	struct job jobs[JOBS];
};

/* Ends the program with 77 and the reason where there can be no network. */
void scene_open(struct scene *scene, const char *module, bool zerocopy);

/* Queues job @i, filled with @byte. */
void scene_send(struct scene *scene, int i, char byte);

/* The same again with so many bytes of what is in its buffer. */
void scene_resend(struct scene *scene, int i, size_t bytes);

/* Polls the group until every one of the first @count was called back, at most so long. How
 * many were not. */
int scene_await(struct scene *scene, int count, unsigned ms);

/* Every buffer gets other contents: whoever sends from it now sends a foreign byte. */
void scene_recycle(struct scene *scene, char byte);

/* Reads what there is, until the end, a reset or @ms without anything. How many bytes, and how
 * many of them are @foreign. */
uint64_t scene_drink(struct scene *scene, char foreign, uint64_t *found, unsigned ms, bool *end);

void scene_remove_and_close(struct scene *scene);
uint64_t now_ns(void);

/* Says what is not so, and makes the program fail at its end. */
#define check(so, ...) check_that(so, #so, __VA_ARGS__)
void check_that(bool so, const char *what, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int failures(void);

#endif
