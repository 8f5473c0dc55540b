/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gain_hand.c - send(2), and MSG_ZEROCOPY with nothing but a count
 */
#include "gain.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <linux/errqueue.h> /* after time.h: uses struct timespec */

#include <zcreq/zcreq.h>

static void open_plain(struct sender *sender)
{
	(void)sender;
}

static void open_zerocopy(struct sender *sender)
{
	const int one = 1;

	if (setsockopt(sender->fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)))
		die("gain: SO_ZEROCOPY");
}

/* At once, with a reset: the port is used again. */
static void close_hand(struct sender *sender)
{
	const struct linger linger = {.l_onoff = 1};

	setsockopt(sender->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(sender->fd);
}

static void wait_for(int fd, short events)
{
	struct pollfd p = {fd, events, 0};

	if (poll(&p, 1, 10000) != 1) {
		errno = ETIMEDOUT;
		die("gain: nothing moves");
	}
}

static void run_send(struct sender *sender, uint64_t end_ns)
{
	unsigned n = 0;

	while (++n % 16 || zcreq_now_ns() < end_ns) {
		ssize_t ret = send(sender->fd, sender_next(sender), sender->bytes - sender->part,
				   MSG_DONTWAIT | MSG_NOSIGNAL);

		if (ret >= 0)
			sender_took(sender, (size_t)ret);
		else if (errno == EAGAIN)
			wait_for(sender->fd, POLLOUT);
		else
			die("gain: send");
	}
}

/* The ids that have been notified, in the order in which a healthy socket does. */
static unsigned reap(int fd)
{
	char control[128];
	struct msghdr m = {.msg_control = control, .msg_controllen = sizeof(control)};
	unsigned ids = 0;

	while (recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0) {
		const struct sock_extended_err *err = (const void *)CMSG_DATA(CMSG_FIRSTHDR(&m));

		ids += err->ee_data - err->ee_info + 1;
		m.msg_controllen = sizeof(control);
	}
	return ids;
}

/* POLLOUT would be there at once when it is option memory that is short. */
static void wait_and_reap(struct sender *sender, short events)
{
	wait_for(sender->fd, events);
	sender->inflight -= reap(sender->fd);
}

static void run_zerocopy(struct sender *sender, uint64_t end_ns)
{
	unsigned n = 0;

	while (++n % 16 || zcreq_now_ns() < end_ns) {
		ssize_t ret;

		if (sender->inflight == sender->most) {
			wait_and_reap(sender, 0);
			continue;
		}
		ret = send(sender->fd, sender_next(sender), sender->bytes - sender->part,
			   MSG_DONTWAIT | MSG_NOSIGNAL | MSG_ZEROCOPY);
		if (ret >= 0) {
			sender->inflight++;
			sender_took(sender, (size_t)ret);
		} else if (errno == EAGAIN) {
			wait_and_reap(sender, POLLOUT);
		} else if (errno == ENOBUFS && sender->inflight) {
			wait_and_reap(sender, 0);
		} else {
			die("gain: send by reference");
		}
	}
	while (sender->inflight)
		wait_and_reap(sender, 0);
}

const struct way way_send = {"send", open_plain, run_send, close_hand, 0, 0, 0, 0};
const struct way way_zerocopy = {"zerocopy", open_zerocopy, run_zerocopy, close_hand, 0, 0, 0, 0};
