/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sender.h - the sender that a program of tests is about
 *
 * The same tests are built twice: with sender_socket.c, and with sender_uring.c as the
 * programs named uring_*.
 */
#ifndef ZCREQ_TESTS_SENDER_H
#define ZCREQ_TESTS_SENDER_H

#include "real/load.h"

/* Is it the io_uring one? Only for what a test is not about then. */
extern const bool sender_is_uring;

/* Why it cannot run here, or NULL. */
const char *sender_missing(void);

/* Opens the near end with it, spied on if the load is. */
int sender_open(struct load *load, const struct zcreq_stream_options *options);

/* A descriptor that is readable when a turn has work of the sender's, or -1. */
int sender_fd(const struct load *load);

/* What a program does that reads the completions of its ring itself. */
void sender_process(struct load *load);

/* Every connection is closed. */
void sender_stop(struct load *load);

#endif
