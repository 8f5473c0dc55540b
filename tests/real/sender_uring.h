/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sender_uring.h - what only tests of the ring itself ask of sender_uring.c
 */
#ifndef ZCREQ_TESTS_SENDER_URING_H
#define ZCREQ_TESTS_SENDER_URING_H

#include <liburing.h>

#include <zcreq/uring.h>

#include "real/sender.h"

/* Before the first connection: the ring is the program's own, and read by it. */
void sender_share(struct load *load, struct io_uring *ring, uint8_t tag);

/* Before the first connection: a ring of the library's with these options. */
void sender_start(struct load *load, const struct zcreq_uring_options *options);

struct zcreq_uring *sender_ring(const struct load *load);

/* Completions of a shared ring that had another tag. */
unsigned sender_foreign(const struct load *load);

#endif
