/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * fake_send.c - the send queue, the records that hold pages, and the peer
 *
 * The stream is one array of bytes as they were when sendmsg took them, and
 * three marks in it: acknowledged <= transmitted <= accepted. A record is in the
 * queue while any of its bytes is beyond the first mark; the bytes that the peer
 * receives are read from the caller's memory at that moment, not from the array,
 * and then compared with it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/fake_internal.h"

void fake_record_free(struct fake_record *record)
{
	free(record->ranges);
	free(record);
}

void fake_record_audit(struct fake_socket *sock, struct fake_record *record)
{
	size_t i;

	if (record->changed)
		return;
	for (i = 0; i < record->range_count; i++) {
		const struct fake_range *range = &record->ranges[i];

		if (!memcmp(range->base, sock->accepted + range->offset, range->len))
			continue;
		record->changed = true;
		fake_violation(sock->kernel,
			       "fd %d: memory of id %u changed while referenced, %zu bytes at stream offset %llu",
			       sock->fd, record->lo, range->len, (unsigned long long)range->offset);
		return;
	}
}

static void held_add(struct fake_socket *sock, struct fake_record *record)
{
	record->prev = sock->held_last;
	if (record->prev)
		record->prev->next = record;
	else
		sock->held = record;
	sock->held_last = record;
	sock->held_count++;
}

static void held_remove(struct fake_socket *sock, struct fake_record *record)
{
	if (record->prev)
		record->prev->next = record->next;
	else
		sock->held = record->next;
	if (record->next)
		record->next->prev = record->prev;
	else
		sock->held_last = record->prev;
	record->next = record->prev = NULL;
	sock->held_count--;
}

/* What of a record died with the connection: the peer may never have had it. */
static void note_lost(struct fake_socket *sock, const struct fake_record *record)
{
	size_t i;

	for (i = 0; i < record->range_count; i++) {
		struct fake_range range = record->ranges[i];

		if (range.offset + range.len <= sock->acked)
			continue;
		sock->lost = fake_grow(sock->lost, &sock->lost_room, sock->lost_count + 1,
				       sizeof(*sock->lost));
		sock->lost[sock->lost_count++] = range;
	}
}

uint64_t fake_socket_lost(const struct fake_socket *sock, uint64_t from, uint64_t to)
{
	uint64_t lo, hi, sum = 0;
	size_t i;

	for (i = 0; i < sock->lost_count; i++) {
		lo = sock->lost[i].offset;
		hi = lo + sock->lost[i].len;
		if (lo < sock->acked)
			lo = sock->acked;
		lo = lo < from ? from : lo;
		hi = hi > to ? to : hi;
		if (lo < hi)
			sum += hi - lo;
	}
	return sum;
}

/* Nothing references the pages any more: off the held list, and say so. */
static void record_release(struct fake_socket *sock, struct fake_record *record, bool copied)
{
	fake_record_audit(sock, record);
	if (copied)
		fake_happens(sock, FAKE_COPIED);
	else
		note_lost(sock, record);
	if (record->prev)
		fake_happens(sock, FAKE_OUT_OF_ORDER);
	held_remove(sock, record);
	sock->held_bytes -= record->bytes;
	sock->kernel->locked -= record->pages;
	if (sock->closed)
		fake_record_free(record);
	else
		fake_post_record(sock, record, copied || (sock->knobs.receiver_copies &&
							  record->begin < sock->reached));
}

/* Let go of it if nothing holds it any more. */
void fake_record_settle(struct fake_socket *sock, struct fake_record *record)
{
	if (!record->queued && !record->pins && !record->until_ms)
		record_release(sock, record, false);
}

/* What the network puts on the wire now: as much as peer and congestion allow. */
void fake_push(struct fake_socket *sock)
{
	uint64_t room = sock->window < sock->knobs.cwnd_bytes ? sock->window :
								 sock->knobs.cwnd_bytes;
	uint64_t edge = sock->total - sock->acked < room ? sock->total : sock->acked + room;

	if (sock->dead)
		return;
	if (sock->knobs.no_carrier)
		edge = sock->sent_edge;
	if (edge > sock->sent_edge) {
		sock->sent_edge = edge;
		sock->last_sent_ms = sock->kernel->now_ms;
	}
	if (!sock->vanished)
		sock->reached = sock->sent_edge;
	if (sock->knobs.copies)
		fake_socket_copy_out(sock, sock->sent_edge - sock->acked);
	if (sock->acked == sock->total && !fake_fin_flies(sock)) {
		sock->timer_ms = 0;
	} else if (!sock->timer_ms) {
		sock->stalled_ms = sock->kernel->now_ms;
		sock->timer_ms = sock->kernel->now_ms + fake_rto_ms(sock);
	}
}

static bool readable(const struct fake_socket *sock, const uint8_t *base, size_t *len)
{
	unsigned i;

	for (i = 0; i < sock->unreadable_count; i++) {
		const uint8_t *from = sock->unreadable[i].base;
		const uint8_t *to = from + sock->unreadable[i].len;

		if (base + *len <= from || base >= to)
			continue;
		*len = base < from ? (size_t)(from - base) : 0;
	}
	return *len > 0;
}

/* The record that a zero-copy send of this size belongs to: the tail's, or a new one. */
static int record_get(struct fake_socket *sock, size_t size, struct fake_record **out)
{
	uint64_t pages = size / 4096 + 2;
	struct fake_record *tail = sock->held_last;

	if (sock->knobs.zerocopy_error)
		return -sock->knobs.zerocopy_error;
	if (sock->knobs.locked_pages != FAKE_NEVER &&
	    sock->kernel->locked + pages > sock->knobs.locked_pages) {
		fake_happens(sock, FAKE_LOCKED);
		return -ENOBUFS;
	}
	if (tail && !sock->sender && tail->queued &&
	    tail->end == sock->total && tail->end > sock->sent_edge &&
	    tail->lo + tail->count == sock->next_id &&
	    tail->end - tail->begin + size <= sock->knobs.record_bytes) {
		tail->pages += pages;
		sock->kernel->locked += pages;
		fake_happens(sock, FAKE_SHARED);
		*out = tail;
		return 0;
	}
	if (sock->knobs.optmem_bytes != FAKE_NEVER &&
	    (sock->held_count + sock->messages_unread) * FAKE_NOTIFICATION_BYTES +
			    FAKE_NOTIFICATION_LEAST > sock->knobs.optmem_bytes) {
		fake_happens(sock, FAKE_OPTMEM);
		return -ENOBUFS;
	}
	tail = calloc(1, sizeof(*tail));
	if (!tail)
		abort();
	tail->batch = sock->sender ? fake_sender_current(sock->sender) : NULL;
	tail->lo = sock->next_id;
	tail->begin = tail->end = sock->total;
	tail->pages = pages;
	tail->queued = true;
	sock->kernel->locked += pages;
	held_add(sock, tail);
	*out = tail;
	return 0;
}

/* Nothing was taken: as if it had never been asked for. */
static void record_unget(struct fake_socket *sock, struct fake_record *record, size_t size)
{
	record->pages -= size / 4096 + 2;
	sock->kernel->locked -= size / 4096 + 2;
	if (record->count)
		return;
	held_remove(sock, record);
	fake_record_free(record);
}

static void take_bytes(struct fake_socket *sock, struct fake_record *record, const uint8_t *base,
		       size_t len)
{
	struct fake_range *range;

	sock->accepted = fake_grow(sock->accepted, &sock->accepted_room, sock->total + len, 1);
	memcpy(sock->accepted + sock->total, base, len);
	if (record) {
		record->ranges = fake_grow(record->ranges, &record->range_room,
					   record->range_count + 1, sizeof(*range));
		range = &record->ranges[record->range_count++];
		range->base = range->lent = base;
		range->len = len;
		range->offset = sock->total;
		range->moved = false;
		record->end = sock->total + len;
		record->bytes += len;
		sock->held_bytes += len;
	}
	sock->total += len;
}

/* Returns the bytes taken, or the error if none were. */
static ssize_t take(struct fake_socket *sock, struct fake_record *record,
		    const struct msghdr *message, uint64_t limit)
{
	ssize_t taken = 0;
	size_t i, part, want;

	for (i = 0; i < message->msg_iovlen && limit; i++) {
		want = message->msg_iov[i].iov_len;
		if (want > limit)
			want = limit;
		part = want;
		if (want && readable(sock, message->msg_iov[i].iov_base, &part))
			take_bytes(sock, record, message->msg_iov[i].iov_base, part);
		taken += part;
		limit -= part;
		if (part < want) {
			fake_happens(sock, FAKE_CUT);
			return taken ? taken : -EFAULT;
		}
	}
	return taken;
}

/* How far a zero-copy call gets: packets with an unreadable byte are taken back whole. */
static uint64_t readable_packets(struct fake_socket *sock, const struct msghdr *message,
				 uint64_t limit)
{
	uint64_t sum = 0;
	size_t i, part;

	for (i = 0; i < message->msg_iovlen && sum < limit; i++) {
		part = message->msg_iov[i].iov_len;
		if (!part)
			continue;
		if (!readable(sock, message->msg_iov[i].iov_base, &part))
			part = 0;
		sum += part;
		if (part < message->msg_iov[i].iov_len && sum < limit) {
			fake_happens(sock, FAKE_CUT);
			return sum - sum % FAKE_GATHER_BYTES;
		}
	}
	return limit;
}

static uint64_t accept_limit(struct fake_socket *sock)
{
	uint64_t limit = sock->knobs.accept_bytes;
	uint64_t used = sock->total - sock->acked;
	uint64_t room = used < sock->knobs.sndbuf_bytes ? sock->knobs.sndbuf_bytes - used : 0;

	if (limit > sock->knobs.accept_once_bytes)
		limit = sock->knobs.accept_once_bytes;
	sock->knobs.accept_once_bytes = FAKE_NEVER;
	return limit < room ? limit : room;
}

static ssize_t send_errors(struct fake_socket *sock)
{
	int error = sock->so_error;

	if (error) {
		sock->so_error = 0;
		return -error;
	}
	if (sock->dead || sock->shut_send || !sock->knobs.connected)
		return -EPIPE;
	return 0;
}

ssize_t fake_sendmsg(struct fake_socket *sock, const struct msghdr *message, int flags)
{
	struct fake_record *record = NULL;
	uint64_t size = 0, limit;
	ssize_t ret;
	size_t i;

	if ((flags & (MSG_DONTWAIT | MSG_NOSIGNAL)) != (MSG_DONTWAIT | MSG_NOSIGNAL) ||
	    (flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL | MSG_ZEROCOPY)))
		fake_violation(sock->kernel, "fd %d: sendmsg with flags 0x%x", sock->fd, flags);
	if (sock->disconnects)
		fake_violation(sock->kernel, "fd %d: sendmsg after disconnect", sock->fd);
	if (message->msg_iovlen > 1024)
		return -EMSGSIZE;
	for (i = 0; i < message->msg_iovlen; i++)
		size += message->msg_iov[i].iov_len;
	if ((flags & MSG_ZEROCOPY) && (sock->zerocopy_on || sock->sender) && size) {
		ret = record_get(sock, size, &record);
		if (ret)
			return ret;
	}
	ret = send_errors(sock);
	if (!ret && size) {
		limit = accept_limit(sock);
		ret = limit ? 0 : -EAGAIN;
		if (!ret && record) {
			limit = readable_packets(sock, message, limit);
			ret = limit ? 0 : -EFAULT;
		}
		if (!ret)
			ret = take(sock, record, message, limit);
	}
	if (ret == -EAGAIN)
		fake_happens(sock, FAKE_FULL);
	if (ret <= 0) {
		if (record)
			record_unget(sock, record, size);
		return ret;
	}
	if ((uint64_t)ret < size)
		fake_happens(sock, FAKE_PARTIAL);
	if (record) {
		record->count++;
		sock->next_id++;
		sock->zerocopy_sends++;
	} else {
		sock->copied_sends++;
	}
	sock->kernel->work++;
	fake_push(sock);
	if (sock->knobs.auto_ack && fake_socket_ack(sock, FAKE_NEVER) && sock->messages)
		fake_happens(sock, FAKE_EARLY);
	return ret;
}

static uint64_t foreign(const uint8_t *got, const uint8_t *sent, size_t len)
{
	uint64_t bad = 0;
	size_t i;

	if (memcmp(got, sent, len))
		for (i = 0; i < len; i++)
			bad += got[i] != sent[i];
	return bad;
}

/* The peer gets these bytes: from memory where the kernel has no copy. */
static void receive(struct fake_socket *sock, uint64_t from, uint64_t to)
{
	const struct fake_record *record;
	uint64_t bad = 0;
	size_t i;

	sock->received = fake_grow(sock->received, &sock->received_room, to, 1);
	memcpy(sock->received + from, sock->accepted + from, to - from);
	for (record = sock->held; record && record->begin < to; record = record->next) {
		if (!record->queued)
			continue;
		for (i = 0; i < record->range_count; i++) {
			const struct fake_range *range = &record->ranges[i];
			uint64_t lo = range->offset < from ? from : range->offset;
			uint64_t hi = range->offset + range->len < to ? range->offset + range->len : to;

			if (lo >= hi)
				continue;
			if (range->moved)
				fake_happens(sock, FAKE_SENT_OLD);
			memcpy(sock->received + lo, range->base + (lo - range->offset), hi - lo);
			bad += foreign(sock->received + lo, sock->accepted + lo, hi - lo);
		}
	}
	if (bad)
		fake_violation(sock->kernel,
			       "fd %d: %llu foreign bytes reached the peer in %llu..%llu", sock->fd,
			       (unsigned long long)bad, (unsigned long long)from,
			       (unsigned long long)to);
	sock->foreign_bytes += bad;
}

static void heard(struct fake_socket *sock)
{
	sock->last_ack_ms = sock->kernel->now_ms;
	sock->probes = 0;
}

static void ack_step(struct fake_socket *sock, uint64_t bytes)
{
	struct fake_record *record, *next;

	receive(sock, sock->acked, sock->acked + bytes);
	sock->acked += bytes;
	for (record = sock->held; record && record->begin < sock->acked; record = next) {
		next = record->next;
		if (record->end > sock->acked)
			continue;
		record->queued = false;
		fake_record_settle(sock, record);
	}
}

uint64_t fake_socket_ack(struct fake_socket *sock, uint64_t bytes)
{
	uint64_t done = 0, step;

	if (sock->vanished || sock->dead)
		return 0;
	sock->reached = sock->sent_edge;
	while (done < bytes && sock->sent_edge > sock->acked) {
		step = sock->sent_edge - sock->acked;
		if (step > bytes - done)
			step = bytes - done;
		ack_step(sock, step);
		done += step;
		fake_push(sock);
	}
	/* its end is acknowledged with the last byte, or by an answer that has no other */
	if (fake_fin_flies(sock) && sock->acked == sock->total && done < bytes) {
		sock->fin_acked = true;
		sock->timer_ms = 0;
		heard(sock);
	}
	if (done) {
		/* unless it could be told neither to disconnect nor to reset with close() */
		if (sock->closed && !sock->reset_refused)
			fake_happens(sock, FAKE_ORPHAN);
		heard(sock);
		sock->backoff = sock->retransmits = 0;
		sock->timer_ms = 0;
		fake_push(sock);
	}
	return done;
}

void fake_socket_copy_out(struct fake_socket *sock, uint64_t bytes)
{
	uint64_t edge = bytes < sock->total - sock->acked ? sock->acked + bytes : sock->total;
	struct fake_record *record, *next;

	for (record = sock->held; record && record->begin < edge; record = next) {
		next = record->next;
		if (!record->queued || record->pins)
			continue;
		record->queued = false;
		record_release(sock, record, true);
	}
}

void fake_socket_window(struct fake_socket *sock, uint64_t bytes)
{
	sock->window = bytes;
	if (!sock->vanished)
		heard(sock);
	fake_push(sock);
}

void fake_socket_vanish(struct fake_socket *sock)
{
	sock->vanished = true;
}

void fake_socket_return(struct fake_socket *sock)
{
	sock->vanished = false;
	if (sock->sent_edge == sock->acked)
		fake_push(sock);
}

void fake_socket_hear(struct fake_socket *sock)
{
	if (!sock->dead && !sock->vanished)
		heard(sock);
}

void fake_socket_error(struct fake_socket *sock, int error)
{
	sock->so_error = error;
}

void fake_socket_kill(struct fake_socket *sock, int error)
{
	if (sock->dead)
		return;
	sock->so_error = error == ECONNRESET && sock->peer_fin ? EPIPE : error;
	fake_die(sock);
}

void fake_socket_peer_fin(struct fake_socket *sock)
{
	sock->peer_fin = true;
	heard(sock);
}

void fake_socket_peer_says(struct fake_socket *sock, uint64_t bytes)
{
	if (sock->dead || sock->vanished || sock->peer_fin)
		return;
	sock->unread += bytes;
	sock->last_data_ms = sock->kernel->now_ms;
}
