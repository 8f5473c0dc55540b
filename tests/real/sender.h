/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * engine.h - the engine that a program of tests is about
 *
 * The same tests are built twice: with engine_socket.c, and with engine_uring.c as the
 * programs named uring_*.
 */
#ifndef ZCREQ_TESTS_ENGINE_H
#define ZCREQ_TESTS_ENGINE_H

#include "real/load.h"

/* Is it the io_uring one? Only for what a test is not about then. */
extern const bool engine_is_uring;

/* Why it cannot run here, or NULL. */
const char *engine_missing(void);

/* Opens the near end with it, spied on if the load is. */
int engine_open(struct load *load, const struct zcreq_stream_options *options);

/* Flushes the connection, and what the engine has prepared. */
int engine_flush(struct load *load);

/* A descriptor that is readable when engine_process() has work, or -1. */
int engine_fd(const struct load *load);

/* Its share of a turn. */
void engine_process(struct load *load);

/* Every connection is closed. */
void engine_stop(struct load *load);

#endif
