/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * congestion.h - the congestion control of every benchmark, at both ends
 *
 * The system's default decides what is measured where it is BBR: its pacing and its
 * estimates of a path that has no bottleneck.
 */
#ifndef BENCH_CONGESTION_H
#define BENCH_CONGESTION_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define CONGESTION "reno" /* every kernel has it, and every user may have it */

/* Sets it on a socket (what a listener accepts has it as well): what the socket has then. */
static inline const char *set_congestion(int fd)
{
	static char name[16];
	socklen_t len = sizeof(name);

	memset(name, 0, sizeof(name));
	if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, CONGESTION, strlen(CONGESTION)) ||
	    getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len)) {
		perror("TCP_CONGESTION");
		exit(1);
	}
	return name;
}

/* As bench/figures.sh keeps it; once in a run. */
static inline void print_congestion(int fd)
{
	static int printed;

	if (!printed++)
		printf("# congestion control: %s\n", set_congestion(fd));
}

#endif
