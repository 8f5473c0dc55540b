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
	void (*close)(int fd);
};

/* Drops and posts are taken from now on; nobody is woken for them yet. -ENOMEM. */
int zcreq_threads_start(struct zcreq_context *context);

/* From now on the context's thread may sleep: @fd is the library's, closed with the rest. */
void zcreq_threads_wake_by(struct zcreq_threads *threads, const struct zcreq_wake_ops *wake,
			   int fd);

#endif
