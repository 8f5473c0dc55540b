/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report.h - what the user asked for, what was found, and how it is said
 *
 * As sanitizers do it: ZCREQ_GUARD_OPTIONS has words "name=value" with colons between,
 * reports go to stderr or to a file of each process, and a program that would have
 * ended well ends with another status if there was one.
 */
#ifndef ZCREQ_GUARD_REPORT_H
#define ZCREQ_GUARD_REPORT_H

#include <stdbool.h>

struct guard_options {
	int exitcode;      /* of a program with reports; 0 leaves its own */
	bool halt;         /* abort(3) after the first */
	bool polls;        /* look for double-registered descriptors */
	long unread_sends; /* without a look at the error queue; 0: no limit */
	char log_path[256];
};

extern struct guard_options guard_options;

/* Reads ZCREQ_GUARD_OPTIONS; says what it does not understand. */
void report_init(void);

/* One finding: a line of what, and of details. Keeps errno. */
__attribute__((format(printf, 2, 3)))
void report(const char *what, const char *format, ...);

/* Not a finding: what the guard itself has to say. */
__attribute__((format(printf, 1, 2)))
void report_note(const char *format, ...);

/* "program+0x1234" of a return address, for addr2line(1); good until the next call. */
const char *report_place(const void *address);

/* Is the program to end, as soon as nothing is locked? True once. */
bool report_halts(void);

/* How many findings; a child begins at 0. */
unsigned report_count(void);
void report_forget(void);

#endif
