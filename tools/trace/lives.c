/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lives.c - events into lives
 *
 * Follows the library's own books: a request has sends, which wait in the queue until
 * a batch takes them, and batches, which wait for their notification. A life's phase
 * is worked out anew after each event that may change it. What began before the trace
 * is first seen in the middle of its life, and from then on is treated as any other.
 */
#include <stdlib.h>
#include <string.h>

#include "timeline.h"

const char *const phase_names[PHASES] = {
	[PHASE_OWNER] = "with its owner",
	[PHASE_QUEUED] = "queued",
	[PHASE_KERNEL] = "in the kernel",
	[PHASE_ABORTED] = "aborted, waiting for proof",
	[PHASE_QUARANTINED] = "quarantined",
};

/* What is being followed of a life. */
struct state {
	enum phase phase;
	uint64_t since_ns;
	uint32_t queued;  /* sends of which something is not taken */
	uint32_t pending; /* batches that wait, once for each send of the request in them */
};

#define LARGE UINT32_MAX

struct send {
	size_t life;
	uint32_t left; /* bytes that were not taken; LARGE: so many or more */
};

struct batch {
	uint32_t conn;
	uint32_t first, last;
	bool pending;
};

/* A table from two numbers to a place in an array; grows with what is in it. */
struct map {
	struct entry {
		uint64_t key;
		uint32_t conn;
		uint32_t value; /* plus 1; 0 is no entry */
	} *entries;
	size_t room, used;
};

struct reader {
	struct lives *lives;
	struct state *states; /* one for each life */
	struct send *sends;
	struct batch *batches;
	size_t send_count, batch_count, stretch_room;
	struct map by_request, by_send, by_batch;
	uint64_t now_ns;
	bool failed; /* no memory */
};

static struct entry *map_at(const struct map *map, uint32_t conn, uint64_t key)
{
	uint64_t at = (key ^ (uint64_t)conn << 40) * 0x9e3779b97f4a7c15u;

	at ^= at >> 29;
	while (map->entries[at & (map->room - 1)].value &&
	       (map->entries[at & (map->room - 1)].key != key ||
		map->entries[at & (map->room - 1)].conn != conn))
		at++;
	return &map->entries[at & (map->room - 1)];
}

static bool map_grow(struct map *map)
{
	struct map grown = {.room = map->room ? map->room * 2 : 1024, .used = map->used};

	grown.entries = calloc(grown.room, sizeof(*grown.entries));
	if (!grown.entries)
		return false;
	for (size_t i = 0; i < map->room; i++)
		if (map->entries[i].value)
			*map_at(&grown, map->entries[i].conn, map->entries[i].key) =
				map->entries[i];
	free(map->entries);
	*map = grown;
	return true;
}

/* A later one of the same name takes the place of the earlier. */
static bool map_put(struct map *map, uint32_t conn, uint64_t key, size_t value)
{
	struct entry *entry;

	if (map->used >= map->room / 2 && !map_grow(map))
		return false;
	entry = map_at(map, conn, key);
	map->used += !entry->value;
	*entry = (struct entry){.key = key, .conn = conn, .value = (uint32_t)value + 1};
	return true;
}

/* The place, or SIZE_MAX. */
static size_t map_get(const struct map *map, uint32_t conn, uint64_t key)
{
	const struct entry *entry = map->room ? map_at(map, conn, key) : NULL;

	return entry && entry->value ? entry->value - 1 : SIZE_MAX;
}

/* What began, if it was not seen to begin: with the trace. */
static size_t life_of(struct reader *r, const struct zcreq_trace_event *event)
{
	size_t at = map_get(&r->by_request, 0, event->subject);
	bool seen = event->kind == ZCREQ_TRACE_BEGIN;
	uint64_t begun_ns = seen ? event->time_ns : r->lives->from_ns;

	if (at != SIZE_MAX)
		return at;
	at = r->lives->count++;
	r->lives->lives[at] = (struct life){
		.request = event->subject, .conn = event->conn, .begun_ns = begun_ns,
		.headless = !seen,
	};
	r->states[at] = (struct state){.phase = PHASE_OWNER, .since_ns = begun_ns};
	r->failed |= !map_put(&r->by_request, 0, event->subject, at);
	return at;
}

static bool make_room(struct reader *r)
{
	size_t room = r->stretch_room ? r->stretch_room * 2 : 1024;
	void *more;

	if (r->lives->stretch_count < r->stretch_room)
		return true;
	more = realloc(r->lives->stretches, room * sizeof(*r->lives->stretches));
	r->failed |= !more;
	if (!more)
		return false;
	r->lives->stretches = more;
	r->stretch_room = room;
	return true;
}

static void end_stretch(struct reader *r, size_t at)
{
	const struct state *state = &r->states[at];

	if (state->since_ns == r->now_ns || !make_room(r))
		return;
	r->lives->stretches[r->lives->stretch_count++] = (struct stretch){
		.life = at, .phase = state->phase, .from_ns = state->since_ns,
		.to_ns = r->now_ns,
	};
}

static void look_at_phase(struct reader *r, size_t at)
{
	const struct life *life = &r->lives->lives[at];
	struct state *state = &r->states[at];
	enum phase phase = life->quarantined ? PHASE_QUARANTINED
			   : life->aborted   ? PHASE_ABORTED
			   : state->pending  ? PHASE_KERNEL
			   : state->queued   ? PHASE_QUEUED
					     : PHASE_OWNER;

	if (phase == state->phase || life->released)
		return;
	end_stretch(r, at);
	state->phase = phase;
	state->since_ns = r->now_ns;
}

static void on_send(struct reader *r, const struct zcreq_trace_event *event)
{
	size_t at = life_of(r, event), send = r->send_count++;

	r->sends[send] = (struct send){.life = at, .left = event->last};
	r->failed |= !map_put(&r->by_send, event->conn, event->first, send);
	r->states[at].queued += event->last > 0;
	look_at_phase(r, at);
}

/* Takes some of a send out of @bytes, which the socket took of it and those behind it. How many are
 * LARGE is not known: then it is all of the send. */
static void take(struct state *state, struct send *send, uint32_t *bytes)
{
	const bool all = send->left == LARGE || send->left <= *bytes;
	const uint32_t taken = all ? send->left : *bytes;

	state->queued -= send->left && all;
	send->left -= taken;
	if (*bytes != LARGE && taken != LARGE)
		*bytes -= taken;
}

/* A batch took @bytes of the sends first..last, and keeps them or, at its end, lets go. */
static void touch(struct reader *r, uint32_t conn, uint32_t first, uint32_t last, uint32_t bytes,
		  int pending)
{
	if (last - first >= r->send_count)
		last = first + (uint32_t)r->send_count;
	for (uint32_t n = first; n != last + 1; n++) {
		size_t at = map_get(&r->by_send, conn, n);
		struct send *send;

		if (at == SIZE_MAX)
			continue;
		send = &r->sends[at];
		if (pending >= 0)
			take(&r->states[send->life], send, &bytes);
		if (pending > 0 || r->states[send->life].pending)
			r->states[send->life].pending += pending;
		look_at_phase(r, send->life);
	}
}

/* Of a batch or a copy. */
static uint32_t bytes_taken(const struct zcreq_trace_event *event)
{
	return (uint32_t)(event->subject >> 32);
}

static void on_batch(struct reader *r, const struct zcreq_trace_event *event)
{
	size_t at = r->batch_count++;

	r->batches[at] = (struct batch){
		.conn = event->conn, .first = event->first, .last = event->last,
		.pending = true,
	};
	r->failed |= !map_put(&r->by_batch, event->conn, (uint32_t)event->subject, at);
	touch(r, event->conn, event->first, event->last, bytes_taken(event), 1);
}

static void on_notified(struct reader *r, const struct zcreq_trace_event *event)
{
	uint32_t last = event->last;

	if (last - event->first >= r->batch_count)
		last = event->first + (uint32_t)r->batch_count;
	for (uint32_t id = event->first; id != last + 1; id++) {
		size_t at = map_get(&r->by_batch, event->conn, id);
		struct batch *batch;

		if (at == SIZE_MAX || !r->batches[at].pending)
			continue;
		batch = &r->batches[at];
		batch->pending = false;
		touch(r, batch->conn, batch->first, batch->last, 0, -1);
	}
}

/* An event of one request. */
static void on_request(struct reader *r, const struct zcreq_trace_event *event)
{
	size_t at = life_of(r, event);
	struct life *life = &r->lives->lives[at];

	if (life->released)
		return;
	if (event->status && !life->status)
		life->status = event->status;
	life->aborted |= event->kind == ZCREQ_TRACE_ABORTED;
	life->quarantined |= event->kind == ZCREQ_TRACE_QUARANTINED;
	look_at_phase(r, at);
	if (event->kind == ZCREQ_TRACE_RELEASED) {
		end_stretch(r, at);
		life->released = true;
		life->ended_ns = event->time_ns;
	}
}

static void follow(struct reader *r, const struct zcreq_trace_event *event)
{
	r->now_ns = event->time_ns;
	switch (event->kind) {
	case ZCREQ_TRACE_BEGIN:
	case ZCREQ_TRACE_TAKE:
	case ZCREQ_TRACE_DROP:
	case ZCREQ_TRACE_FINISH:
	case ZCREQ_TRACE_SETTLED:
	case ZCREQ_TRACE_RELEASED:
	case ZCREQ_TRACE_ABORTED:
	case ZCREQ_TRACE_QUARANTINED:
		on_request(r, event);
		break;
	case ZCREQ_TRACE_SEND:
		on_send(r, event);
		break;
	case ZCREQ_TRACE_BATCH:
		on_batch(r, event);
		break;
	case ZCREQ_TRACE_COPY:
		touch(r, event->conn, event->first, event->last, bytes_taken(event), 0);
		break;
	case ZCREQ_TRACE_NOTIFIED:
		on_notified(r, event);
		break;
	default:
		break;
	}
}

/* What is not over at the end of the trace goes as far as that. */
static void end_all(struct reader *r)
{
	struct lives *lives = r->lives;

	for (size_t at = 0; at < lives->count; at++) {
		if (lives->lives[at].released)
			continue;
		lives->lives[at].ended_ns = lives->to_ns;
		end_stretch(r, at);
	}
}

int lives_make(const struct trace *trace, struct lives *lives)
{
	size_t count = trace->count + 1;
	struct reader r = {.lives = lives};

	memset(lives, 0, sizeof(*lives));
	lives->lives = calloc(count, sizeof(*lives->lives));
	r.states = calloc(count, sizeof(*r.states));
	r.sends = calloc(count, sizeof(*r.sends));
	r.batches = calloc(count, sizeof(*r.batches));
	r.failed = !lives->lives || !r.states || !r.sends || !r.batches;
	if (!r.failed && trace->count) {
		lives->from_ns = trace->events[0].time_ns;
		lives->to_ns = trace->events[trace->count - 1].time_ns;
		for (size_t i = 0; i < trace->count && !r.failed; i++)
			follow(&r, &trace->events[i]);
		end_all(&r);
	}
	free(r.states);
	free(r.sends);
	free(r.batches);
	free(r.by_request.entries);
	free(r.by_send.entries);
	free(r.by_batch.entries);
	if (!r.failed)
		return 0;
	lives_free(lives);
	return -1;
}

void lives_free(struct lives *lives)
{
	free(lives->lives);
	free(lives->stretches);
	memset(lives, 0, sizeof(*lives));
}
