/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve.h - the loop of those examples that are about something else
 *
 * As in http-epoll.c, with poll(2), and with a clock of the program's own if it wants one.
 */
#ifndef SERVE_H
#define SERVE_H

#include <stdbool.h>
#include <stdint.h>

#include <zcreq/zcreq.h>

struct service {
	struct zcreq_context *context;
	const char *where;         /* as for listen_on() */
	void (*welcome)(int fd);   /* somebody has connected: the descriptor is the program's */
	void (*stop)(void);        /* no more of that: let those that there are end */
	bool (*over)(void);        /* are they gone? */
	void (*tick)(void);        /* called every @tick_ms; may be NULL */
	uint32_t tick_ms;
	int fd;                    /* one more descriptor, whose events are the program's, */
	void (*ready)(void);       /* and who is told that it is readable; may be NULL */
};

/* Returns when it is over. */
void serve(const struct service *service);

#endif
