/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/stub.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>

#include "support/suite.h"

static struct stub *stub_of(int fd, void *arg)
{
	struct stub *stub = arg;

	CLAIM(fd == STUB_FD);
	stub->reads_when_closed += stub->closes != 0;
	return stub;
}

static ssize_t stub_sendmsg(int fd, const struct msghdr *message, int flags, void *arg)
{
	struct stub *stub = stub_of(fd, arg);
	bool zerocopy = flags & MSG_ZEROCOPY;
	uint64_t bytes = 0;

	for (size_t i = 0; i < message->msg_iovlen; i++)
		bytes += message->msg_iov[i].iov_len;
	if (stub->most_bytes && bytes > stub->most_bytes)
		bytes = stub->most_bytes;
	if (bytes > stub->room_bytes)
		bytes = stub->room_bytes;
	if (stub->takes_nothing)
		return 0;
	if (stub->send_error || (zerocopy && stub->zerocopy_error) || !bytes) {
		stub->refused_sends++;
		return stub->send_error ? stub->send_error
		       : zerocopy && stub->zerocopy_error ? stub->zerocopy_error : -EAGAIN;
	}
	if (stub->took)
		stub->took(stub, message, bytes, zerocopy);
	if (stub->room_bytes != UINT64_MAX)
		stub->room_bytes -= bytes;
	stub->next_id += zerocopy;
	stub->zerocopy_sends += zerocopy;
	stub->copied_sends += !zerocopy;
	*(zerocopy ? &stub->zerocopy_bytes : &stub->copied_bytes) += bytes;
	return bytes;
}

static ssize_t stub_recvmsg(int fd, struct msghdr *message, int flags, void *arg)
{
	struct stub *stub = stub_of(fd, arg);
	struct sock_extended_err err = {0};
	const struct stub_message *said;
	struct cmsghdr *cmsg;

	CLAIM((flags & (MSG_ERRQUEUE | MSG_PEEK)) == MSG_ERRQUEUE);
	stub->recvs++;
	if (stub->head == stub->tail && stub->chatter == STUB_FOREIGN)
		stub_foreign(stub);
	if (stub->head == stub->tail && stub->chatter == STUB_BOGUS)
		stub_notify(stub, stub->next_id + 1, stub->next_id + 1, false);
	if (stub->head == stub->tail)
		return stub->recv_error ? stub->recv_error : -EAGAIN;
	stub->zerocopy_error = stub->reading_helps ? 0 : stub->zerocopy_error;
	said = &stub->queue[stub->head++ % STUB_MESSAGES];
	err.ee_origin = said->foreign ? SO_EE_ORIGIN_ICMP : SO_EE_ORIGIN_ZEROCOPY;
	err.ee_code = said->copied ? SO_EE_CODE_ZEROCOPY_COPIED : 0;
	err.ee_info = said->lo;
	err.ee_data = said->hi;
	CLAIM(message->msg_controllen >= CMSG_SPACE(sizeof(err)));
	message->msg_controllen = CMSG_SPACE(sizeof(err));
	cmsg = CMSG_FIRSTHDR(message);
	cmsg->cmsg_level = SOL_IP;
	cmsg->cmsg_type = IP_RECVERR;
	cmsg->cmsg_len = CMSG_LEN(sizeof(err));
	memcpy(CMSG_DATA(cmsg), &err, sizeof(err));
	message->msg_flags = MSG_ERRQUEUE;
	return 0;
}

static int stub_getsockopt(int fd, int level, int name, void *value, socklen_t *len, void *arg)
{
	struct stub *stub = stub_of(fd, arg);
	struct tcp_info established = {0};
	const socklen_t known = stub->info_bytes ? stub->info_bytes : sizeof(established);
	const unsigned nth = stub->getsockopts++;

	if (nth < COUNT(stub->getsockopt_error) && stub->getsockopt_error[nth])
		return stub->getsockopt_error[nth];
	if (level == IPPROTO_TCP) {
		ck_assert_int_eq(name, TCP_INFO);
		stub->looks++;
		if (stub->looks_alive && stub->looks > stub->looks_alive)
			stub->state = 7;
		established.tcpi_state = stub->state;
		*len = *len < known ? *len : known;
		memcpy(value, stub->info ? stub->info : &established, *len);
		return 0;
	}
	if (name == SO_ZEROCOPY && stub->no_such_option)
		return -ENOPROTOOPT;
	*(int *)value = name == SO_TYPE       ? SOCK_STREAM
			: name == SO_ZEROCOPY ? stub->zerocopy_on
			: name == SO_PROTOCOL ? IPPROTO_TCP
					      : stub->so_error;
	return 0;
}

static int stub_setsockopt(int fd, int level, int name, const void *value, socklen_t len,
			   void *arg)
{
	struct stub *stub = stub_of(fd, arg);

	if (level == SOL_SOCKET && name == SO_LINGER)
		memcpy(&stub->linger, value, len);
	if (level == IPPROTO_TCP && name == TCP_USER_TIMEOUT)
		return stub->user_timeout_error;
	return level == SOL_SOCKET && name == SO_ZEROCOPY ? stub->setsockopt_error : 0;
}

static int stub_disconnect(int fd, void *arg)
{
	struct stub *stub = stub_of(fd, arg);

	stub->disconnects++;
	if (stub->interrupts) {
		stub->interrupts--;
		return -EINTR;
	}
	if (stub->disconnect_error)
		return stub->disconnect_error;
	if (!stub->keeps)
		stub_prove_all(stub);
	return 0;
}

static int stub_shutdown(int fd, int how, void *arg)
{
	struct stub *stub = stub_of(fd, arg);

	stub->shutdowns++;
	if (how == SHUT_WR && !stub->shutdown_error)
		stub->state = stub->acks_late ? 4 : 5; /* FIN_WAIT1, FIN_WAIT2 */
	return how == SHUT_WR ? stub->shutdown_error : 0;
}

void stub_ack(struct stub *stub)
{
	stub->state = 5;
}

static int stub_close(int fd, void *arg)
{
	stub_of(fd, arg)->closes++;
	return 0;
}

const struct zcreq_socket_ops stub_ops = {
	.sendmsg = stub_sendmsg,
	.recvmsg = stub_recvmsg,
	.getsockopt = stub_getsockopt,
	.setsockopt = stub_setsockopt,
	.disconnect = stub_disconnect,
	.shutdown = stub_shutdown,
	.close = stub_close,
};

void stub_init(struct stub *stub)
{
	*stub = (struct stub){.room_bytes = UINT64_MAX, .state = 1};
}

struct zcreq_stream_options stub_options(struct stub *stub)
{
	return (struct zcreq_stream_options){
		.size = sizeof(struct zcreq_stream_options),
		.fd = STUB_FD,
		.socket_ops = &stub_ops,
		.socket_arg = stub,
		.mode = ZCREQ_MODE_ALWAYS,
	};
}

struct zcreq_conn *stub_open(struct stub *stub, struct zcreq_context *context,
			     const struct zcreq_conn_hooks *hooks, void *arg)
{
	struct zcreq_stream_options options = stub_options(stub);
	struct zcreq_conn *conn = NULL;

	options.hooks = hooks;
	options.arg = arg;
	ck_assert_int_eq(zcreq_stream_open(context, &options, &conn), 0);
	return conn;
}

static struct stub_message *post(struct stub *stub)
{
	CLAIM(stub->tail - stub->head < STUB_MESSAGES);
	return &stub->queue[stub->tail++ % STUB_MESSAGES];
}

void stub_notify(struct stub *stub, uint32_t lo, uint32_t hi, bool copied)
{
	*post(stub) = (struct stub_message){.lo = lo, .hi = hi, .copied = copied};
}

void stub_foreign(struct stub *stub)
{
	*post(stub) = (struct stub_message){.foreign = true};
}

void stub_prove_all(struct stub *stub)
{
	if (stub->unproven != stub->next_id)
		stub_notify(stub, stub->unproven, stub->next_id - 1, false);
	stub->unproven = stub->next_id;
}

void stub_send(struct zcreq_conn *conn, zcreq_id id, const void *data, size_t len)
{
	const struct iovec iov = {.iov_base = (void *)data, .iov_len = len};

	ck_assert_int_eq(zcreq_add(zcreq_conn_context(conn), id, &iov, 1, 0), 0);
	zcreq_turn(zcreq_conn_context(conn), 0);
}
