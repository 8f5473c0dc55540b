/* SPDX-License-Identifier: BSD-2-Clause */
#include "framework.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include <linux/errqueue.h> /* needs time.h before it */

/* ---- sends ---- */

/* Sent whole, or given up, and nothing of it is with the kernel. */
static bool over(const struct fw_write *write)
{
	return write->at == write->len && !write->sends;
}

/* From the queue's beginning: writes are done in their order. */
static void report(struct fw_socket *socket)
{
	while (socket->first && over(socket->first)) {
		struct fw_write *write = socket->first;

		socket->first = write->next;
		if (!socket->first)
			socket->last = &socket->first;
		write->done(write, write->status);
	}
}

static struct fw_write *unsent(struct fw_socket *socket)
{
	struct fw_write *write = socket->first;

	while (write && write->at == write->len)
		write = write->next;
	return write;
}

static ssize_t send_rest(struct fw_socket *socket, struct fw_write *write)
{
	const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
	const char *data = write->data + write->at;
	ssize_t len = send(socket->fd, data, write->len - write->at, flags | MSG_ZEROCOPY);

	if (len > 0) {
		socket->sent[socket->id++ % FW_SENDS_MOST] = write;
		write->sends++;
	} else if (len < 0 && errno == ENOBUFS && socket->id == socket->oldest) {
		/* no memory for it, and no notification that would wake us: a copy, then */
		len = send(socket->fd, data, write->len - write->at, flags);
	}
	write->at += len > 0 ? (size_t)len : 0;
	return len < 0 ? -errno : len;
}

/* As much as the socket takes, and as may wait. */
static int send_all(struct fw_socket *socket)
{
	struct fw_write *write;
	ssize_t ret = 0;

	while (ret >= 0 && socket->state != FW_DEAD && (write = unsent(socket)) &&
	       socket->id - socket->oldest < FW_SENDS_MOST)
		ret = send_rest(socket, write);
	report(socket);
	return ret < 0 && ret != -EAGAIN && ret != -ENOBUFS ? (int)ret : 0;
}

void fw_write(struct fw_socket *socket, struct fw_write *write)
{
	int ret;

	write->next = NULL;
	write->at = 0;
	write->sends = 0;
	write->status = 0;
	*socket->last = write;
	socket->last = &write->next;
	if (socket->state == FW_DEAD) {
		fw_abandon(socket);
		return;
	}
	ret = send_all(socket);
	if (ret)
		socket->failed(socket, ret);
}

void fw_abandon(struct fw_socket *socket)
{
	struct fw_write *write;

	socket->state = FW_DEAD;
	while ((write = unsent(socket))) {
		write->at = write->len;
		write->status = -ECANCELED;
	}
	report(socket);
}

/* ---- the error queue ---- */

/* What is not ours, or was told before, is nothing. */
static void notified(struct fw_socket *socket, uint32_t low, uint32_t high)
{
	for (uint32_t id = socket->oldest; id != socket->id; id++) {
		struct fw_write **write = &socket->sent[id % FW_SENDS_MOST];

		if (id - low > high - low || !*write)
			continue;
		(*write)->sends--;
		*write = NULL;
	}
	while (socket->oldest != socket->id && !socket->sent[socket->oldest % FW_SENDS_MOST])
		socket->oldest++;
}

void fw_read_errors(struct fw_socket *socket)
{
	char control[256];
	struct msghdr message = {.msg_control = control, .msg_controllen = sizeof(control)};

	while (recvmsg(socket->fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0) {
		struct cmsghdr *each = CMSG_FIRSTHDR(&message);
		struct sock_extended_err error;

		if (each && each->cmsg_level == SOL_IP && each->cmsg_type == IP_RECVERR) {
			memcpy(&error, CMSG_DATA(each), sizeof(error));
			if (error.ee_origin == SO_EE_ORIGIN_ZEROCOPY)
				notified(socket, error.ee_info, error.ee_data);
		}
		message.msg_controllen = sizeof(control);
	}
	report(socket);
}

/* ---- events: by edges, so each is served until the socket says EAGAIN ---- */

static int read_all(struct fw_socket *socket)
{
	char bytes[256];

	while (socket->state == FW_OPEN) {
		ssize_t len = recv(socket->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

		if (len < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		if (len == 0)
			socket->state = FW_ENDED;
		socket->readable(socket, bytes, (size_t)len);
	}
	return 0;
}

void fw_turn(int epoll)
{
	struct epoll_event events[64];
	int count = epoll_wait(epoll, events, 64, 0);

	for (int i = 0; i < count; i++) {
		struct fw_socket *socket = events[i].data.ptr;
		int ret;

		fw_read_errors(socket);
		ret = read_all(socket);
		if (!ret)
			ret = send_all(socket);
		if (ret && socket->state != FW_DEAD)
			socket->failed(socket, ret);
	}
}

int fw_open(struct fw_socket *socket, int epoll, int fd)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLET, .data = {.ptr = socket},
	};
	const int one = 1;

	socket->fd = fd;
	socket->state = FW_OPEN;
	socket->first = NULL;
	socket->last = &socket->first;
	socket->oldest = socket->id = 0;
	if (setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)) ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		return -errno;
	return 0;
}
