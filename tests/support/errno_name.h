/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * errno_name.h - the name of an error, as strerrorname_np(3) gives it
 *
 * That is in glibc since 2.32 and not in musl; elsewhere a table of what the tests print.
 */
#ifndef TESTS_ERRNO_NAME_H
#define TESTS_ERRNO_NAME_H

#include <errno.h>
#include <stddef.h>
#include <string.h>

#ifdef __GLIBC__
#if __GLIBC_PREREQ(2, 32)
#define HAVE_STRERRORNAME_NP
#endif
#endif

static inline const char *errno_name(int error)
{
#ifdef HAVE_STRERRORNAME_NP
	return strerrorname_np(error);
#else
#define NAME(error) { error, #error }
	static const struct {
		int error;
		const char *name;
	} names[] = {
		NAME(EAGAIN), NAME(EBADF), NAME(EBUSY), NAME(ECONNABORTED), NAME(ECONNREFUSED),
		NAME(ECONNRESET), NAME(EFAULT), NAME(EHOSTUNREACH), NAME(EINTR), NAME(EINVAL),
		NAME(EMFILE), NAME(EMSGSIZE), NAME(ENETUNREACH), NAME(ENFILE), NAME(ENOBUFS),
		NAME(ENOMEM), NAME(ENOMSG), NAME(ENOPROTOOPT), NAME(ENOSPC), NAME(ENOTCONN),
		NAME(EOPNOTSUPP), NAME(EPERM), NAME(EPIPE), NAME(ETIMEDOUT),
	};
#undef NAME

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].error == error)
			return names[i].name;
	return error ? "unknown" : "0";
#endif
}

#endif
