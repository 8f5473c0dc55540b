/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rows.c - the stage of one row, and the ways of ending
 *
 * row_play() builds a network, lets a way do its work, brings the link back and
 * reads what the receiver got. A way is a function of a few lines, and all of them
 * have the same two parts: transfer, until the link is cut and everything is in
 * flight; then end, each in its own manner.
 *
 * How the in-flight state is made, and why it is honest: the sender keeps its
 * queue full at all times, as a storage target with that queue depth does. The
 * cut comes in the middle of the transfer. The sender is not told. It takes the
 * last notifications of what got through, hands in new requests for them, and
 * when no more come, exactly `requests` are out: all taken by the kernel with
 * MSG_ZEROCOPY, none of them notified. The kernel's own count of the bytes in its
 * send queue (SIOCOUTQ) is read at that moment and must agree, and the library's
 * count of what it had to copy must be 0.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <zcreq/zcreq.h>

#include "vanish.h"

enum { TRACE_EVENTS = 1 << 15 };

enum {
	SETTLE_MS = 1, /* no notification for so long after the cut: none will come */
	STAND_MS = 100, /* at most, until a jam stands */
};

struct row {
	const struct setup *setup;
	struct result *result;
	struct link link;
	struct receiver receiver;
	struct ledger ledger;
	int fd; /* the sender's; -1 when closed, or given away */
	unsigned number;
	uint64_t cut_at_ns;
	int (*cut)(const struct link *link);
	uint32_t stream_flags;
};

static int64_t ms_left(uint64_t until_ns)
{
	uint64_t now = now_ns();

	return now < until_ns ? (int64_t)((until_ns - now) / 1000000u) + 1 : 0;
}

/* The transfer is undisturbed, for a while and until something has come through. */
static bool row_warms_up(const struct row *row)
{
	return now_ns() < row->cut_at_ns ||
	       (!row->result->completed &&
		now_ns() < row->cut_at_ns + OUTAGE_MS * 1000000ull);
}

static int row_cut(struct row *row)
{
	int r = row->cut(&row->link);

	ledger_cut(&row->ledger);
	return r;
}

/*
 * Is everything out? A jam lets acknowledgements through: what got past it is acknowledged when
 * the receiver comes to it, and only then does the rest of the window run into the jam.
 */
static int row_stands(struct row *row, int fd)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);
	int queued_bytes = 0;

	if (ioctl(fd, SIOCOUTQ, &queued_bytes) ||
	    getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		return -errno;
	row->result->queued_bytes = (uint64_t)queued_bytes;
	if (row->cut != link_jam || now_ns() > row->result->cut_ns + STAND_MS * 1000000ull)
		return 1;
	return row->result->queued_bytes >= row->setup->staged_bytes && info.tcpi_unacked;
}

/* Everything is out. From here on the way decides, and what it frees is reused. */
static int row_in_flight(struct row *row, int fd)
{
	int r = row_stands(row, fd);

	if (r < 0)
		return r;
	ledger_recycle_from_now(&row->ledger);
	return 0;
}

/* ---- ways 1 to 4: the kernel's interface by hand ---- */

static int raw_transfer(struct row *row, struct raw *raw)
{
	struct pollfd pfd = {.fd = raw->fd};
	int r = 0;

	while (r >= 0 && row_warms_up(row)) {
		r = raw_top_up(raw);
		if (r >= 0)
			r = poll(&pfd, 1, (int)ms_left(row->cut_at_ns)) < 0 ? -errno : 0;
		if (r >= 0)
			r = raw_reap(raw);
	}
	if (r >= 0)
		r = row_cut(row);
	do {
		if (r >= 0)
			r = raw_top_up(raw);
		if (r >= 0)
			r = poll(&pfd, 1, SETTLE_MS) < 0 ? -errno : 0;
		if (r >= 0)
			r = raw_reap(raw);
	} while (r > 0);
	return r < 0 ? r : row_in_flight(row, raw->fd);
}

static int raw_start(struct row *row, struct raw *raw, unsigned user_timeout_ms)
{
	int r = raw_open(raw, row->fd, &row->ledger, user_timeout_ms);

	return r ? r : raw_transfer(row, raw);
}

/* 1. Every PDU has an "in use" mark. Tear down when the last one is clear. */
static int way_boolean(struct row *row)
{
	struct raw raw;
	int r = raw_start(row, &raw, 0);

	return r ? r : raw_wait(&raw, OUTAGE_MS);
}

/* 2. Shut the socket down, so that what is pending ends with an error. */
static int way_shutdown(struct row *row)
{
	struct raw raw;
	int r = raw_start(row, &raw, 0);

	if (r)
		return r;
	shutdown(row->fd, SHUT_RDWR);
	return raw_wait(&raw, OUTAGE_MS);
}

/* 3. Close the socket; then surely nobody uses the buffers any more. */
static int way_close(struct row *row)
{
	struct raw raw;
	unsigned i;
	int r = raw_start(row, &raw, 0);

	if (r)
		return r;
	close(row->fd);
	row->fd = -1;
	for (i = 0; i < row->setup->requests; i++)
		ledger_release(&row->ledger.slots[(row->ledger.next + i) % row->setup->requests]);
	ledger_overwrite(&row->ledger);
	return 0;
}

/* 4. Let the kernel give up on the peer, and wait for that. */
static int way_user_timeout(struct row *row)
{
	struct raw raw;
	int r = raw_start(row, &raw, USER_TIMEOUT_MS);

	return r ? r : raw_wait(&raw, OUTAGE_MS);
}

static void fail(struct result *result, enum result_state state, const char *what, int error)
{
	result->state = state;
	snprintf(result->reason, sizeof(result->reason), "%s: %s", what,
		 error == -ENOBUFS ? "not enough locked memory or option memory"
		 : error == -ETIME ? "the receiver's stream did not end"
				   : strerror(-error));
}

/* ---- ways 5 to 8: zcreq ---- */

struct sender {
	struct row *row;
	struct zcreq_context *context;
	struct ring *ring; /* NULL: through the socket */
	struct zcreq_pool *pool; /* NULL: the ledger's own memory */
	struct zcreq_conn *conn;
	void *trace;
	enum { SENDER_RUNNING = 1, SENDER_CLOSED } state;
};

static void on_released(zcreq_id id, int status, void *arg)
{
	(void)id;
	(void)status;
	ledger_release(arg);
}

static void on_closed(struct zcreq_conn *conn, int status, void *arg)
{
	struct sender *sender = arg;

	(void)conn;
	(void)status;
	sender->state = SENDER_CLOSED;
}

static const struct zcreq_request_hooks request_hooks = {.released = on_released};
static const struct zcreq_conn_hooks conn_hooks = {.closed = on_closed};

/* The trace of a row is in memory that is there anyway, and written when all is over. */
static int sender_trace(struct sender *sender)
{
	struct zcreq_trace_options options = {
		.size = sizeof(options),
		.memory_bytes = sizeof(struct zcreq_trace_header) +
				TRACE_EVENTS * sizeof(struct zcreq_trace_event),
		.clock_ns = now_ns,
	};

	if (!sender->row->setup->trace_path)
		return 0;
	sender->trace = options.memory = calloc(1, options.memory_bytes);
	return sender->trace ? zcreq_trace_start(sender->context, &options) : -ENOMEM;
}

static int write_bytes(const void *bytes, size_t len, void *file)
{
	return fwrite(bytes, 1, len, file) == len ? 0 : -EIO;
}

static int sender_dump(struct sender *sender)
{
	const struct row *row = sender->row;
	char path[512];
	FILE *file;
	int r;

	if (!sender->trace)
		return 0;
	snprintf(path, sizeof(path), "%s.%u", row->setup->trace_path, row->number);
	file = fopen(path, "we");
	if (!file)
		return -errno;
	r = zcreq_trace_dump(sender->context, write_bytes, file);
	if (fclose(file) && !r)
		r = -errno;
	zcreq_trace_stop(sender->context);
	free(sender->trace);
	return r;
}

/* A ring of the sender's, where the kernel has one for us; if not, that is the result. */
static int sender_open_ring(struct sender *sender)
{
	struct result *result = sender->row->result;
	int r = ring_open(sender->context, &sender->ring);

	if (r)
		fail(result, RESULT_CANNOT, "no io_uring here", r);
	return r;
}

enum through { THROUGH_SOCKET = 1, THROUGH_RING };

static int sender_open(struct sender *sender, struct row *row, enum through through,
		       uint32_t stall_ms)
{
	struct zcreq_stream_options options = {
		.size = sizeof(options),
		.fd = row->fd,
		.hooks = &conn_hooks,
		.arg = sender,
		.mode = ZCREQ_MODE_ALWAYS, /* veth copies at the far end, and auto would adapt */
		.stall_ms = stall_ms,
		.flags = row->stream_flags,
	};
	int r = zcreq_context_new(NULL, &sender->context);

	sender->row = row;
	sender->ring = NULL;
	sender->pool = NULL;
	sender->trace = NULL;
	sender->state = SENDER_RUNNING;
	if (!r && through == THROUGH_RING)
		r = sender_open_ring(sender);
	if (!r)
		r = sender_trace(sender);
	if (!r)
		r = ring_stream_open(sender->ring, sender->context, &options, &sender->conn);
	if (!r)
		row->fd = -1; /* the connection's now */
	return r;
}

static int sender_top_up(struct sender *sender)
{
	struct ledger *ledger = &sender->row->ledger;
	int r = 0;

	while (!r && ledger_peek(ledger, 0)) {
		struct slot *slot = ledger_send(ledger);
		struct iovec iov = {slot->memory, ledger->setup->size_bytes};

		r = zcreq_send(sender->conn, &request_hooks, slot, &iov, 1, 0, NULL);
	}
	return r;
}

/* What a turn has released is written to when it is over. */
static uint64_t sender_look(struct sender *sender)
{
	uint64_t deadline = zcreq_turn(sender->context, now_ns());

	ledger_overwrite(&sender->row->ledger);
	return deadline;
}

/* One turn of an event loop. Returns how many requests it released, or an error. */
static int sender_turn(struct sender *sender, uint64_t until_ns)
{
	unsigned before = sender->row->ledger.in_flight;
	uint64_t deadline = sender_look(sender), now = now_ns();
	struct pollfd pfd = {zcreq_context_fd(sender->context), POLLIN, 0};

	if (deadline > until_ns)
		deadline = until_ns;
	if (before == sender->row->ledger.in_flight && sender->state != SENDER_CLOSED) {
		if (poll(&pfd, 1, zcreq_timeout_ms(deadline, now)) < 0)
			return -errno;
		sender_look(sender);
	}
	return (int)(before - sender->row->ledger.in_flight);
}

static int sender_transfer(struct sender *sender)
{
	struct row *row = sender->row;
	int r = 0;

	while (r >= 0 && row_warms_up(row)) {
		r = sender_top_up(sender);
		if (r >= 0)
			r = sender_turn(sender, row->cut_at_ns);
	}
	if (r >= 0)
		r = row_cut(row);
	zcreq_trace_mark(sender->context, "link cut");
	do {
		if (r >= 0)
			r = sender_top_up(sender);
		if (r >= 0)
			r = sender_turn(sender, now_ns() + SETTLE_MS * 1000000u);
		if (!r)
			r = row_stands(row, zcreq_stream_fd(sender->conn)) == 0;
	} while (r > 0);
	return r < 0 ? r : row_in_flight(row, zcreq_stream_fd(sender->conn));
}

/* From now on the buffers are a pool's. */
static int sender_pool(struct sender *sender)
{
	struct ledger *ledger = &sender->row->ledger;
	const struct zcreq_pool_options options = {
		.size = sizeof(options),
		.flags = ZCREQ_POOL_POPULATE,
		.count = ledger->setup->requests,
		.buffer_bytes = ledger->setup->size_bytes,
	};
	int r = zcreq_pool_new(sender->context, &options, &sender->pool);

	for (unsigned i = 0; !r && i < options.count; i++) {
		ledger->slots[i].memory = zcreq_pool_get(sender->pool);
		memset(ledger->slots[i].memory, OWN_BYTE, options.buffer_bytes);
	}
	return r;
}

static int sender_pool_free(struct sender *sender)
{
	struct ledger *ledger = &sender->row->ledger;

	for (unsigned i = 0; sender->pool && i < ledger->setup->requests; i++)
		zcreq_pool_put(sender->pool, ledger->slots[i].memory);
	return zcreq_pool_free(sender->pool);
}

/* Turn until the library says that the connection is over; then check its books. */
static int sender_close(struct sender *sender)
{
	uint64_t until_ns = now_ns() + OUTAGE_MS * 1000000ull;
	struct zcreq_stats stats;
	int r = 0;

	while (r >= 0 && sender->state != SENDER_CLOSED && now_ns() < until_ns)
		r = sender_turn(sender, until_ns);
	if (r >= 0)
		r = zcreq_context_stats(sender->context, &stats, sizeof(stats));
	if (r < 0)
		return r;
	if (stats.copied_batches)
		return -ENOBUFS; /* then it was not all in flight */
	sender->row->result->doubles += (unsigned)stats.stale_handles;
	zcreq_conn_free(sender->conn);
	r = sender_dump(sender);
	if (!r)
		r = ring_close(sender->ring);
	if (!r)
		r = sender_pool_free(sender);
	return r ? r : zcreq_context_free(sender->context);
}

/* 5. The program knows that the host is gone, and says so. */
static int abort_with(struct row *row, enum through through)
{
	struct sender sender;
	int r = sender_open(&sender, row, through, 0);

	if (!r)
		r = sender_transfer(&sender);
	if (!r)
		r = zcreq_conn_abort(sender.conn, -ECONNABORTED);
	return r ? r : sender_close(&sender);
}

static int way_abort(struct row *row)
{
	return abort_with(row, THROUGH_SOCKET);
}

/* 6. Nobody knows. The library notices by itself. */
static int way_watchdog(struct row *row)
{
	struct sender sender;
	int r = sender_open(&sender, row, THROUGH_SOCKET, STALL_MS);

	if (!r)
		r = sender_transfer(&sender);
	return r ? r : sender_close(&sender);
}

/* 7. As 5, sent with SENDMSG_ZC through an io_uring. */
static int way_uring(struct row *row)
{
	return abort_with(row, THROUGH_RING);
}

/*
 * 8. Between here and there is a queue that does not move, and the kernel lets go of nothing
 * that is in it. It keeps the pages, and we the addresses. When it moves after all, the bytes
 * that leave it are those that were sent.
 */
static int way_detach(struct row *row)
{
	struct sender sender;
	struct zcreq_stats stats;
	int r;

	r = link_jam(&row->link);
	if (r)
		fail(row->result, RESULT_CANNOT, "no token-bucket filter here", r);
	if (!r)
		r = link_clear(&row->link);
	if (r)
		return r;
	row->cut = link_jam;
	row->stream_flags = ZCREQ_STREAM_DETACH;
	r = sender_open(&sender, row, THROUGH_SOCKET, 0);
	if (!r)
		r = sender_pool(&sender);
	if (!r)
		r = sender_transfer(&sender);
	if (!r)
		r = zcreq_conn_abort(sender.conn, -ECONNABORTED);
	if (r)
		return r;
	sender_look(&sender);
	r = zcreq_conn_detach(sender.conn, ZCREQ_DETACH_DISCARD);
	sender_look(&sender);
	if (!r)
		r = zcreq_context_stats(sender.context, &stats, sizeof(stats));
	if (r)
		return r;
	if (!stats.detached_bytes_now)
		return -ENODATA; /* nothing was in the queue: not what it is to show */
	poll(NULL, 0, OUTAGE_MS / 4);
	r = link_clear(&row->link);
	return r ? r : sender_close(&sender);
}

const struct way ways[WAYS] = {
	{"1  wait for an \"in use\" flag", "“In use” flag", "wait until it is clear", way_boolean, 0},
	{"2  shutdown(SHUT_RDWR)", "Shutdown", "shutdown(SHUT_RDWR)", way_shutdown, 0},
	{"3  close() and recycle", "Close, recycle", "close(), then reuse", way_close, 0},
	{"4  TCP_USER_TIMEOUT of 1 s", "Kernel timeout", "TCP_USER_TIMEOUT, 1 s", way_user_timeout, 0},
	{"5  zcreq_conn_abort()", "zcreq abort", "zcreq_conn_abort()", way_abort, ABORT_LIMIT_MS},
	{"6  zcreq watchdog, 500 ms", "zcreq watchdog", "stall_ms = 500", way_watchdog,
	 WATCHDOG_LIMIT_MS},
	{"7  the same as 5 on io_uring", "zcreq, io_uring", "zcreq_conn_abort()", way_uring,
	 ABORT_LIMIT_MS},
	{"8  a jam: zcreq_detach()", "zcreq detach", "of a queue that is jammed", way_detach,
	 ABORT_LIMIT_MS},
};

/* ---- the stage ---- */

static int row_set_up(struct row *row, const struct setup *setup, struct result *result)
{
	size_t in_flight_bytes = setup->requests * setup->size_bytes;
	size_t buffer_bytes = 2 * in_flight_bytes + (1 << 20);
	int r;

	row->setup = setup;
	row->result = result;
	row->cut = link_cut;
	r = link_open(&row->link, buffer_bytes);
	if (!r)
		r = ledger_init(&row->ledger, setup, result);
	if (!r)
		r = receiver_start(&row->receiver, row->link.listener, setup, result->lives);
	if (r)
		return r;
	row->fd = link_connect(buffer_bytes);
	return row->fd < 0 ? row->fd : 0;
}

static int row_perform(struct row *row, const struct way *way)
{
	struct result *result = row->result;
	int r;

	row->cut_at_ns = now_ns() + WARMUP_MS * 1000000ull;
	r = way->run(row);
	if (r)
		return r;
	poll(NULL, 0, (int)ms_left(result->cut_ns + OUTAGE_MS * 1000000ull));
	r = link_restore(&row->link);
	result->back_ns = now_ns();
	if (row->fd >= 0)
		close(row->fd); /* the end of the stream, for ways that never got there */
	if (r)
		return r;
	receiver_join(&row->receiver, result->back_ns + RECOVERY_MS * 1000000ull);
	result->foreign_bytes = row->receiver.foreign_bytes;
	result->received_bytes = row->receiver.received_bytes;
	return row->receiver.end == RECEIVER_EOF || row->receiver.end == RECEIVER_RESET ? 0 : -ETIME;
}

/* Can it be done here at all? Leaves RESULT_MEASURED, or RESULT_CANNOT and the reason. */
void row_rehearse(const struct setup *setup, struct result *result)
{
	static struct row row;
	int r = row_set_up(&row, setup, result);

	if (r)
		fail(result, RESULT_CANNOT, "no network namespaces with a link", r);
	else
		result->state = RESULT_MEASURED;
	result->own_options = row.link.own_options;
}

/* Play one row, in a process of its own. What it leaves is *@result. */
void row_play(const struct way *way, const struct setup *setup, struct result *result)
{
	static struct row row;
	int r = row_set_up(&row, setup, result);

	row.number = (unsigned)(way - ways) + 1;
	if (!r)
		r = row_perform(&row, way);
	if (r && result->state == RESULT_CANNOT)
		return; /* and why */
	if (r)
		fail(result, RESULT_FAILED, "failed", r);
	else
		result->state = RESULT_MEASURED;
}
