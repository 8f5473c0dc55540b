/* SPDX-License-Identifier: BSD-2-Clause */
#include "uring/wrap_alloc.h"

#include <stddef.h>

static bool failing;
static unsigned succeed = NOT_AT_ALL; /* so many, then one that does not */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static bool fails(void)
{
	if (failing)
		return true;
	if (succeed == NOT_AT_ALL)
		return false;
	return succeed-- == 0;
}

void wrap_alloc_fail(bool fail)
{
	failing = fail;
}

void wrap_alloc_fail_after(unsigned after)
{
	succeed = after;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return fails() ? NULL : __real_realloc(memory, size);
}
