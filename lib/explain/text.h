/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * text.h - writing into somebody's buffer, of any size, without looking at each step
 *
 * Everything is counted and what fits is written, so that the length comes out right
 * whether it fitted or not. Errors there are none.
 */
#ifndef ZCREQ_LIB_TEXT_H
#define ZCREQ_LIB_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zcreq/explain.h>

struct zcreq_text {
	char *text;
	size_t size, len;
	enum zcreq_format format;
	unsigned indent; /* of lines, in steps of two blanks */
	unsigned items;  /* in the list that add_item() is making */
};

__attribute__((format(printf, 2, 3))) void zcreq_text_add(struct zcreq_text *t,
							   const char *format, ...);

/* Text only: a new line, unless it is the first, and then as above. */
__attribute__((format(printf, 2, 3))) void zcreq_text_line(struct zcreq_text *t,
							    const char *format, ...);

/* "4.2 s", "128 KiB": enough for people. Text, and in JSON a number of ms or bytes. */
void zcreq_text_duration(struct zcreq_text *t, uint64_t ns);
void zcreq_text_bytes(struct zcreq_text *t, uint64_t bytes);

/* JSON only: a string of anybody's. */
void zcreq_text_string(struct zcreq_text *t, const char *string);

/* One more of a list of words: with commas between in text, strings in JSON. */
void zcreq_text_item(struct zcreq_text *t, const char *words);

/* The length of the whole; what did not fit is made the best of. */
int zcreq_text_end(struct zcreq_text *t);

static inline bool zcreq_text_is_json(const struct zcreq_text *t)
{
	return t->format == ZCREQ_JSON;
}

#endif
