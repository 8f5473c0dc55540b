/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * judge.c - sends and notifications as they go by, and which of them is a crime
 */
#include <errno.h>
#include <limits.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <linux/errqueue.h> /* after time.h: uses struct timespec */

#include "stream/errqueue.h"
#include "polls.h"
#include "pool.h"
#include "report.h"
#include "watch.h"

/* Sums are taken of so much of one send; its ids count in any case. */
#define SUM_MOST ((uint64_t)1 << 30)

#define TCP_STATE_CLOSE 7

/* ---- what the kernel knows of the connection ---- */

/* Bytes acknowledged so far; false if the connection is over. */
static bool acknowledged(int fd, uint64_t *bytes)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) ||
	    info.tcpi_state == TCP_STATE_CLOSE)
		return false;
	*bytes = info.tcpi_bytes_acked;
	return true;
}

/* Where in the stream the next byte will be, or before that. */
static uint64_t position(int fd)
{
	uint64_t acked;
	int queued = 0;

	/* an ACK between the two makes it less, never more */
	if (!acknowledged(fd, &acked) || ioctl(fd, SIOCOUTQ, &queued))
		return 0;
	return acked + queued;
}

static bool asks_for_notifications(int fd)
{
	int on = 0;
	socklen_t len = sizeof(on);

	return !getsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &on, &len) && on;
}

/* Is something in the error queue? poll(2) itself would be a point of cancellation. */
static bool has_unread(int fd)
{
	struct pollfd one = {.fd = fd};
	struct timespec now = {0, 0};

	return syscall(SYS_ppoll, &one, 1, &now, NULL, 0) == 1 && one.revents & POLLERR;
}

static bool lingers(int fd)
{
	struct linger linger = {0};
	socklen_t len = sizeof(linger);

	return getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len) || linger.l_onoff;
}

/* ---- sends ---- */

static struct sent *sent_of(const struct watched *socket, uint32_t id)
{
	return socket->sent[id & socket->sent_mask];
}

/* Every id without a notification. */
#define for_each_pending(socket, id) \
	for (uint32_t id = (socket)->ids.oldest; id != (socket)->ids.next; id++) \
		if ((socket)->ids.batches[id & (socket)->ids.mask].pending)

void judge_lost(struct watched *socket)
{
	struct zcreq_ids *ids = &socket->ids;

	for_each_pending(socket, id)
		zcreq_free(&pool, sent_of(socket, id));
	ids->oldest = ids->next;
	ids->pending = 0;
	socket->early_count = 0;
	socket->trust = TRUST_LOST;
}

/* Compares once; @when completes "memory was changed ...". */
static void judge_memory(struct watched *socket, struct sent *sent, int fd, const char *when)
{
	struct zcreq_checksum_difference where;
	enum zcreq_checksum_verdict verdict;

	if (!sent->judge)
		return;
	sent->judge = false;
	verdict = zcreq_checksum_compare(&sent->sum, &where);
	if (verdict == ZCREQ_CHECKSUM_SAME)
		return;
	report(verdict == ZCREQ_CHECKSUM_CHANGED ? "memory in flight was changed"
						 : "memory in flight was unmapped",
	       "%s: send %u of descriptor %d, byte %llu of %llu, %llu bytes in a run, at %p\n"
	       "    sent by %s%s",
	       when, sent->number, fd, (unsigned long long)where.offset_bytes,
	       (unsigned long long)sent->bytes, (unsigned long long)where.len_bytes,
	       (const void *)where.address, report_place(sent->caller),
	       socket->trust == TRUST_SHARED ? "; the socket is shared with a child" : "");
}

/* The first notification for one of sends that overlapped: now or never. */
static void judge_group(struct watched *socket, uint32_t group, int fd)
{
	for_each_pending(socket, id) {
		if (sent_of(socket, id)->group == group)
			judge_memory(socket, sent_of(socket, id), fd, "before its notification");
	}
}

/* The notification for an id in flight. */
static void prove(struct watched *socket, uint32_t id, int fd)
{
	struct sent *sent;

	if (!socket->ids.batches[id & socket->ids.mask].pending)
		return;
	sent = sent_of(socket, id);
	if (sent->group) {
		judge_group(socket, sent->group, fd);
		if (socket->calls && sent->group == socket->group)
			socket->overlap = OVERLAP_JUDGED;
	} else {
		judge_memory(socket, sent, fd, "before its notification");
	}
	zcreq_ids_prove(&socket->ids, id);
	zcreq_free(&pool, sent);
}

/* A notification for a call that has not returned. */
static bool prove_early(struct watched *socket, uint32_t id, int fd)
{
	if (!socket->calls || socket->early_count == EARLY_MOST)
		return false;
	judge_group(socket, socket->group, fd);
	socket->overlap = OVERLAP_JUDGED;
	socket->early[socket->early_count++] = id;
	return true;
}

static void notified(struct watched *socket, uint32_t lo, uint32_t hi, int fd)
{
	uint32_t oldest = socket->ids.oldest, id = lo;

	if (hi - lo >= ZCREQ_IDS_MAX) {
		judge_lost(socket);
		return;
	}
	do {
		if (zcreq_ids_knows(&socket->ids, id, id))
			prove(socket, id, fd);
		else if ((int32_t)(id - oldest) >= 0 && !prove_early(socket, id, fd)) {
			judge_lost(socket);
			return;
		}
	} while (id++ != hi);
}

void watch_read(int fd, struct msghdr *message)
{
	const struct sock_extended_err *err = NULL;
	struct watched *socket;

	if (!watch_enter())
		return;
	socket = watch_find(fd);
	if (socket) {
		watch_used(socket);
		socket->looks++;
		socket->unread_sends = 0;
		if (message && (socket->trust == TRUST_ALL || socket->trust == TRUST_SHARED))
			err = zcreq_errqueue_notification(message);
		if (err)
			notified(socket, err->ee_info, err->ee_data, fd);
	}
	watch_leave();
}

void watch_send(struct watch_call *call, int fd, int flags, const void *caller)
{
	struct watched *socket;

	*call = (struct watch_call){.caller = caller};
	STAILQ_INIT(&call->sents);
	if (!(flags & MSG_ZEROCOPY) || !watch_enter())
		return;
	socket = watch_find(fd);
	if (socket)
		watch_used(socket);
	if (socket && (socket->trust == TRUST_ALL || socket->trust == TRUST_SHARED) &&
	    asks_for_notifications(fd)) {
		if (!socket->calls++) {
			socket->group += socket->group == UINT32_MAX ? 2 : 1;
			socket->overlap = OVERLAP_NONE;
		} else if (socket->overlap == OVERLAP_NONE) {
			socket->overlap = OVERLAP_MIXED;
		}
		call->socket = socket;
		call->start_bytes = position(fd);
		if ((long)++socket->unread_sends > guard_options.unread_sends &&
		    guard_options.unread_sends && !(socket->said & SAID_UNREAD) &&
		    socket->trust == TRUST_ALL && has_unread(fd)) {
			socket->said |= SAID_UNREAD;
			report("notifications are not read",
			       "descriptor %d: %u sends since the error queue was last read", fd,
			       socket->unread_sends - 1);
		}
	}
	watch_leave();
}

static void lose(struct watched *socket)
{
	if (watch_enter()) {
		judge_lost(socket);
		watch_leave();
	}
}

/* Memory from the pool, which is the lock's. */
static void *get(size_t size)
{
	void *memory = NULL;

	if (watch_enter()) {
		memory = zcreq_calloc(&pool, 1, size);
		watch_leave();
	}
	return memory;
}

static void put(void *memory)
{
	if (memory && watch_enter()) {
		zcreq_free(&pool, memory);
		watch_leave();
	}
}

/* A copy of the caller's iovecs, cut to what is summed up; NULL if they are not there. */
static struct iovec *copy_iovs(const struct msghdr *header)
{
	size_t size = header->msg_iovlen * sizeof(struct iovec);
	struct iovec *iov = header->msg_iovlen <= IOV_MAX ? get(size) : NULL;
	uint64_t left = SUM_MOST;

	if (!iov || zcreq_checksum_peek(iov, header->msg_iov, size) < size) {
		put(iov);
		return NULL;
	}
	for (size_t i = 0; i < (size_t)header->msg_iovlen; i++) {
		if (iov[i].iov_len > left)
			iov[i].iov_len = left;
		left -= iov[i].iov_len;
	}
	return iov;
}

void watch_message(struct watch_call *call, const struct msghdr *message)
{
	struct msghdr header;
	struct iovec *iov;
	struct sent *sent;

	if (!call->socket)
		return;
	/* what cannot be read here the kernel will refuse: it is not accepted */
	if (zcreq_checksum_peek(&header, message, sizeof(header)) < sizeof(header))
		return;
	iov = copy_iovs(&header);
	if (!iov)
		return;
	sent = get(offsetof(struct sent, sum) + zcreq_checksum_size(iov, header.msg_iovlen));
	if (!sent) {
		lose(call->socket);
	} else {
		sent->caller = call->caller;
		sent->judge = true;
		zcreq_checksum_take(&sent->sum, iov, header.msg_iovlen);
		STAILQ_INSERT_TAIL(&call->sents, sent, next);
	}
	put(iov);
}

/* The place for one more id, among the ids and in the fifo beside them. */
static bool reserve(struct watched *socket)
{
	struct zcreq_ids *ids = &socket->ids;
	void *grown;

	if (zcreq_ids_reserve(ids, &pool))
		return false;
	if (socket->sent && ids->mask == socket->sent_mask)
		return true;
	grown = zcreq_fifo_grow(&pool, socket->sent, &socket->sent_mask, sizeof(*socket->sent),
				ids->oldest, ids->next, ids->mask + 1);
	if (grown)
		socket->sent = grown;
	return grown;
}

/* Was its notification here before its call returned? */
static bool was_early(struct watched *socket, uint32_t id)
{
	for (uint32_t i = 0; i < socket->early_count; i++) {
		if (socket->early[i] == id) {
			socket->early[i] = socket->early[--socket->early_count];
			return true;
		}
	}
	return false;
}

/* The send has the next id. */
static void push(struct watched *socket, struct sent *sent)
{
	uint32_t id = socket->ids.next;

	if (!reserve(socket)) {
		judge_lost(socket);
		zcreq_free(&pool, sent);
		return;
	}
	sent->number = ++socket->sends;
	sent->group = socket->overlap == OVERLAP_NONE ? 0 : socket->group;
	if (socket->overlap == OVERLAP_JUDGED)
		sent->judge = false;
	socket->sent[id & socket->sent_mask] = sent;
	zcreq_ids_push(&socket->ids, 0, 0);
	if (was_early(socket, id)) {
		zcreq_ids_prove(&socket->ids, id);
		zcreq_free(&pool, sent);
	}
	if (socket->sends == 1)
		polls_judge(socket);
}

void watch_accepted(struct watch_call *call, uint64_t bytes)
{
	struct watched *socket = call->socket;
	struct sent *sent = STAILQ_FIRST(&call->sents);

	if (!socket)
		return;
	if (!sent) {
		/* accepted, and yet it could not be read before, or there was no memory */
		if (bytes)
			lose(socket);
		return;
	}
	STAILQ_REMOVE_HEAD(&call->sents, next);
	zcreq_checksum_cut(&sent->sum, bytes);
	if (!watch_enter())
		return;
	call->start_bytes += call->start_bytes ? bytes : 0;
	sent->bytes = bytes;
	sent->end_bytes = call->start_bytes;
	if (bytes && socket->trust != TRUST_LOST && socket->trust != TRUST_INHERITED)
		push(socket, sent);
	else
		zcreq_free(&pool, sent);
	watch_leave();
}

void watch_sent(struct watch_call *call)
{
	struct sent *sent;

	if (!call->socket || !watch_enter())
		return;
	while ((sent = STAILQ_FIRST(&call->sents))) {
		STAILQ_REMOVE_HEAD(&call->sents, next);
		zcreq_free(&pool, sent);
	}
	if (call->socket->calls)
		call->socket->calls--;
	/* an id that was told early and that no call had */
	if (!call->socket->calls && call->socket->early_count)
		judge_lost(call->socket);
	watch_put(call->socket);
	watch_leave();
}

/* ---- the end ---- */

void watch_disconnected(int fd)
{
	struct watched *socket;

	if (!watch_enter())
		return;
	socket = watch_find(fd);
	/* nothing is in flight, and the next connection counts from 0 */
	if (socket && socket->ids.pending) {
		for_each_pending(socket, id)
			sent_of(socket, id)->end_bytes = 0;
	}
	watch_leave();
}

/* A connection that goes on: its memory in flight, and how much of it can leak. */
static void judge_in_flight(struct watched *socket, int fd, bool closing)
{
	uint64_t acked, leak = 0;
	unsigned sends = 0;

	if (!acknowledged(fd, &acked))
		return;
	for_each_pending(socket, id) {
		struct sent *sent = sent_of(socket, id);

		if (sent->end_bytes <= acked)
			continue;
		sends++;
		leak += sent->end_bytes - acked < sent->bytes ? sent->end_bytes - acked
							      : sent->bytes;
		judge_memory(socket, sent, fd, "and its bytes are not acknowledged yet");
	}
	if (sends && closing && !lingers(fd))
		report("a descriptor was closed with sends in flight",
		       "descriptor %d: %u sends, of which up to %llu bytes can still leave, with "
		       "what the memory has then; their notifications are lost", fd, sends,
		       (unsigned long long)leak);
}

void judge_end(struct watched *socket, int fd, bool closing)
{
	uint64_t acked;

	if (socket->trust != TRUST_ALL || !socket->sends)
		return;
	judge_in_flight(socket, fd, closing);
	if (socket->looks || socket->said & SAID_UNREAD || !has_unread(fd) ||
	    !acknowledged(fd, &acked))
		return;
	socket->said |= SAID_UNREAD;
	report("notifications were never read",
	       "descriptor %d: %u sends, and the error queue was not read once until %s", fd,
	       socket->sends, closing ? "its close" : "the end of the program");
	for_each_pending(socket, id)
		judge_memory(socket, sent_of(socket, id), fd, "and no notification was read");
}
