/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * witness.h - what this machine has kept from a program that is tested
 *
 * A limit in milliseconds is the program's to keep, but not while a shared machine
 * gives its processors to others. Two are asked how long that was, and a limit is widened
 * by their words, and by nothing else:
 *
 *  - the kernel, for how long the threads under test wanted a processor and had to wait for
 *    one (/proc/PID/task/TID/schedstat). It is the time that a program loses that computes:
 *    a scheduler lets it wait for tens of milliseconds where it wakes a sleeper at once. It is
 *    a sum: where two waited at the same time it says more than was lost, never less.
 *  - a process that does nothing but sleep for a moment, again and again. What it wakes up
 *    late without having waited for a processor, the machine was not there at all: a virtual
 *    one is stopped now and then.
 *
 * A kernel that counts no waiting leaves the second, with all that it is late.
 */
#ifndef ZCREQ_TESTS_WITNESS_H
#define ZCREQ_TESTS_WITNESS_H

#include <stdint.h>
#include <sys/types.h>

/** Starts both for the calling process; the second one ends with it. */
void witness_start(void);

/** Process @pid is under test as well. Before the time that is limited begins. */
void witness_watch(pid_t pid);

/**
 * For how long their threads had to wait for a processor, all together, in nanoseconds
 * from some moment on: the difference of two is a time's. 0 if nothing was started.
 */
uint64_t witness_waited_ns(void);

/** The longest time since the last call for which the machine was not there. */
uint64_t witness_stopped_ns(void);

/** Both since the last call of this function, in whole milliseconds. */
int witness_lost_ms(void);

#endif
