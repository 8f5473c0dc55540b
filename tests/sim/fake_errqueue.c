/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * fake_errqueue.c - notifications, other messages, and recvmsg(MSG_ERRQUEUE)
 *
 * Follows skb_zerocopy_notify_extend(), ip_recv_error() and put_cmsg() of Linux:
 * a notification extends the tail's if it continues it, whatever the codes; a
 * control buffer that is too short gets what fits and MSG_CTRUNC.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/errqueue.h>

#include "sim/fake_internal.h"

#ifndef SCM_TIMESTAMPING
#define SCM_TIMESTAMPING 37
#endif

static struct fake_message *message_new(struct fake_socket *sock, enum fake_message_kind kind)
{
	struct fake_message *message = calloc(1, sizeof(*message));

	if (!message)
		abort();
	message->kind = kind;
	if (sock->messages_tail)
		sock->messages_tail->next = message;
	else
		sock->messages = message;
	sock->messages_tail = message;
	sock->messages_unread++;
	return message;
}

static void message_free(struct fake_socket *sock, struct fake_message *message)
{
	struct fake_record *record, *next;

	for (record = message->records; record; record = next) {
		next = record->next;
		sock->told_bytes -= record->bytes;
		fake_record_free(record);
	}
	free(message);
}

void fake_messages_purge(struct fake_socket *sock)
{
	struct fake_message *message, *next;

	for (message = sock->messages; message; message = next) {
		next = message->next;
		message_free(sock, message);
	}
	sock->messages = sock->messages_tail = NULL;
	sock->messages_unread = 0;
}

static bool extend(struct fake_message *tail, uint32_t lo, uint32_t hi)
{
	uint64_t sum;

	if (!tail || tail->kind != FAKE_MESSAGE_NOTIFICATION || tail->hi + 1 != lo)
		return false;
	sum = (uint64_t)(uint32_t)(tail->hi - tail->lo) + 1 + (uint32_t)(hi - lo) + 1;
	if (sum >= UINT64_C(1) << 32)
		return false;
	tail->hi = hi;
	return true;
}

void fake_post_record(struct fake_socket *sock, struct fake_record *record, bool copied)
{
	uint32_t lo = record->lo, hi = record->lo + record->count - 1;
	struct fake_message *message = sock->messages_tail;

	if (record->batch) {
		fake_sender_notify(sock, record, copied);
		return;
	}
	if (!sock->knobs.coalesce || sock->knobs.post_twice || !extend(message, lo, hi)) {
		message = message_new(sock, FAKE_MESSAGE_NOTIFICATION);
		message->lo = lo;
		message->hi = hi;
		message->copied = copied;
	} else {
		fake_happens(sock, FAKE_COALESCED);
	}
	record->next = message->records;
	message->records = record;
	sock->told_bytes += record->bytes;
	if (sock->knobs.post_twice)
		fake_socket_post(sock, lo, hi, copied);
}

void fake_socket_post(struct fake_socket *sock, uint32_t lo, uint32_t hi, bool copied)
{
	struct fake_message *message;

	if (sock->closed)
		return;
	message = message_new(sock, FAKE_MESSAGE_NOTIFICATION);
	message->lo = lo;
	message->hi = hi;
	message->copied = copied;
}

void fake_socket_post_timestamp(struct fake_socket *sock, size_t payload)
{
	if (!sock->closed)
		message_new(sock, FAKE_MESSAGE_TIMESTAMP)->payload = payload;
}

void fake_socket_post_icmp(struct fake_socket *sock, size_t payload, int so_error)
{
	if (sock->closed)
		return;
	message_new(sock, FAKE_MESSAGE_ICMP)->payload = payload;
	if (so_error)
		sock->so_error = so_error;
}

void fake_socket_post_raw(struct fake_socket *sock, const void *control, size_t len)
{
	struct fake_message *message;

	if (sock->closed)
		return;
	message = message_new(sock, FAKE_MESSAGE_RAW);
	message->raw_len = len < sizeof(message->raw) ? len : sizeof(message->raw);
	memcpy(message->raw, control, message->raw_len);
}

/* Where put_cmsg() writes next, and what room there is. */
struct control {
	uint8_t *at;
	size_t left;
	size_t used;
	int flags;
};

static void put(struct control *control, int level, int type, const void *data, size_t len)
{
	struct cmsghdr header;
	size_t cut = CMSG_LEN(len);
	size_t space = CMSG_SPACE(len);

	if (!control->at || control->left < sizeof(header)) {
		control->flags |= MSG_CTRUNC;
		return;
	}
	if (control->left < cut) {
		control->flags |= MSG_CTRUNC;
		cut = control->left;
	}
	memset(&header, 0, sizeof(header));
	header.cmsg_level = level;
	header.cmsg_type = type;
	header.cmsg_len = cut;
	memcpy(control->at, &header, sizeof(header));
	memcpy(control->at + CMSG_LEN(0), data, cut - CMSG_LEN(0));
	if (space > control->left)
		space = control->left;
	control->at += space;
	control->left -= space;
	control->used += space;
}

static void put_error(struct fake_socket *sock, struct control *control,
		      const struct sock_extended_err *error)
{
	struct {
		struct sock_extended_err error;
		struct sockaddr_in offender;
	} v4;
	struct {
		struct sock_extended_err error;
		struct sockaddr_in6 offender;
	} v6;

	if (sock->knobs.family == FAKE_IPV4) {
		memset(&v4, 0, sizeof(v4));
		v4.error = *error;
		put(control, SOL_IP, IP_RECVERR, &v4, sizeof(v4));
		return;
	}
	memset(&v6, 0, sizeof(v6));
	v6.error = *error;
	put(control, SOL_IPV6, IPV6_RECVERR, &v6, sizeof(v6));
}

static void put_message(struct fake_socket *sock, const struct fake_message *message,
			struct control *control)
{
	struct sock_extended_err error;
	struct timespec stamps[3];

	memset(&error, 0, sizeof(error));
	memset(stamps, 0, sizeof(stamps));
	switch (message->kind) {
	case FAKE_MESSAGE_NOTIFICATION:
		error.ee_origin = SO_EE_ORIGIN_ZEROCOPY;
		error.ee_code = message->copied ? SO_EE_CODE_ZEROCOPY_COPIED : 0;
		error.ee_info = message->lo;
		error.ee_data = message->hi;
		break;
	case FAKE_MESSAGE_TIMESTAMP:
		stamps[0].tv_sec = (time_t)(sock->kernel->now_ms / 1000);
		put(control, SOL_SOCKET, SCM_TIMESTAMPING, stamps, sizeof(stamps));
		error.ee_errno = ENOMSG;
		error.ee_origin = SO_EE_ORIGIN_TIMESTAMPING;
		error.ee_data = 7;
		break;
	case FAKE_MESSAGE_ICMP:
		error.ee_errno = EHOSTUNREACH;
		error.ee_origin = SO_EE_ORIGIN_ICMP;
		error.ee_type = 3;
		error.ee_code = 1;
		break;
	case FAKE_MESSAGE_RAW:
		break;
	}
	put_error(sock, control, &error);
}

static void put_raw(const struct fake_message *message, struct control *control)
{
	size_t len = message->raw_len < control->left ? message->raw_len : control->left;

	if (len < message->raw_len)
		control->flags |= MSG_CTRUNC;
	if (control->at)
		memcpy(control->at, message->raw, len);
	control->used = control->at ? len : 0;
}

static ssize_t put_payload(const struct fake_message *message, struct msghdr *to, int *flags)
{
	size_t left = message->payload;
	size_t i, part;

	for (i = 0; i < to->msg_iovlen && left; i++) {
		part = to->msg_iov[i].iov_len < left ? to->msg_iov[i].iov_len : left;
		if (part)
			memset(to->msg_iov[i].iov_base, 'p', part);
		left -= part;
	}
	if (left)
		*flags |= MSG_TRUNC;
	return (ssize_t)(message->payload - left);
}

static void note_read(struct fake_socket *sock, const struct fake_message *message)
{
	const struct fake_record *record;

	for (record = message->records; record; record = record->next)
		sock->ids_told += record->count;
	if (message->kind != FAKE_MESSAGE_NOTIFICATION)
		fake_happens(sock, FAKE_FOREIGN);
	else if (message->records && message->lo > message->hi)
		fake_happens(sock, FAKE_WRAPPED);
	else if (message->records && message->hi == UINT32_MAX)
		fake_happens(sock, FAKE_TO_THE_WRAP);
}

ssize_t fake_recvmsg(struct fake_socket *sock, struct msghdr *to, int flags)
{
	struct fake_message *message = sock->messages;
	struct control control;
	ssize_t ret;

	if (!(flags & MSG_ERRQUEUE) || (flags & MSG_PEEK))
		fake_violation(sock->kernel, "fd %d: recvmsg with flags 0x%x", sock->fd, flags);
	if (!message)
		return -EAGAIN;
	sock->messages = message->next;
	if (!sock->messages)
		sock->messages_tail = NULL;
	sock->messages_unread--;
	sock->messages_read++;
	note_read(sock, message);

	memset(&control, 0, sizeof(control));
	control.at = to->msg_control;
	control.left = to->msg_controllen;
	control.flags = MSG_ERRQUEUE;
	if (message->kind == FAKE_MESSAGE_RAW)
		put_raw(message, &control);
	else
		put_message(sock, message, &control);
	if (sock->knobs.control_lies && control.used >= sizeof(struct cmsghdr))
		((struct cmsghdr *)to->msg_control)->cmsg_len = 4096;
	ret = put_payload(message, to, &control.flags);
	to->msg_controllen = control.used;
	to->msg_flags = control.flags;
	to->msg_namelen = 0;
	if (control.flags & MSG_CTRUNC)
		sock->messages_cut++;
	message_free(sock, message);
	sock->kernel->work++;
	return ret;
}
