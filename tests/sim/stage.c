/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * stage.c - see stage.h
 */
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <linux/errqueue.h>

#include "sim/stage.h"
#include "support/seeded.h"

static void event(struct stage *stage, const char *name, struct stage_request *request)
{
	stage->callbacks++;
	if (stage->on_event)
		stage->on_event(stage, name, request);
}

static void on_settled(zcreq_id id, int status, void *arg)
{
	struct stage_request *request = arg;

	ck_assert_msg(id.bits == request->id.bits, "settled with another's id");
	ck_assert_uint_eq(request->settled, 0);
	ck_assert_uint_eq(request->released, 0);
	request->settled++;
	request->settled_status = status;
	request->settled_at = request->stage->callbacks;
	event(request->stage, "settled", request);
}

static void on_released(zcreq_id id, int status, void *arg)
{
	struct stage_request *request = arg;
	struct stage *stage = request->stage;
	unsigned i;

	ck_assert_msg(id.bits == request->id.bits, "released with another's id");
	ck_assert_uint_eq(request->settled, 1);
	ck_assert_uint_eq(request->released, 0);
	ck_assert_int_eq(request->settled_status, status);
	for (i = 0; i < request->buffer_count; i++) {
		ck_assert_msg(!fake_kernel_unproven(stage->kernel, request->buffers[i],
						    request->lens[i]),
			      "I2: released, and the kernel holds the buffer");
		memset(request->buffers[i], 0xdb, request->lens[i]);
	}
	request->released++;
	request->released_status = status;
	request->released_at = stage->callbacks;
	event(stage, "released", request);
}

static void on_aborting(zcreq_id id, int status, void *arg)
{
	struct stage_request *request = arg;

	(void)status;
	ck_assert_uint_eq(request->aborting, 0);
	request->aborting++;
	event(request->stage, "aborting", request);
	if (request->finish_when_aborting)
		ck_assert_int_eq(zcreq_finish(request->stage->context, id, -EIO), 0);
}

static void on_quarantined(zcreq_id id, void *arg)
{
	struct stage_request *request = arg;

	(void)id;
	ck_assert_uint_eq(request->quarantined, 0);
	ck_assert_uint_eq(request->released, 0);
	request->quarantined++;
	event(request->stage, "quarantined", request);
}

const struct zcreq_request_hooks stage_ops = {
	.released = on_released,
	.settled = on_settled,
	.aborting = on_aborting,
	.quarantined = on_quarantined,
};

static void hook_abort(struct zcreq_conn *conn, int status, void *arg)
{
	struct stage *stage = arg;

	(void)conn;
	stage->aborts++;
	stage->abort_status = status;
	event(stage, "abort", NULL);
}

static void hook_closed(struct zcreq_conn *conn, int status, void *arg)
{
	struct stage *stage = arg;

	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_CLOSED);
	stage->closes++;
	stage->closed_status = status;
	event(stage, "closed", NULL);
}

static void hook_room(struct zcreq_conn *conn, void *arg)
{
	struct stage *stage = arg;

	(void)conn;
	stage->rooms++;
	event(stage, "room", NULL);
}

static void hook_stalled(struct zcreq_conn *conn, enum zcreq_stall verdict, void *arg)
{
	struct stage *stage = arg;

	(void)conn;
	stage->stalls++;
	stage->verdict = verdict;
	event(stage, "stalled", NULL);
}

static void hook_message(struct zcreq_conn *conn, const struct msghdr *message, void *arg)
{
	struct stage *stage = arg;
	struct sock_extended_err error;
	struct msghdr copy = *message;
	struct cmsghdr *c;

	(void)conn;
	stage->messages++;
	stage->origin = 0;
	for (c = CMSG_FIRSTHDR(&copy); c; c = CMSG_NXTHDR(&copy, c)) {
		if (c->cmsg_level == SOL_SOCKET || c->cmsg_len < CMSG_LEN(sizeof(error)))
			continue;
		memcpy(&error, CMSG_DATA(c), sizeof(error));
		stage->origin = error.ee_origin;
	}
	event(stage, "message", NULL);
}

const struct zcreq_conn_hooks stage_hooks = {
	.abort = hook_abort,
	.closed = hook_closed,
	.room = hook_room,
	.stalled = hook_stalled,
	.message = hook_message,
};

void stage_init(struct stage *stage)
{
	memset(stage, 0, sizeof(*stage));
	alloc_fault_init(&stage->fault);
	stage->kernel = fake_kernel_new();
	fake_socket_knobs_init(&stage->knobs);
	stage->options.size = sizeof(stage->options);
	stage->options.hooks = &stage_hooks;
	stage->options.arg = stage;
	stage->options.mode = ZCREQ_MODE_ALWAYS;
	stage->options.threshold_bytes = 1;
}

void stage_choose_sender(struct stage *stage)
{
	if (!stage_sends)
		return;
	stage->sender = fake_sender_new(stage->sock, stage_sends);
	fake_sender_options(stage->sender, &stage->options);
}

struct zcreq_conn *stage_open_another(struct stage *stage)
{
	stage->sock = fake_socket_new(stage->kernel, &stage->knobs);
	stage->options.fd = fake_socket_fd(stage->sock);
	stage->options.socket_ops = &fake_socket_ops;
	stage->options.socket_arg = stage->sock;
	stage->options.first_id = stage->knobs.first_id;
	stage->options.flags = ZCREQ_STREAM_FIRST_ID;
	stage_choose_sender(stage);
	ck_assert_int_eq(zcreq_stream_open(stage->context, &stage->options, &stage->conn), 0);
	stage_tick(stage);
	return stage->conn;
}

void stage_open(struct stage *stage)
{
	struct zcreq_context_options options = { .size = sizeof(options) };

	options.allocator = &stage->fault.allocator;
	if (!stage->context) {
		ck_assert_int_eq(zcreq_context_new(&options, &stage->context), 0);
		seed_handles(stage->context, 1);
	}
	stage_open_another(stage);
}

struct stage_request *stage_begin(struct stage *stage)
{
	struct stage_request *request = calloc(1, sizeof(*request));

	ck_assert_ptr_nonnull(request);
	request->stage = stage;
	request->conn = stage->conn;
	request->finish_when_aborting = true;
	ck_assert_int_eq(zcreq_begin(stage->conn, &stage_ops, request, 0, &request->id),
			 0);
	request->next = stage->requests;
	stage->requests = request;
	return request;
}

int stage_send(struct stage_request *request, size_t len)
{
	uint8_t *memory = malloc(len);
	struct iovec iov = { memory, len };
	size_t i;
	int ret;

	ck_assert_ptr_nonnull(memory);
	ck_assert_uint_lt(request->buffer_count, 64);
	for (i = 0; i < len; i++)
		memory[i] = (uint8_t)(request->id.bits * 13 + request->buffer_count * 5 + i % 251);
	ret = zcreq_add(zcreq_conn_context(request->conn), request->id, &iov,
			1, 0);
	if (ret) {
		free(memory);
		return ret;
	}
	request->memory = memory;
	request->len = len;
	request->buffers[request->buffer_count] = memory;
	request->lens[request->buffer_count++] = len;
	return 0;
}

void stage_finish(struct stage_request *request)
{
	ck_assert_int_eq(zcreq_finish(request->stage->context, request->id, 0), 0);
}

struct stage_request *stage_request(struct stage *stage, size_t len)
{
	struct stage_request *request = stage_begin(stage);

	ck_assert_int_eq(stage_send(request, len), 0);
	stage_finish(request);
	return request;
}

struct stage_request *stage_sent(struct stage *stage, size_t len)
{
	struct stage_request *request = stage_request(stage, len);

	stage_flush(stage);
	return request;
}

bool stage_turn(struct stage *stage)
{
	stage->deadline_ns = zcreq_turn(stage->context, 0);
	return stage->deadline_ns <= stage->now_ns;
}

void stage_flush(struct stage *stage)
{
	stage_turn(stage);
	if (stage->sender)
		fake_sender_results(stage->sender);
}

bool stage_process(struct stage *stage)
{
	short events = stage->conn ? zcreq_events(stage->conn) : 0;
	short bits = events ? fake_socket_poll(stage->sock, events) : 0;
	bool spoke = stage->sender && fake_sender_process(stage->sender);

	if (bits)
		ck_assert_int_eq(zcreq_process(stage->conn, bits), 0);
	if (bits || spoke)
		stage_turn(stage);
	return bits || spoke;
}

void stage_run(struct stage *stage)
{
	unsigned turns = 0;

	while (stage_process(stage))
		ck_assert_msg(++turns < 20000, "the event loop spins");
	while (stage_turn(stage))
		ck_assert_msg(++turns < 20000, "turns never end");
}

void stage_ack_all(struct stage *stage)
{
	do {
		stage_run(stage);
	} while (fake_socket_ack(stage->sock, FAKE_NEVER));
	stage_run(stage);
}

void stage_tick(struct stage *stage)
{
	stage->now_ns = fake_kernel_now_ms(stage->kernel) * 1000000;
	stage->deadline_ns = zcreq_turn(stage->context, stage->now_ns);
	stage->ticks++;
}

void stage_wait_ms(struct stage *stage, uint64_t ms)
{
	uint64_t end = fake_kernel_now_ms(stage->kernel) + ms;
	uint64_t now, step;

	for (;;) {
		stage_run(stage);
		stage_tick(stage);
		stage_run(stage);
		now = fake_kernel_now_ms(stage->kernel);
		if (now >= end)
			return;
		step = end - now;
		if (stage->deadline_ns != ZCREQ_NEVER) {
			uint64_t sleep = (uint64_t)zcreq_timeout_ms(stage->deadline_ns,
								    stage->now_ns);

			step = sleep < step ? sleep : step;
		}
		/* The kernel's own timers can make the descriptor ready in between. */
		fake_kernel_advance_ms(stage->kernel, step < 50 ? step : 50);
	}
}

struct zcreq_stats stage_stats(const struct stage *stage)
{
	struct zcreq_stats stats;

	ck_assert_int_eq(zcreq_context_stats(stage->context, &stats, sizeof(stats)), 0);
	return stats;
}

struct fake_socket_report stage_report(const struct stage *stage)
{
	struct fake_socket_report report;

	fake_socket_report(stage->sock, &report);
	return report;
}

void stage_expect_released(const struct stage_request *request, int status)
{
	ck_assert_uint_eq(request->released, 1);
	ck_assert_int_eq(request->released_status, status);
}

void stage_expect_unreleased(const struct stage_request *request)
{
	ck_assert_uint_eq(request->released, 0);
}

static void expect_no_violation(const struct stage *stage)
{
	const char *text;

	fake_kernel_audit(stage->kernel);
	text = fake_kernel_violation(stage->kernel, 0);
	ck_assert_msg(!text, "%s", text);
}

void stage_end(struct stage *stage)
{
	struct stage_request *request;
	unsigned turn = 0;

	zcreq_conn_free(stage->conn);
	stage->conn = NULL;
	for (request = stage->requests; request; request = request->next)
		if (!request->released)
			(void)!zcreq_finish(stage->context, request->id, 0);
	while (stage_stats(stage).connections_now || stage_stats(stage).requests_now) {
		fake_socket_knobs(stage->sock)->qdisc_bytes = 0;
		fake_socket_kill(stage->sock, ECONNRESET);
		fake_socket_let_go(stage->sock, UINT32_MAX);
		fake_kernel_advance_ms(stage->kernel, 100);
		stage_tick(stage);
		ck_assert_msg(++turn < 300, "the story never ends");
	}
}

void stage_deinit(struct stage *stage)
{
	struct stage_request *request, *next;
	unsigned i;

	stage->on_event = NULL;
	alloc_fault_arm(&stage->fault, 0, 0);
	expect_no_violation(stage);
	if (!stage->clings) {
		stage_end(stage);
		ck_assert_int_eq(zcreq_context_free(stage->context), 0);
		ck_assert_uint_eq(stage->fault.live_blocks, 0);
		ck_assert_uint_eq(fake_kernel_open_sockets(stage->kernel), 0);
	}
	ck_assert_uint_eq(stage->fault.bad_frees, 0);
	expect_no_violation(stage);
	for (request = stage->requests; request; request = next) {
		next = request->next;
		if (!stage->clings)
			ck_assert_uint_eq(request->released, 1);
		for (i = 0; i < request->buffer_count; i++)
			free(request->buffers[i]);
		free(request);
	}
	fake_kernel_free(stage->kernel);
}
