/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool.h - memory that is not the program's heap
 *
 * What is interposed may be called where malloc(3) must not be: in a signal handler
 * that interrupted it. So the guard's memory comes from mmap(2), in powers of two, and
 * goes back to lists of its own. Whoever calls holds the guard's lock.
 */
#ifndef ZCREQ_GUARD_POOL_H
#define ZCREQ_GUARD_POOL_H

#include <zcreq/context.h>

extern const struct zcreq_allocator pool;

#endif
