/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * path.h - a path on one machine on which nobody copies
 *
 * Loopback and veth copy where a packet is received, so pages that were sent by reference
 * gain nothing there, and none is held for as long as a network holds it. Here no packet is
 * ever received: a program of ours at the far end of the cable (acker.bpf.c) notes how far
 * the stream has come and drops the packet, and a process there (responder.c) sends the
 * acknowledgements. What the sender sees is a host that takes everything, as slowly and as
 * badly as the knobs say; and each byte that left can be compared with what it should be,
 * while its pages are still the sender's.
 *
 * It needs root, a kernel since 5.17 (bpf_loop), clsact and cls_bpf.
 */
#ifndef ZCREQ_TESTS_PATH_H
#define ZCREQ_TESTS_PATH_H

#include <sys/types.h>

#include "path/acker.h"
#include "real/net.h"

struct path {
	struct net *net;
	volatile struct acker *acker; /* knobs to turn, counts to read */
	pid_t responder;
	int map_fd;
};

/* NULL, or why this machine cannot, in words. */
const char *path_missing(void);

/* Takes over what goes to ACKER_PORT on @net, IPv4: 0 or -errno. */
int path_open(struct path *path, struct net *net);
void path_close(struct path *path);

/* A connected socket of near's, non-blocking, with congestion control @control: the flow
 * of that number, below ACKER_FLOWS. A number may be connected again when its socket is
 * closed. The descriptor, or -errno. */
int path_connect(struct path *path, unsigned flow, const char *control);

/* What the flow's bytes were up to now, resent ones included. */
struct acker_flow path_seen(const struct path *path, unsigned flow);

/* Of the process that path_open() starts: never returns. */
void path_respond(volatile struct acker *acker, int ifindex) __attribute__((noreturn));

#endif
