/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fanout.c - one buffer for many subscribers: fanout [ADDRESS:]PORT [EVERY_MS [BYTES]]
 *
 * Every so often a message is published: its number and its length, of 32 bits each, big
 * endian, and the bytes. Who connects gets all messages from then on. One who reads too
 * slowly misses some, and sees it by their numbers.
 *
 * New: a connection without a socket, and holds. A message is a request of the bus, which
 * sends nothing; each subscriber's send of the same buffer holds it. When the last hold is
 * dropped, the message is released, and its buffer is free: no counter of our own. A
 * subscriber that is slow is bounded by limit_bytes, and one that has vanished by stall_ms:
 * so are the messages that they keep. The buffers are a pool's, which shares no page with
 * anything: after detach_ms those that the kernel still has can be left to it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zcreq/zcreq.h>

#include "scaffold.h"
#include "serve.h"

struct subscriber {
	struct subscriber *next;
	struct zcreq_conn *conn;
	unsigned sent, missed;
	unsigned holds;      /* messages that are on their way to it */
	char name[64];
};

struct delivery {
	struct subscriber *to;
	zcreq_hold hold;
};

static struct zcreq_context *context;
static struct zcreq_conn *bus;
static struct subscriber *subscribers; /* all that are not closed */
static unsigned published, freed;
static uint32_t message_bytes = 65536;

enum { MESSAGES = 256 }; /* at a time */
static struct zcreq_pool *pool;

/* ---- a message ---- */

/* The last subscriber has it, or will never have it. */
static void message_released(zcreq_id id, int status, void *buffer)
{
	(void)id;
	(void)status; /* of the holds; subscribers tell their own end */
	freed++;
	zcreq_pool_put(pool, buffer);
}

static void delivery_released(zcreq_id id, int status, void *arg)
{
	struct delivery *delivery = arg;

	(void)id;
	delivery->to->holds--;
	check("drop", zcreq_drop(context, delivery->hold, status));
	free(delivery);
}

static const struct zcreq_request_hooks message_hooks = {.released = message_released};
static const struct zcreq_request_hooks delivery_hooks = {.released = delivery_released};

static int deliver(struct subscriber *to, zcreq_id message, const struct iovec *iov)
{
	struct delivery *delivery = malloc(sizeof(*delivery));
	int ret = delivery ? zcreq_take(context, message, &delivery->hold) : -ENOMEM;

	if (ret) {
		free(delivery);
		return ret;
	}
	delivery->to = to;
	ret = zcreq_send(to->conn, &delivery_hooks, delivery, iov, 1, 0, NULL);
	if (ret) { /* nothing was borrowed, and nobody will be called */
		check("drop", zcreq_drop(context, delivery->hold, 0));
		free(delivery);
		return ret;
	}
	to->holds++;
	return 0;
}

static void publish(void)
{
	struct iovec iov = {zcreq_pool_get(pool), 8 + message_bytes};
	uint32_t head[2] = {htonl(published), htonl(message_bytes)};
	zcreq_id message;

	if (!iov.iov_base)
		return; /* all are on their way: nobody gets this one */
	if (zcreq_begin(bus, &message_hooks, iov.iov_base, 0, &message)) {
		zcreq_pool_put(pool, iov.iov_base);
		return; /* it is stopping */
	}
	memset(iov.iov_base, (int)(published & 0xff), iov.iov_len);
	memcpy(iov.iov_base, head, sizeof(head));
	published++;
	for (struct subscriber *to = subscribers; to; to = to->next) {
		if (deliver(to, message, &iov))
			to->missed++; /* -EAGAIN: it is behind by limit_bytes. Or it is ending. */
		else
			to->sent++;
	}
	check("finish", zcreq_finish(context, message, 0)); /* no more holds than these */
}

/* ---- a subscriber ---- */

/* It says nothing, but this is how its end is seen. */
static void readable(struct zcreq_conn *conn, void *arg)
{
	char sink[256];
	ssize_t len = recv(zcreq_stream_fd(conn), sink, sizeof(sink), MSG_DONTWAIT);

	(void)arg;
	if (len == 0) {
		zcreq_stream_reading(conn, false);
		zcreq_conn_drain(conn, 1000);
	} else if (len < 0 && errno != EAGAIN && errno != EINTR) {
		zcreq_conn_abort(conn, -errno);
	}
}

static void closed(struct zcreq_conn *conn, int status, void *arg)
{
	struct subscriber *gone = arg, **at = &subscribers;

	(void)status;
	printf("%s gone: %s; %u sent, %u missed, %u now\n", gone->name,
	       cause_name(zcreq_conn_cause(conn)), gone->sent, gone->missed, gone->holds);
	while (*at != gone)
		at = &(*at)->next;
	*at = gone->next;
	free(gone);
	zcreq_conn_free(conn);
}

static const struct zcreq_conn_hooks conn_hooks = {.readable = readable, .closed = closed};

static void subscribe(int fd)
{
	struct zcreq_stream_options options = {
		.size = sizeof(options), .fd = fd, .hooks = &conn_hooks,
		.limit_bytes = 1 << 20, .stall_ms = 1000, .not_reading_ms = 20000, .detach_ms = 1000,
	};
	struct subscriber *new = calloc(1, sizeof(*new));

	options.arg = new;
	if (!new || zcreq_stream_open(context, &options, &new->conn)) {
		free(new);
		close(fd);
		return;
	}
	peer_name(fd, new->name, sizeof(new->name));
	new->next = subscribers;
	subscribers = new;
}

static void stop(void)
{
	for (struct subscriber *each = subscribers; each; each = each->next)
		zcreq_conn_drain(each->conn, 3000);
	check("bus", zcreq_conn_drain(bus, 0)); /* over when the last message is released */
}

static bool over(void)
{
	return !subscribers && zcreq_conn_state(bus) == ZCREQ_CONN_CLOSED;
}

int main(int argc, char **argv)
{
	struct zcreq_pool_options options = {.size = sizeof(options), .count = MESSAGES};
	struct service service = {
		.where = argv[1], .welcome = subscribe, .stop = stop, .over = over,
		.tick = publish, .tick_ms = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 1000,
	};

	if (argc > 3)
		message_bytes = (uint32_t)strtoul(argv[3], NULL, 10);
	if (argc < 2 || argc > 4 || !service.tick_ms || message_bytes > 1 << 20) {
		fprintf(stderr, "usage: fanout [ADDRESS:]PORT [EVERY_MS [BYTES]]\n");
		return 2;
	}
	check("context", zcreq_context_new(NULL, &context));
	options.buffer_bytes = 8 + message_bytes;
	check("pool", zcreq_pool_new(context, &options, &pool));
	check("bus", zcreq_conn_open(context, NULL, &bus));
	service.context = context;
	serve(&service);
	printf("%u published, %u freed\n", published, freed);
	zcreq_conn_free(bus);
	check("pool", zcreq_pool_free(pool));
	check("context", zcreq_context_free(context));
	return 0;
}
