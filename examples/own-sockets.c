/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * own-sockets.c - a framework that makes its own zero-copy sends: own-sockets [ADDRESS:]PORT
 *
 * Each byte that a client sends asks for a block of BLOCK_BYTES.
 *
 * New: the library sends nothing here, and watches nothing. Sockets, sends, error queues
 * and the loop's events are the framework's, as in any that you may have. What it gets is
 * who may touch a buffer: a hold is taken before a send, and dropped when the kernel has
 * said that it is done. Two functions have what else is hard: zcreq_socket_verdict() finds
 * a peer that has vanished, and zcreq_socket_disconnect() gets the pages back from the
 * kernel. Then the last notifications are read, and only then is the descriptor closed.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <linux/errqueue.h> /* needs time.h before it */

#include <zcreq/zcreq.h>

#include "scaffold.h"
#include "serve.h"

enum {
	BLOCK_BYTES = 256 << 10,
	WRITES_MOST = 32, /* that wait for their notification, of one client; a power of two */
	STALL_MS = 750,
	LOOK_MS = 100,
};

struct client {
	struct client *next;
	struct zcreq_conn *conn; /* without a socket */
	int fd;
	enum { READS = 1, ENDS, ABORTED } state;
	unsigned asked, blocks;  /* still to begin; begun */
	unsigned now;            /* begun and not released */
	unsigned vanished;       /* verdicts in a row that say so */
	struct block *block;     /* the one that is being written */
	uint32_t oldest, id;     /* of writes that wait; of the next one */
	zcreq_hold holds[WRITES_MOST]; /* of write @id, at @id % WRITES_MOST; 0 if dropped */
	char name[64];
};

struct block {
	struct client *client;
	zcreq_id id;
	size_t at; /* written so far */
	char bytes[BLOCK_BYTES];
};

static struct zcreq_context *context;
static struct client *clients; /* all that are not closed */
static int epoll;

/* ---- a block: a request ---- */

static void released(zcreq_id id, int status, void *arg)
{
	struct block *block = arg;

	(void)id;
	(void)status;
	block->client->now--;
	free(block);
}

/* Only of one that was not finished, which is the one that is being written. */
static void aborting(zcreq_id id, int status, void *arg)
{
	struct block *block = arg;

	block->client->block = NULL;
	check("finish", zcreq_finish(context, id, status));
}

static const struct zcreq_request_hooks hooks = {.released = released, .aborting = aborting};

static int begin(struct client *client)
{
	struct block *block = malloc(sizeof(*block));
	int ret = block ? zcreq_begin(client->conn, &hooks, block, 0, &block->id) : -ENOMEM;

	if (ret) {
		free(block);
		return ret;
	}
	block->client = client;
	block->at = 0;
	memset(block->bytes, (int)(client->blocks & 0xff), BLOCK_BYTES);
	client->block = block;
	client->asked--;
	client->blocks++;
	client->now++;
	return 0;
}

/* ---- the framework's sends ---- */

/* One send of the block's rest: bytes, or -errno, and then nothing has happened. */
static ssize_t write_some(struct client *client)
{
	struct block *block = client->block;
	int flags = MSG_DONTWAIT | MSG_NOSIGNAL | MSG_ZEROCOPY;
	zcreq_hold hold;
	ssize_t len;
	int ret = zcreq_take(context, block->id, &hold);

	if (ret)
		return ret;
	len = send(client->fd, block->bytes + block->at, BLOCK_BYTES - block->at, flags);
	if (len < 0 && errno == ENOBUFS && client->id == client->oldest) {
		flags &= ~MSG_ZEROCOPY; /* no notification would wake us: a copy, then */
		len = send(client->fd, block->bytes + block->at, BLOCK_BYTES - block->at, flags);
	}
	ret = len < 0 ? -errno : 0;
	if (len > 0 && flags & MSG_ZEROCOPY)
		client->holds[client->id++ % WRITES_MOST] = hold;
	else
		check("drop", zcreq_drop(context, hold, 0));
	block->at += len > 0 ? (size_t)len : 0;
	return ret ? ret : len;
}

/* As much as the socket takes, and as may wait for proof. */
static int write_all(struct client *client)
{
	while (client->id - client->oldest < WRITES_MOST && (client->block || client->asked)) {
		ssize_t ret = client->block ? 0 : begin(client);

		if (!ret)
			ret = write_some(client);
		if (ret == -EAGAIN || ret == -ENOBUFS)
			return 0; /* POLLOUT will tell, or POLLERR */
		if (ret < 0)
			return (int)ret;
		if (client->block->at == BLOCK_BYTES) {
			check("finish", zcreq_finish(context, client->block->id, 0));
			client->block = NULL;
		}
	}
	return 0;
}

/* ---- the framework's error queue ---- */

/* What is not ours, or was told before, is nothing. */
static void proven(struct client *client, uint32_t low, uint32_t high)
{
	for (uint32_t id = client->oldest; id != client->id; id++) {
		zcreq_hold *hold = &client->holds[id % WRITES_MOST];

		if (id - low > high - low || !hold->bits)
			continue;
		check("drop", zcreq_drop(context, *hold, 0));
		hold->bits = 0;
	}
	while (client->oldest != client->id && !client->holds[client->oldest % WRITES_MOST].bits)
		client->oldest++;
}

static void read_errors(struct client *client)
{
	char control[256];
	struct msghdr message = {.msg_control = control, .msg_controllen = sizeof(control)};

	while (recvmsg(client->fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0) {
		struct cmsghdr *each = CMSG_FIRSTHDR(&message);
		struct sock_extended_err error;

		if (each && each->cmsg_level == SOL_IP && each->cmsg_type == IP_RECVERR) {
			memcpy(&error, CMSG_DATA(each), sizeof(error));
			if (error.ee_origin == SO_EE_ORIGIN_ZEROCOPY)
				proven(client, error.ee_info, error.ee_data);
		}
		message.msg_controllen = sizeof(control);
	}
}

/* ---- a client ---- */

static int read_calls(struct client *client)
{
	char bytes[64];
	ssize_t len;

	while ((len = recv(client->fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		client->asked += (unsigned)len;
	if (len == 0)
		client->state = ENDS;
	return len < 0 && errno != EAGAIN && errno != EINTR ? -errno : 0;
}

static void serve_client(struct client *client)
{
	int ret = 0;

	read_errors(client); /* whatever the state: what is left to do is this */
	if (client->state == READS)
		ret = read_calls(client);
	if (!ret && client->state != ABORTED)
		ret = write_all(client);
	if (ret)
		zcreq_conn_abort(client->conn, ret);
	else if (client->state == ENDS && !client->block && !client->asked)
		zcreq_conn_drain(client->conn, 3000);
}

/* Watched by edges: whoever is served goes on until the socket says EAGAIN. */
static void ready(void)
{
	struct epoll_event events[64];
	int count = epoll_wait(epoll, events, 64, 0);

	for (int i = 0; i < count; i++)
		serve_client(events[i].data.ptr);
}

/* A peer that says nothing more makes no event: somebody has to look. Twice, because a
 * machine that has slept finds everybody quiet. */
static void look(void)
{
	for (struct client *client = clients; client; client = client->next) {
		int verdict = client->state == ABORTED ? 0
			: zcreq_socket_verdict(client->fd, STALL_MS);

		if (verdict != ZCREQ_STALL_VANISHED)
			client->vanished = client->state == ABORTED ? client->vanished : 0;
		else if (++client->vanished == 2)
			zcreq_conn_abort(client->conn, -ETIMEDOUT);
	}
}

/* The connection is over, for whatever reason: nothing more is sent, and the kernel has to
 * let go of what it has. Its notifications are there when the call returns, or come. */
static void aborted(struct zcreq_conn *conn, int status, void *arg)
{
	struct client *client = arg;

	(void)conn;
	(void)status;
	client->state = ABORTED;
	if (zcreq_socket_disconnect(client->fd))
		perror("disconnect");
	read_errors(client);
}

/* The last hold was dropped. */
static void closed(struct zcreq_conn *conn, int status, void *arg)
{
	struct client *client = arg, **at = &clients;

	printf("%s gone: %s; %u blocks, %u now\n", client->name,
	       client->vanished == 2 ? "vanished" : status ? strerror(-status) : "drained",
	       client->blocks, client->now);
	while (*at != client)
		at = &(*at)->next;
	*at = client->next;
	close(client->fd); /* now, and not before */
	free(client);
	zcreq_conn_free(conn);
}

static const struct zcreq_conn_hooks conn_hooks = {.abort = aborted, .closed = closed};

static void welcome(int fd)
{
	struct zcreq_conn_options options = {.size = sizeof(options), .hooks = &conn_hooks};
	struct client *client = calloc(1, sizeof(*client));
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLET, .data = {.ptr = client},
	};
	const int one = 1;

	options.arg = client;
	if (!client || setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)) ||
	    zcreq_conn_open(context, &options, &client->conn)) {
		free(client);
		close(fd);
		return;
	}
	client->fd = fd;
	client->state = READS;
	peer_name(fd, client->name, sizeof(client->name));
	client->next = clients;
	clients = client;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		zcreq_conn_abort(client->conn, -errno);
}

static void stop(void)
{
	for (struct client *client = clients; client; client = client->next) {
		client->asked = 0;
		zcreq_conn_drain(client->conn, 3000);
	}
}

static bool over(void)
{
	return !clients;
}

int main(int argc, char **argv)
{
	struct service service = {
		.where = argv[1], .welcome = welcome, .stop = stop, .over = over,
		.tick = look, .tick_ms = LOOK_MS, .ready = ready,
	};

	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (argc != 2 || epoll < 0) {
		fprintf(stderr, "usage: own-sockets [ADDRESS:]PORT\n");
		return 2;
	}
	check("context", zcreq_context_new(NULL, &context));
	service.context = context;
	service.fd = epoll;
	serve(&service);
	check("context", zcreq_context_free(context));
	close(epoll);
	return 0;
}
