/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz.h - what every fuzz target is: one function that any bytes may be given to
 *
 * The same function runs under libFuzzer (scripts/fuzz) and, in make check, over
 * the corpus in the tree (replay.c). A claim that does not hold ends the program.
 */
#ifndef ZCREQ_TESTS_FUZZ_H
#define ZCREQ_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static inline void must(int holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "not so: %s\n", what);
	abort();
}

#endif
