/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * senders_hand.c - send(2), and MSG_ZEROCOPY with nothing but a count
 */
#include "senders.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <linux/errqueue.h> /* after time.h: uses struct timespec */

#include <zcreq/zcreq.h>

uint64_t run_send(int fd, size_t size, uint64_t end_ns)
{
	uint64_t bytes = 0;
	size_t at = 0;
	unsigned n = 0;

	while (n % 16 || zcreq_now_ns() < end_ns) {
		ssize_t ret = send(fd, buffers + (n % WINDOW) * size + at, size - at,
				   MSG_DONTWAIT | MSG_NOSIGNAL);

		if (ret < 0) {
			struct pollfd p = {fd, POLLOUT, 0};

			poll(&p, 1, -1);
			continue;
		}
		bytes += ret;
		at += ret;
		if (at == size) {
			at = 0;
			n++;
		}
	}
	return bytes;
}

/* The ids that have been notified, in the order in which a healthy socket does. */
static uint32_t reap_by_hand(int fd)
{
	char control[128];
	struct msghdr m = {.msg_control = control, .msg_controllen = sizeof(control)};
	uint32_t ids = 0;

	while (recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0) {
		const struct cmsghdr *cmsg = CMSG_FIRSTHDR(&m);
		const struct sock_extended_err *err = (const void *)CMSG_DATA(cmsg);

		ids += err->ee_data - err->ee_info + 1;
		m.msg_controllen = sizeof(control);
	}
	return ids;
}

uint64_t run_zerocopy(int fd, size_t size, uint64_t end_ns)
{
	uint32_t inflight = 0;
	uint64_t bytes = 0;
	size_t at = 0;
	unsigned n = 0;
	int one = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)))
		die("raw: SO_ZEROCOPY");
	while (n % 16 || zcreq_now_ns() < end_ns) {
		ssize_t ret = -1;

		if (inflight < WINDOW)
			ret = send(fd, buffers + (n % WINDOW) * size + at, size - at,
				   MSG_DONTWAIT | MSG_NOSIGNAL | MSG_ZEROCOPY);
		if (ret < 0) {
			struct pollfd p = {fd, inflight < WINDOW ? POLLOUT : 0, 0};

			if (inflight < WINDOW && errno != EAGAIN)
				die("raw: send");
			poll(&p, 1, -1);
			if (p.revents & POLLERR)
				inflight -= reap_by_hand(fd);
			continue;
		}
		inflight++;
		bytes += ret;
		at += ret;
		if (at == size) {
			at = 0;
			n++;
		}
	}
	while (inflight) {
		struct pollfd p = {fd, 0, 0};

		poll(&p, 1, -1);
		inflight -= reap_by_hand(fd);
	}
	return bytes;
}
