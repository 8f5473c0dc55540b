/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * net.h - two hosts and a cable, made by the test itself
 *
 * What a kernel does with pages in flight shows only when packets stop: on a
 * healthy loopback everything is acknowledged before the test can look. So each
 * test has a network of its own, two namespaces joined by a veth pair, that it
 * may cut, misdirect and slow down:
 *
 *	near 10.9.0.1 fd09::1 ====== veth ====== 10.9.0.2 fd09::2 far
 *
 * The namespaces have no name. They are kept by descriptors of this process, so
 * they vanish with it, however it ends; nothing outside is touched, and nothing
 * has to be cleaned up after a crash or a kill. Everything is said over netlink:
 * no program has to be installed. A user who is not root becomes root in a user
 * namespace first; where that is forbidden net_open() says why.
 *
 * A socket belongs for life to the namespace that it was created in. So both ends
 * live in one process, and mostly in one thread: the test enters the far namespace
 * for as long as it takes to make the listening socket.
 *
 * Four ways in which a host vanishes, as near sees them:
 *
 *	net_cut()        far's end of the cable goes down: no carrier, packets are
 *	                 dropped at once
 *	net_misdirect()  the cable is fine and packets leave, to a link-layer address
 *	                 that nobody has
 *	net_forget()     packets wait for a link-layer address that nobody tells
 *	net_slow()       a token-bucket filter: packets leave, late. Until they have
 *	                 left, the filter's queue has references to their pages
 *
 * veth copies pages when it hands a packet to the other side, and says so in the
 * notification. The copy is of a clone: the original stays pinned until it is
 * acknowledged, so all that is tested here is as on real hardware.
 *
 * All functions return 0 or -errno.
 */
#ifndef ZCREQ_TESTS_NET_H
#define ZCREQ_TESTS_NET_H

#include <stdbool.h>
#include <stdint.h>

struct net {
	int near_ns, far_ns;           /* the namespaces */
	int near_netlink, far_netlink; /* a route socket in each */
	int near_index, far_index;     /* the two ends of the cable */
};

enum net_side { NET_NEAR, NET_FAR };

enum net_family { NET_IPV4, NET_IPV6, NET_MAPPED, NET_FAMILIES };

/* How a pair of connected sockets is made; zero is the default everywhere. */
struct net_pair {
	enum net_family family;
	int near_sndbuf;  /* bytes that fit into the sending socket */
	int far_rcvbuf;   /* SO_RCVBUF of the receiving one: small, and the window closes soon */
	int protocol;     /* IPPROTO_MPTCP for one that is not TCP */
};

/* Makes the network; the calling thread is left in near. */
int net_open(struct net *net);
void net_close(struct net *net);

/* A connected pair, both non-blocking. */
int net_connect(struct net *net, const struct net_pair *how, int *near, int *far);

/* The calling thread's side, for what is made in it. */
int net_enter(const struct net *net, enum net_side side);

/* A socket of one side, for what the others do not make. */
int net_socket(struct net *net, enum net_side side, int domain, int type, int protocol);

/* Each is undone by calling it with false. */
int net_cut(struct net *net, bool cut);
int net_misdirect(struct net *net, bool misdirect);

/*
 * Before anything is connected: waits until the kernel has just looked after carriers,
 * which it does at most once a second (net/core/link_watch.c). Until it looks again, near
 * goes on giving packets to the driver of a cable that was cut, which refuses them; then
 * they are swallowed by a queue. So what is asked of a fresh cut has a second for it.
 */
int net_await_look(struct net *net);

/* Near no longer knows far's link-layer address (IPv4 only), asks for it, and is not
 * answered: packets wait in the neighbour's queue until it gives up, 0.75 s later. */
int net_forget(struct net *net);

/* Near sends no faster than this from now on; 0 takes the limit away again,
 * without dropping what waits behind it. */
int net_slow(struct net *net, uint32_t bytes_per_s);

/* Drops what waits in the filter, and the filter: as a driver that is reset. */
int net_drop_queue(struct net *net);

/* Writes /proc/sys/net/@name of one side's namespace. */
int net_sysctl(struct net *net, enum net_side side, const char *name, const char *value);

/* Does @try return 0, in a child that leaves nothing behind? NULL, or @what and the reason of
 * its -errno, in words that are good until the next call. */
const char *net_try(int (*try)(void), const char *what);

/* Can this machine do it at all? NULL, or the reason why not, in words. */
const char *net_missing(void);

/* Asked apart, since few tests need it: can it slow a link down, can it limit
 * option memory, can it pin more than a little? */
const char *net_missing_slow(void);
const char *net_missing_optmem(void);
const char *net_missing_lock(void);

#endif
