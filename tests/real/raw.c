/* SPDX-License-Identifier: BSD-2-Clause */
#include "real/raw.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

void raw_enable(int fd)
{
	const int one = 1;

	setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one));
}

ssize_t raw_send(int fd, const void *data, size_t len)
{
	ssize_t ret = send(fd, data, len, MSG_ZEROCOPY | MSG_DONTWAIT | MSG_NOSIGNAL);

	return ret < 0 ? -errno : ret;
}

size_t raw_fill(int fd, const void *data, size_t len, size_t each, unsigned *calls)
{
	size_t done = 0;

	while (done < len) {
		size_t want = len - done < each ? len - done : each;
		ssize_t ret = raw_send(fd, (const char *)data + done, want);

		if (ret <= 0)
			break;
		done += ret;
		++*calls;
	}
	return done;
}

static void keep(struct raw_log *log, const struct cmsghdr *c)
{
	const struct sock_extended_err *err = (const struct sock_extended_err *)CMSG_DATA(c);

	log->control_bytes = c->cmsg_len;
	log->last_ns = raw_now_ns();
	if (!log->count)
		log->first_ns = log->last_ns;
	if (log->count < RAW_RANGES) {
		log->ranges[log->count] = (struct raw_range){
			.lo = err->ee_info,
			.hi = err->ee_data,
			.copied = err->ee_code & SO_EE_CODE_ZEROCOPY_COPIED,
		};
	}
	log->count++;
	log->ids += (uint32_t)(err->ee_data - err->ee_info + 1);
}

unsigned raw_reap(int fd, struct raw_log *log)
{
	unsigned before = log->count;

	for (;;) {
		_Alignas(struct cmsghdr) char control[512];
		struct msghdr m = {.msg_control = control, .msg_controllen = sizeof(control)};
		const struct sock_extended_err *err;
		struct cmsghdr *c;

		if (recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
			return log->count - before;
		for (c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
			if (!(c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR) &&
			    !(c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_RECVERR))
				continue;
			err = (const struct sock_extended_err *)CMSG_DATA(c);
			if (err->ee_origin == SO_EE_ORIGIN_ZEROCOPY)
				keep(log, c);
		}
	}
}

bool raw_await(int fd, struct raw_log *log, uint64_t ids, int ms)
{
	uint64_t end = raw_now_ns() + ms * 1000000ull;

	raw_reap(fd, log);
	while (log->ids < ids && raw_now_ns() < end) {
		raw_sleep_ms(1);
		raw_reap(fd, log);
	}
	return log->ids >= ids;
}

bool raw_complete(const struct raw_log *log, uint32_t ids)
{
	if (log->ids != ids || log->count > RAW_RANGES)
		return false;
	for (uint32_t id = 0; id < ids; id++) {
		unsigned seen = 0;

		for (unsigned i = 0; i < log->count; i++)
			seen += id >= log->ranges[i].lo && id <= log->ranges[i].hi;
		if (seen != 1)
			return false;
	}
	return true;
}

const char *raw_text(const struct raw_log *log)
{
	static char text[512];
	int at = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < log->count && i < 16; i++)
		at += snprintf(text + at, sizeof(text) - at, "%u..%u%s ", log->ranges[i].lo,
			       log->ranges[i].hi, log->ranges[i].copied ? "(copied)" : "");
	return text;
}

int raw_disconnect(int fd)
{
	const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};

	return connect(fd, &nowhere, sizeof(nowhere)) ? -errno : 0;
}

ssize_t raw_read(int fd, void *data, size_t len, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	size_t done = 0;
	ssize_t ret = 0;

	while (done < len && poll(&p, 1, ms) > 0) {
		ret = recv(fd, (char *)data + done, len - done, MSG_DONTWAIT);
		if (ret <= 0)
			break;
		done += ret;
	}
	return done || ret >= 0 ? (ssize_t)done : -errno;
}

uint64_t raw_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void raw_sleep_ms(int ms)
{
	const struct timespec time = {ms / 1000, ms % 1000 * 1000000l};

	nanosleep(&time, NULL);
}
