/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * receiver.c - the other host
 *
 * A thread that accepts one connection and reads until the stream ends. It knows
 * what it asked for: every byte must be OWN_BYTE. It counts those that are the
 * next tenant's, and, since requests follow each other in the stream without a
 * gap, also to which request each of them belongs.
 *
 * Keep-alive probes are how it learns that the sender has forgotten it: the
 * answer to one is a reset. So "nothing foreign was received" is a statement
 * about a stream that is over, not about one that may still have more to say.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vanish.h"

enum { CHUNK = 256 * 1024 };

static uint64_t count_foreign(const unsigned char *data, size_t len)
{
	uint64_t count = 0;
	size_t i;

	for (i = 0; i < len; i++)
		count += data[i] != OWN_BYTE;
	return count;
}

/* @data is what follows received_bytes in the stream: count it, request by request. */
static void inspect(struct receiver *receiver, const unsigned char *data, size_t len)
{
	const struct setup *setup = receiver->setup;

	while (len) {
		uint64_t number = receiver->received_bytes / setup->size_bytes;
		size_t part = setup->size_bytes - (size_t)(receiver->received_bytes % setup->size_bytes);
		uint64_t foreign;

		if (part > len)
			part = len;
		foreign = count_foreign(data, part);
		if (foreign) {
			receiver->lives[number % setup->requests].foreign_bytes += foreign;
			receiver->foreign_bytes += foreign;
		}
		receiver->received_bytes += part;
		data += part;
		len -= part;
	}
}

static void probe_when_idle(int fd)
{
	int on = 1, seconds = 1, probes = 60;

	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof(seconds));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof(seconds));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

static void *receiver_main(void *arg)
{
	struct receiver *receiver = arg;
	unsigned char *chunk = malloc(CHUNK);
	struct pollfd pfd = {.fd = accept(receiver->listener, NULL, NULL), .events = POLLIN};

	if (pfd.fd < 0 || !chunk)
		return NULL;
	probe_when_idle(pfd.fd);
	for (;;) {
		ssize_t n;

		if (poll(&pfd, 1, 50) == 0) {
			if (now_ns() < receiver->give_up_ns)
				continue;
			receiver->end = RECEIVER_GAVE_UP;
			break;
		}
		n = recv(pfd.fd, chunk, CHUNK, 0);
		if (n <= 0) {
			receiver->end = n == 0 ? RECEIVER_EOF : RECEIVER_RESET;
			break;
		}
		inspect(receiver, chunk, (size_t)n);
	}
	close(pfd.fd);
	free(chunk);
	return NULL;
}

int receiver_start(struct receiver *receiver, int listener, const struct setup *setup,
		   struct life *lives)
{
	receiver->listener = listener;
	receiver->setup = setup;
	receiver->lives = lives;
	receiver->end = RECEIVER_READING;
	receiver->give_up_ns = UINT64_MAX;
	return -pthread_create(&receiver->thread, NULL, receiver_main, receiver);
}

/* Wait for the end of the stream, but not beyond @give_up_ns. */
void receiver_join(struct receiver *receiver, uint64_t give_up_ns)
{
	receiver->give_up_ns = give_up_ns;
	pthread_join(receiver->thread, NULL);
}
