/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lifecycle.c - what the bookkeeping of one request costs, from begin to released
 *
 * A socket that costs nothing: it accepts whatever it is given and has a
 * notification for the oldest id whenever it is asked to. A steady number of
 * requests is kept in flight: each turn begins some, each with one send, flushes,
 * and then has the oldest come back. With a turn of 1 every request pays for its
 * own sendmsg, recvmsg and dispatch; a larger turn is what a loaded loop does, and
 * spreads these over a batch.
 *
 *	lifecycle INFLIGHT [REQUESTS [TURN]]
 *
 * prints nanoseconds; scripts/bench runs it under callgrind too and counts the
 * instructions outside of this program's own code.
 */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <linux/errqueue.h> /* after time.h: uses struct timespec */
#include <valgrind/callgrind.h>

#include <zcreq/zcreq.h>

#define SEND_BYTES 4096

/* Sends that the library takes in one call, at this size. */
#define TURN_MOST 128

/* The socket that costs nothing. */
struct free_socket {
	uint32_t issued;  /* ids given */
	uint32_t proven;  /* ids notified */
	uint32_t allowed; /* ids that may be notified now */
};

static ssize_t free_sendmsg(int fd, const struct msghdr *message, int flags, void *arg)
{
	struct free_socket *s = arg;

	(void)fd;
	(void)flags;
	s->issued++;
	return message->msg_iovlen * SEND_BYTES;
}

static ssize_t free_recvmsg(int fd, struct msghdr *message, int flags, void *arg)
{
	struct free_socket *s = arg;
	struct cmsghdr *cmsg = message->msg_control;
	struct sock_extended_err *err = (struct sock_extended_err *)CMSG_DATA(cmsg);

	(void)fd;
	(void)flags;
	if (s->proven == s->allowed)
		return -EAGAIN;
	cmsg->cmsg_len = CMSG_LEN(sizeof(*err) + sizeof(struct sockaddr_in));
	cmsg->cmsg_level = SOL_IP;
	cmsg->cmsg_type = IP_RECVERR;
	memset(err, 0, sizeof(*err));
	err->ee_origin = SO_EE_ORIGIN_ZEROCOPY;
	err->ee_info = err->ee_data = s->proven++;
	message->msg_controllen = cmsg->cmsg_len;
	message->msg_flags = MSG_ERRQUEUE;
	return 0;
}

static int free_getsockopt(int fd, int level, int name, void *value, socklen_t *len, void *arg)
{
	(void)fd;
	(void)arg;
	memset(value, 0, *len);
	if (level == SOL_SOCKET && name == SO_TYPE)
		*(int *)value = SOCK_STREAM;
	else if (level == SOL_SOCKET && name == SO_PROTOCOL)
		*(int *)value = IPPROTO_TCP;
	else if (level == IPPROTO_TCP && name == TCP_INFO)
		*(uint8_t *)value = 1; /* established */
	return 0;
}

static int free_setsockopt(int fd, int level, int name, const void *value, socklen_t len,
			   void *arg)
{
	(void)fd, (void)level, (void)name, (void)value, (void)len, (void)arg;
	return 0;
}

static int free_disconnect(int fd, void *arg)
{
	struct free_socket *s = arg;

	(void)fd;
	s->allowed = s->issued;
	return 0;
}

static int free_shutdown(int fd, int how, void *arg)
{
	(void)fd, (void)how, (void)arg;
	return 0;
}

static int free_close(int fd, void *arg)
{
	(void)fd, (void)arg;
	return 0;
}

static const struct zcreq_socket_ops free_ops = {
	.sendmsg = free_sendmsg,
	.recvmsg = free_recvmsg,
	.getsockopt = free_getsockopt,
	.setsockopt = free_setsockopt,
	.disconnect = free_disconnect,
	.shutdown = free_shutdown,
	.close = free_close,
};

static uint64_t released_count;

static void released(zcreq_id id, int status, void *arg)
{
	(void)id;
	(void)arg;
	if (status)
		abort();
	released_count++;
}

static const struct zcreq_ops ops = {.released = released};

static void check(int ret)
{
	if (ret < 0) {
		fprintf(stderr, "lifecycle: %s\n", strerror(-ret));
		exit(1);
	}
}

static char buffer[SEND_BYTES];

/* One request more, queued. */
static void begin_one(struct zcreq_context *context, struct zcreq_conn *conn)
{
	const struct iovec iov = {buffer, sizeof(buffer)};
	zcreq_id id;

	check(zcreq_begin(conn, &ops, NULL, &id));
	check(zcreq_send(conn, id, &iov, 1, 0));
	check(zcreq_finish(context, id, 0));
}

/* Some requests more in flight, as one batch. */
static void begin_turn(struct zcreq_context *context, struct zcreq_conn *conn, uint64_t turn)
{
	for (uint64_t i = 0; i < turn; i++)
		begin_one(context, conn);
	check(zcreq_flush(conn));
}

static void turns(struct free_socket *s, struct zcreq_context *context, struct zcreq_conn *conn,
		  uint64_t count, uint64_t turn)
{
	uint64_t until = released_count;

	for (uint64_t i = 0; i < count; i += turn) {
		begin_turn(context, conn, turn);
		until += turn;
		while (released_count < until) {
			s->allowed++; /* the oldest batch comes back */
			check(zcreq_process(conn, POLLERR));
		}
	}
}

int main(int argc, char **argv)
{
	uint64_t inflight = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	uint64_t requests = argc > 2 ? strtoull(argv[2], NULL, 0) : 2000000;
	uint64_t turn = argc > 3 ? strtoull(argv[3], NULL, 0) : 1, start_ns, ns;
	struct free_socket s = {0};
	struct zcreq_stream_options o = {
		.size = sizeof(o), .fd = 0, .mode = ZCREQ_MODE_ALWAYS,
		.socket_ops = &free_ops, .socket_arg = &s,
	};
	struct zcreq_context *context;
	struct zcreq_conn *conn;

	if (!turn || turn > TURN_MOST || !inflight || inflight % turn || !requests ||
	    requests % turn) {
		fprintf(stderr, "usage: lifecycle INFLIGHT [REQUESTS [TURN]]; TURN, at most %d, "
				"divides both\n", TURN_MOST);
		return 2;
	}
	check(zcreq_context_new(NULL, &context));
	check(zcreq_stream_open(context, &o, &conn));
	for (uint64_t i = turn; i < inflight; i += turn)
		begin_turn(context, conn, turn);
	turns(&s, context, conn, 100 * turn, turn); /* tables have their size, caches are warm */
	released_count = 0;
	CALLGRIND_START_INSTRUMENTATION;
	start_ns = zcreq_now_ns();
	turns(&s, context, conn, requests, turn);
	ns = zcreq_now_ns() - start_ns;
	CALLGRIND_STOP_INSTRUMENTATION;
	if (released_count != requests)
		abort();
	printf("bench=lifecycle inflight=%" PRIu64 " turn=%" PRIu64 " requests=%" PRIu64
	       " ns=%.1f\n", inflight, turn, requests, (double)ns / requests);
	return 0;
}
