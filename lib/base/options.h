/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * options.h - structs of callers that were compiled with another version
 *
 * The rules of context.h. Options: too small is -EINVAL, larger than known is fine as
 * long as the unknown rest is zero, else -E2BIG; a flag that is not known is -EINVAL.
 * Tables of functions: what is reserved in them is NULL, else -EINVAL.
 */
#ifndef ZCREQ_LIB_OPTIONS_H
#define ZCREQ_LIB_OPTIONS_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* How every options struct begins. */
struct zcreq_options_head {
	size_t size;
	uint32_t flags;
};

/*
 * Copies the caller's struct @from to @to of @known bytes; of its flags no other than
 * @flags may be set. No version is older than this one, so @known is the least as well.
 */
static inline int zcreq_options_copy(void *to, const void *from, size_t known, uint32_t flags)
{
	struct zcreq_options_head head;
	size_t size = *(const size_t *)from;

	if (size < known || size > 65536)
		return -EINVAL;
	memcpy(&head, from, sizeof(head));
	if (head.flags & ~flags)
		return -EINVAL;
	for (size_t i = known; i < size; i++) {
		if (((const char *)from)[i])
			return -E2BIG;
	}
	memcpy(to, from, known);
	return 0;
}

/* Is nothing set of what is reserved in a table of functions? An older library would not
 * do what a newer one does with it. */
static inline bool zcreq_unused(void (*const *reserved)(void), size_t count)
{
	uintptr_t any = 0;

	for (size_t i = 0; i < count; i++)
		any |= (uintptr_t)reserved[i];
	return !any;
}

/* The same of the table that is pointed to. */
#define ZCREQ_UNUSED(table) \
	zcreq_unused((table)->reserved, sizeof((table)->reserved) / sizeof(*(table)->reserved))

#endif
