/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/bug.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void zcreq_bug_at(const char *file, int line, const char *what)
{
	fprintf(stderr, "zcreq: %s:%d: broken invariant: %s\n", file, line, what);
	abort();
}
