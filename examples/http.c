/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http.c - serving the files of a folder: answers go out in chunks, each a request
 *
 * An answer is cut into chunks of CHUNK_BYTES, the head in front of the first. A chunk is a
 * buffer that belongs to one zcreq request: filled, sent, and freed in released, which comes
 * when nothing can read it any more. A send that is refused waits for the room hook, and
 * nothing is read from the file before that. So a file of any size takes at most twice
 * LIMIT_BYTES and a chunk: twice, because the hook may come before released is called for
 * the buffers that made room.
 *
 * Pipelined requests need no more: the next head is looked at when the answer before it has
 * been queued, and meanwhile nothing is read from the socket.
 */
#define _GNU_SOURCE
#include "http.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scaffold.h"

#define CHUNK_BYTES (256 << 10)
#define LIMIT_BYTES (1 << 20)
#define HEAD_BYTES 8192 /* of a request */

#define STALL_MS 1000        /* a client that has vanished is found within this */
#define NOT_READING_MS 20000 /* one that does not read may hold LIMIT_BYTES for so long */
#define IDLE_MS 60000        /* one of which nothing is heard, between requests */
#define DRAIN_MS 3000

struct http_client {
	struct http *http;
	struct http_client *next;
	struct zcreq_conn *conn;
	enum { READS = 1, ANSWERS, ANSWERS_LAST, ENDS } state;
	char input[HEAD_BYTES];
	size_t have;            /* bytes of @input */
	char head[256];         /* of the answer, until it is in a chunk */
	int file;               /* the rest of the answer: from @at, @left bytes; or -1 */
	off_t at;
	size_t left;
	struct chunk *waiting;  /* refused: goes first when there is room */
	unsigned answers;
	size_t held, most_held; /* bytes of chunks that are not released, or wait */
	char name[64];
};

struct chunk {
	struct http_client *client;
	size_t len;
	char bytes[];
};

static void chunk_free(struct chunk *chunk)
{
	chunk->client->held -= chunk->len;
	free(chunk);
}

static void released(zcreq_id id, int status, void *arg)
{
	(void)id;
	(void)status; /* the connection tells its own end, once */
	chunk_free(arg);
}

static const struct zcreq_request_hooks chunk_hooks = {.released = released};

/* The next part of the answer; NULL with errno set. */
static struct chunk *chunk_fill(struct http_client *client)
{
	size_t head = strlen(client->head), body = CHUNK_BYTES - head;
	struct chunk *chunk;
	ssize_t got = 0;

	body = client->left < body ? client->left : body;
	chunk = malloc(sizeof(*chunk) + head + body);
	if (!chunk)
		return NULL;
	memcpy(chunk->bytes, client->head, head);
	if (body)
		got = pread(client->file, chunk->bytes + head, body, client->at);
	if (got < 0 || (body && !got)) { /* 0: it has become shorter than its Content-Length */
		errno = got ? errno : EIO;
		free(chunk);
		return NULL;
	}
	client->head[0] = '\0';
	client->at += got;
	client->left -= (size_t)got;
	chunk->client = client;
	chunk->len = head + (size_t)got;
	client->held += chunk->len;
	if (client->held > client->most_held)
		client->most_held = client->held;
	return chunk;
}

/* Queues the answer: 1 when all of it is, 0 when there is no more room now, or -errno. */
static int answer(struct http_client *client)
{
	while (client->waiting || client->head[0] || client->left) {
		struct chunk *chunk = client->waiting ? client->waiting : chunk_fill(client);
		struct iovec iov;
		int ret;

		if (!chunk)
			return -errno;
		iov = (struct iovec){chunk->bytes, chunk->len};
		ret = zcreq_send(client->conn, &chunk_hooks, chunk, &iov, 1, 0, NULL);
		client->waiting = ret ? chunk : NULL;
		if (ret)
			return ret == -EAGAIN ? 0 : ret;
	}
	if (client->file >= 0)
		close(client->file);
	client->file = -1;
	client->answers++;
	return 1;
}

static const char *reason(int status)
{
	return status == 200 ? "OK" : status == 404 ? "Not Found"
		: status == 405 ? "Method Not Allowed" : "Bad Request";
}

/* Opens the file and writes the head of the answer. */
static void begin_answer(struct http_client *client, const struct http_request *request, int status)
{
	/* not waiting for a writer, if it is a FIFO */
	int file = status == 200 ? openat(client->http->folder, request->path,
					  O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	struct stat about = {0};

	if (status == 200 && (file < 0 || fstat(file, &about) || !S_ISREG(about.st_mode))) {
		if (file >= 0)
			close(file);
		file = -1;
		status = 404;
	}
	client->file = file;
	client->at = 0;
	client->left = status == 200 ? (size_t)about.st_size : 0;
	client->state = request->after == HTTP_CLOSE ? ANSWERS_LAST : ANSWERS;
	snprintf(client->head, sizeof(client->head),
		 "HTTP/1.1 %d %s\r\n%sContent-Length: %zu\r\n%s\r\n", status, reason(status),
		 status == 405 ? "Allow: GET\r\n" : "", client->left,
		 request->after == HTTP_CLOSE ? "Connection: close\r\n" : "");
}

/* The next head in the input becomes an answer; false if there is no whole one. */
static bool next_request(struct http_client *client)
{
	struct http_request request = {.after = HTTP_CLOSE};
	size_t len = http_head(client->input, client->have);

	if (!len && client->have < HEAD_BYTES)
		return false;
	begin_answer(client, &request, len ? http_parse(client->input, len, &request) : 400);
	client->have -= len;
	memmove(client->input, client->input + len, client->have);
	return true;
}

/* What is queued arrives, and then the end of the stream. */
static void end(struct http_client *client)
{
	client->state = ENDS;
	zcreq_conn_drain(client->conn, DRAIN_MS); /* or it has ended already */
	zcreq_stream_reading(client->conn, false);
}

/* As far as it goes: until a head is not whole, or there is no room. */
static void advance(struct http_client *client)
{
	int ret;

	while (client->state != ENDS) {
		if (client->state == READS) {
			if (!next_request(client))
				break;
			continue;
		}
		ret = answer(client);
		if (ret == 0)
			break;
		if (ret < 0) /* half an answer cannot be taken back */
			zcreq_conn_abort(client->conn, ret);
		if (ret < 0 || client->state == ANSWERS_LAST)
			end(client);
		else
			client->state = READS;
	}
	zcreq_stream_reading(client->conn, client->state == READS);
}

static void readable(struct zcreq_conn *conn, void *arg)
{
	struct http_client *client = arg;
	ssize_t len = recv(zcreq_stream_fd(conn), client->input + client->have,
			   HEAD_BYTES - client->have, MSG_DONTWAIT);

	if (len > 0) {
		client->have += (size_t)len;
		advance(client);
	} else if (len == 0) {
		end(client); /* all that it has asked for is answered */
	} else if (errno != EAGAIN && errno != EINTR) {
		zcreq_conn_abort(conn, -errno);
	}
}

static void room(struct zcreq_conn *conn, void *arg)
{
	(void)conn;
	advance(arg);
}

static void over_if_last(struct http *http)
{
	if (http->state != HTTP_STOPS || http->count)
		return;
	http->state = HTTP_OVER;
	if (http->over)
		http->over(http);
}

/* Every chunk was released before this: client->held is 0, however the connection ended. */
static void closed(struct zcreq_conn *conn, int status, void *arg)
{
	struct http_client *client = arg, **at = &client->http->clients;
	struct http *http = client->http;

	(void)status;
	if (client->waiting)
		chunk_free(client->waiting);
	printf("%s gone: %s; %u answers, at most %zu bytes in use, %zu now\n", client->name,
	       cause_name(zcreq_conn_cause(conn)), client->answers, client->most_held,
	       client->held);
	if (client->file >= 0)
		close(client->file);
	while (*at != client)
		at = &(*at)->next;
	*at = client->next;
	free(client);
	zcreq_conn_free(conn);
	http->count--;
	over_if_last(http);
}

static const struct zcreq_conn_hooks conn_hooks = {
	.readable = readable, .room = room, .closed = closed,
};

void http_serve(struct http *http, int fd)
{
	struct zcreq_stream_options options = {
		.size = sizeof(options), .fd = fd, .hooks = &conn_hooks,
		.limit_bytes = LIMIT_BYTES, .stall_ms = STALL_MS,
		.not_reading_ms = NOT_READING_MS, .idle_ms = IDLE_MS,
	};
	struct http_client *client = NULL;

	if (http->state == HTTP_SERVES && http->count < http->most)
		client = calloc(1, sizeof(*client));
	options.arg = client;
	if (!client || http->open(http->context, &options, &client->conn)) {
		free(client);
		close(fd); /* not the library's */
		return;
	}
	client->http = http;
	client->state = READS;
	client->file = -1;
	client->next = http->clients;
	http->clients = client;
	http->count++;
	peer_name(fd, client->name, sizeof(client->name));
}

void http_stop(struct http *http)
{
	http->state = HTTP_STOPS;
	for (struct http_client *client = http->clients; client; client = client->next)
		end(client);
	over_if_last(http);
}

int http_init(struct http *http, struct zcreq_context *context, http_open *stream_open,
	      const char *folder)
{
	struct rlimit files = {.rlim_cur = 1024};

	getrlimit(RLIMIT_NOFILE, &files);
	*http = (struct http){.context = context, .open = stream_open, .state = HTTP_SERVES};
	http->most = (unsigned)(files.rlim_cur > 65536 ? 32000
				: files.rlim_cur > 66  ? files.rlim_cur / 2 - 32
						       : 1);
	http->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return http->folder < 0 ? -errno : 0;
}

void http_deinit(struct http *http)
{
	close(http->folder);
}
