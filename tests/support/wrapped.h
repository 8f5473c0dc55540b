/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wrapped.h - calls that --wrap takes, where the C library has them under other names
 *
 * On a processor of 32 bits, glibc calls what has to do with offsets of 64 bits (open, mmap)
 * or times of 64 bits (fstat, and sockets because of their timestamps) by other names. configure
 * asks for such offsets; a compiler may have such times as its default, as armhf in Debian 13
 * has. The linker sees those names, so that what replaces a call is called like them; the list
 * of the linker (room.am) has both.
 */
#ifndef TESTS_WRAPPED_H
#define TESTS_WRAPPED_H

#include <features.h>

#if defined(__GLIBC__) && __SIZEOF_LONG__ == 4
#ifdef __USE_FILE_OFFSET64
#define __real_mmap __real_mmap64
#define __wrap_mmap __wrap_mmap64
#define __real_open __real_open64
#define __wrap_open __wrap_open64
#ifndef __USE_TIME_BITS64
#define __real_fstat __real_fstat64
#define __wrap_fstat __wrap_fstat64
#endif
#endif
#ifdef __USE_TIME_BITS64
#define __real_fstat __real___fstat64_time64
#define __wrap_fstat __wrap___fstat64_time64
#define __real_getsockopt __real___getsockopt64
#define __wrap_getsockopt __wrap___getsockopt64
#define __real_recvmsg __real___recvmsg64
#define __wrap_recvmsg __wrap___recvmsg64
#define __real_sendmsg __real___sendmsg64
#define __wrap_sendmsg __wrap___sendmsg64
#define __real_setsockopt __real___setsockopt64
#define __wrap_setsockopt __wrap___setsockopt64
#endif
#endif

#endif
