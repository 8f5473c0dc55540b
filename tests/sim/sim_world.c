/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_world.c - the model: what was asked for, and what has appeared of it
 *
 * Contents are never kept: what a send or a write must show is a place in one
 * pattern that has no period worth the name, so that a byte from anywhere else
 * is a wrong one.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/sim_detach.h"
#include "sim/sim_inside.h"
#include "sim/sim_life.h"
#include "sim/sim_world.h"
#include "support/seeded.h"

#define PATTERN_BYTES (1u << 17)
uint8_t sim_pattern[PATTERN_BYTES];

const uint8_t *sim_pattern_at(unsigned request, unsigned send)
{
	return sim_pattern + (request * 977 + send * 13577) % (PATTERN_BYTES - SIM_SEND_MOST);
}

static void pattern_init(void)
{
	struct sim_random random = { 1 };
	unsigned i;

	if (sim_pattern[0] | sim_pattern[1] | sim_pattern[2])
		return;
	for (i = 0; i < PATTERN_BYTES; i++)
		sim_pattern[i] = (uint8_t)sim_random_next(&random);
}

void sim_fail(const struct sim_world *world, const char *format, ...)
{
	struct sim_outcome *outcome = world->outcome;
	va_list args;

	va_start(args, format);
	vsnprintf(outcome->text, sizeof(outcome->text), format, args);
	va_end(args);
	outcome->format = format;
	sim_trace(world, "FAILED: %s", outcome->text);
	fflush(NULL);
	_exit(SIM_EXIT);
}

void sim_tell(const struct sim_world *world, const char *format, ...)
{
	va_list args;

	printf("#\t%s", world->inside ? "    " : "");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout); /* it may not come to an end */
}

uint64_t sim_choose(struct sim_world *world, uint64_t limit)
{
	struct sim_choices *choices = &world->choices;
	uint64_t value = 0;

	if (limit < 2)
		return 0;
	if (!choices->play)
		value = sim_random_below(&choices->random, limit);
	else if (choices->at < choices->end)
		value = choices->play->draw[choices->at++] % limit;
	if (choices->heard)
		sim_tape_add_draw(choices->heard, value);
	return value;
}

uint64_t sim_now_ns(const struct sim_world *world)
{
	return fake_kernel_now_ms(world->kernel) * 1000000;
}

/* Inside a callback it does nothing, whatever the time. */
static uint64_t turn(struct sim_world *world, uint64_t now_ns)
{
	bool listened = sim_listen(world, !world->in_callback);
	uint64_t deadline_ns = zcreq_turn(world->context, now_ns);

	sim_listen(world, listened);
	if (!world->in_callback)
		sim_check_deadline(world, deadline_ns);
	if (!world->in_callback && deadline_ns > world->turn_ms * 1000000)
		sim_check_quiet(world, deadline_ns);
	return deadline_ns;
}

/* The time is noted first: callbacks may let more of it pass. */
uint64_t sim_turn(struct sim_world *world)
{
	uint64_t now_ns = sim_now_ns(world);
	struct sim_conn *conn;

	if (!world->in_callback)
		world->turn_ms = fake_kernel_now_ms(world->kernel);
	LIST_FOREACH(conn, &world->conns, in_world)
		if (sim_conn_lives(conn))
			conn->alive_ms = world->turn_ms;
	return turn(world, now_ns);
}

bool sim_turn_again(struct sim_world *world)
{
	return turn(world, 0) <= world->turn_ms * 1000000;
}

void sim_world_init(struct sim_world *world, uint64_t seed)
{
	struct zcreq_context_options options = { .size = sizeof(options) };

	pattern_init();
	world->seed = seed;
	alloc_fault_init(&world->fault);
	world->kernel = fake_kernel_new();
	options.allocator = &world->fault.allocator;
	if (zcreq_context_new(&options, &world->context))
		sim_fail(world, "no context");
	seed_handles(world->context, seed + 1);
}

static void free_requests(struct sim_world *world, struct sim_requests *requests)
{
	struct sim_request *request;
	unsigned i;

	while ((request = LIST_FIRST(requests))) {
		LIST_REMOVE(request, in_world);
		for (i = 0; i < request->send_count; i++)
			sim_memory_give(&world->memory, request->sends[i].memory);
		free(request);
	}
}

static void free_conns(struct sim_conns *conns)
{
	struct sim_entry *entry;
	struct sim_conn *conn;

	while ((conn = LIST_FIRST(conns))) {
		LIST_REMOVE(conn, in_world);
		while ((entry = TAILQ_FIRST(&conn->entries))) {
			TAILQ_REMOVE(&conn->entries, entry, in_conn);
			free(entry);
		}
		free(conn);
	}
}

void sim_world_deinit(struct sim_world *world)
{
	free_requests(world, &world->live);
	free_requests(world, &world->dead);
	free_conns(&world->conns);
	free_conns(&world->gone);
	sim_inside_deinit(world);
	sim_detach_deinit(world);
	sim_memory_deinit(&world->memory);
	fake_kernel_free(world->kernel);
}

struct sim_entry *sim_entry_add(struct sim_conn *conn, const struct sim_request *request,
				const uint8_t *bytes, size_t len)
{
	struct sim_entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		abort();
	entry->request = request;
	entry->bytes = bytes;
	entry->len = len;
	conn->queued += len;
	TAILQ_INSERT_TAIL(&conn->entries, entry, in_conn);
	if (!conn->next_entry)
		conn->next_entry = entry;
	return entry;
}

/* A request was withdrawn: nothing of it must ever appear. */
void sim_entries_drop(struct sim_conn *conn, struct sim_request *request)
{
	struct sim_entry *entry, *next;
	unsigned i;

	for (entry = conn->next_entry; entry; entry = next) {
		next = TAILQ_NEXT(entry, in_conn);
		if (entry->request != request)
			continue;
		if (conn->next_entry == entry)
			conn->next_entry = next;
		TAILQ_REMOVE(&conn->entries, entry, in_conn);
		conn->queued -= entry->len;
		free(entry);
	}
	for (i = 0; i < request->send_count; i++)
		request->sends[i].entry = NULL;
}

/* What the kernel has, or a sender may have. */
uint64_t sim_accepted_of(const struct sim_request *request)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < request->send_count; i++)
		if (request->sends[i].entry)
			sum += request->sends[i].entry->done +
			       fake_socket_under_way(request->conn->sock,
						     request->sends[i].memory,
						     request->sends[i].len);
	return sum;
}

/* Every byte that the kernel took is the next one that the model expects. */
void sim_stream_check(struct sim_conn *conn)
{
	struct sim_entry *entry;
	const uint8_t *bytes;
	size_t len, part;

	if (!conn->sock)
		return;
	bytes = fake_socket_accepted(conn->sock, &len);
	while (conn->checked < len) {
		entry = conn->next_entry;
		if (!entry)
			sim_fail(conn->world, "c%u: %llu bytes sent that nobody queued",
				 conn->number, (unsigned long long)(len - conn->checked));
		part = entry->len - entry->done;
		if (part > len - conn->checked)
			part = len - conn->checked;
		if (memcmp(bytes + conn->checked, entry->bytes + entry->done, part))
			sim_fail(conn->world, "c%u: wrong bytes at stream offset %llu",
				 conn->number, (unsigned long long)conn->checked);
		if (!entry->done)
			entry->offset = conn->checked;
		entry->done += part;
		conn->checked += part;
		if (entry->done == entry->len)
			conn->next_entry = TAILQ_NEXT(entry, in_conn);
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

/* It is as late as the last turn was told, whatever passed since: the next may not know. */
void sim_conn_ended(struct sim_conn *conn)
{
	struct sim_world *world = conn->world;

	if (conn->ended)
		return;
	conn->ended = true;
	conn->ended_ms = world->turn_ms;
}

void sim_conn_error(struct sim_conn *conn, int status)
{
	struct sim_request *request;
	int state;

	LIST_FOREACH(request, &conn->world->live, in_world) {
		if (request->conn != conn || request->error || request->heard_settled)
			continue;
		/* One that is done already keeps its success. */
		state = zcreq_request_state(conn->world->context, request->id);
		if (state == ZCREQ_STATE_OPEN || state == ZCREQ_STATE_FINISHED)
			request->error = status;
	}
}
