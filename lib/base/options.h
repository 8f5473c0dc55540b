/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * options.h - options structs of callers that were compiled with another version
 *
 * The rule of context.h: too small is -EINVAL, larger than known is fine as long
 * as the unknown rest is zero, else -E2BIG.
 */
#ifndef ZCREQ_LIB_OPTIONS_H
#define ZCREQ_LIB_OPTIONS_H

#include <errno.h>
#include <stddef.h>
#include <string.h>

/*
 * Copies the caller's struct @from, which begins with its size, to @to of @known
 * bytes. No version is older than this one, so @known is the least as well.
 */
static inline int zcreq_options_copy(void *to, const void *from, size_t known)
{
	size_t size = *(const size_t *)from;

	if (size < known || size > 65536)
		return -EINVAL;
	for (size_t i = known; i < size; i++) {
		if (((const char *)from)[i])
			return -E2BIG;
	}
	memcpy(to, from, known);
	return 0;
}

#endif
