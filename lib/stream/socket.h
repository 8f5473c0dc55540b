/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * socket.h - struct zcreq_socket_ops of the kernel
 *
 * In libzcreq socket.c is the only file that makes system calls on a stream's descriptor
 * (tests/claims.sh). The epoll of a context, and the eventfd that other threads write to,
 * are poller.c's; io_uring, libev and the guard make calls of their own.
 */
#ifndef ZCREQ_LIB_SOCKET_H
#define ZCREQ_LIB_SOCKET_H

#include <zcreq/stream.h>

extern const struct zcreq_socket_ops zcreq_kernel_socket;

/* Writes the address of a socket's peer, @bytes at most: 0, or an error. */
int zcreq_kernel_peer(int fd, struct sockaddr *address, socklen_t bytes);

/* How often a call that was interrupted is made again before its event is left for
 * the next turn of the loop; of the kernel's ops or of anybody's. */
#define ZCREQ_INTERRUPTS 16

#endif
