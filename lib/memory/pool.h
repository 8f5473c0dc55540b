/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool.h - buffers of one size in whole pages of their own
 *
 * One mapping, and a list of what is free by number: the one that was put back last is the
 * next, for its pages are in the caches. The list has a place for every buffer, and a place
 * says whether its buffer is out, so that none is put back twice.
 */
#ifndef ZCREQ_LIB_POOL_H
#define ZCREQ_LIB_POOL_H

#include <stdint.h>
#include <sys/uio.h>

#include <zcreq/memory.h>

/* The pool, of a list, that has all of the run; or NULL. */
const struct zcreq_pool *zcreq_pool_of(const struct zcreq_pool *pools, const struct iovec *run);

/* enum zcreq_advice that its memory was given. */
unsigned zcreq_pool_advice(const struct zcreq_pool *pool);

#endif
