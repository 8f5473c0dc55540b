/* SPDX-License-Identifier: BSD-2-Clause */
/* locked.h - a limit on locked memory, which zero-copy sends are charged to */
#ifndef TESTS_REAL_LOCKED_H
#define TESTS_REAL_LOCKED_H

#include <stddef.h>

/*
 * From now on this process may lock @bytes, as in a container. The kernel counts per user,
 * so root becomes a user of its own, with all it may do but to lock more: what the tests
 * beside it send is not charged to this limit. Without privilege the user stays the same, and
 * so does the count. 0, or a negative errno.
 */
int locked_limit(size_t bytes);

#endif
