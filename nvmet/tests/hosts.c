/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * hosts.c - makes the namespaces and links of hosts.h
 *
 * Uses ip(8) and bridge(8) for what netlink would take pages for. The cut is the
 * state of a port of the switch, which holds at once in both directions; taking an
 * interface down and up again is noticed with up to a second of delay.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hosts.h"

static int open_own(void)
{
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

static void enter(int netns)
{
	if (setns(netns, CLONE_NEWNET) < 0) {
		perror("setns");
		exit(99);
	}
}

/* A shell command in the namespace @netns. */
__attribute__((format(printf, 3, 4)))
static bool run(struct hosts *hosts, int netns, const char *format, ...)
{
	char command[256];
	va_list arguments;
	bool right;

	va_start(arguments, format);
	vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	enter(netns);
	right = system(command) == 0;
	enter(hosts->home);
	if (!right)
		snprintf(hosts->reason, sizeof(hosts->reason), "failed: %.100s", command);
	return right;
}

static int new_namespace(struct hosts *hosts)
{
	int fd;

	if (unshare(CLONE_NEWNET) < 0) {
		snprintf(hosts->reason, sizeof(hosts->reason), "cannot make a network namespace: %m");
		return -1;
	}
	fd = open_own();
	enter(hosts->home);
	return fd;
}

/* A veth from @netns, where it is called @name, to a port of the switch's bridge. */
static bool wire(struct hosts *hosts, int netns, const char *name, const char *address,
		 const char *bridge, const char *port)
{
	return run(hosts, hosts->middle,
		   "ip link add %s master %s type veth peer name %s netns /proc/%d/fd/%d", port, bridge,
		   name, (int)getpid(), netns) &&
	       run(hosts, hosts->middle, "ip link set %s up", port) &&
	       run(hosts, netns, "ip address add %s/24 dev %s", address, name) &&
	       run(hosts, netns, "ip link set %s up", name);
}

static bool make_host(struct hosts *hosts, int number)
{
	char bridge[24], to_target[24], to_host[24], name[24], host[32], target[32];

	snprintf(bridge, sizeof(bridge), "switch%d", number);
	snprintf(to_target, sizeof(to_target), "target%d", number);
	snprintf(to_host, sizeof(to_host), "host%d", number);
	snprintf(name, sizeof(name), "eth%d", number);
	snprintf(host, sizeof(host), "10.77.%d.2", number);
	snprintf(target, sizeof(target), "10.77.%d.1", number);
	hosts->host[number] = new_namespace(hosts);
	return hosts->host[number] >= 0 &&
	       run(hosts, hosts->middle, "ip link add %s type bridge forward_delay 0 stp_state 0",
		   bridge) &&
	       run(hosts, hosts->middle, "ip link set %s up", bridge) &&
	       wire(hosts, hosts->target, name, target, bridge, to_target) &&
	       wire(hosts, hosts->host[number], "eth0", host, bridge, to_host);
}

bool hosts_make(struct hosts *hosts)
{
	*hosts = (struct hosts){ .home = open_own(), .target = -1, .middle = -1, .host = { -1, -1 } };
	hosts->target = new_namespace(hosts);
	hosts->middle = new_namespace(hosts);
	if (hosts->target < 0 || hosts->middle < 0 ||
	    !run(hosts, hosts->target, "ip link set lo up"))
		return false;
	for (int i = 0; i < HOSTS; i++)
		if (!make_host(hosts, i))
			return false;
	return true;
}

void hosts_free(struct hosts *hosts)
{
	close(hosts->home);
	close(hosts->target);
	close(hosts->middle);
	for (int i = 0; i < HOSTS; i++)
		close(hosts->host[i]);
}

const char *hosts_address(int number)
{
	return number ? HOSTS_LISTEN_1 : HOSTS_LISTEN_0;
}

void hosts_enter(const struct hosts *hosts, int number)
{
	enter(number < 0 ? hosts->home : hosts->host[number]);
}

void hosts_link(struct hosts *hosts, int number, bool up)
{
	/* 3 is forwarding, 0 disabled */
	if (!run(hosts, hosts->middle, "bridge link set dev host%d state %d", number, up ? 3 : 0)) {
		fprintf(stderr, "%s\n", hosts->reason);
		exit(99);
	}
}
