/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * writer.h - writing into somebody's buffer, of any size, without looking at each step
 *
 * Everything is counted and what fits is written, so that the length comes out right
 * whether it fitted or not. Nothing can fail.
 */
#ifndef ZCREQ_LIB_WRITER_H
#define ZCREQ_LIB_WRITER_H

#include <stddef.h>

struct zcreq_writer {
	char *text;
	size_t size, len;
};

__attribute__((format(printf, 2, 3))) void zcreq_writer_add(struct zcreq_writer *w,
							     const char *format, ...);

/* The length of the whole. What did not fit is cut, or @instead stands in its place; in
 * less room than that there is nothing. */
int zcreq_writer_end(struct zcreq_writer *w, const char *instead);

#endif
