/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wellformed.h - is a text JSON, is it XML? For tests of what writes them.
 *
 * Strict about structure, and as small as that allows: no names are known, no
 * encodings looked at beyond that what is below a blank is no character of theirs.
 */
#ifndef ZCREQ_TESTS_WELLFORMED_H
#define ZCREQ_TESTS_WELLFORMED_H

#include <stdbool.h>
#include <stddef.h>

/* One value and nothing after it but blanks. */
bool wellformed_json(const char *text, size_t len);

/* One element, with what is in it, and nothing else. */
bool wellformed_xml(const char *text, size_t len);

#endif
