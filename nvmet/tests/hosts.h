/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * hosts.h - network namespaces: one for the target, one for each of two hosts
 *
 * Each host has a link of its own to the target, with a switch (a bridge) in the
 * middle, where it can be cut. Without the switch the cut would be one of the
 * target's own port: its kernel would know, forget the host's address, and park
 * what it sends until that is resolved again. The namespaces have no names and go
 * away with the process. A socket belongs to the namespace in which it was made, so
 * one process can be both hosts.
 */
#ifndef TESTS_NVME_HOSTS_H
#define TESTS_NVME_HOSTS_H

#include <stdbool.h>

#define HOSTS 2

struct hosts {
	int home, target, middle, host[HOSTS]; /**< descriptors of the namespaces */
	char reason[128];
};

/** Makes them; false, with @reason, where that is not possible. */
bool hosts_make(struct hosts *hosts);

void hosts_free(struct hosts *hosts);

/** Where the target listens for each host. */
#define HOSTS_LISTEN_0 "10.77.0.1:4420"
#define HOSTS_LISTEN_1 "10.77.1.1:4420"

/** The one of them that host @number uses. */
const char *hosts_address(int number);

/** Sockets made from now on are host @number's; -1 is where the test came from. */
void hosts_enter(const struct hosts *hosts, int number);

/** Cuts or mends the link of host @number; neither end is told. */
void hosts_link(struct hosts *hosts, int number, bool up);

#endif
