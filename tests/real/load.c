/* SPDX-License-Identifier: BSD-2-Clause */
#include "real/load.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <zcreq/guard.h>

#include "real/sender.h"
#include "real/real.h"

/* Around a call into the library that is to run no callback. */
#define QUIETLY(load, call) \
	({ \
		(load)->in_call = true; \
		int quiet_ret = (call); \
		(load)->in_call = false; \
		quiet_ret; \
	})

/* ---- what is heard ---- */

static void settled(zcreq_id id, int status, void *arg)
{
	struct load_request *request = arg;

	expect(!request->load->in_call);
	expect(id.bits == request->id.bits);
	expect(request->settled++ == 0);
	expect(request->released == 0);
	request->status = status;
	request->load->settled++;
}

static void aborting(zcreq_id id, int status, void *arg)
{
	struct load_request *request = arg;

	(void)status;
	expect(!request->load->in_call);
	expect(request->aborting++ == 0);
	expect(!request->finished);
	request->finished = true;
	request->load->aborting++;
	expect(zcreq_finish(request->load->context, id, 0) == 0);
}

static void quarantined(zcreq_id id, void *arg)
{
	struct load_request *request = arg;

	(void)id;
	expect(!request->load->in_call);
	expect(request->quarantined++ == 0);
	expect(request->settled == 1);
	expect(request->released == 0);
	request->load->quarantined++;
}

static void released(zcreq_id id, int status, void *arg)
{
	struct load_request *request = arg;
	struct load *load = request->load;

	expect(!load->in_call);
	expect(id.bits == request->id.bits);
	expect(request->released++ == 0);
	expect(request->settled == 1);
	expect(status == request->status);
	expect(request->finished);
	if (load->spied)
		ck_assert_msg(spy_proven(&load->spy, request->from, request->to),
			      "released without proof: bytes %llu to %llu",
			      (unsigned long long)request->from,
			      (unsigned long long)request->to);
	memset(load->arena + request->from, LOAD_RECYCLED, request->to - request->from);
	load->released++;
	load->failed += status != 0;
	load->last_release_ns = zcreq_now_ns();
	if (load->on_released)
		load->on_released(request);
}

static const struct zcreq_request_hooks ops = {
	.released = released,
	.settled = settled,
	.aborting = aborting,
	.quarantined = quarantined,
};

static void abort_hook(struct zcreq_conn *conn, int status, void *arg)
{
	struct load *load = arg;

	(void)conn;
	expect(!load->in_call);
	expect(load->aborts++ == 0);
	load->abort_status = status;
}

static void closed_hook(struct zcreq_conn *conn, int status, void *arg)
{
	struct load *load = arg;

	expect(!load->in_call);
	expect(load->closes++ == 0);
	expect(zcreq_conn_state(conn) == ZCREQ_CONN_CLOSED);
	expect(load->released == load->count);
	load->close_status = status;
	if (load->on_closed)
		load->on_closed(load);
}

static void room_hook(struct zcreq_conn *conn, void *arg)
{
	struct load *load = arg;

	(void)conn;
	load->rooms++;
	if (load->on_room)
		load->on_room(load);
}

static void readable_hook(struct zcreq_conn *conn, void *arg)
{
	struct load *load = arg;

	(void)conn;
	expect(!load->in_call);
	load->on_readable(load);
}

static void stalled_hook(struct zcreq_conn *conn, enum zcreq_stall verdict, void *arg)
{
	struct load *load = arg;

	(void)conn;
	if (load->verdict_count < LOAD_VERDICTS)
		load->verdicts[load->verdict_count++] = verdict;
}

static void message_hook(struct zcreq_conn *conn, const struct msghdr *message, void *arg)
{
	struct load *load = arg;

	(void)conn;
	expect(message);
	expect(!load->closes);
	load->messages++;
}

static const struct zcreq_conn_hooks hooks = {
	.abort = abort_hook,
	.closed = closed_hook,
	.room = room_hook,
	.stalled = stalled_hook,
	.message = message_hook,
};

static const struct zcreq_conn_hooks reading_hooks = {
	.abort = abort_hook,
	.closed = closed_hook,
	.room = room_hook,
	.stalled = stalled_hook,
	.message = message_hook,
	.readable = readable_hook,
};

/* ---- from the beginning to the end ---- */

void load_init_with(struct load *load, size_t arena_bytes,
		    const struct zcreq_context_options *options)
{
	*load = (struct load){.near = -1, .far = -1, .reading = true, .arena_bytes = arena_bytes};
	ck_ok(net_open(&load->net));
	ck_ok(zcreq_context_new(options, &load->context));
	load->arena = mmap(NULL, arena_bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(load->arena, MAP_FAILED);
	for (size_t n = 0; n < arena_bytes; n++)
		load->arena[n] = load_byte(n);
}

void load_init(struct load *load, size_t arena_bytes)
{
	load_init_with(load, arena_bytes, NULL);
	ck_ok(zcreq_guard_attach(load->context, NULL)); /* if ZCREQ_GUARD asks for it */
}

void load_open(struct load *load, const struct zcreq_stream_options *options)
{
	struct zcreq_stream_options o = {0};

	if (options)
		o = *options;
	o.size = sizeof(o);
	o.fd = load->near;
	o.hooks = load->on_readable ? &reading_hooks : &hooks;
	o.arg = load;
	if (o.mode == ZCREQ_MODE_AUTO && !o.threshold_bytes)
		o.mode = ZCREQ_MODE_ALWAYS;
	if (load->spied) {
		o.socket_ops = &spy_ops;
		o.socket_arg = &load->spy;
	}
	ck_ok(sender_open(load, &o));
}

void load_connect(struct load *load, const struct net_pair *how,
		  const struct zcreq_stream_options *options)
{
	ck_ok(net_connect(&load->net, how, &load->near, &load->far));
	load_open(load, options);
	if (how->far_rcvbuf)
		load->reading = false;
}

void load_deinit(struct load *load)
{
	load_free_conn(load);
	if (load->abandoned)
		return;
	for (int i = 0; i < 2000 && load_stats(load).connections_now; i++)
		load_turn(load, 10);
	sender_stop(load);
	ck_ok(zcreq_context_free(load->context));
	if (load->far >= 0)
		close(load->far);
	spy_deinit(&load->spy);
	free(load->requests);
	munmap(load->arena, load->arena_bytes);
	net_close(&load->net);
	ck_assert_uint_eq(load->released, load->count);
}

/* ---- work ---- */

static struct load_request *new_request(struct load *load)
{
	if (load->count == load->capacity) {
		/* callbacks have pointers into it: it never moves */
		ck_assert_ptr_null(load->requests);
		load->capacity = 200000;
		load->requests = calloc(load->capacity, sizeof(*load->requests));
		expect(load->requests);
	}
	return &load->requests[load->count++];
}

struct load_request *load_begin(struct load *load, size_t len)
{
	struct load_request *request = new_request(load);

	*request = (struct load_request){
		.load = load, .from = load->queued_bytes, .to = load->queued_bytes,
	};
	expect(QUIETLY(load, zcreq_begin(load->conn, &ops, request, 0, &request->id)) == 0);
	if (len)
		expect(load_send(request, len) == 0);
	return request;
}

int load_send(struct load_request *request, size_t len)
{
	struct load *load = request->load;
	const struct iovec iov = {load->arena + load->queued_bytes, len};
	int ret;

	expect(load->queued_bytes + len <= load->arena_bytes);
	expect(request->to == load->queued_bytes);
	ret = QUIETLY(load,
		      zcreq_add(zcreq_conn_context(load->conn), request->id, &iov, 1, 0));
	if (!ret) {
		load->queued_bytes += len;
		request->to = load->queued_bytes;
	}
	return ret;
}

void load_finish(struct load_request *request, int status)
{
	request->finished = true;
	expect(QUIETLY(request->load, zcreq_finish(request->load->context, request->id, status)) == 0);
}

int load_write(struct load *load, size_t len)
{
	uint8_t *bytes = load->arena + load->queued_bytes;
	int ret;

	expect(load->queued_bytes + len <= load->arena_bytes);
	ret = QUIETLY(load, zcreq_write(load->conn, bytes, len));
	if (!ret) {
		memset(bytes, LOAD_RECYCLED, len); /* free again on return */
		load->queued_bytes += len;
	}
	return ret;
}

void load_submit(struct load *load, size_t count, size_t each)
{
	for (size_t i = 0; i < count; i++)
		load_finish(load_begin(load, each), 0);
	load_flush(load);
}

void load_flush(struct load *load)
{
	zcreq_turn(load->context, zcreq_now_ns());
}

int load_abort(struct load *load, int status)
{
	return QUIETLY(load, zcreq_conn_abort(load->conn, status));
}

int load_drain(struct load *load, uint32_t timeout_ms)
{
	return QUIETLY(load, zcreq_conn_drain(load->conn, timeout_ms));
}

void load_free_conn(struct load *load)
{
	load->in_call = true;
	zcreq_conn_free(load->conn);
	load->in_call = false;
	load->conn = NULL;
}

/* ---- the loop ---- */

void load_read(struct load *load, size_t most)
{
	static uint8_t got[65536];

	while (most && !load->far_ended && !load->far_error) {
		ssize_t len = recv(load->far, got, most < sizeof(got) ? most : sizeof(got),
				   MSG_DONTWAIT);

		if (len < 0 && errno == EAGAIN)
			return;
		if (len < 0)
			load->far_error = errno;
		if (len == 0)
			load->far_ended = true;
		if (len <= 0)
			return;
		for (ssize_t i = 0; i < len; i++) {
			uint8_t want = load_byte(load->received_bytes + i);

			load->foreign_bytes += got[i] != want && got[i] == LOAD_RECYCLED;
			load->wrong_bytes += got[i] != want && got[i] != LOAD_RECYCLED;
		}
		load->received_bytes += len;
		most -= len;
	}
}

void load_turn(struct load *load, int most_ms)
{
	bool reads = load->reading && !load->far_ended && !load->far_error;
	struct pollfd p[3] = {
		{.fd = -1},
		{.fd = reads ? load->far : -1, .events = POLLIN},
		{.fd = sender_fd(load), .events = POLLIN},
	};
	uint64_t now_ns = zcreq_now_ns();
	int ms = zcreq_timeout_ms(zcreq_turn(load->context, now_ns), now_ns);

	p[0].events = zcreq_events(load->conn);
	p[0].fd = p[0].events ? load->near : -1;
	if (ms < 0 || ms > most_ms)
		ms = most_ms;
	if (poll(p, 3, ms) > 0) {
		if (p[1].revents)
			load_read(load, 1 << 20);
		if (p[0].revents)
			ck_ok(zcreq_process(load->conn, p[0].revents));
	}
	sender_process(load);
	zcreq_turn(load->context, zcreq_now_ns());
}

bool load_until(struct load *load, bool (*done)(const struct load *load), int ms)
{
	uint64_t end_ns = zcreq_now_ns() + ms * 1000000ull;

	while (!done(load)) {
		if (zcreq_now_ns() >= end_ns)
			return false;
		load_turn(load, 20);
	}
	return true;
}

void load_for(struct load *load, int ms)
{
	uint64_t end_ns = zcreq_now_ns() + ms * 1000000ull;

	while (zcreq_now_ns() < end_ns)
		load_turn(load, 10);
}

bool load_all_released(const struct load *load)
{
	return load->released == load->count;
}

bool load_all_settled(const struct load *load)
{
	return load->settled == load->count;
}

bool load_closed(const struct load *load)
{
	return load->closes;
}

bool load_all_received(const struct load *load)
{
	return load->received_bytes == load->queued_bytes;
}

bool load_far_over(const struct load *load)
{
	return load->far_ended || load->far_error;
}

struct zcreq_stats load_stats(const struct load *load)
{
	struct zcreq_stats stats;

	ck_ok(zcreq_context_stats(load->context, &stats, sizeof(stats)));
	return stats;
}

void load_check_ledger(struct load *load)
{
	struct zcreq_stats stats = load_stats(load);

	for (size_t i = 0; i < load->count; i++) {
		expect(load->requests[i].settled == 1);
		expect(load->requests[i].released == 1);
		expect(zcreq_request_state(load->context, load->requests[i].id) == -ESTALE);
	}
	ck_assert_uint_eq(stats.begun, load->count);
	ck_assert_uint_eq(stats.released, load->count);
	ck_assert_uint_eq(stats.requests_now, 0);
	ck_assert_uint_eq(stats.quarantined_now, 0);
	ck_assert_uint_eq(stats.quarantined_bytes_now, 0);
	ck_assert_uint_eq(stats.bogus_ranges, load->bogus_ranges);
	ck_assert_uint_eq(stats.duplicate_ids, 0);
	ck_assert_uint_eq(load->foreign_bytes, 0);
	ck_assert_uint_eq(load->wrong_bytes, 0);
	ck_assert_uint_eq(load->spy.pinned_at_close, 0);
}
