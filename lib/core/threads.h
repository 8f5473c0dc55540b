/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * threads.h - what other threads have sent to a context, from the inside
 */
#ifndef ZCREQ_LIB_THREADS_H
#define ZCREQ_LIB_THREADS_H

#include <zcreq/threads.h>

#include "core/core.h"

/* How the context's thread is woken, by any other, and in a signal handler too. */
struct zcreq_wake_ops {
	void (*wake)(int fd);
	/* it is awake: what comes from here on wakes it again */
	void (*clear)(int fd);
	void (*close)(int fd);
};

/* Drops and posts are taken from now on; @wake NULL: the program polls. On an error @fd is
 * still the caller's. -EALREADY, -ENOMEM. */
int zcreq_threads_start(struct zcreq_context *context, const struct zcreq_wake_ops *wake, int fd);

#endif
