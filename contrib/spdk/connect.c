/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * connect.c - how a socket is made: listening, accepted, connected
 *
 * SPDK's own helpers make and connect descriptors, so that options mean here what they mean in
 * its other modules. One does not: ack_timeout is not TCP_USER_TIMEOUT, but the watchdog's
 * stall_ms, which spares a host that stands still and is alive.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module.h"
#include "options.h"

/* What a socket reads at once, until SPDK says another size. */
#define BUFFER_BYTES ((size_t)64 * 1024)
#define BACKLOG 512

static struct zsock *new_sock(const struct spdk_sock_opts *opts, bool server)
{
	struct zsock *sock = calloc(1, sizeof(*sock));

	if (!sock)
		return NULL;
	options_of(opts, &sock->base.impl_opts);
	sock->fd = -1;
	sock->due.sock = sock;
	sock->readable.sock = sock;
	sock->connect_ms = opts->connect_timeout;
	sock->stall_ms = opts->ack_timeout ? opts->ack_timeout : zsettings.stall_ms;
	sock->zerocopy = opts->zcopy &&
			 (server ? sock->base.impl_opts.enable_zerocopy_send_server
				 : sock->base.impl_opts.enable_zerocopy_send_client);
	TAILQ_INIT(&sock->waiting);
	TAILQ_INIT(&sock->refused);
	return sock;
}

static void addresses(struct zsock *sock, int fd)
{
	socklen_t len = sizeof(sock->here);

	getsockname(fd, (struct sockaddr *)&sock->here, &len);
	len = sizeof(sock->there);
	getpeername(fd, (struct sockaddr *)&sock->there, &len);
}

/* A connected descriptor becomes a stream. On an error it is still the caller's. */
static int begin(struct zsock *sock, int fd)
{
	int ret;

	addresses(sock, fd);
	sock->buffer_bytes = BUFFER_BYTES;
	sock->buffer = sock->base.impl_opts.enable_recv_pipe ? malloc(BUFFER_BYTES) : NULL;
	ret = life_open(sock, fd);
	if (ret) {
		SPDK_ERRLOG("the socket cannot become a stream of zcreq: %d\n", ret);
		return ret;
	}
	sock->phase = ZSOCK_STREAM;
	sock->fd = -1;
	return 0;
}

static struct spdk_sock *give_up(struct zsock *sock, int fd, int error)
{
	if (fd >= 0)
		close(fd);
	if (sock)
		free(sock->buffer);
	free(sock);
	errno = error;
	return NULL;
}

/* A descriptor for one of the addresses, with what @use does to it; or -errno. */
static int make(const char *ip, int port, struct spdk_sock_opts *opts, struct zsock *sock,
		int (*use)(int fd, struct addrinfo *address, struct spdk_sock_opts *opts))
{
	struct addrinfo *addresses = spdk_sock_posix_getaddrinfo(ip, port);
	struct spdk_sock_opts without = *opts;
	int ret = -EADDRNOTAVAIL, fd = -1;

	without.ack_timeout = 0;
	for (struct addrinfo *a = addresses; a; a = a->ai_next) {
		fd = spdk_sock_posix_fd_create(a, &without, &sock->base.impl_opts);
		ret = fd < 0 ? fd : use(fd, a, &without);
		if (!ret)
			break;
		if (fd >= 0)
			close(fd);
	}
	if (addresses)
		freeaddrinfo(addresses);
	return ret ? ret : fd;
}

static int use_listening(int fd, struct addrinfo *address, struct spdk_sock_opts *opts)
{
	(void)opts;
	if (bind(fd, address->ai_addr, address->ai_addrlen) || listen(fd, BACKLOG) ||
	    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK))
		return -errno;
	return 0;
}

struct spdk_sock *zsock_listen(const char *ip, int port, struct spdk_sock_opts *opts)
{
	struct zsock *sock = new_sock(opts, true);
	int fd;

	if (!sock)
		return NULL;
	fd = make(ip, port, opts, sock, use_listening);
	if (fd < 0)
		return give_up(sock, -1, -fd);
	sock->phase = ZSOCK_LISTENING;
	sock->fd = fd;
	addresses(sock, fd);
	return &sock->base;
}

struct spdk_sock *zsock_accept(struct spdk_sock *from)
{
	struct zsock *listener = to_zsock(from), *sock;
	struct spdk_sock_opts opts = from->opts;
	int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), ret;

	if (fd < 0)
		return NULL;
	opts.impl_opts = &from->impl_opts;
	opts.impl_opts_size = sizeof(from->impl_opts);
	sock = new_sock(&opts, true);
	if (!sock)
		return give_up(NULL, fd, ENOMEM);
	ret = begin(sock, fd);
	return ret ? give_up(sock, fd, -ret) : &sock->base;
}

struct spdk_sock *zsock_connect(const char *ip, int port, struct spdk_sock_opts *opts)
{
	struct zsock *sock = new_sock(opts, false);
	int fd, ret;

	if (!sock)
		return NULL;
	fd = make(ip, port, opts, sock, spdk_sock_posix_fd_connect);
	if (fd < 0)
		return give_up(sock, -1, -fd);
	ret = begin(sock, fd);
	return ret ? give_up(sock, fd, -ret) : &sock->base;
}

struct spdk_sock *zsock_connect_async(const char *ip, int port, struct spdk_sock_opts *opts,
				      spdk_sock_connect_cb_fn connected, void *arg)
{
	struct zsock *sock = new_sock(opts, false);
	int fd;

	if (!sock)
		return NULL;
	fd = make(ip, port, opts, sock, spdk_sock_posix_fd_connect_async);
	if (fd < 0)
		return give_up(sock, -1, -fd);
	sock->phase = ZSOCK_CONNECTING;
	sock->fd = fd;
	sock->connected = connected;
	sock->connected_arg = arg;
	sock->give_up_ns = sock->connect_ms ?
		zcreq_now_ns() + sock->connect_ms * (uint64_t)1000000 : ZCREQ_NEVER;
	return &sock->base;
}

/* The end of connecting, one way or the other, is told once. Whoever is told may close the
 * socket: then it is gone, which is -EBADF. */
static int connecting_ended(struct zsock *sock, int status)
{
	struct spdk_sock *gone;
	int fd = sock->fd;

	zgroup_unwatch(sock); /* the group asks for something else from now on */
	if (!status)
		status = begin(sock, fd);
	if (status) {
		sock->phase = ZSOCK_FAILED;
		sock->status = status;
		sock->fd = -1;
		close(fd);
		zgroup_readable(sock);
	}
	zsock_send_waiting(sock);
	zgroup_due(sock);
	if (!sock->connected)
		return status;
	sock->base.cb_cnt++; /* a close from within waits */
	sock->connected(sock->connected_arg, status);
	sock->base.cb_cnt--;
	if (!sock->base.flags.closed || sock->base.cb_cnt)
		return status;
	gone = &sock->base;
	spdk_sock_close(&gone);
	return -EBADF;
}

int zsock_connected(struct zsock *sock)
{
	int ret;

	switch (sock->phase) {
	case ZSOCK_STREAM:
		return 0;
	case ZSOCK_FAILED:
		return sock->status;
	case ZSOCK_LISTENING:
		return -ENOTCONN;
	case ZSOCK_CONNECTING:
		break;
	}
	ret = spdk_sock_posix_fd_connect_poll_async(sock->fd);
	if (ret == -EAGAIN && zcreq_now_ns() < sock->give_up_ns)
		return ret;
	return connecting_ended(sock, ret == -EAGAIN ? -ETIMEDOUT : ret);
}
