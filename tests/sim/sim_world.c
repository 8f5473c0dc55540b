/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_world.c - the model, what it hears, and the invariants of design.md
 *
 * Each check says which invariant it is for. A failed one prints the seed and
 * ends the process: with the seed the whole run can be repeated.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_world.h"

void sim_fail(const struct sim_world *world, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "seed %llu step %u: ", (unsigned long long)world->seed, world->step);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n  repeat: ZCREQ_SIM_TRACE=1 ZCREQ_SIM_SEEDS=%llu:1 ./check_sim\n",
		(unsigned long long)world->seed);
	fflush(NULL);
	abort();
}

void sim_trace(const struct sim_world *world, const char *format, ...)
{
	va_list args;

	if (!world->trace)
		return;
	fprintf(stderr, "%5u%s ", world->step, world->inside ? "   " : "");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

uint64_t sim_now_ns(const struct sim_world *world)
{
	return fake_kernel_now_ms(world->kernel) * 1000000;
}

/* The time is noted first: callbacks may let more of it pass. */
uint64_t sim_tick(struct sim_world *world)
{
	uint64_t now_ns = sim_now_ns(world);

	world->tick_ms = fake_kernel_now_ms(world->kernel);
	return zcreq_tick(world->context, now_ns);
}

void sim_world_init(struct sim_world *world, uint64_t seed)
{
	struct zcreq_context_options options = { .size = sizeof(options), .seed = seed + 1 };
	const char *trace = getenv("ZCREQ_SIM_TRACE");

	memset(world, 0, sizeof(*world));
	world->seed = seed;
	world->random.state = seed;
	world->trace = trace && *trace == '1';
	alloc_fault_init(&world->fault);
	world->kernel = fake_kernel_new();
	world->tick_ms = fake_kernel_now_ms(world->kernel);
	options.allocator = &world->fault.allocator;
	if (zcreq_context_new(&options, &world->context))
		sim_fail(world, "no context");
}

void sim_world_deinit(struct sim_world *world)
{
	struct sim_request *request, *next_request;
	struct sim_conn *conn, *next_conn;
	unsigned i;

	for (request = world->requests; request; request = next_request) {
		next_request = request->next;
		for (i = 0; i < request->buffer_count; i++)
			free(request->buffers[i].memory);
		free(request);
	}
	for (conn = world->conns; conn; conn = next_conn) {
		next_conn = conn->next;
		while (conn->entries) {
			struct sim_entry *entry = conn->entries;

			conn->entries = entry->next;
			free(entry->bytes);
			free(entry);
		}
		free(conn);
	}
	fake_kernel_free(world->kernel);
}

void sim_entry_add(struct sim_conn *conn, struct sim_request *request, const uint8_t *bytes,
		   size_t len)
{
	struct sim_entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		abort();
	entry->bytes = malloc(len);
	if (!entry->bytes)
		abort();
	memcpy(entry->bytes, bytes, len);
	entry->len = len;
	entry->request = request;
	if (request)
		request->entries[request->entry_count++] = entry;
	if (conn->entries_tail)
		conn->entries_tail->next = entry;
	else
		conn->entries = entry;
	conn->entries_tail = entry;
}

/* A request was withdrawn: nothing of it must ever appear. */
void sim_entries_drop(struct sim_conn *conn, struct sim_request *request)
{
	struct sim_entry **link = &conn->entries;
	struct sim_entry *entry, *last = NULL;

	while ((entry = *link)) {
		if (entry->request != request) {
			last = entry;
			link = &entry->next;
			continue;
		}
		*link = entry->next;
		free(entry->bytes);
		free(entry);
	}
	conn->entries_tail = last;
	request->entry_count = 0;
}

uint64_t sim_accepted_of(const struct sim_request *request)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < request->entry_count; i++)
		sum += request->entries[i]->done;
	return sum;
}

/* Every byte that the kernel took is the next one that the model expects. */
void sim_stream_check(struct sim_conn *conn)
{
	struct sim_entry *entry = conn->entries;
	const uint8_t *bytes;
	size_t len, part;

	if (!conn->sock)
		return;
	bytes = fake_socket_accepted(conn->sock, &len);
	while (conn->checked < len) {
		while (entry && entry->done == entry->len)
			entry = entry->next;
		if (!entry)
			sim_fail(conn->world, "conn %u: %llu bytes sent that nobody queued",
				 conn->number, (unsigned long long)(len - conn->checked));
		part = entry->len - entry->done;
		if (part > len - conn->checked)
			part = len - conn->checked;
		if (memcmp(bytes + conn->checked, entry->bytes + entry->done, part))
			sim_fail(conn->world, "conn %u: wrong bytes at stream offset %llu",
				 conn->number, (unsigned long long)conn->checked);
		if (!entry->done)
			entry->offset = conn->checked;
		entry->done += part;
		conn->checked += part;
	}
}

bool sim_conn_lives(const struct sim_conn *conn)
{
	int state;

	if (!conn->conn)
		return false;
	state = zcreq_conn_state(conn->conn);
	return state == ZCREQ_CONN_OPEN || state == ZCREQ_CONN_DRAINING;
}

void sim_conn_ended(struct sim_conn *conn)
{
	if (conn->ended)
		return;
	conn->ended = true;
	conn->ended_ms = fake_kernel_now_ms(conn->world->kernel);
}

void sim_conn_error(struct sim_conn *conn, int status)
{
	struct sim_request *request;
	int state;

	for (request = conn->world->requests; request; request = request->next) {
		if (request->conn != conn || request->error || request->heard_settled)
			continue;
		/* One that is done already keeps its success. */
		state = zcreq_request_state(conn->world->context, request->id);
		if (state == ZCREQ_STATE_OPEN || state == ZCREQ_STATE_FINISHED)
			request->error = status;
	}
}

static uint64_t memory_unproven(const struct sim_request *request)
{
	const struct fake_kernel *kernel = request->conn->world->kernel;
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < request->buffer_count; i++)
		sum += fake_kernel_unproven(kernel, request->buffers[i].memory,
					    request->buffers[i].len);
	return sum;
}

/* I6: a callback begins; there is never one within another. */
static void enter(struct sim_world *world)
{
	if (world->in_callback)
		sim_fail(world, "I6: a callback inside a callback");
	world->in_callback = true;
	world->callbacks++;
}

static void leave(struct sim_world *world)
{
	sim_callback_action(world);
	world->in_callback = false;
}

static void on_settled(zcreq_id id, int status, void *arg)
{
	struct sim_request *request = arg;
	struct sim_world *world = request->conn->world;
	unsigned i;

	sim_trace(world, "-> settled r%u %d", request->number, status);
	enter(world);
	if (id.bits != request->id.bits)
		sim_fail(world, "settled with another's id");
	if (request->heard_settled++ || request->heard_released)
		sim_fail(world, "I1: r%u settled twice or late", request->number);
	if (status > 0 || (request->error && status != request->error))
		sim_fail(world, "r%u settled with %d, the first error was %d", request->number,
			 status, request->error);
	if (!request->error && status && sim_conn_lives(request->conn))
		sim_fail(world, "r%u failed with %d and nobody knows why", request->number, status);
	request->told = status;
	sim_stream_check(request->conn);
	for (i = 0; i < request->entry_count && !status; i++) {
		const struct sim_entry *entry = request->entries[i];

		if (entry->done < entry->len)
			sim_fail(world, "r%u succeeded with unsent bytes", request->number);
		if (fake_socket_lost(request->conn->sock, entry->offset,
				     entry->offset + entry->len))
			sim_fail(world, "r%u succeeded, its bytes were lost", request->number);
	}
	if (!status && !request->finished)
		sim_fail(world, "r%u succeeded before it was finished", request->number);
	leave(world);
}

static void on_released(zcreq_id id, int status, void *arg)
{
	struct sim_request *request = arg;
	struct sim_world *world = request->conn->world;
	unsigned i;

	sim_trace(world, "-> released r%u %d", request->number, status);
	enter(world);
	if (id.bits != request->id.bits)
		sim_fail(world, "released with another's id");
	if (request->heard_released++)
		sim_fail(world, "I1: r%u released twice", request->number);
	if (!request->heard_settled || request->told != status)
		sim_fail(world, "r%u released with %d, settled with %d", request->number, status,
			 request->told);
	if (request->hold_count || !request->finished)
		sim_fail(world, "I2: r%u released with %u holds, finished %d", request->number,
			 request->hold_count, request->finished);
	if (memory_unproven(request))
		sim_fail(world, "I2: r%u released, the kernel holds %llu bytes", request->number,
			 (unsigned long long)memory_unproven(request));
	request->conn->live--;
	for (i = 0; i < request->buffer_count; i++)
		memset(request->buffers[i].memory, 0xdb, request->buffers[i].len);
	leave(world);
}

static void on_aborting(zcreq_id id, int status, void *arg)
{
	struct sim_request *request = arg;
	struct sim_world *world = request->conn->world;

	sim_trace(world, "-> aborting r%u %d", request->number, status);
	enter(world);
	if (id.bits != request->id.bits || status >= 0)
		sim_fail(world, "aborting r%u with status %d", request->number, status);
	if (request->heard_aborting++ || request->finished || request->heard_released)
		sim_fail(world, "r%u heard aborting %u times, finished %d, released %u",
			 request->number, request->heard_aborting, request->finished,
			 request->heard_released);
	if (sim_random_chance(&world->random, 2, 3))
		sim_finish_request(request, -EIO);
	leave(world);
}

static void on_quarantined(zcreq_id id, void *arg)
{
	struct sim_request *request = arg;
	struct sim_world *world = request->conn->world;
	uint64_t waited = fake_kernel_now_ms(world->kernel) - request->conn->ended_ms;

	sim_trace(world, "-> quarantined r%u", request->number);
	enter(world);
	if (id.bits != request->id.bits || request->heard_quarantined++ || request->heard_released)
		sim_fail(world, "r%u quarantined twice or late", request->number);
	if (!request->conn->ended || waited < request->conn->linger_ms)
		sim_fail(world, "r%u quarantined after %llu ms, linger is %u", request->number,
			 (unsigned long long)waited, request->conn->linger_ms);
	if (!memory_unproven(request))
		sim_fail(world, "r%u quarantined, all of it was proven", request->number);
	leave(world);
}

const struct zcreq_ops sim_request_ops = {
	.released = on_released,
	.settled = on_settled,
	.aborting = on_aborting,
	.quarantined = on_quarantined,
};

static void hook_abort(struct zcreq_conn *handle, int status, void *arg)
{
	struct sim_conn *conn = arg;

	sim_trace(conn->world, "-> abort c%u %d", conn->number, status);
	enter(conn->world);
	if (handle != conn->conn || status >= 0 || conn->heard_abort++ || conn->heard_closed)
		sim_fail(conn->world, "abort hook of c%u: freed, twice or late", conn->number);
	/* If the library did it, then not before the tick: linger counts from there. */
	if (!conn->ended) {
		sim_conn_ended(conn);
		conn->ended_ms = conn->world->tick_ms;
	}
	leave(conn->world);
}

static void hook_closed(struct zcreq_conn *handle, int status, void *arg)
{
	struct sim_conn *conn = arg;
	struct fake_socket_report report;

	sim_trace(conn->world, "-> closed c%u %d", conn->number, status);
	enter(conn->world);
	if (handle != conn->conn || conn->heard_closed++)
		sim_fail(conn->world, "closed hook of c%u: freed or twice", conn->number);
	if (conn->live)
		sim_fail(conn->world, "c%u closed with %u requests", conn->number, conn->live);
	if (status > 0 || (status && !conn->heard_abort) || (!status && conn->heard_abort))
		sim_fail(conn->world, "c%u closed with %d, aborted %u", conn->number, status,
			 conn->heard_abort);
	sim_stream_check(conn);
	if (conn->sock) {
		fake_socket_report(conn->sock, &report);
		if (report.closed)
			sim_fail(conn->world, "c%u: descriptor closed before the hook",
				 conn->number);
		if (report.unproven_bytes)
			sim_fail(conn->world, "I9: c%u closed, %llu bytes unproven", conn->number,
				 (unsigned long long)report.unproven_bytes);
		if (!status && conn->entries_tail &&
		    conn->entries_tail->done < conn->entries_tail->len)
			sim_fail(conn->world, "c%u drained with unsent bytes", conn->number);
	}
	leave(conn->world);
}

static void hook_room(struct zcreq_conn *handle, void *arg)
{
	struct sim_conn *conn = arg;

	enter(conn->world);
	if (handle != conn->conn || conn->heard_abort)
		sim_fail(conn->world, "room hook of c%u after its end", conn->number);
	conn->wants_room = false;
	leave(conn->world);
}

static void hook_stalled(struct zcreq_conn *handle, enum zcreq_stall verdict, void *arg)
{
	struct fake_socket_report report;
	struct sim_conn *conn = arg;

	sim_trace(conn->world, "-> stalled c%u %d", conn->number, verdict);
	enter(conn->world);
	if (handle != conn->conn || conn->heard_closed)
		sim_fail(conn->world, "stalled hook of c%u after its end", conn->number);
	fake_socket_report(conn->sock, &report);
	if (verdict == ZCREQ_STALL_VANISHED && report.asked_heard_ms < conn->stall_ms)
		sim_fail(conn->world, "c%u called vanished, heard %llu ms ago", conn->number,
			 (unsigned long long)report.asked_heard_ms);
	leave(conn->world);
}

static void hook_message(struct zcreq_conn *handle, const struct msghdr *message, void *arg)
{
	struct sim_conn *conn = arg;

	enter(conn->world);
	if (handle != conn->conn || !message || conn->heard_closed)
		sim_fail(conn->world, "message hook of c%u after its end", conn->number);
	leave(conn->world);
}

const struct zcreq_conn_hooks sim_conn_hooks = {
	.abort = hook_abort,
	.closed = hook_closed,
	.room = hook_room,
	.stalled = hook_stalled,
	.message = hook_message,
};
