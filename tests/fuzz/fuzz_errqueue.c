/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_errqueue.c - any bytes at all as a message of the error queue
 *
 * An input is a run of messages, each with a few bytes in front: what recvmsg
 * returns, which flags it sets, how long it says the control data is and how much
 * of it it has written. The buffer behind holds what an earlier message may have
 * left: notifications everywhere, not to be believed. What the message is, is found
 * a second time by a reader of this file's own that copies everything it looks at.
 */
#include "stream/errqueue.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "fuzz/fuzz.h"

/* What is left of the input, and what the last recvmsg made of it. */
struct source {
	const uint8_t *bytes;
	size_t left;
	size_t control_len; /* as it claims */
	uint8_t control[ZCREQ_MESSAGE_CONTROL];
	ssize_t ret;
	unsigned calls;
};

static uint8_t next_byte(struct source *source)
{
	if (!source->left)
		return 0;
	source->left--;
	return *source->bytes++;
}

static const uint8_t *next_bytes(struct source *source, size_t *len)
{
	const uint8_t *from = source->bytes;

	if (*len > source->left)
		*len = source->left;
	source->bytes += *len;
	source->left -= *len;
	return from;
}

/* A notification at every place where the reader could look for one. */
static void put_leftovers(uint8_t *control, size_t room)
{
	const struct sock_extended_err err = {
		.ee_origin = SO_EE_ORIGIN_ZEROCOPY, .ee_data = 7,
	};
	size_t at;

	for (at = 0; at + sizeof(err) <= room; at += sizeof(err))
		memcpy(control + at, &err, sizeof(err));
}

static ssize_t some_return(uint8_t choice, size_t room)
{
	static const int errors[] = { EAGAIN, EINTR, ENOMEM, EBADF };

	if (choice < 16)
		return -errors[choice % 4];
	return choice < 32 ? (ssize_t)room + choice : (ssize_t)(choice % (room + 1));
}

static ssize_t fuzzed_recvmsg(int fd, struct msghdr *message, int flags, void *arg)
{
	struct source *source = arg;
	size_t room = message->msg_controllen, len;
	uint8_t claim;
	const uint8_t *from;

	must(fd == 3 && flags == (MSG_ERRQUEUE | MSG_DONTWAIT), "the queue is asked as agreed");
	must(room == sizeof(source->control), "the room for control data is whole again");
	source->calls++;
	source->ret = some_return(next_byte(source), message->msg_iov[0].iov_len);
	if (source->ret < 0)
		return source->ret;
	message->msg_flags = next_byte(source);
	claim = next_byte(source);
	len = next_byte(source) * 2;
	from = next_bytes(source, &len);
	put_leftovers(message->msg_control, room);
	memcpy(message->msg_control, from, len);
	/* mostly the truth, sometimes less, sometimes more than there is room for */
	source->control_len = claim < 128 ? len : claim < 240 ? len * claim / 256 : room + claim;
	message->msg_controllen = source->control_len;
	memcpy(source->control, message->msg_control, room);
	return source->ret;
}

/* The same question, asked of a copy, with nothing but lengths and offsets. */
static bool find_notification(const struct source *source, struct sock_extended_err *err)
{
	size_t len = source->control_len, at = 0;
	struct cmsghdr cmsg;

	if (len > sizeof(source->control))
		len = sizeof(source->control);
	while (len - at >= sizeof(cmsg)) {
		memcpy(&cmsg, source->control + at, sizeof(cmsg));
		if (cmsg.cmsg_len < sizeof(cmsg))
			return false;
		if (((cmsg.cmsg_level == SOL_IP && cmsg.cmsg_type == IP_RECVERR) ||
		     (cmsg.cmsg_level == SOL_IPV6 && cmsg.cmsg_type == IPV6_RECVERR)) &&
		    cmsg.cmsg_len <= len - at && cmsg.cmsg_len >= sizeof(cmsg) + sizeof(*err)) {
			memcpy(err, source->control + at + sizeof(cmsg), sizeof(*err));
			if (err->ee_origin == SO_EE_ORIGIN_ZEROCOPY && !err->ee_errno)
				return true;
		}
		if (cmsg.cmsg_len > len - at || CMSG_ALIGN(cmsg.cmsg_len) > len - at)
			return false;
		at += CMSG_ALIGN(cmsg.cmsg_len);
	}
	return false;
}

static void check_item(const struct source *source, int kind,
		       const struct zcreq_errqueue_item *item)
{
	struct sock_extended_err err;

	must(item->header.msg_controllen <= sizeof(item->control), "no claim beyond the room");
	if (!find_notification(source, &err)) {
		must(kind == ZCREQ_ERRQUEUE_FOREIGN, "it is somebody else's");
		must(item->len <= sizeof(item->payload) && item->len <= (size_t)source->ret,
		     "its payload is what came");
		return;
	}
	must(kind == ZCREQ_ERRQUEUE_NOTIFICATION, "it is a notification");
	must(item->lo == err.ee_info && item->hi == err.ee_data, "of these ids");
	must(item->copied == !!(err.ee_code & SO_EE_CODE_ZEROCOPY_COPIED), "copied or not");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const struct zcreq_socket_ops ops = { .recvmsg = fuzzed_recvmsg };
	struct source source = { .bytes = bytes, .left = len };
	struct zcreq_errqueue_item item;
	unsigned before;
	int kind;

	while (source.left) {
		before = source.calls;
		kind = zcreq_errqueue_next(&ops, &source, 3, &item);
		must(source.calls - before <= 16, "an interrupted call is not made for ever");
		must(source.calls - before == 1 || source.ret != -EAGAIN || kind == -EAGAIN,
		     "nothing is nothing");
		if (source.ret >= 0)
			check_item(&source, kind, &item);
		else
			must(kind == (source.ret == -EINTR ? -EAGAIN : source.ret),
			     "an error is an error");
	}
	return 0;
}
