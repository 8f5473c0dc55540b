/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * printed.h - what the printed texts find around them (printed.sh makes C files of them)
 */
#ifndef ZCREQ_TESTS_PRINTED_H
#define ZCREQ_TESTS_PRINTED_H

#include <poll.h>
#include <stdbool.h>

#include <zcreq/zcreq.h>

/* In place of three dots: the program serves what is its own, and may be over. */
bool printed_rest(void);
#define PRINTED_REST() \
	if (printed_rest()) \
		return

/* Of include/zcreq/context.h, and of examples/hello.c. */
void printed_turns(struct zcreq_context *context, struct pollfd *fds, nfds_t n);
int printed_hello(void);

#endif
