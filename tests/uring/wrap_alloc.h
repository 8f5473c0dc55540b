/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wrap_alloc.h - the program's own malloc, calloc and realloc fail, on order
 *
 * By the linker's --wrap, so only for what is linked in statically: the library and
 * the test.
 */
#ifndef ZCREQ_TESTS_WRAP_ALLOC_H
#define ZCREQ_TESTS_WRAP_ALLOC_H

#include <limits.h>
#include <stdbool.h>

/* All of them, until they may succeed again. */
void wrap_alloc_fail(bool fail);

/* Only the one after the next @after that succeed; NOT_AT_ALL is none. */
#define NOT_AT_ALL UINT_MAX
void wrap_alloc_fail_after(unsigned after);

#endif
