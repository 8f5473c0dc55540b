/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sock.c - what SPDK calls of one socket
 *
 * How it is made is in connect.c. Here: what is written goes to the stream,
 * what is read comes from the descriptor, and the end.
 *
 * A request is on none of SPDK's lists while it is under way: what is there, SPDK calls back
 * by itself at a close, before the module is asked, and so without proof.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "module.h"

/* So much of a synchronous write may wait; as more comes, it is refused. */
#define WRITE_WAITS_BYTES ((uint64_t)256 * 1024)

bool zsock_has_done(const struct zsock *sock)
{
	return !TAILQ_EMPTY(&sock->refused) || (sock->life && !TAILQ_EMPTY(&sock->life->done));
}

/* False: a callback has closed the socket, and it is gone. */
static bool complete_refused(struct zsock *sock)
{
	struct spdk_sock_request *request;

	while ((request = TAILQ_FIRST(&sock->refused))) {
		int status = -(int)request->internal.offset;

		TAILQ_REMOVE(&sock->refused, request, internal.link);
		if (spdk_sock_request_complete(&sock->base, request, status))
			return false;
	}
	return true;
}

bool zsock_complete(struct zsock *sock)
{
	struct life *life = sock->life;
	struct lend *lend;

	while (life && (lend = TAILQ_FIRST(&life->done))) {
		struct spdk_sock_request *request = lend->request;

		TAILQ_REMOVE(&life->done, lend, link);
		TAILQ_INSERT_HEAD(&life->spare, lend, link);
		if (spdk_sock_request_complete(&sock->base, request, lend->status))
			return false;
	}
	return complete_refused(sock);
}

static void refuse(struct zsock *sock, struct spdk_sock_request *request, int status)
{
	request->internal.offset = (uint32_t)-status;
	TAILQ_INSERT_TAIL(&sock->refused, request, internal.link);
}

static void send_request(struct zsock *sock, struct spdk_sock_request *request)
{
	size_t bytes = 0;
	int ret;

	for (size_t i = 0; i < (size_t)request->iovcnt; i++)
		bytes += SPDK_SOCK_REQUEST_IOV(request, i)->iov_len;
	ret = bytes ? life_send(sock->life, request) : 0;
	if (ret == -ESHUTDOWN)
		ret = sock->life->status ? sock->life->status : -ENOTCONN;
	if (ret || !bytes)
		refuse(sock, request, ret);
}

void zsock_send_waiting(struct zsock *sock)
{
	struct spdk_sock_request *request;

	while ((request = TAILQ_FIRST(&sock->waiting))) {
		TAILQ_REMOVE(&sock->waiting, request, internal.link);
		if (sock->life)
			send_request(sock, request);
		else
			refuse(sock, request, sock->status);
	}
}

void zsock_writev_async(struct spdk_sock *base, struct spdk_sock_request *request)
{
	struct zsock *sock = to_zsock(base);

	switch (sock->phase) {
	case ZSOCK_STREAM:
		send_request(sock, request);
		break;
	case ZSOCK_CONNECTING:
		TAILQ_INSERT_TAIL(&sock->waiting, request, internal.link);
		break;
	case ZSOCK_LISTENING:
	case ZSOCK_FAILED:
		refuse(sock, request, sock->status ? sock->status : -ENOTCONN);
		break;
	}
	zgroup_due(sock);
}

/* May it be read and written? 0, or what the caller is to answer. An end is told when nothing
 * is lent any more: who hears of it frees the memory. */
static int usable(struct zsock *sock)
{
	int ret = zsock_connected(sock);

	if (ret)
		return ret;
	switch (sock->life->phase) {
	case LIFE_OPEN:
		return 0;
	case LIFE_ABORTING:
		return -EAGAIN;
	case LIFE_ENDED:
		break;
	}
	return sock->life->status ? sock->life->status : -ENOTCONN;
}

/* What a group's poll would do for a socket that is in none. */
static void poll_alone(struct zsock *sock)
{
	struct pollfd fd = { .events = zcreq_events(sock->life->conn) };

	fd.fd = fd.events ? zcreq_stream_fd(sock->life->conn) : -1;
	if (poll(&fd, 1, 0) > 0)
		zcreq_process(sock->life->conn, fd.revents);
}

int zsock_flush(struct spdk_sock *base)
{
	struct zsock *sock = to_zsock(base);
	int ret = usable(sock);

	if (ret == -EBADF || !sock->life)
		return ret;
	if (!sock->group)
		poll_alone(sock);
	life_turn(sock->life);
	ret = usable(sock);
	if (!ret && zcreq_events(sock->life->conn) & POLLOUT)
		ret = -EAGAIN;
	/* a group calls back from its poll; without one nobody else would, and a callback is
	 * not called from within another */
	if (sock->group)
		zgroup_due(sock);
	else if (!base->cb_cnt)
		zsock_complete(sock);
	return ret;
}

/* Copies, since the caller has its memory back at once. */
ssize_t zsock_writev(struct spdk_sock *base, struct iovec *iov, int iovcnt)
{
	struct zsock *sock = to_zsock(base);
	struct zcreq_stats stats;
	ssize_t written = 0;
	int ret = usable(sock);

	if (ret)
		return ret;
	ret = zcreq_conn_stats(sock->life->conn, &stats, sizeof(stats));
	if (!ret && stats.unsent_bytes_now >= WRITE_WAITS_BYTES)
		ret = -EAGAIN;
	for (int i = 0; i < iovcnt && !ret; i++) {
		size_t len = iov[i].iov_len < ZCREQ_WRITE_MAX ? iov[i].iov_len : ZCREQ_WRITE_MAX;

		if (len)
			ret = zcreq_write(sock->life->conn, iov[i].iov_base, len);
		if (ret)
			break;
		written += (ssize_t)len;
		if (len < iov[i].iov_len)
			break;
	}
	life_turn(sock->life);
	zgroup_due(sock);
	return written ? written : ret;
}

/* Out of the buffer. */
static ssize_t read_buffer(struct zsock *sock, const struct iovec *iov, int iovcnt)
{
	size_t before = sock->count;

	for (int i = 0; i < iovcnt && sock->count; i++) {
		size_t len = iov[i].iov_len < sock->count ? iov[i].iov_len : sock->count;

		memcpy(iov[i].iov_base, sock->buffer + sock->start, len);
		sock->start += len;
		sock->count -= len;
	}
	return (ssize_t)(before - sock->count);
}

/* From the descriptor, where it is wanted, and as much as fits into the buffer behind it: the
 * next header costs no call. */
static ssize_t read_descriptor(struct zsock *sock, const struct iovec *iov, int iovcnt)
{
	struct iovec parts[IOV_BATCH_SIZE + 1];
	struct msghdr message = { .msg_iov = parts };
	size_t wanted = 0;
	ssize_t got;

	if (iovcnt > IOV_BATCH_SIZE)
		iovcnt = IOV_BATCH_SIZE;
	for (int i = 0; i < iovcnt; i++) {
		parts[i] = iov[i];
		wanted += iov[i].iov_len;
	}
	parts[iovcnt] = (struct iovec){ sock->buffer, sock->buffer_bytes };
	message.msg_iovlen = (size_t)iovcnt + (sock->buffer != NULL);
	got = recvmsg(zcreq_stream_fd(sock->life->conn), &message, MSG_DONTWAIT);
	if (got < 0)
		return -errno;
	if ((size_t)got <= wanted)
		return got;
	sock->start = 0;
	sock->count = (size_t)got - wanted;
	if (sock->group)
		zgroup_readable(sock);
	return (ssize_t)wanted;
}

ssize_t zsock_readv(struct spdk_sock *base, struct iovec *iov, int iovcnt)
{
	struct zsock *sock = to_zsock(base);
	int ret;

	if (sock->count)
		return read_buffer(sock, iov, iovcnt);
	ret = usable(sock);
	return ret ? ret : read_descriptor(sock, iov, iovcnt);
}

ssize_t zsock_recv(struct spdk_sock *base, void *data, size_t len)
{
	struct iovec iov = { data, len };

	return zsock_readv(base, &iov, 1);
}

int zsock_recv_next(struct spdk_sock *base, void **data, void **arg)
{
	(void)base;
	(void)data;
	(void)arg;
	return -ENOTSUP;
}

bool zsock_is_connected(struct spdk_sock *base)
{
	struct zsock *sock = to_zsock(base);
	ssize_t got;
	char byte;

	if (sock->count)
		return true;
	if (zsock_connected(sock) || sock->life->phase != LIFE_OPEN)
		return false;
	got = recv(zcreq_stream_fd(sock->life->conn), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

/* When this returns every request was called back; SPDK's users free them then. */
int zsock_close(struct spdk_sock *base)
{
	struct zsock *sock = to_zsock(base);

	if (sock->life) {
		life_end(sock->life);
	} else if (sock->fd >= 0) {
		close(sock->fd);
		sock->status = -ECANCELED;
	}
	zsock_send_waiting(sock);
	zsock_complete(sock);
	if (sock->life)
		life_leave(sock->life);
	free(sock->buffer);
	free(sock);
	return 0;
}
