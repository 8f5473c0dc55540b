/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * witness.h - how long this machine has kept a process from running
 *
 * A limit in milliseconds is the program's to keep, but not while a shared machine
 * gives its processors to others. A process that does nothing but sleep for a moment,
 * again and again, sees how much later it woke up; a limit is widened by that, and by
 * nothing else.
 */
#ifndef ZCREQ_TESTS_WITNESS_H
#define ZCREQ_TESTS_WITNESS_H

/** Starts it; it ends with the process that started it. */
void witness_start(void);

/** The longest delay since the last call, in whole milliseconds; 0 where nothing was lost. */
int witness_lost_ms(void);

#endif
