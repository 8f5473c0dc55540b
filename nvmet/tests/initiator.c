/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * initiator.c - the outgoing half of a queue: sockets, commands, data, faults
 *
 * The incoming half, which judges every PDU, is receive.c. Memory for the outgoing
 * stream grows as it is needed and is reused; in the steady state of a benchmark
 * nothing is allocated.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "crc32c.h"
#include "initiator.h"
#include "receive.h"

#define MAX_POLL 64
#define MAX_IOV 64
#define PIECE_LEAST 16384 /* bytes of data that are worth a piece of their own */

uint64_t ini_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

bool ini_parse_address(const char *text, struct sockaddr_storage *address)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
	const char *colon = strrchr(text, ':');
	char host[64];
	size_t len;

	if (!colon || colon == text)
		return false;
	len = (size_t)(colon - text);
	if (text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (len >= sizeof(host))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)atoi(colon + 1));
		return true;
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons((uint16_t)atoi(colon + 1));
	return inet_pton(AF_INET6, host, &v6->sin6_addr) == 1;
}

void ini_end(struct ini_queue *queue, const char *format, ...)
{
	va_list arguments;

	if (queue->ended)
		return;
	queue->ended = true;
	va_start(arguments, format);
	vsnprintf(queue->reason, sizeof(queue->reason), format, arguments);
	va_end(arguments);
}

/* Connects without blocking, waits for at most @timeout_ms. */
static bool connect_socket(struct ini_queue *queue, const struct ini_options *options,
			   int timeout_ms)
{
	socklen_t len = options->address.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) :
								 sizeof(struct sockaddr_in);
	struct pollfd poller = { .events = POLLOUT };
	int one = 1, error = 0;

	queue->fd = socket(options->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (queue->fd < 0) {
		ini_end(queue, "socket: %s", strerror(errno));
		return false;
	}
	if (options->receive_buffer)
		setsockopt(queue->fd, SOL_SOCKET, SO_RCVBUF, &options->receive_buffer, sizeof(int));
	setsockopt(queue->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (options->congestion &&
	    setsockopt(queue->fd, IPPROTO_TCP, TCP_CONGESTION, options->congestion,
		       (socklen_t)strlen(options->congestion)) < 0) {
		ini_end(queue, "TCP_CONGESTION: %s", strerror(errno));
		return false;
	}
	if (connect(queue->fd, (const struct sockaddr *)&options->address, len) < 0 &&
	    errno != EINPROGRESS) {
		ini_end(queue, "connect: %s", strerror(errno));
		return false;
	}
	poller.fd = queue->fd;
	len = sizeof(error);
	if (poll(&poller, 1, timeout_ms) != 1)
		error = ETIMEDOUT;
	else
		getsockopt(queue->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error)
		ini_end(queue, "connect: %s", strerror(error));
	return !error;
}

static void *allocate(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory)
		abort();
	return memory;
}

struct ini_queue *ini_open_bare(const struct ini_options *options, uint16_t id, uint16_t depth,
				int timeout_ms)
{
	struct ini_queue *queue = allocate(1, sizeof(*queue));

	queue->id = id;
	queue->depth = depth;
	queue->fault = options->fault;
	queue->maxh2cdata = UINT32_MAX;
	queue->commands = allocate(depth, sizeof(*queue->commands));
	queue->free_ids = allocate(depth, sizeof(*queue->free_ids));
	for (uint16_t i = 0; i < depth; i++)
		queue->free_ids[i] = (uint16_t)(depth - 1 - i);
	queue->free_count = depth;
	queue->in = allocate(1, INI_BUFFER);
	connect_socket(queue, options, timeout_ms);
	return queue;
}

void ini_make_icreq(struct wire_ic *icreq, bool hdgst, bool ddgst)
{
	memset(icreq, 0, sizeof(*icreq));
	icreq->common.type = WIRE_ICREQ;
	icreq->common.hlen = sizeof(*icreq);
	icreq->common.plen = sizeof(*icreq);
	icreq->dgst = (uint8_t)((hdgst ? WIRE_HDGST : 0) | (ddgst ? WIRE_DDGST : 0));
}

struct ini_queue *ini_open(const struct ini_options *options, uint16_t id, uint16_t depth,
			   int timeout_ms)
{
	struct ini_queue *queue = ini_open_bare(options, id, depth, timeout_ms);
	uint64_t deadline = ini_now_ns() + (uint64_t)timeout_ms * 1000000u;
	struct wire_ic icreq;

	queue->hdgst = options->hdgst;
	queue->ddgst = options->ddgst;
	if (queue->ended)
		return queue;
	ini_make_icreq(&icreq, options->hdgst, options->ddgst);
	ini_raw(queue, &icreq, sizeof(icreq));
	while (!queue->ready && !queue->ended) {
		uint64_t now = ini_now_ns();

		if (now >= deadline)
			ini_end(queue, "no ICResp in %d ms", timeout_ms);
		else
			ini_poll(&queue, 1, (int)((deadline - now) / 1000000u) + 1);
	}
	return queue;
}

void ini_close(struct ini_queue *queue, bool reset)
{
	struct linger hard = { .l_onoff = 1, .l_linger = 0 };

	if (!queue)
		return;
	if (queue->fd >= 0) {
		if (reset)
			setsockopt(queue->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
		close(queue->fd);
	}
	free(queue->commands);
	free(queue->free_ids);
	free(queue->in);
	free(queue->out);
	free(queue->pieces);
	free(queue);
}

static bool out_is_empty(const struct ini_queue *queue)
{
	return queue->out_begin == queue->out_end && queue->piece_begin == queue->piece_end;
}

/* Room for @len bytes at the end of the outgoing stream. */
static uint8_t *out_room(struct ini_queue *queue, size_t len)
{
	if (out_is_empty(queue)) {
		queue->out_begin = queue->out_end = 0;
		queue->piece_begin = queue->piece_end = 0;
	}
	if (queue->out_end + len > queue->out_size) {
		queue->out_size = (queue->out_end + len) * 2;
		queue->out = realloc(queue->out, queue->out_size);
		if (!queue->out)
			abort();
	}
	queue->out_end += len;
	return queue->out + queue->out_end - len;
}

/* Data that goes out next. A fault rewrites the stream in its copy: then there is one. */
static void put_data(struct ini_queue *queue, const void *data, uint32_t len)
{
	if (len < PIECE_LEAST || queue->fault.kind != INI_FAULT_NONE) {
		memcpy(out_room(queue, len), data, len);
		return;
	}
	if (queue->piece_end == queue->piece_size) {
		queue->piece_size = queue->piece_size * 2 + 16;
		queue->pieces = realloc(queue->pieces, queue->piece_size * sizeof(*queue->pieces));
		if (!queue->pieces)
			abort();
	}
	queue->pieces[queue->piece_end++] = (struct ini_piece){ queue->out_end, data, len };
}

void ini_raw(struct ini_queue *queue, const void *bytes, size_t len)
{
	memcpy(out_room(queue, len), bytes, len);
}

/* One PDU: header, its digest, data, its digest; lengths and flags are set here. */
static void put_pdu(struct ini_queue *queue, struct wire_common *header, size_t header_len,
		    const void *data, uint32_t len)
{
	uint32_t hdgst_len = queue->hdgst ? 4 : 0, ddgst_len = queue->ddgst && len ? 4 : 0, crc;
	uint8_t *out;

	header->hlen = (uint8_t)header_len;
	header->flags |= (uint8_t)((hdgst_len ? WIRE_HDGST : 0) | (ddgst_len ? WIRE_DDGST : 0));
	header->pdo = len ? (uint8_t)(header_len + hdgst_len) : 0;
	header->plen = (uint32_t)header_len + hdgst_len + len + ddgst_len;
	out = out_room(queue, header_len + hdgst_len);
	memcpy(out, header, header_len);
	if (hdgst_len) {
		crc = crc32c(0, header, header_len);
		memcpy(out + header_len, &crc, 4);
	}
	if (len)
		put_data(queue, data, len);
	if (ddgst_len) {
		crc = crc32c(0, data, len);
		memcpy(out_room(queue, 4), &crc, 4);
	}
}

struct ini_command *ini_submit(struct ini_queue *queue, const struct wire_sqe *sqe, void *data,
			       uint32_t len, bool to_controller, uint32_t in_capsule,
			       ini_done *done, void *arg)
{
	struct wire_command capsule = { .common = { .type = WIRE_COMMAND }, .sqe = *sqe };
	bool inside = to_controller && len <= (queue->id ? in_capsule : 8192);
	struct ini_command *command;
	uint16_t cid;

	if (queue->ended || !queue->free_count)
		return NULL;
	cid = queue->free_ids[--queue->free_count];
	capsule.sqe.cid = cid;
	capsule.sqe.flags = 0x40; /* SGLs */
	capsule.sqe.sgl.len = len;
	capsule.sqe.sgl.type = inside && len ? WIRE_SGL_IN_CAPSULE : WIRE_SGL_TRANSPORT;
	command = &queue->commands[cid];
	*command = (struct ini_command){ .busy = true,
					 .sqe = capsule.sqe,
					 .data = data,
					 .len = len,
					 .done = done,
					 .arg = arg,
					 .start_ns = ini_now_ns() };
	queue->in_flight++;
	put_pdu(queue, &capsule.common, sizeof(capsule), data, inside ? len : 0);
	return command;
}

void ini_answer_r2t(struct ini_queue *queue, const struct ini_command *command,
		    const struct wire_data *r2t)
{
	uint32_t offset = r2t->offset, end = r2t->offset + r2t->len;

	while (offset < end) {
		uint32_t len = end - offset;
		struct wire_data pdu = { .common = { .type = WIRE_H2C_DATA },
					 .cid = r2t->cid,
					 .ttag = r2t->ttag,
					 .offset = offset };

		if (len > queue->maxh2cdata)
			len = queue->maxh2cdata;
		pdu.len = len;
		if (offset + len == end)
			pdu.common.flags = WIRE_LAST;
		put_pdu(queue, &pdu.common, sizeof(pdu), (uint8_t *)command->data + offset, len);
		offset += len;
	}
}

/* Applies the fault to @len bytes about to be sent; returns how many may go. */
static size_t apply_fault(struct ini_queue *queue, uint8_t *bytes, size_t len)
{
	uint64_t at = queue->fault.offset;

	if (queue->fault.kind == INI_FAULT_NONE || at >= queue->sent_total + len)
		return len;
	if (queue->fault.kind == INI_FAULT_CUT)
		return at > queue->sent_total ? (size_t)(at - queue->sent_total) : 0;
	if (at >= queue->sent_total) {
		bytes[at - queue->sent_total] ^= queue->fault.mask;
		queue->fault.kind = INI_FAULT_NONE;
	}
	return len;
}

/* What is to go out next, never nothing. */
static int next_out(struct ini_queue *queue, struct iovec *iov)
{
	size_t at = queue->out_begin, i;
	int count = 0;

	for (i = queue->piece_begin; i < queue->piece_end && count < MAX_IOV - 2; i++) {
		const struct ini_piece *piece = &queue->pieces[i];

		if (piece->at > at)
			iov[count++] = (struct iovec){ queue->out + at, piece->at - at };
		iov[count++] = (struct iovec){ (void *)(uintptr_t)piece->bytes, piece->len };
		at = piece->at;
	}
	if (i == queue->piece_end && at < queue->out_end)
		iov[count++] = (struct iovec){ queue->out + at, queue->out_end - at };
	return count;
}

static void was_sent(struct ini_queue *queue, size_t len)
{
	queue->sent_total += len;
	while (len) {
		bool piece = queue->piece_begin < queue->piece_end;
		struct ini_piece *next = piece ? &queue->pieces[queue->piece_begin] : NULL;
		size_t some = (piece ? next->at : queue->out_end) - queue->out_begin;

		if (some > len)
			some = len;
		queue->out_begin += some;
		len -= some;
		if (!piece || queue->out_begin < next->at)
			continue;
		some = next->len < len ? next->len : len;
		next->bytes += some;
		next->len -= some;
		len -= some;
		if (!next->len)
			queue->piece_begin++;
	}
}

void ini_flush(struct ini_queue *queue)
{
	while (!out_is_empty(queue) && !queue->ended) {
		struct iovec iov[MAX_IOV];
		struct msghdr message = { .msg_iov = iov };
		ssize_t n;

		message.msg_iovlen = (size_t)next_out(queue, iov);
		if (queue->fault.kind != INI_FAULT_NONE) {
			message.msg_iovlen = 1;
			iov[0].iov_len = apply_fault(queue, iov[0].iov_base, iov[0].iov_len);
		}
		if (!iov[0].iov_len) {
			shutdown(queue->fd, SHUT_WR);
			ini_end(queue, "cut here by the test");
			return;
		}
		n = sendmsg(queue->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			/* A reset may have a TermReq in front of it: reading will tell. */
			if (errno != EAGAIN) {
				queue->out_begin = queue->out_end;
				queue->piece_begin = queue->piece_end;
			}
			return;
		}
		was_sent(queue, (size_t)n);
	}
}

int ini_poll(struct ini_queue *const *queues, int count, int timeout_ms)
{
	struct pollfd pollers[MAX_POLL];
	int live = 0, ready;

	if (count > MAX_POLL)
		abort();
	for (int i = 0; i < count; i++) {
		struct ini_queue *queue = queues[i];

		pollers[i] = (struct pollfd){ .fd = -1 };
		if (!queue || queue->ended)
			continue;
		ini_flush(queue);
		if (queue->ended)
			continue;
		pollers[i].fd = queue->fd;
		pollers[i].events = POLLIN;
		if (!out_is_empty(queue))
			pollers[i].events |= POLLOUT;
		live++;
	}
	if (!live)
		return 0;
	ready = poll(pollers, (nfds_t)count, timeout_ms);
	for (int i = 0; i < count && ready > 0; i++) {
		if (pollers[i].fd < 0 || !pollers[i].revents)
			continue;
		if (pollers[i].revents & ~POLLOUT)
			ini_receive(queues[i]);
		ini_flush(queues[i]);
	}
	return ready > 0 ? ready : 0;
}
