/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wrap.h - the program's own calls of libc as crossings of a fault
 *
 * The linker's --wrap (faults.am) sends calls that the library and the adapter,
 * which are linked in statically, make of calloc, epoll_*, sendmsg and so on through
 * wrap.c. Those of shared libraries, libev's among them, stay as they are.
 */
#ifndef ZCREQ_TESTS_WRAP_H
#define ZCREQ_TESTS_WRAP_H

#include "faults/fault.h"

/* Crossings count from now on, and fail as the fault says; NULL: no more. */
void wrap_arm(struct fault *fault);

/* Blocks of calloc that were given while armed, and not freed. */
extern long wrap_live_blocks;

#endif
