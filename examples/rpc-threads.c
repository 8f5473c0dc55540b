/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rpc-threads.c - calls that worker threads answer: rpc-threads [ADDRESS:]PORT
 *
 * A call is a number and a length, of 32 bits each, big endian; its answer is the same and
 * so many bytes, which take time to compute. Answers come as they are ready.
 *
 * New: a request that lives longer than the call that made it, and zcreq_post(). It begins
 * here, on the context's thread; a worker fills its buffer, and posts; the answer is added
 * and the request finished here again. A worker never calls anything else. If the client
 * is gone meanwhile, aborting is called, and the request waits for its owner to finish it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pool.h"
#include "scaffold.h"
#include "serve.h"

enum { LEN_MOST = 1 << 20, JOBS_MOST = 8, WORKERS = 3 };

struct client {
	struct client *next;
	struct zcreq_conn *conn;
	enum { READS = 1, ENDS } state;
	uint32_t call[2];     /* as it comes */
	size_t have;          /* bytes of it */
	unsigned jobs;        /* begun and not released: all the memory that it costs */
	unsigned calls, cancelled;
	char name[64];
};

static struct zcreq_context *context;
static struct client *clients; /* all that are not closed */

/* ---- a job: the answer to one call, and its memory ---- */

static void released(zcreq_id id, int status, void *arg)
{
	struct job *job = arg;
	struct client *client = job->owner;

	(void)id;
	client->cancelled += status != 0;
	client->jobs--;
	zcreq_stream_reading(client->conn, client->state == READS);
	free(job);
}

/* The worker has it: all that may be done is to tell it that there is no hurry any more. */
static void aborting(zcreq_id id, int status, void *arg)
{
	struct job *job = arg;

	(void)id;
	(void)status;
	atomic_store(&job->wanted, false);
}

static const struct zcreq_request_hooks job_hooks = {.released = released, .aborting = aborting};

/* Posted by a worker, run by a turn. The client is there: its request is not released. */
static void answer(struct zcreq_call *call)
{
	struct job *job = (struct job *)call;
	struct client *client = job->owner;
	struct iovec iov = {job->bytes, job->len};
	int ret = zcreq_add(context, job->id, &iov, 1, 0);

	if (ret && ret != -ECANCELED) /* an answer that cannot be sent is the end, not a gap */
		zcreq_conn_abort(client->conn, ret);
	check("finish", zcreq_finish(context, job->id, ret)); /* whatever happened, once */
}

static void begin(struct client *client)
{
	uint32_t len = ntohl(client->call[1]);
	struct job *job = len <= LEN_MOST ? malloc(sizeof(*job) + 8 + len) : NULL;
	int ret = job ? 0 : len <= LEN_MOST ? -ENOMEM : -EPROTO;

	if (!ret)
		ret = zcreq_begin(client->conn, &job_hooks, job, 0, &job->id);
	if (ret) {
		free(job);
		zcreq_conn_abort(client->conn, ret);
		return;
	}
	job->call.run = answer;
	job->owner = client;
	atomic_init(&job->wanted, true);
	job->len = 8 + len;
	memcpy(job->bytes, client->call, 8);
	client->calls++;
	if (++client->jobs == JOBS_MOST)
		zcreq_stream_reading(client->conn, false); /* until one is released */
	pool_push(job);
}

/* ---- a client ---- */

static void end(struct client *client)
{
	client->state = ENDS;
	zcreq_stream_reading(client->conn, false);
	zcreq_conn_drain(client->conn, 10000); /* jobs that have begun are still answered */
}

static void readable(struct zcreq_conn *conn, void *arg)
{
	struct client *client = arg;
	ssize_t len = recv(zcreq_stream_fd(conn), (char *)client->call + client->have,
			   sizeof(client->call) - client->have, MSG_DONTWAIT);

	if (len == 0)
		end(client);
	else if (len < 0 && errno != EAGAIN && errno != EINTR)
		zcreq_conn_abort(conn, -errno);
	if (len <= 0)
		return;
	client->have = (client->have + (size_t)len) % sizeof(client->call);
	if (!client->have)
		begin(client);
}

static void closed(struct zcreq_conn *conn, int status, void *arg)
{
	struct client *client = arg, **at = &clients;

	(void)status;
	printf("%s gone: %s; %u calls, %u cancelled, %u now\n", client->name,
	       cause_name(zcreq_conn_cause(conn)), client->calls, client->cancelled, client->jobs);
	zcreq_conn_free(conn);
	while (*at != client)
		at = &(*at)->next;
	*at = client->next;
	free(client);
}

static const struct zcreq_conn_hooks conn_hooks = {.readable = readable, .closed = closed};

static void welcome(int fd)
{
	struct zcreq_stream_options options = {
		.size = sizeof(options), .fd = fd, .hooks = &conn_hooks,
		.stall_ms = 1000, .not_reading_ms = 20000, .idle_ms = 60000,
	};
	struct client *client = calloc(1, sizeof(*client));

	options.arg = client;
	if (!client || zcreq_stream_open(context, &options, &client->conn)) {
		free(client);
		close(fd);
		return;
	}
	client->state = READS;
	peer_name(fd, client->name, sizeof(client->name));
	client->next = clients;
	clients = client;
}

static void stop(void)
{
	for (struct client *client = clients; client; client = client->next)
		end(client);
}

static bool over(void)
{
	return !clients;
}

int main(int argc, char **argv)
{
	struct service service = {.where = argv[1], .welcome = welcome, .stop = stop, .over = over};

	if (argc != 2) {
		fprintf(stderr, "usage: rpc-threads [ADDRESS:]PORT\n");
		return 2;
	}
	check("context", zcreq_context_new(NULL, &context));
	check("threads", zcreq_threads_open(context, 0)); /* before there are any */
	check("workers", pool_start(context, WORKERS));
	service.context = context;
	serve(&service);
	pool_stop(); /* before the context goes */
	check("context", zcreq_context_free(context));
	return 0;
}
