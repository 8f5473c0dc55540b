/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scaffold.h - what every example needs and none of them is about
 *
 * Sockets are made, the end is asked for, causes get names. A program of yours has all
 * that already.
 */
#ifndef SCAFFOLD_H
#define SCAFFOLD_H

#include <stdbool.h>
#include <stddef.h>

/* Says what failed and ends the program, if @ret is a negative errno. */
void check(const char *what, int ret);

/* Zeroes; no memory is the end of the program. */
void *allocate(size_t size);

/* Two ends of a TCP connection on loopback; any connected socket will do. */
void connect_pair(int fds[2]);

/* What has come on a socket is read and forgotten. False: it is at its end. */
bool read_away(int fd);

/*
 * A listening socket, not blocking: @where is PORT, on loopback, or ADDRESS:PORT (IPv4).
 * Port 0 takes one that is free. Which one it is, is said on stdout.
 */
int listen_on(const char *where);

/* Who waits on the listening socket; -EAGAIN: nobody does. Another negative errno: somebody may,
 * and there is no descriptor, say; that was said on stderr. */
int accept_one(int listener);

/* A descriptor that is readable when somebody wants the program to end: SIGINT, SIGTERM. */
int quit_fd(void);

/* That was heard; a second signal ends the program at once. */
void quit_heard(int fd);

/* The address of the other end, in words. */
const char *peer_name(int fd, char *text, size_t size);

/* Of enum zcreq_cause. */
const char *cause_name(int cause);

#endif
