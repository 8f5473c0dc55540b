/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lines.h - the lines of a file that a person has written
 *
 * Without the blanks around them; empty lines and comments (#) are left out. They are cut
 * in place, so that what is kept of them may point into the text.
 */
#ifndef NVMET_LINES_H
#define NVMET_LINES_H

struct lines {
	char *next;
	unsigned number; /* of the line that was read last, counted from 1 */
};

/* The whole file, with an end, to be freed; NULL and errno. */
char *lines_read(const char *path);

/* The next line, or NULL after the last. @lines begins as { .next = text }. */
char *lines_next(struct lines *lines);

#endif
