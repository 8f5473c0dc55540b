/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bug.h - the one way in which a broken internal invariant stops the program
 *
 * A caller's mistake is an error code, a surprise from the kernel is counted and
 * survived; only what can be nothing but a defect of this library comes here.
 * Going on would mean to report a buffer free that is not.
 */
#ifndef ZCREQ_LIB_BUG_H
#define ZCREQ_LIB_BUG_H

_Noreturn void zcreq_bug_at(const char *file, int line, const char *what);

#define zcreq_bug(what) zcreq_bug_at(__FILE__, __LINE__, (what))

#define zcreq_assert(claim) \
	do { \
		if (__builtin_expect(!(claim), 0)) \
			zcreq_bug(#claim); \
	} while (0)

#endif
