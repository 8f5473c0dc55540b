/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * loop.h - one event loop with a context in it, as the scenarios see it
 *
 * A driver is what a program would write that has such a loop: the context's descriptor
 * and its deadline, a turn before each sleep, and one more descriptor of the program's own.
 * It knows nothing of streams, unless it polls the sockets itself.
 */
#ifndef ZCREQ_TESTS_LOOP_H
#define ZCREQ_TESTS_LOOP_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>

#include <zcreq/zcreq.h>

#define LOOP_CONNS 128

struct loop {
	struct zcreq_context *context;
	bool (*done)(void);     /* asked after each turn */
	bool expired;           /* its time was over before that */
	uint64_t away_ns;       /* the longest round of one that never sleeps */
	int read_fd;            /* the program's own descriptor, */
	bool reads;             /* whether it is watched, */
	void (*readable)(void); /* and what is called when there is something to read */
	struct zcreq_conn *conns[LOOP_CONNS]; /* for who polls sockets itself */
	unsigned conn_count;
};

/*
 * @start:   context, read_fd and readable are set, nothing else has happened
 * @reading: loop->reads has changed
 * @run:     until done, or for @ms: then it is expired, and that turns no more
 * @stop:    @start undone
 */
struct loop_driver {
	const char *name;
	bool never_sleeps;
	void (*start)(struct loop *loop);
	void (*reading)(struct loop *loop);
	void (*run)(struct loop *loop, int ms);
	void (*stop)(struct loop *loop);
};

/* Every scenario with every one of them, NULL at the end. */
Suite *loop_suite(const char *name, const struct loop_driver *const drivers[]);

/* What main() returns where the library is missing that it would use. */
int loop_missing(const char *library, const char *package);

#endif
