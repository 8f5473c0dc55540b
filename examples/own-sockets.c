/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * own-sockets.c - zero-copy in a framework with sockets of its own: own-sockets [ADDRESS:]PORT
 *
 * Each byte that a client sends asks for a block of BLOCK_BYTES.
 *
 * New: the library sends nothing here, and watches nothing; framework.c does. What it knows
 * is who may touch a buffer: a hold is taken before a write, and dropped when the framework
 * says that it is done. Two functions have what else is hard: zcreq_socket_verdict() finds
 * a peer that has vanished, and zcreq_socket_disconnect() gets the pages back from the
 * kernel. Then the last notifications are read, and only then is the descriptor closed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <zcreq/zcreq.h>

#include "framework.h"
#include "scaffold.h"
#include "serve.h"

enum {
	BLOCK_BYTES = 256 << 10,
	BLOCKS_MOST = 8, /* of one client */
	STALL_MS = 750,
	LOOK_MS = 100,
};

struct client {
	struct fw_socket socket; /* the first member */
	struct client *next;
	struct zcreq_conn *conn; /* without a socket */
	unsigned asked, blocks;  /* still to begin; begun */
	unsigned now;            /* begun and not released */
	unsigned vanished;       /* verdicts in a row that say so */
	char name[64];
};

struct block {
	struct fw_write write; /* the first member */
	zcreq_hold hold;       /* the write's */
	struct client *client;
	char bytes[BLOCK_BYTES];
};

static struct zcreq_context *context;
static struct client *clients; /* all that are not closed */
static int epoll;

static void begin_blocks(struct client *client);

/* ---- a block: a request, and a hold for its write ---- */

/* Called by the framework. Legal in every state of the request and the connection. */
static void done(struct fw_write *write, int status)
{
	check("drop", zcreq_drop(context, ((struct block *)write)->hold, status));
}

static void released(zcreq_id id, int status, void *arg)
{
	struct block *block = arg;
	struct client *client = block->client;

	(void)id;
	(void)status;
	free(block);
	client->now--;
	begin_blocks(client);
}

static const struct zcreq_request_hooks hooks = {.released = released};

static int begin_block(struct client *client)
{
	struct block *block = malloc(sizeof(*block));
	int ret = block ? 0 : -ENOMEM;
	zcreq_id id;

	if (!ret)
		ret = zcreq_begin(client->conn, &hooks, block, 0, &id);
	if (ret) {
		free(block);
		return ret;
	}
	client->now++;
	block->client = client;
	memset(block->bytes, (int)(client->blocks++ & 0xff), BLOCK_BYTES);
	block->write = (struct fw_write){.data = block->bytes, .len = BLOCK_BYTES, .done = done};
	ret = zcreq_take(context, id, &block->hold); /* first: done may be called at once */
	if (!ret)
		fw_write(&client->socket, &block->write);
	check("finish", zcreq_finish(context, id, ret)); /* and no more holds than this */
	return ret;
}

static void begin_blocks(struct client *client)
{
	int ret = 0;

	while (!ret && client->asked && client->now < BLOCKS_MOST) {
		client->asked--;
		ret = begin_block(client);
	}
	if (ret && ret != -ESHUTDOWN) /* which says that it is ending */
		zcreq_conn_abort(client->conn, ret);
	else if (client->socket.state == FW_ENDED && !client->asked)
		zcreq_conn_drain(client->conn, 3000);
}

/* ---- a client ---- */

static void asked(struct fw_socket *socket, const char *bytes, size_t len)
{
	struct client *client = (struct client *)socket;

	(void)bytes;
	client->asked += (unsigned)len;
	begin_blocks(client);
}

static void failed(struct fw_socket *socket, int error)
{
	zcreq_conn_abort(((struct client *)socket)->conn, error);
}

/* A peer that says nothing more makes no event: somebody has to look. Twice, because a
 * machine that has slept finds everybody quiet. */
static void look(void)
{
	for (struct client *client = clients; client; client = client->next) {
		if (client->socket.state == FW_DEAD)
			continue;
		if (zcreq_socket_verdict(client->socket.fd, STALL_MS) != ZCREQ_STALL_VANISHED)
			client->vanished = 0;
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
	fw_abandon(&client->socket);
	if (zcreq_socket_disconnect(client->socket.fd))
		perror("disconnect");
	fw_read_errors(&client->socket);
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
	close(client->socket.fd); /* now, and not before */
	free(client);
	zcreq_conn_free(conn);
}

static const struct zcreq_conn_hooks conn_hooks = {.abort = aborted, .closed = closed};

static void welcome(int fd)
{
	struct zcreq_conn_options options = {.size = sizeof(options), .hooks = &conn_hooks};
	struct client *client = calloc(1, sizeof(*client));

	options.arg = client;
	if (!client || zcreq_conn_open(context, &options, &client->conn)) {
		free(client);
		close(fd);
		return;
	}
	peer_name(fd, client->name, sizeof(client->name));
	client->next = clients;
	clients = client;
	client->socket.readable = asked;
	client->socket.failed = failed;
	if (fw_open(&client->socket, epoll, fd))
		zcreq_conn_abort(client->conn, -EIO);
}

static void ready(void)
{
	fw_turn(epoll);
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
