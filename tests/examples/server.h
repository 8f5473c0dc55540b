/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * server.h - an example is started, has clients, and is ended
 *
 * Each test has a network of its own (real/net.h). The server runs in near. A client is
 * far, behind the cable, where it can vanish; or near, on loopback, where it notices
 * nothing of that. Clients block; one that waits for more than WAIT_MS fails the test.
 */
#ifndef ZCREQ_TESTS_EXAMPLES_SERVER_H
#define ZCREQ_TESTS_EXAMPLES_SERVER_H

#include <stdint.h>
#include <sys/types.h>

#include "real/net.h"

#define WAIT_MS 20000

/* Within this a server has to free what a client has that vanished: each has a stall limit
 * of a second; and it says so. Widened by what the machine loses (support/witness.h). */
#define STALL_MS 1000
#define MARGIN_MS 250

struct server {
	pid_t pid;
	int out; /* what it says */
	char said[1 << 16];
	size_t len;
	uint16_t port;
	struct net net;
};

extern struct server server;

/* Fixtures: a network, and at the end no server. */
void server_setup(void);
void server_teardown(void);

/* @program: below examples/. @arguments: up to four, then NULL; "0.0.0.0:0" is its port. */
void server_start(const char *program, const char *const *arguments);

/* A line with all of @one and @two; fails after WAIT_MS. Valid until the next call. */
const char *server_says(const char *one, const char *two);

/* The number in front of @unit in @line. */
unsigned long server_number(const char *line, const char *unit);

/* It is asked to end; it has ended, with status 0, so that its context was empty; both. */
void server_ask_to_end(void);
void server_has_ended(void);
void server_stop(void);

/* A client; @side says where it is. */
int client_connect(enum net_side side);
void client_send(int fd, const void *bytes, size_t len);

/* Exactly so many bytes come. */
void client_read(int fd, void *bytes, size_t len);

/* The end of the stream, and nothing before it. */
void client_expect_end(int fd);

/*
 * Far vanishes: what near sends to it goes astray from now on, and there has to be more of
 * that to come than fits into a socket. What has arrived at @fd is still read, so that its
 * window is open. @serve is called for @other again and again, until the server has said
 * that the client is gone.
 */
void client_vanishes(int fd, void (*serve)(int fd), int other);

#endif
