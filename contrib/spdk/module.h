/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * module.h - the functions of one socket that SPDK's table names
 */
#ifndef ZCREQ_SPDK_MODULE_H
#define ZCREQ_SPDK_MODULE_H

#include "zsock.h"

/* sock.c */
void zsock_send_waiting(struct zsock *sock);
void zsock_writev_async(struct spdk_sock *base, struct spdk_sock_request *request);
int zsock_flush(struct spdk_sock *base);
ssize_t zsock_writev(struct spdk_sock *base, struct iovec *iov, int iovcnt);
ssize_t zsock_readv(struct spdk_sock *base, struct iovec *iov, int iovcnt);
ssize_t zsock_recv(struct spdk_sock *base, void *data, size_t len);
int zsock_recv_next(struct spdk_sock *base, void **data, void **arg);
bool zsock_is_connected(struct spdk_sock *base);
int zsock_close(struct spdk_sock *base);

/* connect.c */
struct spdk_sock *zsock_connect(const char *ip, int port, struct spdk_sock_opts *opts);
struct spdk_sock *zsock_connect_async(const char *ip, int port, struct spdk_sock_opts *opts,
				      spdk_sock_connect_cb_fn connected, void *arg);
struct spdk_sock *zsock_listen(const char *ip, int port, struct spdk_sock_opts *opts);
struct spdk_sock *zsock_accept(struct spdk_sock *listener);

#endif
