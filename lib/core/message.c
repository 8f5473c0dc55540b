/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/message.h"

#include <string.h>

static void spare(struct zcreq_conn *conn, struct zcreq_message *message)
{
	message->next.stqe_next = conn->spare_messages;
	conn->spare_messages = message;
}

static struct zcreq_message *take(struct zcreq_conn *conn)
{
	struct zcreq_message *message = conn->spare_messages;

	if (!message)
		return zcreq_calloc(&conn->context->allocator, 1, sizeof(*message));
	conn->spare_messages = message->next.stqe_next;
	return message;
}

int zcreq_message_reserve(struct zcreq_conn *conn, const struct zcreq_allocator *allocator,
			  uint32_t count)
{
	conn->keeps_messages = count;
	while (count--) {
		struct zcreq_message *message = zcreq_calloc(allocator, 1, sizeof(*message));

		if (!message)
			return -ENOMEM;
		spare(conn, message);
	}
	return 0;
}

void zcreq_message_forget(struct zcreq_conn *conn, const struct zcreq_allocator *allocator)
{
	while (conn->spare_messages) {
		struct zcreq_message *message = conn->spare_messages;

		conn->spare_messages = message->next.stqe_next;
		zcreq_free(allocator, message);
	}
}

void zcreq_message_keep(struct zcreq_conn *conn, const struct msghdr *header, size_t len)
{
	struct zcreq_message *kept;

	conn->stats.foreign_messages++;
	if (!conn->hooks->message)
		return;
	kept = conn->message_count < ZCREQ_MESSAGES_MAX ? take(conn) : NULL;
	if (!kept) {
		conn->stats.foreign_lost++;
		return;
	}
	zcreq_assert(header->msg_controllen <= sizeof(kept->control) &&
		     len <= sizeof(kept->payload));
	memcpy(kept->control, header->msg_control, header->msg_controllen);
	if (len)
		memcpy(kept->payload, header->msg_iov[0].iov_base, len);
	kept->iov.iov_base = kept->payload;
	kept->iov.iov_len = len;
	kept->header.msg_control = kept->control;
	kept->header.msg_controllen = header->msg_controllen;
	kept->header.msg_iov = &kept->iov;
	kept->header.msg_iovlen = 1;
	kept->header.msg_flags = header->msg_flags;
	STAILQ_INSERT_TAIL(&conn->messages, kept, next);
	conn->message_count++;
	zcreq_conn_due(conn, ZCREQ_CONN_DUE_MESSAGE);
}

static struct zcreq_message *pop(struct zcreq_conn *conn)
{
	struct zcreq_message *kept = STAILQ_FIRST(&conn->messages);

	STAILQ_REMOVE_HEAD(&conn->messages, next);
	conn->message_count--;
	return kept;
}

void zcreq_message_deliver(struct zcreq_conn *conn)
{
	struct zcreq_context *context = conn->context;

	for (unsigned left = conn->message_count; left; left--) {
		struct zcreq_message *kept = pop(conn);

		if (conn->hooks->message)
			conn->hooks->message(conn, &kept->header, conn->arg);
		if (conn->keeps_messages)
			spare(conn, kept);
		else
			zcreq_free(&context->allocator, kept);
	}
}
