/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * by-hand.h - what the programs of doc/by-hand.md share
 *
 * Each of them sends with MSG_ZEROCOPY by hand, and gets one thing wrong. It says what came of
 * that, and ends with 0 if it is what the page says, 1 if not, 77 if it cannot be shown here.
 */
#ifndef BY_HAND_H
#define BY_HAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a buffer holds: the request's bytes, and those of whoever has the buffer next. */
#define OURS 'a'
#define NEXT 'B'

struct pair {
	int fd, peer;
};

/* A connection over loopback to a peer that takes little at once: the rest stays in the socket. */
void pair_open(struct pair *pair, int family);

/* The same over a link of its own, which can be cut: cut() makes the host vanish. */
void pair_open_link(struct pair *pair);
void cut(void);

/* So many bytes of OURS, for as long as the program runs. */
char *buffer_of(size_t len);

/* send(2) with MSG_ZEROCOPY, and again until all is taken or the socket is full: how much. */
size_t send_all(int fd, const char *data, size_t len);

/* The ids of the next notification. False: there is none. */
bool told(int fd, uint32_t *lo, uint32_t *hi);

/* The same, waiting for it, at most so long. */
bool told_within(int fd, int ms, uint32_t *lo, uint32_t *hi);

/* The peer reads so many bytes. How many of them are of NEXT? */
size_t peer_reads(int peer, size_t len);

/* Ends the connection: what the kernel still has, it lets go. */
void disconnect(int fd);

/* Ends the program, if @ret is negative: with 77 if @skip. */
void need(const char *what, long ret, bool skip);

#endif
