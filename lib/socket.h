/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * socket.h - struct zcreq_socket_ops of the kernel
 *
 * The only file of the library that makes system calls on a descriptor.
 */
#ifndef ZCREQ_LIB_SOCKET_H
#define ZCREQ_LIB_SOCKET_H

#include <zcreq/stream.h>

extern const struct zcreq_socket_ops zcreq_kernel_socket;

#endif
