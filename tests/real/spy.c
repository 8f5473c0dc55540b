/* SPDX-License-Identifier: BSD-2-Clause */
#include "real/spy.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/errqueue.h>

static void *grow(void *array, size_t *capacity, size_t count, size_t size)
{
	if (count < *capacity)
		return array;
	*capacity = *capacity ? *capacity * 2 : 64;
	array = realloc(array, *capacity * size);
	if (!array)
		abort();
	return array;
}

void spy_accepted(struct spy *spy, uint32_t id, uint64_t bytes, bool by_reference)
{
	spy->batches = grow(spy->batches, &spy->capacity, spy->count, sizeof(*spy->batches));
	spy->by_id = grow(spy->by_id, &spy->id_capacity, id, sizeof(*spy->by_id));
	spy->batches[spy->count] = (struct spy_batch){
		.from = spy->position,
		.to = spy->position + bytes,
		.id = id,
		.by_reference = by_reference,
	};
	spy->position += bytes;
	spy->lent_to = spy->position;
	spy->pinned += by_reference;
	if (id >= spy->ids)
		spy->ids = id + 1;
	spy->by_id[id] = spy->count++;
}

void spy_notified(struct spy *spy, uint32_t id)
{
	struct spy_batch *batch = &spy->batches[spy->by_id[id]];

	spy->pinned -= !batch->proven;
	batch->proven = true;
}

static ssize_t spy_sendmsg(int fd, const struct msghdr *message, int flags, void *arg)
{
	struct spy *spy = arg;
	ssize_t ret = sendmsg(fd, message, flags);

	spy->calls++;
	if (ret <= 0)
		return ret < 0 ? -errno : 0;
	if (flags & MSG_ZEROCOPY) {
		spy_accepted(spy, spy->ids, ret, true);
		return ret;
	}
	spy->batches = grow(spy->batches, &spy->capacity, spy->count, sizeof(*spy->batches));
	spy->batches[spy->count++] =
		(struct spy_batch){.from = spy->position, .to = spy->position + ret};
	spy->position += ret;
	spy->lent_to = spy->position;
	return ret;
}

static void note_range(struct spy *spy, uint32_t lo, uint32_t hi)
{
	for (uint64_t id = lo; id <= hi && id < spy->ids; id++)
		spy_notified(spy, id);
}

static ssize_t spy_recvmsg(int fd, struct msghdr *message, int flags, void *arg)
{
	struct spy *spy = arg;
	ssize_t ret = recvmsg(fd, message, flags);
	struct cmsghdr *c;

	spy->calls++;
	if (ret < 0)
		return -errno;
	for (c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		const struct sock_extended_err *err = (const void *)CMSG_DATA(c);

		if (((c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR) ||
		     (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_RECVERR)) &&
		    err->ee_origin == SO_EE_ORIGIN_ZEROCOPY)
			note_range(spy, err->ee_info, err->ee_data);
	}
	return ret;
}

static int spy_getsockopt(int fd, int level, int name, void *value, socklen_t *len, void *arg)
{
	((struct spy *)arg)->calls++;
	return getsockopt(fd, level, name, value, len) ? -errno : 0;
}

static int spy_setsockopt(int fd, int level, int name, const void *value, socklen_t len,
			  void *arg)
{
	((struct spy *)arg)->calls++;
	return setsockopt(fd, level, name, value, len) ? -errno : 0;
}

static int spy_disconnect(int fd, void *arg)
{
	const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
	struct spy *spy = arg;

	spy->calls++;
	spy->disconnects++;
	return connect(fd, &nowhere, sizeof(nowhere)) ? -errno : 0;
}

static int spy_shutdown(int fd, int how, void *arg)
{
	((struct spy *)arg)->calls++;
	return shutdown(fd, how) ? -errno : 0;
}

static int spy_close(int fd, void *arg)
{
	struct spy *spy = arg;

	spy->calls++;
	spy->closes++;
	spy->pinned_at_close = spy->pinned;
	return close(fd) ? -errno : 0;
}

const struct zcreq_socket_ops spy_ops = {
	.sendmsg = spy_sendmsg,
	.recvmsg = spy_recvmsg,
	.getsockopt = spy_getsockopt,
	.setsockopt = spy_setsockopt,
	.disconnect = spy_disconnect,
	.shutdown = spy_shutdown,
	.close = spy_close,
};

bool spy_proven(const struct spy *spy, uint64_t from, uint64_t to)
{
	size_t low = 0, high = spy->count;

	if (spy->lent_to > spy->position && from < spy->lent_to && to > spy->position)
		return false;
	while (low < high) { /* the first batch that ends after from */
		size_t middle = (low + high) / 2;

		if (spy->batches[middle].to <= from)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < spy->count && spy->batches[low].from < to; low++) {
		if (spy->batches[low].by_reference && !spy->batches[low].proven)
			return false;
	}
	return true;
}

void spy_deinit(struct spy *spy)
{
	free(spy->batches);
	free(spy->by_id);
	*spy = (struct spy){0};
}
