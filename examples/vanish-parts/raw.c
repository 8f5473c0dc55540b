/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * raw.c - a MSG_ZEROCOPY sender as one writes it by hand
 *
 * Owns the map from notification ids to slots, nothing else: the descriptor is
 * the row's, the buffers are the ledger's. It serves ways 1 to 4 and is correct
 * as long as the connection is healthy: ids may wrap, come in any order and in
 * ranges; partial sends take an id for each part; control messages are read
 * whether they are 48 bytes (IPv4) or 60 (IPv6). What it cannot do is what this
 * program is about.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <time.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "vanish.h"

enum { MAX_BATCH = 1024 };

int raw_open(struct raw *raw, int fd, struct ledger *ledger, unsigned user_timeout_ms)
{
	int on = 1;

	memset(raw, 0, sizeof(*raw));
	raw->fd = fd;
	raw->ledger = ledger;
	if (setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)))
		return -errno;
	if (user_timeout_ms && setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms,
					  sizeof(user_timeout_ms)))
		return -errno;
	return 0;
}

/* The kernel took @len bytes, from @skip bytes into slot @first on: under which id? */
static void note_id(struct raw *raw, unsigned first, size_t skip, size_t len)
{
	const struct setup *setup = raw->ledger->setup;
	unsigned count = (unsigned)((skip + len + setup->size_bytes - 1) / setup->size_bytes);
	unsigned i;

	raw->ids[raw->next_id % RAW_IDS].first = first;
	raw->ids[raw->next_id % RAW_IDS].count = count;
	raw->next_id++;
	for (i = 0; i < count; i++)
		raw->ledger->slots[(first + i) % setup->requests].ids++;
}

/* Hand @count slots from @first on to the kernel, in as many parts as it wants. */
static int send_batch(struct raw *raw, unsigned first, unsigned count)
{
	struct iovec iov[MAX_BATCH];
	struct ledger *ledger = raw->ledger;
	size_t size_bytes = ledger->setup->size_bytes, left = count * size_bytes, skip = 0;

	while (left) {
		struct msghdr message = {.msg_iov = iov};
		unsigned i, n = (unsigned)((skip + left + size_bytes - 1) / size_bytes);
		ssize_t sent;

		for (i = 0; i < n; i++) {
			iov[i].iov_base = ledger->slots[(first + i) % ledger->setup->requests].memory;
			iov[i].iov_len = size_bytes;
		}
		iov[0].iov_base = (char *)iov[0].iov_base + skip;
		iov[0].iov_len -= skip;
		message.msg_iovlen = (__typeof__(message.msg_iovlen))n; /* an int with musl */
		sent = sendmsg(raw->fd, &message, MSG_ZEROCOPY | MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0)
			return -errno; /* there was room for all: any error is one */
		note_id(raw, first, skip, (size_t)sent);
		left -= (size_t)sent;
		skip += (size_t)sent;
		first = (first + (unsigned)(skip / size_bytes)) % ledger->setup->requests;
		skip %= size_bytes;
	}
	return 0;
}

/* Send whatever is idle, batch by batch, like one who rings a doorbell not too often. */
int raw_top_up(struct raw *raw)
{
	struct ledger *ledger = raw->ledger;
	int r = 0;

	while (!r && ledger_peek(ledger, 0)) {
		unsigned count = 0, first = ledger->next;

		while (count < ledger->setup->batch && ledger_peek(ledger, 0)) {
			ledger_send(ledger);
			count++;
		}
		r = send_batch(raw, first, count);
	}
	return r;
}

static void id_done(struct raw *raw, uint32_t id)
{
	const struct setup *setup = raw->ledger->setup;
	unsigned first = raw->ids[id % RAW_IDS].first, count = raw->ids[id % RAW_IDS].count, i;

	raw->ids[id % RAW_IDS].count = 0;
	for (i = 0; i < count; i++) {
		struct slot *slot = &raw->ledger->slots[(first + i) % setup->requests];

		if (--slot->ids == 0)
			ledger_release(slot);
	}
}

/* One message of the error queue. Returns how many ids it completed. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion" /* musl's CMSG_NXTHDR */
static unsigned take(struct raw *raw, struct msghdr *message)
{
	struct cmsghdr *cmsg;
	unsigned taken = 0;

	for (cmsg = CMSG_FIRSTHDR(message); cmsg; cmsg = CMSG_NXTHDR(message, cmsg)) {
		struct sock_extended_err error;
		uint32_t id, n;

		if (!(cmsg->cmsg_level == SOL_IP && cmsg->cmsg_type == IP_RECVERR) &&
		    !(cmsg->cmsg_level == SOL_IPV6 && cmsg->cmsg_type == IPV6_RECVERR))
			continue;
		memcpy(&error, CMSG_DATA(cmsg), sizeof(error));
		if (error.ee_origin != SO_EE_ORIGIN_ZEROCOPY || error.ee_errno != 0)
			continue;
		id = error.ee_info;
		n = error.ee_data - error.ee_info + 1; /* 32 bits: the range may wrap */
		if (n == 0 || n > RAW_IDS)
			continue; /* more than were ever out */
		for (taken += n; n; n--)
			id_done(raw, id++);
	}
	return taken;
}
#pragma GCC diagnostic pop

/* Read the error queue until it is empty. Returns how many ids were completed. */
int raw_reap(struct raw *raw)
{
	unsigned taken = 0;

	for (;;) {
		union {
			char bytes[256];
			struct cmsghdr align;
		} control;
		struct msghdr message = {.msg_control = &control,
					 .msg_controllen = sizeof(control)};

		if (recvmsg(raw->fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) {
			int error = errno;

			ledger_overwrite(raw->ledger);
			return error == EAGAIN ? (int)taken : -error;
		}
		taken += take(raw, &message);
	}
}

/* Wait for notifications and take them, until none is out or the time is over. */
int raw_wait(struct raw *raw, int timeout_ms)
{
	uint64_t until_ns = now_ns() + (uint64_t)timeout_ms * 1000000u;
	struct pollfd pfd = {.fd = raw->fd};

	while (raw->ledger->in_flight && now_ns() < until_ns) {
		int left_ms = (int)((until_ns - now_ns()) / 1000000u) + 1, r;

		if (poll(&pfd, 1, left_ms) < 0)
			return -errno;
		r = raw_reap(raw);
		if (r < 0)
			return r;
		if (r == 0 && pfd.revents & POLLHUP)
			usleep(1000); /* after a shutdown, poll() does not wait any more */
	}
	return 0;
}
