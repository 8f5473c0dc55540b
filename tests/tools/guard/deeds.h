/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * deeds.h - a connection of this process to itself, and memory that is sent on it
 */
#ifndef ZCREQ_TESTS_DEEDS_H
#define ZCREQ_TESTS_DEEDS_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES 131072

/* The ends of it, and the memory. What is sent is in flight until far is read. */
extern int near, far;
extern char *buffer;

#define must(claim) \
	do { \
		if (!(claim)) { \
			fprintf(stderr, "deeds: line %d: %s: %s\n", __LINE__, #claim, \
				strerror(errno)); \
			exit(3); \
		} \
	} while (0)

/* The two ends of a connection; the receiving one holds little. */
void connect_pair(int *one, int *other);

/* A connection and memory, anew. */
void set_up(void);

/* Reads what the receiver has, until nothing has come for so long. */
void drain(int ms);

/* One message of the error queue: how many ids, 0 if there is none. */
unsigned reap_one(int fd);

/* Reads until so many ids have been notified. */
void reap(int fd, unsigned ids);

/* Ways to send; each returns how many ids it was given. */
unsigned by_send(void);
unsigned by_sendto(void);
unsigned by_sendmsg(void);
unsigned by_sendmmsg(void);

struct deed {
	const char *name;
	void (*run)(void);
};

/* Ended by one without a name. */
extern const struct deed wrong_deeds[], right_deeds[], thread_deeds[];

/* What goes on behind right-exec. */
void after_exec(const char *numbers);

#endif
